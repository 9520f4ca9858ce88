#!/usr/bin/python

# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run Prefect flow runs in Docker containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flow_runner_docker
short_description: Run Prefect flow runs in Docker containers
version_added: 0.1.0
author:
  - The flowops.prefect authors (@flowops)
description:
  - Starts the engine of Prefect flow runs in containers of a Docker Engine, once for each run, watches them to their
    end, shows their output in the play, and says how they ended and why.
  - The runs are given by their ids, or created from deployments. How the flow is stored is the deployment's affair.
  - The containers live on the engine, so they outlive the play, the connection and the controller.
extends_documentation_fragment:
  - flowops.prefect.runs
  - flowops.prefect.lifecycle
  - flowops.prefect.storage
  - flowops.prefect.api
  - flowops.prefect.api.engine
  - flowops.prefect.docker
  - flowops.prefect.docker_api
  - flowops.prefect.attributes
  - flowops.prefect.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Says which container would be created from which image, and whether that would be pulled. Secrets are masked. A
        run that would be created from a deployment is not created, so it has the id
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
  - Python 3.9 or newer and the Docker SDK for Python (the package C(docker)) where the module runs.
  - A Docker Engine for Linux containers, 20.10 or newer.
  - A server of Prefect 3 or Prefect 2.20. Orion is refused.
  - An image with the server's generation of Prefect, found by the command C(python) (O(image)).
