# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cancelling: nothing is left alive, nothing starts any more, and only then the server hears Cancelled."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fault_scenarios
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from engines import (
    engines_of,
    executions,
    hold_environment,
    is_alive,
    nothing_left,
    processes_of,
    wait_for_held_engine,
    wait_for_pid,
    wait_until,
    wait_until_gone,
)
from lossy_proxy import LossyProxy
from places import Stage
from prefect_rest import PrefectRest
from runner import counted_runs, runner_task


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """Nothing of its runs may outlive the test."""
    with nothing_left(tmp_path / "state") as folder:
        yield folder


def named(name: str, task: dict[str, Any]) -> dict[str, Any]:
    """A task of a longer play, which goes on whatever becomes of it."""
    return {**task, "name": name, "ignore_errors": True}


def test_nothing_survives_not_even_what_hides(stage: Stage) -> None:
    fault_scenarios.nothing_survives_a_cancel(stage)


def test_a_cancel_before_the_gate(stage: Stage) -> None:
    fault_scenarios.a_cancel_before_the_gate(stage)


def test_a_run_that_waits_for_a_place_never_starts(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    until = tmp_path / "until"
    sleeper = rest.create_flow_run(rest.create_deployment("sleeper")["id"], {"seconds": 120, "until_file": str(until)})
    (queued,) = counted_runs(rest, tmp_path, 1)
    launch = runner_task(api_url, state_dir, flow_run_ids=[sleeper["id"], queued.id], concurrency=1, wait=False)
    play = run_playbook(
        [launch, named("Cancel", runner_task(api_url, state_dir, flow_run_id=queued.id, state="cancelled"))]
    ).check()
    assert play.of("Run").result["runs"][1]["phase"] == "queued"
    assert play.of("Cancel").result["run"]["phase"] == "cancelled"
    assert rest.state_type(queued.id) == "CANCELLED"
    assert "flowops-1-gate" in rest.inputs(queued.id), "without it a slow launcher could still start"

    until.touch()
    assert rest.wait_for_state(sleeper["id"]) == "COMPLETED", "the run beside it is none of its business"
    wait_until_gone(state_dir)
    assert queued.executions == 0


@pytest.mark.parametrize("moment", ["start", "claimed", "pid_recorded"])
def test_a_slow_launcher_never_starts_what_was_cancelled(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path, moment: str
) -> None:
    """The engine of another host hangs before its gate and goes on after the cancel: the gate refuses it."""
    (run,) = counted_runs(rest, tmp_path, 1)
    env = hold_environment(tmp_path / "hold", moment)
    run_playbook(runner_task(api_url, state_dir, flow_run_id=run.id, env=env, wait=False)).check()
    held = wait_for_held_engine(state_dir)

    elsewhere = run_playbook(
        runner_task(api_url, tmp_path / "other-host", flow_run_id=run.id, state="cancelled")
    ).check()
    assert elsewhere.last["run"]["phase"] == "cancelled"
    assert rest.state_type(run.id) == "CANCELLED"
    assert is_alive(held), "it is out of the reach of whoever cancelled"

    os.kill(held, signal.SIGCONT)
    wait_until_gone(state_dir)
    assert run.executions == 0
    assert rest.state_type(run.id) == "CANCELLED"
    at_home = run_playbook(runner_task(api_url, state_dir, flow_run_id=run.id, fail_on=[])).check()
    assert at_home.last["run"]["phase"] == "cancelled"
    assert run.executions == 0


def test_a_hanging_start_is_stopped_where_it_hangs(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    env = hold_environment(tmp_path / "hold", "claimed")
    run_playbook(runner_task(api_url, state_dir, flow_run_id=run.id, env=env, wait=False)).check()
    held = wait_for_held_engine(state_dir)
    cancelled = run_playbook(runner_task(api_url, state_dir, flow_run_id=run.id, state="cancelled")).check()
    assert cancelled.last["run"]["phase"] == "cancelled"
    assert not is_alive(held)
    assert (rest.state_type(run.id), run.executions) == ("CANCELLED", 0)


def test_a_cancel_from_elsewhere_is_acted_on(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """What the page of a run does: the state Cancelling. Three at once: watched, tolerated, and between two tries."""
    sleeper, retrying = rest.create_deployment("sleeper"), rest.create_deployment("retry_later")
    bodies = tmp_path / "bodies"
    pids = [tmp_path / "pid-1", tmp_path / "pid-2"]
    runs = [rest.create_flow_run(sleeper["id"], {"seconds": 300, "pid_file": str(file)})["id"] for file in pids]
    runs.append(rest.create_flow_run(retrying["id"], {"path": str(bodies)})["id"])
    strict = {"fail_on": ["failed", "crashed", "cancelled", "infrastructure", "wait_timeout"]}
    tolerant = {"fail_on": ["failed", "crashed"]}
    hosts = {
        "watched": {"run": runs[0], **strict},
        "tolerant": {"run": runs[1], **tolerant},
        "retrying": {"run": runs[2], **strict},
    }
    task = runner_task(api_url, state_dir, flow_run_id="{{ run }}", fail_on="{{ fail_on }}", stop_grace=5)
    play = start_playbook(task, hosts=hosts)
    for file in pids:
        wait_for_pid(file)
    wait_until(lambda: rest.flow_run(runs[2])["state_name"] == "AwaitingRetry", "the wait for the second try")
    for run in runs:
        assert rest.set_state(run, "CANCELLING", name="Cancelling")["status"] == "ACCEPT"

    ended = play.wait(120)
    assert not engines_of(state_dir)
    for host, failed in (("watched", True), ("tolerant", False), ("retrying", True)):
        outcome = ended.of("Run", host)
        assert outcome.failed is failed, outcome.result["msg"]
        assert outcome.result["run"]["phase"] == "cancelled"
        assert outcome.result["run"]["diagnosis"]["category"] == "cancelled"
        assert rest.state_type(outcome.result["run"]["flow_run_id"]) == "CANCELLED"
    assert "cancelled" in ended.of("Run", "watched").result["msg"]
    assert bodies.read_text().count("\n") == 1


def test_a_cancel_between_two_tries(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """AwaitingRetry is a scheduled state, and yet an engine lives."""
    bodies = tmp_path / "bodies"
    run = rest.create_flow_run(rest.create_deployment("retry_later")["id"], {"path": str(bodies)})
    run_playbook(runner_task(api_url, state_dir, flow_run_id=run["id"], wait=False)).check()
    wait_until(lambda: rest.flow_run(run["id"])["state_name"] == "AwaitingRetry", "the wait for the second try")
    assert engines_of(state_dir)

    cancel = runner_task(api_url, state_dir, flow_run_id=run["id"], state="cancelled", stop_grace=5)
    play = run_playbook([cancel, named("Again", cancel)]).check()
    assert not engines_of(state_dir)
    assert play.of("Run").result["run"]["phase"] == "cancelled"
    assert not play.of("Again").changed
    assert rest.state_type(run["id"]) == "CANCELLED"
    assert bodies.read_text().count("\n") == 1


def test_a_suspended_run_is_resumed_by_the_same_task(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path
) -> None:
    """Its engine leaves with exit code 0 and a state that is none of an end: neither crashed nor cancelled."""
    run = rest.create_flow_run(rest.create_deployment("suspend")["id"])["id"]
    task = runner_task(api_url, state_dir, flow_run_id=run)
    play = run_playbook([task, named("Again", task)]).check()
    for name, attempt_launched in (("Run", True), ("Again", False)):
        result = play.of(name).result
        assert (result["run"]["phase"], result["run"]["attempt"]) == ("suspended", 1)
        assert result["changed"] is attempt_launched
    assert rest.state_type(run) == "PAUSED"
    wait_until_gone(state_dir)

    rest.post(f"/flow_runs/{run}/resume", {})
    resumed = run_playbook([task, named("Again", task)]).check()
    assert (resumed.of("Run").result["run"]["phase"], resumed.of("Run").result["run"]["attempt"]) == ("succeeded", 2)
    assert (resumed.of("Run").changed, resumed.of("Again").changed) == (True, False)
    assert rest.state_type(run) == "COMPLETED"
    history = rest.state_history(run)
    assert executions(history) == 2
    assert "CRASHED" not in [state["type"] for state in history]


def test_a_suspended_run_can_be_cancelled(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path
) -> None:
    run = rest.create_flow_run(rest.create_deployment("suspend")["id"])["id"]
    task = runner_task(api_url, state_dir, flow_run_id=run)
    cancel = runner_task(api_url, state_dir, flow_run_id=run, state="cancelled")
    play = run_playbook([task, named("Cancel", cancel), named("Again", cancel)]).check()
    assert (play.of("Cancel").result["run"]["phase"], play.of("Cancel").changed) == ("cancelled", True)
    assert not play.of("Again").changed
    rest.post(f"/flow_runs/{run}/resume", {})
    assert rest.state_type(run) == "CANCELLED", "too late"
    assert executions(rest.state_history(run)) == 1


def test_a_cancel_before_the_start_and_after_the_end(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    due, later, finished = counted_runs(rest, tmp_path, 3)
    rest.set_state(later.id, "SCHEDULED", force=True, state_details={"scheduled_time": "2099-01-01T00:00:00Z"})

    def task(name: str, run: str, **options: Any) -> dict[str, Any]:
        return named(name, runner_task(api_url, state_dir, flow_run_id=run, **options))

    play = run_playbook(
        [
            task("Preview", due.id, state="cancelled") | {"check_mode": True},
            task("Due", due.id, state="cancelled"),
            task("Due again", due.id, state="cancelled"),
            task("Due launched", due.id),
            task("Later", later.id, state="cancelled"),
            task("Finish", finished.id),
            task("Finished", finished.id, state="cancelled"),
        ]
    )
    changed = {name: play.of(name).changed for name in ("Preview", "Due", "Due again", "Later", "Finished")}
    assert changed == {"Preview": True, "Due": True, "Due again": False, "Later": True, "Finished": False}
    assert play.of("Due launched").failed
    assert play.of("Finished").result["run"]["phase"] == "succeeded", "what is over keeps its end"
    assert [rest.state_type(run.id) for run in (due, later, finished)] == ["CANCELLED", "CANCELLED", "COMPLETED"]
    assert [run.executions for run in (due, later, finished)] == [0, 0, 1]


def test_a_play_interrupted_before_its_first_answer(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """Nothing is known of the run but its name: that is enough to cancel it."""
    (run,) = counted_runs(rest, tmp_path, 1)
    with_nobody = LossyProxy(api_url, limit=0)
    play = start_playbook(runner_task(with_nobody.api_url, state_dir, flow_run_id=run.id, on_abort="cancel"))
    with_nobody.wait_for_client()
    play.interrupt()
    with with_nobody:
        play.wait(60)
    assert rest.wait_for_state(run.id) == "CANCELLED"
    assert run.executions == 0
    wait_until(lambda: not processes_of(state_dir), "the end of the run's processes")


@pytest.mark.parametrize("on_abort", ["cancel", "leave"])
def test_an_interrupted_play(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path, on_abort: str
) -> None:
    """Ctrl-C while the task waits: the run is cancelled before ansible-playbook ends, or goes on, as was wished."""
    pid_file, until = tmp_path / "pid", tmp_path / "until"
    run = rest.create_flow_run(
        rest.create_deployment("sleeper")["id"],
        {"seconds": 300, "pid_file": str(pid_file), "until_file": str(until)},
    )["id"]
    play = start_playbook(runner_task(api_url, state_dir, flow_run_id=run, on_abort=on_abort, stop_grace=5))
    engine = wait_for_pid(pid_file)
    play.wait_for_output("asleep")
    play.interrupt()
    play.wait(60)
    if on_abort == "cancel":
        assert not is_alive(engine)
        assert rest.wait_for_state(run) == "CANCELLED"
    else:
        assert is_alive(engine)
        assert rest.state_type(run) == "RUNNING"
        until.touch()
        assert rest.wait_for_state(run) == "COMPLETED"
    wait_until(lambda: not processes_of(state_dir), "the end of the run's processes")
