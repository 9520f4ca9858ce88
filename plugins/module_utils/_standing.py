# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""How an attempt stands, by what is here of it and what the server says of its run. Pure functions."""

from __future__ import annotations

import dataclasses
import enum
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Decision, View
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Entry
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence


class Standing(str, enum.Enum):
    """The words of the report."""

    LIVE = "live"
    """Something of it runs, waits for a place, or is about to start."""
    PREPARED = "prepared"
    """It was made and never started. A task for its run starts it."""
    FINISHED = "finished"
    """It ran, and nothing of it is left but its output."""
    ORPHANED = "orphaned"
    """It is here, and its run was deleted on the server."""
    ZOMBIE = "zombie"
    """The server waits for its end, nothing of it can run any more, and nobody has said so."""
    DRIFTED = "drifted"
    """It is here, and it is not what its record on the server says: see :func:`drift_of`."""
    FOREIGN = "foreign"
    """It is here, and nobody knows its run: it was launched for another server."""
    UNKNOWN = "unknown"
    """It cannot be told."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A standing and, for people, why."""

    standing: Standing
    reason: str = ""
    drift: tuple[str, ...] = ()


def standing_of(number: int, view: View, steps: t.Sequence[Decision], api_url: str) -> Finding:
    """How the attempt of this number stands.

    :arg steps: what would be done with its run (``_foretell``), without the removal of anything.
    :arg api_url: of the server that was asked.
    """
    seen = view.seen.get(number)
    if view.run is None:
        return _without_run(seen, api_url)
    if seen is not None and seen.presence is Presence.UNKNOWN:
        return Finding(Standing.UNKNOWN, str(seen.evidence.get("unknown") or seen.evidence.get("hopeless") or ""))
    runs = not view.is_gone(number)
    if not runs and not view.run.terminal and any(step.report and step.attempt == number for step in steps):
        reason = f"its flow run is {view.run.state_name} and nothing of it can run any more"
        return Finding(Standing.ZOMBIE, reason)
    if seen is None:
        return Finding(Standing.LIVE, "its launcher is about to start it")
    entry = next((entry for entry in view.entries if entry.number == number), None)
    drift = drift_of(seen, entry, view.locus)
    if drift and entry is not None:
        return Finding(Standing.DRIFTED, _drift_reason(drift, entry), drift)
    if runs:
        return Finding(Standing.LIVE)
    if seen.presence is Presence.PREPARED:
        return Finding(Standing.PREPARED, "it was never started; a task for its flow run starts it")
    return Finding(Standing.FINISHED)


def _without_run(seen: Observation | None, api_url: str) -> Finding:
    """Only what was launched for this very server is an orphan; another server may know its run well."""
    launched_for = seen.api_url if seen is not None else ""
    if launched_for == api_url:
        return Finding(Standing.ORPHANED, "its flow run was deleted on the server")
    whose = f"it was launched for {launched_for}" if launched_for else "nobody noted which server it was launched for"
    return Finding(Standing.FOREIGN, f"this server has no such flow run, and {whose}")


def drift_of(seen: Observation, entry: Entry | None, locus: str) -> tuple[str, ...]:
    """In what an attempt here and its record on the server differ.

    ``token``: the record is another launch's; ``locus``: another place's; ``spec_hash``: the settings are others.
    """
    if entry is None or entry.owner is None or not seen.token:
        return ()
    pairs = {
        "token": (seen.token, entry.token),
        "locus": (locus, entry.locus),
        "spec_hash": (seen.spec_hash, entry.owner.spec_hash),
    }
    return tuple(name for name, (here, recorded) in pairs.items() if here != recorded)


def _drift_reason(drift: t.Collection[str], entry: Entry) -> str:
    if "token" in drift:
        return f"its record belongs to another launch, at {entry.locus}"
    if "locus" in drift:
        return f"its record says that it is at {entry.locus}"
    return "it was made with other settings than its record says"
