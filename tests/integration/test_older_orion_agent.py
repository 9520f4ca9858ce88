# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow_runner`` and the playbook as agents for the work queues of Orion 2.0b6, which hands out and claims nothing."""

from __future__ import annotations

import datetime
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_play import COLLECTION_ROOT, RunPlaybook, StartPlaybook
from engines import hold_environment, wait_for_held_engine, wait_until_gone
from older_servers import OlderServer
from process_host import Host
from runner import CountedRun
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

MODULE = "flowops.prefect.flow_runner"
AGENT = (COLLECTION_ROOT / "playbooks" / "agent.yml").read_text()
#: Settings as Prefect's client stored them, with everything that was not set.
UNSET = {"virtualenv": None, "condaenv": None, "stream_output": True}


class Queue:
    """A work queue of one deployment's runs, whose bodies can be counted."""

    def __init__(self, orion: OlderServer, name: str, folder: Path, **body: Any) -> None:
        self.orion = orion
        self.name = name
        self.folder = folder
        # Each generation reads the profiles in its home, and not every one understands what another wrote there.
        env = {"PREFECT_HOME": str(folder / "prefect-home")}
        self.runner = {"type": "subprocess", "config": {**UNSET, "env": env}}
        universal = {"type": None, "config": {"env": env}}
        self.deployment = orion.rest.create_deployment("append_line", flow_runner=universal)["id"]
        queue = {"name": name, "filter": {"deployment_ids": [self.deployment]}, **body}
        self.id = str(orion.rest.post("/work_queues/", queue)["id"])

    def change(self, **body: Any) -> None:
        """Change the queue."""
        self.orion.rest.request("PATCH", f"/work_queues/{self.id}", body)

    def schedule(self, word: str, sleep: float = 0, **body: Any) -> CountedRun:
        """A scheduled run."""
        file = self.folder / f"bodies-{self.name}-{word}"
        run = self.orion.rest.create_flow_run(self.deployment, {"path": str(file), "sleep": sleep}, **body)
        return CountedRun(run["id"], file)

    def states(self, runs: Sequence[CountedRun]) -> list[str]:
        """The types of their states."""
        return [self.orion.rest.state_type(run.id) for run in runs]


@pytest.fixture
def queue(orion: OlderServer, flow: str, tmp_path: Path) -> Queue:
    """A queue of the test's own."""
    return Queue(orion, flow, tmp_path)


def cycle(queue: Queue, name: str = "Cycle", **options: Any) -> dict[str, Any]:
    """A task that is one cycle of an agent."""
    arguments = {
        "api_url": queue.orion.server.api_url,
        "work_queues": [queue.name],
        "python": queue.orion.engine_python,
        "state_dir": str(queue.folder / "state"),
        **options,
    }
    return {"name": name, MODULE: arguments}


def test_one_cycle(run_playbook: RunPlaybook, orion: OlderServer, queue: Queue, flow: str, tmp_path: Path) -> None:
    """What is due is launched, what is broken is reported, everything else is left; and nothing again."""
    paused = Queue(orion, f"{flow}-paused", tmp_path, is_paused=True)
    universal, own = queue.schedule("universal"), queue.schedule("own", flow_runner=queue.runner)
    strange = queue.schedule("strange", flow_runner={"type": "zeppelin", "config": {}})
    container = queue.schedule("container", flow_runner={"type": "docker", "config": {"image": "busybox:1"}})
    foreign = queue.schedule("foreign", flow_runner={"type": "docker", "config": {}})
    cancelled, hidden = queue.schedule("cancelled"), paused.schedule("hidden")
    tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).isoformat()
    details = {"state_details": {"scheduled_time": tomorrow}}
    later = queue.schedule("later", state={"type": "SCHEDULED", **details})
    orion.rest.set_state(cancelled.id, "CANCELLED")
    orion.rest.set_state(foreign.id, "RUNNING")  # by Orion's own agent, say
    crashing = orion.rest.create_deployment("exit_code", flow_runner=queue.runner, tags=[flow])
    dying = CountedRun(orion.rest.create_flow_run(crashing["id"])["id"], tmp_path / "none")
    tagged = orion.rest.post("/work_queues/", {"name": f"{flow}-tagged", "filter": {"tags": [flow]}})
    queues = [paused.name, queue.name, tagged["id"]]
    play = run_playbook(
        [
            {**cycle(queue, "Nowhere", work_queues=[f"{flow}-nowhere"]), "ignore_errors": True},
            {**cycle(queue, "Check", work_queues=queues), "check_mode": True},
            cycle(queue, "First", work_queues=queues, fail_on=[], wait_timeout=120),
            cycle(queue, "Second", work_queues=queues),
        ]
    ).check()
    nowhere, check, first, second = (play.of(name).result for name in ("Nowhere", "Check", "First", "Second"))
    assert f"work_queues: there is no work queue {flow}-nowhere. Check the names" in nowhere["msg"]
    assert {run["flow_run_id"] for run in check["runs"]} == {universal.id, own.id, dying.id}
    assert {run["flow_run_id"]: run["phase"] for run in first["runs"]} == {
        universal.id: "succeeded",
        own.id: "succeeded",
        dying.id: "failed",
    }
    assert [run.executions for run in (universal, own)] == [1, 1]
    assert not any(run.executions for run in (strange, container, foreign, cancelled, hidden, later))
    assert queue.states([cancelled, hidden, later, foreign]) == ["CANCELLED", "SCHEDULED", "SCHEDULED", "RUNNING"]
    says = {dying.id: "77", strange.id: "zeppelin", container.id: "type is docker (flow run), and Orion 2.0b6 cannot"}
    for run_id, text in says.items():
        state = orion.rest.flow_run(run_id)["state"]
        assert (state["type"], state["name"], text in state["message"]) == ("FAILED", "Crashed", True), state
    told = [run_id for run_id in (strange.id, container.id, foreign.id) if run_id in str(first["warnings"])]
    assert told == [strange.id, container.id]
    assert (second["runs"], second["msg"], second["changed"]) == ([], "no runs", False)
    orion.rest.request("DELETE", f"/work_queues/{queue.id}")  # no queue keeps a trace of us that would forbid it


