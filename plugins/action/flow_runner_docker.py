# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controller side of the module of the same name."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.plugin_utils._runner_action import RunnerAction

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import Infrastructures


class ActionModule(RunnerAction):
    """Runs flow runs in Docker containers."""

    runner_type = "docker"
    may_run_here = True

    def _load_infrastructures(self) -> Infrastructures:
        from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker import (
            docker_infrastructure,
        )

        return {"docker": docker_infrastructure}
