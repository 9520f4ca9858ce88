# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of what describes a Job: for the task and, with the same words, for entries of ``runs``."""

from __future__ import annotations


class ModuleDocFragment:
    """All suboptions of ``runs`` are here: of two fragments that add suboptions the second is lost silently."""

    DOCUMENTATION = r"""
options:
  env: &env
    description:
      - Environment variables of the engine. They take precedence over everything that the collection sets, and those of
        an entry in O(runs) over those of the task.
      - Otherwise the engine has what its image sets. C(EXTRA_PIP_PACKAGES) works with images that honour it, as
        Prefect's own do.
      - Values must be texts. YAML reads C(0755) as the number 493, C(3.10) as 3.1, and C(NO) as false, before anyone
        can see what was meant. Such values are refused, put them in quotes.
      - Values are taken as they are. Kubernetes' own C($(NAME)) is not expanded in them.
      - V(null) removes a variable, also one that the image sets.
      - A variable whose name looks secret (C(KEY), C(TOKEN), C(SECRET), C(PASSWORD), C(AUTH), C(CREDENTIAL), C(DSN) and
        the like) is treated as if it were in O(secret_env), which is the better place for it.
      - Names that begin with C(FLOWOPS_) or C(PREFECT__) are reserved.
    type: dict
  secret_env: &secret_env
    description:
      - Environment variables of the engine whose values are secret. They are masked wherever they turn up in what is
        returned or shown, the output of the run included, also when they are encoded as base64 or for an address.
      - They reach the pod by a Secret that belongs to the Job and goes with it. The Job itself never holds them.
      - Values shorter than four characters cannot be recognised in output.
      - Otherwise like O(env). The same variable in both is an error.
    type: dict
  image: &image
    description:
      - The image of the container, as C([registry/]name[:tag]) or C(name@sha256:digest). A registry may have a port.
      - It must have Prefect, found by the command C(python). Its entry point is kept.
      - When left out, that of O(job), or else Prefect's own image of the server's version and of the Python that the
        module runs with, such as C(prefecthq/prefect:3.9.1-python3.12).
    type: str
  labels: &labels
    description:
      - Labels of the Job and of its pod. Names that begin with C(flowops.prefect/) are reserved.
      - Kubernetes allows at most 63 letters, digits, C(-), C(_) and C(.) in a value.
    type: dict
  annotations: &annotations
    description:
      - Annotations of the Job and of its pod. Names that begin with C(flowops.prefect/) are reserved.
    type: dict
  image_pull_policy: &image_pull_policy
    description:
      - When the node pulls the image. When left out, the cluster decides, by the image's tag.
    type: str
    choices: [IfNotPresent, Always, Never]
  image_pull_secrets: &image_pull_secrets
    description:
      - Names of Secrets in the namespace with credentials of registries.
    type: list
    elements: str
  restart_policy: &restart_policy
    description:
      - What the node does with a container that failed. V(Never) when left out.
      - V(OnFailure) needs O(may_run_again), and a O(backoff_limit) of 1 or more to be of use.
    type: str
    choices: [Never, OnFailure]
  may_run_again: &may_run_again
    description:
      - Says that the cluster may start the container again (O(restart_policy=OnFailure)). V(false) when left out.
      - That helps where an engine fails before the flow begins, since a flow that has begun is never executed again by
        it. The engine that is started again ends with exit code 86 then. Use O(rerun) to execute a flow again.
    type: bool
  node_selector: &node_selector
    description:
      - Labels that a node must have to run the pod.
    type: dict
  tolerations: &tolerations
    description:
      - Taints of nodes that the pod bears, each as in a pod's manifest.
    type: list
    elements: dict
  service_account_name: &service_account_name
    description:
      - The service account of the pod. When left out, that of O(job) or the namespace's C(default), in which case the
        pod gets no token for the Kubernetes API, unless O(security_profile=none).
    type: str
  resources: &resources
    description:
      - What the container asks for (C(requests)) and may use (C(limits)), as in a pod's manifest, each with amounts
        such as C(500m) for C(cpu) and C(1Gi) for C(memory).
    type: dict
  volumes: &volumes
    description:
      - Volumes of the pod, each as in a pod's manifest.
    type: list
    elements: dict
  volume_mounts: &volume_mounts
    description:
      - Where volumes are mounted in the container, each as in a pod's manifest.
    type: list
    elements: dict
  env_from_secret: &env_from_secret
    description:
      - Names of Secrets in the namespace of which every entry becomes an environment variable. O(env) and O(secret_env)
        take precedence.
    type: list
    elements: str
  api_key_secret: &api_key_secret
    description:
      - A Secret in the namespace that holds the engine's key for the Prefect API, by its C(name) and the C(key) in it.
      - The module itself still uses O(api_key). When left out, the engine gets that.
    type: dict
  finished_job_ttl: &finished_job_ttl
    description:
      - Seconds after its end when the cluster removes the Job with everything that belongs to it. When left out, that
        of O(job), or never. O(state=absent) removes it too.
      - Less than 60 gives a warning, since exit code and output may be gone before they are read.
    type: int
  backoff_limit: &backoff_limit
    description:
      - How many more pods the cluster may create after a failed one. That of O(job) when left out, or V(0).
      - Another pod helps where an engine fails before the flow begins. A flow that has begun is never executed again by
        it. Use O(rerun) to execute a flow again.
    type: int
  security_profile: &security_profile
    description:
      - How far the pod is restricted. What O(job) says of it counts, as long as it is not less strict.
      - V(baseline), which is the effective default, denies new privileges, uses the runtime's default seccomp profile,
        and gives no token for the Kubernetes API to a pod without a service account of its own. Prefect's own image
        works with it.
      - V(restricted) is what the Pod Security level of that name asks for. It also drops all capabilities and runs as
        user 1000 with C(HOME) in C(/tmp).
      - V(none) adds nothing and checks nothing.
      - With the first two, a Job that O(pod_overrides) or O(customizations) make less strict is refused.
    type: str
    choices: [baseline, restricted, none]
  job: &job
    description:
      - The manifest of the Job that everything else is added to. A lookup of C(ansible.builtin.file) with the filter
        C(from_yaml) reads one from a file.
      - It must have C(apiVersion), C(kind), C(metadata.labels), and a first container of the name C(prefect-job) with
        an C(env), which may be an empty list. Everything else is free, further containers and volumes too. A namespace
        in it has to be that of O(namespace).
    type: dict
  pod_overrides: &pod_overrides
    description:
      - Changes to the pod's template (C(metadata) and C(spec)), merged into it as C(kubectl) would (strategic merge).
        Containers, volumes, variables and the like are merged by name, V(null) removes something.
    type: dict
  customizations: &customizations
    description:
      - Changes to the Job as a JSON patch (RFC 6902), applied after everything else.
      - What the launch relies on cannot be changed by it (name, namespace, our labels, the engine's arguments).
    type: list
    elements: dict
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
      env: *env
      secret_env: *secret_env
      image: *image
      labels: *labels
      annotations: *annotations
      image_pull_policy: *image_pull_policy
      image_pull_secrets: *image_pull_secrets
      restart_policy: *restart_policy
      may_run_again: *may_run_again
      node_selector: *node_selector
      tolerations: *tolerations
      service_account_name: *service_account_name
      resources: *resources
      volumes: *volumes
      volume_mounts: *volume_mounts
      env_from_secret: *env_from_secret
      api_key_secret: *api_key_secret
      finished_job_ttl: *finished_job_ttl
      backoff_limit: *backoff_limit
      security_profile: *security_profile
      job: *job
      pod_overrides: *pod_overrides
      customizations: *customizations
"""
