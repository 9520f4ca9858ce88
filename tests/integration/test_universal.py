# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``flow_runner``: the infrastructure comes from task, flow run, deployment or work pool."""

from __future__ import annotations

import copy
import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest
from ansible_play import PlayResult, RunPlaybook
from prefect_rest import FLOWS, PrefectRest
from prefect_server import engine_python
from stock_pools import stock_template

MODULE = "flowops.prefect.flow_runner"
SECRET = "canary-of-a-block-5d1c"


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def told(names: dict[str, str]) -> list[str]:
    """The last words of each line that the flow says about these variables."""
    return [f"{name} is {digest(value)}" for name, value in names.items()]


def said(run: dict[str, Any]) -> list[str]:
    """What the flow itself said."""
    return [line.rpartition(" - ")[2] for line in run["log"]["lines"] if " is " in line]


@pytest.fixture
def task(api_url: str, tmp_path: Path) -> Any:
    """Makes a task; ``keywords`` are those of Ansible."""

    def make(name: str = "Run", keywords: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        arguments = {"api_url": api_url, "state_dir": str(tmp_path / "state"), "log_lines": 50, **options}
        return {"name": name, MODULE: arguments, **(keywords or {})}

    return make


@pytest.fixture
def process_pool(rest: PrefectRest) -> str:
    """A pool as Prefect itself makes them, with one edit: an environment of the pool's own."""
    template = copy.deepcopy(stock_template(rest, "process"))
    template["variables"]["properties"]["env"]["default"] = {"WHO": "pool", "POOL": "pool"}
    return str(rest.create_work_pool(f"process-{uuid.uuid4().hex[:8]}", base_job_template=template)["name"])


@pytest.fixture
def block(rest: PrefectRest) -> str:
    """A block of type secret; its name."""
    name = f"block-{uuid.uuid4().hex[:8]}"
    kind = rest.get("/block_types/slug/secret")
    schemas = rest.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}})
    document = {"block_schema_id": schemas[0]["id"], "block_type_id": kind["id"], "data": {"value": SECRET}}
    rest.post("/block_documents/", {"name": name, **document})
    return name


def test_deployments_of_a_stock_process_pool_run_unchanged(
    run_playbook: RunPlaybook, rest: PrefectRest, process_pool: str, block: str, task: Any
) -> None:
    """Environment and directory come from pool, deployment, run, task and entry; the flow is found by its directory."""
    variable = f"region_{uuid.uuid4().hex[:8]}"
    rest.post("/variables/", {"name": variable, "value": "eu"})
    deployment = rest.create_deployment(
        "show_hash",
        pull_steps=None,
        work_pool_name=process_pool,
        job_variables={
            "working_dir": str(FLOWS),
            "env": {
                "WHO": "deployment",
                "BLOCK": f"{{{{ prefect.blocks.secret.{block} }}}}",
                "REGION": f"{{{{ prefect.variables.{variable} }}}}",
            },
        },
        parameters={"names": ["WHO", "POOL", "BLOCK", "REGION", "TASK"]},
    )
    plain = rest.create_flow_run(deployment["id"])["id"]
    own = rest.create_flow_run(deployment["id"], job_variables={"env": {"WHO": "run"}})["id"]
    options = {
        "python": str(engine_python()),
        "env": {"TASK": "task"},
        "runs": [{"flow_run_id": plain}, {"flow_run_id": own}],
    }
    of_entry = {**options, "runs": [{"flow_run_id": own, "env": {"WHO": "entry"}}], "rerun": "always"}
    play = run_playbook(
        [
            task("Preview", {"check_mode": True}, **options),
            task("Run", stream_output=True, **options),
            task("Entry", {"check_mode": True}, **of_entry),
        ]
    ).check()
    first, second = play.of("Preview").result["would_launch"]
    where, who = f"work pool {process_pool}", f"deployment {deployment['full_name']}"
    assert first["sources"] == {
        "type": where,
        "python": "task",
        "state_dir": "task",
        "working_dir": who,
        "env.BLOCK": who,
        "env.POOL": where,
        "env.REGION": who,
        "env.TASK": "task",
        "env.WHO": who,
    }
    assert first["working_directory"] == str(FLOWS)
    assert second["sources"] == {**first["sources"], "env.WHO": "flow run"}
    (third,) = play.of("Entry").result["would_launch"]
    assert third["sources"]["env.WHO"] == "entry of runs"

    values = {"POOL": "pool", "BLOCK": SECRET, "REGION": "eu", "TASK": "task"}
    for run, word in zip(play.of("Run").result["runs"], ("deployment", "run"), strict=True):
        assert run["phase"] == "succeeded", run
        assert run["infrastructure"]["type"] == "subprocess"
        assert sorted(said(run)) == sorted(told({"WHO": word, **values}))
    assert SECRET not in play.output
    assert SECRET not in str(play.results)


