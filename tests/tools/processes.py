# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds processes of a test run, and ends them.

A test run marks its processes with an environment variable, which everything that they start inherits, however it
detaches. So what is left behind is found without guessing from names, and nobody else's process is touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

MARKER = "FLOWOPS_TEST_RUN"


@dataclass(frozen=True)
class Process:
    """A living process."""

    pid: int
    parent: int
    command: str


def _read(pid: int) -> Process | None:
    """What /proc says about a process; None if it is gone or a zombie, which only waits for its parent to look."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else Process(pid, int(parent), command)


def living() -> list[Process]:
    """Every living process."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in map(_read, pids) if process is not None]


def marked(value: str, name: str = MARKER) -> list[Process]:
    """The living processes, except this one, that carry a variable with this value in their environment."""
    wanted = f"{name}={value}".encode()
    found = []
    for process in living():
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in environment and process.pid != os.getpid():
            found.append(process)
    return found


def below(folder: Path) -> list[Process]:
    """The living processes, except this one, whose command names something in a folder.

    Runs get an environment of their own, without any mark, so they are known by their state directory.
    """
    return [one for one in living() if f"{folder}/" in one.command and one.pid != os.getpid()]


def descendants(pid: int) -> list[Process]:
    """The processes below one, the nearest first; ansible-core's workers lead sessions of their own."""
    children: dict[int, list[Process]] = {}
    for process in living():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    todo = [pid]
    while todo:
        below = children.get(todo.pop(0), [])
        found += below
        todo += [process.pid for process in below]
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL a process and everything below it.

    The tree is read first, since it falls apart as its parents end, and frozen while it is read, since what is alive
    starts further processes.
    """
    victims: list[int] = []
    found = [pid]
    while found:
        for one in found:
            _signal(one, signal.SIGSTOP)
        victims += found
        found = [process.pid for process in descendants(pid) if process.pid not in victims]
    for victim in victims:
        _signal(victim, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
