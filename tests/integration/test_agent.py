# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow_runner`` with a work pool: one cycle of an agent, and the playbook that goes on."""

from __future__ import annotations

import datetime
import os
import signal
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_play import COLLECTION_ROOT, RunPlaybook, StartPlaybook
from prefect_rest import FLOWS, PrefectRest
from prefect_server import engine_python
from runner import CountedRun
from scenarios import processes_of, wait_until
from stock_pools import stock_template, stock_worker

pytestmark = pytest.mark.usefixtures("nothing_left")

MODULE = "flowops.prefect.flow_runner"
AGENT = (COLLECTION_ROOT / "playbooks" / "agent.yml").read_text()
VARIABLES = {"working_dir": str(FLOWS)}


@pytest.fixture
def pool(rest: PrefectRest) -> str:
    """A pool of a type that workers know."""
    name = f"pool-{uuid.uuid4().hex[:8]}"
    return str(rest.create_work_pool(name, base_job_template=stock_template(rest, "process"))["name"])


@dataclass(frozen=True)
class DueRun(CountedRun):
    """A scheduled run in the pool, with a body that can be counted."""

    deployment: str


def due(rest: PrefectRest, pool: str, folder: Path, number: int, sleep: float = 0, **body: Any) -> list[DueRun]:
    """Scheduled runs of one deployment."""
    deployment = rest.create_deployment("append_line", work_pool_name=pool, **body)
    made = []
    for _number in range(number):
        file = folder / f"bodies-{uuid.uuid4().hex[:8]}"
        run = rest.create_flow_run(deployment["id"], {"path": str(file), "sleep": sleep})
        made.append(DueRun(run["id"], file, deployment["id"]))
    return made


def cycle(api_url: str, pool: str, folder: Path, name: str = "Cycle", **options: Any) -> dict[str, Any]:
    arguments = {
        "api_url": api_url,
        "work_pool": pool,
        "python": str(engine_python()),
        "state_dir": str(folder / "state"),
        **options,
    }
    return {"name": name, MODULE: arguments}


def test_one_cycle(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, pool: str, tmp_path: Path) -> None:
    """What is due is launched, what is broken is reported, what is not due is left; and nothing again."""
    good = due(rest, pool, tmp_path, 2)
    strange = due(rest, pool, tmp_path, 1, job_variables={"flow_runner": {"type": "zeppelin", "config": {}}})
    broken = due(rest, pool, tmp_path, 1, job_variables={"command": "rm -rf x"})
    nowhere = due(rest, pool, tmp_path, 1, job_variables={"working_dir": "/nonexistent/flows"})
    deployment = rest.create_deployment("append_line", work_pool_name=pool)
    tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).isoformat()
    later = rest.create_flow_run(
        deployment["id"], state={"type": "SCHEDULED", "state_details": {"scheduled_time": tomorrow}}
    )["id"]
    play = run_playbook(
        [
            {**cycle(api_url, pool, tmp_path, "Check"), "check_mode": True},
            cycle(api_url, pool, tmp_path, "First", wait_timeout=120),
            cycle(api_url, pool, tmp_path, "Second"),
        ]
    ).check()
    check, first, second = (play.of(name) for name in ("Check", "First", "Second"))
    assert check.changed
    assert {run["flow_run_id"] for run in first.result["runs"]} == {run.id for run in good}
    assert {run["phase"] for run in first.result["runs"]} == {"succeeded"}
    assert [run.executions for run in (*good, *strange, *broken, *nowhere)] == [1, 1, 0, 0, 0]
    says = {strange[0].id: "zeppelin", broken[0].id: "command would start", nowhere[0].id: "/nonexistent"}
    for run_id, text in says.items():
        state = rest.flow_run(run_id)["state"]
        assert (state["type"], text in state["message"]) == ("CRASHED", True), state
        assert any(run_id in warning for warning in first.result["warnings"])
    assert rest.state_type(later) == "SCHEDULED"
    assert (second.result["runs"], second.result["msg"], second.changed) == ([], "no runs", False)
    (worker,) = rest.post(f"/work_pools/{pool}/workers/filter", {})
    assert worker["status"] == "ONLINE"


def test_limits_priorities_and_paused_pools(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, pool: str, tmp_path: Path
) -> None:
    rest.post(f"/work_pools/{pool}/queues", {"name": "urgent", "priority": 1})
    rest.request("PATCH", f"/work_pools/{pool}/queues/default", {"priority": 2})
    rest.request("PATCH", f"/work_pools/{pool}", {"concurrency_limit": 1})
    (normal,) = due(rest, pool, tmp_path, 1)
    (urgent,) = due(rest, pool, tmp_path, 1, sleep=60, work_queue_name="urgent")
    run_playbook(cycle(api_url, pool, tmp_path, wait=False)).check()
    rest.wait_for_state(urgent.id, "RUNNING")
    again = run_playbook(cycle(api_url, pool, tmp_path, wait=False)).check()
    assert [run["flow_run_id"] for run in again.last["runs"]] == [urgent.id]
    assert (again.last["runs"][0]["action"], rest.state_type(normal.id)) == ("adopted", "SCHEDULED")

    rest.request("PATCH", f"/work_pools/{pool}", {"concurrency_limit": None})
    full = run_playbook(cycle(api_url, pool, tmp_path, wait=False, limit=1)).check()
    assert [run["flow_run_id"] for run in full.last["runs"]] == [urgent.id]
    assert (full.last["changed"], rest.state_type(normal.id)) == (False, "SCHEDULED")

    rest.request("PATCH", f"/work_pools/{pool}", {"is_paused": True})
    rest.set_state(urgent.id, "CANCELLING")
    paused = run_playbook(cycle(api_url, pool, tmp_path, stop_grace=5, fail_on=[])).check()
    assert [run["phase"] for run in paused.last["runs"]] == ["cancelled"]
    assert (rest.state_type(urgent.id), rest.state_type(normal.id)) == ("CANCELLED", "SCHEDULED")
    rest.request("PATCH", f"/work_pools/{pool}", {"is_paused": False})
    limited = run_playbook(cycle(api_url, pool, tmp_path, limit=1, work_queues=["default"])).check()
    assert [(run["flow_run_id"], run["phase"]) for run in limited.last["runs"]] == [(normal.id, "succeeded")]
    assert normal.executions == urgent.executions == 1


