# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers: one task against a loop over community.docker's module, and against a script with the Docker SDK.

The image's ``python`` sleeps: what is measured is how containers come to be, not how engines import Prefect.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
import docker_image
import environments
from measuring import APART, BENCH, BY_A_PROCESS, PEERS, TIMES, Bench, Row, Usage, Usages, faster, run, seconds, slower

NUMBER = 20
# Tasks in one play where single tasks are compared.
TASKS = 5
LABEL = "flowops-bench=containers"
IDLE = "flowops-test/idle:1"
SCRIPT = f"a Docker SDK script, 5 threads (wanted: 1.3 {TIMES} its time and 2 s)"
SLEEP = "#!/bin/sh\nexec sleep 3600\n"


def containers(bench: Bench) -> list[Row]:
    """The task, the loop, the script, each with containers of its own, in turns; then those that repeat."""
    used = Usages()
    shares: list[float] = []
    with _engine():
        for number in range(bench.rounds):
            for name, usage in _round(bench, shares):
                used.add(name, usage)
            bench.say(f"containers, round {number + 1}: {used.newest}")
    return _rows(used, shares)


def _round(bench: Bench, shares: list[float]) -> Iterator[tuple[str, Usage]]:
    deployment = bench.rest.create_deployment("hello")["id"]
    run_ids, more_ids = (
        [bench.rest.create_flow_run(deployment)["id"] for _number in range(NUMBER)] for _set in range(2)
    )
    yield "empty", bench.play_among_peers([])
    before = bench.server_cpu()
    yield "task", bench.play_among_peers([_task(bench, flow_run_ids=run_ids)])
    shares.append(bench.server_cpu() - before)
    yield "task again", bench.play_among_peers([_task(bench, flow_run_ids=run_ids)])
    yield "trivial", bench.play_among_peers([{"name": "Trivial", "trivial": {}}] * TASKS)
    yield "one", bench.play_among_peers([{**_task(bench, flow_run_id=run_ids[0]), **APART}] * TASKS)
    _remove()
    yield "apart", bench.play_among_peers([{**_task(bench, flow_run_ids=more_ids), **APART}])
    yield "apart again", bench.play_among_peers([{**_task(bench, flow_run_ids=more_ids), **APART}])
    _remove()
    yield "loop", bench.play_among_peers([LOOP])
    yield "loop again", bench.play_among_peers([LOOP])
    _remove()
    yield "script", _script(bench)
    _remove()


LOOP = {
    "name": "A loop",
    "community.docker.docker_container": {
        "name": "flowops-bench-loop-{{ item }}",
        "image": IDLE,
        "command": ["python"],
        "labels": dict([LABEL.split("=")]),
        "state": "started",
    },
    "loop": list(range(NUMBER)),
}


def _task(bench: Bench, **options: Any) -> dict[str, Any]:
    arguments = {
        "api_url": bench.rest.api_url,
        "image": IDLE,
        "labels": dict([LABEL.split("=")]),
        "wait": False,
        "concurrency": NUMBER,
        **options,
    }
    return {"name": "Runs", "flowops.prefect.flow_runner_docker": arguments}


def _script(bench: Bench) -> Usage:
    python = environments.ensure(PEERS) / "bin" / "python"
    return run(
        [str(python), str(BENCH / "docker_script.py"), IDLE, LABEL, str(NUMBER)],
        bench.new_folder(),
        bench.engine_environment,
    )


def _rows(used: Usages, shares: list[float]) -> list[Row]:
    loop, work = "community.docker in a loop", f"{NUMBER} containers launched in one task"
    again = f"{NUMBER} containers that are there, task repeated"
    task, script = used.wall("task"), used.gross("script")
    slowest = 1.3 * statistics.median(script) + 2
    many = (used.wall("task again"), used.wall("loop again"))
    apart = (used.wall("apart again"), used.wall("loop again"))
    cpu = (used.cpu("task"), used.cpu("loop"))
    one = (used.cpu("one", TASKS), used.cpu("trivial", TASKS))
    return [
        faster(work, f"{loop}: its time", task, used.wall("loop"), 3.5),
        faster(f"{work}: CPU", f"{loop}: its CPU", *cpu, 8.0),
        Row(work, SCRIPT, seconds(task), seconds(script), statistics.median(task), "s", slowest),
        Row(f"{work}: CPU of the server", "-", seconds(shares), "-", statistics.median(shares), "s", None),
        faster(again, f"{loop}, nothing to do: its time", *many, 12.0),
        faster(f"{work}, {BY_A_PROCESS}", f"{loop}: its time", used.wall("apart"), used.wall("loop"), None),
        faster(f"{again}, {BY_A_PROCESS}", f"{loop}, nothing to do: its time", *apart, None),
        slower(f"one container that is there, task repeated, {BY_A_PROCESS}: CPU", "a trivial module", *one, 4.0),
    ]


@contextlib.contextmanager
def _engine() -> Iterator[None]:
    """An engine with the sleeping image; one that was not there before is stopped again."""
    was_there = docker_engine.answers()
    docker_engine.up()
    try:
        docker_image.ensure()
        _make_idle()
        _remove()
        yield
    finally:
        _remove()
        if not was_there:
            docker_engine.down()


def _make_idle() -> None:
    if docker_image.is_there(IDLE):
        return
    container = docker_engine.docker("create", docker_image.name(), "true").stdout.strip()
    try:
        with tempfile.TemporaryDirectory(prefix="flowops-bench-") as temporary:
            script = Path(temporary) / "python"
            script.write_text(SLEEP)
            script.chmod(0o755)
            docker_engine.docker("cp", str(script), f"{container}:/usr/local/bin/python")
        docker_engine.docker("commit", container, IDLE)
    finally:
        docker_engine.docker("rm", container)


def _remove() -> None:
    found = docker_engine.docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").stdout.split()
    if found:
        docker_engine.docker("rm", "--force", *found)
