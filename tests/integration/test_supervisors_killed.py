# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Supervisors die while their flows run: the flows go on, and what is said about them stays true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_play import StartPlaybook
from prefect_rest import PrefectRest
from process_host import Host
from runner import CountedRun, runner_task
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

LINES = 25
ENDS = {"return": 3, "raise": 1, "exit": 1}
STATES = {"return": "COMPLETED", "raise": "FAILED", "exit": "CRASHED"}


def talkers(rest: PrefectRest, folder: Path) -> list[tuple[CountedRun, str]]:
    """Runs that say something now and then, and how each of them will end."""
    deployment = rest.create_deployment("talker")
    made = []
    for index, end in enumerate(end for end, number in ENDS.items() for _dummy in range(number)):
        file = folder / f"bodies-{index}"
        run = rest.create_flow_run(deployment["id"], {"path": str(file), "lines": LINES, "end": end})
        made.append((CountedRun(run["id"], file), end))
    return made


def check_truth(rest: PrefectRest, runs: list[tuple[CountedRun, str]], result: dict[str, Any], host: Host) -> None:
    """Each run ended as its flow did, was launched once, and its whole output is there."""
    for (run, end), said in zip(runs, result["runs"]):
        assert said["phase"] == ("succeeded" if end == "return" else "failed"), said
        assert said["state_type"] == rest.state_type(run.id) == STATES[end]
        assert run.executions == 1
        assert {key.split("-")[1] for key in rest.inputs(run.id, "flowops-")} == {"1"}
        (attempt,) = [attempt for attempt in host.attempts if attempt.name.startswith(run.id)]
        output = (attempt / "output.log").read_text()
        assert [output.count(f"talker says {number}\n") for number in range(LINES)] == [1] * LINES


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "with nobody watching"])
def test_flows_survive_their_supervisors(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, watched: bool
) -> None:
    runs = talkers(rest, tmp_path)
    host = Host(tmp_path / "state")
    options = {"flow_run_ids": [run.id for run, _end in runs], "fail_on": ["infrastructure"], "concurrency": 5}
    task = runner_task(api_url, host.state_dir, **options, stream_output=True)
    play = start_playbook(task if watched else runner_task(api_url, host.state_dir, **options, wait=False))
    wait_until(lambda: all(run.executions for run, _end in runs), "the bodies of all flows", 120)
    assert host.kill_supervisors() == len(runs)
    assert len(host.engines) == len(runs)
    end = play.wait().check()
    if watched:
        for run, _end in runs:
            assert f"[{rest.flow_run(run.id)['name']}] talker says {LINES - 1}" in end.stdout
    else:
        wait_until(lambda: not host.engines, "the end of all engines", 120)
        end = start_playbook(task).wait().check()
    check_truth(rest, runs, end.last, host)
    again = start_playbook(task).wait().check()
    assert not again.last["changed"]
    check_truth(rest, runs, again.last, host)
