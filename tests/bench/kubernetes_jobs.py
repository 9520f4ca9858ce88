# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs: one task against a loop over kubernetes.core's module, and against ``kubectl create`` of one file.

No node takes their pods: what is measured is how Jobs come to be, not how engines import Prefect.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jobs
import kubernetes_cluster
from measuring import APART, BY_A_PROCESS, TIMES, Bench, Row, Usage, Usages, faster, run, seconds, slower
from prefect_server import PrefectServer

NUMBER = 20
MANY = 100
# Tasks in one play where single tasks are compared.
TASKS = 5
NOWHERE = {"flowops-bench": "no-node"}
LOOP = "kubernetes.core in a loop"
FILE = f"`kubectl create` of one file (wanted: 1.5 {TIMES} its time and 3 s)"


def kubernetes_jobs(bench: Bench) -> list[Row]:
    """The task, the loop, the file, each with Jobs of its own, in turns; then those that repeat."""
    used = Usages()
    shares: list[float] = []
    kubernetes_cluster.up()
    for number in range(bench.rounds):
        with in_namespace(bench) as namespace:
            for name, usage in _round(bench, namespace, shares):
                used.add(name, usage)
        bench.say(f"Jobs, round {number + 1}: {used.newest}")
    for number in range(bench.rounds):
        with in_namespace(bench) as namespace:
            used.add("many", bench.play_among_peers([_task(namespace, flow_run_ids=_run_ids(bench, MANY))]))
        bench.say(f"{MANY} Jobs, round {number + 1}: {used.newest}")
    # A loop of so many takes minutes: once is enough.
    with in_namespace(bench) as namespace:
        used.add("many by loop", bench.play_among_peers([_loop(namespace, MANY)]))
    bench.say(f"{MANY} Jobs: {used.newest}")
    return _rows(used, shares)


@contextlib.contextmanager
def in_namespace(bench: Bench, patient: bool = True) -> Iterator[jobs.Namespace]:
    """A new one; nothing in it ever reaches the server, which is known by its address alone.

    :arg patient: see it gone: what is measured next is not to share the machine with the end of all its Jobs.
    """
    home, port = bench.folder / "server", int(bench.rest.api_url.split(":")[2].partition("/")[0])
    made = jobs.make_namespace(PrefectServer(home, port))
    try:
        yield made
    finally:
        how = "--timeout=300s" if patient else "--wait=false"
        kubernetes_cluster.kubectl("delete", "namespace", made.name, how)


def _run_ids(bench: Bench, number: int) -> list[str]:
    deployment = bench.rest.create_deployment("hello")["id"]
    return [bench.rest.create_flow_run(deployment)["id"] for _number in range(number)]


def _round(bench: Bench, namespace: jobs.Namespace, shares: list[float]) -> Iterator[tuple[str, Usage]]:
    run_ids, more_ids = (_run_ids(bench, NUMBER) for _set in range(2))
    yield "empty", bench.play_among_peers([])
    before = bench.server_cpu()
    yield "task", bench.play_among_peers([_task(namespace, flow_run_ids=run_ids)])
    shares.append(bench.server_cpu() - before)
    yield "task again", bench.play_among_peers([_task(namespace, flow_run_ids=run_ids)])
    yield "trivial", bench.play_among_peers([{"name": "Trivial", "trivial": {}}] * TASKS)
    yield "one", bench.play_among_peers([{**_task(namespace, flow_run_id=run_ids[0]), **APART}] * TASKS)
    yield "apart", bench.play_among_peers([{**_task(namespace, flow_run_ids=more_ids), **APART}])
    yield "apart again", bench.play_among_peers([{**_task(namespace, flow_run_ids=more_ids), **APART}])
    yield "loop", bench.play_among_peers([_loop(namespace, NUMBER)])
    yield "loop again", bench.play_among_peers([_loop(namespace, NUMBER)])
    yield "file", _file(bench, namespace)


def _task(namespace: jobs.Namespace, **options: Any) -> dict[str, Any]:
    """All at once, as the others do it."""
    number = len(options.get("flow_run_ids", ())) or 1
    return namespace.task(wait=False, node_selector=NOWHERE, concurrency=number, **options)


def _manifest(namespace: jobs.Namespace, name: str) -> dict[str, Any]:
    container = {"name": "prefect-job", "image": kubernetes_cluster.image(), "args": ["python", "-m", "prefect.engine"]}
    pod = {"restartPolicy": "Never", "nodeSelector": NOWHERE, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace.name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def _loop(namespace: jobs.Namespace, number: int) -> dict[str, Any]:
    arguments = {
        "kubeconfig": str(kubernetes_cluster.kubeconfig()),
        "state": "present",
        "definition": _manifest(namespace, f"loop-{number}-{{{{ item }}}}"),
    }
    return {"name": "A loop", "kubernetes.core.k8s": arguments, "loop": list(range(number))}


def _file(bench: Bench, namespace: jobs.Namespace) -> Usage:
    folder = bench.new_folder()
    items = [_manifest(namespace, f"file-{number}") for number in range(NUMBER)]
    Path(folder, "jobs.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    kubectl = kubernetes_cluster.find_program("kubectl")
    words = ["--kubeconfig", str(kubernetes_cluster.kubeconfig()), "create", "--filename", "jobs.json"]
    return run([kubectl, *words], folder, bench.engine_environment)


def _rows(used: Usages, shares: list[float]) -> list[Row]:
    work, many = f"{NUMBER} Jobs launched in one task", f"{MANY} Jobs launched in one task"
    again = f"{NUMBER} Jobs that are there, task repeated"
    task, file = used.wall("task"), used.gross("file")
    slowest = 1.5 * statistics.median(file) + 3
    one = (used.cpu("one", TASKS), used.cpu("trivial", TASKS))
    there = (used.wall("task again"), used.wall("loop again"))
    apart = (used.wall("apart again"), used.wall("loop again"))
    hundred, by_loop = used.wall("many"), used.wall("many by loop")
    ratio = statistics.median(by_loop) / statistics.median(hundred)
    return [
        faster(work, f"{LOOP}: its time", task, used.wall("loop"), 7.0),
        slower(f"{work}: CPU", f"{LOOP}: its CPU", used.cpu("task"), used.cpu("loop"), None),
        Row(work, FILE, seconds(task), seconds(file), statistics.median(task), "s", slowest),
        Row(f"{work}: CPU of the server", "-", seconds(shares), "-", statistics.median(shares), "s", None),
        Row(many, f"{LOOP}: its time", seconds(hundred), seconds(by_loop), ratio, TIMES, 15.0, most=False),
        faster(again, f"{LOOP}, nothing to do: its time", *there, 12.0),
        faster(f"{work}, {BY_A_PROCESS}", f"{LOOP}: its time", used.wall("apart"), used.wall("loop"), None),
        faster(f"{again}, {BY_A_PROCESS}", f"{LOOP}, nothing to do: its time", *apart, None),
        slower(f"one Job that is there, task repeated, {BY_A_PROCESS}: CPU", "a trivial module", *one, 5.0),
    ]
