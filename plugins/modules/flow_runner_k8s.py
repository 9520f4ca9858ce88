#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Prefect flow runs as Kubernetes Jobs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_runner_k8s
short_description: Run Prefect flow runs as Kubernetes Jobs
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Starts the engine of Prefect flow runs in Jobs of a Kubernetes cluster, once for each run, watches them to their
    end, shows their output in the play, and says how they ended and why.
  - The runs are given by their ids, or created from deployments. How the flow is stored is the deployment's affair.
  - The Jobs live in the cluster, so they outlive the play, the connection and the controller.
options:
  start_timeout:
    aliases: [pod_watch_timeout_seconds]
  wait_timeout:
    aliases: [job_watch_timeout_seconds]
extends_documentation_fragment:
  - flowops.prefect.runs
  - flowops.prefect.lifecycle
  - flowops.prefect.storage
  - flowops.prefect.api
  - flowops.prefect.api.engine
  - flowops.prefect.kubernetes
  - flowops.prefect.kubernetes_api
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Says which Job would be created. The API server checks it strictly, with everything that decides on a Job in
        that cluster, and keeps nothing. Secrets are masked. A run that would be created from a deployment is not
        created, so it has the id V(00000000-0000-0000-0000-000000000000).
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
  - Python 3.9 or newer and the Kubernetes client for Python (the package C(kubernetes), 24 or newer) where the module
    runs.
  - Kubernetes 1.25 or newer.
  - A server of Prefect 3 or Prefect 2.20. Orion is refused.
  - An image with the server's generation of Prefect, found by the command C(python) (O(image)).
