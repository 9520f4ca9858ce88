#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, change and delete deployments of Prefect flows."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Create, change and delete Prefect deployments
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Makes deployments be as the task says, one or many in a task, with their flow runner attached.
  - What the task does not give stays untouched. An empty text, list or mapping removes what was there.
extends_documentation_fragment:
  - flowops.prefect.api
  - flowops.prefect.deployment
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
options:
  state:
    description:
      - V(present) creates a deployment or changes what differs. V(absent) deletes it, its runs stay.
      - V(present) when left out.
    type: str
    choices: [present, absent]
  from_file:
    description:
      - Path of a C(prefect.yaml) on the host where the module runs. All deployments in it are imported, and options of
        the task stand in for what they leave out. It is read by the interpreter of O(virtualenv), O(python) or
        O(condaenv), and so are the flows.
      - The actions C(build) and C(push), triggers, SLAs and what happens above a concurrency limit are left out with a
        warning. A deployment without pull steps gets one that sets the working directory to the file's folder, as by
        Prefect's own command.
      - Placeholders that are filled in when a run starts stay, C(prefect.blocks) and C(prefect.variables) in job
        variables, and in pull steps also what comes from the environment and from other pull steps. Others, such as
        C({{ build-image.tag }}), are refused, since only Prefect's own command fills them in.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of a deployment that changes only the options that change. Values under names that look secret are masked.
  idempotent:
    support: full
  async:
    support: full
requirements:
  - Python 3.9 or newer where the module runs, and nothing else.
  - Prefect 3 or Prefect 2.20, as the server, in the environment of O(virtualenv), O(python) or O(condaenv), where one
    is given.
  - A server of Prefect 3 or Prefect 2.20, which lacks O(concurrency_limit). A server of Orion 2.0b6 keeps O(flow_data),
    O(parameters), O(tags), one of O(schedules), O(paused) and O(flow_runner). What a server cannot keep is refused.
notes:
  - B(Runs that exist keep their flow runner.) When O(flow_runner) of a deployment changes, its open runs first get the
    old one for themselves. Prefect's server would hand them the new one.
  - B(Nothing is imported on the controller.) A flow is read by Prefect's own functions in a process of the host's
    interpreter. That executes the flow's file, as the user of the task.
  - B(Secrets) do not belong in O(parameters), O(job_variables) and O(flow_runner). Everybody can read them who can read
    the deployment. Refer to blocks of Prefect's, or give C(secret_env) where the run is launched.
  - Options are checked on the controller and again on the host. All mistakes are reported at once.
seealso:
  - module: flowops.prefect.flow_runner_subprocess
"""

EXAMPLES = r"""
- name: Deploy a flow, with its name and the schema of its parameters read from its code
  flowops.prefect.deployment:
    api_url: "{{ prefect_api_url }}"
    name: nightly
    entrypoint: hello.py:hello
    virtualenv: "{{ prefect_virtualenv }}"
    pull_steps:
      - prefect.deployments.steps.set_working_directory:
          directory: "{{ flows_dir }}"
    parameters:
      name: Ada
    tags: [examples]
    schedules:
      - cron: "0 5 * * *"
        timezone: Europe/Berlin
    flow_runner:
      type: subprocess
      virtualenv: "{{ prefect_virtualenv }}"
      env:
        GREETING_STYLE: plain

- name: Change one thing, and nothing else
  flowops.prefect.deployment:
    api_url: "{{ prefect_api_url }}"
    flow: hello
    name: nightly
    paused: true

- name: Many at once, without looking at their code
  flowops.prefect.deployment:
    api_url: "{{ prefect_api_url }}"
    flow: hello
    entrypoint: hello.py:hello
    parameter_openapi_schema: {}
    path: "{{ flows_dir }}"
    deployments:
      - name: for-ada
        parameters: {name: Ada}
      - name: for-grace
        parameters: {name: Grace}
        concurrency_limit: 1

- name: Everything in a project's prefect.yaml
  flowops.prefect.deployment:
    api_url: "{{ prefect_api_url }}"
    from_file: "{{ project_dir }}/prefect.yaml"
    virtualenv: "{{ prefect_virtualenv }}"
  register: imported

- name: Say what came of it
  ansible.builtin.debug:
    msg: "{{ imported.deployments | map(attribute='deployment') | list }}: {{ imported.msg }}"

- name: Delete deployments
  flowops.prefect.deployment:
    api_url: "{{ prefect_api_url }}"
    flow: hello
    state: absent
    deployments:
      - name: for-ada
      - name: for-grace
"""

RETURN = r"""
msg:
  description: In one line what was done, or what is wrong and what to do about it.
  returned: always
  type: str
  sample: 1 created of 1 deployments
category:
  description: What kind of error it was, such as V(bad_settings) or V(api_unreachable).
  returned: on failure
  type: str
  sample: bad_settings
deployment:
  description: The same as the entry of RV(deployments).
  returned: on success, when the task is about just one deployment
  type: dict
  sample:
    deployment: hello/nightly
    deployment_id: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    url: http://127.0.0.1:4200/deployments/deployment/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    action: created
    changed_options: []
    entrypoint: hello.py:hello
    paused: false
    flow_runner: {type: subprocess, virtualenv: /srv/flows/venv}
deployments:
  description:
    - The deployments in the order of the task, as they are now, or in check mode as they would be.
    - Beside the keys below each has the options that describe it, such as C(entrypoint) and C(flow_runner). Empty text
      and V(0) say that there is none.
  returned: on success
  type: list
  elements: dict
  contains:
    deployment:
      description: Its name as the runner modules take it, C(flow/name).
      returned: always
      type: str
      sample: hello/nightly
    deployment_id:
      description: UUID, or null where there is none yet.
      returned: always
      type: str
      sample: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    url:
      description: Address of its page in the UI.
      returned: always
      type: str
      sample: http://127.0.0.1:4200/deployments/deployment/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    action:
      description: What was done with it, V(created), V(changed), V(removed) or V(none).
      returned: always
      type: str
      sample: created
    changed_options:
      description: The options that a change is about.
      returned: always
      type: list
      elements: str
      sample: [paused]
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
        from ansible_collections.flowops.prefect.plugins.module_utils._deployment import manage
        from ansible_collections.flowops.prefect.plugins.module_utils._management import run_module

    run_module("deployment", manage)


if __name__ == "__main__":
    main()
