# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prefect's own worker, with its defaults, beside what is measured."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from measuring import Bench
from prefect_server import engine_python

PATIENCE = 900.0


@contextmanager
def worker(bench: Bench, pool: str, *options: str) -> Iterator[None]:
    """One that polls a pool; it is online when this begins."""
    folder = bench.new_folder()
    command = [str(engine_python().with_name("prefect")), "worker", "start", "--type", "process", "--pool", pool]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=bench.engine_environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for_worker(bench, pool)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_worker(bench: Bench, pool: str) -> None:
    """Until somebody is online in the pool."""
    path = f"/work_pools/{pool}/workers/filter"
    wait_for(lambda: any(one["status"] == "ONLINE" for one in bench.rest.post(path, {})))


def wait_for(holds: Callable[[], bool]) -> None:
    """Looks rarely: it shares the processors with what it waits for."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing came of it within {PATIENCE:.0f} s")
        time.sleep(0.3)