def test_limits_of_queue_and_host_and_a_cancelled_run_that_waits(
    run_playbook: RunPlaybook, orion: OlderServer, queue: Queue, tmp_path: Path
) -> None:
    queue.change(concurrency_limit=1)
    first, second = queue.schedule("first", sleep=120), queue.schedule("second")
    run_playbook(cycle(queue, wait=False)).check()
    wait_until(lambda: first.executions, "the body of the first run")
    again = run_playbook(cycle(queue, wait=False)).check().last
    assert [(run["flow_run_id"], run["action"]) for run in again["runs"]] == [(first.id, "adopted")]
    assert queue.states([first, second]) == ["RUNNING", "SCHEDULED"]

    # Now it is handed out, waits on the host for the place of the first, and is not wanted any more.
    queue.change(concurrency_limit=2)
    waiting = run_playbook(cycle(queue, wait=False, concurrency=1)).check().last
    assert {run["flow_run_id"]: run["phase"] for run in waiting["runs"]} == {first.id: "running", second.id: "queued"}
    orion.rest.set_state(second.id, "CANCELLED")
    Path(f"{first.file}-end").touch()
    ended = run_playbook(cycle(queue)).check().last
    assert {run["flow_run_id"]: run["phase"] for run in ended["runs"]} in ({first.id: "succeeded"}, {})
    wait_until_gone(tmp_path / "state")
    assert queue.states([first, second]) == ["COMPLETED", "CANCELLED"]
    assert [first.executions, second.executions] == [1, 0]


def test_two_agents_on_one_host_and_one_that_is_killed(
    start_playbook: StartPlaybook, orion: OlderServer, queue: Queue, tmp_path: Path
) -> None:
    """Each run is executed once, whoever took it, and what the killed one left is watched by the other one."""
    runs = [queue.schedule(str(number), sleep=1) for number in range(6)]
    variables = {
        "prefect_api_url": orion.server.api_url,
        "prefect_queues": queue.name,
        "prefect_concurrency": 2,
        "prefect_virtualenv": str(Path(orion.engine_python).parent.parent),
        "prefect_state_dir": str(tmp_path / "state"),
    }
    agents = [start_playbook(AGENT, extra_vars=variables) for _number in range(2)]
    wait_until(lambda: any(run.executions for run in runs), "the first body", 120)
    agents[0].kill()
    wait_until(lambda: queue.states(runs) == ["COMPLETED"] * len(runs), "the end of every run", 300, interval=0.5)
    assert [run.executions for run in runs] == [1] * len(runs)
    assert agents[1].process.poll() is None, agents[1].stdout
    agents[1].kill()


def test_a_claim_of_somebody_else_before_the_gate_has_the_run(
    run_playbook: RunPlaybook, orion: OlderServer, queue: Queue, tmp_path: Path
) -> None:
    """Orion's own agent takes a run without looking whether it is taken; who sees that in time lets it go."""
    run, state = queue.schedule("contested"), tmp_path / "state"
    run_playbook(cycle(queue, wait=False, env=hold_environment(tmp_path / "hold", "claimed"))).check()
    held = wait_for_held_engine(state)
    assert "claimed by" in orion.rest.flow_run(run.id)["state"]["message"]
    orion.rest.set_state(run.id, "PENDING", name="Pending")
    os.kill(held, signal.SIGCONT)
    wait_until_gone(state)
    assert "refused" in Host(state).events
    after = run_playbook(cycle(queue)).check().last
    assert (after["runs"], after["changed"]) == ([], False)
    state_now = orion.rest.flow_run(run.id)["state"]
    assert (state_now["type"], state_now["message"], run.executions) == ("PENDING", None, 0)
