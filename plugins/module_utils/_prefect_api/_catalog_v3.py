# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Requests and answers of Prefect 3 about what the management modules keep."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Catalog, Document, RunFilter
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import checked_id
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import STATE_TYPES, Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import quoted, read_pages
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable


class CatalogV3(Catalog):
    """Prefect 3 (measured with 3.9)."""

    # --- deployments -------------------------------------------------------------------------------------------

    def find_deployment(self, flow_name: str, name: str) -> Document | None:
        found = self._find(f"/deployments/name/{quoted(flow_name)}/{quoted(name)}")
        return found and {**found, "flow_name": flow_name}

    def list_deployments(self, ids: t.Sequence[str], flows: t.Sequence[str], tags: t.Sequence[str]) -> list[Document]:
        own: Document = {}
        if ids:
            own["id"] = {"any_": list(ids)}
        if tags:
            own["tags"] = {"all_": list(tags)}
        body: Document = {"sort": "NAME_ASC", **({"deployments": own} if own else {})}
        if flows:
            body["flows"] = {"name": {"any_": list(flows)}}
        found = self._list_all("/deployments/filter", body)
        names = self._flow_names({Fields(one, "deployment").uuid("flow_id") for one in found})
        return [{**one, "flow_name": names.get(one["flow_id"], "")} for one in found]

    def _flow_names(self, ids: t.Collection[str]) -> dict[str, str]:
        body = {"flows": {"id": {"any_": sorted(ids)}}}
        found = [Fields(one, "flow") for one in (self._list_all("/flows/filter", body) if ids else ())]
        return {flow.uuid("id"): flow.text("name") for flow in found}

    def create_deployment(self, flow_name: str, body: Document) -> Document:
        flow = self._send("POST", "/flows/", {"name": flow_name}, dict)
        body = {**body, "flow_id": Fields(flow, "flow").uuid("id")}
        made: Document = self._send("POST", "/deployments/", body, dict)
        return made

    def update_deployment(self, deployment_id: str, changes: Document) -> None:
        self._send("PATCH", _deployment(deployment_id), changes)

    def delete_deployment(self, deployment_id: str) -> None:
        self._delete(_deployment(deployment_id))

    def create_schedule(self, deployment_id: str, body: Document) -> None:
        # Sent twice it would be there twice: a lost answer is an error, and the next execution sees what is there.
        path = f"{_deployment(deployment_id)}/schedules"
        self._transport.request("POST", path, [body], repeatable=False)

    def update_schedule(self, deployment_id: str, schedule_id: str, body: Document) -> None:
        self._send("PATCH", _schedule(deployment_id, schedule_id), body)

    def delete_schedule(self, deployment_id: str, schedule_id: str) -> None:
        self._delete(_schedule(deployment_id, schedule_id))

    def schema_problems(self, schema: Document, values: Document) -> list[str]:
        body = {"schema": {name: part for name, part in schema.items() if name != "required"}, "values": values}
        try:
            answer = Fields(self._send("POST", "/ui/schemas/validate", body, dict), "validation")
        except ApiNotFound:  # a server without the routes of its UI checks when a run is made
            return []
        return [] if answer.flag("valid", True) else list(_schema_errors(answer.items("errors"), ""))

    # --- pools -------------------------------------------------------------------------------------------------

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

    # --- flow runs ---------------------------------------------------------------------------------------------

    def count_runs(self, wanted: RunFilter) -> int:
        return int(self._send("POST", "/flow_runs/count", _filters(wanted), int))

    def list_runs(self, wanted: RunFilter, limit: int, offset: int = 0, newest_first: bool = True) -> list[Document]:
        order = "EXPECTED_START_TIME_DESC" if newest_first else "EXPECTED_START_TIME_ASC"
        return self._list_all("/flow_runs/filter", {**_filters(wanted), "sort": order}, limit, offset)

    def create_run(self, deployment_id: str, body: Document) -> tuple[Document, bool]:
        path = f"{_deployment(deployment_id)}/create_flow_run"
        answer = self._transport.request("POST", path, body, repeatable=True, shape=dict)
        return answer.data, answer.status == 201

    def find_run_by_key(self, deployment_id: str, key: str) -> Document | None:
        runs = {"deployment_id": {"any_": [deployment_id]}, "idempotency_key": {"any_": [key]}}
        found = self._list_all("/flow_runs/filter", {"flow_runs": runs}, 1)
        return found[0] if found else None

    def set_run_job_variables(self, flow_run_id: str, job_variables: Document) -> None:
        self._send("PATCH", _run(flow_run_id), {"job_variables": job_variables})

    def delete_run(self, flow_run_id: str) -> None:
        self._delete(_run(flow_run_id))

    def list_states(self, flow_run_id: str) -> list[Document]:
        path = f"/flow_run_states/?flow_run_id={checked_id(flow_run_id, 'flow_run_id')}"
        found: list[Document] = self._transport.request("GET", path, repeatable=True, shape=list).data
        return sorted(found, key=lambda state: Fields(state, "state").moment("timestamp"))

    def list_artifacts(self, flow_run_id: str, limit: int) -> list[Document]:
        mine = {"flow_run_id": {"any_": [checked_id(flow_run_id, "flow_run_id")]}}
        return self._list_all("/artifacts/filter", {"artifacts": mine}, limit)

    # --- requests ----------------------------------------------------------------------------------------------

    def _send(self, method: str, path: str, body: Document, shape: type | None = None) -> t.Any:
        """A request that may be repeated: it says how something is to be, not how it is to change."""
        return self._transport.request(method, path, body, repeatable=True, shape=shape).data

    def _find(self, path: str) -> Document | None:
        try:
            found: Document = self._transport.request("GET", path, repeatable=True, shape=dict).data
        except ApiNotFound:
            return None
        return found

    def _delete(self, path: str) -> None:
        try:
            self._transport.request("DELETE", path, repeatable=True)
        except ApiNotFound:
            pass  # gone is what was asked for

    def _list_all(self, path: str, body: Document, limit: int | None = None, offset: int = 0) -> list[Document]:
        """Page by page, up to the limit."""
        return read_pages(self._transport, path, body, limit, offset)


