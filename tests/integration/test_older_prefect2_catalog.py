# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments, runs and pools on Prefect 2.20: as on Prefect 3, but for what that server cannot keep."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_play import RunPlaybook
from older_servers import OlderServer
from prefect_rest import FLOWS, PrefectRest, RestError
from prefect_server import PREFECT2, PrefectServer

PULL = [{"prefect.deployments.steps.set_working_directory": {"directory": str(FLOWS)}}]


@pytest.fixture(scope="module")
def prefect2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OlderServer]:
    """A server for all tests of this file."""
    with PrefectServer(tmp_path_factory.mktemp("prefect2") / "server", generation=PREFECT2) as server:
        yield OlderServer(server, PrefectRest(server.api_url))


def test_a_deployment_from_nothing_to_gone(run_playbook: RunPlaybook, prefect2: OlderServer, flow: str) -> None:
    pool = prefect2.rest.create_work_pool(f"pool-{flow}")["name"]
    this = {"flow": flow, "name": "one"}
    options = {
        **this,
        "entrypoint": "hello.py:hello",
        "pull_steps": PULL,
        "parameters": {"name": "Ada"},
        "parameter_openapi_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        "tags": ["b", "a"],
        "schedules": [
            {"cron": "0 5 * * *", "timezone": "Europe/Berlin", "active": False},
            {"interval": 3600, "max_scheduled_runs": 2},
            {"rrule": "FREQ=DAILY;COUNT=3"},
        ],
        "description": "Greets.",
        "version": "1.0",
        "paused": True,
        "work_pool_name": pool,
        "work_queue_name": "urgent",
        "job_variables": {"working_dir": "/tmp"},
        "flow_runner": {"type": "subprocess", "env": {"STYLE": "plain"}},
        "concurrency_limit": 0,
    }
    foretold = run_playbook(prefect2.management(("deployment", options)), check=True, diff=True).check().last
    info = ("deployment_info", {"deployments": [f"{flow}/one"]})
    tasks = prefect2.management(("deployment", options), ("deployment", options), info)
    play = run_playbook(tasks, diff=True).check()
    made, again, seen = (play.of(str(n)).result for n in range(3))
    assert json.loads(made["diff"]["after"]) == json.loads(foretold["diff"]["after"])
    assert not again["changed"], again["deployment"]["changed_options"]
    assert "concurrency_limit" not in seen["deployment"]
    assert {**again["deployment"], **seen["deployment"]} == {**seen["deployment"], **again["deployment"]}
    found = prefect2.deployment(flow)
    assert (found["paused"], found["version"], found["description"]) == (True, "1.0", "Greets.")
    assert (found["work_queue_name"], found["enforce_parameter_schema"]) == ("urgent", True)
    assert found["infra_overrides"] == {
        "working_dir": "/tmp",
        "flow_runner": {"type": "subprocess", "config": {"env": {"STYLE": "plain"}}},
    }
    assert sorted(str(schedule["max_scheduled_runs"]) for schedule in found["schedules"]) == ["2", "None", "None"]

    # The server takes a new schema only with everything else, and forgets the limits of schedules over it.
    run_id = prefect2.rest.create_flow_run(found["id"])["id"]
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    steps = [
        {**this, "parameter_openapi_schema": schema, "pull_steps": []},
        {**this, "parameters": {"name": "Ada", "age": 36}, "job_variables": {}, "tags": []},
        {**this, "schedules": [{"interval": 3600, "max_scheduled_runs": 3}], "parameter_openapi_schema": {}},
    ]
    play = run_playbook(prefect2.management(*(("deployment", step) for step in (*steps, steps[-1])))).check()
    assert [result.changed for result in play.results] == [True, True, True, False]
    later = prefect2.deployment(flow)
    changed = {name for name in found if found[name] != later[name]}
    assert changed == {
        *("updated", "parameter_openapi_schema", "pull_steps", "parameters", "infra_overrides", "tags"),
        *("schedules", "schedule"),
    }
    assert (later["id"], prefect2.rest.flow_run(run_id)["deployment_id"]) == (found["id"], found["id"])
    assert [schedule["max_scheduled_runs"] for schedule in later["schedules"]] == [3]
    assert later["infra_overrides"] == {"flow_runner": found["infra_overrides"]["flow_runner"]}

    gone = ("deployment", {**this, "state": "absent"})
    play = run_playbook(prefect2.management(gone, gone)).check()
    assert [result.changed for result in play.results] == [True, False]
    with pytest.raises(RestError, match="404"):
        prefect2.deployment(flow)


