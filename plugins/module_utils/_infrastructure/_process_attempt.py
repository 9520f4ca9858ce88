# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Reads the directory of one attempt. A flow runs as the same user and may have written anything there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import NameCollision
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._numbers import finite
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import (
    READ_LIMIT,
    DamagedError,
    StateDirectory,
    open_directory,
    open_file,
    read_file,
)
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import (
    ENGINE_RECORD,
    EXIT_RECORD,
    PROGRESS_FILE,
    RECORD_SIZE,
    STAGE_LEFTOVERS,
    STAGE_STOPPING,
    STOP_RECORD,
    boot_id,
    is_alive,
    last_event,
    pid_namespace,
    unpack_record,
)
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise, shorten

SPEC_FILE = "spec.json"

LOST_REBOOT = "host rebooted"
LOST_SUPERVISOR = "supervisor killed"

_PROGRESS_TAIL = 16 * 1024
_TORN_READS = 5
_TEXT_LIMIT = 1000


def number_in(fields: t.Mapping[str, t.Any] | None, name: str) -> float | None:
    """A finite number of a record, ``None`` where it has none."""
    return finite((fields or {}).get(name))


def integer_in(fields: t.Mapping[str, t.Any] | None, name: str) -> int | None:
    """A whole number of a record, ``None`` where it has none."""
    value = (fields or {}).get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_in(fields: t.Mapping[str, t.Any] | None, name: str) -> str:
    """A text of a record, safe to show; empty where it has none."""
    value = (fields or {}).get(name)
    return shorten(neutralise(value), _TEXT_LIMIT) if isinstance(value, str) else ""


def identity_in(fields: t.Mapping[str, t.Any] | None, name: str) -> dict[str, t.Any] | None:
    """The identity of a process in a record. :raises DamagedError: there is something else."""
    value = (fields or {}).get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or (integer_in(value, "pid") or 0) <= 1 or integer_in(value, "pidns") is None:
        raise DamagedError(f"{ENGINE_RECORD}: no identity of a process")
    if not text_in(value, "boot") or not isinstance(value.get("start"), str):
        raise DamagedError(f"{ENGINE_RECORD}: no identity of a process")
    return value


