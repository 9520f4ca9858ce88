# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules ``flow_run`` and ``flow_run_info`` against a real server, for runs that somebody else launches."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_play import PlayResult, RunPlaybook, StartPlaybook
from prefect_rest import PrefectRest, start_engine

MODULE = "flowops.prefect.flow_run"
INFO = "flowops.prefect.flow_run_info"

Play = Callable[..., PlayResult]


@pytest.fixture
def play(run_playbook: RunPlaybook, api_url: str) -> Play:
    """Run tasks with the module, or with another one by its name, in one play."""

    def run(*tasks: dict[str, Any], ignore_errors: bool = False, **keywords: Any) -> PlayResult:
        more = {"ignore_errors": True} if ignore_errors else {}
        made = []
        for number, options in enumerate(tasks):
            module = options.pop("module", MODULE)
            made.append({"name": f"Task {number}", module: {"api_url": api_url, **options}, **more})
        return run_playbook(made, **keywords)

    return run


@pytest.fixture
def pool(rest: PrefectRest) -> str:
    """A pool without workers."""
    return str(rest.create_work_pool(f"pool-{uuid.uuid4().hex[:8]}")["name"])


def test_created_once_with_the_flow_runner_of_its_deployment(play: Play, rest: PrefectRest, pool: str) -> None:
    runner = {"type": "universal", "config": {}}
    deployment = rest.create_deployment("hello", work_pool_name=pool, job_variables={"flow_runner": runner})
    options = {
        "deployment": deployment["full_name"],
        "parameters": {"name": "Ada"},
        "flow_run_name": "for-{name}",
        "tags": ["a"],
        "scheduled_time": "2099-01-01",
        "job_variables": {"x": 1},
        "wait": False,
    }
    once = {**options, "idempotency_key": "k"}
    foretold = play(dict(once), check=True, diff=True).check().last
    assert (foretold["changed"], foretold["flow_run"]["action"]) == (True, "created")
    assert not rest.flow_runs(deployment["id"])

    result = play(dict(once), dict(once), dict(options), diff=True).check()
    assert [one.changed for one in result.results] == [True, False, True]
    assert "for-Ada" in result.of("Task 0").result["diff"]["after"]
    (first, again) = (result.of(f"Task {n}").result["flow_run"] for n in range(2))
    assert first["flow_run_id"] == again["flow_run_id"]
    assert len(rest.flow_runs(deployment["id"])) == 2
    run = rest.flow_run(first["flow_run_id"])
    assert (run["name"], run["parameters"]["name"], run["tags"]) == ("for-Ada", "Ada", ["a"])
    assert run["work_queue_name"] == "default"
    assert run["job_variables"] == {"x": 1, "flow_runner": runner}
    assert run["expected_start_time"].startswith("2099-01-01T00:00:00")
    other = {**once, "parameters": {"name": "Grace"}}
    foretold = play(dict(once), dict(other), check=True)
    assert not foretold.of("Task 0").changed
    for refused in (foretold, play(dict(other))):
        assert "idempotency_key was used before" in refused.last["msg"]


