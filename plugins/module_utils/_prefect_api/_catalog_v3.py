# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What Prefect 3 keeps beyond the common things: schedules one by one, work pools, artifacts."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_common import (
    CommonCatalog,
    deployment_path,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import checked_id
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import PREFECT3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import quoted
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable


class CatalogV3(CommonCatalog):
    """Prefect 3 (measured with 3.9)."""

    generation = PREFECT3

    def _sent_schedule(self, body: Document) -> Document:
        """What is to be sent of a schedule, in the words of the server."""
        return body

    # --- deployments --------------------------------------------------------------------------------------------

    def update_deployment(self, deployment_id: str, changes: Document) -> None:
        self._send("PATCH", deployment_path(deployment_id), self._sent_deployment(changes))

    def change_schedules(
        self,
        deployment_id: str,
        create: t.Sequence[Document],
        update: t.Mapping[str, Document],
        delete: t.Sequence[str],
    ) -> None:
        path = f"{deployment_path(deployment_id)}/schedules"
        for body in create:
            # Sent twice it would be there twice: a lost answer is an error, and the next execution sees what is there.
            self._transport.request("POST", path, [self._sent_schedule(body)], repeatable=False)
        for schedule_id, body in update.items():
            self._send("PATCH", f"{path}/{checked_id(schedule_id, 'schedule')}", self._sent_schedule(body))
        for schedule_id in delete:
            self._delete(f"{path}/{checked_id(schedule_id, 'schedule')}")

    def schema_problems(self, schema: Document, values: Document) -> list[str]:
        body = {"schema": _without_required(schema), "values": values}
        try:
            answer = Fields(self._send("POST", "/ui/schemas/validate", body, dict), "validation")
        except ApiNotFound:  # a server without the routes of its UI checks when a run is made
            return []
        return [] if answer.flag("valid", True) else list(_schema_errors(answer.items("errors"), ""))

    # --- pools --------------------------------------------------------------------------------------------------

    def find_pool(self, name: str) -> Document | None:
        return self._find(_pool(name))

    def create_pool(self, body: Document) -> Document:
        made: Document = self._send("POST", "/work_pools/", body, dict)
        return made

    def update_pool(self, name: str, changes: Document) -> None:
        self._send("PATCH", _pool(name), changes)

    def delete_pool(self, name: str) -> None:
        self._delete(_pool(name))

    def list_queues(self, pool: str) -> list[Document]:
        found = self._list_all(f"{_pool(pool)}/queues/filter", {})
        return sorted(found, key=lambda queue: Fields(queue, "work queue").number("priority", 0))

    def create_queue(self, pool: str, body: Document) -> None:
        try:
            self._send("POST", f"{_pool(pool)}/queues", body, dict)
        except ApiError as error:
            if error.status != 409:  # an earlier copy of this request, or somebody else's
                raise

    def update_queue(self, pool: str, name: str, changes: Document) -> None:
        self._send("PATCH", f"{_pool(pool)}/queues/{quoted(name)}", changes)

    def delete_queue(self, pool: str, name: str) -> None:
        self._delete(f"{_pool(pool)}/queues/{quoted(name)}")

    # --- flow runs ----------------------------------------------------------------------------------------------

    def find_run_by_key(self, deployment_id: str, key: str) -> Document | None:
        runs = {"deployment_id": {"any_": [deployment_id]}, "idempotency_key": {"any_": [key]}}
        found = self._list_all("/flow_runs/filter", {"flow_runs": runs}, 1)
        return found[0] if found else None

    def list_artifacts(self, flow_run_id: str, limit: int) -> list[Document]:
        mine = {"flow_run_id": {"any_": [checked_id(flow_run_id, "flow_run_id")]}}
        return self._list_all("/artifacts/filter", {"artifacts": mine}, limit)


def _pool(name: str) -> str:
    return f"/work_pools/{quoted(name)}"


def _without_required(schema: t.Any) -> t.Any:
    """Defaults may leave to runs what these have to give, at any depth."""
    if isinstance(schema, dict):
        kept = {name: part for name, part in schema.items() if name != "required" or not isinstance(part, list)}
        return {name: _without_required(part) for name, part in kept.items()}
    return [_without_required(part) for part in schema] if isinstance(schema, list) else schema


def _schema_errors(errors: t.Iterable[t.Any], prefix: str) -> t.Iterator[str]:
    """The server tells errors as a tree of properties and indexes."""
    for error in errors:
        if isinstance(error, str):
            yield f"{prefix or 'the value'}: {printable(error, 300)}"
        elif isinstance(error, dict):
            step = error.get("property", error.get("index"))
            inner = error.get("errors")
            path = printable(f"{prefix}.{step}" if prefix else str(step), 200)
            yield from _schema_errors(inner if isinstance(inner, list) else [], path)
