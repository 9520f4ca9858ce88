# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers beside those that Prefect's own worker makes of the same deployments, as the engine describes them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import docker_image
import pytest
from ansible_play import RunPlaybook
from containers import container_of, containers_of, deploy, docker, hosts
from prefect_rest import PrefectRest
from scenarios import wait_until
from stock_comparison import assert_as_documented, differences
from stock_pools import stock_worker

pytestmark = pytest.mark.usefixtures("docker_engine_up")

#: Stands for the host name that the engine gives a container: the beginning of its id.
OWN_NAME = "<its own id>"

#: What the Docker configuration of the user says; the API is reached without.
PROXIES = {"httpProxy": "http://proxy.example.com:3128", "noProxy": "127.0.0.1"}


def deployments(folder: Path, networks: list[str]) -> dict[str, dict[str, Any]]:
    """Job variables: every setting of a docker pool, some with a value that excludes another."""
    image = docker_image.name()
    return {
        "everything": {
            "image": image,
            "name": "somebody",
            "image_pull_policy": "IfNotPresent",
            "networks": networks,
            "volumes": [f"{folder}:/data:ro"],
            "labels": {"team": "data", "example.com/tier": "hot"},
            "env": {"WHO": "deployment", "PREFECT_LOGGING_LEVEL": "DEBUG"},
            "mem_limit": "512m",
            "memswap_limit": "600m",
            "privileged": False,
            "stream_output": False,
            "container_create_kwargs": {
                "cpu_shares": 512,
                "hostname": "flows",
                "shm_size": "128m",
                "extra_hosts": {"warehouse": "192.0.2.7"},
                "cap_add": ["SYS_PTRACE"],
                "working_dir": "/tmp",
            },
        },
        "a network": {"image": image, "network_mode": "bridge"},
        # The engine's own removal is only seen while the container runs; the image of the tests has no "prefect".
        "little": {"image": image, "auto_remove": True, "command": "python -m prefect.engine"},
    }


def described(container: dict[str, Any]) -> dict[str, Any]:
    """What of ``docker inspect`` was asked for: no ids, no files of the engine, nothing about how it goes."""
    config = dict(container["Config"])
    config["Env"] = dict(entry.partition("=")[::2] for entry in config["Env"])
    if config["Hostname"] == container["Id"][:12]:
        config["Hostname"] = OWN_NAME
    return {
        "Name": container["Name"],
        "Image": container["Image"],
        "Config": config,
        "HostConfig": container["HostConfig"],
        "Mounts": sorted(container["Mounts"], key=lambda mount: str(mount["Destination"])),
        "Networks": sorted(container["NetworkSettings"]["Networks"]),
    }


def has_started(run_id: str) -> bool:
    found = containers_of(run_id)
    return bool(found) and found[0]["State"]["Status"] != "created"


def test_they_differ_as_the_documentation_says(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, two_networks: list[str]
) -> None:
    """The worker first: it gives the pool its template."""
    pool = str(rest.create_work_pool(f"docker-{uuid.uuid4().hex[:8]}", "docker")["name"])
    made = {
        name: deploy(rest, "sleeper", work_pool_name=pool, job_variables=variables)["id"]
        for name, variables in deployments(tmp_path, two_networks).items()
    }

    def runs() -> dict[str, str]:
        return {name: rest.create_flow_run(made[name], {"seconds": 300})["id"] for name in made}

    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": PROXIES}}))
    theirs = runs()
    ours: dict[str, str] = {}
    try:
        with stock_worker(api_url, pool, tmp_path / "worker", len(made), "stock-workers", DOCKER_CONFIG=str(tmp_path)):
            wait_until(lambda: all(map(has_started, theirs.values())), "the containers of Prefect's worker", 120)
        ours = runs()
        options = {"api_url": api_url, "flow_run_ids": [*ours.values()], "wait": False}
        task = {"name": "Run", "flowops.prefect.flow_runner": options}
        run_playbook(task, hosts=hosts(), env={"DOCKER_CONFIG": str(tmp_path)}).check()
        found = [
            differences(described(container_of(ours[name])), described(container_of(theirs[name]))) for name in made
        ]
    finally:
        for run_id in (*ours.values(), *theirs.values()):
            for container in containers_of(run_id):
                docker("rm", "--force", container["Id"])
    assert_as_documented(found, "Containers")