class AttemptDirectory:
    """The open directory of one attempt."""

    def __init__(self, key: AttemptKey, descriptor: int) -> None:
        self.key = key
        self.descriptor = descriptor

    @classmethod
    def open(cls, state: StateDirectory, key: AttemptKey) -> AttemptDirectory | None:
        """:returns: ``None`` where there is none. :raises NameCollision: what has its name is not ours."""
        try:
            return cls(key, open_directory(key.name, state.folder("runs")))
        except FileNotFoundError:
            return None
        except (DamagedError, OSError) as problem:
            raise NameCollision(
                f"state_dir: {state.path}/runs/{key.name} is not an attempt of ours: {problem}.",
                "See what it is and move it away.",
            ) from problem

    def close(self) -> None:
        """Give the descriptor, and the lock if it is held through it, back."""
        os.close(self.descriptor)

    def __enter__(self) -> AttemptDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lock(self, patience: float) -> bool:
        """Take the lock that says "launching or supervising". Readers hold it for a moment: hence the patience."""
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def is_locked(self) -> bool:
        """Whether a launcher or the supervisor lives."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        return False

    def is_current(self, state: StateDirectory) -> bool:
        """Whether this is still what its name leads to; it may have been removed since it was opened."""
        try:
            named = os.stat(self.key.name, dir_fd=state.folder("runs"), follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(self.descriptor))

    def record(self, name: str) -> dict[str, t.Any] | None:
        """A record, ``None`` if nobody has written it yet. :raises DamagedError: it is none."""
        problem = ""
        for _attempt in range(_TORN_READS):  # it may be overwritten while we read
            try:
                return unpack_record(read_file(self.descriptor, name, RECORD_SIZE))
            except FileNotFoundError:
                raise DamagedError(f"{name}: missing") from None
            except ValueError as error:
                problem = str(error)
            time.sleep(0.005)
        raise DamagedError(f"{name}: {problem}")

    def spec(self) -> dict[str, t.Any]:
        """What was asked for. :raises DamagedError: it cannot be read."""
        try:
            spec = json.loads(read_file(self.descriptor, SPEC_FILE, READ_LIMIT))
        except FileNotFoundError:
            raise DamagedError(f"{SPEC_FILE}: missing") from None
        except (ValueError, RecursionError):
            raise DamagedError(f"{SPEC_FILE}: not JSON") from None
        if not isinstance(spec, dict) or not text_in(spec, "token"):
            raise DamagedError(f"{SPEC_FILE}: has no token")
        return spec

    def last_event(self) -> dict[str, t.Any] | None:
        """The last thing that the bootstrap told, its texts safe to show."""
        try:
            descriptor = open_file(self.descriptor, PROGRESS_FILE)
        except (FileNotFoundError, DamagedError):
            return None
        try:
            size = os.fstat(descriptor).st_size
            event = last_event(os.pread(descriptor, _PROGRESS_TAIL, max(0, size - _PROGRESS_TAIL)))
        finally:
            os.close(descriptor)
        if event is None:
            return None
        texts = {name: text_in(event, name) for name in ("event", "category", "detail")}
        numbers = {name: number_in(event, name) for name in ("at", "retry_after")}
        return {name: value for name, value in {**texts, **numbers}.items() if value not in ("", None)}


@dataclasses.dataclass
class Look:
    """What the directory of an attempt says, before it is known which processes live."""

    key: AttemptKey
    locked: bool
    spec: dict[str, t.Any]
    records: dict[str, dict[str, t.Any] | None]
    engine: dict[str, t.Any] | None
    supervisor: dict[str, t.Any] | None
    event: dict[str, t.Any] | None
    damage: str = ""

    @property
    def token(self) -> str:
        """The token that the attempt was created with, empty where it cannot be read."""
        return text_in(self.spec, "token")

    @property
    def ended(self) -> str:
        """``finished``, ``exited`` (leftovers may live) or empty."""
        return text_in(self.records.get(EXIT_RECORD), "state")

    @property
    def is_orphaned(self) -> bool:
        """Whether only a look at the processes tells what is left of it: the supervisor died before its time."""
        return not (self.locked or self.damage or self.ended == "finished" or self.engine is None)


def look(state: StateDirectory, key: AttemptKey) -> Look | None:
    """Look at one attempt, ``None`` where there is none. Damaged records are part of the answer."""
    directory = AttemptDirectory.open(state, key)
    if directory is None:
        return None
    with directory:
        # The lock first: when it is free, nobody writes any more and the records are the last word.
        found = Look(key, directory.is_locked(), {}, {}, None, None, None)
        try:
            found.spec = directory.spec()
            for name in (ENGINE_RECORD, EXIT_RECORD, STOP_RECORD):
                found.records[name] = directory.record(name)
            found.engine = identity_in(found.records[ENGINE_RECORD], "engine")
            found.supervisor = identity_in(found.records[ENGINE_RECORD], "supervisor")
        except DamagedError as problem:
            if not directory.is_current(state):
                return None
            found.damage = str(problem)
        found.event = directory.last_event()
    return found


def observe(found: Look, living: t.Collection[str], hostname: str) -> Observation:
    """The observation that a look amounts to.

    :arg living: tokens of which processes were found.
    """
    presence, lost = _presence(found, living)
    end, engine = found.records.get(EXIT_RECORD), found.records.get(ENGINE_RECORD)
    finished = presence is Presence.FINISHED
    host = text_in(found.spec, "host") or hostname
    return Observation(
        key=found.key,
        presence=presence,
        token=found.token,
        spec_hash=text_in(found.spec, "spec_hash"),
        identifier=f"{host}:{found.engine['pid']}" if found.engine else "",
        name=found.key.name,
        host=host,
        exit_code=integer_in(end, "exit_code"),
        signal=integer_in(end, "signal"),
        created_at=number_in(found.spec, "created"),
        started_at=number_in(engine, "started") if found.engine else None,
        finished_at=(number_in(end, "engine_finished_at") or number_in(end, "finished_at")) if finished else None,
        api_url=text_in(found.spec, "api_url"),
        evidence=_evidence(found, presence, lost),
    )


def _presence(found: Look, living: t.Collection[str]) -> tuple[Presence, str]:
    """Presence, and why nobody can say how it ended or whether it did."""
    if found.damage:
        return (Presence.FINISHED, LOST_REBOOT) if _booted_since(found) else (Presence.UNKNOWN, "")
    if found.ended == "finished":
        return Presence.FINISHED, ""
    if found.locked:
        return _supervised(found), ""
    if found.engine is None:
        return Presence.PREPARED, ""
    return _orphaned(found, living)


def _booted_since(found: Look) -> bool:
    """A record may be torn by a power failure; then nothing of the attempt can live."""
    return not found.locked and found.engine is not None and found.engine["boot"] != boot_id()


def _supervised(found: Look) -> Presence:
    stage = text_in(found.records[ENGINE_RECORD], "stage")
    if stage in (STAGE_STOPPING, STAGE_LEFTOVERS) or found.ended or found.records[STOP_RECORD]:
        return Presence.STOPPING
    return Presence.QUEUED if found.engine is None else Presence.LIVE


def _orphaned(found: Look, living: t.Collection[str]) -> tuple[Presence, str]:
    """The supervisor is dead, the engine ran, nobody wrote that all of it is gone."""
    if found.engine is None:
        return Presence.PREPARED, ""
    lost = "" if found.ended else LOST_SUPERVISOR
    if found.engine["boot"] != boot_id():
        return Presence.FINISHED, "" if found.ended else LOST_REBOOT
    if found.engine["pidns"] != pid_namespace():
        return Presence.UNKNOWN, ""
    if is_alive(found.engine) or found.token in living:
        return Presence.STOPPING if found.records[STOP_RECORD] else Presence.LIVE, ""
    return Presence.FINISHED, lost


def _evidence(found: Look, presence: Presence, lost: str) -> dict[str, t.Any]:
    end, engine = found.records.get(EXIT_RECORD) or {}, found.records.get(ENGINE_RECORD) or {}
    evidence: dict[str, t.Any] = {
        "stage": text_in(engine, "stage"),
        "starts": integer_in(engine, "starts"),
        "retry_at": number_in(engine, "retry_at"),
        "supervisor": _supervisor_word(found, presence),
        "bootstrap": found.event,
        "lost": lost,
        "damaged": found.damage,
        "timed_out": text_in(end, "timed_out"),
        "exec_failed": text_in(end, "exec_failed"),
    }
    if presence is Presence.UNKNOWN and not found.damage:
        evidence["unknown"] = "it runs, or ran, in another PID namespace (a container?)"
    if presence is Presence.UNKNOWN and found.damage and not found.locked:
        evidence["hopeless"] = f"state_dir: runs/{found.key.name} cannot be understood: {found.damage}"
    evidence = {name: value for name, value in evidence.items() if value not in ("", None)}
    if end.get("stopped") is True or found.records.get(STOP_RECORD):
        evidence["stopped"] = True
    if end.get("terminated") is True:
        evidence["terminated"] = True
    if presence is Presence.FINISHED:
        evidence["oom"] = end["oom"] if isinstance(end.get("oom"), bool) else None
    return evidence


def _supervisor_word(found: Look, presence: Presence) -> str:
    """``alive``, ``lost`` (killed while it was needed), ``done`` or nothing where there was none."""
    if found.ended == "finished":
        return "done"
    if found.locked:
        return "alive" if found.supervisor else ""
    return "" if presence is Presence.PREPARED else "lost"
