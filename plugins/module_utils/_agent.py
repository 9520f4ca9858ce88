# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""One cycle of an agent: what is due in a work pool, and what becomes of runs that cannot be launched.

What is wrong with a run is reported to the server, so that nobody tries it for ever. What is wrong with this place (an
engine that does not answer) leaves the run to others, or to the next cycle.
"""

from __future__ import annotations

import socket
import time
import typing as t
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._diagnosis import OWN_REPORT
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    ApiUnreachable,
    FlowopsError,
    InfrastructureUnreachable,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._work_pool_polls import (
    HEARTBEAT,
    WorkPoolPolls,
)
from ansible_collections.flowops.prefect.plugins.module_utils._redact import Redactor


class Agent:
    """Takes runs from one work pool.

    :arg queues: names; empty for all queues of the pool.
    :arg limit: how many due runs one cycle takes up; ``None`` for as many as the server hands out.
    :arg secrets: what must not reach the server with a reason; may grow.
    """

    def __init__(
        self, api: PrefectApi, pool: str, queues: t.Sequence[str], limit: int | None, secrets: list[str]
    ) -> None:
        self.api = api
        self.polls = WorkPoolPolls(api.transport, pool, queues)
        self.limit = limit
        self.secrets = secrets
        self.check_mode = False
        self.changed = False
        self.warnings: list[str] = []
        self._refused: dict[str, str] = {}
        self._next_heartbeat = 0.0

    def flow_run_ids(self) -> list[str]:
        """What is under way in the pool, since some of it may be ours to watch, and what is due."""
        return list(dict.fromkeys((*self.polls.under_way(), *self.polls.due(self.limit))))

    def show_up(self) -> None:
        """Tell the server that somebody works on the pool; without it nothing is lost but a light in the UI."""
        if self.check_mode or time.monotonic() < self._next_heartbeat:
            return
        self._next_heartbeat = time.monotonic() + HEARTBEAT
        try:
            self.polls.heartbeat(f"flowops-{socket.gethostname()}")
        except ApiUnreachable as error:
            self.warnings.append(f"heartbeat: {error}")

    def refuse(self, flow_run_id: str, reason: str) -> None:
        """The run cannot be launched: remembered, since it is only known later whether this is check mode."""
        self._refused[flow_run_id] = reason

    def leave(self, what: str, error: FlowopsError) -> None:
        """Something is wrong here, not with the run."""
        self.warnings.append(f"{what}: {error} It stays as it is.")

    def drop(self, flow_run_id: str, error: FlowopsError) -> None:
        """A run that could not be launched after all."""
        if isinstance(error, (ApiUnreachable, InfrastructureUnreachable)):
            self.leave(f"flow run {flow_run_id}", error)
        else:
            self.refuse(flow_run_id, str(error))

    def report(self) -> None:
        """Tell the server of what was refused, each once."""
        for flow_run_id, reason in self._refused.items():
            self.warnings.append(f"flow run {flow_run_id} cannot be launched: {reason}")
            self.changed = True
            if not self.check_mode:
                self._give_up(flow_run_id, Redactor(self.secrets).text(reason))
        self._refused.clear()

    def _give_up(self, flow_run_id: str, reason: str) -> None:
        """Claimed first: another agent may see nothing wrong with the run and have begun it."""
        try:
            if self.api.claim(flow_run_id, str(uuid.uuid4())).ours:
                self.api.propose(flow_run_id, "CRASHED", message=f"{OWN_REPORT}{reason}")
        except FlowopsError as error:
            self.leave(f"flow run {flow_run_id}", error)
