# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many playbooks want the same flow run at the same moment: one executes it, the others see the same end."""

from __future__ import annotations

from pathlib import Path

import fault_scenarios
import pytest
from ansible_play import StartPlaybook
from disturbed_race import DisturbedRace
from places import Stage
from prefect_rest import PrefectRest
from process_host import Host, gate_is_passed
from runner import CountedRun, counted_runs, runner_task
from scenarios import seeded, wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

ROUNDS = 3


@pytest.mark.parametrize("hosts", [1, 3])
def test_one_of_eight_playbooks_executes_the_run(stage: Stage, hosts: int) -> None:
    for _round in range(ROUNDS):
        fault_scenarios.one_of_eight_plays_executes_the_run(stage, hosts)


def test_an_engine_that_comes_second_follows(stage: Stage) -> None:
    fault_scenarios.an_engine_that_comes_second_follows(stage)


def test_kills_among_the_racers_neither_double_nor_lose_the_run(
    start_playbook: StartPlaybook, rest: PrefectRest, tmp_path: Path
) -> None:
    chance = seeded("race")
    race = DisturbedRace(rest, tmp_path, 3)
    race.start(start_playbook)
    for play in race.disturb(chance):
        play.wait()
    ends = race.finish(start_playbook, chance)
    assert ends[-1].check().last["run"]["phase"] == "succeeded"
    assert race.run.executions == 1
    assert rest.state_type(race.run.id) == "COMPLETED"


def freeze_after_record(start: StartPlaybook, rest: PrefectRest, folder: Path) -> tuple[CountedRun, Host]:
    """A host that owns an attempt and comes to a halt before the gate, its supervisor gone."""
    for _try in range(5):
        (run,) = counted_runs(rest, folder, 1)
        host = Host(folder / f"slow-{run.id}")
        start(
            runner_task(rest.api_url, host.state_dir, flow_run_id=run.id, start_timeout=20, wait=False)
        ).wait().check()
        host.kill_supervisors()
        wait_until(lambda host=host: "recorded" in host.events, "the record of the attempt", interval=0.002)
        host.stop_engines()
        if not gate_is_passed(rest, run.id):
            return run, host
        host.resume_engines()
    raise AssertionError("every engine was faster than this test")


def test_a_host_that_froze_before_its_gate_is_taken_over_and_comes_too_late(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    run, slow = freeze_after_record(start_playbook, rest, tmp_path)
    other = start_playbook(runner_task(api_url, tmp_path / "other", flow_run_id=run.id)).wait().check().last
    assert (other["run"]["action"], other["run"]["attempt"], other["changed"]) == ("launched", 2, True)
    assert (other["run"]["phase"], run.executions) == ("succeeded", 1)
    slow.resume_engines()
    wait_until(lambda: not slow.engines, "the end of the engine that came too late")
    late = start_playbook(runner_task(api_url, slow.state_dir, flow_run_id=run.id)).wait().check().last
    assert (late["run"]["phase"], late["run"]["attempt"], late["changed"]) == ("succeeded", 2, False)
    assert late["run"]["exit_code"] is None, "of the attempt that never began"
    assert (run.executions, rest.state_type(run.id)) == (1, "COMPLETED")
