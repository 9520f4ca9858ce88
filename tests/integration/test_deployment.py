# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``deployment`` against a real server: what it makes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_play import PlayResult, RunPlaybook
from prefect_rest import FLOWS, PrefectRest, RestError
from prefect_server import engine_python

MODULE = "flowops.prefect.deployment"
VIRTUALENV = str(engine_python().parent.parent)
PULL = [{"prefect.deployments.steps.set_working_directory": {"directory": str(FLOWS)}}]

#: From the environment, since Ansible shows the source of tasks that fail.
SECRET = "canary-of-a-deployment"
CANARY = "{{ lookup('env', 'FLOWOPS_TEST_CANARY') }}"

Deploy = Callable[..., PlayResult]


@pytest.fixture
def flow() -> str:
    """The name of a flow that no other test knows."""
    return f"flow-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def deploy(run_playbook: RunPlaybook, api_url: str) -> Deploy:
    """Run the module, once for each mapping of options, in one play."""

    def run(*tasks: dict[str, Any], ignore_errors: bool = False, **keywords: Any) -> PlayResult:
        more = {"ignore_errors": True} if ignore_errors else {}
        play = [{"name": f"Task {n}", MODULE: {"api_url": api_url, **one}, **more} for n, one in enumerate(tasks)]
        return run_playbook(play, env={"FLOWOPS_TEST_CANARY": SECRET}, **keywords)

    return run


