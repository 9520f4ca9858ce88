#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Prefect flow runs on the infrastructure that they ask for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_runner
short_description: Run Prefect flow runs on the infrastructure that they ask for
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Starts the engine of Prefect flow runs in subprocesses, Docker containers or Kubernetes Jobs, as task, flow run,
    deployment or work pool say, watches them to their end, shows their output in the play, and says how they ended and
    why. One task may have runs of all three kinds.
  - It understands flow runners that M(flowops.prefect.deployment) has attached, and Prefect's own work pools of the
    types C(process), C(docker) and C(kubernetes). Their job templates are rendered as Prefect's workers do, so that
    deployments that were made for workers run unchanged.
extends_documentation_fragment:
  - flowops.prefect.runs
  - flowops.prefect.lifecycle
  - flowops.prefect.storage
  - flowops.prefect.api
  - flowops.prefect.api.engine
  - flowops.prefect.flow_runner
  - flowops.prefect.connections
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Says what would be launched with which settings, and where each of them comes from. Secrets are masked. A run
        that would be created from a deployment is not created, so it has the id
        V(00000000-0000-0000-0000-000000000000).
  diff_mode:
    support: full
    details:
      - Shows in check mode what would be launched.
  idempotent:
    support: partial
    details:
      - A task with ids, or with O(deployment) and O(idempotency_key), is idempotent. O(deployment) without a key
        makes a new run at every execution, and O(rerun=always) launches again at every execution.
  async:
    support: full
    details:
      - The one call waits to the end, its output is shown by C(ansible.builtin.async_status). O(wait=false) is mostly
        the better choice, since the runs go on by themselves.
requirements:
  - Python 3.9 or newer where the module runs.
  - What the modules M(flowops.prefect.flow_runner_subprocess), M(flowops.prefect.flow_runner_docker) and
    M(flowops.prefect.flow_runner_k8s) need, as far as there are runs of their kind.
notes:
  - B(Settings), later ones win. The defaults of the collection, the job template of the work pool, the deployment, the
    flow run, the task, the entry in O(runs). In check mode RV(would_launch[].sources) says which one it was.
  - An attached flow runner replaces that of another level as a whole, as all job variables do. A flow runner or a work
    pool of another type than the one that is launched adds only its environment.
  - B(Work pools.) Edited templates, variables of one's own, C(prefect.blocks) and C(prefect.variables) in them are
    rendered. What cannot be is refused by its name before anything is launched, such as a missing block, a variable of
    the worker's own environment, or a command other than Prefect's engine. The names that workers give to their
    infrastructure, C(stream_output) and the workers' watch timeouts are not taken over.
  - What comes from a block of Prefect's is a secret. Environment variables that hold something of a block are treated
    as if they were in O(secret_env).
  - Which Python a subprocess uses is no setting of a C(process) pool, since a worker takes its own. Give O(virtualenv),
    O(python) or O(condaenv) in the task.
  - O(concurrency) counts for each infrastructure by itself.
  - Options of the same name in M(flowops.prefect.flow_runner_docker) that say how the Docker Engine is reached begin
    with C(docker_) here.
  - Everything else, such as what is promised and what happens to secrets, is said in the documentation of the module of
    each kind.
seealso:
  - module: flowops.prefect.flow_runner_subprocess
  - module: flowops.prefect.flow_runner_docker
  - module: flowops.prefect.flow_runner_k8s
  - module: flowops.prefect.deployment
"""

EXAMPLES = r"""
- name: Attach a flow runner to a deployment
  flowops.prefect.deployment:
    api_url: "{{ prefect_api_url }}"
    flow: hello
    name: quickstart
    flow_runner:
      type: subprocess
      virtualenv: "{{ prefect_virtualenv }}"
      env:
        GREETING_STYLE: plain

- name: Run it as it says
  flowops.prefect.flow_runner:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
  register: one

- name: See what would be launched, and who says so
  flowops.prefect.flow_runner:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    env:
      GREETING_STYLE: loud
  check_mode: true
  register: preview

- name: The task has the last word, but for the entries of runs
  flowops.prefect.flow_runner:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    type: subprocess
    virtualenv: "{{ prefect_virtualenv }}"
    idempotency_key: "{{ batch_id }}"
    runs:
      - parameters:
          name: Ada
      - parameters:
          name: Grace
        env:
          GREETING_STYLE: "007"
        secret_env:
          GREETING_TOKEN: "{{ greeting_token }}"
  register: batch

- name: The same runs again, by the earlier result (nothing changes, since all are at their end)
  flowops.prefect.flow_runner:
    api_url: "{{ prefect_api_url }}"
    runs: "{{ batch.runs }}"

