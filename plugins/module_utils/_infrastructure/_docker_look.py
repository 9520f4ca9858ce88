# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From what an engine says of a container to an observation. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import (
    EXIT_RUN_TIMEOUT,
    EXIT_START_TIMEOUT,
    EXIT_STOPPED,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_spec import (
    API_LABEL,
    ATTEMPT_LABEL,
    PULL_LABEL,
    RUN_LABEL,
    RUN_TIMEOUT_LABEL,
    SPEC_LABEL,
    TOKEN_LABEL,
)
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import canonical_uuid
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._moments import parse_moment
from ansible_collections.flowops.prefect.plugins.module_utils._numbers import finite
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence

_PRESENCES = {
    "created": Presence.PREPARED,
    "running": Presence.LIVE,
    "paused": Presence.LIVE,
    # It ended and waits for the engine to start it again, which the gate makes harmless.
    "restarting": Presence.FINISHED,
    "removing": Presence.STOPPING,
    "exited": Presence.FINISHED,
    "dead": Presence.FINISHED,
}
_NEVER = "0001-01-01"


def key_of(labels: t.Mapping[str, str]) -> AttemptKey | None:
    """The attempt that a container says it belongs to; ``None`` for a container that is not ours."""
    run_id, number = canonical_uuid(labels.get(RUN_LABEL) or ""), labels.get(ATTEMPT_LABEL) or ""
    if run_id is None or not (number.isascii() and number.isdigit() and 0 < int(number) < 10**9):
        return None
    return AttemptKey(run_id, int(number)) if labels.get(TOKEN_LABEL) else None


def listed(entry: t.Mapping[str, t.Any], key: AttemptKey, base_url: str, host: str) -> Observation:
    """A container as a list has it: enough for what is not over."""
    labels = entry.get("Labels") or {}
    names = entry.get("Names") or [""]
    state = str(entry.get("State", ""))
    return Observation(
        key=key,
        presence=presence_of(state),
        token=labels.get(TOKEN_LABEL, ""),
        spec_hash=labels.get(SPEC_LABEL, ""),
        identifier=identifier(base_url, str(entry["Id"])),
        name=str(names[0]).lstrip("/"),
        host=host,
        created_at=float(entry.get("Created") or 0) or None,
        pull_seconds=_pull_seconds(labels),
        api_url=labels.get(API_LABEL, ""),
        evidence={"paused": True} if state == "paused" else {},
    )


def presence_of(status: str) -> Presence:
    """What an engine's word for a container's state means."""
    return _PRESENCES.get(status, Presence.UNKNOWN)


def identifier(base_url: str, container_id: str) -> str:
    """As Prefect's own Docker worker writes it."""
    return f"{base_url}:{container_id}"


def inspected(found: t.Mapping[str, t.Any], key: AttemptKey, base_url: str, host: str, stopped: bool) -> Observation:
    """A container looked at closely.

    :arg stopped: it was stopped on our request, by this very process.
    """
    config, state = found.get("Config") or {}, found.get("State") or {}
    labels = config.get("Labels") or {}
    presence = presence_of(str(state.get("Status", "")))
    started, finished = moment(state.get("StartedAt")), moment(state.get("FinishedAt"))
    code = int(state.get("ExitCode") or 0) if presence is Presence.FINISHED else None
    evidence = _evidence(found, code, stopped, labels, started, finished) if code is not None else {}
    ended_by = code - 128 if code is not None and 128 < code < 160 else None
    return Observation(
        key=key,
        presence=presence,
        token=labels.get(TOKEN_LABEL, ""),
        spec_hash=labels.get(SPEC_LABEL, ""),
        identifier=identifier(base_url, str(found["Id"])),
        name=str(found.get("Name", "")).lstrip("/"),
        host=host,
        exit_code=None if ended_by is not None else code,
        signal=ended_by,
        created_at=moment(found.get("Created")),
        started_at=started,
        finished_at=finished if code is not None else None,
        pull_seconds=_pull_seconds(labels),
        api_url=labels.get(API_LABEL, ""),
        evidence=evidence,
    )


def _evidence(
    found: t.Mapping[str, t.Any],
    code: int,
    stopped: bool,
    labels: t.Mapping[str, str],
    started: float | None,
    finished: float | None,
) -> dict[str, t.Any]:
    """Memory is to blame only where the engine says so; limits only where the guard's code and the clock agree."""
    state = found.get("State") or {}
    evidence: dict[str, t.Any] = {"oom": True if state.get("OOMKilled") else None}
    limit = (found.get("HostConfig") or {}).get("Memory")
    if limit:
        evidence["memory_limit"] = f"mem_limit (now {limit // 2**20}m)"
    if code == EXIT_STOPPED or stopped:
        evidence["stopped"] = True
    elif code == EXIT_START_TIMEOUT:
        evidence["timed_out"] = "start"
    elif code == EXIT_RUN_TIMEOUT and _long_enough(labels, started, finished):
        evidence["timed_out"] = "run"
    if state.get("Status") == "dead":
        evidence["dead"] = True
    if state.get("Error"):
        evidence["error"] = str(state["Error"])[:400]
    return evidence


def _long_enough(labels: t.Mapping[str, str], started: float | None, finished: float | None) -> bool:
    limit = _seconds(labels, RUN_TIMEOUT_LABEL)
    return limit is not None and started is not None and finished is not None and finished - started >= limit


def _pull_seconds(labels: t.Mapping[str, str]) -> float | None:
    return _seconds(labels, PULL_LABEL)


def _seconds(labels: t.Mapping[str, str], name: str) -> float | None:
    """A label of ours, which somebody else may have written."""
    try:
        return finite(float(labels.get(name, "")))
    except ValueError:
        return None


def moment(text: t.Any) -> float | None:
    """Seconds since the epoch; the engine writes a year of one for never."""
    return None if str(text).startswith(_NEVER) else parse_moment(text)
