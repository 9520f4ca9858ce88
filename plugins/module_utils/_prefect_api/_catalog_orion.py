# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What Orion 2.0b6 keeps, in the words of Prefect 3: deployments with code and one schedule, queues with filters."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import in_later_words
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document, RunFilter
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_common import (
    CommonCatalog,
    deployment_path,
    run_filters,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import checked_id
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import ORION, Ability
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import STATE_TYPES, Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import PAGE, quoted

#: The types that Orion gives to what is of this type for Prefect 3, where it is not the same one.
_TYPES = {"SCHEDULED": ("SCHEDULED", "PENDING"), "CRASHED": ("FAILED",), "CANCELLING": (), "PAUSED": ()}
_FLOW_RUNNER = "flow_runner"
#: Takes one away, where null would leave it.
_NO_FLOW_RUNNER: Document = {"type": None, "config": None}
#: What a deployment is created from; the flow runner stays unless another one is sent.
_CREATED_FROM = ("name", "flow_id", "flow_data", "parameters", "tags", "is_schedule_active", "schedule")
#: The only form of code that can be read and written here; Prefect's client stores others, which stay as they are.
_TEXT = "text"


class CatalogOrion(CommonCatalog):
    """Orion 2.0b6: a deployment is changed by creating it again, with all that it is to be."""

    generation = ORION
    _page_of_deployment = "deployment"

    def _told_deployment(self, raw: Document) -> Document:
        fields = Fields(raw, "deployment")
        data, rule = fields.sub("flow_data"), _told_rule(fields.mapping("schedule"))
        return {
            **raw,
            "paused": not fields.flag("is_schedule_active", True),
            "schedules": [{"id": fields.uuid("id"), "schedule": rule}] if rule else [],
            "job_variables": _job_variables(fields),
            "flow_data": data.text("blob") if data.text("encoding") == _TEXT else None,
        }

    def _sent_deployment(self, body: Document) -> Document:
        sent: Document = {name: body[name] for name in ("name", "parameters", "tags") if name in body}
        if "flow_data" in body:
            sent["flow_data"] = {"encoding": _TEXT, "blob": body["flow_data"]}
        if "paused" in body:
            sent["is_schedule_active"] = not body["paused"]
        if "schedules" in body:
            sent["schedule"] = next((_sent_rule(schedule["schedule"]) for schedule in body["schedules"]), None)
        if "job_variables" in body:
            sent["flow_runner"] = body["job_variables"].get(_FLOW_RUNNER, _NO_FLOW_RUNNER)
        return sent

    def _told_run(self, raw: Document) -> Document:
        fields = Fields(raw, "flow run")
        return {**raw, "state": self._told_state(fields.mapping("state")), "job_variables": _job_variables(fields)}

    def _sent_run(self, body: Document) -> Document:
        sent = {name: value for name, value in body.items() if name != "job_variables"}
        flow_runner = body.get("job_variables", {}).get(_FLOW_RUNNER)
        return {**sent, "flow_runner": flow_runner} if flow_runner else sent

    def _told_state(self, raw: Document) -> Document:
        return in_later_words(raw)

    # --- deployments -------------------------------------------------------------------------------------------

    def list_deployments(self, ids: t.Sequence[str], flows: t.Sequence[str], tags: t.Sequence[str]) -> list[Document]:
        return sorted(super().list_deployments(ids, flows, tags), key=lambda found: str(found["name"]))

    def update_deployment(self, deployment_id: str, changes: Document) -> None:
        found = self._read(deployment_path(deployment_id))
        kept = {name: found[name] for name in _CREATED_FROM if name in found}
        body = {**kept, **self._sent_deployment(changes)}
        self._send("POST", "/deployments/", body)

    def change_schedules(
        self,
        deployment_id: str,
        create: t.Sequence[Document],
        update: t.Mapping[str, Document],
        delete: t.Sequence[str],
    ) -> None:
        if create or update or delete:
            self.update_deployment(deployment_id, {"schedules": [*create, *update.values()]})

    def schema_problems(self, schema: Document, values: Document) -> list[str]:  # noqa: ARG002 - it checks nothing
        return []

    # --- work queues with filters --------------------------------------------------------------------------------

    def find_pool(self, name: str) -> Document | None:
        return self._find(f"/work_queues/name/{quoted(name)}")

    def create_pool(self, body: Document) -> Document:
        made: Document = self._send("POST", "/work_queues/", body, dict)
        return made

    def update_pool(self, name: str, changes: Document) -> None:
        self._send("PATCH", self._queue(name), changes)

    def delete_pool(self, name: str) -> None:
        self._delete(self._queue(name))

    def _queue(self, name: str) -> str:
        """A queue's address: by its name it can only be found."""
        return f"/work_queues/{Fields(self.find_pool(name), 'work queue').uuid('id')}"

    def list_queues(self, pool: str) -> list[Document]:  # noqa: ARG002
        return []

    def create_queue(self, pool: str, body: Document) -> None:  # noqa: ARG002
        raise self.generation.refusal(Ability.WORK_POOLS, "queues")

    def update_queue(self, pool: str, name: str, changes: Document) -> None:  # noqa: ARG002
        raise self.generation.refusal(Ability.WORK_POOLS, "queues")

    def delete_queue(self, pool: str, name: str) -> None:  # noqa: ARG002
        raise self.generation.refusal(Ability.WORK_POOLS, "queues")

    # --- flow runs ---------------------------------------------------------------------------------------------

    def count_runs(self, wanted: RunFilter) -> int:
        return sum(1 for _run in self._matching(wanted, "ID_DESC"))

    def list_runs(self, wanted: RunFilter, limit: int, offset: int = 0, newest_first: bool = True) -> list[Document]:
        order = "EXPECTED_START_TIME_DESC" if newest_first else "EXPECTED_START_TIME_ASC"
        return list(itertools.islice(self._matching(wanted, order), offset, offset + limit))

    def _matching(self, wanted: RunFilter, order: str) -> t.Iterator[Document]:
        """Page by page; a state in our words is more than one in Orion's, and it cannot be asked for "or"."""
        body = {**run_filters(wanted), "sort": order}
        if wanted.states:
            types = _narrowed(wanted.states)
            if not types:
                return
            body["flow_runs"]["state"] = {"type": {"any_": types}}
        for offset in itertools.count(0, PAGE):
            page = self._list_all("/flow_runs/filter", body, PAGE, offset)
            runs = [self._told_run(raw) for raw in page]
            yield from (run for run in runs if not wanted.states or _is_one_of(run["state"], wanted.states))
            if len(page) < PAGE:
                return

    def find_run_by_key(self, deployment_id: str, key: str) -> Document | None:
        ours = self._matching(RunFilter(deployments=(deployment_id,)), "ID_DESC")
        return next((run for run in ours if run.get("idempotency_key") == key), None)

    def list_artifacts(self, flow_run_id: str, limit: int) -> list[Document]:  # noqa: ARG002
        raise self.generation.refusal(Ability.ARTIFACTS, f"flow run {checked_id(flow_run_id, 'flow_run_id')}")


def _job_variables(fields: Fields) -> Document:
    """The flow runner of a deployment or a run, where later servers keep it."""
    found = fields.sub(_FLOW_RUNNER)
    runner_type, config = found.optional_text("type"), found.mapping("config")
    return {_FLOW_RUNNER: {"type": runner_type or "universal", "config": config}} if runner_type or config else {}


def _told_rule(rule: Document) -> Document:
    """Intervals are in UTC without saying so."""
    return {**rule, "timezone": "UTC"} if "interval" in rule else rule


def _sent_rule(rule: Document) -> Document:
    return {name: value for name, value in rule.items() if "interval" not in rule or name != "timezone"}


def _narrowed(states: t.Collection[str]) -> list[str]:
    """The types of Orion that runs in these states may have."""
    every = sorted({*_TYPES["SCHEDULED"], "RUNNING", "COMPLETED", "FAILED", "CANCELLED"})
    if not STATE_TYPES.issuperset(states):
        return every
    return sorted({kind for state in states for kind in _TYPES.get(state, (state,))})


def _is_one_of(state: Document, states: t.Collection[str]) -> bool:
    """As the server of Prefect 3 understands it: words in capitals are types, others names."""
    return state.get("type") in states or state.get("name") in states
