# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thousands of Jobs, launched by one task and watched to their end by another: what that asks of the API server, and
how much memory it needs.

Runs, ledger and Jobs are real. The pods are bound to a node that is an object and nothing else; what their engines and
a kubelet would tell is told by ``kubernetes_engines.py``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import environments
import jobs
import kubernetes_cluster
from ansible_play import COLLECTION_ROOT
from kubernetes_jobs import in_namespace
from measuring import BENCH, PEERS, TIMES, Bench, Row

NUMBERS = (200, 2000)
NODE = "flowops-bench"
PAGE = 500
MOST_MEMORY = 200.0
THREADS = 8
PATIENCE = 3600
#: Only to the node that is none, whatever is said of it.
_POD = {"spec": {"nodeName": NODE, "tolerations": [{"operator": "Exists"}]}}


def kubernetes_many(bench: Bench) -> list[Row]:
    """For a few hundred and for thousands: how both grow is what matters."""
    kubernetes_cluster.up()
    rows: list[Row] = []
    for number in NUMBERS:
        with _node(), in_namespace(bench, patient=False) as namespace:
            rows += _measure(bench, namespace, number)
        bench.say(f"{number} Jobs: {rows[-1].subject}, {rows[-1].measured:.0f} MB")
    few, many = (row.measured for row in rows if row.unit == "MB")
    growth = f"{NUMBERS[1]} Jobs watched by one task: memory"
    return [*rows, Row(growth, f"{NUMBERS[0]} Jobs", f"{many:.0f} MB", f"{few:.0f} MB", many / few, TIMES, None)]


@contextlib.contextmanager
def _node() -> Iterator[None]:
    """Without it the pods are nobody's, and go."""
    kubernetes_cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}))
    try:
        yield
    finally:
        kubernetes_cluster.kubectl("delete", "node", NODE)


def _measure(bench: Bench, namespace: jobs.Namespace, number: int) -> list[Row]:
    deployment = bench.rest.create_deployment("hello")["id"]
    with ThreadPoolExecutor(THREADS) as pool:
        run_ids = list(pool.map(lambda _number: bench.rest.create_flow_run(deployment)["id"], range(number)))
    task = namespace.task(flow_run_ids=run_ids, concurrency=number, pod_overrides=_POD)[jobs.MODULE]
    before = bench.server_cpu()
    launched = _told(_start("kubernetes_module.py"), {**task, "wait": False})
    server = f"{bench.server_cpu() - before:.0f} s CPU of the Prefect server"
    watching = _start("kubernetes_module.py")
    engines = _start(
        "kubernetes_engines.py", kubernetes_cluster.kubeconfig(), namespace.name, bench.rest.api_url, number
    )
    watched = _told(watching, {**task, "wait_timeout": PATIENCE})
    engines.communicate()
    if launched["summary"]["launched"] != number or watched["summary"]["succeeded"] != number:
        raise RuntimeError(f"not all of {number} Jobs: {launched['msg']} {watched['msg']}"[:2000])
    looks = f"{watched['looks']} looks"
    lists, most = watched["lists"] / watched["looks"], 2 * math.ceil(number / PAGE)
    took, work = f"{watched['seconds']:.0f} s", f"{number} Jobs watched to their end by one task"
    return [
        Row(f"{number} Jobs launched by one task", "-", server, "-", launched["seconds"], "s", None),
        Row(f"{work}: list calls a look", "-", f"{looks}, {took}", "-", lists, "calls", float(most)),
        Row(f"{work}: memory", "-", f"{looks}, {took}", "-", watched["memory"], "MB", MOST_MEMORY),
    ]


def _start(script: str, *words: Any) -> subprocess.Popen[str]:
    python = environments.ensure(PEERS) / "bin" / "python"
    return subprocess.Popen(
        [str(word) for word in (python, BENCH / script, *words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(COLLECTION_ROOT.parents[2])},
        text=True,
    )


def _told(process: subprocess.Popen[str], arguments: Any) -> Any:
    """What a script says of its work."""
    output, _errors = process.communicate(json.dumps(arguments))
    if process.returncode:
        raise RuntimeError(f"a script ended with {process.returncode}")
    return json.loads(output)
