# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orion 2.0b6 with its own engines: what works, and what is refused with its name and another way."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from ansible_play import RunPlaybook, StartPlaybook
from engines import hold_environment, is_alive, wait_for_held_engine, wait_until_gone
from older_servers import OlderServer
from place_reports import check_zombies_of_older
from prefect_server import PREFECT2
from process_host import Host
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_run_is_made_launched_and_executed_once(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    deployment = orion.rest.create_deployment("append_line")
    file = tmp_path / "bodies"
    options: dict[str, Any] = {
        "deployment": deployment["full_name"],
        "idempotency_key": "once",
        "parameters": {"path": str(file)},
    }
    look = run_playbook(orion.task(tmp_path / "state", **options), check=True).check()
    assert (look.last["changed"], len(look.last["would_launch"])) == (True, 1)
    assert not (tmp_path / "state").exists()
    first = run_playbook(orion.task(tmp_path / "state", **options)).check()
    result = first.last["run"]
    assert first.last["changed"] is True
    assert (result["phase"], result["action"], result["attempt"]) == ("succeeded", "launched", 1)
    assert (result["state_type"], result["exit_code"]) == ("COMPLETED", 0)
    assert result["url"] == f"{orion.server.url}/flow-run/{result['flow_run_id']}"
    assert "the body runs" in first.stdout
    assert first.output.count("Orion 2.0b6 cannot keep the records of an attempt") == 1
    history = [state["type"] for state in orion.rest.state_history(result["flow_run_id"])]
    assert history == ["PENDING", "PENDING", "RUNNING", "COMPLETED"]

    again = run_playbook(orion.task(tmp_path / "state", **options)).check()
    assert (again.last["changed"], again.last["run"]["action"]) == (False, "none")
    assert file.read_text().count("\n") == 1

    other = run_playbook(orion.task(tmp_path / "state", **{**options, "parameters": {"path": "/elsewhere"}}))
    assert other.rc != 0
    assert "idempotency_key was used before" in other.last["msg"]


def test_no_agent_is_handed_a_run_that_the_task_made(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    """Seen from the moment that it exists: while it waits for a slot that another run holds."""
    deployment = orion.rest.create_deployment("append_line")
    handed_out = orion.rest.create_flow_run(deployment["id"], {"path": str(tmp_path / "theirs")})
    runs = [{"parameters": {"path": str(tmp_path / name), "sleep": 60}} for name in ("first", "second")]
    task = orion.task(tmp_path / "state", deployment=deployment["full_name"], runs=runs, concurrency=1, wait=False)
    made = run_playbook(task).check()
    wait_until((tmp_path / "first").exists, "the first of the runs")
    assert "SCHEDULED" not in {orion.rest.state_type(run_id) for run_id in made.last["flow_run_ids"]}
    queue = orion.rest.post("/work_queues/", {"name": "all", "filter": {"deployment_ids": [deployment["id"]]}})
    given = orion.rest.post(f"/work_queues/{queue['id']}/get_runs", {"limit": 10})
    assert [run["id"] for run in given] == [handed_out["id"]]

    # What has not begun can be cancelled; what runs is ended by absent once Prefect says that it is cancelled.
    first, second = made.last["flow_run_ids"]
    waiting = run_playbook(orion.task(tmp_path / "state", flow_run_id=second, state="cancelled")).check()
    assert (waiting.last["run"]["phase"], waiting.last["run"]["action"]) == ("cancelled", "cancelled")
    refused = run_playbook(orion.task(tmp_path / "state", flow_run_id=first, state="cancelled"))
    assert refused.rc != 0
    assert "Orion 2.0b6 cannot ask an engine to end" in refused.last["msg"]
    assert "state: absent" in refused.last["msg"]
    assert orion.rest.state_type(first) == "RUNNING"
    assert Host(tmp_path / "state").engines
    orion.rest.set_state(first, "CANCELLED")
    absent = run_playbook(orion.task(tmp_path / "state", flow_run_id=first, state="absent", stop_grace=1)).check()
    assert (absent.last["run"]["phase"], orion.rest.state_type(first)) == ("absent", "CANCELLED")
    assert not Host(tmp_path / "state").engines
    assert not (tmp_path / "second").exists()


def test_a_run_is_adopted_here_and_followed_elsewhere(
    start_playbook: StartPlaybook, run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    run = orion.counted_run(tmp_path, sleep=300)
    launch = start_playbook(orion.task(tmp_path / "state", flow_run_id=run.id))
    wait_until(lambda: run.executions, "the flow's body")
    tasks = [
        {**orion.task(tmp_path / "elsewhere", flow_run_id=run.id, wait=False), "name": "Follow"},
        {**orion.task(tmp_path / "state", flow_run_id=run.id, wait=False), "name": "Adopt"},
    ]
    play = run_playbook(tasks).check()
    followed, adopted = play.of("Follow").result, play.of("Adopt").result
    assert (followed["run"]["action"], followed["run"]["phase"], followed["changed"]) == ("followed", "running", False)
    assert (adopted["run"]["action"], adopted["run"]["phase"], adopted["changed"]) == ("adopted", "running", False)
    Path(f"{run.file}-end").touch()
    launched = launch.wait().check().last["run"]
    assert (launched["action"], launched["phase"]) == ("launched", "succeeded")
    assert run.executions == 1


def test_plays_that_want_the_same_run_on_one_host_execute_it_once(
    start_playbook: StartPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    run = orion.counted_run(tmp_path, sleep=3)
    plays = [start_playbook(orion.task(tmp_path / "state", flow_run_id=run.id)) for _play in range(3)]
    results = [play.wait().check().last["run"] for play in plays]
    assert {result["phase"] for result in results} == {"succeeded"}
    assert [result["action"] for result in results].count("launched") == 1
    assert run.executions == 1


def test_a_claim_is_known_as_ours_and_the_gate_holds(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    """Engines that stop themselves between claim and gate: one dies there, the other one's run is cancelled."""
    state_dir, env = tmp_path / "state", hold_environment(tmp_path / "hold", "claimed")
    dying, cancelled = orion.counted_run(tmp_path), orion.counted_run(tmp_path)
    launch = orion.task(state_dir, flow_run_id=dying.id, env=env, wait=False)
    run_playbook(launch).check()
    os.kill(wait_for_held_engine(state_dir), signal.SIGKILL)
    wait_until_gone(state_dir)
    died = run_playbook(orion.task(state_dir, flow_run_id=dying.id)).last["run"]
    assert (died["state_type"], died["attempt"], died["diagnosis"]["category"]) == ("CRASHED", 1, "killed_by_signal")
    assert orion.rest.flow_run(dying.id)["state"]["name"] == "Crashed"

    stop = {**orion.task(state_dir, flow_run_id=cancelled.id, state="cancelled"), "name": "Cancel"}
    run_playbook(orion.task(state_dir, flow_run_id=cancelled.id, env=env, wait=False)).check()
    held = wait_for_held_engine(state_dir)
    play = run_playbook(stop).check()
    assert (play.last["run"]["phase"], play.last["run"]["action"]) == ("cancelled", "cancelled")
    assert not is_alive(held)
    assert orion.rest.state_type(cancelled.id) == "CANCELLED"
    assert dying.executions + cancelled.executions == 0


def test_failures_and_crashes_are_told_and_not_repeated(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    failing, dying = (
        orion.rest.create_flow_run(orion.rest.create_deployment(flow)["id"])["id"] for flow in ("fail", "exit_code")
    )
    play = run_playbook(orion.task(tmp_path / "state", flow_run_ids=[failing, dying]))
    assert play.rc != 0
    failed, crashed = play.last["runs"]
    assert (failed["state_type"], failed["exit_code"], failed["diagnosis"]["category"]) == ("FAILED", 0, "flow_failed")
    assert (crashed["state_type"], crashed["exit_code"]) == ("CRASHED", 77)
    assert "77" in crashed["diagnosis"]["reason"]
    told = orion.rest.flow_run(dying)["state"]
    assert (told["type"], told["name"]) == ("FAILED", "Crashed")
    assert "77" in told["message"]

    for rerun in ("failed", 2):
        again = run_playbook(orion.task(tmp_path / "state", flow_run_id=failing, rerun=rerun))
        assert again.rc != 0
        assert "rerun: Orion 2.0b6 cannot take a finished flow run up again. Make a new flow run." in again.last["msg"]


@pytest.mark.parametrize("unfit", [PREFECT2], ids=lambda generation: generation.environment)
def test_an_engine_of_another_generation_is_refused_before_anything_is_claimed(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path, unfit: Any
) -> None:
    run = orion.counted_run(tmp_path)
    play = run_playbook(orion.task(tmp_path / "state", flow_run_id=run.id, python=str(unfit.python)))
    assert play.rc != 0
    assert "has Prefect 2.20" in play.last["msg"]
    assert "the server has 2.0b6" in play.last["msg"]
    assert "prefect==2.0b6" in play.last["msg"]
    assert orion.rest.state_type(run.id) == "SCHEDULED"
    assert run.executions == 0


def test_flow_runners_propagate_from_the_deployment_to_its_runs(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    """A run keeps what its deployment had when it was made; settings are stored with all their nulls."""
    virtualenv = str(Path(orion.engine_python).parent.parent)
    config = {"env": {"WHO": "first"}, "virtualenv": virtualenv, "condaenv": None, "stream_output": True}
    deployment = orion.rest.create_deployment("append_line", flow_runner={"type": "subprocess", "config": config})
    run_id = orion.rest.create_flow_run(deployment["id"], {"path": str(tmp_path / "bodies")})["id"]
    later = {"type": None, "config": {"env": {"WHO": "later"}}}
    orion.rest.create_deployment("append_line", name=deployment["name"], flow_runner=later)
    (options,) = [value for name, value in orion.task(tmp_path / "state", python=None).items() if name != "name"]
    module = "flowops.prefect.flow_runner"
    play = run_playbook(
        [
            {"name": "Old", "check_mode": True, module: {**options, "flow_run_id": run_id}},
            {
                "name": "New",
                "check_mode": True,
                module: {**options, "deployment": deployment["full_name"], "python": orion.engine_python},
            },
            {"name": "Run", module: {**options, "flow_run_id": run_id}},
        ]
    ).check()
    (old,) = play.of("Old").result["would_launch"]
    assert (old["environment"]["WHO"], old["sources"]["env.WHO"], old["sources"]["type"]) == (
        "first",
        "flow run",
        "flow run",
    )
    (new,) = play.of("New").result["would_launch"]
    assert (new["environment"]["WHO"], new["sources"]["type"]) == ("later", "default")
    assert play.of("Run").result["run"]["phase"] == "succeeded"
    assert (tmp_path / "bodies").read_text().count("\n") == 1


def test_zombies_that_left_something_are_told(run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path) -> None:
    """It does not know where a run is, so one that left nothing is not found."""
    assert check_zombies_of_older(run_playbook, orion, tmp_path, "FAILED") == {"left": "zombie"}
