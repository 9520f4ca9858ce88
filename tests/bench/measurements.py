# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The measurements. Each takes the bench and returns rows of the table."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent_latency import LAUNCHES, agent
from deployments import deployments
from docker_containers import containers
from kubernetes_jobs import kubernetes_jobs
from kubernetes_many import kubernetes_many
from measuring import BENCH, Bench, Row, Usage, Usages, faster, run, seconds, slower
from prefect_server import engine_python
from stock_worker import PATIENCE, wait_for, worker

RUNS = 20
CONCURRENCY = 2 * (os.cpu_count() or 1)
WORKER_LIMIT = 10
# Tasks in one play where single tasks are compared: what Ansible does once per play counts once, as it would.
TASKS = 5
# One start of an engine takes a few seconds only, and its limit is the narrowest.
GATE_FACTOR = 3
# Plays of a few seconds: two rounds more cost little.
MORE_ROUNDS = 2
IDLE_SECONDS = 30
LINES_PER_SECOND = 10


# --- 20 trivial runs --------------------------------------------------------------------------------------------------


def throughput(bench: Bench) -> list[Row]:
    """One task, the stock worker and the hand-written launcher, each with runs of their own, in turns."""
    walls: dict[str, list[float]] = {"task": [], "launcher": [], "worker": []}
    ways: dict[str, Callable[[Bench], float]] = {"task": _by_task, "launcher": _by_launcher, "worker": _by_worker}
    for number in range(bench.rounds):
        for name, way in ways.items():
            walls[name].append(way(bench))
            bench.say(f"{RUNS} runs, round {number + 1}, {name}: {walls[name][-1]:.1f} s")
    work, worker = f"{RUNS} trivial runs in one task", f"stock process worker, limit {WORKER_LIMIT}: its time"
    launcher = f"hand-written launcher, {CONCURRENCY} at once"
    return [
        faster(work, worker, walls["task"], walls["worker"], 1.7),
        slower(f"{work}: its time", launcher, walls["task"], walls["launcher"], 1.10),
    ]


def _make_runs(bench: Bench, number: int = RUNS, **deployment: Any) -> tuple[str, list[str]]:
    """A deployment of the trivial flow, and scheduled runs of it."""
    made = bench.rest.create_deployment("hello", **deployment)["id"]
    return made, [bench.rest.create_flow_run(made)["id"] for _number in range(number)]


def _by_task(bench: Bench) -> float:
    """The whole of ansible-playbook, with one task."""
    deployment, run_ids = _make_runs(bench)
    usage = bench.play([bench.task(flow_run_ids=run_ids)])
    _require_completed(bench, deployment)
    bench.finished = run_ids
    return usage.wall


def _by_launcher(bench: Bench) -> float:
    deployment, run_ids = _make_runs(bench)
    folder = bench.new_folder()
    words = [sys.executable, str(BENCH / "launcher.py"), bench.rest.api_url, str(CONCURRENCY), str(engine_python())]
    usage = run([*words, str(folder), *run_ids], folder, bench.engine_environment)
    _require_completed(bench, deployment)
    return usage.wall


def _require_completed(bench: Bench, deployment: str) -> None:
    if (completed := bench.completed(deployment)) != RUNS:
        raise RuntimeError(f"{completed} of {RUNS} runs are completed")


def _by_worker(bench: Bench) -> float:
    """The worker is online before the first run exists; its time ends with the last run's completed state."""
    pool = f"bench-{uuid.uuid4().hex[:8]}"
    bench.rest.create_work_pool(pool)
    with worker(bench, pool, "--limit", str(WORKER_LIMIT)):
        started = time.monotonic()
        deployment, _run_ids = _make_runs(bench, work_pool_name=pool)
        wait_for(lambda: bench.completed(deployment) == RUNS)
        return time.monotonic() - started


# --- tasks that have nothing to do ------------------------------------------------------------------------------------


