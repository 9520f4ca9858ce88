# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prefect 2.20 with its own engines: all that works on Prefect 3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_play import RunPlaybook, StartPlaybook
from older_servers import OlderServer
from place_reports import check_zombies_of_older
from prefect_rest import PrefectRest
from prefect_server import ORION, PREFECT2, PREFECT3, Generation, PrefectServer
from process_host import Host
from runner import MODULE
from scenarios import wait_until
from stock_pools import stock_template

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def prefect2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OlderServer]:
    """A server for all tests of this file."""
    with PrefectServer(tmp_path_factory.mktemp("prefect2") / "server", generation=PREFECT2) as server:
        yield OlderServer(server, PrefectRest(server.api_url))


def test_a_run_is_made_launched_and_executed_once(
    run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path
) -> None:
    prefect2.rest.create_work_pool("a-pool")
    deployment = prefect2.rest.create_deployment("append_line", work_pool_name="a-pool")
    file = tmp_path / "bodies"
    options: dict[str, Any] = {
        "deployment": deployment["full_name"],
        "idempotency_key": "once",
        "parameters": {"path": str(file)},
    }
    first = run_playbook(prefect2.task(tmp_path / "state", **options)).check()
    result = first.last["run"]
    assert first.last["changed"] is True
    assert (result["phase"], result["action"], result["attempt"]) == ("succeeded", "launched", 1)
    assert (result["state_type"], result["exit_code"]) == ("COMPLETED", 0)
    assert result["url"] == f"{prefect2.server.url}/flow-runs/flow-run/{result['flow_run_id']}"
    assert "Finished in state Completed()" in first.stdout
    run = prefect2.rest.flow_run(result["flow_run_id"])
    assert run["work_queue_name"] == "ansible", "a queue of ours, which no worker polls"
    assert prefect2.rest.get("/work_pools/a-pool/queues/ansible")["is_paused"] is True
    assert run["infrastructure_pid"] == result["infrastructure"]["identifier"]
    assert {"flowops-1", "flowops-1-gate"} <= set(prefect2.rest.inputs(run["id"]))
    history = [state["type"] for state in prefect2.rest.state_history(run["id"]) if state["name"] != "Late"]
    assert history == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]

    again = run_playbook(prefect2.task(tmp_path / "state", **options)).check()
    assert (again.last["changed"], again.last["run"]["action"]) == (False, "none")
    assert file.read_text().count("\n") == 1

    other = run_playbook(prefect2.task(tmp_path / "state", **{**options, "parameters": {"path": "/elsewhere"}}))
    assert other.rc != 0
    assert "idempotency_key was used before" in other.last["msg"]


def test_a_run_is_adopted_here_followed_elsewhere_and_cancelled(
    start_playbook: StartPlaybook, run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path
) -> None:
    run = prefect2.counted_run(tmp_path, sleep=300)
    launch = start_playbook(prefect2.task(tmp_path / "state", flow_run_id=run.id))
    wait_until(lambda: run.executions, "the flow's body")
    task = prefect2.task(tmp_path / "state", flow_run_id=run.id, wait=False)
    tasks = [
        {**prefect2.task(tmp_path / "elsewhere", flow_run_id=run.id, wait=False), "name": "Follow"},
        {**task, "name": "Adopt"},
        {**prefect2.task(tmp_path / "state", flow_run_id=run.id, state="cancelled", stop_grace=2), "name": "Cancel"},
    ]
    play = run_playbook(tasks).check()
    actions = {name: play.of(name).result["run"] for name in ("Follow", "Adopt", "Cancel")}
    assert [run["action"] for run in actions.values()] == ["followed", "adopted", "cancelled"]
    assert actions["Cancel"]["phase"] == "cancelled"
    assert prefect2.rest.state_type(run.id) == "CANCELLED"
    assert not Host(tmp_path / "state").engines
    watched = launch.wait()
    assert (watched.rc != 0, watched.last["run"]["diagnosis"]["category"]) == (True, "cancelled")
    assert run.executions == 1


def test_plays_that_want_the_same_run_on_two_hosts_execute_it_once(
    start_playbook: StartPlaybook, prefect2: OlderServer, tmp_path: Path
) -> None:
    run = prefect2.counted_run(tmp_path, sleep=3)
    places = ("one", "two", "one")
    plays = [start_playbook(prefect2.task(tmp_path / place, flow_run_id=run.id)) for place in places]
    results = [play.wait().check().last["run"] for play in plays]
    assert {result["phase"] for result in results} == {"succeeded"}
    assert run.executions == 1


