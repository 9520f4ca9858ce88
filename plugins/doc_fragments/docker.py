# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of what describes a container: for the task and, with the same words, for entries of ``runs``."""

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
      - V(null) removes a variable, also one that the image sets.
      - Values of variables whose names look secret (C(KEY), C(TOKEN), C(SECRET), C(PASSWORD), C(AUTH), C(CREDENTIAL),
        C(DSN) and the like) are masked in everything that is returned. O(secret_env) is the better place for them.
      - Names that begin with C(FLOWOPS_) or C(PREFECT__) are reserved.
    type: dict
  secret_env: &secret_env
    description:
      - Environment variables of the engine whose values are secret. They are masked wherever they turn up in what is
        returned or shown, the output of the run included, also when they are encoded as base64 or for an address.
      - They are in no label, no name and no command of the container. Whoever may use the Docker Engine can read them
        with C(docker inspect), as all variables of containers.
      - Values shorter than four characters cannot be recognised in output.
      - Otherwise like O(env). The same variable in both is an error.
    type: dict
  image: &image
    description:
      - The image of the container, as C([registry/]name[:tag]) or C(name@sha256:digest). A registry may have a port.
      - It must have Prefect, found by the command C(python). Its entry point is kept.
      - When left out, Prefect's own image of the server's version and of the Python that the module runs with, such as
        C(prefecthq/prefect:3.9.1-python3.12).
    type: str
  image_pull_policy: &image_pull_policy
    description:
      - When the image is pulled. Each value has two spellings, of which the one in capitals is that of older Prefect
        versions.
      - V(Always) pulls, V(Never) does not, V(IfNotPresent) pulls what the engine does not have, V(IfPossible) pulls and
        is content with what the engine has when that fails.
      - When left out, an image without a tag or with the tag C(latest) is pulled always, any other when it is not
        there.
      - An image is pulled once in a task, however many runs need it, and before a run is claimed.
    type: str
    choices: [IfNotPresent, Always, IfPossible, Never, IF_NOT_PRESENT, ALWAYS, NEVER]
  networks: &networks
    description:
      - Names of networks that the container joins, the first when it is created, the others before it starts. They must
        exist.
      - They exclude O(network_mode).
    type: list
    elements: str
  network_mode: &network_mode
    description:
      - The network of the container, as V(bridge), V(host), V(none), C(container:name) or the name of a network.
      - When this and O(networks) are left out, the container shares the network of the engine's host if O(api_url) is
        on C(localhost), C(127.0.0.1) or C([::1]) and the engine is on the same Linux machine. Otherwise the engine
        decides.
    type: str
  labels: &labels
    description:
      - Labels of the container. C(io.prefect.flow-run-id) is always the run's, and names that begin with
        C(flowops.prefect.) are reserved.
    type: dict
  auto_remove: &auto_remove
    description:
      - Whether a container is removed when it is over. V(false) when left out.
      - It is done by the task, after the run's end has been recorded and its output has been read, so nothing is lost.
        With O(wait=false) that is a later execution of the task.
    type: bool
  volumes: &volumes
    description:
      - What of the engine's host is mounted into the container, as C(source:target) or C(source:target:mode), such as
        C(/srv/data:/data:ro).
      - The source is a full path on the engine's host or the name of a volume. C(~) and environment variables of the
        host where the module runs are expanded. A relative path is refused.
    type: list
    elements: str
  mem_limit: &mem_limit
    description:
      - How much memory the container may use, in bytes or with a unit, such as V(512m) or V(2g). No limit when left
        out.
    type: str
  memswap_limit: &memswap_limit
    description:
      - How much memory and swap the container may use together, written like O(mem_limit), or V(-1) for any amount of
        swap.
    type: str
  shm_size: &shm_size
    description:
      - Size of C(/dev/shm), written like O(mem_limit). The engine's default (mostly 64 MiB) when left out.
    type: str
  device_requests: &device_requests
    description:
      - Devices such as graphics cards, as community.docker and Docker's API have them, each a mapping of C(driver),
        C(count), C(device_ids), C(capabilities) (a list of lists) and C(options).
    type: list
    elements: dict
  privileged: &privileged
    description:
      - Whether the container has all rights on the engine's host. V(false) when left out.
    type: bool
  user: &user
    description:
      - The user in the container, as C(name), C(name:group) or numbers. The image's own when left out.
    type: str
  security_profile: &security_profile
    description:
      - How far the container is restricted beyond what the engine does.
      - V(baseline), which is the effective default, denies it new privileges. What works in a container works with it,
        except for C(sudo) and the like.
      - V(restricted) also drops all capabilities, and where the image would run as root and O(user) is left out, it
        runs as user and group 1000 with C(HOME) in C(/tmp).
      - V(none) adds nothing.
    type: str
    choices: [baseline, restricted, none]
  container_create_kwargs: &container_create_kwargs
    description:
      - More arguments for C(containers.create) of the Docker SDK for Python, by its names. Lists are added to what the
        options above make.
      - What has an option of its own is refused here, and so are terminals and restart policies. An engine that is
        started again could run its flow twice. What takes back O(security_profile) is refused too.
    type: dict
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
"""
