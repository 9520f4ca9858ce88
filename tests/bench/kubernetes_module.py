# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Executes ``flow_runner_k8s`` once, as Ansible does on a host, and tells as JSON what came of it and what it took.

Reads the module's arguments from its input, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

from ansible.module_utils import basic

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes import (
    KubernetesInfrastructure,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_client import KubernetesClient
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation
from ansible_collections.flowops.prefect.plugins.modules import flow_runner_k8s


class Counts:
    """How often the module looked, and how many list calls its looks took."""

    def __init__(self) -> None:
        self.looks = self.lists = 0
        get, find = KubernetesClient.get, KubernetesInfrastructure.find

        def counted_get(client: KubernetesClient, path: str, **query: Any) -> dict[str, Any]:
            self.lists += "limit" in query
            return get(client, path, **query)

        def counted_find(
            infrastructure: KubernetesInfrastructure, flow_run_ids: Sequence[str]
        ) -> dict[AttemptKey, Observation]:
            self.looks += 1
            return find(infrastructure, flow_run_ids)

        KubernetesClient.get = counted_get  # type: ignore[method-assign,assignment]
        KubernetesInfrastructure.find = counted_find  # type: ignore[method-assign,assignment]


def main() -> None:
    """The command line."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    counts, started = Counts(), time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.suppress(SystemExit):
        flow_runner_k8s.main()
    seconds = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = json.loads(output.getvalue())
    told = {"msg": result.get("msg"), "summary": result.get("summary")}
    took = {"looks": counts.looks, "lists": counts.lists, "seconds": seconds, "memory": memory}
    print(json.dumps({**told, **took}))


if __name__ == "__main__":
    main()
