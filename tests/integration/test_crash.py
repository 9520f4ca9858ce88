# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller dies: the same play again goes on with what is there, and no flow's body runs twice or never."""

from __future__ import annotations

import time
from pathlib import Path

import fault_scenarios
import pytest
from ansible_play import StartPlaybook
from places import Stage
from prefect_rest import PrefectRest
from process_host import Host
from runner import counted_runs, runner_task
from scenarios import crashes, processes_of, seeded, wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

MOMENTS = 15
# A worker looks for its parent every second, and needs a moment to end.
BACKGROUND = 5


def test_a_play_that_was_killed_at_any_moment_is_continued_by_the_next(stage: Stage) -> None:
    fault_scenarios.killed_plays_are_continued(stage, MOMENTS)


def test_nothing_goes_on_in_the_background_of_a_killed_process_group(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=BACKGROUND + 5)
    host = Host(tmp_path / "state")
    task = runner_task(api_url, host.state_dir, flow_run_id=run.id)
    play = start_playbook(task)
    wait_until(lambda: run.executions, "the flow's body")
    play.kill_process_group()
    killed = time.monotonic()
    wait_until(lambda: not processes_of(play), "the end of everything of the play", BACKGROUND)
    print(f"nothing of the play is left after {time.monotonic() - killed:.1f} s")
    assert (len(host.supervisors), len(host.engines)) == (1, 1), "they are not the play's"

    again = start_playbook(task).wait().check()
    assert (again.last["run"]["action"], again.last["run"]["phase"]) == ("adopted", "succeeded")
    assert not again.last["changed"]
    assert run.executions == 1


def test_a_process_group_killed_during_the_launch(stage: Stage) -> None:
    staged = crashes(stage.new_place, seeded("process group"), 3)
    plays = [stage.start(crash.place, crash.task) for crash in staged]
    for play, crash in zip(plays, staged):
        crash.moment.wait(play, crash.place)
        if play.process.poll() is None:
            play.kill_process_group()
        wait_until(lambda play=play: not processes_of(play), "the end of everything of the play", BACKGROUND)
    for again in [stage.start(crash.place, crash.task) for crash in staged]:
        assert again.wait().check().last["run"]["phase"] == "succeeded"
    assert [crash.executions for crash in staged] == [1, 1, 1]