def test_flow_runners_attached_to_deployments(run_playbook: RunPlaybook, rest: PrefectRest, task: Any) -> None:
    """Of the run, of the deployment, of nobody; ``universal`` leaves the type open and keeps its environment."""
    attached: dict[str, Any] = {
        "type": "subprocess",
        "config": {"python": str(engine_python()), "env": {"WHO": "deployment"}},
    }
    bare = {"type": "universal", "config": {"env": {"WHO": "universal"}}}
    names = {"names": ["WHO"]}
    with_runner = rest.create_deployment("show_hash", job_variables={"flow_runner": attached}, parameters=names)
    universal = rest.create_deployment("show_hash", job_variables={"flow_runner": bare}, parameters=names)
    nobody = rest.create_deployment("show_hash", job_variables={"env": {"WHO": "plain"}}, parameters=names)
    of_run = {**attached, "config": {**attached["config"], "env": {"WHO": "run"}}}
    run_id = rest.create_flow_run(with_runner["id"], job_variables={"flow_runner": of_run})["id"]
    more = {"python": str(engine_python())}
    entries = [
        {"deployment": with_runner["full_name"]},
        {"deployment": universal["full_name"], **more},
        {"deployment": nobody["full_name"], **more},
        {"flow_run_id": run_id},
    ]
    first = task(keywords={"register": "first"}, runs=entries, stream_output=True)
    play = run_playbook([first, task("Again", runs="{{ first.runs }}")]).check()
    runs = play.of("Run").result["runs"]
    assert [run["phase"] for run in runs] == ["succeeded"] * 4
    words = ("deployment", "universal", "plain", "run")
    assert [said(run) for run in runs] == [told({"WHO": word}) for word in words]
    again = play.of("Again")
    assert not again.changed
    assert [run["flow_run_id"] for run in again.result["runs"]] == [run["flow_run_id"] for run in runs]


