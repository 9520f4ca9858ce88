# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What Prefect 3 has beyond the common requests: work pools, inputs of flow runs, a place for a process id."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import (
    INPUT_PREFIX,
    QUEUE_NAME,
    checked_id,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_common import CommonApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import PREFECT3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import (
    Deployment,
    Fields,
    RunInput,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import pages_of, quoted, read_pages
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import (
    Answer,
    Transport,
    printable,
)

#: Three inputs an attempt: enough for 300 attempts; the server's default is 1.
_INPUT_LIMIT = 1000


class PrefectApiV3(CommonApi):
    """Prefect 3 (measured with 3.9)."""

    generation = PREFECT3

    def __init__(self, transport: Transport, server_version: str) -> None:
        super().__init__(transport, server_version)
        self._known_pools: set[str] = set()

    def _prepare_creation(self, deployment: Deployment, body: dict[str, t.Any]) -> None:
        if deployment.work_pool_name is not None:
            self._ensure_queue(deployment.work_pool_name)
            body["work_queue_name"] = QUEUE_NAME

    def _ensure_queue(self, pool: str) -> None:
        """Our queue in the pool, paused: no worker polls it, yet the server accepts claims for its runs (measured)."""
        if pool in self._known_pools:
            return
        path = f"/work_pools/{quoted(pool)}/queues"
        try:
            answer = self.transport.request("GET", f"{path}/{QUEUE_NAME}", repeatable=True, shape=dict)
        except ApiNotFound:
            self._create_queue(path)
        else:
            if not Fields(answer.data, "work queue").flag("is_paused", False):
                self.warnings.append(
                    f"The work queue {QUEUE_NAME} of pool {printable(pool, 100)} is not paused: a worker may take the "
                    f"runs that this task creates. Pause it: prefect work-queue pause {QUEUE_NAME}."
                )
        self._known_pools.add(pool)

    def _create_queue(self, path: str) -> None:
        body = {
            "name": QUEUE_NAME,
            "description": "Flow runs that Ansible launches (collection flowops.prefect). Keep it paused.",
            "is_paused": True,
        }
        try:
            self.transport.request("POST", path, body, repeatable=True)
        except ApiError as error:
            if error.status != 409:  # somebody else made it between our two requests
                raise

    def set_infrastructure_pid(self, flow_run_id: str, identifier: str) -> None:
        run_id = checked_id(flow_run_id, "flow_run_id")
        body = {"infrastructure_pid": identifier}
        self.transport.request("PATCH", f"/flow_runs/{run_id}", body, repeatable=True)

    def read_inputs(self, flow_run_id: str) -> list[RunInput]:
        run_id = checked_id(flow_run_id, "flow_run_id")
        body = {"prefix": INPUT_PREFIX, "limit": _INPUT_LIMIT}
        answer = self.transport.request("POST", f"/flow_runs/{run_id}/input/filter", body, repeatable=True, shape=list)
        if len(answer.data) >= _INPUT_LIMIT:
            raise ApiError(
                f"Flow run {run_id} has {_INPUT_LIMIT} or more inputs with the prefix {INPUT_PREFIX}.",
                "Make a new flow run.",
            )
        return [_run_input(item) for item in answer.data]

    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:
        run_id = checked_id(flow_run_id, "flow_run_id")
        path = f"/flow_runs/{run_id}/input"
        try:
            answer = self.transport.request("POST", path, {"key": key, "value": value}, repeatable=True)
        except ApiError as error:
            if error.status != 409:
                raise
            # Whether an earlier copy of this very request got through is only seen by its value, which is unique.
            return any(item.key == key and item.value == value for item in self.read_inputs(run_id))
        return _was_created(answer)

    def read_artifacts(self, flow_run_ids: t.Sequence[str], keys: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
        ids = [checked_id(flow_run_id, "flow_run_id") for flow_run_id in flow_run_ids]
        found: dict[str, dict[str, t.Any]] = {}
        for page in pages_of(ids):
            wanted = {"flow_run_id": {"any_": page}, "key": {"any_": list(keys)}}
            # The newest first: a flow may publish under one key again and again.
            body = {"artifacts": wanted, "sort": "UPDATED_DESC"}
            for item in read_pages(self.transport, "/artifacts/filter", body):
                fields = Fields(item, "artifact")
                artifact = {name: item.get(name) for name in ("type", "description", "data")}
                found.setdefault(fields.uuid("flow_run_id"), {}).setdefault(fields.text("key"), artifact)
        return found


def _was_created(answer: Answer) -> bool:
    if answer.status != 201:
        raise ApiError(
            f"The Prefect API answered HTTP {answer.status} where it says 201.",
            "Check that api_url is a Prefect API.",
            status=answer.status,
        )
    return True


def _run_input(data: t.Any) -> RunInput:
    fields = Fields(data, "flow run input")
    return RunInput(fields.text("key"), fields.text("value"), fields.moment("created"))
