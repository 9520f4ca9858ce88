# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments, runs and work queues on Orion 2.0b6: what it has works, the rest is refused by its name."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from ansible_play import RunPlaybook
from older_servers import OlderServer
from orion_rest import FLOWS
from prefect_rest import RestError
from runner import MODULE

SOURCE = FLOWS["append_line"]


@pytest.mark.usefixtures("nothing_left")
def test_a_deployment_from_nothing_to_gone_with_a_run_in_between(
    run_playbook: RunPlaybook, orion: OlderServer, tmp_path: Path
) -> None:
    """The flow is called append-line; the deployment's code, parameters and flow runner are what the run gets."""
    name, file = f"test-{uuid.uuid4().hex[:8]}", tmp_path / "bodies"
    this = {"flow": "append-line", "name": name}
    options = {
        **this,
        "flow_data": SOURCE,
        "parameters": {"path": str(file)},
        "tags": ["b", "a"],
        "schedules": [{"cron": "0 5 * * *", "timezone": "Europe/Berlin"}],
        "paused": True,
        "flow_runner": {"type": "subprocess", "env": {"WHO": "deployment"}},
        "enforce_parameter_schema": False,
        "description": "",
    }
    foretold = run_playbook(orion.management(("deployment", options)), check=True, diff=True).check().last
    info = ("deployment_info", {"deployments": [f"append-line/{name}"]})
    change = {**this, "schedules": [{"interval": 3600}], "parameters": {"path": str(file), "sleep": 0}}
    tasks = (("deployment", options), ("deployment", options), info, ("deployment", change), ("deployment", change))
    play = run_playbook(orion.management(*tasks), diff=True).check()
    assert [result.changed for result in play.results] == [True, False, False, True, False]
    made, again, seen = (play.of(str(n)).result for n in range(3))
    assert json.loads(made["diff"]["after"]) == json.loads(foretold["diff"]["after"])
    assert {**again["deployment"], **seen["deployment"]} == {**seen["deployment"], **again["deployment"]}
    assert seen["deployment"]["url"] == f"{orion.server.url}/deployment/{again['deployment']['deployment_id']}"
    assert set(again["deployment"]) == {
        *("deployment", "deployment_id", "url", "action", "changed_options"),
        *("flow_data", "parameters", "paused", "tags", "schedules", "flow_runner"),
    }
    assert play.of("3").result["deployment"]["changed_options"] == ["parameters", "schedules"]
    found = orion.deployment("append-line", name)
    assert (found["id"], found["is_schedule_active"]) == (again["deployment"]["deployment_id"], False)
    assert found["flow_data"] == {"encoding": "text", "blob": SOURCE}
    assert found["schedule"]["interval"] == 3600
    assert found["flow_runner"] == {"type": "subprocess", "config": {"env": {"WHO": "deployment"}}}

    runner = (
        "flow_runner",
        {
            **orion.task(tmp_path / "state")[MODULE],
            "env": {},
            "deployment": f"append-line/{name}",
            "idempotency_key": name,
        },
    )
    key = {"deployment": f"append-line/{name}", "idempotency_key": name, "state": "created", "wait_timeout": 60}
    mine = {"filter": {"deployments": [f"append-line/{name}"], "states": ["COMPLETED"], "tags": ["a"]}}
    gone = ("deployment", {**this, "state": "absent"})
    report = ("flow_runner_info", {"state_dir": str(tmp_path / "state")})
    tasks = (runner, ("flow_run", key), ("flow_run_info", {**mine, "history": True}), gone, gone, report)
    play = run_playbook(orion.management(*tasks)).check()
    assert play.of("0").result["run"]["phase"] == "succeeded"
    assert file.read_text().count("\n") == 1
    assert play.of("1").result["flow_run"]["flow_run_id"] == play.of("0").result["run"]["flow_run_id"]
    told = play.of("2").result
    assert (told["total"], told["flow_run"]["state"]) == (1, "Completed")
    assert told["flow_run"]["job_variables"]["flow_runner"]["config"] == {"env": {"WHO": "deployment"}}
    assert [state["state_type"] for state in told["flow_run"]["history"]][-1] == "COMPLETED"
    assert [play.of(number).changed for number in ("3", "4")] == [True, False]
    assert play.of("5").result["summary"]["finished"] == 1
    with pytest.raises(RestError, match="404"):
        orion.deployment("append-line", name)


