#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, wait for, cancel, retry and delete Prefect flow runs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_run
short_description: Create, wait for, cancel, retry and delete Prefect flow runs
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - For flow runs that Prefect's own workers launch. This module never launches anything, and it waits for runs whoever
    launches them.
  - To launch runs from a play, use a runner module such as M(flowops.prefect.flow_runner_subprocess).
extends_documentation_fragment:
  - flowops.prefect.api
  - flowops.prefect.run_filter
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
options:
  state:
    description:
      - V(created) creates a run of O(deployment) for the workers of its pool. With O(idempotency_key) it does so once.
      - V(finished) waits until the runs are at their end, and changes nothing.
      - V(cancelled) asks the server to cancel the runs, which their launcher does. What is only scheduled is cancelled
        at once.
      - V(retried) schedules runs that failed or crashed once more. Other runs stay as they are.
      - V(absent) deletes runs from the server. One that may be running is refused.
      - V(created) when left out.
    type: str
    choices: [created, finished, cancelled, retried, absent]
  limit:
    description:
      - How many runs O(filter) may find. When there are more, the task is refused and nothing is done.
      - V(20) when left out.
    type: int
  deployment:
    description: The deployment that a run is created from, as C(flow/name) or by its UUID.
    type: str
  parameters:
    description: Parameters of the new run, over the deployment's defaults.
    type: dict
  flow_run_name:
    description: Name of the new run. C({name}) is replaced by the parameter of that name. The server chooses one when
      this is left out.
    type: str
  tags:
    description: Tags of the new run, beside those of the deployment.
    type: list
    elements: str
  idempotency_key:
    description:
      - The same key with the same deployment is the same run, as for the runner modules, which find it too. With other
        parameters it is an error.
      - Without a key each execution makes a run.
    type: str
  scheduled_time:
    description: When the new run is to start, such as V(2026-11-23T05:00:00Z). At once when left out.
    type: str
  work_queue_name:
    description: Queue of the new run in the deployment's pool. The deployment's own when left out.
    type: str
  job_variables:
    description:
      - Job variables of the new run, over the deployment's. The server checks them with the pool's template.
      - The deployment's flow runner is copied to the run, so that later changes do not reach it.
    type: dict
  wait:
    description: Whether to wait for the end of the runs. V(true) when left out.
    type: bool
  wait_timeout:
    description: Seconds to wait at most. The runs go on. No limit when left out.
    type: float
  fail_on:
    description:
      - Ends of a run that fail the task. All of them when left out. A run that was to be cancelled is no failure.
    type: list
    elements: str
    choices: [failed, crashed, cancelled, wait_timeout]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - V(state=created) without a key makes a run each time. V(state=retried) retries again what has failed again.
  async:
    support: full
requirements:
  - Python 3.9 or newer where the module runs, and nothing else.
  - A server of Prefect 3, Prefect 2.20 or Orion 2.0b6. What a server cannot do is refused by its name.
notes:
  - To wait with V(state=created) for a run in a paused pool, or without a pool, is refused unless there is a
    O(wait_timeout), since nobody would launch it. So is waiting with V(state=retried) for one without a pool. Orion has
    no pools, so there a task waits for whichever agent.
  - Runs that the runner modules of this collection launched are better cancelled by these, which see to it that their
    processes are gone.
"""

EXAMPLES = r"""
- name: Create a run for the workers of its pool, once, and leave it alone
  flowops.prefect.flow_run:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    parameters:
      name: Ada
    flow_run_name: "greeting-{name}"
    idempotency_key: "{{ batch_id }}"
    scheduled_time: "2026-12-24T18:00:00Z"
    wait: false
  register: later

- name: Cancel it again
  flowops.prefect.flow_run:
    api_url: "{{ prefect_api_url }}"
    flow_run_id: "{{ later.flow_run.flow_run_id }}"
    state: cancelled

- name: Wait for it, whoever launches it, for an hour at most
  flowops.prefect.flow_run:
    api_url: "{{ prefect_api_url }}"
    flow_run_id: "{{ later.flow_run.flow_run_id }}"
    state: finished
    wait_timeout: 3600
    fail_on: [failed, crashed, wait_timeout]

- name: Retry what failed today, if that is not more than ten
  flowops.prefect.flow_run:
    api_url: "{{ prefect_api_url }}"
    state: retried
    filter:
      deployments: [hello/quickstart]
      states: [FAILED, CRASHED]
      after: "{{ now(utc=true, fmt='%Y-%m-%d') }}"
    limit: 10
    wait: false

- name: Delete it
  flowops.prefect.flow_run:
    api_url: "{{ prefect_api_url }}"
    flow_run_ids: "{{ later.flow_run_ids }}"
    state: absent
"""

RETURN = r"""
msg:
  description: In one line what came of the runs, or what is wrong and what to do about it.
  returned: always
  type: str
  sample: "1 flow runs: Completed"
category:
  description: What kind of error it was, such as V(bad_settings) or V(api_unreachable).
  returned: when the task itself failed
  type: str
  sample: bad_settings
flow_run:
  description: The same as the entry of RV(flow_runs).
  returned: when the task is about just one run
  type: dict
  sample:
    flow_run_id: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    name: lively-hornet
    state: Completed
    state_type: COMPLETED
flow_runs:
  description: The runs, those given by ids in the order of the task.
  returned: when the task got as far as its runs
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
    action:
      description: What the task did, V(created), V(cancelled), V(retried), V(removed) or V(none) of these.
      returned: always
      type: str
      sample: created
flow_run_ids:
  description: The ids of RV(flow_runs), to be handed to the next task.
  returned: when the task got as far as its runs
  type: list
  elements: str
  sample: [0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d]
failed_runs:
  description: The ids of the runs that fail the task, by O(fail_on).
  returned: when the task got as far as its runs
  type: list
  elements: str
  sample: []
timed_out:
  description: Whether O(wait_timeout) was over before all runs were at their end.
  returned: when the task got as far as its runs
  type: bool
  sample: false
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
        from ansible_collections.flowops.prefect.plugins.module_utils._flow_run import manage
        from ansible_collections.flowops.prefect.plugins.module_utils._management import run_module

    run_module("flow_run", manage)


if __name__ == "__main__":
    main()