notes:
  - B(Exactly once.) Who owns an attempt and whether its engine may start is recorded on the Prefect server,
    write-once, and the engine itself has to win that record before the flow begins. Two plays for the same run, a
    killed controller, a repeated task or a pod that is created twice therefore never make the flow run twice. The other
    side adopts or follows the run and reports the same end.
  - B(A play that is killed loses nothing.) The same task finds its runs again by their ids or by O(idempotency_key),
    and waits on. Without either it cannot.
  - B(An exit code says nothing about the flow.) The engine exits with 0 for a failed flow. RV(runs[].state) comes
    from the server, and RV(runs[].diagnosis) explains what went wrong with reason and remedy.
  - B(Jobs) are called C(flowops-<flow run id>-<attempt>) and have the labels C(io.prefect.flow-run-id),
    C(io.prefect.flow-run-name) and some that begin with C(flowops.prefect/), and so have their pods. One of that name
    without the right labels is an error and stays untouched. They stay when they are over, unless
    O(finished_job_ttl) says otherwise or the task says O(state=absent). A run that is stopped loses its Job, since
    deleting is how a pod is ended.
  - B(The API's address.) A pod cannot reach an API on C(localhost). O(engine_api_url) says where it is from the inside.
  - B(Rights.) In the namespace the user needs C(get) on C(namespaces), C(get), C(list), C(watch), C(create) and
    C(delete) on C(jobs), C(get), C(list), C(watch) and C(delete) on C(pods), C(get) on C(pods/log), C(create), C(get)
    and C(delete) on C(secrets), and C(list) on C(events) for better explanations. A Role is enough.
  - B(A node that is lost) may still run its engine. Such a run is reported as unknown, with C(lost) in its diagnosis,
    and never launched again by itself.
  - B(Secrets) belong in O(secret_env), O(api_key) or O(api_auth_string), with values from a vault or from the
    environment. They are masked in results, differences, output and messages. They reach the pod by a Secret of the
    Job's name, which the Job owns. Nothing of them is in the Job itself.
  - B(On the controller itself) (local connection, the controller's own Python, no C(become), no C(environment), no
    C(async)) the task's worker talks to the cluster without a process for the module, which is lighter. The variable
    C(flowops_prefect_direct) set to C(false) has it start one all the same.
  - Durations are seconds, as whole or decimal numbers.
  - No option has a default that Ansible would see, since a default could not be told from a user's value. What applies
    when an option is left out is said in its description.
  - Options are checked on the controller, with pydantic where it is installed, and again on the host. All mistakes are
    reported at once, before anything is launched.
"""

EXAMPLES = r"""
- name: Run a deployment as a Job and watch it
  flowops.prefect.flow_runner_k8s:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    namespace: flows
    image: registry.example.com:5000/flows/hello:1.4

- name: Once a day, however often the play is executed
  flowops.prefect.flow_runner_k8s:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    idempotency_key: "daily-{{ now(utc=true, fmt='%Y-%m-%d') }}"
    flow_run_name: "greeting-for-{name}"
    parameters:
      name: Ada
    namespace: flows
    image: registry.example.com:5000/flows/hello:1.4
    finished_job_ttl: 86400
  register: daily

- name: Say how it ended
  ansible.builtin.debug:
    msg: "{{ daily.run.name }} is {{ daily.run.state }} after {{ daily.run.durations.run }} s, see {{ daily.run.url }}"

- name: Several runs of one deployment, each with parameters and settings of its own
  flowops.prefect.flow_runner_k8s:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    # In AWX, "{{ awx_job_id }}" makes a set of runs for each job.
    idempotency_key: "{{ batch_id }}"
    namespace: flows
    image: registry.example.com:5000/flows/hello:1.4
    image_pull_secrets:
      - registry
    security_profile: restricted
    node_selector:
      disktype: ssd
    resources:
      requests:
        cpu: 500m
      limits:
        memory: 512Mi
    runs:
      - parameters:
          name: Ada
      - parameters:
          name: Grace
        resources:
          limits:
            memory: 2Gi
        secret_env:
          GREETING_TOKEN: "{{ greeting_token }}"
  register: batch

- name: A base manifest of one's own, a sidecar, and a last word as a JSON patch
  flowops.prefect.flow_runner_k8s:
    api_url: "{{ prefect_api_url }}"
    flow_run_id: "{{ run_id }}"
    namespace: flows
    job: "{{ lookup('ansible.builtin.file', 'job.yml') | from_yaml }}"
    pod_overrides:
      spec:
        priorityClassName: batch
    customizations:
      - op: add
        path: /metadata/labels/example.com~1team
        value: data

- name: Cancel what is still running
  flowops.prefect.flow_runner_k8s:
    api_url: "{{ prefect_api_url }}"
    namespace: flows
    flow_run_ids: "{{ batch.flow_run_ids }}"
    state: cancelled

- name: Remove what the runs left behind
  flowops.prefect.flow_runner_k8s:
    api_url: "{{ prefect_api_url }}"
    namespace: flows
    flow_run_ids: "{{ batch.flow_run_ids }}"
    state: absent
"""

RETURN = r"""
msg:
  description: In one line what came of the runs. For failures name, reason, remedy and address.
  returned: always
  type: str
  sample: "2 of 50 runs failed: load-a: the engine was killed for memory (Raise mem_limit, now 512m) http://…"
category:
  description: What kind of error kept the task from its work, such as V(bad_settings) or V(api_unreachable).
  returned: when the task itself failed
  type: str
  sample: bad_settings
run:
  description: The same as the entry of RV(runs).
  returned: when the task is about just one run
  type: dict
  sample: {}
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
      sample: Finished in state Completed()
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
        - What the task did. V(launched) it, V(adopted) a live one of this namespace, V(followed) one that somebody else
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
          sample: kubernetes
        identifier:
          description: What Prefect records as process id, the namespace's uid, its name and the Job's name.
          returned: always
          type: str
          sample: "6d0c2a4e-1b7f-4f0a-9c3e-5a8b7c6d5e4f:flows:flowops-0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1"
        name:
          description: Name of the Job.
          returned: always
          type: str
          sample: flowops-0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
        host:
          description: Name of the pod; empty for a Job that was just made, with O(wait=false).
          returned: always
          type: str
          sample: flowops-0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1-x7k2p
        node:
          description: Name of the node, likewise.
          returned: always
          type: str
          sample: worker-3
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
          sample: flow_import_error
        reason:
          description: What happened.
          returned: always
          type: str
          sample: "the flow's code does not import: No module named 'pandas'"
        remedy:
          description: What to do about it.
          returned: always
          type: str
          sample: Install what it imports into the environment of the run, or correct the code.
        retryable:
          description: Whether running it again may help by itself.
          returned: always
          type: bool
          sample: false
    created_at:
      description: When the run was created, ISO 8601 in UTC.
      returned: always
      type: str
      sample: "2026-11-23T10:07:00Z"
    started_at:
      description: When the flow started, or null.
      returned: always
      type: str
      sample: "2026-11-23T10:07:04Z"
    finished_at:
      description: When the flow ended, or null.
      returned: always
      type: str
      sample: "2026-11-23T10:07:05Z"
    durations:
      description: Seconds, null for what did not happen.
      returned: always
      type: dict
      contains:
        pull:
          description: Null, since an image is not one run's alone.
          returned: always
          type: float
        start:
          description: From the start of the engine to the start of the flow.
          returned: always
          type: float
          sample: 3.412
        run:
          description: From the start of the flow to its end.
          returned: always
          type: float
          sample: 0.287
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
          sample: ["10:07:04.913 | INFO    | Flow run 'lively-hornet' - Hello, world!"]
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
          sample: 9f2c1b3a5d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718
        cursor:
          description: Position in the output, for O(log_cursor).
          returned: always
          type: str
          sample: "1:1795428424/12/2026-11-23T10:07:05.120Z"
        token:
          description: Random text that marks what belongs to the attempt.
          returned: always
          type: str
          sample: 5f0c8a52-6b52-4f0e-a5ff-0d8f3e0f2f11
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
  description:
    - How many runs were launched, adopted, followed and removed, and how many are in which phase.
    - With O(state=reconciled), how many attempts stand how.
  returned: when the task got as far as its runs
  type: dict
  sample: {launched: 48, adopted: 2, followed: 0, removed: 0, succeeded: 48, failed: 2}
attempts:
  description:
    - Everything that was launched at the place, as RV(flowops.prefect.flow_runner_info#module:attempts) describes it,
      each attempt as it was found. More keys are C(actions), what was done or, in check mode, would be done, and
      C(diagnosis), what the server was told of a crash.
    - V(reported), the server was told how the run ended. V(recorded), the end of the attempt was noted in its records.
      V(stopped) what ran of it. V(removed) what was left of it.
  returned: with O(state=reconciled)
  type: list
  elements: dict
  sample:
    - flow_run_id: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
      attempt: 1
      standing: zombie
      reason: its flow run is Running and nothing of it can run any more
      drift: []
      presence: absent
      name: lively-hornet
      url: http://127.0.0.1:4200/runs/flow-run/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
      state: Running
      state_type: RUNNING
      infrastructure:
        type: kubernetes
        identifier: ""
        name: ""
        host: ""
        node: ""
      exit_code: null
      signal: null
      created_at: null
      started_at: null
      finished_at: null
      actions: [reported]
      diagnosis:
        category: infrastructure_gone
        reason: what the engine ran in was removed while the run was live
        remedy: "Find out who removed it (an operator, a clean-up job), then run it again (rerun: failed)."
        retryable: true
locus:
  description: The place, as the records of its attempts on the server name it.
  returned: with O(state=reconciled)
  type: str
  sample: kubernetes/3a8f6f0e-2b1d-4c55-9d0e-7f6a5b4c3d2e/flows
complete:
  description: Whether all flow runs that are under way on the server were looked at. See O(zombie_limit).
  returned: with O(state=reconciled)
  type: bool
  sample: true
would_launch:
  description: What would be started for each run, with secrets masked.
  returned: in check mode
  type: list
  elements: dict
  sample: []
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
        from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes import (
            kubernetes_infrastructure,
        )
        from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import run_module

    run_module("kubernetes", {"kubernetes": kubernetes_infrastructure})


if __name__ == "__main__":
    main()