def _deployment(deployment_id: str) -> str:
    return f"/deployments/{checked_id(deployment_id, 'deployment')}"


def _schedule(deployment_id: str, schedule_id: str) -> str:
    return f"{_deployment(deployment_id)}/schedules/{checked_id(schedule_id, 'schedule')}"


def _pool(name: str) -> str:
    return f"/work_pools/{quoted(name)}"


def _run(flow_run_id: str) -> str:
    return f"/flow_runs/{checked_id(flow_run_id, 'flow_run_id')}"


def _filters(wanted: RunFilter) -> Document:
    """The body of a request about runs."""
    runs: Document = {}
    if wanted.ids:
        runs["id"] = {"any_": list(wanted.ids)}
    if wanted.states:
        runs["state"] = _states(wanted.states)
    if wanted.tags:
        runs["tags"] = {"all_": list(wanted.tags)}
    if wanted.name:
        runs["name"] = {"like_": wanted.name}
    if wanted.after or wanted.before:
        span = {"after_": wanted.after, "before_": wanted.before}
        runs["expected_start_time"] = {name: moment for name, moment in span.items() if moment}
    if wanted.deployments:
        runs["deployment_id"] = {"any_": list(wanted.deployments)}
    body: Document = {"flow_runs": runs} if runs else {}
    if wanted.flows:
        body["flows"] = {"name": {"any_": list(wanted.flows)}}
    if wanted.work_pools:
        body["work_pools"] = {"name": {"any_": list(wanted.work_pools)}}
    return body


def _states(states: t.Sequence[str]) -> Document:
    """Words in capitals are types, others names: Failed is one state, FAILED also says TimedOut."""
    types = [state for state in states if state in STATE_TYPES]
    names = [state for state in states if state not in STATE_TYPES]
    found: Document = {"operator": "or_"}
    if types:
        found["type"] = {"any_": types}
    if names:
        found["name"] = {"any_": names}
    return found


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
