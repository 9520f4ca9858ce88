# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow_runner`` with containers: stock docker pools, and subprocesses and containers in one task."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import docker_image
import pytest
from ansible_play import RunPlaybook
from containers import LABELS, container_of, containers_of, deploy, hosts, is_running
from prefect_rest import PrefectRest
from prefect_server import engine_python
from stock_pools import stock_template

pytestmark = pytest.mark.usefixtures("docker_engine_up")

MODULE = "flowops.prefect.flow_runner"


@pytest.fixture
def docker_pool(rest: PrefectRest) -> str:
    """A pool as Prefect itself makes them, with one more variable in its template."""
    template = stock_template(rest, "docker")
    template["variables"]["properties"]["flavor"] = {"type": "string", "default": "plain"}
    template["job_configuration"]["labels"] = {**LABELS, "flavor": "{{ flavor }}"}
    return str(rest.create_work_pool(f"docker-{uuid.uuid4().hex[:8]}", "docker", base_job_template=template)["name"])


@pytest.fixture
def task(api_url: str, tmp_path: Path) -> Any:
    """Makes a task."""

    def make(name: str, **options: Any) -> dict[str, Any]:
        arguments = {"api_url": api_url, "state_dir": str(tmp_path / "state"), "python": str(engine_python())}
        return {"name": name, MODULE: {**arguments, **options}}

    return make


def test_processes_and_containers_in_one_task(
    run_playbook: RunPlaybook, rest: PrefectRest, docker_pool: str, task: Any
) -> None:
    """Each from its own deployment; the result has them in the order asked."""
    variables = {"image": docker_image.name(), "mem_limit": "512m", "flavor": "hot", "env": {"WHO": "deployment"}}
    in_container = deploy(rest, "hello", work_pool_name=docker_pool, job_variables=variables)
    on_host = rest.create_deployment("hello")
    first, last = (rest.create_flow_run(on_host["id"], {"name": name})["id"] for name in ("Ada", "Donald"))
    middle = rest.create_flow_run(in_container["id"], {"name": "Grace"}, job_variables={"env": {"RUN": "run"}})["id"]
    entries = [{"flow_run_id": first}, {"flow_run_id": middle, "mem_limit": "600m"}, {"flow_run_id": last}]
    play = run_playbook(
        [{**task("Preview", runs=entries), "check_mode": True}, task("Run", runs=entries)], hosts=hosts(), timeout=300
    ).check()
    previews = play.of("Preview").result["would_launch"]
    assert [preview["type"] for preview in previews] == ["subprocess", "docker", "subprocess"]
    who = f"deployment {in_container['full_name']}"
    assert (
        previews[1]["sources"].items()
        >= {
            "type": f"work pool {docker_pool}",
            "image": who,
            "labels": who,
            "mem_limit": "entry of runs",
            "env.RUN": "flow run",
            "env.WHO": who,
        }.items()
    )

    runs = play.of("Run").result["runs"]
    assert [(run["flow_run_id"], run["phase"], run["action"]) for run in runs] == [
        (run_id, "succeeded", "launched") for run_id in (first, middle, last)
    ]
    assert [run["infrastructure"]["type"] for run in runs] == ["subprocess", "docker", "subprocess"]
    assert all(f"[{run['name']}] " in play.stdout for run in runs)
    found = container_of(middle)
    assert found["HostConfig"]["Memory"] == 600 * 1024 * 1024
    assert found["Config"]["Labels"]["flavor"] == "hot"
    assert {"WHO=deployment", "RUN=run"} <= set(found["Config"]["Env"])


def test_both_kinds_are_cancelled_and_cleared_away_together(
    run_playbook: RunPlaybook, rest: PrefectRest, docker_pool: str, task: Any
) -> None:
    in_container = deploy(rest, "sleeper", work_pool_name=docker_pool, job_variables={"image": docker_image.name()})
    on_host = rest.create_deployment("sleeper")
    ids = [rest.create_flow_run(one["id"], {"seconds": 300})["id"] for one in (in_container, on_host)]
    run_playbook(task("Run", flow_run_ids=ids, wait=False), hosts=hosts()).check()
    for run_id in ids:
        rest.wait_for_state(run_id, "RUNNING")
    assert is_running(ids[0])
    play = run_playbook(
        [
            task("Cancel", flow_run_ids=ids, state="cancelled", stop_grace=10),
            task("Remove", flow_run_ids=ids, state="absent"),
        ],
        hosts=hosts(),
    ).check()
    assert [run["phase"] for run in play.of("Cancel").result["runs"]] == ["cancelled"] * 2
    assert [run["action"] for run in play.of("Remove").result["runs"]] == ["removed"] * 2
    assert [rest.state_type(run_id) for run_id in ids] == ["CANCELLED"] * 2
    assert containers_of(ids[0]) == []


def test_a_missing_image_stops_nobody(
    run_playbook: RunPlaybook, rest: PrefectRest, docker_pool: str, task: Any
) -> None:
    """One cycle of an agent: the run without an image is reported to the server, the other is executed."""
    images = {"good": docker_image.name(), "missing": "registry.flowops.invalid/flows:1"}
    ids = {}
    for name, image in images.items():
        variables = {"image": image, "image_pull_policy": "IfNotPresent"}
        deployment = deploy(rest, "hello", work_pool_name=docker_pool, job_variables=variables)
        ids[name] = rest.create_flow_run(deployment["id"])["id"]
    play = run_playbook(task("Cycle", work_pool=docker_pool), hosts=hosts(), timeout=300).check()
    assert [(run["flow_run_id"], run["phase"]) for run in play.last["runs"]] == [(ids["good"], "succeeded")]
    state = rest.flow_run(ids["missing"])["state"]
    assert (state["type"], images["missing"] in state["message"]) == ("CRASHED", True), state
    assert any(ids["missing"] in warning for warning in play.last["warnings"])
