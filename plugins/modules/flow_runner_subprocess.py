#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Prefect flow runs in subprocesses of the managed host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_runner_subprocess
short_description: Run Prefect flow runs in subprocesses
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Starts the engine of Prefect flow runs in processes of the managed host, once for each run, watches them to their
    end, shows their output in the play, and says how they ended and why.
  - The runs are given by their ids, or created from deployments. How the flow is stored is the deployment's affair.
  - Each run has a small supervisor of its own, which outlives the play, the connection and the C(become) shell. The
    host needs neither root nor systemd nor an agent.
extends_documentation_fragment:
  - flowops.prefect.runs
  - flowops.prefect.lifecycle
  - flowops.prefect.api
  - flowops.prefect.api.engine
  - flowops.prefect.subprocess
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Says which command would be started with which environment and where. Secrets are masked. A run that would be
        created from a deployment is not created, so it has the id V(00000000-0000-0000-0000-000000000000).
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
  - Python 3.9 or newer on the managed host, and nothing else.
  - A server of Prefect 3, Prefect 2.20 or Orion 2.0b6.
  - The server's generation of Prefect in the environment that the engine runs in (O(python), O(virtualenv),
    O(condaenv)). Another one is refused before anything is claimed.
  - Linux. On macOS, where this is not tested, only the process group of the engine can be stopped. Windows is refused.
notes:
  - B(Exactly once.) Who owns an attempt and whether its engine may start is recorded on the Prefect server,
    write-once, and the engine itself has to win that record before the flow begins. Two plays for the same run, a
    killed controller or a repeated task therefore never make the flow run twice. The other side adopts or follows the
    run and reports the same end.
  - B(Orion 2.0b6) cannot keep such records. They are kept in the O(state_dir) of the host instead, so a run is executed
    once there, and the result warns of it. Never launch one run from two places. O(rerun) and, for what runs,
    O(state=cancelled) are refused with another way to the same end.
  - B(A play that is killed loses nothing.) The same task finds its runs again by their ids or by O(idempotency_key),
    and waits on. Without either it cannot.
  - B(An exit code says nothing about the flow.) The engine exits with 0 for a failed flow. RV(runs[].state) comes
    from the server, and RV(runs[].diagnosis) explains what went wrong with reason and remedy.
  - B(Nothing is left behind.) What a flow has started and not ended is ended when its engine is gone, with SIGTERM and
    three seconds later SIGKILL. A flow cannot leave a service running.
  - B(AWX.) localhost in an AWX job is a container that ends with the job, and so would the runs. Therefore
    O(wait=false) is refused there. Cancelling a job leaves the runs alone. Execute the task with O(state=cancelled)
    to stop them.
  - B(Secrets) belong in O(secret_env), O(api_key) or O(api_auth_string), with values from a vault or from the
    environment. They are masked in results, differences, output and messages. With C(no_log) nothing is shown live at
    all.
  - Durations are seconds, as whole or decimal numbers.
  - No option has a default that Ansible would see, since a default could not be told from a user's value. What applies
    when an option is left out is said in its description.
  - Options are checked on the controller, with pydantic where it is installed, and again on the host. All mistakes are
    reported at once, before anything is launched.
"""

EXAMPLES = r"""
- name: Run a deployment and watch it
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    virtualenv: "{{ prefect_virtualenv }}"

- name: Once a day, however often the play is executed
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    idempotency_key: "daily-{{ now(utc=true, fmt='%Y-%m-%d') }}"
    flow_run_name: "greeting-for-{name}"
    parameters:
      name: Ada
    virtualenv: "{{ prefect_virtualenv }}"
  register: daily

- name: Say how it ended
  ansible.builtin.debug:
    msg: "{{ daily.run.name }} is {{ daily.run.state }} after {{ daily.run.durations.run }} s, see {{ daily.run.url }}"

- name: Several runs of one deployment, two at a time, each with parameters and environment of its own
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    # In AWX, "{{ awx_job_id }}" makes a set of runs for each job.
    idempotency_key: "{{ batch_id }}"
    concurrency: 2
    virtualenv: "{{ prefect_virtualenv }}"
    env:
      GREETING_STYLE: plain
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
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    runs: "{{ batch.runs }}"
    virtualenv: "{{ prefect_virtualenv }}"

