# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs of AWX, by the program that executes them there: live output as events, and cancelled jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from awx_job import start_job
from engines import is_alive, nothing_left, wait_for_pid
from prefect_rest import PrefectRest
from process_host import mentioning
from runner import runner_task
from scenarios import wait_until


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """Nothing of its runs may outlive the test."""
    with nothing_left(tmp_path / "state") as folder:
        yield folder


def test_a_cancelled_job_leaves_its_run_and_the_next_one_takes_it_up(
    rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """Output reaches the page while the flow runs. Cancelling ends all that the job was, and nothing else."""
    pid_file, until = tmp_path / "pid", tmp_path / "until"
    parameters = {"seconds": 300, "pid_file": str(pid_file), "until_file": str(until)}
    run = rest.create_flow_run(rest.create_deployment("sleeper")["id"], parameters)
    task = runner_task(api_url, state_dir, flow_run_id=run["id"])

    first = start_job(task, tmp_path / "first")
    first.wait_for_output("asleep", task["name"])
    assert f"[{run['name']}] " in first.output_of(task["name"])
    first.cancel()
    wait_until(lambda: not mentioning(str(tmp_path / "first")), "the end of everything that the job was")
    assert is_alive(wait_for_pid(pid_file))
    assert rest.state_type(run["id"]) == "RUNNING"

    second = start_job(task, tmp_path / "second")
    second.wait_for_output("running", task["name"])
    until.touch()
    assert second.wait() == 0
    result = second.result_of(task["name"])
    assert (result["run"]["action"], result["run"]["phase"], result["run"]["attempt"]) == ("adopted", "succeeded", 1)
