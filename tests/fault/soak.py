# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Crashes and races with random kills, round after round, against one real Prefect server.

Every round kills two playbooks at random moments and runs them again, then lets eight playbooks on three hosts race for
one run while plays, supervisors and hosts are killed, and ends that run. Each flow's body counts its executions.
The last line is ``N rounds, N bodies, N doubles, N lost``; the exit code is 1 unless every run had just one body, ended
well and left no process behind. ``FLOWOPS_TEST_SEED`` repeats the chances of an earlier run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import environments
import processes
from ansible_play import PlayResult, RunningPlay, StartPlaybook, start_playbook
from disturbed_race import DisturbedRace
from prefect_rest import PrefectRest
from prefect_server import PrefectServer
from process_host import HostPlace, mentioning
from scenarios import crashes, perform, seeded, wait_until
from scratch import scratch

ROUNDS = 20
CRASHES = 2
HOSTS = 3


@dataclass
class Tally:
    """What came out."""

    rounds: int = 0
    bodies: int = 0
    doubles: int = 0
    lost: int = 0
    troubles: list[str] = field(default_factory=list)

    def count(self, run: str, executions: int, end: PlayResult) -> None:
        """Judge one flow run by its bodies and by what the last play said."""
        phase = end.last["run"]["phase"]
        self.bodies += executions
        self.doubles += executions > 1
        self.lost += executions == 0 or phase != "succeeded"
        if executions != 1 or phase != "succeeded":
            self.troubles.append(f"{run}: {executions} bodies, {phase}\n{end.output}")

    @property
    def line(self) -> str:
        """The summary."""
        return f"{self.rounds} rounds, {self.bodies} bodies, {self.doubles} doubles, {self.lost} lost"


class Soak:
    """The rounds; each has a folder and plays of its own.

    :arg rest: the server.
    :arg folder: where everything of the soak lies.
    """

    def __init__(self, rest: PrefectRest, folder: Path, chance: random.Random) -> None:
        self.rest = rest
        self.folder = folder
        self.chance = chance
        self.tally = Tally()

    def round(self) -> None:
        """Crashes, then a race; whatever goes wrong is noted, and the next round comes."""
        self.tally.rounds += 1
        folder = self.folder / f"round-{self.tally.rounds}"
        folder.mkdir()
        for part in (self._crash, self._race):
            try:
                with plays_in(folder / part.__name__) as start:
                    part(folder, start)
                wait_until(lambda: not mentioning(f"{folder}/"), "the end of every process of the round", 60)
            except Exception:  # noqa: BLE001 - one broken round says less than all the others
                self.tally.lost += 1
                self.tally.troubles.append(f"round {self.tally.rounds}: {traceback.format_exc()}")
                end_all(folder)

    def _crash(self, folder: Path, start: StartPlaybook) -> None:
        hosts = (folder / f"crash-{number}" for number in itertools.count(1))
        staged = crashes(lambda: HostPlace(self.rest, folder, next(hosts)), self.chance, CRASHES)
        for crash, end in zip(staged, perform(staged, start)):
            self.tally.count(f"crash at {crash.moment}", crash.executions, end)

    def _race(self, folder: Path, start: StartPlaybook) -> None:
        race = DisturbedRace(self.rest, folder, HOSTS)
        race.start(start)
        for play in race.disturb(self.chance):
            play.wait()
        ends = race.finish(start, self.chance)
        self.tally.count(f"race for {race.run.id}", race.run.executions, ends[-1])


@contextmanager
def plays_in(folder: Path) -> Iterator[StartPlaybook]:
    """Gives the function that starts plays; those that still run at the end are killed."""
    numbers = itertools.count(1)
    started: list[RunningPlay] = []

    def start(play: Any, **options: Any) -> RunningPlay:
        started.append(start_playbook(play, folder / f"play-{next(numbers)}", **options))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.kill()


def end_all(folder: Path) -> None:
    """Nothing of a broken round may disturb the next one."""
    for process in mentioning(f"{folder}/"):
        processes.kill_tree(process.pid)


def soak(rounds: int) -> int:
    """All rounds; the exit code."""
    chance = seeded("soak")
    with tempfile.TemporaryDirectory(prefix="flowops-soak-") as temporary:
        folder = Path(temporary)
        with PrefectServer(folder / "server") as server:
            work = Soak(PrefectRest(server.api_url), folder, chance)
            for _round in range(rounds):
                work.round()
                print(work.tally.line, flush=True)
    print("\n".join([*work.tally.troubles, work.tally.line]), flush=True)
    return 1 if work.tally.troubles else 0


def in_scratch_copy(words: list[str]) -> int:
    """The same in a copy of the checkout, at the path that the import system wants."""
    with scratch() as root:
        python = environments.ensure("dev") / "bin" / "python"
        command = [str(python), str(root / "tests/fault/soak.py"), *words, "--here"]
        env = {**os.environ, "PYTHONPATH": str(root.parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=root, env=env, check=False).returncode


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how many rounds ({ROUNDS})")
    parser.add_argument("--here", action="store_true", help="in this tree: it lies where collections are found")
    arguments = parser.parse_args()
    return soak(arguments.rounds) if arguments.here else in_scratch_copy(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