- name: Launch again what failed, until there were two attempts
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    flow_run_ids: "{{ batch.failed_runs }}"
    rerun: 2
    virtualenv: "{{ prefect_virtualenv }}"
  when: batch.failed_runs | length > 0

- name: Start a run and leave it alone
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    virtualenv: "{{ prefect_virtualenv }}"
    run_timeout: 3600
    wait: false
  register: background

- name: Wait for it later, for a minute at most
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    flow_run_id: "{{ background.run.flow_run_id }}"
    virtualenv: "{{ prefect_virtualenv }}"
    wait_timeout: 60
    fail_on: [failed, crashed]

- name: Stop it, with everything that it started
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    flow_run_id: "{{ background.run.flow_run_id }}"
    state: cancelled
    stop_grace: 10

- name: Remove what it left on the host
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    flow_run_id: "{{ background.run.flow_run_id }}"
    state: absent

- name: Mend what crashes have left behind, and remove what is over for a day
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    state: reconciled
    older_than: 86400

- name: One run on each host, with a template of Prefect's own among the parameters
  flowops.prefect.flow_runner_subprocess:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    per_host: true
    parameters:
      name: !unsafe "{{ prefect.variables.greeted }}"
    virtualenv: "{{ prefect_virtualenv }}"
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
        - What the task did. V(launched) it, V(adopted) a live one of this host, V(followed) one that somebody else
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
          description: What Prefect records as the infrastructure's process id, host and pid.
          returned: always
          type: str
          sample: "web-1:28387"
        name:
          description: Name of the attempt on the host.
          returned: always
          type: str
          sample: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
        host:
          description: Name of the host.
          returned: always
          type: str
          sample: web-1
        node:
          description: Empty for subprocesses.
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
          description: Null for subprocesses.
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
  description:
    - How many runs were launched, adopted, followed and removed, and how many are in which phase.
    - With O(state=reconciled), how many attempts stand how.
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
      presence: finished
      name: lively-hornet
      url: http://127.0.0.1:4200/runs/flow-run/0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d
      state: Running
      state_type: RUNNING
      infrastructure:
        type: subprocess
        identifier: "web-1:28387"
        name: 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
        host: web-1
        node: ""
      exit_code: null
      signal: null
      created_at: "2026-11-23T17:28:34Z"
      started_at: "2026-11-23T17:28:34Z"
      finished_at: null
      actions: [reported]
      diagnosis:
        category: supervisor_lost
        reason: nobody saw how the engine ended (supervisor killed)
        remedy: "Find out who killed the supervisor (out of memory? logout?), then run it again (rerun: failed)."
        retryable: true
locus:
  description: The place, as the records of its attempts on the server name it.
  returned: with O(state=reconciled)
  type: str
  sample: process/web-1/1000/5d41402abc4b2a76
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
  sample:
    - deployment: hello/quickstart
      argv:
        - /srv/flows/venv/bin/python
        - /srv/flows/state/lib/2a8b81c358393b95e0e1ebe38aac3df55e97e987d442931e330a54c8b7649e45.py
      environment:
        FLOWOPS_ATTEMPT_TOKEN: "********"
        FLOWOPS_BOOTSTRAP: "********"
        GREETING_TOKEN: "********"
        HOME: /home/flows
        LANG: C.UTF-8
        PATH: /srv/flows/venv/bin:/usr/local/bin:/usr/bin:/bin
        PREFECT_API_URL: http://127.0.0.1:4200/api
        PYTHONUNBUFFERED: "1"
        VIRTUAL_ENV: /srv/flows/venv
      working_directory: /srv/flows/state/runs/00000000-0000-0000-0000-000000000000-1/work
      name: 00000000-0000-0000-0000-000000000000-1
      state_directory: /srv/flows/state
      flow_run_name: (chosen by the server)
      parameters:
        name: Ada
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
        from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import (
            process_infrastructure,
        )
        from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import run_module

    run_module("subprocess", {"subprocess": process_infrastructure})


if __name__ == "__main__":
    main()
