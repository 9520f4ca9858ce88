# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that Ansible itself limits or detaches: async, timeout, no_log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_play import RunPlaybook
from prefect_rest import PrefectRest
from runner import MODULE, counted_runs, runner_task

SECRET = "canary-5f0c8a52"


@pytest.fixture
def asynchronous(tmp_path: Path) -> dict[str, str]:
    """Keeps the files of asynchronous tasks out of the developer's home."""
    return {"ANSIBLE_ASYNC_DIR": str(tmp_path / "async")}


def test_async_status_gives_the_whole_result(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, asynchronous: dict[str, str]
) -> None:
    deployment = rest.create_deployment("fail")
    run_id = rest.create_flow_run(deployment["id"])["id"]
    options = {"flow_run_id": run_id, "env": {"DB_PASSWORD": SECRET}, "secret_env": {"TOKEN": SECRET}}
    task = runner_task(api_url, tmp_path / "state", **options)
    wait: dict[str, Any] = {
        "name": "Wait",
        "ansible.builtin.async_status": {"jid": "{{ started.ansible_job_id }}"},
        "register": "job",
        "until": "job is finished",
        "retries": 120,
        "delay": 1,
        "failed_when": False,
    }
    play = run_playbook([{**task, "async": 120, "poll": 0, "register": "started"}, wait], env=asynchronous).check()
    assert play.of("Run").result["ansible_job_id"]
    result = play.of("Wait").result
    assert result["failed_runs"] == [run_id]
    assert (result["run"]["phase"], result["run"]["diagnosis"]["category"]) == ("failed", "flow_failed")
    assert result["run"]["log"]["lines"]
    assert result["run"]["url"] in result["msg"]
    assert result["invocation"]["module_args"]["flow_run_id"] == run_id
    assert SECRET not in play.output + str(play.results)
    kept = [path.read_text(errors="replace") for path in (tmp_path / "async").rglob("*") if path.is_file()]
    assert kept
    assert SECRET not in "".join(kept)


def test_async_with_poll(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, asynchronous: dict[str, str]
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = {**runner_task(api_url, tmp_path / "state", flow_run_id=run.id), "async": 120, "poll": 1}
    play = run_playbook(task, env=asynchronous).check()
    assert (play.last["run"]["phase"], play.last["run"]["action"]) == ("succeeded", "launched")
    assert run.executions == 1


@pytest.mark.parametrize("poll", [0, 1])
def test_async_in_check_mode(
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    tmp_path: Path,
    asynchronous: dict[str, str],
    poll: int,
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = {**runner_task(api_url, tmp_path / "state", flow_run_id=run.id), "async": 120, "poll": poll}
    play = run_playbook(task, env=asynchronous, check=True).check()
    assert play.last["changed"]
    if poll:
        assert len(play.last["would_launch"]) == 1
    assert rest.state_type(run.id) == "SCHEDULED"
    assert not (tmp_path / "state").exists()


def test_the_timeout_of_a_task_ends_it_with_a_result(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=14)
    task = {**runner_task(api_url, tmp_path / "state", flow_run_id=run.id), "timeout": 14}
    play = run_playbook(task)
    assert play.rc == 2
    assert play.last["timed_out"] is True
    assert (play.last["flow_run_ids"], play.last["failed_runs"]) == ([run.id], [run.id])
    assert run.id in play.last["msg"]
    assert rest.state_type(run.id) == "RUNNING"
    assert rest.wait_for_state(run.id) == "COMPLETED"
    assert run.executions == 1


@pytest.mark.usefixtures("nothing_left")
def test_a_run_that_never_stops_talking_does_not_outlast_the_wait(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment = rest.create_deployment("chatty")
    run_id = rest.create_flow_run(deployment["id"], {"lines": 300, "pause": 0.05})["id"]
    play = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run_id, wait_timeout=8))
    assert (play.rc, play.last["timed_out"], play.last["failed_runs"]) == (2, True, [run_id])
    assert "] line 0 ...." in play.stdout
    assert rest.wait_for_state(run_id) == "COMPLETED"


def test_no_log_shows_nothing(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> None:
    deployment = rest.create_deployment("hello")
    run_id = rest.create_flow_run(deployment["id"], {"name": SECRET})["id"]
    task = {**runner_task(api_url, tmp_path / "state", flow_run_id=run_id), "no_log": True, "register": "done"}
    check = {"name": "Phase", "ansible.builtin.assert": {"that": "done.run.phase == 'succeeded'"}}
    play = run_playbook([task, check]).check()
    assert SECRET not in play.output
    assert run_id not in play.output
    assert MODULE not in play.stdout