def test_waiting_for_what_somebody_else_launches(
    start_playbook: StartPlaybook, play: Play, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    """The play waits first; then an engine is started by hand, as a worker would."""
    deployment, failing = rest.create_deployment("hello"), rest.create_deployment("fail")
    ids = [rest.create_flow_run(one["id"])["id"] for one in (deployment, failing)]
    task = {"name": "Wait", MODULE: {"api_url": api_url, "flow_run_ids": ids, "state": "finished"}}
    waiting = start_playbook(task)
    engines = [start_engine(api_url, run_id, tmp_path / run_id) for run_id in ids]
    result = waiting.wait()
    for engine in engines:
        engine.wait(60)
    runs = result.last["flow_runs"]
    assert [(run["flow_run_id"], run["state"]) for run in runs] == [(ids[0], "Completed"), (ids[1], "Failed")]
    assert result.rc == 2
    assert result.last["failed_runs"] == [ids[1]]
    assert not result.last["changed"]

    fine = {"flow_run_ids": ids, "state": "finished", "fail_on": ["crashed"]}
    info = {"module": INFO, "flow_run_ids": ids, "history": True, "log_limit": 100, "artifacts": True}
    result = play(fine, info).check()
    found = {run["flow_run_id"]: run for run in result.last["flow_runs"]}
    history = [state["state"] for state in found[ids[0]]["history"]]
    assert [state for state in history if state != "Late"] == ["Scheduled", "Running", "Completed"]
    assert "Hello, world!" in [record["message"] for record in found[ids[0]]["logs"]]
    assert found[ids[0]]["artifacts"] == []


def test_patience(play: Play, rest: PrefectRest) -> None:
    run_id = rest.create_flow_run(rest.create_deployment("hello")["id"])["id"]
    late = play({"flow_run_id": run_id, "state": "finished", "wait_timeout": 0.5})
    assert (late.rc, late.last["timed_out"], late.last["failed_runs"]) == (2, True, [run_id])
    assert "Execute the task again" in late.last["msg"]
    fine = play({"flow_run_id": run_id, "state": "finished", "wait_timeout": 0.5, "fail_on": []}).check()
    assert fine.last["timed_out"]
    assert rest.flow_run(run_id)["state_type"] == "SCHEDULED"


def test_cancel_retry_delete(play: Play, rest: PrefectRest) -> None:
    deployment = rest.create_deployment("hello")
    ids = {kind: rest.create_flow_run(deployment["id"])["id"] for kind in ("scheduled", "running", "failed", "over")}
    rest.set_state(ids["running"], "RUNNING", force=True)
    rest.set_state(ids["failed"], "FAILED", force=True)
    rest.set_state(ids["over"], "COMPLETED", force=True)
    every = list(ids.values())
    cancel = {"flow_run_ids": every, "state": "cancelled", "wait": False}
    foretold = play(dict(cancel), check=True, diff=True).check().last
    assert [one["action"] for one in foretold["flow_runs"]] == ["cancelled", "cancelled", "none", "none"]
    assert rest.state_type(ids["scheduled"]) == "SCHEDULED"
    result = play(dict(cancel), dict(cancel), diff=True).check()
    assert [one.changed for one in result.results] == [True, False]
    after = {ids["scheduled"]: {"state": "Cancelled"}, ids["running"]: {"state": "Cancelling"}}
    assert json.loads(foretold["diff"]["after"]) == json.loads(result.of("Task 0").result["diff"]["after"]) == after
    states = [run["state"] for run in result.of("Task 0").result["flow_runs"]]
    assert states == ["Cancelled", "Cancelling", "Failed", "Completed"]

    refused = play({"flow_run_ids": every, "state": "absent"})
    assert "Cancel it first" in refused.last["msg"]
    rest.set_state(ids["running"], "CANCELLED")

    lonely = play({"flow_run_ids": every, "state": "retried"})
    retry = {"flow_run_ids": every, "state": "retried", "wait": False}
    foretold, retried, again = play(dict(retry), check=True), play(dict(retry)), play(dict(retry))
    actions = [[run["action"] for run in one.check().last["flow_runs"]] for one in (foretold, retried, again)]
    assert "is in no work pool, so no worker" in lonely.last["msg"]
    assert actions == [["none", "none", "retried", "none"]] * 2 + [["none"] * 4]
    assert rest.flow_run(ids["failed"])["state"]["name"] == "AwaitingRetry"

    remove = {"flow_run_ids": every, "state": "absent"}
    assert play(dict(remove), check=True).check().last["changed"]
    assert len(rest.flow_runs(deployment["id"])) == 4
    result = play(dict(remove), dict(remove)).check()
    assert [one.changed for one in result.results] == [True, False]
    assert not rest.flow_runs(deployment["id"])


def test_filters(play: Play, rest: PrefectRest) -> None:
    """Of the task and of the information, which pages through what it finds."""
    deployment, tag = rest.create_deployment("hello"), f"tag-{uuid.uuid4().hex[:8]}"
    many = [rest.create_flow_run(deployment["id"])["id"] for _number in range(101)]
    ids = [rest.create_flow_run(deployment["id"], tags=[tag, f"n{n}"])["id"] for n in range(4)]
    rest.set_state(ids[0], "FAILED", force=True, name="TimedOut")
    rest.set_state(ids[1], "FAILED", force=True)
    mine = {"deployments": [deployment["full_name"]], "tags": [tag]}
    retry = {"state": "retried", "wait": False}
    result = play(
        {**retry, "filter": {**mine, "states": ["FAILED"]}, "limit": 1},
        {**retry, "filter": {**mine, "states": ["TimedOut"]}, "limit": 1},
        {"module": INFO, "filter": mine, "limit": 3},
        {"module": INFO, "filter": mine, "limit": 3, "offset": 3},
        {"module": INFO, "filter": {"tags": [tag, "n2"]}},
        {"module": INFO, "filter": {"tags": [tag], "after": "2099-01-01"}},
        {"module": INFO, "filter": {"tags": [tag], "states": ["TimedOut", "Failed"], "flows": ["hello"]}},
        {"module": INFO, "flow_run_id": str(uuid.uuid4())},
        {"module": INFO, "filter": {"deployments": ["no/such"]}},
        {"module": INFO, "flow_run_ids": many},
        ignore_errors=True,
    )
    refused, one, page, rest_of_it, tagged, future, states, missing, nowhere, all_of_many = (
        result.of(f"Task {n}").result for n in range(10)
    )
    assert set(all_of_many["flow_run_ids"]) == set(many)
    assert "filter finds more than 1 flow runs" in refused["msg"]
    assert one["flow_run_ids"] == [ids[0]]
    assert (len(page["flow_runs"]), page["total"], len(rest_of_it["flow_runs"])) == (3, 4, 1)
    assert {*page["flow_run_ids"], *rest_of_it["flow_run_ids"]} == set(ids)
    assert tagged["flow_run"]["flow_run_id"] == ids[2]
    assert future["total"] == 0
    assert states["flow_run_ids"] == [ids[1]]
    assert missing["category"] == nowhere["category"] == "not_found"
    assert not page["changed"]


BAD = {
    "nothing": ({}, "flow_run_id, flow_run_ids, filter and deployment are missing"),
    "both": ({"flow_run_id": str(uuid.uuid4()), "deployment": "a/b"}, "are given together"),
    "state": ({"flow_run_id": str(uuid.uuid4())}, "flow_run_id does not go with state created"),
    "everything": ({"filter": {}, "state": "absent"}, "filter is empty"),
    "filter": ({"filter": {"statuses": ["FAILED"]}, "state": "absent"}, "filter.statuses is no option here"),
    "type": (
        {"filter": {"states": ["Failed", "failed"]}, "state": "absent"},
        "filter.states[1] is the text 'failed', which",
    ),
    "time": ({"filter": {"after": "yesterday"}, "state": "absent"}, "filter.after is the text 'yesterday', not a time"),
    "id": ({"flow_run_id": "x", "state": "absent"}, "flow_run_id is the text 'x', not the UUID"),
    "tags": ({"flow_run_id": str(uuid.uuid4()), "state": "finished", "tags": ["a"]}, "tags is for a run that the task"),
    "name": ({"deployment": "a/b", "flow_run_name": "{x}"}, "there is no such parameter here"),
    "unknown": ({"deployment": "no/such"}, "There is no deployment no/such"),
    "gone": ({"flow_run_id": str(uuid.uuid4()), "state": "finished"}, "There is no flow run"),
}


def test_bad_input(play: Play, rest: PrefectRest, pool: str) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["n"]}
    deployment = rest.create_deployment("hello", parameter_openapi_schema=schema, enforce_parameter_schema=True)
    of_pool = rest.create_deployment("hello", work_pool_name=pool)
    rest.request("PATCH", f"/work_pools/{pool}", {"is_paused": True})
    mine = {"deployment": deployment["full_name"], "wait_timeout": 5}
    cases = {
        **BAD,
        "schema": ({**mine, "parameters": {"name": 5}, "wait": False}, "The server refuses the run"),
        "no pool": ({"deployment": deployment["full_name"]}, "has no work pool, so no worker launches"),
        "paused": ({"deployment": of_pool["full_name"]}, "is paused, so no worker launches"),
    }
    foretold = play({**mine, "parameters": {"name": 5}}, {**mine, "wait": False}, check=True, ignore_errors=True)
    assert "would refuse the run" in foretold.of("Task 0").result["msg"]
    assert "n is missing" in foretold.of("Task 1").result["msg"]
    result = play(*(dict(options) for options, _words in cases.values()), ignore_errors=True)
    for number, (case, (_options, words)) in enumerate(cases.items()):
        one = result.of(f"Task {number}")
        assert one.failed, case
        assert words in one.result["msg"], case
    assert not rest.flow_runs(deployment["id"])
    assert not rest.flow_runs(of_pool["id"])
