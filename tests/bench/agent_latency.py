# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How soon the engine of a run starts once it is scheduled: through the agent, and through Prefect's worker.

Both are idle and poll their own pool as often as they do by default; runs are scheduled at any moment in between.
"""

from __future__ import annotations

import datetime
import os
import random
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import processes
from ansible_play import COLLECTION_ROOT, start_playbook
from measuring import TIMES, Bench, Row, seconds
from prefect_server import engine_python
from stock_worker import wait_for_worker, worker

LAUNCHES = 20
#: A worker polls about so often: runs are scheduled at any moment of its pause.
LONGEST_PAUSE = 10.0
AGENT = COLLECTION_ROOT / "playbooks" / "agent.yml"
LAST = 120.0


def agent(bench: Bench) -> list[Row]:
    """In turns, one run at a time."""
    pools = {name: f"bench-{name}-{uuid.uuid4().hex[:8]}" for name in ("agent", "worker")}
    for pool in pools.values():
        bench.rest.create_work_pool(pool)
    deployments = {name: bench.rest.create_deployment("hello", work_pool_name=pool) for name, pool in pools.items()}
    started: dict[str, list[float]] = {name: [] for name in pools}
    running: dict[str, list[float]] = {name: [] for name in pools}
    with _agent(bench, pools["agent"]), worker(bench, pools["worker"]):
        for number in range(LAUNCHES):
            for name, deployment in deployments.items():
                time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - chance, no secret
                first, then = _launched(bench, deployment["id"])
                started[name].append(first)
                running[name].append(then)
            bench.say(f"launch {number + 1}: " + ", ".join(f"{name} {one[-1]:.1f} s" for name, one in started.items()))
    return [
        _row("from scheduled to the start of the engine's process, by an idle agent", started, 0.5),
        _row("from scheduled to running, by an idle agent", running, None),
    ]


def _row(work: str, taken: dict[str, list[float]], most: float | None) -> Row:
    ratio = statistics.median(taken["agent"]) / statistics.median(taken["worker"])
    return Row(work, "stock process worker", seconds(taken["agent"]), seconds(taken["worker"]), ratio, TIMES, most)


@contextmanager
def _agent(bench: Bench, pool: str) -> Iterator[None]:
    """The playbook with its defaults."""
    folder = bench.new_folder()
    variables = {
        "prefect_api_url": bench.rest.api_url,
        "prefect_pool": pool,
        "prefect_virtualenv": str(engine_python().parent.parent),
        "prefect_state_dir": str(folder / "state"),
    }
    play = start_playbook(AGENT.read_text(), folder, extra_vars=variables)
    try:
        wait_for_worker(bench, pool)
        yield
    finally:
        play.kill()


def _launched(bench: Bench, deployment: str) -> tuple[float, float]:
    """Seconds from a run's being scheduled to its engine's process, and to its running; waits for its end."""
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    run_id = bench.rest.create_flow_run(deployment)["id"]
    started = _start_of_process_for(run_id) - begun
    bench.rest.wait_for_state(run_id, timeout=LAST)
    history = bench.rest.state_history(run_id)
    return started, _moment(history, "RUNNING") - _moment(history, "SCHEDULED")


def _start_of_process_for(run_id: str) -> float:
    """When the process started whose environment says which run it is the engine of, on the clock since boot."""
    deadline = time.monotonic() + LAST
    while time.monotonic() < deadline:
        for process in processes.living():
            try:
                environment = Path(f"/proc/{process.pid}/environ").read_text(errors="replace")
                if run_id in environment:
                    return _started(process.pid)
            except OSError:
                continue
        time.sleep(0.2)
    raise RuntimeError(f"no engine of {run_id} within {LAST:.0f} s")


def _started(pid: int) -> float:
    """On the clock since boot."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[19]) / os.sysconf("SC_CLK_TCK")


def _moment(history: list[dict[str, Any]], kind: str) -> float:
    """When a run was first in a state of this type."""
    text = next(state["timestamp"] for state in history if state["type"] == kind)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
