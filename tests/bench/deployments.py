# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fifty deployments: one task against Prefect's own command, once for each, and against a hand-written script."""

from __future__ import annotations

import shutil
import statistics
import uuid
from typing import Any

from measuring import BENCH, TIMES, Bench, Row, Usage, run, seconds
from prefect_rest import FLOWS
from prefect_server import engine_python

NUMBER = 50
#: Each call does the same: so many are measured, and counted for all.
CALLS = 5
ENTRYPOINT = "hello.py:hello"


def deployments(bench: Bench) -> list[Row]:
    """In turns; all of them read the flow's name and parameters from its code."""
    used: dict[str, list[float]] = {"task": [], "again": [], "command": [], "script": []}
    pool = f"bench-{uuid.uuid4().hex[:8]}"
    bench.rest.create_work_pool(pool)
    for number in range(bench.rounds):
        task = _task(bench, pool, f"round-{number}")
        used["task"].append(bench.play([task]).cpu)
        used["again"].append(bench.play([task]).cpu)
        used["command"].append(sum(_command(bench, pool, call).cpu for call in range(CALLS)) * NUMBER / CALLS)
        used["script"].append(_script(bench, pool).cpu)
        bench.say(f"deployments, round {number + 1}: " + ", ".join(f"{n} {cpu[-1]:.1f} s" for n, cpu in used.items()))
    against = f"{NUMBER} × `prefect deploy` ({CALLS} measured)"  # noqa: RUF001 - the unit of a ratio
    return [
        _row(f"{NUMBER} deployments in one task: CPU", against, used["task"], used["command"], 5.0),
        _row(f"{NUMBER} deployments in one task, repeated: CPU", against, used["again"], used["command"], None),
        _row(
            f"{NUMBER} deployments in one task: CPU", "a script, all in one process", used["task"], used["script"], None
        ),
    ]


def _row(work: str, against: str, subject: list[float], floor: list[float], least: float | None) -> Row:
    ratio = statistics.median(other / one for one, other in zip(subject, floor))
    return Row(work, against, seconds(subject), seconds(floor), ratio, TIMES, least, most=False)


def _task(bench: Bench, pool: str, prefix: str) -> dict[str, Any]:
    options = {
        "api_url": bench.rest.api_url,
        "virtualenv": str(engine_python().parent.parent),
        "entrypoint": ENTRYPOINT,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(FLOWS)}}],
        "work_pool_name": pool,
        "deployments": [{"name": f"{prefix}-{number}"} for number in range(NUMBER)],
    }
    return {"name": "Deploy", "flowops.prefect.deployment": options}


def _command(bench: Bench, pool: str, number: int) -> Usage:
    """Prefect's own command, which asks no questions, where the code is."""
    folder = bench.new_folder()
    shutil.copy(FLOWS / "hello.py", folder)
    command = [str(engine_python().with_name("prefect")), "--no-prompt", "deploy", ENTRYPOINT]
    words = [*command, "--name", f"command-{number}", "--pool", pool]
    return run(words, folder, bench.engine_environment)


def _script(bench: Bench, pool: str) -> Usage:
    """Prefect's client, all deployments in one process."""
    words = [str(engine_python()), str(BENCH / "deploy_script.py"), str(FLOWS), ENTRYPOINT, pool, str(NUMBER)]
    return run(words, bench.new_folder(), bench.engine_environment)