- name: A work pool
  flowops.prefect.work_pool:
    api_url: "{{ prefect_api_url }}"
    name: "{{ prefect_pool }}"
    type: ansible

- name: In the place of a worker, launch what is due there and watch it for a minute at most
  flowops.prefect.flow_runner:
    api_url: "{{ prefect_api_url }}"
    work_pool: "{{ prefect_pool }}"
    limit: 10
    wait_timeout: 60
    fail_on: []
"""

RETURN = r"""
msg:
  description: In one line what came of the runs. For failures name, reason, remedy and address.
  returned: always
  type: str
  sample: "lively-hornet: Flow run encountered an exception: RuntimeError: this flow always fails (Look at the run's
    logs; the flow itself has to be mended.) http://127.0.0.1:4200/runs/flow-run/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
category:
  description: What kind of error kept the task from its work, such as V(bad_settings) or V(api_unreachable).
  returned: when the task itself failed
  type: str
  sample: bad_settings
run:
  description: The same as the entry of RV(runs).
  returned: when the task is about just one run
  type: dict
  sample:
    flow_run_id: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    name: lively-hornet
    url: http://127.0.0.1:4200/runs/flow-run/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
    deployment: hello/quickstart
    state: Completed
    state_type: COMPLETED
    state_message: ""
    phase: succeeded
    action: launched
    attempt: 1
    infrastructure:
      type: subprocess
      identifier: "web-1:28387"
      name: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
      host: web-1
      node: ""
    exit_code: 0
    signal: null
    diagnosis: null
    created_at: "2026-11-23T11:45:34Z"
    started_at: "2026-11-23T11:45:36Z"
    finished_at: "2026-11-23T11:45:36Z"
    durations: {pull: null, start: 1.695, run: 0.049}
    log:
      lines:
        - "11:45:36.340 | INFO    | Flow run 'lively-hornet' - Beginning flow run 'lively-hornet' for flow 'hello'"
        - "11:45:36.344 | INFO    | Flow run 'lively-hornet' - Hello, world!"
        - "11:45:37.510 | INFO    | Flow run 'lively-hornet' - Finished in state Completed()"
      truncated: false
    artifacts: {}
    warnings: []
    debug:
      spec_hash: dbcc457ac4c6e723a81bf295791875b56068568e700b9f108f4c9a91d97a1c8a
      cursor: "1:784"
      token: 125a54ac-6023-423a-8bfa-c5f81cbf53c5
      reason: ""
