# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of a Prefect 2.20 server, with its own Prefect in the image: launched once, cancelled, failed, chosen."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
import docker_image_prefect2
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from containers import (
    LABELS,
    container_of,
    containers_of,
    counted_runs,
    deploy,
    docker_task,
    hosts,
    is_running,
    make_run,
    volume,
)
from prefect_rest import PrefectRest
from prefect_server import PREFECT2, PrefectServer
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("docker_engine_up")


@pytest.fixture(scope="module")
def image(docker_engine_up: None) -> str:
    """The test image with Prefect 2.20."""
    try:
        return docker_image_prefect2.ensure()
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectRest]:
    """A server of Prefect 2.20 for the tests of this file."""
    with PrefectServer(tmp_path_factory.mktemp("prefect2") / "server", generation=PREFECT2) as server:
        yield PrefectRest(server.api_url)


def test_runs_are_executed_once_repeated_failed_and_removed(
    run_playbook: RunPlaybook, rest: PrefectRest, image: str, tmp_path: Path
) -> None:
    (counted,) = counted_runs(rest, tmp_path, 1)
    failing = make_run(rest, "fail", {"message": "on purpose"})
    ids = [counted.id, failing]
    options: dict[str, Any] = {"image": image, "flow_run_ids": ids, "volumes": volume(tmp_path), "fail_on": []}
    stock = docker_task(rest.api_url, flow_run_id=counted.id, image=None, storage_check="off")
    tasks = [
        {**stock, "name": "Preview", "check_mode": True},
        {**docker_task(rest.api_url, **options), "name": "Launch"},
        {**docker_task(rest.api_url, **options), "name": "Repeat"},
    ]
    play = run_playbook(tasks, hosts=hosts(), timeout=300).check()
    preview, launch, repeat = (play.of(name).result for name in ("Preview", "Launch", "Repeat"))
    version = rest.get("/admin/version")
    assert preview["would_launch"][0]["body"]["Image"] == f"prefecthq/prefect:{version}-python3.11"
    assert [(run["phase"], run["action"], run["state_type"]) for run in launch["runs"]] == [
        ("succeeded", "launched", "COMPLETED"),
        ("failed", "launched", "FAILED"),
    ]
    assert launch["runs"][1]["diagnosis"]["category"] == "flow_failed"
    assert (repeat["changed"], {run["action"] for run in repeat["runs"]}) == (False, {"none"})
    assert counted.executions == 1
    found = container_of(counted.id)
    assert found["Config"]["Labels"]["io.prefect.flow-run-id"] == counted.id
    assert rest.flow_run(counted.id)["infrastructure_pid"].endswith(found["Id"])
    assert {"flowops-1", "flowops-1-gate"} <= set(rest.inputs(counted.id))

    absent = docker_task(rest.api_url, flow_run_ids=ids, state="absent")
    removed = run_playbook(absent, hosts=hosts()).check()
    assert {run["action"] for run in removed.last["runs"]} == {"removed"}
    assert not any(containers_of(run_id) for run_id in ids)


def test_a_run_is_cancelled_and_an_attached_flow_runner_chooses_the_container(
    start_playbook: StartPlaybook, run_playbook: RunPlaybook, rest: PrefectRest, image: str, tmp_path: Path
) -> None:
    """The deployment is in a pool of ours; its flow runner was attached by the module ``deployment``."""
    pool, name = f"pool-{uuid.uuid4().hex[:8]}", f"test-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "bodies"
    made = deploy(rest, "append_line", name=name, parameters={"path": str(file), "sleep": 300})
    runner = {"type": "docker", "image": image, "labels": LABELS, "volumes": volume(tmp_path)}
    attach = {"flow": "append-line", "name": name, "work_pool_name": pool, "flow_runner": runner}
    api: dict[str, Any] = {"api_url": rest.api_url}
    tasks = [
        {"name": "Pool", "flowops.prefect.work_pool": {**api, "name": pool}},
        {"name": "Attach", "flowops.prefect.deployment": {**api, **attach}},
    ]
    run_playbook(tasks).check()
    run_id = rest.create_flow_run(made["id"])["id"]
    task = {"name": "Run", "flowops.prefect.flow_runner": {**api, "flow_run_id": run_id}}
    launch = start_playbook(task, hosts=hosts())
    wait_until(file.exists, "the flow's body", 180)
    stop = docker_task(rest.api_url, flow_run_id=run_id, state="cancelled", stop_grace=2)
    play = run_playbook(stop, hosts=hosts()).check()
    assert (play.last["run"]["phase"], play.last["run"]["action"]) == ("cancelled", "cancelled")
    assert (rest.state_type(run_id), is_running(run_id)) == ("CANCELLED", False)
    watched = launch.wait()
    assert (watched.rc != 0, watched.last["run"]["diagnosis"]["category"]) == (True, "cancelled")
    assert watched.last["run"]["infrastructure"]["type"] == "docker"
    assert file.read_text().count("\n") == 1
