# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many playbooks want the same flow run at the same moment: one executes it, the others see the same end."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_play import StartPlaybook
from prefect_rest import PrefectRest
from scenarios import RACERS, Race, seeded

pytestmark = pytest.mark.usefixtures("nothing_left")

ROUNDS = 3


@pytest.mark.parametrize("hosts", [1, 3])
def test_one_of_eight_playbooks_executes_the_run(
    start_playbook: StartPlaybook, rest: PrefectRest, tmp_path: Path, hosts: int
) -> None:
    for _round in range(ROUNDS):
        race = Race.prepare(rest, tmp_path, hosts)
        race.start(start_playbook)
        ends = [play.wait().check().last for play in race.plays]
        actions = sorted(end["run"]["action"] for end in ends)
        print(f"{hosts} hosts: {actions}")
        assert race.run.executions == 1
        assert actions.count("launched") == 1
        assert set(actions) <= {"launched", "adopted", "followed", "none"}
        assert [(end["run"]["phase"], end["run"]["state_type"]) for end in ends] == [
            ("succeeded", "COMPLETED")
        ] * RACERS
        assert len({(end["run"]["started_at"], end["run"]["finished_at"]) for end in ends}) == 1
        assert {end["run"]["exit_code"] for end in ends} <= {0, None}, "of an engine that lost the race"


def test_kills_among_the_racers_neither_double_nor_lose_the_run(
    start_playbook: StartPlaybook, rest: PrefectRest, tmp_path: Path
) -> None:
    chance = seeded("race")
    race = Race.prepare(rest, tmp_path, 3)
    race.start(start_playbook)
    for play in race.disturb(chance):
        play.wait()
    ends = race.finish(start_playbook, chance)
    print([(end.last["run"]["phase"], end.last["run"]["attempt"]) for end in ends])
    assert ends[-1].check().last["run"]["phase"] == "succeeded"
    assert race.run.executions == 1
    assert rest.state_type(race.run.id) == "COMPLETED"