def test_the_task_s_type_overrides(run_playbook: RunPlaybook, rest: PrefectRest, task: Any) -> None:
    """Of what is attached for another type only the environment counts; a strange pool does not matter then."""
    attached = {"type": "docker", "config": {"image": "flows:1", "env": {"WHO": "deployment"}}}
    pool = rest.create_work_pool(f"ecs-{uuid.uuid4().hex[:8]}", "ecs", base_job_template={})["name"]
    deployment = rest.create_deployment(
        "show_hash",
        work_pool_name=pool,
        job_variables={"flow_runner": attached},
        parameters={"names": ["WHO"]},
    )
    play = run_playbook(
        task(deployment=deployment["full_name"], type="subprocess", python=str(engine_python()))
    ).check()
    run = play.last["run"]
    assert (run["phase"], run["infrastructure"]["type"]) == ("succeeded", "subprocess")
    assert said(run) == told({"WHO": "deployment"})


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a pool of a strange type": ({"pool": "ecs"}, {}, "type is not given, and work pool"),
    "a type that does not exist": (
        {"job_variables": {"flow_runner": {"type": "dokcer", "config": {}}}},
        {},
        "Did you mean docker?",
    ),
    "a flow runner without a type": ({"job_variables": {"flow_runner": {"config": {}}}}, {}, "has no type"),
    "a setting that does not exist": (
        {"job_variables": {"flow_runner": {"type": "subprocess", "config": {"pyhton": "/p"}}}},
        {},
        "Did you mean python?",
    ),
    "a block that is not there": (
        {"pool": "process", "job_variables": {"env": {"A": "{{ prefect.blocks.secret.nobody-has-it }}"}}},
        {},
        "There is no block secret/nobody-has-it",
    ),
    "a variable that is not there": (
        {"pool": "process", "job_variables": {"env": {"A": "{{ prefect.variables.nobody_has_it }}"}}},
        {},
        "There is no variable nobody_has_it",
    ),
    "another command": ({"pool": "process", "job_variables": {"command": "sleep 5"}}, {}, "command would start"),
    "a relative directory": ({"pool": "process", "job_variables": {"working_dir": "flows"}}, {}, "working_dir (dep"),
    "a worker's variable": (
        {"pool": "edited", "job_variables": {"env": {"A": "{{ $HOME }}"}}},
        {},
        "env.A takes '$HOME' from the environment of Prefect's worker",
    ),
    "a setting of another type in an entry": (
        {"pool": "process"},
        {"runs": [{"image": "flows:1"}]},
        "image is no setting of subprocess, the type of this run (work pool",
    ),
    "a setting of another type in the task": (
        {},
        {"type": "subprocess", "image": "flows:1"},
        "image is no setting of subprocess, the task's type",
    ),
}


def test_what_cannot_be_used_is_refused_by_name(run_playbook: RunPlaybook, rest: PrefectRest, task: Any) -> None:
    """With a good run beside it, of which nothing is launched either."""
    mark = uuid.uuid4().hex[:8]
    edited = copy.deepcopy(stock_template(rest, "process"))
    edited["variables"]["properties"]["env"]["default"] = {"WHO": "pool"}
    rest.create_work_pool(f"ecs-{mark}", "ecs", base_job_template={})
    rest.create_work_pool(f"process-{mark}", base_job_template=stock_template(rest, "process"))
    rest.create_work_pool(f"edited-{mark}", base_job_template=edited)
    good = rest.create_deployment("hello")
    bad, tasks = {}, []
    for name, (body, options, _says) in REFUSED.items():
        pool = {"work_pool_name": f"{body['pool']}-{mark}"} if "pool" in body else {}
        bad[name] = rest.create_deployment("hello", **pool, job_variables=body.get("job_variables", {}))
        runs = [{"deployment": bad[name]["full_name"], **one} for one in options.get("runs", [{}])]
        rest_of_options = {option: value for option, value in options.items() if option != "runs"}
        runs.append({"deployment": good["full_name"]})
        tasks.append(task(name, {"ignore_errors": True}, runs=runs, python=str(engine_python()), **rest_of_options))
    of_ecs = rest.create_deployment("hello", work_pool_name=f"ecs-{mark}")
    run = rest.create_flow_run(of_ecs["id"])["id"]
    agents = {f"ecs-{mark}": "is of type 'ecs', which is unknown here", f"no-{mark}": "There is no work pool no-"}
    tasks.extend(task(pool, {"ignore_errors": True}, work_pool=pool, python=str(engine_python())) for pool in agents)
    play: PlayResult = run_playbook(tasks)
    for pool_name, says in agents.items():
        assert says in play.of(pool_name).result["msg"]
    assert rest.state_type(run) == "SCHEDULED"  # no agent of ours, no business of ours
    for name, (_body, _options, says) in REFUSED.items():
        refused = play.of(name)
        assert refused.failed, (name, refused.result)
        assert says in refused.result["msg"], (name, refused.result["msg"])
        assert rest.flow_runs(bad[name]["id"]) == [], name
    assert rest.flow_runs(good["id"]) == []
