# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules ``work_pool`` and ``deployment_info`` against a real server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from ansible_play import PlayResult, RunPlaybook
from prefect_rest import PrefectRest, RestError

MODULE = "flowops.prefect.work_pool"
DEPLOYMENT = "flowops.prefect.deployment"
INFO = "flowops.prefect.deployment_info"

Play = Callable[..., PlayResult]


@pytest.fixture
def play(run_playbook: RunPlaybook, api_url: str) -> Play:
    """Run tasks with the module, or with another one by its name, in one play."""

    def run(*tasks: dict[str, Any], ignore_errors: bool = False, **keywords: Any) -> PlayResult:
        more = {"ignore_errors": True} if ignore_errors else {}
        made = []
        for number, given in enumerate(tasks):
            options = {"api_url": api_url, **given}
            made.append({"name": f"Task {number}", options.pop("module", MODULE): options, **more})
        return run_playbook(made, **keywords)

    return run


@pytest.fixture
def name() -> str:
    """The name of a pool that no other test knows."""
    return f"pool-{uuid.uuid4().hex[:8]}"


def exists(rest: PrefectRest, name: str) -> bool:
    try:
        rest.get(f"/work_pools/{name}")
    except RestError as error:
        return error.status != 404
    return True


def queues_of(rest: PrefectRest, name: str) -> dict[str, dict[str, Any]]:
    return {queue["name"]: queue for queue in rest.post(f"/work_pools/{name}/queues/filter", {})}


def test_from_nothing_to_gone(play: Play, rest: PrefectRest, name: str) -> None:
    options = {
        "name": name,
        "description": "Servers",
        "concurrency_limit": 5,
        "queues": [
            {"name": "later", "priority": 3, "concurrency_limit": 1, "description": "x"},
            {"name": "urgent", "priority": 1},
            {"name": "default", "priority": 2, "paused": True},
        ],
    }
    foretold = play(options, check=True, diff=True).check().last
    assert foretold["work_pool"]["action"] == "created"
    assert not exists(rest, name)
    change = {"name": name, "paused": True, "concurrency_limit": -1, "queues": [{"name": "later", "state": "absent"}]}
    result = play(options, options, change, change, diff=True).check()
    assert [one.changed for one in result.results] == [True, False, True, False]
    made, changed = result.of("Task 0").result, result.of("Task 2").result
    assert made["diff"] == foretold["diff"]
    assert json.loads(made["diff"]["after"])["type"] == "ansible"
    assert [queue["name"] for queue in made["work_pool"]["queues"]] == ["urgent", "default", "later"]
    before, after = (json.loads(changed["diff"][side]) for side in ("before", "after"))
    assert (before["paused"], after["paused"], before["concurrency_limit"], after["concurrency_limit"]) == (
        False,
        True,
        5,
        -1,
    )
    pool, queues = rest.get(f"/work_pools/{name}"), queues_of(rest, name)
    assert (pool["type"], pool["is_paused"], pool["concurrency_limit"]) == ("ansible", True, None)
    assert pool["description"] == "Servers"
    assert set(queues) == {"urgent", "default"}
    assert queues["default"]["is_paused"]

    gone = {"name": name, "state": "absent"}
    assert play(gone, check=True).check().last["changed"]
    assert exists(rest, name)
    result = play(gone, gone).check()
    assert [one.changed for one in result.results] == [True, False]
    assert result.last["work_pool"] == {"name": name, "action": "none", "queues": []}
    assert not exists(rest, name)


def test_the_server_itself_refuses_a_bad_flow_runner(play: Play, rest: PrefectRest, name: str) -> None:
    """Whoever sends it; and what the module ``deployment`` attaches is good."""
    flow = f"flow-{name}"
    good = {"type": "docker", "image": "registry.example.com/x:1", "mem_limit": "1g", "env": {"A": "1"}}
    deployment = {"module": DEPLOYMENT, "flow": flow, "name": "one", "work_pool_name": name, "flow_runner": good}
    info = {"module": INFO, "deployments": [f"{flow}/one"]}
    result = play({"name": name, "type": "ansible"}, deployment, info, {"module": INFO, "flows": [flow]}).check()
    found = result.of("Task 2").result["deployment"]
    assert found["flow_runner"] == {**good, "mem_limit": str(2**30)}
    assert found["work_pool_name"] == name
    assert result.last["deployments"] == [found]
    bad = [
        ({"type": "docker", "config": {"imgae": "x"}}, "flow_runner.config"),
        ({"type": "docker", "config": {"mem_limit": 5}}, "flow_runner.config.mem_limit"),
        ({"type": "podman"}, "flow_runner.type"),
    ]
    flow_id = rest.create_flow(flow)
    for number, (runner, words) in enumerate(bad):
        body = {"name": f"bad-{number}", "flow_id": flow_id, "work_pool_name": name}
        with pytest.raises(RestError, match=words) as caught:
            rest.post("/deployments/", {**body, "job_variables": {"flow_runner": runner}})
        assert caught.value.status == 422
        with pytest.raises(RestError, match=words):
            rest.create_flow_run(found["deployment_id"], job_variables={"flow_runner": runner})
    with pytest.raises(RestError, match="flow_runer"):
        rest.create_flow_run(found["deployment_id"], job_variables={"flow_runer": {"type": "docker"}})
    run = rest.create_flow_run(found["deployment_id"], job_variables={"flow_runner": {"type": "kubernetes"}})
    assert run["job_variables"] == {"flow_runner": {"type": "kubernetes"}}


def test_our_template_is_brought_up_to_date_only_when_asked(
    play: Play, rest: PrefectRest, api_url: str, name: str
) -> None:
    """And the address comes from the controller's environment where the task has none."""
    rest.create_work_pool(name, "ansible")
    ours = {"name": name, "type": "ansible"}
    result = play({"name": name, "api_url": None}, ours, ours, env={"PREFECT_API_URL": api_url}).check()
    assert [one.changed for one in result.results] == [False, True, False]
    assert "flow_runner" in rest.get(f"/work_pools/{name}")["base_job_template"]["variables"]["properties"]


def test_bad_input(play: Play, rest: PrefectRest, name: str) -> None:
    other = rest.create_work_pool(f"other-{name}")["name"]
    undeclared = {"job_configuration": {"a": "{{ '{{ b }}' }}"}, "variables": {"type": "object", "properties": {}}}
    cases = [
        ({"name": other, "type": "ansible"}, "has the type process, which cannot be changed"),
        ({"name": name, "base_job_template": undeclared, "type": "process"}, "undeclared variable(s): b"),
        ({"name": f"prefect-{name}"}, "which the server reserves"),
        ({"name": name, "concurrency_limit": "many"}, "concurrency_limit is the text 'many', not a whole number"),
        ({"name": name, "queues": [{"name": "a"}, {"name": "a"}]}, "queues[1].name is a queue that was named before"),
        ({"name": name, "queues": [{"name": "a", "priority": 2}, {"name": "b", "priority": 2}]}, "is 2 a second time"),
        ({"name": name, "queues": [{"name": "default", "state": "absent"}]}, "cannot be removed"),
        ({"name": name, "queues": [{"nmae": "a"}]}, "queues[0].nmae is no option here"),
        ({"name": "a/b"}, "with a character that names must not have"),
        ({}, "name is missing"),
        ({"module": INFO, "deployments": ["no/such"]}, "There is no deployment no/such"),
    ]
    result = play(*(options for options, _words in cases), ignore_errors=True)
    for number, (_options, words) in enumerate(cases):
        one = result.of(f"Task {number}")
        assert one.failed, words
        assert words in one.result["msg"]
    assert not exists(rest, name)