def repeated(bench: Bench) -> list[Row]:
    """Plays of tasks whose runs are finished, of a trivial module, and of nothing."""
    if not bench.finished:
        _by_task(bench)
    ids = bench.finished
    plays = {
        "empty": [],
        "trivial": [{"name": "Trivial", "trivial": {}}] * TASKS,
        "one": [bench.task(flow_run_id=ids[0])] * TASKS,
        "many": [bench.task(flow_run_ids=ids)] * TASKS,
    }
    used = Usages()
    for number in range(OFTEN["repeated"](bench.rounds)):
        for name, tasks in plays.items():
            used.add(name, bench.play(tasks, {"ANSIBLE_LIBRARY": str(BENCH / "library")}))
        bench.say(f"finished runs, round {number + 1}: {used.newest}")
    wall = {name: used.wall(name, TASKS) for name in plays}
    cpu = {name: used.cpu(name, TASKS) for name in plays}
    one, many, trivial = "one finished run, task repeated", f"{RUNS} finished runs, task repeated", "a trivial module"
    return [
        slower(many, one, wall["many"], wall["one"], 1.3),
        slower(f"{one}: CPU", trivial, cpu["one"], cpu["trivial"], 3.0),
        slower(f"{many}: CPU", one, cpu["many"], cpu["one"], None),
    ]


# --- the live view ----------------------------------------------------------------------------------------------------


def live_view(bench: Bench) -> list[Row]:
    """Runs that print all the time, watched with and without their output.

    All at once, since CPU time is measured and the machine is idle: the engines wait between their lines.
    """
    deployment = bench.rest.create_deployment("chatty")["id"]
    parameters = {"lines": bench.chatty_seconds * LINES_PER_SECOND, "width": 80, "pause": 1 / LINES_PER_SECOND}
    plays = []
    for _number in range(bench.rounds):
        for shown in (True, False):
            run_id = bench.rest.create_flow_run(deployment, parameters)["id"]
            plays.append((shown, bench.start([bench.task(flow_run_id=run_id, stream_output=shown)])))
    bench.say(f"{len(plays)} chatty runs of {bench.chatty_seconds} s")
    used: dict[bool, list[float]] = {True: [], False: []}
    for shown, play in plays:
        used[shown].append(play.finish().cpu)
    more = [
        100 * (with_output - without) / bench.chatty_seconds for with_output, without in zip(used[True], used[False])
    ]
    return [
        Row(
            f"live view of a chatty run of {bench.chatty_seconds} s ({LINES_PER_SECOND} lines a second): CPU",
            "`stream_output: false`",
            seconds(used[True]),
            seconds(used[False]),
            statistics.median(more),
            "% of a core more",
            6.0,
        )
    ]


# --- the gate in the bootstrap ----------------------------------------------------------------------------------------


def gate(bench: Bench) -> list[Row]:
    """The engine of a trivial run: as Prefect starts it, behind the gate, and with claim and record before the gate."""
    used: dict[str, list[Usage]] = {"plain": [], "gate": [], "claims": []}
    for number in range(OFTEN["gate"](bench.rounds)):
        _deployment, run_ids = _make_runs(bench, 3)
        order = list(zip(used, run_ids))
        for name, run_id in order if number % 2 else reversed(order):
            used[name].append(_engine(bench, name, run_id))
        bench.say(f"engine, round {number + 1}: " + ", ".join(f"{n} {u[-1].wall:.2f} s" for n, u in used.items()))
    wall = {name: [usage.wall for usage in usages] for name, usages in used.items()}
    cpu = {name: [usage.cpu for usage in usages] for name, usages in used.items()}
    plain = "plain `python -m prefect.engine`"
    rows = []
    for name, work, limit in (
        ("gate", "engine behind the gate", 1.03),
        ("claims", "record, claim, gate, engine", None),
    ):
        for what, values, its_limit in (("", wall, limit), (": CPU", cpu, None)):
            rows.append(slower(work + what, plain, values[name], values["plain"], its_limit))
    return rows