notes:
  - B(Exactly once.) Who owns an attempt and whether its engine may start is recorded on the Prefect server,
    write-once, and the engine itself has to win that record before the flow begins. Two plays for the same run, a
    killed controller, a repeated task or a second C(docker start) therefore never make the flow run twice. The other
    side adopts or follows the run and reports the same end.
  - B(A play that is killed loses nothing.) The same task finds its runs again by their ids or by O(idempotency_key),
    and waits on. Without either it cannot.
  - B(An exit code says nothing about the flow.) The engine exits with 0 for a failed flow. RV(runs[].state) comes
    from the server, and RV(runs[].diagnosis) explains what went wrong with reason and remedy.
  - B(Containers) are called C(flowops-<flow run id>-<attempt>) and have the labels C(io.prefect.flow-run-id),
    C(io.prefect.flow-run-name), C(io.prefect.version) and some that begin with C(flowops.prefect.). One of that name
    without the right labels is an error and stays untouched. They stay when they are over, unless O(auto_remove) says
    otherwise or the task says O(state=absent).
  - B(The API's address.) With O(api_url) on C(localhost) or C(127.0.0.1) and an engine on the same Linux machine, the
    container shares the host's network. With O(networks) or O(network_mode) it has a network of its own, where the
    address becomes C(host.docker.internal), and the API has to listen on more than the loopback interface. O(env) and
    O(engine_api_url) are never changed.
  - B(Files of the host) are not in the container. The engine gets O(api_ca_path) as C(PREFECT_API_SSL_CERT_FILE), so
    mount the file at the same place with O(volumes), or name one of the image in O(env); a warning says so.
    O(api_client_cert) and O(api_client_key) are for the module alone.
  - B(An image is pulled before its run is claimed.) How far the pull is appears in the play. It goes on in a process of
    its own where the module runs, so a play that is killed does not lose it. A pull that fails leaves the run as it
    was, scheduled. What the engine refuses later, such as a container whose command is missing, is reported to the
    server as a crash.
  - B(Secrets) belong in O(secret_env), O(api_key) or O(api_auth_string), with values from a vault or from the
    environment. They are masked in results, differences, output and messages. They reach the container as environment
    variables, so whoever may use the Docker Engine can read them with C(docker inspect). They are in no label, no name
    and no command.
  - B(On the controller itself) (local connection, the controller's own Python, no C(become), no C(environment), no
    C(async)) the task's worker talks to the engine without a process for the module, which is lighter. The variable
    C(flowops_prefect_direct) set to C(false) has it start one all the same.
  - Durations are seconds, as whole or decimal numbers.
  - No option has a default that Ansible would see, since a default could not be told from a user's value. What applies
    when an option is left out is said in its description.
  - Options are checked on the controller, with pydantic where it is installed, and again on the host. All mistakes are
    reported at once, before anything is launched.
"""

EXAMPLES = r"""
- name: Run a deployment in a container and watch it
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    image: registry.example.com:5000/flows/hello:1.4

- name: Once a day, however often the play is executed, with Prefect's own image and two more packages
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    idempotency_key: "daily-{{ now(utc=true, fmt='%Y-%m-%d') }}"
    flow_run_name: "greeting-for-{name}"
    parameters:
      name: Ada
    env:
      EXTRA_PIP_PACKAGES: pandas s3fs
  register: daily

- name: Say how it ended
  ansible.builtin.debug:
    msg: "{{ daily.run.name }} is {{ daily.run.state }} after {{ daily.run.durations.run }} s, see {{ daily.run.url }}"

- name: Several runs of one deployment, each with parameters and settings of its own
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    deployment: hello/quickstart
    # In AWX, "{{ awx_job_id }}" makes a set of runs for each job.
    idempotency_key: "{{ batch_id }}"
    image: registry.example.com:5000/flows/hello:1.4
    image_pull_policy: IfNotPresent
    registry_username: deploy
    registry_password: "{{ registry_password }}"
    networks:
      - prefect
      - warehouse
    volumes:
      - warehouse-data:/data:ro
    mem_limit: 512m
    runs:
      - parameters:
          name: Ada
      - parameters:
          name: Grace
        mem_limit: 2g
        secret_env:
          GREETING_TOKEN: "{{ greeting_token }}"
  register: batch

- name: The same runs again, by the earlier result (nothing changes, since all are at their end)
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    runs: "{{ batch.runs }}"

- name: Launch again what failed, until there were two attempts
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    flow_run_ids: "{{ batch.flow_run_ids }}"
    image: registry.example.com:5000/flows/hello:1.4
    rerun: 2
  when: batch.failed_runs | length > 0

- name: Start a run on another machine's engine and leave it alone
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    docker_host: "{{ engine }}"    # such as tcp://engine.example.com:2376
    validate_certs: true
    ca_path: "{{ engine_certificates }}/ca.pem"
    client_cert: "{{ engine_certificates }}/cert.pem"
    client_key: "{{ engine_certificates }}/key.pem"
    deployment: hello/quickstart
    security_profile: restricted
    run_timeout: 3600
    wait: false
  register: background

- name: Stop it
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    docker_host: "{{ engine }}"
    validate_certs: true
    ca_path: "{{ engine_certificates }}/ca.pem"
    client_cert: "{{ engine_certificates }}/cert.pem"
    client_key: "{{ engine_certificates }}/key.pem"
    flow_run_id: "{{ background.run.flow_run_id }}"
    state: cancelled
    stop_grace: 10

- name: Remove the containers of earlier runs
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    flow_run_ids: "{{ batch.flow_run_ids }}"
    state: absent

- name: A graphics card, and what has no option of its own
  flowops.prefect.flow_runner_docker:
    api_url: "{{ prefect_api_url }}"
    deployment: train/nightly
    image: registry.example.com:5000/flows/train:2.0
    device_requests:
      - driver: nvidia
        count: 1
        capabilities: [[gpu]]
    container_create_kwargs:
      cpu_shares: 512
      ipc_mode: host
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
        - What the task did. V(launched) it, V(adopted) a live one of this engine, V(followed) one that somebody else
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
          sample: docker
        identifier:
          description: What Prefect records as process id, the engine's address and the container's id.
          returned: always
          type: str
          sample: "http+docker://localhost:4f5e1a9c0d7b"
        name:
          description: Name of the container.
          returned: always
          type: str
          sample: flowops-0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d-1
        host:
          description: Name of the engine's host.
          returned: always
          type: str
          sample: web-1
        node:
          description: Empty for containers.
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
          description: How long the run waited for its image to be pulled. Null where nothing was pulled for it.
          returned: always
          type: float
          sample: 41.532
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
        type: docker
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
  sample: docker/9f1c2f5e-7a0b-4f43-8f65-2f0c4a7d1b11
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
        from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker import (
            docker_infrastructure,
        )
        from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import run_module

    run_module("docker", {"docker": docker_infrastructure})


if __name__ == "__main__":
    main()
