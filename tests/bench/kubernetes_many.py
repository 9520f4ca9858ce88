# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thousands of Jobs and their pods: what one look at them asks of the API server, and how much memory it needs.

The pods are bound to a node that is an object and nothing else, so they stay as they are.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
import uuid
from collections.abc import Sequence
from typing import Any

import environments
import jobs
import kubernetes_cluster
from ansible_play import COLLECTION_ROOT
from kubernetes_jobs import in_namespace
from measuring import BENCH, PEERS, Bench, Row

NUMBERS = (200, 2000)
NODE = "flowops-bench"
PAGE = 500
MOST_MEMORY = 200.0
PATIENCE = 300.0


def kubernetes_many(bench: Bench) -> list[Row]:
    """For a few hundred and for thousands: how both grow is what matters."""
    kubernetes_cluster.up()
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    rows: list[Row] = []
    for number in NUMBERS:
        kubernetes_cluster.apply(json.dumps(node))
        try:
            with in_namespace(bench) as namespace:
                rows += _measure(namespace, number)
        finally:
            # Without their node the pods are nobody's, and go.
            kubernetes_cluster.kubectl("delete", "node", NODE)
        bench.say(f"{number} Jobs: {rows[-1].subject}, {rows[-1].measured:.0f} MB")
    return rows


def _measure(namespace: jobs.Namespace, number: int) -> list[Row]:
    run_ids = [str(uuid.uuid4()) for _number in range(number)]
    _looker("make", namespace, run_ids)
    deadline = time.monotonic() + PATIENCE
    while len(namespace.kubectl("get", "pods", "--output", "name").split()) < number:
        if time.monotonic() > deadline:
            raise RuntimeError(f"there are no {number} pods within {PATIENCE:.0f} s")
        time.sleep(1)
    told = json.loads(_looker("look", namespace, run_ids))
    work, lists = f"{number} Jobs and pods looked at by one task", 2 * math.ceil(number / PAGE)
    return [
        Row(f"{work}: list calls", "-", f"{told['seconds']:.2f} s a look", "-", told["calls"], "calls", float(lists)),
        Row(f"{work}: memory", "-", f"{told['seconds']:.2f} s a look", "-", told["memory"], "MB", MOST_MEMORY),
    ]


def _looker(what: str, namespace: jobs.Namespace, run_ids: Sequence[str]) -> str:
    python = environments.ensure(PEERS) / "bin" / "python"
    words: list[Any] = [python, BENCH / "kubernetes_looker.py", what, kubernetes_cluster.kubeconfig(), namespace.name]
    environment = {**os.environ, "PYTHONPATH": str(COLLECTION_ROOT.parents[2])}
    done = subprocess.run(
        [*map(str, words), NODE],
        input=json.dumps(run_ids),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout
