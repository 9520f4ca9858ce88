#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at Prefect flow runs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_run_info
short_description: Look at Prefect flow runs
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Finds flow runs by deployment, state, tags, time and more, and returns what the server knows about them, with their
    history of states, their logs and their artifacts where asked.
  - Without O(filter) and ids these are all runs, page by page.
extends_documentation_fragment:
  - flowops.prefect.api
  - flowops.prefect.run_filter
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
options:
  limit:
    description: How many runs are returned at most. V(100), or as many as ids are given, when left out.
    type: int
  offset:
    description: How many runs are left out at the beginning, for the next page. V(0) when left out.
    type: int
  order:
    description: By the time when runs started or are expected to start. V(newest_first) when left out.
    type: str
    choices: [newest_first, oldest_first]
  history:
    description: Whether the states that each run had are returned. V(false) when left out.
    type: bool
  artifacts:
    description: Whether the artifacts of each run are returned. V(false) when left out.
    type: bool
  log_limit:
    description: How many log records of each run are returned, from the first one on. V(0) when left out.
    type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Nothing is changed.
  idempotent:
    support: full
  async:
    support: full
requirements:
  - Python 3.9 or newer where the module runs, and nothing else.
  - A server of Prefect 3, Prefect 2.20 or Orion 2.0b6. What a server cannot do is refused by its name.
"""

EXAMPLES = r"""
- name: What failed today, with its logs
  flowops.prefect.flow_run_info:
    api_url: "{{ prefect_api_url }}"
    filter:
      deployments: [hello/quickstart]
      states: [FAILED, CRASHED]
      after: "{{ now(utc=true, fmt='%Y-%m-%d') }}"
    log_limit: 200
  register: failed

- name: Say how many
  ansible.builtin.debug:
    msg: "{{ failed.total }} failed: {{ failed.flow_runs | map(attribute='name') | join(', ') }}"

- name: The second page of all runs with a tag, oldest first
  flowops.prefect.flow_run_info:
    api_url: "{{ prefect_api_url }}"
    filter:
      tags: [nightly]
    order: oldest_first
    limit: 50
    offset: 50
"""

RETURN = r"""
msg:
  description: How many runs were found, or what is wrong and what to do about it.
  returned: always
  type: str
  sample: 1 flow runs
category:
  description: What kind of error it was, such as V(bad_settings) or V(api_unreachable).
  returned: when the task itself failed
  type: str
  sample: bad_settings
flow_run:
  description: The same as the entry of RV(flow_runs).
  returned: on success, when just one run was found
  type: dict
  sample:
    flow_run_id: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    name: lively-hornet
    state: Completed
    state_type: COMPLETED
flow_runs:
  description: The runs of this page.
  returned: on success
  type: list
  elements: dict
  contains:
    flow_run_id:
      description: UUID of the flow run.
      returned: always
      type: str
      sample: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    name:
      description: Name of the flow run.
      returned: always
      type: str
      sample: lively-hornet
    url:
      description: Address of the run's page in the UI.
      returned: always
      type: str
      sample: http://127.0.0.1:4200/runs/flow-run/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    deployment_id:
      description: UUID of its deployment, or null.
      returned: always
      type: str
      sample: 5a410f6e-2d3c-4c8e-9b7d-1e2f3a4b5c6d
    state:
      description: Prefect's name of the run's state.
      returned: always
      type: str
      sample: Completed
    state_type:
      description: Prefect's type of the run's state.
      returned: always
      type: str
      sample: COMPLETED
    state_message:
      description: What Prefect says about the state.
      returned: always
      type: str
      sample: ""
    parameters:
      description: Its parameters. Values under names that look secret are masked.
      returned: always
      type: dict
      sample: {name: Ada}
    job_variables:
      description: Its own job variables, with the flow runner that it was created with.
      returned: always
      type: dict
      sample: {}
    tags:
      description: Its tags.
      returned: always
      type: list
      elements: str
      sample: [examples]
    run_count:
      description: How often its flow was begun.
      returned: always
      type: int
      sample: 1
    work_pool_name:
      description: Its work pool, or null.
      returned: always
      type: str
      sample: servers
    work_queue_name:
      description: Its queue, or null.
      returned: always
      type: str
      sample: default
    infrastructure_pid:
      description: Where it runs or ran, as its launcher says, or null.
      returned: always
      type: str
      sample: "web-1:28387"
    created_at:
      description: When it was created, ISO 8601 in UTC.
      returned: always
      type: str
      sample: "2026-11-23T11:45:34.120000Z"
    expected_at:
      description: When it started, or is expected to start.
      returned: always
      type: str
      sample: "2026-11-23T11:45:34.120000Z"
    started_at:
      description: When the flow started, or null.
      returned: always
      type: str
      sample: "2026-11-23T11:45:36.640000Z"
    finished_at:
      description: When the flow ended, or null.
      returned: always
      type: str
      sample: "2026-11-23T11:45:36.690000Z"
    history:
      description: The states that it had, the first one first, each with C(state), C(state_type), C(state_message) and
        C(at).
      returned: with O(history=true)
      type: list
      elements: dict
      sample:
        - state: Scheduled
          state_type: SCHEDULED
          state_message: ""
          at: "2026-11-23T11:45:34.120000Z"
    logs:
      description: Log records, the first one first, each with C(at), C(level) and C(message).
      returned: with O(log_limit)
      type: list
      elements: dict
      sample:
        - at: "2026-11-23T11:45:36.650000Z"
          level: INFO
          message: Hello, Ada!
    artifacts:
      description: Artifacts, each with C(key), C(type), C(description), C(data) and C(created).
      returned: with O(artifacts=true)
      type: list
      elements: dict
      sample: []
flow_run_ids:
  description: The ids of RV(flow_runs), to be handed to the next task.
  returned: on success
  type: list
  elements: str
  sample: [0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d]
total:
  description: How many runs there are on all pages.
  returned: on success
  type: int
  sample: 1
"""

import json
import sys


def main() -> None:
    """Refuse old Pythons in words that can be read, before anything is imported that they cannot."""
    if sys.version_info < (3, 9):  # noqa: UP036  # hosts may have what the collection does not support
        found = ".".join(str(part) for part in sys.version_info[:3])
        message = f"Python {found} is too old: flowops.prefect needs 3.9 or newer. Set ansible_python_interpreter."
        sys.stdout.write(json.dumps({"failed": True, "msg": message}))
        raise SystemExit(1)  # Ansible takes a module that just returns for a broken one

    from ansible_collections.flowops.prefect.plugins.module_utils._startup import starting

    with starting():
        from ansible_collections.flowops.prefect.plugins.module_utils._flow_run_info import inform
        from ansible_collections.flowops.prefect.plugins.module_utils._management import run_module

    run_module("flow_run_info", inform)


if __name__ == "__main__":
    main()
