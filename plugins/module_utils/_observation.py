# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What one fresh look at an attempt's infrastructure says; the same words for every infrastructure."""

from __future__ import annotations

import dataclasses
import enum
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey


class Presence(enum.Enum):
    """How much of an attempt's infrastructure is there."""

    ABSENT = "absent"
    """Nothing of it exists."""
    PREPARED = "prepared"
    """It exists and provably never started anything: creating it again starts it."""
    QUEUED = "queued"
    """It waits for a free slot at its locus, or for the server to say "now"."""
    LIVE = "live"
    """Something of it runs or may start running by itself."""
    STOPPING = "stopping"
    """It has been told to stop and something of it still runs."""
    FINISHED = "finished"
    """It ran and nothing of it is left running."""
    UNKNOWN = "unknown"
    """It cannot be told. Never to be read as gone."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """One fresh look.

    :arg token: the token that the infrastructure was created with; empty if there is none.
    :arg api_url: the API whose flow run it is, as its launcher reached it; empty where nobody knows.
    :arg identifier: what the infrastructure's own tools know it by, in Prefect's ``infrastructure_pid`` format.
    :arg exit_code: of the engine; ``None`` while it runs, when it was ended by a signal or when nobody knows.
    :arg signal: number of the signal that ended the engine.
    :arg created_at: seconds since the epoch, like ``started_at`` (engine started) and ``finished_at``.
    :arg pull_seconds: how long the image was waited for; ``None`` where nothing was pulled or nobody knows.
    :arg evidence: facts for the diagnosis. Keys that have a meaning for every infrastructure:
        ``oom`` (True/False/None: the kernel killed it for memory / did not / unproven),
        ``timed_out`` ("start", "run" or absent), ``stopped`` (True: on our request),
        ``lost`` (text: why nobody can say how it ended, such as "host rebooted"),
        ``hopeless`` (text: why no later look will say more than ``UNKNOWN``; somebody has to clear up),
        ``bootstrap`` (the last event that the bootstrap told: see ``_bootstrap``).
    """

    key: AttemptKey
    presence: Presence
    token: str = ""
    spec_hash: str = ""
    identifier: str = ""
    name: str = ""
    host: str = ""
    node: str = ""
    exit_code: int | None = None
    signal: int | None = None
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    pull_seconds: float | None = None
    api_url: str = ""
    evidence: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def may_run(self) -> bool:
        """True unless it is proven that nothing of the attempt runs or can start by itself."""
        return self.presence in (Presence.QUEUED, Presence.LIVE, Presence.STOPPING, Presence.UNKNOWN)


@dataclasses.dataclass(frozen=True)
class LogChunk:
    """Output of an attempt.

    :arg lines: decoded, control characters neutralised, without line ends.
    :arg cursor: opaque; hand it back to read on from here. Empty means "from the beginning".
    :arg truncated: output was dropped before or within these lines.
    """

    lines: list[str]
    cursor: str
    truncated: bool = False