def agent_variables(api_url: str, pool: str, state: Path, **more: Any) -> dict[str, Any]:
    """What the playbook is given."""
    return {
        "prefect_api_url": api_url,
        "prefect_pool": pool,
        "prefect_concurrency": 2,
        "prefect_virtualenv": str(engine_python().parent.parent),
        "prefect_state_dir": str(state),
        **more,
    }


def wait_for_ends(rest: PrefectRest, deployments: Sequence[str], number: int) -> None:
    """Wait until so many runs of the deployments are at their end."""
    body = {
        "deployments": {"id": {"any_": list(deployments)}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED", "CRASHED"]}}},
    }
    wait_until(lambda: rest.post("/flow_runs/count", body) == number, f"{number} runs at their end", 900, interval=1)


def test_a_hundred_runs_several_agents_and_one_that_is_killed(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, pool: str, tmp_path: Path
) -> None:
    """Each run is executed once, whoever took it; those that cannot be launched are reported and stop nobody."""
    runs = due(rest, pool, tmp_path, 98)
    strange = due(rest, pool, tmp_path, 1, job_variables={"flow_runner": {"type": "zeppelin", "config": {}}})
    broken = due(rest, pool, tmp_path, 1, job_variables={"flow_runner": {"type": "subprocess", "config": {"env": 5}}})
    everything = [*runs, *strange, *broken]
    agents = [
        start_playbook(AGENT, extra_vars=agent_variables(api_url, pool, tmp_path / f"state-{number}"))
        for number in range(3)
    ]
    wait_until(lambda: sum(run.executions for run in runs) >= 10, "ten bodies", timeout=300)
    agents[0].kill()
    wait_for_ends(rest, sorted({run.deployment for run in everything}), len(everything))
    assert [run.executions for run in runs] == [1] * len(runs)
    assert {rest.state_type(run.id) for run in runs} == {"COMPLETED"}
    for run, text in ((strange[0], "zeppelin"), (broken[0], "flow_runner")):
        state = rest.flow_run(run.id)["state"]
        assert (run.executions, state["type"], text in state["message"]) == (0, "CRASHED", True), state
    for agent in agents[1:]:
        assert agent.process.poll() is None, agent.stdout
        agent.kill()


def test_an_agent_beside_prefect_s_own_worker(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, pool: str, tmp_path: Path
) -> None:
    """Each run is executed once, whoever took it."""
    runs = due(rest, pool, tmp_path, 50)
    with stock_worker(api_url, pool, tmp_path / "worker", limit=2):
        wait_until(lambda: any(run.executions for run in runs), "the worker's first body", timeout=120)
        agent = start_playbook(AGENT, extra_vars=agent_variables(api_url, pool, tmp_path / "state"))
        wait_for_ends(rest, [runs[0].deployment], len(runs))
        agent.kill()
    assert {rest.state_type(run.id) for run in runs} == {"COMPLETED"}
    assert [run.executions for run in runs] == [1] * len(runs)
    assert {bool(rest.inputs(run.id, "flowops-")) for run in runs} == {True, False}, "only one of them took runs"


@pytest.mark.parametrize(
    ("core", "number"),
    [("core-oldest", signal.SIGTERM), ("core-newest", signal.SIGTERM), ("dev", signal.SIGKILL)],
    ids=["SIGTERM-oldest", "SIGTERM-newest", "SIGKILL"],
)
def test_an_agent_that_is_told_to_end(
    start_playbook: StartPlaybook,
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    pool: str,
    tmp_path: Path,
    core: str,
    number: signal.Signals,
) -> None:
    """It takes up nothing more, what it has taken up runs to its end by itself, and the rest is the next agent's."""
    runs = due(rest, pool, tmp_path, 6, sleep=2)
    variables = agent_variables(api_url, pool, tmp_path / "state")
    agent = start_playbook(AGENT, extra_vars=variables, core=core)
    wait_until(lambda: any(run.executions for run in runs), "the first body", timeout=120)
    os.kill(agent.process.pid, number)
    assert agent.wait().rc == -number
    wait_until(lambda: not processes_of(agent), "the end of everything but supervisors and engines")
    attempts = "".join(path.name for path in (tmp_path / "state" / "runs").iterdir())
    taken = [run for run in runs if run.id in attempts]
    left = [run for run in runs if run.id not in attempts]
    assert [rest.wait_for_state(run.id, timeout=120) for run in taken] == ["COMPLETED"] * len(taken)
    assert left
    assert [(rest.state_type(run.id), rest.inputs(run.id)) for run in left] == [("SCHEDULED", {})] * len(left)
    following = run_playbook(cycle(api_url, pool, tmp_path)).check()
    assert {run["flow_run_id"]: run["phase"] for run in following.last["runs"]} == {run.id: "succeeded" for run in left}
    assert [run.executions for run in runs] == [1] * len(runs)
