#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at Prefect deployments."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Look at Prefect deployments
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Finds deployments and returns what the server knows about them, in the words of M(flowops.prefect.deployment), with
    their flow runners. Without any filter these are all deployments.
extends_documentation_fragment:
  - flowops.prefect.api
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
options:
  deployments:
    description: Deployments, as C(flow/name) or by UUID. One that does not exist is an error.
    type: list
    elements: str
  flows:
    description: Deployments of flows with these names.
    type: list
    elements: str
  tags:
    description: Deployments that have all of these tags.
    type: list
    elements: str
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
notes:
  - Values under names that look secret are masked.
"""

EXAMPLES = r"""
- name: Look at one deployment
  flowops.prefect.deployment_info:
    api_url: "{{ prefect_api_url }}"
    deployments: [hello/quickstart]
  register: found

- name: Say what it runs on
  ansible.builtin.debug:
    msg: "{{ found.deployment.deployment }}: {{ found.deployment.flow_runner }}"

- name: Look at all deployments of a flow
  flowops.prefect.deployment_info:
    api_url: "{{ prefect_api_url }}"
    flows: [hello]
"""

RETURN = r"""
msg:
  description: How many deployments were found, or what is wrong and what to do about it.
  returned: always
  type: str
  sample: 1 deployments
category:
  description: What kind of error it was, such as V(bad_settings) or V(api_unreachable).
  returned: on failure
  type: str
  sample: bad_settings
deployment:
  description: The same as the entry of RV(deployments).
  returned: on success, when just one deployment was found
  type: dict
  sample:
    deployment: hello/nightly
    deployment_id: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
deployments:
  description:
    - The deployments, ordered by name. Beside the keys below each has the options of M(flowops.prefect.deployment) that
      describe it. Empty text and V(0) say that there is none.
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
      description: UUID.
      returned: always
      type: str
      sample: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    url:
      description: Address of its page in the UI.
      returned: always
      type: str
      sample: http://127.0.0.1:4200/deployments/deployment/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    status:
      description: Whether a worker polls its queue, as the server sees it.
      returned: always
      type: str
      sample: NOT_READY
    created_at:
      description: When it was created, ISO 8601 in UTC.
      returned: always
      type: str
      sample: "2026-11-23T11:45:34.120000Z"
    updated_at:
      description: When it was changed last.
      returned: always
      type: str
      sample: "2026-11-23T11:45:34.120000Z"
    flow_runner:
      description: The flow runner that is attached to it, its type and its settings, or null.
      returned: always
      type: dict
      sample: {type: subprocess, virtualenv: /srv/flows/venv}
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
        from ansible_collections.flowops.prefect.plugins.module_utils._deployment_info import inform
        from ansible_collections.flowops.prefect.plugins.module_utils._management import run_module

    run_module("deployment_info", inform)


if __name__ == "__main__":
    main()
