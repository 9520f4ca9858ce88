# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What an agent asks its server, in words that hold for every generation of Prefect."""

from __future__ import annotations

import abc
import datetime
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import PAGE
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport

#: Seconds between two heartbeats: a worker that has not been heard of for three of them counts as offline.
HEARTBEAT = 30


class Polls(abc.ABC):
    """Where an agent takes its runs from: one work pool, or some work queues."""

    #: For people.
    what: t.ClassVar[str]

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @abc.abstractmethod
    def heartbeat(self, name: str) -> None:
        """Appear as one who works there, where the server shows such a thing."""

    @abc.abstractmethod
    def due(self, limit: int = PAGE) -> dict[str, str]:
        """Runs whose time has come, with their queues, as the server hands them out.

        That is in its order, within the limits that it keeps, and none of what is paused.
        """

    @abc.abstractmethod
    def under_way(self) -> list[str]:
        """Runs that somebody has claimed and that are not over."""

    @abc.abstractmethod
    def resting(self) -> list[str]:
        """Runs whose engine may be alive while nothing goes on."""

    def _now(self) -> str:
        """By the server's clock: nothing is asked for before its time."""
        return datetime.datetime.fromtimestamp(self._transport.server_now(), datetime.timezone.utc).isoformat()
