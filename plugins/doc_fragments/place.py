# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say which place is meant, where there are those of all types of flow runners."""

from __future__ import annotations


class ModuleDocFragment:
    """The names are those of the module flow_runner."""

    DOCUMENTATION = r"""
options:
  type:
    description:
      - What kind of place it is. V(subprocess), which is the effective default, is O(state_dir) of this user on the
        host. V(docker) is a Docker Engine, and V(kubernetes) a namespace of a cluster.
    type: str
    choices: [subprocess, docker, kubernetes]
  state_dir:
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:state_dir).
    type: path
  namespace:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:namespace).
    type: str
"""
