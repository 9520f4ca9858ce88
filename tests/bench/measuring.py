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

import environments
from ansible_play import RunningPlay, start_playbook
from prefect_rest import PrefectRest
from prefect_server import clean_environment
from runner import runner_task

#: The environment of what is compared with.
PEERS = "bench"
BENCH = Path(__file__).resolve().parent
Tasks = list[dict[str, Any]]
TIMES = "×"  # noqa: RUF001 - the unit of a ratio
#: For a task whose module gets a process of its own, as on every host but the controller itself.
APART: dict[str, Any] = {"vars": {"flowops_prefect_direct": False}}
BY_A_PROCESS = "by a module in a process of its own"


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


def net(plays: Sequence[float], empty: Sequence[float], tasks: int = 1) -> list[float]:
    """What one task took in each round: a play less one without tasks."""
    return [(play - base) / tasks for play, base in zip(plays, empty)]


@dataclass
class Usages:
    """What the plays of each kind needed, round by round; those named ``empty`` have no task."""

    _known: dict[str, list[Usage]] = field(default_factory=dict)

    def add(self, name: str, usage: Usage) -> None:
        """One more."""
        self._known.setdefault(name, []).append(usage)

    @property
    def newest(self) -> str:
        """The last of each kind, for people."""
        return ", ".join(f"{name} {known[-1].wall:.2f} s" for name, known in self._known.items())

    def gross(self, name: str) -> list[float]:
        """The time of what is no play."""
        return [usage.wall for usage in self._known[name]]

    def wall(self, name: str, tasks: int = 1) -> list[float]:
        """Net time of one task of each play."""
        return net(self.gross(name), self.gross("empty"), tasks)

    def cpu(self, name: str, tasks: int = 1) -> list[float]:
        """Net CPU time of one task of each play."""
        return net([one.cpu for one in self._known[name]], [one.cpu for one in self._known["empty"]], tasks)


def cpu_of(pid: int) -> float:
    """User and system seconds of a process and of its children that ended."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(word) for word in words[11:15]) / os.sysconf("SC_CLK_TCK")


def seconds(values: Sequence[float]) -> str:
    """The median and the range of durations."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f}-{max(values):.2f})"


def median_ratio(dividends: Sequence[float], divisors: Sequence[float]) -> float:
    """The median of the ratios within each round: what else the machine does differs more between rounds."""
    return statistics.median(one / other for one, other in zip(dividends, divisors))


def faster(work: str, against: str, subject: Sequence[float], floor: Sequence[float], least: float | None) -> Row:
    """A row that says how many times less the subject needs."""
    ratio = median_ratio(floor, subject)
    return Row(work, against, seconds(subject), seconds(floor), ratio, TIMES, least, most=False)


def slower(work: str, against: str, subject: Sequence[float], floor: Sequence[float], most: float | None) -> Row:
    """A row that says how many times more the subject needs."""
    return Row(work, against, seconds(subject), seconds(floor), median_ratio(subject, floor), TIMES, most)


@dataclass
class Bench:
    """The place where everything is measured.

    :arg server: the process of the Prefect server.
    :arg rounds: how often each thing is measured, in turns with what it is compared with.
    :arg chatty_seconds: how long the run with much output lasts.
    """

    rest: PrefectRest
    server: int
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

    def start(self, tasks: Tasks, env: Mapping[str, str] | None = None, **how: Any) -> TimedPlay:
        """Start a play with these tasks, which may be none; ``how`` goes to :func:`ansible_play.start_playbook`."""
        return TimedPlay(tasks, self.new_folder(), env, how)

    def play(self, tasks: Tasks, env: Mapping[str, str] | None = None, **how: Any) -> Usage:
        """Run a play to its end."""
        return self.start(tasks, env, **how).finish()

    def play_among_peers(self, tasks: Tasks) -> Usage:
        """Run a play where the collections are that others launch containers and Jobs with."""
        python = str(environments.ensure(PEERS) / "bin" / "python")
        hosts = {"localhost": {"ansible_python_interpreter": python}}
        return self.play(tasks, {"ANSIBLE_LIBRARY": str(BENCH / "library")}, core=PEERS, hosts=hosts)

    def server_cpu(self) -> float:
        """CPU seconds that the Prefect server has used so far."""
        return cpu_of(self.server)

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

    def __init__(
        self, tasks: Tasks, folder: Path, env: Mapping[str, str] | None, how: Mapping[str, Any] | None = None
    ) -> None:
        play = {"name": "Measured", "hosts": "all", "gather_facts": False, "tasks": tasks}
        self._started = time.monotonic()
        self._play: RunningPlay = start_playbook([play], folder, env=dict(env or {}), **dict(how or {}))

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
