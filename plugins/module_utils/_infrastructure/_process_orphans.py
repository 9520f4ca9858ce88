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
    process_status,
    signal_process,
)

# A process that forks and ends while /proc is read can be missed by one look; not by several in a row.
_EMPTY_LOOKS = 3
_KILL_PATIENCE = 30.0


def tokens_alive(tokens: t.Collection[str]) -> set[str]:
    """Which attempts have processes of this user; one walk through ``/proc`` for all."""
    return {token for token, pids in _by_token(tokens).items() if pids}


def _by_token(tokens: t.Collection[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {token: set() for token in tokens}
    if not tokens or sys.platform == "darwin":
        return found
    marks = {f"{TOKEN_VARIABLE}={token}".encode(): token for token in tokens}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            for variable in marks.keys() & _environment_of(name):
                found[marks[variable]].add(int(name))
    return found


def _environment_of(name: str) -> set[bytes]:
    try:
        if os.stat(f"/proc/{name}").st_uid != os.geteuid():
            return set()
        with open(f"/proc/{name}/environ", "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:
        return set()


def stop_orphans(token: str, engine: dict[str, t.Any] | None, grace: float) -> None:
    """End everything that carries the token, what it started, and the engine that was recorded.

    :arg engine: the identity of the engine; of this boot and namespace.
    :raises InfrastructureError: something does not end.
    """
    if sys.platform == "darwin":
        _stop_group(engine, grace)
        return
    start = time.monotonic()
    number: int = signal.SIGTERM
    empty = 0
    while empty < _EMPTY_LOOKS:
        targets = _targets(token, engine)
        for pid, started in targets.items():
            signal_process(pid, started, number)
            if number == signal.SIGTERM:
                signal_process(pid, started, signal.SIGCONT)  # a stopped process does not see SIGTERM
        empty = 0 if targets else empty + 1
        waited = time.monotonic() - start
        if waited > grace + _KILL_PATIENCE:
            raise InfrastructureError(
                f"processes {sorted(targets)} of the attempt do not end although they were killed.",
                "See what they wait for (state D in ps: an unreachable file system?).",
            )
        number = signal.SIGKILL if waited >= grace else 0
        time.sleep(0.01 if number or not targets else min(0.1, grace - waited))


def _targets(token: str, engine: dict[str, t.Any] | None) -> dict[int, str]:
    """Pid → start time of all that must end."""
    roots = _by_token([token])[token]
    processes = all_processes()
    if engine is not None and engine["pid"] in processes and processes[engine["pid"]][2] == engine["start"]:
        roots.add(engine["pid"])
    family = roots | descendants(roots, processes)
    return {pid: processes[pid][2] for pid in family if pid in processes and processes[pid][0] not in "ZX"}


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
