# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Job of a Prefect 2.20 server, with its own Prefect in the image: launched once, failed, cancelled."""

from __future__ import annotations

from collections.abc import Iterator

import docker_engine
import docker_image_prefect2
import jobs
import kubernetes_cluster
import pytest
from ansible_play import RunPlaybook
from prefect_server import PREFECT2, PrefectServer
from scenarios import wait_until


@pytest.fixture
def image(cluster_server: PrefectServer) -> str:
    """The test image with Prefect 2.20."""
    try:
        docker_engine.up()
        return kubernetes_cluster.import_image(docker_image_prefect2.ensure())
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture
def prefect2(namespace: jobs.Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[jobs.Namespace]:
    """The namespace of the test, for runs of a server of Prefect 2.20."""
    home = tmp_path_factory.mktemp("prefect2") / "server"
    with PrefectServer(home, listen="0.0.0.0", generation=PREFECT2) as server:
        yield jobs.Namespace(namespace.name, server)


def test_runs_are_executed_once_failed_and_cancelled(
    run_playbook: RunPlaybook, prefect2: jobs.Namespace, image: str
) -> None:
    hello, failing = prefect2.make_run("hello", {"name": "Ada"}), prefect2.make_run("fail", {"message": "on purpose"})
    endless = prefect2.make_run("append_line", {"path": "/tmp/bodies", "sleep": 600})
    both = {"image": image, "flow_run_ids": [hello, failing], "fail_on": []}
    tasks = [
        {**prefect2.task(image=image, flow_run_id=endless, wait=False), "name": "Endless"},
        {**prefect2.task(**both), "name": "Launch"},
        {**prefect2.task(**both), "name": "Repeat"},
    ]
    play = run_playbook(tasks, hosts=jobs.hosts(), timeout=300).check()
    launch, repeat = play.of("Launch").result, play.of("Repeat").result
    assert [(run["phase"], run["action"], run["state_type"]) for run in launch["runs"]] == [
        ("succeeded", "launched", "COMPLETED"),
        ("failed", "launched", "FAILED"),
    ]
    assert launch["runs"][1]["diagnosis"]["category"] == "flow_failed"
    assert (repeat["changed"], {run["action"] for run in repeat["runs"]}) == (False, {"none"})
    identifier = launch["runs"][0]["infrastructure"]["identifier"]
    assert prefect2.rest.flow_run(hello)["infrastructure_pid"] == identifier

    wait_until(lambda: prefect2.rest.state_type(endless) == "RUNNING", "the engine", 180)
    stop = prefect2.task(image=image, flow_run_id=endless, state="cancelled", stop_grace=2)
    cancelled = run_playbook(stop, hosts=jobs.hosts()).check().last["run"]
    assert (cancelled["phase"], cancelled["action"]) == ("cancelled", "cancelled")
    assert prefect2.rest.state_type(endless) == "CANCELLED"
    wait_until(lambda: prefect2.phase(endless) in ("", "Failed", "Succeeded"), "the end of the pod", 60)