def named(rest: PrefectRest, flow: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = rest.get(f"/deployments/name/{flow}/{name}")
    return found


def exists(rest: PrefectRest, flow: str, name: str) -> bool:
    try:
        named(rest, flow, name)
    except RestError as error:
        return error.status != 404
    return True


def full(flow: str, pool: str) -> dict[str, Any]:
    """Everything that can be said of a deployment."""
    return {
        "flow": flow,
        "name": "everything",
        "entrypoint": "hello.py:hello",
        "pull_steps": PULL,
        "parameters": {"name": "Ada"},
        "parameter_openapi_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
        "enforce_parameter_schema": True,
        "tags": ["b", "a"],
        "schedules": [
            {"cron": "0 5 * * *", "timezone": "Europe/Berlin"},
            {"interval": 3600, "parameters": {"name": "Grace"}, "active": False},
            {"interval": 60, "anchor_date": "2026-01-01T00:00:00Z", "max_scheduled_runs": 2},
            {"rrule": "FREQ=DAILY;COUNT=3", "timezone": "UTC"},
        ],
        "description": "Greets *somebody*.",
        "version": "1.0",
        "paused": True,
        "concurrency_limit": 3,
        "work_pool_name": pool,
        "work_queue_name": "urgent",
        "job_variables": {"working_dir": "/tmp"},
        "flow_runner": {"type": "docker", "image": "registry.example.com/flows:1", "env": {"STYLE": "plain"}},
    }


def test_from_nothing_to_gone(deploy: Deploy, rest: PrefectRest, flow: str) -> None:
    pool = rest.create_work_pool(f"pool-{flow}")["name"]
    options = full(flow, pool)
    options["parameter_openapi_schema"]["properties"]["a"] = NESTED
    options["parameters"]["a"] = {"x": 1}
    foretold = deploy(options, check=True, diff=True).check().last
    assert foretold["changed"]
    assert foretold["deployment"]["action"] == "created"
    assert not exists(rest, flow, "everything")

    change = {"flow": flow, "name": "everything", "tags": ["c"], "concurrency_limit": 0}
    play = deploy(options, options, change, diff=True).check()
    made, again, changed = (play.of(f"Task {n}").result for n in range(3))
    assert json.loads(made["diff"]["after"]) == json.loads(foretold["diff"]["after"])
    assert made["diff"]["before"] == ""
    assert (made["deployment"]["action"], made["msg"]) == ("created", foretold["msg"])
    assert not again["changed"], again["deployment"]["changed_options"]
    assert again["deployment"]["action"] == "none"
    assert again["deployment"]["deployment_id"] == made["deployment"]["deployment_id"]
    assert changed["deployment"]["changed_options"] == ["tags", "concurrency_limit"]
    assert json.loads(changed["diff"]["before"]) == {f"{flow}/everything": {"tags": ["a", "b"], "concurrency_limit": 3}}

    found = named(rest, flow, "everything")
    assert (found["paused"], found["version"], found["work_queue_name"]) == (True, "1.0", "urgent")
    assert (found["tags"], found["global_concurrency_limit"], found["description"]) == (
        ["c"],
        None,
        "Greets *somebody*.",
    )
    assert found["pull_steps"] == PULL
    assert len(found["schedules"]) == 4
    assert found["job_variables"] == {
        "working_dir": "/tmp",
        "flow_runner": {
            "type": "docker",
            "config": {"image": "registry.example.com/flows:1", "env": {"STYLE": "plain"}},
        },
    }

    gone = {"flow": flow, "name": "everything", "state": "absent"}
    assert deploy(gone, check=True).check().last["changed"]
    assert exists(rest, flow, "everything")
    play = deploy(gone, gone).check()
    assert [play.of(f"Task {n}").changed for n in range(2)] == [True, False]
    assert not exists(rest, flow, "everything")


def test_what_is_not_given_stays_untouched(deploy: Deploy, rest: PrefectRest, flow: str) -> None:
    start = {"flow": flow, "name": "one", "schedules": [{"cron": "0 5 * * *", "slug": "daily"}, {"interval": 60}]}
    deploy({**start, "job_variables": {"a": 1}, "flow_runner": {"type": "universal"}}).check()
    before = named(rest, flow, "one")
    rest.request("PATCH", f"/deployments/{before['id']}", {"paused": True})
    steps = [
        {"flow": flow, "name": "one", "flow_runner": {"type": "subprocess", "virtualenv": "/srv/venv"}},
        {"flow": flow, "name": "one", "job_variables": {"b": 2}},
        {"flow": flow, "name": "one", "schedules": [{"interval": 60}, {"cron": "0 6 * * *", "slug": "daily"}]},
    ]
    elsewhere = {"flow": flow, "name": "elsewhere"}
    unreachable = {**elsewhere, "path": "/srv/flows", "flow_runner": {"type": "docker"}, "storage_check": "off"}
    deploy(unreachable, {**elsewhere, "paused": True}).check()
    refused = deploy({"flow": flow, "name": "one", "tags": ["x"], "schedules": [{"cron": "99 6 * * *"}]}).last
    assert ("Invalid cron string" in refused["msg"], refused["changed"]) == (True, False)
    assert named(rest, flow, "one")["tags"] == []
    play = deploy(*steps, *steps).check()
    assert [one.changed for one in play.results] == [True] * 3 + [False] * 3
    after = named(rest, flow, "one")
    assert after["paused"]
    assert after["job_variables"] == {
        "b": 2,
        "flow_runner": {"type": "subprocess", "config": {"virtualenv": "/srv/venv"}},
    }
    # The server's own update of schedules would have made both anew, and their runs with them.
    ids = {schedule["id"] for schedule in before["schedules"]}
    assert {schedule["id"] for schedule in after["schedules"]} == ids
    crons = [schedule["schedule"].get("cron") for schedule in after["schedules"]]
    assert sorted(filter(None, crons)) == ["0 6 * * *"]


def test_a_change_of_the_flow_runner_does_not_reach_runs_that_exist(
    deploy: Deploy, rest: PrefectRest, flow: str
) -> None:
    first = {"type": "subprocess", "virtualenv": "/srv/one"}
    deploy({"flow": flow, "name": "one", "flow_runner": first}, {"flow": flow, "name": "bare"}).check()
    one, bare = named(rest, flow, "one"), named(rest, flow, "bare")
    run = rest.create_flow_run(one["id"])["id"]
    own = {"type": "docker", "config": {}}
    with_own = rest.create_flow_run(one["id"], job_variables={"flow_runner": own, "x": 1})["id"]
    over = rest.create_flow_run(one["id"])["id"]
    rest.set_state(over, "COMPLETED", force=True)
    of_bare = rest.create_flow_run(bare["id"])["id"]
    second = {"type": "subprocess", "virtualenv": "/srv/two"}
    entries = [{"name": "one"}, {"name": "bare"}]
    deploy({"flow": flow, "deployments": entries, "flow_runner": second}).check()
    variables = {run_id: rest.flow_run(run_id)["job_variables"] for run_id in (run, with_own, over, of_bare)}
    assert variables[run] == {"flow_runner": {"type": "subprocess", "config": {"virtualenv": "/srv/one"}}}
    assert variables[with_own] == {"flow_runner": own, "x": 1}
    assert not variables[over]
    assert variables[of_bare] == {"flow_runner": {"type": "universal", "config": {}}}


def test_name_and_schema_are_read_from_the_code(deploy: Deploy, rest: PrefectRest) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    options = {"name": name, "entrypoint": "hello.py:hello", "pull_steps": PULL, "virtualenv": VIRTUALENV}
    play = deploy(options, options, {**options, "parameters": {"name": 5}})
    assert [one.changed for one in play.results] == [True, False, False]
    assert "parameters do not fit the flow: name: 5 is not of type 'string'" in play.last["msg"]
    found = named(rest, "hello", name)
    assert found["parameter_openapi_schema"]["properties"]["name"]["default"] == "world"
    assert found["parameters"] == {}


PREFECT_YAML = """
name: project
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: "{directory}"
deployments:
  - name: "{name}-a"
    entrypoint: hello.py:hello
    parameters: {{name: Ada}}
    schedules:
      - cron: 0 5 * * *
        anchor_date: null
    work_pool: {{name: null, job_variables: {{env: {{WHO: "{{{{ prefect.variables.who }}}}"}}}}}}
  - name: "{name}-b"
    entrypoint: fail.py:fail
    triggers:
      - enabled: true
"""


def test_a_prefect_yaml(deploy: Deploy, rest: PrefectRest, tmp_path: Path) -> None:
    name, file = f"test-{uuid.uuid4().hex[:8]}", tmp_path / "prefect.yaml"
    file.write_text(PREFECT_YAML.format(directory=FLOWS, name=name))
    options = {"from_file": str(file), "source_dir": str(FLOWS), "virtualenv": VIRTUALENV, "tags": ["imported"]}
    play = deploy(options, options).check()
    assert [one.changed for one in play.results] == [True, False]
    assert "triggers is left out" in play.output
    first, second = named(rest, "hello", f"{name}-a"), named(rest, "fail", f"{name}-b")
    assert (first["parameters"], first["tags"], second["tags"]) == ({"name": "Ada"}, ["imported"], ["imported"])
    assert first["job_variables"] == {"env": {"WHO": "{{ prefect.variables.who }}"}}
    assert first["schedules"][0]["schedule"]["cron"] == "0 5 * * *"
    assert first["pull_steps"] == second["pull_steps"] == PULL

    file.write_text(file.read_text().replace("hello.py:hello", "'{{ build-image.entrypoint }}'"))
    refused = deploy(options)
    assert "from_file: deployments[0].entrypoint uses '{{ build-image.entrypoint }}'" in refused.last["msg"]


#: What a default leaves out a run may give.
NESTED = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["y"]}
BAD = {
    "unknown": ({"nmae": "x"}, "nmae is no option here. Did you mean name?"),
    "type": ({"tags": {"a": 1}}, "tags is a mapping, not a list"),
    "runner": ({"flow_runner": {"type": "dokcer"}}, "flow_runner.type is the text 'dokcer'"),
    "setting": ({"flow_runner": {"type": "docker", "imag": "x"}}, "flow_runner.imag is no option here"),
    "twice": ({"job_variables": {"flow_runner": {"type": "docker"}}}, "job_variables has flow_runner, which is an"),
    "secret": ({"flow_runner": {"type": "docker", "secret_env": {"A": CANARY}}}, "readable on the server"),
    "schedule": ({"schedules": [{"cron": "0 5 * * *", "interval": 5}]}, "schedules[0] needs just one of"),
    "cron": ({"schedules": [{"cron": "99 5 * * *"}]}, "Invalid cron string"),
    "pool": ({"work_pool_name": "no-such-pool"}, "there is no work pool no-such-pool"),
    "schema": (
        {"parameters": {"n": "x"}, "parameter_openapi_schema": {"properties": {"n": {"type": "integer"}}}},
        "parameters do not fit the flow: n: 'x' is not",
    ),
    "depth": (
        {"parameters": {"a": {"x": "x"}}, "parameter_openapi_schema": {"properties": {"a": NESTED}}},
        "parameters do not fit the flow: a.x: 'x' is not",
    ),
    "no schema": ({"entrypoint": "a.py:b"}, "parameter_openapi_schema is missing for a new deployment"),
    "entrypoint": (
        {"entrypoint": "gone.py:b", "virtualenv": VIRTUALENV, "source_dir": str(FLOWS)},
        "entrypoint: gone.py:b cannot be read",
    ),
    "other flow": (
        {"entrypoint": "hello.py:hello", "virtualenv": VIRTUALENV, "source_dir": str(FLOWS)},
        "is called hello",
    ),
    "storage": (
        {"path": "/srv/flows", "flow_runner": {"type": "kubernetes"}},
        "requires remote storage",
    ),
}
#: Rules that only the server knows, when it is asked to make the bad one.
SEEN_LATE = ("cron",)


