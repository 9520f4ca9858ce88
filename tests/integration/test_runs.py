# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job: runs are launched once, watched, and reported as they ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fault_scenarios
from ansible_play import RunPlaybook
from places import Stage
from prefect_rest import PrefectRest
from runner import counted_runs, runner_task


def test_a_run_is_executed_once_and_its_output_is_shown(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment = rest.create_deployment("hello")
    run = rest.create_flow_run(deployment["id"], {"name": "Ada"})
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run["id"])

    first = run_playbook(task).check()
    result = first.last["run"]
    assert first.last["changed"] is True
    assert (result["phase"], result["action"], result["attempt"]) == ("succeeded", "launched", 1)
    assert (result["state_type"], result["exit_code"], result["diagnosis"]) == ("COMPLETED", 0, None)
    assert result["url"].endswith(run["id"])
    assert re.search(rf"\[{run['name']}\] .*Ada", first.stdout), first.stdout
    assert rest.state_type(run["id"]) == "COMPLETED"

    second = run_playbook(task).check()
    assert second.last["changed"] is False
    assert (second.last["run"]["phase"], second.last["run"]["action"]) == ("succeeded", "none")


def test_a_deployment_with_a_key_makes_one_run(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment = rest.create_deployment("append_line")
    file = tmp_path / "bodies"
    options: dict[str, Any] = {
        "deployment": deployment["full_name"],
        "idempotency_key": "once",
        "parameters": {"path": str(file)},
        "flow_run_name": "once",
        "tags": ["nightly"],
    }
    task = runner_task(api_url, tmp_path / "state", **options)
    first, second = run_playbook(task).check(), run_playbook(task).check()
    assert (first.last["changed"], second.last["changed"]) == (True, False)
    assert first.last["flow_run_ids"] == second.last["flow_run_ids"]
    assert file.read_text().count("\n") == 1
    (run,) = rest.flow_runs(deployment["id"])
    assert run["name"] == "once"
    assert "nightly" in run["tags"]

    other = run_playbook(runner_task(api_url, tmp_path / "state", **{**options, "parameters": {"path": "/elsewhere"}}))
    assert other.rc != 0
    assert "idempotency_key" in other.last["msg"]
    assert "path" in other.last["msg"]
    assert len(rest.flow_runs(deployment["id"])) == 1


def test_many_runs_in_one_task(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> None:
    runs = counted_runs(rest, tmp_path, 6)
    task = runner_task(api_url, tmp_path / "state", flow_run_ids=[run.id for run in runs], concurrency=3)
    first = run_playbook(task).check()
    assert first.last["flow_run_ids"] == [run.id for run in runs]
    assert {run["phase"] for run in first.last["runs"]} == {"succeeded"}
    assert first.last["summary"]["launched"] == 6
    assert [run.executions for run in runs] == [1] * 6
    assert not run_playbook(task).check().last["changed"]
    assert [run.executions for run in runs] == [1] * 6


def test_launch_first_and_wait_later(stage: Stage) -> None:
    fault_scenarios.launched_and_adopted(stage)


def test_the_wait_ends_and_the_run_goes_on(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=20)
    play = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run.id, wait_timeout=1))
    assert play.rc != 0
    assert play.last["timed_out"] is True
    assert run.id in play.last["msg"]
    tolerant = runner_task(api_url, tmp_path / "state", flow_run_id=run.id, wait_timeout=1, fail_on=["failed"])
    assert run_playbook(tolerant).check().last["timed_out"] is True
    assert rest.wait_for_state(run.id) == "COMPLETED"
    assert run.executions == 1


def test_check_mode_shows_the_launch_and_changes_nothing(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = runner_task(
        api_url,
        tmp_path / "state",
        flow_run_id=run.id,
        env={"PLAIN": "visible", "DB_PASSWORD": "s3cret-value"},
        secret_env={"TOKEN_X": "other-s3cret"},
    )
    play = run_playbook(task, check=True, diff=True).check()
    (preview,) = play.last["would_launch"]
    assert play.last["changed"] is True
    assert preview["environment"]["PLAIN"] == "visible"
    assert "s3cret" not in play.output
    assert preview["argv"][0].endswith("python")
    assert preview["name"] in play.last["diff"]["after"]
    assert rest.state_type(run.id) == "SCHEDULED"
    assert rest.inputs(run.id) == {}
    assert not (tmp_path / "state").exists()
    run_playbook(task).check()
    again = run_playbook(task, check=True).check()
    assert (again.last["changed"], again.last["would_launch"]) == (False, [])


def test_a_failed_flow_fails_the_task_and_a_rerun_is_asked_for(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment = rest.create_deployment("fail")
    run = rest.create_flow_run(deployment["id"])
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run["id"])
    first = run_playbook(task)
    assert first.rc != 0
    assert first.last["failed_runs"] == [run["id"]]
    assert first.last["run"]["exit_code"] == 0, "the engine exits 0 for a failed flow: only the server's state tells"
    assert first.last["run"]["diagnosis"]["category"] == "flow_failed"
    assert first.last["run"]["url"] in first.last["msg"]
    assert first.last["run"]["log"]["lines"]

    again = run_playbook(task)
    assert (again.rc != 0, again.last["changed"]) == (True, False)

    rerun = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run["id"], rerun="failed"))
    assert (rerun.last["run"]["attempt"], rerun.last["run"]["action"]) == (2, "launched")
    second = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run["id"], rerun=2))
    assert (second.last["run"]["attempt"], second.last["changed"]) == (2, False)


def test_absent_removes_what_is_left(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run.id)).check()
    assert list((tmp_path / "state" / "runs").iterdir())
    absent = runner_task(api_url, tmp_path / "state", flow_run_id=run.id, state="absent")
    first = run_playbook(absent).check()
    assert (first.last["run"]["phase"], first.last["changed"]) == ("absent", True)
    assert not list((tmp_path / "state" / "runs").iterdir())
    assert not run_playbook(absent).check().last["changed"]
    again = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run.id)).check()
    assert (again.last["run"]["action"], run.executions) == ("none", 1)


def test_the_result_of_a_task_is_accepted_as_its_runs(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    runs = counted_runs(rest, tmp_path, 2)
    launch = runner_task(api_url, tmp_path / "state", flow_run_ids=[run.id for run in runs], wait=False)
    wait = runner_task(api_url, tmp_path / "state", runs="{{ launched.runs }}")
    play = run_playbook([{**launch, "name": "Launch", "register": "launched"}, wait]).check()
    assert play.of("Run").result["summary"]["succeeded"] == 2
    assert [run.executions for run in runs] == [1, 1]


def test_artifacts_that_were_asked_for_are_in_the_result(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    ids = [rest.create_flow_run(rest.create_deployment(flow)["id"])["id"] for flow in ("publish", "hello")]
    task = runner_task(api_url, tmp_path / "state", flow_run_ids=ids, artifacts=["report", "not-there"])
    published, silent = run_playbook(task).check().last["runs"]
    assert published["artifacts"] == {
        "report": {"type": "markdown", "description": "How it went", "data": "# All is well"}
    }
    assert silent["artifacts"] == {}