def test_what_it_cannot_keep_is_refused_and_nothing_is_changed(
    run_playbook: RunPlaybook, orion: OlderServer, flow: str
) -> None:
    this = {"flow": flow, "name": "one", "flow_data": SOURCE}
    run_playbook(orion.management(("deployment", this))).check()
    before = orion.deployment(flow)
    run_id = orion.rest.create_flow_run(before["id"])["id"]
    orion.rest.set_state(run_id, "FAILED", force=True)
    begun = orion.rest.create_flow_run(before["id"])["id"]
    orion.rest.set_state(begun, "RUNNING", force=True)
    by_name = {"flow": flow, "name": "one", "tags": ["x"]}
    many = [{"cron": "0 5 * * *"}, {"interval": 60}]
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("deployment", {"flow": flow, "name": "two"}, "flow_data is missing for a new deployment on Orion 2.0b6"),
        (
            "deployment",
            {**by_name, "entrypoint": "a.py:f", "path": "/srv", "description": "x", "work_pool_name": "p"},
            "Give the code itself as flow_data. description: Orion 2.0b6 cannot keep description and version",
        ),
        ("deployment", {**by_name, "schedules": many}, "schedules: Orion 2.0b6 cannot keep several schedules"),
        (
            "deployment",
            {**by_name, "schedules": [{"interval": 60, "timezone": "Europe/Berlin"}]},
            "or an interval in a time zone",
        ),
        ("deployment", {**by_name, "job_variables": {"x": 1}}, "job_variables: Orion 2.0b6 cannot keep job variables"),
        (
            "deployment",
            {"from_file": "/srv/prefect.yaml", "python": "/usr/bin/python3"},
            "from_file: Orion 2.0b6 cannot",
        ),
        ("flow_run", {"flow_run_id": run_id, "state": "retried"}, "cannot take a finished flow run up again"),
        (
            "flow_run",
            {"flow_run_ids": [run_id, begun], "state": "cancelled"},
            "Orion 2.0b6 cannot ask an engine to end",
        ),
        ("flow_run_info", {"filter": {"name": "a", "work_pools": ["b"]}}, "filter.work_pools: Orion 2.0b6 cannot keep"),
        ("flow_run_info", {"flow_run_id": run_id, "artifacts": True}, "cannot keep artifacts"),
        ("work_pool", {"name": flow, "type": "ansible", "queues": [{"name": "a"}]}, "type, queues: Orion 2.0b6 cannot"),
        ("work_pool", {"name": flow, "concurrency_limit": 0}, "a limit of 0 is none"),
        ("flow_runner", {"work_pool": "p", "virtualenv": "/srv/venv"}, "work_pool: Orion 2.0b6 cannot keep work pools"),
    ]
    tasks = orion.management(*((module, options) for module, options, _words in refused), ignore_errors=True)
    play = run_playbook(tasks)
    for number, (_module, _options, words) in enumerate(refused):
        result = play.of(str(number)).result
        assert result["changed"] is False
        assert words in result["msg"], result["msg"]
    assert orion.deployment(flow) == before
    assert [orion.rest.state_type(one) for one in (run_id, begun)] == ["FAILED", "RUNNING"]
    with pytest.raises(RestError, match="404"):
        orion.rest.get(f"/work_queues/name/{flow}")