def test_bad_input_makes_nothing(deploy: Deploy, rest: PrefectRest, flow: str) -> None:
    """A good deployment stands before the bad one: it is not made either, where the mistake can be seen early."""
    tasks = []
    for case, (options, _words) in BAD.items():
        good = {"flow": flow, "name": "late" if case in SEEN_LATE else "early"}
        tasks.append({"deployments": [good, {"flow": flow, "name": "bad", **options}]})
    play = deploy(*tasks, ignore_errors=True)
    results = {case: play.of(f"Task {n}") for n, case in enumerate(BAD)}
    for case, (_options, words) in BAD.items():
        assert results[case].failed, case
        assert words in results[case].result["msg"], case
        assert results[case].result["category"] in ("bad_settings", "api_error"), case
        assert results[case].changed == (case in SEEN_LATE), case
    assert SECRET not in play.output + str(play.results)
    assert not exists(rest, flow, "bad")
    assert not exists(rest, flow, "early")
    assert exists(rest, flow, "late")


def test_what_the_pool_refuses_and_no_secret_in_it(deploy: Deploy, rest: PrefectRest, flow: str) -> None:
    """The server's own words, at creation and at a change."""
    pool = rest.create_work_pool(
        f"pool-{flow}",
        "process",
        base_job_template={
            "job_configuration": {"n": "{{ n }}"},
            "variables": {"type": "object", "properties": {"n": {"type": "integer"}}},
        },
    )["name"]
    options = {"flow": flow, "name": "one", "work_pool_name": pool}
    variables = {"n": "much", "env": {"API_TOKEN": CANARY}}
    both = {"deployments": [{**options, "name": "early"}, {**options, "job_variables": variables}]}
    for check in (True, False):
        refused = deploy(both, arguments=["-vvv"], diff=True, check=check)
        assert f"job variables do not fit the work pool {pool}: n: 'much' is not" in refused.last["msg"]
    assert not exists(rest, flow, "one")
    assert not exists(rest, flow, "early")
    good = {**options, "job_variables": {**variables, "n": 1}}
    play = deploy(good, arguments=["-vvv"], diff=True).check()
    changed = deploy({**good, "job_variables": variables}, arguments=["-vvv"], diff=True)
    assert "'much' is not valid" in changed.last["msg"]
    assert named(rest, flow, "one")["job_variables"]["n"] == 1
    assert play.last["deployment"]["job_variables"] == {"n": 1, "env": {"API_TOKEN": "********"}}
    everything = [one.output + str(one.results) for one in (refused, play, changed)]
    assert not any(SECRET in text for text in everything)
    rest.request("PATCH", f"/work_pools/{pool}", {"is_paused": True})
    assert "is paused" in deploy({**good, "tags": ["x"]}).check().output
