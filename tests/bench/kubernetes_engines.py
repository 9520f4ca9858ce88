# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for thousands of engines and their node: each pod's run passes its gate, runs and completes, and the pod
has succeeded, as kwok does that. Nothing is executed in any of them.

``kubernetes_engines.py KUBECONFIG NAMESPACE API_URL NUMBER`` ends when that many pods have ended.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))

from prefect_rest import PrefectRest

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_client import (
    Connection,
    KubernetesClient,
    connect,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_job import (
    CONTAINER,
    RUN_LABEL,
    TOKEN_LABEL,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_look import is_live

THREADS = 8


class WritingClient(KubernetesClient):
    """Replaces objects, which the collection never does."""

    def put(self, path: str, body: dict[str, Any]) -> None:
        """Replace one."""
        self._send("PUT", path, {}, body)


class Engines:
    """Everything that pods of one namespace would do."""

    def __init__(self, client: WritingClient, rest: PrefectRest, namespace: str) -> None:
        self._client = client
        self._rest = rest
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    def play(self, number: int) -> None:
        """Until so many pods have ended."""
        ended = 0
        with ThreadPoolExecutor(THREADS) as pool:
            while ended < number:
                waiting = [pod for pod in self._client.items(self._pods, labelSelector=RUN_LABEL) if is_live(pod)]
                ended += len(list(pool.map(self._one, waiting)))
                time.sleep(1)

    def _one(self, pod: dict[str, Any]) -> None:
        labels = pod["metadata"]["labels"]
        run_id = labels[RUN_LABEL]
        gate = json.dumps({"go": labels[TOKEN_LABEL], "nonce": uuid.uuid4().hex})
        self._rest.post(f"/flow_runs/{run_id}/input", {"key": "flowops-1-gate", "value": gate})
        for state in ("RUNNING", "COMPLETED"):
            self._rest.set_state(run_id, state)
        self._end(pod)

    def _end(self, pod: dict[str, Any]) -> None:
        """What a kubelet says of a pod whose container exited with 0."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
        image = pod["spec"]["containers"][0]["image"]
        container = {"name": CONTAINER, "image": image, "imageID": "", "ready": False, "restartCount": 0}
        pod["metadata"].pop("resourceVersion")
        pod["status"] |= {"phase": "Succeeded", "containerStatuses": [{**container, "state": {"terminated": ended}}]}
        self._client.put(f"{self._pods}/{pod['metadata']['name']}/status", pod)


def main() -> None:
    """The command line."""
    kubeconfig, namespace, api_url, number = sys.argv[1:]
    client = connect(Connection(kubeconfig=kubeconfig))
    client.__class__ = WritingClient
    if not isinstance(client, WritingClient):
        raise TypeError
    Engines(client, PrefectRest(api_url), namespace).play(int(number))


if __name__ == "__main__":
    main()
