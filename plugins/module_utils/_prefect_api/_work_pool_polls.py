# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What an agent asks of a work pool; Prefect 2.20 and 3 answer the same."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import PAGE, quoted, read_pages
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._polls import HEARTBEAT, Polls
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport, printable

_UNDER_WAY = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
_RESTING = {"operator": "or_", "type": {"any_": ["PAUSED"]}, "name": {"any_": ["AwaitingRetry"]}}


class WorkPoolPolls(Polls):
    """One work pool, or some of its queues; without names all of them. Runs come by priority."""

    what = "work pool"

    def __init__(self, transport: Transport, pool: str, queues: t.Sequence[str]) -> None:
        super().__init__(transport)
        self._pool = pool
        self._queues = list(queues)

    def heartbeat(self, name: str) -> None:
        body = {"name": name, "heartbeat_interval_seconds": HEARTBEAT}
        self._transport.request("POST", f"/work_pools/{quoted(self._pool)}/workers/heartbeat", body, repeatable=True)

    def due(self, limit: int = PAGE) -> dict[str, str]:
        body: dict[str, t.Any] = {"scheduled_before": self._now()}
        if self._queues:
            body["work_queue_names"] = self._queues
        if limit < PAGE:
            body["limit"] = limit
        path = f"/work_pools/{quoted(self._pool)}/get_scheduled_flow_runs"
        try:
            answer = self._transport.request("POST", path, body, repeatable=True, shape=list)
        except ApiNotFound:
            missing = " or one of work_queues" if self._queues else ""
            raise ApiNotFound(
                f"There is no work pool {printable(self._pool, 200)}{missing}.",
                "Check the names; 'prefect work-pool ls' lists pools.",
                status=404,
            ) from None
        found = [Fields(item, "scheduled run") for item in answer.data]
        return {one.sub("flow_run").uuid("id"): one.uuid("work_queue_id") for one in found}

    def under_way(self) -> list[str]:
        return self._in_state(_UNDER_WAY)

    def resting(self) -> list[str]:
        return self._in_state(_RESTING)

    def _in_state(self, state: dict[str, t.Any]) -> list[str]:
        body: dict[str, t.Any] = {
            "flow_runs": {"state": state},
            "work_pools": {"name": {"any_": [self._pool]}},
            "sort": "ID_DESC",
        }
        if self._queues:
            body["work_pool_queues"] = {"name": {"any_": self._queues}}
        found = read_pages(self._transport, "/flow_runs/filter", body)
        return [Fields(item, "flow run").uuid("id") for item in found]