def test_limits_of_schedules_outlive_a_new_schema(run_playbook: RunPlaybook, prefect2: OlderServer, flow: str) -> None:
    this = {"flow": flow, "name": "one"}
    schedules = [{"interval": 60, "max_scheduled_runs": 2}, {"interval": 60}, {"cron": "0 5 * * *", "active": False}]
    change = {**this, "parameter_openapi_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    tasks = (("deployment", {**this, "schedules": schedules}), ("deployment", change))
    run_playbook(prefect2.management(*tasks)).check()
    found = prefect2.deployment(flow)
    assert found["parameter_openapi_schema"] == {"type": "object", "properties": {"n": {"type": "integer"}}}
    told = [(one["schedule"].get("cron"), one["active"], one["max_scheduled_runs"]) for one in found["schedules"]]
    assert sorted(told, key=str) == [("0 5 * * *", False, None), (None, True, 2), (None, True, None)]


def test_what_it_cannot_keep_is_refused_and_nothing_is_changed(
    run_playbook: RunPlaybook, prefect2: OlderServer, flow: str
) -> None:
    pool = prefect2.rest.create_work_pool(f"pool-{flow}")["name"]
    this = {"flow": flow, "name": "one"}
    run_playbook(prefect2.management(("deployment", {**this, "work_pool_name": pool}))).check()
    before = prefect2.deployment(flow)
    several = [{"name": "one", "tags": ["x"]}, {"name": "two", "flow_data": "x"}]
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("deployment", {**this, "concurrency_limit": 3, "tags": ["x"]}, "concurrency_limit: Prefect 2.20 cannot limit"),
        ("deployment", {**this, "schedules": [{"interval": 60, "slug": "s"}]}, "schedules: Prefect 2.20 cannot keep"),
        ("deployment", {"flow": flow, "deployments": several}, "flow_data: Prefect 2.20 cannot keep the code of a"),
        ("deployment", {**this, "work_pool_name": ""}, "cannot take a deployment out of its work pool"),
        ("work_pool", {"name": pool, "paused": True, "filter": {"tags": ["a"]}}, "filter: Prefect 2.20 cannot hand"),
    ]
    tasks = prefect2.management(*((module, options) for module, options, _words in refused), ignore_errors=True)
    play = run_playbook(tasks)
    for number, (_module, _options, words) in enumerate(refused):
        result = play.of(str(number)).result
        assert words in result["msg"]
        assert result["category"] == "unsupported_server"
    assert prefect2.deployment(flow) == before
    assert prefect2.rest.get(f"/work_pools/{pool}")["is_paused"] is False
    assert len(prefect2.rest.post("/deployments/filter", {"flows": {"name": {"any_": [flow]}}})) == 1


def test_a_flow_is_read_by_its_own_prefect(run_playbook: RunPlaybook, prefect2: OlderServer, tmp_path: Path) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    (tmp_path / "prefect.yaml").write_text(
        json.dumps({"deployments": [{"name": f"{name}-file", "entrypoint": f"{FLOWS}/hello.py:hello"}]})
    )
    options = {"name": name, "entrypoint": "hello.py:hello", "pull_steps": PULL, "python": prefect2.engine_python}
    imported = {"from_file": str(tmp_path / "prefect.yaml"), "python": prefect2.engine_python}
    bad = {**options, "parameters": {"name": 5}}
    play = run_playbook(prefect2.management(*(("deployment", one) for one in (options, options, imported, bad))))
    assert [result.changed for result in play.results] == [True, False, True, False]
    assert "parameters do not fit the flow: name: 5 is not" in play.last["msg"]
    found = prefect2.deployment("hello", name)
    assert found["parameter_openapi_schema"]["properties"]["name"]["default"] == "world"
    assert prefect2.deployment("hello", f"{name}-file")["pull_steps"]


def test_pools_and_runs(run_playbook: RunPlaybook, prefect2: OlderServer, flow: str) -> None:
    """The pool refuses a bad flow runner; runs are made once, found, cancelled, retried and deleted."""
    pool, name = f"pool-{flow}", f"{flow}/one"
    queues = [{"name": "urgent", "priority": 1, "concurrency_limit": 2}]
    ours = ("work_pool", {"name": pool, "description": "x", "concurrency_limit": 5, "queues": queues})
    first = {"type": "subprocess", "virtualenv": "/srv/one"}
    deployment = {"flow": flow, "name": "one", "work_pool_name": pool, "flow_runner": first}
    run = {"deployment": name, "parameters": {"n": 1}, "idempotency_key": "k", "wait": False, "tags": [flow]}
    second = {**deployment, "flow_runner": {"type": "subprocess", "virtualenv": "/srv/two"}}
    tasks = (ours, ours, ("deployment", deployment), ("flow_run", run), ("flow_run", run), ("deployment", second))
    play = run_playbook(prefect2.management(*tasks)).check()
    assert [result.changed for result in play.results] == [True, False, True, True, False, True]
    run_id = play.of("4").result["flow_run"]["flow_run_id"]
    kept = prefect2.rest.flow_run(run_id)
    assert kept["job_variables"]["flow_runner"]["config"] == {"virtualenv": "/srv/one"}
    assert kept["work_queue_name"] == "default"
    with pytest.raises(RestError, match="flow_runner"):
        prefect2.rest.create_flow_run(kept["deployment_id"], job_variables={"flow_runner": {"type": "podman"}})

    failed = prefect2.rest.create_flow_run(kept["deployment_id"], tags=[flow])["id"]
    prefect2.rest.set_state(failed, "FAILED", force=True)
    mine = {"filter": {"deployments": [name], "tags": [flow]}}
    failures = {"filter": {**mine["filter"], "states": ["FAILED", "TimedOut"], "work_pools": [pool]}}
    tasks = (
        ("flow_run", {**mine, "state": "cancelled", "wait": False}),
        ("flow_run_info", {**mine, "history": True, "artifacts": True, "log_limit": 5}),
        ("flow_run", {**failures, "state": "retried", "wait": False}),
        ("flow_run", {**failures, "state": "retried", "wait": False}),
        ("flow_run", {**mine, "state": "absent"}),
        ("flow_run_info", mine),
        ("work_pool", {"name": pool, "state": "absent"}),
    )
    play = run_playbook(prefect2.management(*tasks)).check()
    assert [result.changed for result in play.results] == [True, False, True, False, True, False, True]
    states = {one["flow_run_id"]: one for one in play.of("1").result["flow_runs"]}
    assert {key: one["state"] for key, one in states.items()} == {run_id: "Cancelled", failed: "Failed"}
    history = [state["state"] for state in states[run_id]["history"]]
    assert (history[0], history[-1]) == ("Scheduled", "Cancelled"), "perhaps Late in between"
    assert states[run_id]["url"] == f"{prefect2.server.url}/flow-runs/flow-run/{run_id}"
    assert play.of("2").result["flow_run_ids"] == [failed]
    assert play.of("5").result["total"] == 0
