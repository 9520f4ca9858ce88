# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What an agent asks of work queues with filters, which only Orion has."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import in_later_words
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields, canonical_uuid
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import PAGE, each_found, quoted
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._polls import Polls
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport, printable

#: Conditions of a queue, and what filters of flow runs call them.
_CONDITIONS = {
    "tags": ("tags", "all_"),
    "deployment_ids": ("deployment_id", "any_"),
    "flow_runner_types": ("flow_runner_type", "any_"),
}


@dataclasses.dataclass(frozen=True)
class _Queue:
    """One work queue.

    :arg name: as the user gave it, a UUID perhaps.
    :arg runs: the filter of the flow runs that it is about.
    """

    name: str
    id: str
    runs: dict[str, t.Any]


class WorkQueuePolls(Polls):
    """Work queues by their names or ids; those that are named first go first."""

    what = "work queues"

    def __init__(self, transport: Transport, queues: t.Sequence[str]) -> None:
        super().__init__(transport)
        self._queues = [self._found(name) for name in queues]

    def heartbeat(self, name: str) -> None:
        """It shows agents nowhere, and a queue that has heard of one can never be deleted."""

    def due(self, limit: int = PAGE) -> dict[str, str]:
        body = {"scheduled_before": self._now(), "limit": min(limit, PAGE)}
        found: dict[str, str] = {}
        for queue in self._queues:
            for item in self._asked(queue.name, "POST", f"/work_queues/{queue.id}/get_runs", list, body):
                found.setdefault(Fields(item, "scheduled run").uuid("id"), queue.id)
        return found

    def under_way(self) -> list[str]:
        return list(dict.fromkeys(run_id for queue in self._queues for run_id in self._taken(queue)))

    def resting(self) -> list[str]:
        return []  # flows cannot be paused, and retry nothing

    def _taken(self, queue: _Queue) -> t.Iterator[str]:
        """What a task has made and is about to launch is that task's."""
        state = {"type": {"any_": ["PENDING", "RUNNING"]}}
        body = {"flow_runs": {**queue.runs, "state": state}, "sort": "ID_DESC"}
        for item in each_found(self._transport, "/flow_runs/filter", body):
            run = Fields(item, "flow run")
            if in_later_words(run.mapping("state")).get("type") != "SCHEDULED":
                yield run.uuid("id")

    def _found(self, name: str) -> _Queue:
        queue_id = canonical_uuid(name)
        path = f"/work_queues/{queue_id}" if queue_id else f"/work_queues/name/{quoted(name)}"
        queue = Fields(self._asked(name, "GET", path, dict), "work queue")
        given = queue.sub("filter")
        runs: dict[str, t.Any] = {"deployment_id": {"is_null_": False}}
        for condition, (field, operator) in _CONDITIONS.items():
            values = list(given.texts(condition))
            if values:
                runs.setdefault(field, {})[operator] = values
        return _Queue(name, queue.uuid("id"), runs)

    def _asked(self, name: str, method: str, path: str, shape: type, body: t.Any = None) -> t.Any:
        try:
            return self._transport.request(method, path, body, repeatable=True, shape=shape).data
        except ApiNotFound:
            raise ApiNotFound(
                f"work_queues: there is no work queue {printable(name, 200)}.",
                "Check the names; 'prefect work-queue ls' lists queues.",
                status=404,
            ) from None
