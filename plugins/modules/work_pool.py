#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, change and delete Prefect work pools with their queues."""

from __future__ import annotations

DOCUMENTATION = r"""
module: work_pool
short_description: Create, change and delete Prefect work pools and queues
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Makes a work pool and the queues in it be as the task says. What the task does not give stays untouched, queues that
    it does not name included.
  - A pool of the type V(ansible) is for runs that this collection launches. Its template describes every flow runner
    with its settings, so that the server itself refuses a deployment or a run whose flow runner is wrong.
extends_documentation_fragment:
  - flowops.prefect.api
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
options:
  name:
    description: Name of the work pool.
    type: str
  state:
    description:
      - V(present) creates the pool or changes what differs. V(absent) deletes it with its queues. Deployments in it
        remain, without a pool.
      - V(present) when left out.
    type: str
    choices: [present, absent]
  type:
    description:
      - Type of the pool, V(ansible) or that of the workers that poll it, such as V(process), V(docker) and
        V(kubernetes). It cannot be changed.
      - V(ansible) when left out for a new pool. When it is given, the pool gets the template of this collection.
    type: str
  base_job_template:
    description:
      - Template and schema of the job variables. A pool of another type without one gets that of its first worker.
    type: dict
  description:
    description: What it is for.
    type: str
  concurrency_limit:
    description: How many runs may be handed out at once. V(-1) removes the limit, V(0) hands out none.
    type: int
  paused:
    description: Whether no runs are handed out.
    type: bool
  filter:
    description:
      - Which flow runs an agent gets from a work queue of Orion, those that fit all that is given. It replaces what
        the queue has. An empty mapping means all runs.
      - Servers of Orion have work queues with filters in the place of pools. O(name), O(state), O(description),
        O(concurrency_limit), O(paused) and O(filter) describe one there, and the other options are refused.
    type: dict
    suboptions:
      deployments:
        description: Runs of these deployments, as C(flow/name) or by UUID. One that does not exist is an error.
        type: list
        elements: str
      tags:
        description: Runs that have all of these tags.
        type: list
        elements: str
      flow_runner_types:
        description: Runs whose flow runner is of one of these types.
        type: list
        elements: str
  queues:
    description: Work queues of the pool.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the queue.
        type: str
      state:
        description: V(absent) deletes the queue. The queue C(default) cannot be deleted. V(present) when left out.
        type: str
        choices: [present, absent]
      description:
        description: What it is for.
        type: str
      concurrency_limit:
        description: How many of its runs may be handed out at once. V(-1) removes the limit.
        type: int
      paused:
        description: Whether no runs are handed out from it.
        type: bool
      priority:
        description: The lower, the more urgent. Each queue of a pool has its own, so the server moves the others.
        type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  async:
    support: full
requirements:
  - Python 3.9 or newer where the module runs, and nothing else.
  - A server of Prefect 3, Prefect 2.20 or Orion 2.0b6. What a server cannot do is refused by its name.
notes:
  - The queue C(ansible) of a pool is where the runner modules keep the runs that they launch. It is paused, and has to
    remain so, since workers must not take them.
"""

EXAMPLES = r"""
- name: A pool for flow runs that this collection launches
  flowops.prefect.work_pool:
    api_url: "{{ prefect_api_url }}"
    name: servers
    type: ansible
    concurrency_limit: 10
    queues:
      - name: urgent
        priority: 1
      - name: nightly
        concurrency_limit: 2

- name: A pool for Prefect's own process workers
  flowops.prefect.work_pool:
    api_url: "{{ prefect_api_url }}"
    name: workers
    type: process

- name: Hand out nothing for now
  flowops.prefect.work_pool:
    api_url: "{{ prefect_api_url }}"
    name: workers
    paused: true

- name: Delete it
  flowops.prefect.work_pool:
    api_url: "{{ prefect_api_url }}"
    name: workers
    state: absent
"""

RETURN = r"""
msg:
  description: In one line what was done, or what is wrong and what to do about it.
  returned: always
  type: str
  sample: "work pool servers: created"
category:
  description: What kind of error it was, such as V(bad_settings) or V(api_unreachable).
  returned: on failure
  type: str
  sample: bad_settings
work_pool:
  description:
    - The pool as it is now, or in check mode as it would be. Beside the keys below it has the options that describe
      it. A C(concurrency_limit) of V(-1) says that there is none.
  returned: on success
  type: dict
  contains:
    name:
      description: Name of the pool.
      returned: always
      type: str
      sample: servers
    action:
      description: What was done, V(created), V(changed), V(removed) or V(none).
      returned: always
      type: str
      sample: created
    queues:
      description: The pool's queues, in check mode those of the task.
      returned: always
      type: list
      elements: dict
      sample:
        - name: default
          description: The work pool's default queue.
          concurrency_limit: -1
          paused: false
          priority: 1
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
        from ansible_collections.flowops.prefect.plugins.module_utils._management import run_module
        from ansible_collections.flowops.prefect.plugins.module_utils._work_pool import manage

    run_module("work_pool", manage)


if __name__ == "__main__":
    main()
