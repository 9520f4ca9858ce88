# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that find flow runs on the server."""

from __future__ import annotations


class ModuleDocFragment:
    """By their ids, or by what they have in common."""

    DOCUMENTATION = r"""
options:
  flow_run_id:
    description: UUID of a flow run.
    type: str
  flow_run_ids:
    description: UUIDs of flow runs.
    type: list
    elements: str
  filter:
    description: Flow runs by what they have in common. All that is given must be so.
    type: dict
    suboptions:
      deployments:
        description:
          - Runs of these deployments, as C(flow/name) or by UUID. One that does not exist is an error.
        type: list
        elements: str
      flows:
        description: Runs of flows with these names.
        type: list
        elements: str
      states:
        description:
          - Runs in these states of Prefect's. A word in capitals is a type, such as V(FAILED), any other a name, such
            as V(TimedOut) or V(Late). Several types have more than one name.
        type: list
        elements: str
      tags:
        description: Runs that have all of these tags.
        type: list
        elements: str
      work_pools:
        description: Runs in work pools with these names.
        type: list
        elements: str
      name:
        description: Runs with this text in their names, in upper or lower case.
        type: str
      after:
        description:
          - Runs that started or are expected to start at this time or later, such as V(2026-11-23T05:00:00Z). Without
            an offset it is UTC.
        type: str
      before:
        description: The same for this time or earlier.
        type: str
"""