runs:
  description:
    - The runs in the order of the task. The keys are the same for every kind of infrastructure, on success and on
      failure.
  returned: always
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
    deployment:
      description: The deployment that the task created the run from, as C(flow/name). Empty for a run given by its id.
      returned: always
      type: str
      sample: hello/quickstart
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
      sample: "Flow run encountered an exception: RuntimeError: this flow always fails"
    phase:
      description:
        - How the run stands, in one of the words V(absent), V(pending), V(queued), V(running), V(suspended),
          V(succeeded), V(failed), V(cancelled), V(lost) and V(unknown).
        - V(unknown) means that it cannot be told, never that it is dead.
      returned: always
      type: str
      sample: succeeded
    action:
      description:
        - What the task did. V(launched) it, V(adopted) a live one there, V(followed) one that somebody else
          launched, V(cancelled) it, V(removed) what was left of it, or V(none) of these.
      returned: always
      type: str
      sample: launched
    attempt:
      description: How many times this collection has launched the run. Retries by the engine do not count.
      returned: always
      type: int
      sample: 1
    infrastructure:
      description: What the engine runs or ran in.
      returned: always
      type: dict
      contains:
        type:
          description: Type of the flow runner.
          returned: always
          type: str
          sample: subprocess
        identifier:
          description: What Prefect records as the infrastructure's process id.
          returned: always
          type: str
          sample: "web-1:28387"
        name:
          description: Name of the attempt's process, container or Job.
          returned: always
          type: str
          sample: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
        host:
          description: Name of the host, or address of the engine or the cluster.
          returned: always
          type: str
          sample: web-1
        node:
          description: Node of the pod, empty for others.
          returned: always
          type: str
          sample: ""
    exit_code:
      description:
        - Exit code of the engine. It does not say whether the flow succeeded. Null while it runs, or after a signal.
      returned: always
      type: int
      sample: 0
    signal:
      description: Number of the signal that ended the engine, or null.
      returned: always
      type: int
      sample: 9
    diagnosis:
      description: What went wrong, or null when nothing did.
      returned: always
      type: dict
      contains:
        category:
          description: One word for programs.
          returned: always
          type: str
          sample: flow_failed
        reason:
          description: What happened.
          returned: always
          type: str
          sample: "Flow run encountered an exception: RuntimeError: this flow always fails"
        remedy:
          description: What to do about it.
          returned: always
          type: str
          sample: Look at the run's logs; the flow itself has to be mended.
        retryable:
          description: Whether running it again may help by itself.
          returned: always
          type: bool
          sample: false
    created_at:
      description: When the run was created, ISO 8601 in UTC.
      returned: always
      type: str
      sample: "2026-11-23T11:45:34Z"
    started_at:
      description: When the flow started, or null.
      returned: always
      type: str
      sample: "2026-11-23T11:45:36Z"
    finished_at:
      description: When the flow ended, or null.
      returned: always
      type: str
      sample: "2026-11-23T11:45:36Z"
    durations:
      description: Seconds, null for what did not happen.
      returned: always
      type: dict
      contains:
        pull:
          description: For the image, null where there is none.
          returned: always
          type: float
        start:
          description: From the start of the engine to the start of the flow.
          returned: always
          type: float
          sample: 1.695
        run:
          description: From the start of the flow to its end.
          returned: always
          type: float
          sample: 0.049
    log:
      description: Output of the engine. Its last lines (see O(log_lines)), or what came after O(log_cursor).
      returned: always
      type: dict
      contains:
        lines:
          description: The lines, with control characters made harmless and secrets masked.
          returned: always
          type: list
          elements: str
          sample: ["11:45:36.344 | INFO    | Flow run 'lively-hornet' - Hello, world!"]
        truncated:
          description: Whether output is missing before or within these lines.
          returned: always
          type: bool
          sample: false
    artifacts:
      description:
        - The artifacts that O(artifacts) asked for and the run has published, by their keys. The newest where a run
          published several under one key.
        - Each has RV(ignore:type), RV(ignore:description) and RV(ignore:data).
      returned: always
      type: dict
      sample: {}
    warnings:
      description: What does not keep the run from working and should be looked at.
      returned: always
      type: list
      elements: str
      sample: []
    debug:
      description: For reports of errors, and for O(log_cursor). The content may change.
      returned: always
      type: dict
      contains:
        spec_hash:
          description: Digest of what the attempt was launched with, without the values of secrets.
          returned: always
          type: str
          sample: dbcc457ac4c6e723a81bf295791875b56068568e700b9f108f4c9a91d97a1c8a
        cursor:
          description: Position in the output, for O(log_cursor).
          returned: always
          type: str
          sample: "1:784"
        token:
          description: Random text that marks what belongs to the attempt.
          returned: always
          type: str
          sample: 125a54ac-6023-423a-8bfa-c5f81cbf53c5
        reason:
          description: Why the collection did what it did last.
          returned: always
          type: str
          sample: the run is at its end
flow_run_ids:
  description: The ids of RV(runs), to be handed to the next task as they are.
  returned: always
  type: list
  elements: str
  sample: [0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d]
failed_runs:
  description: The ids of the runs that fail the task, by O(fail_on).
  returned: always
  type: list
  elements: str
  sample: []
timed_out:
  description: Whether O(wait_timeout) was over before all runs were at their end.
  returned: always
  type: bool
  sample: false
summary:
  description: How many runs were launched, adopted, followed and removed, and how many are in which phase.
  returned: when the task got as far as its runs
  type: dict
  sample:
    launched: 1
    adopted: 0
    followed: 0
    removed: 0
    absent: 0
    pending: 0
    queued: 0
    running: 0
    suspended: 0
    succeeded: 1
    failed: 0
    cancelled: 0
    lost: 0
    unknown: 0
would_launch:
  description: What would be started for each run, with secrets masked. The rest of the keys depends on the type.
  returned: in check mode
  type: list
  elements: dict
  contains:
    deployment:
      description: The deployment that the run would be created from, as C(flow/name).
      returned: always
      type: str
      sample: hello/quickstart
    type:
      description: The kind of infrastructure.
      returned: always
      type: str
      sample: subprocess
    sources:
      description: Who said so, for the type, each setting and each environment variable.
      returned: always
      type: dict
      sample:
        type: work pool local
        virtualenv: task
        working_dir: deployment hello/quickstart
        env.GREETING_STYLE: work pool local
        env.GREETING_TOKEN: entry of runs
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
        from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._registry import INFRASTRUCTURES
        from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import run_module
        from ansible_collections.flowops.prefect.plugins.module_utils._universal import universal_work

    run_module("universal", INFRASTRUCTURES, universal_work)


if __name__ == "__main__":
    main()
