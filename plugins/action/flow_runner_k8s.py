# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controller side of the module of the same name."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.plugin_utils._runner_action import RunnerAction


class ActionModule(RunnerAction):
    """Runs flow runs as Kubernetes Jobs."""

    runner_type = "kubernetes"
    may_run_here = True
