# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of infrastructure that the quick start can show; each is one row of ``RUNNERS``."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import containers
import docker_engine
import docker_image
import jobs
import kubernetes_cluster
import prefect_server
from prefect_rest import PrefectRest

PULL_PATIENCE = 600.0


@dataclass(frozen=True)
class Runner:
    """One kind.

    :arg environment: the one whose Python executes the module.
    :arg answers: whether it can be shown on this machine as it is.
    :arg remedy: what to do where it cannot.
    :arg stage: makes what the playbook needs, the deployment ``hello/quickstart`` included, yields the playbook's
        variables, and removes what is left at the end. Takes the server and a folder.
    :arg listen: the address where the server has to listen.
    """

    playbook: str
    environment: str
    answers: Callable[[], bool]
    remedy: str
    stage: Callable[[prefect_server.PrefectServer, Path], contextlib.AbstractContextManager[dict[str, Any]]]
    listen: str = "127.0.0.1"


@contextlib.contextmanager
def _processes(server: prefect_server.PrefectServer, home: Path) -> Iterator[dict[str, Any]]:
    PrefectRest(server.api_url).create_deployment("hello", "quickstart")
    virtualenv = prefect_server.engine_python().parent.parent
    yield {"prefect_virtualenv": str(virtualenv), "prefect_state_dir": str(home / "state")}


@contextlib.contextmanager
def _containers(server: prefect_server.PrefectServer, home: Path) -> Iterator[dict[str, Any]]:
    rest = PrefectRest(server.api_url)
    image = _image(rest.get("/admin/version"))
    rest.create_deployment("hello", "quickstart", pull_steps=containers.PULL_STEPS)
    try:
        yield {
            "prefect_image": image,
            # Prefect's own image has no flows, and that of the tests has the same ones.
            "prefect_volumes": [f"{docker_image.FLOWS}:{docker_image.FLOWS_INSIDE}:ro"],
            "prefect_labels": containers.LABELS,
        }
    finally:
        containers.remove_containers()


def _image(version: str) -> str:
    """Prefect's own image where the engine has it or can get it, else that of the tests."""
    stock = f"prefecthq/prefect:{version}-python3.12"
    try:
        if not docker_image.is_there(stock):
            print(f"Pulling {stock} ...", flush=True)
            docker_engine.docker("pull", "--quiet", stock, timeout=PULL_PATIENCE)
    except (docker_engine.NoEngine, subprocess.TimeoutExpired) as error:
        print(f"It cannot be pulled ({error}).\nThe image of the tests takes its place.", flush=True)
        print(docker_image.ensure(), flush=True)
        return docker_image.name()
    print(f"Image: {stock}", flush=True)
    return stock


@contextlib.contextmanager
def _jobs(server: prefect_server.PrefectServer, _home: Path) -> Iterator[dict[str, Any]]:
    """In a namespace of their own; the image is that of the tests, since a cluster may have no registry."""
    print(kubernetes_cluster.up(), flush=True)
    PrefectRest(server.api_url).create_deployment("hello", "quickstart", pull_steps=jobs.PULL_STEPS)
    namespace = jobs.make_namespace(server).name
    try:
        yield {
            "prefect_engine_api_url": jobs.engine_api_url(server),
            "prefect_kubeconfig": str(kubernetes_cluster.kubeconfig()),
            "prefect_namespace": namespace,
            "prefect_image": kubernetes_cluster.image(),
        }
    finally:
        kubernetes_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _a_cluster_answers() -> bool:
    try:
        kubernetes_cluster.status()
    except docker_engine.NoEngine:
        return False
    return True


RUNNERS = {
    "subprocess": Runner(
        playbook="playbooks/quickstart.yml",
        environment="quickstart",
        answers=lambda: True,
        remedy="",
        stage=_processes,
    ),
    "docker": Runner(
        playbook="playbooks/quickstart_docker.yml",
        environment="host-docker",
        answers=docker_engine.answers,
        remedy=(
            f"No Docker Engine answers at {docker_engine.host()}, or the command docker is missing.\n"
            "Install one (https://docs.docker.com/engine/install/), or say in DOCKER_HOST where it is. In a container "
            "or another machine without\nsystemd, 'make engines-up ENGINE=docker' as root installs and starts that of "
            "Debian, and 'make engines-down ENGINE=docker' stops it."
        ),
        stage=_containers,
    ),
    "k8s": Runner(
        playbook="playbooks/quickstart_k8s.yml",
        environment="host-kubernetes",
        answers=_a_cluster_answers,
        remedy=(
            "No Kubernetes cluster for tests answers, and no other one is touched.\n"
            "'make engines-up ENGINE=kubernetes' as root starts one: with kind where that is installed, else one of a "
            "single node, built from\nGo modules (it takes minutes, once); 'make engines-down ENGINE=kubernetes' stops "
            "it. For a cluster of yours that may be used, name its\nkubeconfig in FLOWOPS_TEST_KUBECONFIG, an image "
            "with Prefect and the sample flows in FLOWOPS_TEST_KUBERNETES_IMAGE, and this\nmachine's address as pods "
            "see it in FLOWOPS_TEST_KUBERNETES_API_HOST."
        ),
        stage=_jobs,
        listen="0.0.0.0",
    ),
}
