#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at everything that was launched at a place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_runner_info
short_description: Look at everything that was launched at a place
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Finds every attempt at a flow run that the runner modules have launched at a place (the state directory of a user on
    a host, a Docker Engine, a namespace of a Kubernetes cluster), asks the server about their runs, and says how each
    of them stands.
  - Finds, from the server's side, the runs that were launched there and of which nothing is left.
  - O(flowops.prefect.flow_runner_subprocess#module:state=reconciled) of the runner modules mends what can be mended.
extends_documentation_fragment:
  - flowops.prefect.api
  - flowops.prefect.place
  - flowops.prefect.connections
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
options:
  zombie_limit:
    description:
      - How many flow runs that are under way on the server are looked at, the oldest first, to find those that were
        launched here and of which nothing is left here. V(2000) when left out.
      - The records of a run are only read where it may be here by what the server knows of its infrastructure. If there
        are more runs RV(complete) is false and a warning tells so.
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
  - Python 3.9 or newer where the module runs.
  - For O(type=docker) and O(type=kubernetes) what M(flowops.prefect.flow_runner_docker) and
    M(flowops.prefect.flow_runner_k8s) need.
notes:
  - B(The words.) V(live), something of the attempt runs, waits for a place, or is about to start. V(prepared), it was
    made and never started. V(finished), it ran, and its output is left. V(orphaned), it is here, and its flow run was
    deleted on the server. V(zombie), the server waits for its end, nothing of it can run any more, and nobody has said
    so. V(drifted), it is not what its record on the server says, see RV(attempts[].drift). V(foreign), the server does
    not know its run, and it was launched for another O(api_url). V(unknown), it cannot be told.
  - B(A server that does not answer) is an error, and so is a place that cannot be asked. Neither makes orphans or
    zombies.
  - B(A state directory that was deleted) with all that was in it is another place when it is made again. Runs that were
    live in it stay as they are on the server. M(flowops.prefect.flow_run) cancels them.
  - B(Orion 2.0b6) does not know where a run is. Zombies are found there only as long as something of them is left.
"""

EXAMPLES = r"""
- name: See what is there
  flowops.prefect.flow_runner_info:
    api_url: "{{ prefect_api_url }}"
  register: place

- name: Say what needs attention
  ansible.builtin.debug:
    msg: "{{ item.name }} ({{ item.flow_run_id }}) is {{ item.standing }}: {{ item.reason }}"
  loop: "{{ place.attempts | rejectattr('standing', 'in', ['live', 'finished']) }}"
  loop_control:
    label: "{{ item.flow_run_id }}"
"""

RETURN = r"""
msg:
  description: How many attempts there are and how they stand, or what is wrong and what to do about it.
  returned: always
  type: str
  sample: "6 attempts: 1 live, 4 finished, 1 zombie"
category:
  description: What kind of error it was, such as V(bad_settings) or V(api_unreachable).
  returned: when the task itself failed
  type: str
  sample: bad_settings
attempts:
  description: Every attempt that is here, and those that the server believes to be here, by flow run and number.
  returned: on success
  type: list
  elements: dict
  contains:
    flow_run_id:
      description: UUID of the flow run.
      returned: always
      type: str
      sample: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    attempt:
      description: Which launch of the flow run it is, from 1.
      returned: always
      type: int
      sample: 1
    standing:
      description: How it stands, in one of the words V(live), V(prepared), V(finished), V(orphaned), V(zombie),
        V(drifted), V(foreign) and V(unknown). The notes say what they mean.
      returned: always
      type: str
      sample: zombie
    reason:
      description: Why, where the word does not say enough.
      returned: always
      type: str
      sample: its flow run is Running and nothing of it can run any more
    drift:
      description:
        - In what the attempt differs from its record on the server.
        - V(token), the record belongs to another launch, for instance because two places raced for the run. V(locus),
          the record names another place. V(spec_hash), the attempt was made with other settings.
      returned: always
      type: list
      elements: str
      sample: []
    presence:
      description: How much of it is here, in one of the words V(absent), V(prepared), V(queued), V(live), V(stopping),
        V(finished) and V(unknown).
      returned: always
      type: str
      sample: finished
    name:
      description: Name of the flow run. Empty where the server does not know it, like RV(attempts[].url),
        RV(attempts[].state) and RV(attempts[].state_type).
      returned: always
      type: str
      sample: lively-hornet
    url:
      description: Address of the run's page in the UI.
      returned: always
      type: str
      sample: http://127.0.0.1:4200/runs/flow-run/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    state:
      description: Prefect's name of the run's state.
      returned: always
      type: str
      sample: Running
    state_type:
      description: Prefect's type of the run's state.
      returned: always
      type: str
      sample: RUNNING
    infrastructure:
      description: What the engine runs or ran in, with C(type), C(identifier), C(name), C(host) and C(node), as the
        runner modules return it.
      returned: always
      type: dict
      sample:
        type: subprocess
        identifier: "web-1:28387"
        name: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
        host: web-1
        node: ""
    exit_code:
      description: Exit code of the engine. Null while it runs, after a signal, or where nobody knows.
      returned: always
      type: int
      sample: null
    signal:
      description: Number of the signal that ended the engine, or null.
      returned: always
      type: int
      sample: 9
    created_at:
      description: When it was made, ISO 8601 in UTC, or null.
      returned: always
      type: str
      sample: "2026-11-23T11:45:34Z"
    started_at:
      description: When its engine was started, or null.
      returned: always
      type: str
      sample: "2026-11-23T11:45:35Z"
    finished_at:
      description: When it ended, or null.
      returned: always
      type: str
      sample: null
locus:
  description: The place, as the records of its attempts on the server name it.
  returned: on success
  type: str
  sample: process/web-1/1000/5d41402abc4b2a76
summary:
  description: How many attempts stand how.
  returned: on success
  type: dict
  sample:
    live: 1
    prepared: 0
    finished: 4
    orphaned: 0
    zombie: 1
    drifted: 0
    foreign: 0
    unknown: 0
complete:
  description: Whether all flow runs that are under way on the server were looked at. See O(zombie_limit).
  returned: on success
  type: bool
  sample: true
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
        from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner_info import NAME, inform
        from ansible_collections.flowops.prefect.plugins.module_utils._management import run_module

    run_module(NAME, inform)


if __name__ == "__main__":
    main()
