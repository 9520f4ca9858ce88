# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Requests and answers about what the management modules keep that all generations of Prefect have in common."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Catalog, Document, RunFilter
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import checked_id
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import STATE_TYPES, Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import quoted, read_pages


class CommonCatalog(Catalog):
    """The requests that all generations answer; where their words differ there is a method for it."""

    def _told_deployment(self, raw: Document) -> Document:
        """A deployment that the server told, in the words of Prefect 3."""
        return raw

    def _sent_deployment(self, body: Document) -> Document:
        """What is to be sent of a deployment, in the words of the server."""
        return body

    def _told_run(self, raw: Document) -> Document:
        """A flow run that the server told."""
        return raw

    def _sent_run(self, body: Document) -> Document:
        """What is to be sent of a flow run."""
        return body

    def _told_state(self, raw: Document) -> Document:
        """A state that the server told."""
        return raw

    # --- deployments --------------------------------------------------------------------------------------------

    def find_deployment(self, flow_name: str, name: str) -> Document | None:
        found = self._find(f"/deployments/name/{quoted(flow_name)}/{quoted(name)}")
        return found and {**self._told_deployment(found), "flow_name": flow_name}

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
        return [{**self._told_deployment(one), "flow_name": names.get(one["flow_id"], "")} for one in found]

    def _flow_names(self, ids: t.Collection[str]) -> dict[str, str]:
        body = {"flows": {"id": {"any_": sorted(ids)}}}
        found = [Fields(one, "flow") for one in (self._list_all("/flows/filter", body) if ids else ())]
        return {flow.uuid("id"): flow.text("name") for flow in found}

    def create_deployment(self, flow_name: str, body: Document) -> Document:
        flow = self._send("POST", "/flows/", {"name": flow_name}, dict)
        body = {**self._sent_deployment(body), "flow_id": Fields(flow, "flow").uuid("id")}
        return self._told_deployment(self._send("POST", "/deployments/", body, dict))

    def delete_deployment(self, deployment_id: str) -> None:
        self._delete(deployment_path(deployment_id))

    # --- flow runs ----------------------------------------------------------------------------------------------

    def count_runs(self, wanted: RunFilter) -> int:
        return int(self._send("POST", "/flow_runs/count", run_filters(wanted), int))

    def list_runs(self, wanted: RunFilter, limit: int, offset: int = 0, newest_first: bool = True) -> list[Document]:
        order = "EXPECTED_START_TIME_DESC" if newest_first else "EXPECTED_START_TIME_ASC"
        found = self._list_all("/flow_runs/filter", {**run_filters(wanted), "sort": order}, limit, offset)
        return [self._told_run(run) for run in found]

    def create_run(self, deployment_id: str, body: Document) -> tuple[Document, bool]:
        path = f"{deployment_path(deployment_id)}/create_flow_run"
        answer = self._transport.request("POST", path, self._sent_run(body), repeatable=True, shape=dict)
        return self._told_run(answer.data), answer.status == 201

    def set_run_job_variables(self, flow_run_id: str, job_variables: Document) -> None:
        self._send("PATCH", run_path(flow_run_id), self._sent_run({"job_variables": job_variables}))

    def delete_run(self, flow_run_id: str) -> None:
        self._delete(run_path(flow_run_id))

    def list_states(self, flow_run_id: str) -> list[Document]:
        path = f"/flow_run_states/?flow_run_id={checked_id(flow_run_id, 'flow_run_id')}"
        found: list[Document] = self._transport.request("GET", path, repeatable=True, shape=list).data
        states = [self._told_state(state) for state in found]
        return sorted(states, key=lambda state: Fields(state, "state").moment("timestamp"))

    # --- requests -----------------------------------------------------------------------------------------------

    def _send(self, method: str, path: str, body: Document, shape: type | None = None) -> t.Any:
        """A request that may be repeated: it says how something is to be, not how it is to change."""
        return self._transport.request(method, path, body, repeatable=True, shape=shape).data

    def _read(self, path: str) -> Document:
        found: Document = self._transport.request("GET", path, repeatable=True, shape=dict).data
        return found

    def _find(self, path: str) -> Document | None:
        try:
            return self._read(path)
        except ApiNotFound:
            return None

    def _delete(self, path: str) -> None:
        try:
            self._transport.request("DELETE", path, repeatable=True)
        except ApiNotFound:
            pass  # gone is what was asked for

    def _list_all(self, path: str, body: Document, limit: int | None = None, offset: int = 0) -> list[Document]:
        """Page by page, up to the limit."""
        return read_pages(self._transport, path, body, limit, offset)


def deployment_path(deployment_id: str) -> str:
    """Where a deployment is, once its id was checked."""
    return f"/deployments/{checked_id(deployment_id, 'deployment')}"


def run_path(flow_run_id: str) -> str:
    """Where a flow run is, once its id was checked."""
    return f"/flow_runs/{checked_id(flow_run_id, 'flow_run_id')}"


def run_filters(wanted: RunFilter) -> Document:
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
