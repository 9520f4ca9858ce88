# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controller side of the module of the same name."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.plugin_utils._agent_action import AgentAction


class ActionModule(AgentAction):
    """Runs flow runs on whichever infrastructure they ask for."""

    runner_type = "universal"

    def _found(self, run: dict[str, t.Any]) -> dict[str, t.Any]:
        return {"type": run["infrastructure"]["type"]}
