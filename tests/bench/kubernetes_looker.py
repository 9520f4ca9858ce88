# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One process that makes Jobs as a task does, or looks at them all and tells what that took, as JSON.

``kubernetes_looker.py make|look KUBECONFIG NAMESPACE NODE`` reads the flow runs' ids from its input.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes import (
    KubernetesInfrastructure,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_client import (
    Connection,
    KubernetesClient,
    connect,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch

THREADS = 8
LOOKS = 3


class CountingClient(KubernetesClient):
    """Counts requests for objects."""

    calls = 0

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One more."""
        self.calls += 1
        return super().get(path, **query)


def make(infrastructure: KubernetesInfrastructure, run_ids: Sequence[str], node: str) -> None:
    """Jobs whose pods are bound to a node that never starts them."""
    pod = {"nodeName": node, "tolerations": [{"operator": "Exists"}]}

    def one(run_id: str) -> None:
        infrastructure.create(
            Launch(
                key=AttemptKey(run_id, 1),
                token=str(uuid.uuid4()),
                flow_run_name="one-of-many",
                environment={"PREFECT_API_URL": "http://prefect.example.com:4200/api"},
                secret_environment={},
                unset_environment=(),
                settings={"image": "flows:1", "pod_overrides": {"spec": pod}},
                bootstrap={"flow_run_id": run_id, "number": 1},
                spec_hash="0" * 64,
                start_timeout=900.0,
                run_timeout=None,
                stop_grace=30.0,
                concurrency=None,
            )
        )

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, run_ids))


def look(infrastructure: KubernetesInfrastructure, client: CountingClient, run_ids: Sequence[str]) -> dict[str, float]:
    """What a look takes, and the process's memory after some."""
    infrastructure.find(run_ids[:1])
    before, started = client.calls, time.monotonic()
    for _look in range(LOOKS):
        found = infrastructure.find(run_ids)
    if len(found) != len(run_ids) or not all(one.node for one in found.values()):
        raise SystemExit(f"{len(found)} of {len(run_ids)} Jobs are seen, or pods of theirs are missing")
    seconds = (time.monotonic() - started) / LOOKS
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"calls": (client.calls - before) / LOOKS, "seconds": seconds, "memory": memory}


def main() -> None:
    """The command line."""
    what, kubeconfig, namespace, node = sys.argv[1:]
    run_ids = json.load(sys.stdin)
    client = connect(Connection(kubeconfig=kubeconfig))
    client.__class__ = CountingClient
    infrastructure = KubernetesInfrastructure(client, namespace)
    if what == "make":
        make(infrastructure, run_ids, node)
    elif isinstance(client, CountingClient):
        print(json.dumps(look(infrastructure, client, run_ids)))


if __name__ == "__main__":
    main()
