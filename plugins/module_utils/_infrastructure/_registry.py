# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The table of infrastructures: another one is one file beside this one and one row here."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import process_infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._task import Task

INFRASTRUCTURES: dict[str, t.Callable[[Task, bool], Infrastructure]] = {
    "subprocess": process_infrastructure,
}


def make_infrastructure(runner_type: str, task: Task, look_only: bool) -> Infrastructure:
    """The infrastructure of a runner type, set up from the task's options; ``look_only`` for check mode."""
    return INFRASTRUCTURES[runner_type](task, look_only)