def _engine(bench: Bench, name: str, run_id: str) -> Usage:
    """One engine; a run whose bootstrap does not claim is claimed before."""
    folder = bench.new_folder()
    if name != "claims":
        bench.rest.set_state(run_id, "PENDING", name="Pending")
    if name == "plain":
        return run([str(engine_python()), "-m", "prefect.engine", run_id], folder, bench.engine_environment)
    token = str(uuid.uuid4())
    document = {
        "flow_run_id": run_id,
        "number": 1,
        "token": token,
        "claims": name == "claims",
        "record": {"token": token},
        "inheritable": [],
        "progress": str(folder / "progress"),
    }
    script = BENCH.parents[1] / "plugins" / "module_utils" / "_bootstrap.py"
    environment = {**bench.engine_environment, "FLOWOPS_BOOTSTRAP": json.dumps(document)}
    return run([str(engine_python()), str(script)], folder, environment)


# --- the supervisor ---------------------------------------------------------------------------------------------------


def supervisor(bench: Bench) -> list[Row]:
    """What the process beside each run needs while the run has nothing to say."""
    deployment = bench.rest.create_deployment("sleeper")["id"]
    end = bench.folder / "awake"
    parameters = {"seconds": PATIENCE, "until_file": str(end)}
    run_ids = [bench.rest.create_flow_run(deployment, parameters)["id"] for _number in range(bench.rounds)]
    bench.play([bench.task(flow_run_ids=run_ids, wait=False, concurrency=bench.rounds)])
    try:
        for run_id in run_ids:
            bench.rest.wait_for_state(run_id, "RUNNING", timeout=120)
        pids = [_supervisor_of(run_id) for run_id in run_ids]
        time.sleep(10)
        before = [_ticks(pid) for pid in pids]
        bench.say(f"{len(pids)} idle supervisors for {IDLE_SECONDS} s")
        time.sleep(IDLE_SECONDS)
        ticks = [_ticks(pid) - earlier for pid, earlier in zip(pids, before)]
        resident = [_kilobytes(pid, "status", "VmRSS") / 1024 for pid in pids]
        private = [_private(pid) / 1024 for pid in pids]
    finally:
        end.touch()
    for run_id in run_ids:
        bench.rest.wait_for_state(run_id, timeout=120)
    own = f"{statistics.median(private):.1f} MB private"
    return [
        Row("supervisor's resident memory", "-", own, "-", statistics.median(resident), "MB", 14.0),
        Row(f"supervisor's CPU in {IDLE_SECONDS} idle seconds", "-", "-", "-", float(max(ticks)), "ticks", 0.0),
    ]


def _supervisor_of(run_id: str) -> int:
    """The process with the run's name among its arguments that is not its engine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace").split("\0")
        except OSError:
            continue
        if "-S" in words and any(word.startswith(run_id) for word in words):
            return int(path.parent.name)
    raise RuntimeError(f"the supervisor of {run_id} is not to be found")


def _ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def _kilobytes(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.partition(":")[0] == name)


def _private(pid: int) -> int:
    return sum(_kilobytes(pid, "smaps_rollup", name) for name in ("Private_Clean", "Private_Dirty"))


#: Those that do not measure everything once a round, with how often they do for so many rounds.
OFTEN: dict[str, Callable[[int], int]] = {
    "repeated": lambda rounds: rounds + MORE_ROUNDS,
    "gate": lambda rounds: rounds * GATE_FACTOR,
    "agent": lambda _rounds: LAUNCHES,
}
MEASUREMENTS: dict[str, Callable[[Bench], list[Row]]] = {
    "throughput": throughput,
    "repeated": repeated,
    "live": live_view,
    "gate": gate,
    "supervisor": supervisor,
    "agent": agent,
    "deployments": deployments,
    "docker": containers,
    "kubernetes": kubernetes_jobs,
    "kubernetes-many": kubernetes_many,
}
