# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server is gone for a while: nobody takes that for the end of a run, and everything arrives afterwards."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_play import StartPlaybook
from prefect_rest import PrefectRest
from prefect_server import PrefectServer
from runner import counted_runs, runner_task
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

OUTAGE = 20
# Ended before the outage, ends within it, ends after it.
SLEEPS = (0, 10, 35)


def leave_and_return(server: PrefectServer, hangs: bool, meanwhile: Callable[[], None]) -> None:
    """The server does not answer for :data:`OUTAGE` seconds: it hangs, or it is not there."""
    if hangs:
        server.pause()
    else:
        server.kill()
    until = time.monotonic() + OUTAGE

    def over() -> bool:
        meanwhile()
        return time.monotonic() >= until

    wait_until(over, "the end of the outage", 2 * OUTAGE)
    if hangs:
        server.resume()
    else:
        server.start()
    server.wait_until_ready()


@pytest.mark.parametrize("hangs", [False, True], ids=["vanished", "hanging"])
def test_a_server_that_comes_back_hears_how_the_runs_ended(
    start_playbook: StartPlaybook, new_server: Callable[..., PrefectServer], tmp_path: Path, hangs: bool
) -> None:
    server = new_server()
    rest = PrefectRest(server.api_url)
    runs = [run for sleep in SLEEPS for run in counted_runs(rest, tmp_path, 1, sleep=sleep)]
    play = start_playbook(
        runner_task(server.api_url, tmp_path / "state", flow_run_ids=[run.id for run in runs], concurrency=3)
    )
    wait_until(lambda: all(run.executions for run in runs), "the bodies of all flows", 120)

    def still_watching() -> None:
        assert play.process.poll() is None, f"the play gave up\n{play.stdout}"

    leave_and_return(server, hangs, still_watching)
    end = play.wait().check().last
    assert [run["phase"] for run in end["runs"]] == ["succeeded"] * len(runs)
    for run in runs:
        states = [kind for kind, _times in itertools.groupby(s["type"] for s in rest.state_history(run.id))]
        assert states == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
        assert run.executions == 1
