# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""An agent of a work pool or of work queues: which runs it takes up, and what becomes of those it cannot launch.

What is wrong with a run is reported to the server, so that nobody tries it for ever. What is wrong with this place (an
engine that does not answer) leaves the run to others, or to the next cycle.
"""

from __future__ import annotations

import random
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
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import PAGE
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._polls import HEARTBEAT, Polls
from ansible_collections.flowops.prefect.plugins.module_utils._redact import Redactor

#: Where others take runs too, each run is picked by chance from so many.
SPREAD = 8


class Agent:
    """Takes runs from one work pool, or from work queues.

    :arg limit: how many runs may be live here at once; ``None`` for as many as the server hands out.
    :arg secrets: what must not reach the server with a reason; may grow.
    :ivar others: whether others have been seen to take runs from there.
    """

    def __init__(
        self,
        api: PrefectApi,
        polls: Polls,
        limit: int | None,
        secrets: list[str],
    ) -> None:
        self.api = api
        self.polls = polls
        self.limit = limit
        self.secrets = secrets
        self.check_mode = False
        self.changed = False
        self.warnings: list[str] = []
        self.others = False
        self._queues: dict[str, str] = {}
        self._known: set[str] = set()
        self._claimed: set[str] = set()
        self._resting: set[str] = set()
        self._refused: dict[str, str] = {}
        self._next_heartbeat = 0.0

    # --- which runs ------------------------------------------------------------------------------------------

    def first_look(self) -> list[str]:
        """What is under way there, since some of it may be ours to watch, and what is due."""
        due = self._due()
        self._claimed.update(self.polls.under_way())
        self._resting.update(self.polls.resting())
        self._resting.difference_update(due)
        found = list(dict.fromkeys((*sorted(self._claimed), *sorted(self._resting), *due)))
        self._known.update(found)
        return found

    def next_look(self, live: int) -> list[str]:
        """What has become due since; nothing while there is no room for it."""
        room = self._room(live)
        if room == 0:
            return []
        due = self._due() if room is None else self._due(room * SPREAD + len(self._known))
        found = self._picked([flow_run_id for flow_run_id in due if flow_run_id not in self._known], room)
        self._known.update(found)
        return found

    def admitted(self, flow_run_ids: t.Sequence[str], here: t.Collection[str], live: int) -> set[str]:
        """Which of them are dealt with: what is live here or claimed, and of the rest as many as there is room for.

        :arg flow_run_ids: in the order of their priority.
        :arg here: those of them that are live here.
        :arg live: how many others are.
        """
        kept = {one for one in flow_run_ids if one in here or one in self._claimed}
        self.others = self.others or any(one not in here for one in kept)
        rest = [one for one in flow_run_ids if one not in kept and one not in self._resting]
        fresh = self._picked(rest, self._room(live + len(here)))
        self.put_back(set(rest).difference(fresh))
        return kept.union(fresh)

    def put_back(self, flow_run_ids: t.Iterable[str]) -> None:
        """They may be taken up by a later look."""
        self._known.difference_update(flow_run_ids)

    def _due(self, limit: int = PAGE) -> list[str]:
        found = self.polls.due(limit)
        self._queues.update(found)
        return list(found)

    def _picked(self, due: t.Sequence[str], room: int | None) -> list[str]:
        """The first ones. Where others look too, they would go for the same: some of the first in the same queue."""
        if room is None or not self.others:
            return list(due[:room])
        alike = [one for one in due[: room * SPREAD] if self._queues.get(one) == self._queues.get(due[0])]
        return random.sample(alike, room) if len(alike) > room else list(due[:room])

    def _room(self, live: int) -> int | None:
        return None if self.limit is None else max(0, self.limit - live)

    # --- what the server is told -----------------------------------------------------------------------------

    def show_up(self) -> None:
        """Tell the server that somebody works there; without it nothing is lost but a light in the UI."""
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
