# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures the collection against hand-written equivalents and stock tools, and writes docs/performance.md.

Everything is a ratio of two things measured in turns on the same machine: absolute times say more about the machine.
The figures are kept in docs/performance.json after each part, so ``--only`` replaces those of a part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))

import ansible_play
import environments
import prefect_server
from measurements import CONCURRENCY, MEASUREMENTS, OFTEN, TASKS
from measuring import Bench, Row
from prefect_rest import PrefectRest
from scratch import scratch

ROOT = environments.CHECKOUT

HEAD = ["work", "against", "work needs", "the other needs", "measured", "wanted", ""]
CONDITIONS = ["part", "rounds", "load before", "load after", "date"]
Part = dict[str, list[Any]]
# What people wrote below this line is kept.
NOTES = "## Notes"

DOCUMENT = """\
# Performance

Written by `make bench`; the notes at the end are by hand. The figures are medians, with the
smallest and the largest in brackets. The compared things are measured in turns, the ratio is the median of the ratios
of the rounds.

{table}

## The machine

{machine}

The load is the average of the last minute; what a part itself makes of it counts.

{conditions}

## What is measured

- **Trivial runs**: the sample flow `hello`, twenty scheduled runs, a server with SQLite on the same machine. A task's
  time is that of the whole `ansible-playbook`, from its start to its end. The launcher (`tests/bench/launcher.py`)
  claims each run over REST, starts `python -m prefect.engine` and waits, {concurrency} at once, as many as the task
  has by default. The worker is online before the first run is created; its time is that from then until all runs are
  completed.
- **Task repeated**: a play of {tasks} such tasks less a play without tasks, divided by {tasks}. The trivial module
  (`tests/bench/library/trivial.py`) is an `AnsibleModule` that ends at once.
- **Live view**: CPU time of `ansible-playbook` and all that it starts on the host. All plays run at the same time.
- **Gate**: `plugins/module_utils/_bootstrap.py` against the engine alone. Where only the gate is measured, the run is
  claimed before the clock starts. Record and claim are what every launcher has to do in some way.
- **Supervisor**: VmRSS, and user and system time, of the process beside each run while a flow sleeps.
- **Containers**: twenty runs in an image whose `python` sleeps, launched with `wait: false`, records, claims and the
  server's share included. The loop is `community.docker.docker_container`, the script (`tests/bench/docker_script.py`)
  starts containers with the SDK and remembers nothing. Times are those of a play less a play without tasks. All of it
  is executed by the controller's own Python, so the task's worker does what the module does; where a module in a
  process of its own is meant, `flowops_prefect_direct: false` sees to it.
- **Jobs**: the same with Jobs that no node takes. The loop is `kubernetes.core.k8s`. The loop of a
  hundred is measured once.
- **Thousands of Jobs**: real runs, records and Jobs, bound to a node that is an object and nothing else; a script
  (`tests/bench/kubernetes_engines.py`) tells what their engines and a kubelet would tell.
- **Agent**: the playbook `agent` and `prefect worker start`, both with their defaults (the agent looks at its pool
  every 2 seconds, the worker every 10), each idle on a pool of its own. One run at a time is scheduled at a moment of
  chance. The engine's process is the first whose environment names the run; it started when the kernel says so.
  Running is the first such state of the run, less its first scheduled one. The ratio is that of the medians.
- **Deployments**: fifty in the list of one task, in the place of as many calls of `prefect deploy`. Both, and the
  script (`tests/bench/deploy_script.py`), read the flow's name and parameters from its code. A task's CPU time is that
  of the whole `ansible-playbook`.

CPU time is that of the process and of all its children that ended (`wait4`). Floor and subject use the same
interpreters; the bytecode of Prefect, Ansible and the collection is compiled before. Repeat it with

    make bench                       # everything
    make bench ROUNDS=5              # more rounds
    make bench ONLY='gate repeated'  # a part: {parts}

{notes}"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown that can be read in a terminal too."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)


def _first_line(command: Sequence[str | Path]) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _processor() -> str:
    """The name of the processor, if the system tells."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def machine(rest: PrefectRest) -> str:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    core = ansible_play.ansible_playbook()
    controller = f"{_first_line([core, '--version'])}, {_first_line([core.with_name('python'), '-V'])}"
    engine = f"Prefect {rest.get('/admin/version')}, {_first_line([prefect_server.engine_python(), '-V'])}"
    return "\n".join(
        [
            f"- {os.cpu_count()} cores, {_processor()}, {memory:.0f} GB, {platform.system()} {platform.release()}",
            f"- controller and host: {controller}",
            f"- engine and server: {engine}",
        ]
    )


def measure_part(name: str, bench: Bench) -> tuple[list[Row], Part]:
    """Take one measurement; returns its rows, and what is kept of them."""
    print(f"--- {name}", flush=True)
    before = os.getloadavg()[0]
    rows = MEASUREMENTS[name](bench)
    cells = [row.cells for row in rows]
    print(table(HEAD, cells), flush=True)
    rounds = OFTEN[name](bench.rounds) if name in OFTEN else bench.rounds
    date = time.strftime("%Y-%m-%d", time.gmtime())
    return rows, {"rows": cells, "conditions": [name, str(rounds), f"{before:.1f}", f"{os.getloadavg()[0]:.1f}", date]}


def measure(options: argparse.Namespace) -> list[Row]:
    """Take the measurements and write each of them down."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="flowops-bench-") as temporary:
        with prefect_server.PrefectServer(Path(temporary) / "server") as server:
            rest = PrefectRest(server.api_url)
            process = server.process.pid if server.process else 0
            bench = Bench(rest, process, Path(temporary), options.rounds, options.chatty_seconds)
            for name in options.only or MEASUREMENTS:
                found, part = measure_part(name, bench)
                rows += found
                if options.document:
                    write(options.document, {name: part}, machine(rest))
    return rows


def write(document: Path, new: dict[str, Part], description: str) -> None:
    """Write the document anew, but for what people wrote into it and for parts that are not measured now."""
    figures = document.with_suffix(".json")
    known = json.loads(figures.read_text()) if figures.exists() else {}
    parts = {name: {**known, **new}[name] for name in MEASUREMENTS if name in known or name in new}
    figures.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n")
    before = document.read_text() if document.exists() else ""
    document.write_text(
        DOCUMENT.format(
            table=table(HEAD, [cells for part in parts.values() for cells in part["rows"]]),
            machine=description,
            conditions=table(CONDITIONS, [part["conditions"] for part in parts.values()]),
            concurrency=CONCURRENCY,
            tasks=TASKS,
            parts=", ".join(MEASUREMENTS),
            notes=NOTES + (before.partition(NOTES)[2] or "\n"),
        )
    )


def measure_in_copy() -> int:
    """Go on in a copy below ``ansible_collections``, which does not change meanwhile, with compiled bytecode."""
    python = environments.ensure("dev") / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with scratch() as root:
        subprocess.run([python, "-m", "compileall", "-q", root / "plugins"], check=True)
        command: list[str | Path] = [python, root / "tests" / "bench" / "bench.py", *sys.argv[1:]]
        document = ROOT / "docs" / "performance.md"
        return subprocess.run([*command, "--document", document], env=environment, check=False).returncode


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each thing is measured")
    parser.add_argument("--only", nargs="+", choices=list(MEASUREMENTS), help="measure a part")
    parser.add_argument("--chatty-seconds", type=int, default=300, help="length of the chatty run")
    parser.add_argument("--document", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "ansible_collections" not in ROOT.parts:
        return measure_in_copy()
    return 0 if all(row.met for row in measure(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