def test_failures_and_crashes_are_told_and_repeated_when_asked(
    run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path
) -> None:
    failing, dying = (
        prefect2.rest.create_flow_run(prefect2.rest.create_deployment(flow)["id"])["id"]
        for flow in ("fail", "exit_code")
    )
    play = run_playbook(prefect2.task(tmp_path / "state", flow_run_ids=[failing, dying]))
    assert play.rc != 0
    failed, crashed = play.last["runs"]
    assert (failed["state_type"], failed["exit_code"], failed["diagnosis"]["category"]) == ("FAILED", 0, "flow_failed")
    assert (crashed["state_type"], crashed["exit_code"]) == ("CRASHED", 77)
    assert "77" in prefect2.rest.flow_run(dying)["state"]["message"]

    rerun = run_playbook(prefect2.task(tmp_path / "state", flow_run_ids=[failing, dying], rerun=2))
    assert [(run["attempt"], run["action"]) for run in rerun.last["runs"]] == [(2, "launched")] * 2
    assert [run["state_type"] for run in rerun.last["runs"]] == ["FAILED", "CRASHED"]


def test_the_infrastructure_comes_from_deployment_run_and_pool_and_a_cycle_launches_what_is_due(
    run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path
) -> None:
    """A stock pool's template is rendered, and an attached flow runner counts, in a task and in an agent's cycle."""
    rest, parameters = prefect2.rest, {"names": ["WHO"], "tell": True}
    pool = f"stock-{uuid.uuid4().hex[:8]}"
    rest.create_work_pool(pool, base_job_template=stock_template(rest, "process"))
    of_pool = {"env": {"WHO": "pool's deployment"}}
    stock = rest.create_deployment("show_hash", parameters=parameters, work_pool_name=pool, job_variables=of_pool)
    runner = {"type": "subprocess", "config": {"python": prefect2.engine_python, "env": {"WHO": "attached"}}}
    attached = rest.create_deployment("show_hash", parameters=parameters, job_variables={"flow_runner": runner})
    replaced = {"flow_runner": {**runner, "config": {"python": prefect2.engine_python, "env": {"WHO": "run's own"}}}}
    own = rest.create_flow_run(attached["id"], job_variables=replaced)["id"]
    due = rest.create_flow_run(stock["id"])["id"]

    options = {**prefect2.task(tmp_path / "state", python=None)[MODULE], "log_lines": 50}
    first = {**options, "runs": [{"deployment": attached["full_name"]}, {"flow_run_id": own}]}
    cycle = {**options, "work_pool": pool, "python": prefect2.engine_python}
    module = "flowops.prefect.flow_runner"  # not the subprocess runner's, whose options it takes
    tasks = [{"name": "Task", module: first}, {"name": "Cycle", module: cycle}, {"name": "Again", module: cycle}]
    place = {"api_url": prefect2.server.api_url, "state_dir": options["state_dir"]}
    report = {"name": "Report", "flowops.prefect.flow_runner_info": place}
    play = run_playbook([*tasks, report]).check()
    runs = [*play.of("Task").result["runs"], *play.of("Cycle").result["runs"]]
    assert [(run["phase"], run["infrastructure"]["type"]) for run in runs] == [("succeeded", "subprocess")] * 3
    for run, who in zip(runs, ("attached", "run's own", "pool's deployment"), strict=True):
        assert any(f"not to be seen: {who}" in line for line in run["log"]["lines"]), run["log"]["lines"]
    assert [run["flow_run_id"] for run in runs[1:]] == [own, due]
    assert play.of("Again").result["runs"] == []
    assert play.of("Report").result["summary"]["finished"] == 3
    (worker,) = rest.post(f"/work_pools/{pool}/workers/filter", {})
    assert worker["status"] == "ONLINE"


@pytest.mark.parametrize("unfit", [PREFECT3, ORION], ids=lambda generation: generation.environment)
def test_an_engine_of_another_generation_is_refused_before_anything_is_claimed(
    run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path, unfit: Generation
) -> None:
    run = prefect2.counted_run(tmp_path)
    play = run_playbook(prefect2.task(tmp_path / "state", flow_run_id=run.id, python=str(unfit.python)))
    assert play.rc != 0
    assert "the server has 2.20" in play.last["msg"]
    assert "prefect==2.20.*" in play.last["msg"]
    assert prefect2.rest.state_type(run.id) == "SCHEDULED"
    assert prefect2.rest.inputs(run.id) == {}
    assert run.executions == 0


def test_zombies_are_told(run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path) -> None:
    found = check_zombies_of_older(run_playbook, prefect2, tmp_path, "CRASHED")
    assert found == {"left": "zombie", "vanished": "zombie"}
