# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Processes of an attempt whose supervisor was killed: found by the attempt's token, never by a pid alone."""

from __future__ import annotations

import os
import signal
import sys
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureError
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import (
    TOKEN_VARIABLE,
    all_processes,
    descendants,
    is_alive,
    process_status,
    signal_process,
)

# A process that forks and ends over and over is missed by a simple walk through /proc: whatever vanishes under our
# hands may have left a child, so only a walk during which nothing vanished proves anything. Busy hosts need a limit.
_PASSES = 50
# An environment that reads empty may belong to a process that is just executing something; or it is empty.
_EMPTY_READS = 3
_KILL_PATIENCE = 30.0


def tokens_alive(tokens: t.Collection[str]) -> set[str]:
    """Which attempts have processes of this user; one walk through ``/proc`` for all."""
    alive: set[str] = set()
    _walk(tokens, lambda token, _pid, _start: alive.add(token))
    return alive


def _walk(tokens: t.Collection[str], visit: t.Callable[[str, int, str], None]) -> None:
    """Call ``visit(token, pid, start time)`` for every process with one of the tokens, at once when it is found."""
    if not tokens or sys.platform == "darwin":
        return
    marks = {f"{TOKEN_VARIABLE}={token}".encode(): token for token in tokens}
    reads: dict[int, int] = {os.getpid(): _EMPTY_READS}
    for _pass in range(_PASSES):
        fresh = sorted((pid for pid in _pids() if reads.get(pid, 0) < _EMPTY_READS), reverse=True)
        certain = True
        for pid in fresh:  # the youngest first: the likeliest to vanish
            status = process_status(pid)
            variables = _environment_of(pid) if status is not None else None
            if status is not None and variables:
                reads[pid] = _EMPTY_READS
                for variable in marks.keys() & variables:
                    visit(marks[variable], pid, status[2])
                continue
            certain = False
            reads[pid] = reads.get(pid, 0) + 1
        if certain:
            return


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment_of(pid: int) -> set[bytes] | None:
    """Variables of a process, ``None`` if it is gone; those of other users only prove that it is not ours."""
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return {b"somebody else's"}
        with open(f"/proc/{pid}/environ", "rb") as file:
            return set(file.read().split(b"\0")) - {b""}
    except PermissionError:
        return {b"not readable"}
    except OSError:
        return None


def stop_orphans(token: str, engine: dict[str, t.Any] | None, grace: float) -> None:
    """End everything that carries the token, what it started, and the engine that was recorded.

    :arg engine: the identity of the engine; of this boot and namespace.
    :raises InfrastructureError: something does not end.
    """
    if sys.platform == "darwin":
        _stop_group(engine, grace)
        return
    begun = time.monotonic()
    _signal_family(token, engine, signal.SIGTERM)
    _signal_family(token, engine, signal.SIGCONT)  # a stopped process does not see SIGTERM
    while time.monotonic() < begun + grace:
        if not _signal_family(token, engine, 0):
            return
        time.sleep(0.05)
    before: set[int] = set()
    while left := _signal_family(token, engine, signal.SIGKILL):
        if left == before:
            time.sleep(0.05)  # they are dying, or cannot; what forks in the meantime gets no pause
        before = left
        if time.monotonic() > begun + grace + _KILL_PATIENCE:
            raise InfrastructureError(
                f"processes {sorted(left)} of the attempt do not end although they were killed.",
                "See what they wait for (state D in ps: an unreachable file system?).",
            )


def _signal_family(token: str, engine: dict[str, t.Any] | None, number: int) -> set[int]:
    """Signal what carries the token when it is found, not later: it may fork and end faster than we look around.

    :returns: the pids of all that lived.
    """
    roots: set[int] = set()

    def visit(_token: str, pid: int, start: str) -> None:
        roots.add(pid)
        signal_process(pid, start, number)

    _walk([token], visit)
    processes = all_processes()
    if engine is not None and is_alive(engine):
        roots.add(engine["pid"])
    family = {pid for pid in roots | descendants(roots, processes) if pid in processes}
    living = {pid for pid in family if processes[pid][0] not in "ZX"}
    for pid in living:
        signal_process(pid, processes[pid][2], number)
    return living | roots


def _stop_group(engine: dict[str, t.Any] | None, grace: float) -> None:
    """macOS: nobody can read the environment of another process there, so the engine's group has to do."""
    if engine is None:
        return
    deadline = time.monotonic() + grace
    number: int = signal.SIGTERM
    while (status := process_status(engine["pid"])) is not None and status[2] == engine["start"]:
        os.killpg(engine["pid"], number)
        number = signal.SIGKILL if time.monotonic() >= deadline else 0
        time.sleep(0.1)