def test_runs_are_made_once_and_found_by_states_in_the_words_of_prefect_3(
    run_playbook: RunPlaybook, orion: OlderServer, flow: str
) -> None:
    runner = {"type": "universal", "env": {"A": "1"}}
    run = {"deployment": f"{flow}/one", "parameters": {"path": "/x"}, "wait": False}
    later = {
        **run,
        "idempotency_key": "k",
        "scheduled_time": "2099-01-01",
        "flow_run_name": "for-{path}",
        "tags": ["t"],
    }
    own = {**run, "job_variables": {"flow_runner": {"type": "docker", "config": {}}}}
    check = orion.management(("flow_run", later))
    tasks = (
        ("deployment", {"flow": flow, "name": "one", "flow_data": SOURCE, "flow_runner": runner}),
        *(("flow_run", options) for options in (later, later, own)),
    )
    play = run_playbook(orion.management(*tasks)).check()
    assert [result.changed for result in play.results] == [True, True, False, True]
    scheduled, with_own = (play.of(number).result["flow_run"]["flow_run_id"] for number in ("2", "3"))
    assert not run_playbook(check, check=True).check().last["changed"], "check mode finds the run of the key"
    made = orion.rest.flow_run(scheduled)
    assert (made["name"], made["tags"], made["state"]["type"]) == ("for-/x", ["t"], "SCHEDULED")
    assert made["expected_start_time"].startswith("2099-01-01")
    assert made["flow_runner"] == {"type": "universal", "config": {"env": {"A": "1"}}}
    assert orion.rest.flow_run(with_own)["flow_runner"] == {"type": "docker", "config": {}}

    crashed, failed = (orion.rest.create_flow_run(made["deployment_id"])["id"] for _n in range(2))
    orion.rest.set_state(crashed, "FAILED", force=True, name="Crashed")
    orion.rest.set_state(failed, "FAILED", force=True)
    mine = {"deployments": [f"{flow}/one"]}
    asked: list[tuple[list[str], set[str]]] = [
        (["CRASHED"], {crashed}),
        (["FAILED"], {failed}),
        (["FAILED", "CRASHED"], {failed, crashed}),
        (["Crashed", "SCHEDULED"], {crashed, scheduled, with_own}),
        (["PAUSED"], set()),
    ]
    tasks = tuple(("flow_run_info", {"filter": {**mine, "states": states}}) for states, _ids in asked)
    page = ("flow_run_info", {"filter": mine, "limit": 2, "offset": 1, "order": "oldest_first"})
    waiting = ("flow_run", {"flow_run_ids": [scheduled, failed], "state": "cancelled", "wait": False})
    remove = ("flow_run", {"filter": mine, "state": "absent"})
    play = run_playbook(orion.management(*tasks, page, waiting, waiting, remove)).check()
    for number, (states, ids) in enumerate(asked):
        result = play.of(str(number)).result
        assert (set(result["flow_run_ids"]), result["total"]) == (ids, len(ids)), states
    assert (len(play.of("5").result["flow_runs"]), play.of("5").result["total"]) == (2, 4)
    cancelled, again = (play.of(number).result for number in ("6", "7"))
    assert (cancelled["changed"], again["changed"]) == (True, False)
    assert [one["state"] for one in cancelled["flow_runs"]] == ["Cancelled", "Failed"]
    assert not orion.rest.flow_runs(made["deployment_id"])


def test_a_work_queue_with_a_filter(run_playbook: RunPlaybook, orion: OlderServer, flow: str) -> None:
    """In the place of a pool: agents are handed out what fits the filter."""
    deployment = orion.rest.create_deployment("append_line")
    fits = orion.rest.create_flow_run(deployment["id"], tags=["night"])["id"]
    orion.rest.create_flow_run(deployment["id"])
    wanted = {"deployments": [deployment["full_name"]], "tags": ["night"]}
    queue = {"name": flow, "description": "x", "concurrency_limit": 2, "filter": wanted}
    foretold = run_playbook(orion.management(("work_pool", queue)), check=True).check().last
    assert foretold["changed"]
    play = run_playbook(orion.management(("work_pool", queue), ("work_pool", queue))).check()
    assert [result.changed for result in play.results] == [True, False]
    assert play.last["work_pool"]["filter"] == {"deployments": [deployment["id"]], "tags": ["night"]}
    found = orion.rest.get(f"/work_queues/name/{flow}")
    assert [run["id"] for run in orion.rest.post(f"/work_queues/{found['id']}/get_runs", {})] == [fits]

    unlimited = {"name": flow, "concurrency_limit": -1, "paused": True, "filter": {}}
    gone = {"name": flow, "state": "absent"}
    play = run_playbook(orion.management(*(("work_pool", one) for one in (unlimited, unlimited)))).check()
    assert [result.changed for result in play.results] == [True, False]
    found = orion.rest.get(f"/work_queues/name/{flow}")
    assert (found["concurrency_limit"], found["is_paused"], found["description"]) == (None, True, "x")
    assert not any(found["filter"].values())
    play = run_playbook(orion.management(("work_pool", gone), ("work_pool", gone))).check()
    assert [result.changed for result in play.results] == [True, False]
