# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the settings of all flow runners together, and how their infrastructures are reached."""

from __future__ import annotations


class ModuleDocFragment:
    """All suboptions of ``runs`` are here: of two fragments that add suboptions the second is lost silently."""

    DOCUMENTATION = r"""
options:
  type: &type
    description:
      - The kind of infrastructure. In an entry of O(runs) it counts for that run.
      - When left out, or V(universal), it is that of the flow runner attached to the flow run, else to its deployment,
        else what its work pool stands for (a pool of type V(process) for V(subprocess), V(docker), V(kubernetes)), and
        O(default_type) where nobody says anything.
      - A run in a work pool of any other type needs it.
    type: str
    choices: [universal, subprocess, docker, kubernetes]
  default_type:
    description:
      - The kind of infrastructure where neither the task nor the server says which. V(subprocess) when left out.
      - The settings of a flow runner of type V(universal) are kept.
    type: str
    choices: [subprocess, docker, kubernetes]
  work_pool:
    description:
      - Makes the task one cycle of an agent for this work pool, in the place of a worker. The runs are those that are
        due in it, as the server hands them out, by priority and within the limits of pool and queues. A paused pool
        hands out none, and nothing is launched before its time.
      - What is under way in the pool and was launched here is watched too, so that cycles may end before their runs do.
        What others have launched is left to them. Several agents and workers may work on one pool.
      - A run that cannot be launched is reported to the server as crashed with the reason, a warning tells of it, and
        the others go on. Where an infrastructure cannot be reached its runs stay scheduled.
      - The host appears as a worker of the pool.
      - Orion has no work pools, give O(work_queues) alone there.
      - There is no output of the runs, and O(wait_timeout) says how long the cycle watches.
      - An agent that is told to end takes up nothing more, brings what it is just launching to its end, and leaves what
        is live to itself. A signal to C(ansible-playbook) tells it, and so does a controller or a connection that is
        gone.
    type: str
  work_queues:
    description:
      - Only these queues of O(work_pool). All of them when left out.
      - On Orion, without O(work_pool), the work queues that the task is an agent for, by their names or ids. They are
        asked in the order of the list, and what they hand out is decided by the server (filter, limit, pause). What is
        said at O(work_pool) holds for them, except that Orion shows no agents.
      - Orion keeps no claim that excludes others. Agents on one host with the same O(state_dir) execute a run once.
        Agents on several hosts, and Orion's own, may now and then execute one twice, so give each host queues of its
        own.
    type: list
    elements: str
  limit:
    description:
      - How many of the agent's runs may be live here at once. What earlier cycles launched here counts, and so do runs
        that wait here for a place (see O(concurrency)), that are paused with their engine alive, or that wait for a
        retry of their own. Runs that others launched do not count.
      - As many as the server hands out when left out.
      - Here is the host with its O(state_dir) for V(subprocess), the Docker Engine for V(docker), and the namespace for
        V(kubernetes). Agents that share one of them share what is live there.
    type: int
  serve:
    description:
      - Whether an agent goes on taking up what becomes due, until O(wait_timeout) is over, or for ever when that is
        left out. Without it the task is one cycle, which ends when the runs that it has taken up do.
      - The server is asked every O(poll_interval) seconds, a quarter less or more by chance.
      - How the runs end does not fail the task. A line in the play tells what becomes of each.
      - A server or a host that does not answer is asked again and again.
    type: bool
  env: &env
    description:
      - Environment variables of the engine, laid over those of work pool, deployment and flow run, name by name. Those
        of an entry in O(runs) take precedence over those of the task.
      - Values must be texts. YAML reads C(0755) as the number 493, C(3.10) as 3.1, and C(NO) as false, before anyone
        can see what was meant. Such values are refused, put them in quotes.
      - V(null) removes a variable, whoever else would set it.
      - Values of variables whose names look secret are masked in everything that is returned. O(secret_env) is the
        better place for them.
      - Names that begin with C(FLOWOPS_) or C(PREFECT__) are reserved.
    type: dict
  secret_env: &secret_env
    description:
      - Environment variables of the engine whose values are secret. They are masked wherever they turn up in what is
        returned or shown, the output of the run included.
      - Otherwise like O(env). The same variable in both is an error.
    type: dict
  python: &python
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:python).
    type: path
  virtualenv: &virtualenv
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:virtualenv).
    type: path
  condaenv: &condaenv
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:condaenv).
    type: str
  working_dir: &working_dir
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:working_dir).
    type: path
  state_dir:
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:state_dir).
    type: path
  output_limit: &output_limit
    description:
      - For V(subprocess), see O(flowops.prefect.flow_runner_subprocess#module:output_limit).
    type: int
  image: &image
    description:
      - For V(docker) and V(kubernetes), see O(flowops.prefect.flow_runner_docker#module:image) and
        O(flowops.prefect.flow_runner_k8s#module:image).
    type: str
  image_pull_policy: &image_pull_policy
    description:
      - For V(docker) and V(kubernetes), see O(flowops.prefect.flow_runner_docker#module:image_pull_policy) and
        O(flowops.prefect.flow_runner_k8s#module:image_pull_policy).
    type: str
    choices: [IfNotPresent, Always, IfPossible, Never, IF_NOT_PRESENT, ALWAYS, NEVER]
  networks: &networks
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:networks).
    type: list
    elements: str
  network_mode: &network_mode
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:network_mode).
    type: str
  labels: &labels
    description:
      - For V(docker) and V(kubernetes), see O(flowops.prefect.flow_runner_docker#module:labels) and
        O(flowops.prefect.flow_runner_k8s#module:labels).
    type: dict
  auto_remove: &auto_remove
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:auto_remove).
    type: bool
  volumes: &volumes
    description:
      - For V(docker) and V(kubernetes), see O(flowops.prefect.flow_runner_docker#module:volumes) and
        O(flowops.prefect.flow_runner_k8s#module:volumes).
      - Texts for V(docker), mappings for V(kubernetes).
    type: list
    elements: raw
  mem_limit: &mem_limit
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:mem_limit).
    type: str
  memswap_limit: &memswap_limit
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:memswap_limit).
    type: str
  shm_size: &shm_size
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:shm_size).
    type: str
  device_requests: &device_requests
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:device_requests).
    type: list
    elements: dict
  privileged: &privileged
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:privileged).
    type: bool
  user: &user
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:user).
    type: str
  security_profile: &security_profile
    description:
      - For V(docker) and V(kubernetes), see O(flowops.prefect.flow_runner_docker#module:security_profile) and
        O(flowops.prefect.flow_runner_k8s#module:security_profile).
    type: str
    choices: [baseline, restricted, none]
  container_create_kwargs: &container_create_kwargs
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:container_create_kwargs).
    type: dict
  pull_timeout:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:pull_timeout).
    type: float
  registry_url:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:registry_url).
    type: str
  registry_username:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:registry_username).
    type: str
  registry_password:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:registry_password).
      - It is masked wherever it turns up.
    type: str
  annotations: &annotations
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:annotations).
    type: dict
  image_pull_secrets: &image_pull_secrets
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:image_pull_secrets).
    type: list
    elements: str
  restart_policy: &restart_policy
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:restart_policy).
    type: str
    choices: [Never, OnFailure]
  may_run_again: &may_run_again
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:may_run_again).
    type: bool
  node_selector: &node_selector
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:node_selector).
    type: dict
  tolerations: &tolerations
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:tolerations).
    type: list
    elements: dict
  service_account_name: &service_account_name
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:service_account_name).
    type: str
  resources: &resources
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:resources).
    type: dict
  volume_mounts: &volume_mounts
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:volume_mounts).
    type: list
    elements: dict
  env_from_secret: &env_from_secret
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:env_from_secret).
    type: list
    elements: str
  api_key_secret: &api_key_secret
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:api_key_secret).
    type: dict
  finished_job_ttl: &finished_job_ttl
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:finished_job_ttl).
    type: int
  backoff_limit: &backoff_limit
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:backoff_limit).
    type: int
  job: &job
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:job).
    type: dict
  pod_overrides: &pod_overrides
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:pod_overrides).
    type: dict
  customizations: &customizations
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:customizations).
    type: list
    elements: dict
  namespace:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:namespace).
    type: str
  runs:
    description:
      - The flow runs that the task is about, each with options of its own, which take precedence over those of the
        task.
      - An entry names a run by C(flow_run_id), or has a new one created from C(deployment), or from the task's
        O(deployment).
      - The entries of RV(runs) in an earlier result are accepted as they are.
      - An empty list is an error, and so is the same run twice.
    type: list
    elements: dict
    suboptions:
      flow_run_id:
        description:
          - The UUID of the flow run.
        type: str
      deployment:
        description:
          - The deployment that the run is created from, as C(flow/name) or by its UUID. The task's O(deployment) when
            left out.
        type: str
      parameters:
        description:
          - Parameters of the run to be created, on top of the task's O(parameters).
        type: dict
      flow_run_name:
        description:
          - Name of the run to be created, in place of the task's O(flow_run_name).
        type: str
      tags:
        description:
          - Tags of the run to be created, in place of the task's O(tags).
        type: list
        elements: str
      idempotency_key:
        description:
          - Makes the creation of the run happen once, in place of the task's O(idempotency_key).
        type: str
      rerun:
        description:
          - Whether the run is launched again when it is at its end, in place of the task's O(rerun).
        type: str
      type: *type
      env: *env
      secret_env: *secret_env
      python: *python
      virtualenv: *virtualenv
      condaenv: *condaenv
      working_dir: *working_dir
      output_limit: *output_limit
      image: *image
      image_pull_policy: *image_pull_policy
      networks: *networks
      network_mode: *network_mode
      labels: *labels
      auto_remove: *auto_remove
      volumes: *volumes
      mem_limit: *mem_limit
      memswap_limit: *memswap_limit
      shm_size: *shm_size
      device_requests: *device_requests
      privileged: *privileged
      user: *user
      security_profile: *security_profile
      container_create_kwargs: *container_create_kwargs
      annotations: *annotations
      image_pull_secrets: *image_pull_secrets
      restart_policy: *restart_policy
      may_run_again: *may_run_again
      node_selector: *node_selector
      tolerations: *tolerations
      service_account_name: *service_account_name
      resources: *resources
      volume_mounts: *volume_mounts
      env_from_secret: *env_from_secret
      api_key_secret: *api_key_secret
      finished_job_ttl: *finished_job_ttl
      backoff_limit: *backoff_limit
      job: *job
      pod_overrides: *pod_overrides
      customizations: *customizations
"""
