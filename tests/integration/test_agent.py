# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow_runner`` with a work pool: one cycle of an agent, and the playbook that goes on."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import Any

import pytest
from ansible_play import COLLECTION_ROOT, RunPlaybook, StartPlaybook
from prefect_rest import FLOWS, PrefectRest
from prefect_server import engine_python
from runner import CountedRun
from scenarios import wait_until
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


def due(rest: PrefectRest, pool: str, folder: Path, number: int, sleep: float = 0, **body: Any) -> list[CountedRun]:
    """Scheduled runs in the pool, with bodies that can be counted."""
    deployment = rest.create_deployment("append_line", work_pool_name=pool, **body)
    made = []
    for _number in range(number):
        file = folder / f"bodies-{uuid.uuid4().hex[:8]}"
        run = rest.create_flow_run(deployment["id"], {"path": str(file), "sleep": sleep})
        made.append(CountedRun(run["id"], file))
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

    rest.request("PATCH", f"/work_pools/{pool}", {"concurrency_limit": None, "is_paused": True})
    rest.set_state(urgent.id, "CANCELLING")
    paused = run_playbook(cycle(api_url, pool, tmp_path, stop_grace=5, fail_on=[])).check()
    assert [run["phase"] for run in paused.last["runs"]] == ["cancelled"]
    assert (rest.state_type(urgent.id), rest.state_type(normal.id)) == ("CANCELLED", "SCHEDULED")
    rest.request("PATCH", f"/work_pools/{pool}", {"is_paused": False})
    limited = run_playbook(cycle(api_url, pool, tmp_path, limit=1, work_queues=["default"])).check()
    assert [(run["flow_run_id"], run["phase"]) for run in limited.last["runs"]] == [(normal.id, "succeeded")]
    assert normal.executions == urgent.executions == 1


def test_several_agents_and_one_that_is_killed(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, pool: str, tmp_path: Path
) -> None:
    """Each run is executed once, whoever took it."""
    runs = due(rest, pool, tmp_path, 9, sleep=1)
    variables = {
        "prefect_api_url": api_url,
        "prefect_pool": pool,
        "prefect_interval": 2,
        "prefect_limit": 3,
        "prefect_concurrency": 2,
        "prefect_virtualenv": str(engine_python().parent.parent),
    }
    agents = [
        start_playbook(AGENT, extra_vars={**variables, "prefect_state_dir": str(tmp_path / f"state-{number}")})
        for number in range(3)
    ]
    wait_until(lambda: any(run.executions for run in runs), "the first body", timeout=120)
    agents[0].kill()
    wait_until(lambda: all(rest.state_type(run.id) == "COMPLETED" for run in runs), "the end of all runs", timeout=240)
    assert [run.executions for run in runs] == [1] * len(runs)
    for agent in agents[1:]:
        assert agent.process.poll() is None, agent.stdout
        agent.kill()


def test_an_agent_beside_prefect_s_own_worker(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, pool: str, tmp_path: Path
) -> None:
    """Whoever claims a run first has it; nothing runs twice, and nothing of the worker's is called dead."""
    release = tmp_path / "release"
    holding = rest.create_deployment("show_hash", work_pool_name=pool)
    held = rest.create_flow_run(holding["id"], {"names": [], "until_file": str(release)})["id"]
    variables = {
        "prefect_api_url": api_url,
        "prefect_pool": pool,
        "prefect_interval": 1,
        "prefect_limit": 2,
        "prefect_concurrency": 1,
        "prefect_virtualenv": str(engine_python().parent.parent),
        "prefect_state_dir": str(tmp_path / "state"),
    }
    with stock_worker(api_url, pool, tmp_path / "worker", limit=1):
        rest.wait_for_state(held, "RUNNING", timeout=120)
        runs = due(rest, pool, tmp_path, 6, sleep=1)
        agent = start_playbook(AGENT, extra_vars=variables)
        wait_until(lambda: any(run.executions for run in runs), "the agent's first body", timeout=120)
        release.touch()
        ids = [held, *(run.id for run in runs)]
        wait_until(lambda: all(rest.state_type(one) == "COMPLETED" for one in ids), "the end of all runs", timeout=240)
        agent.kill()
    assert [run.executions for run in runs] == [1] * len(runs)
    assert not rest.inputs(held, "flowops-")
    assert any(rest.inputs(run.id, "flowops-") for run in runs)
