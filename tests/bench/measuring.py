# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all measurements have in common: a server, plays whose time and CPU are known, and the rows of the table."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_play import RunningPlay, start_playbook
from prefect_rest import PrefectRest
from prefect_server import clean_environment
from runner import runner_task

BENCH = Path(__file__).resolve().parent
Tasks = list[dict[str, Any]]
TIMES = "×"  # noqa: RUF001 - the unit of a ratio


@dataclass(frozen=True)
class Usage:
    """What a process and all its children that were waited for have used, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :arg measured: the figure that is compared with the limit, in the limit's unit.
    :arg most: the measured figure may not be larger, else it may not be smaller.
    :arg limit: None for a figure that is told for its own sake.
    """

    work: str
    against: str
    subject: str
    floor: str
    measured: float
    unit: str
    limit: float | None
    most: bool = True

    @property
    def met(self) -> bool:
        """Whether the figure keeps the limit, as both are printed."""
        if self.limit is None:
            return True
        measured = float(self.figure(self.measured))
        return measured <= self.limit if self.most else measured >= self.limit

    def figure(self, value: float) -> str:
        """A figure as it is printed."""
        return f"{value:.2f}" if self.unit == TIMES else f"{value:.1f}"

    @property
    def cells(self) -> list[str]:
        """The columns of the table."""
        sign = "≤" if self.most else "≥"
        limit = "-" if self.limit is None else f"{sign} {self.figure(self.limit)} {self.unit}"
        verdict = "-" if self.limit is None else "met" if self.met else "**missed**"
        measured = f"{self.figure(self.measured)} {self.unit}"
        return [self.work, self.against, self.subject, self.floor, measured, limit, verdict]


def seconds(values: Sequence[float]) -> str:
    """The median and the range of durations."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f}-{max(values):.2f})"


def median_ratio(subject: Sequence[float], floor: Sequence[float]) -> float:
    """The median of the ratios within each round: what else the machine does differs more between rounds."""
    return statistics.median(one / other for one, other in zip(subject, floor))


@dataclass
class Bench:
    """The place where everything is measured.

    :arg rounds: how often each thing is measured, in turns with what it is compared with.
    :arg chatty_seconds: how long the run with much output lasts.
    """

    rest: PrefectRest
    folder: Path
    rounds: int
    chatty_seconds: int
    finished: list[str] = field(default_factory=list)
    _folders: int = 0

    @property
    def engine_environment(self) -> dict[str, str]:
        """For engines and workers that are started by hand."""
        return {**clean_environment(), "PREFECT_API_URL": self.rest.api_url, "DO_NOT_TRACK": "1"}

    def new_folder(self) -> Path:
        """An empty folder."""
        self._folders += 1
        folder = self.folder / str(self._folders)
        folder.mkdir()
        return folder

    def task(self, **options: Any) -> dict[str, Any]:
        """A task of the collection; all share one state directory, as they would."""
        return runner_task(self.rest.api_url, self.folder / "state", **options)

    def start(self, tasks: Tasks, env: Mapping[str, str] | None = None) -> TimedPlay:
        """Start a play with these tasks, which may be none."""
        return TimedPlay(tasks, self.new_folder(), env)

    def play(self, tasks: Tasks, env: Mapping[str, str] | None = None) -> Usage:
        """Run a play to its end."""
        return self.start(tasks, env).finish()

    def say(self, text: str) -> None:
        """Progress, for whoever waits."""
        print(f"  {text}", flush=True)

    def completed(self, deployment_id: str) -> int:
        """How many runs of a deployment are completed."""
        body = {
            "deployments": {"id": {"any_": [deployment_id]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        }
        return int(self.rest.post("/flow_runs/count", body))


class TimedPlay:
    """An ansible-playbook process whose use of time and CPU is taken when it ends."""

    def __init__(self, tasks: Tasks, folder: Path, env: Mapping[str, str] | None) -> None:
        play = {"name": "Measured", "hosts": "all", "gather_facts": False, "tasks": tasks}
        self._started = time.monotonic()
        self._play: RunningPlay = start_playbook([play], folder, env=dict(env or {}))

    def finish(self) -> Usage:
        """Wait for the end; a play that fails ends the benchmark."""
        usage = finish(self._play.process, self._started)
        self._play.wait().check()
        return usage


def finish(process: subprocess.Popen[Any], started: float) -> Usage:
    """Wait for a process and tell what it and its children used."""
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(time.monotonic() - started, used.ru_utime + used.ru_stime)


def run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Usage:
    """Run a command that has to succeed; its output is kept beside it."""
    started = time.monotonic()
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        usage = finish(process, started)
    if process.returncode:
        text = (folder / "output").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} ended with {process.returncode}\n{text}")
    return usage
