# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The table of infrastructures: another one is one file beside this one, one function and one row here.

Each is loaded when it is used: a module is executed for every poll, and most of what it costs is what it loads.
"""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._task import Task


def _subprocess(task: Task, look_only: bool) -> Infrastructure:
    from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import (
        process_infrastructure,
    )

    return process_infrastructure(task, look_only)


def _docker(task: Task, look_only: bool) -> Infrastructure:
    from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker import (
        docker_infrastructure,
    )

    return docker_infrastructure(task, look_only)


def _kubernetes(task: Task, look_only: bool) -> Infrastructure:
    from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes import (
        kubernetes_infrastructure,
    )

    return kubernetes_infrastructure(task, look_only)


INFRASTRUCTURES: dict[str, t.Callable[[Task, bool], Infrastructure]] = {
    "subprocess": _subprocess,
    "docker": _docker,
    "kubernetes": _kubernetes,
}
