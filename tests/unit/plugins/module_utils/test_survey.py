# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How attempts stand, and what is mended, over an in-memory server and an in-memory place."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Decision, Step, View, Want
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiUnreachable
from ansible_collections.flowops.prefect.plugins.module_utils._foretell import foretold
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Owner
from ansible_collections.flowops.prefect.plugins.module_utils._mend import Limits, mend, words_of
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._standing import Standing
from ansible_collections.flowops.prefect.plugins.module_utils._survey import Survey, take_survey

from .in_memory import make_run
from .test_reconcile import World

URL = "http://server/api"
TOKEN = "11111111-1111-4111-8111-111111111111"
WEEK = 604_800


class Place(World):
    """A host, and the means to put an attempt there in any state."""

    def attempt(
        self,
        state: str = "RUNNING",
        presence: Presence | None = Presence.LIVE,
        gate: bool = True,
        locus: str = "here",
        token: str = TOKEN,
        spec_hash: str = "hash",
        end_time: float | None = None,
        **seen: t.Any,
    ) -> AttemptKey:
        """A run with a record and, unless ``presence`` is None, with an attempt here."""
        run = make_run(state=state, transition_id=TOKEN, infrastructure_pid="here:1", end_time=end_time)
        run_id = self.api.add(run)
        self.api.histories[run_id] = [state]
        key = AttemptKey(run_id, 1)
        ledger = self.reconciler().ledger
        ledger.record(key, Owner(locus, TOKEN, "test", "hash", 60))
        if gate:
            self.api.write_input(run_id, "flowops-1-gate", json.dumps({"go": TOKEN, "nonce": "n"}))
        if presence is not None:
            given = {"api_url": URL, "finished_at": self.api.now, **seen}
            self.host().attempts[key] = Observation(key, presence, token=token, spec_hash=spec_hash, **given)
        return key

    def survey(self, limit: int = 100) -> Survey:
        return take_survey(self.reconciler(), URL, limit)

    def standings(self) -> dict[AttemptKey, Standing]:
        return {each.key: each.finding.standing for each in self.survey().attempts}

    def mend(self, older_than: float = WEEK, orphans: bool = False, check_mode: bool = False) -> dict[str, list[str]]:
        """What was done, by run; a foretelling has to be what is done afterwards."""
        reconciler = self.reconciler()
        survey = take_survey(reconciler, URL, 100)
        steps = mend(reconciler, survey, Limits(older_than, orphans), check_mode)
        assert all(tracked.error is None for tracked in survey.runs)
        return {run_id: words_of(done, 1) for run_id, done in steps.items() if done}

    def mend_twice(self, **limits: t.Any) -> dict[str, list[str]]:
        """Foretold, done, and nothing left to do."""
        writes = list(self.api.inputs)
        states = dict(self.api.runs)
        told = self.mend(check_mode=True, **limits)
        assert (list(self.api.inputs), self.api.runs) == (writes, states)
        assert self.mend(**limits) == told
        assert self.mend(**limits) == {}
        return told


@pytest.fixture
def place() -> Place:
    return Place()


def test_what_runs_is_live(place: Place) -> None:
    keys = [place.attempt(presence=presence) for presence in (Presence.LIVE, Presence.QUEUED, Presence.STOPPING)]
    keys.append(place.attempt(state="COMPLETED", presence=Presence.LIVE))
    assert place.standings() == dict.fromkeys(keys, Standing.LIVE)
    assert place.mend_twice() == {}


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "PAUSED", "SCHEDULED"])
def test_what_is_over_is_finished_and_its_end_is_recorded(place: Place, state: str) -> None:
    key = place.attempt(state=state, presence=Presence.FINISHED)
    assert place.standings() == {key: Standing.FINISHED}
    assert place.mend_twice() == {key.flow_run_id: ["recorded"]}
    assert place.standings() == {key: Standing.FINISHED}
    assert place.api.runs[key.flow_run_id].state_type == state


def test_what_was_made_and_never_started_is_prepared(place: Place) -> None:
    key = place.attempt(state="SCHEDULED", presence=Presence.PREPARED, gate=False)
    assert place.standings() == {key: Standing.PREPARED}
    assert place.mend_twice() == {}


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
@pytest.mark.parametrize("presence", [Presence.FINISHED, None])
def test_a_run_whose_engine_is_gone_is_a_zombie_and_reported_as_crashed(
    place: Place, state: str, presence: Presence | None
) -> None:
    key = place.attempt(state=state, presence=presence)
    assert place.standings() == {key: Standing.ZOMBIE}
    assert place.mend_twice() == {key.flow_run_id: ["reported"]}
    assert place.api.runs[key.flow_run_id].state_type == "CRASHED"


def test_two_who_reconcile_report_once(place: Place) -> None:
    key = place.attempt(presence=None)
    first, second = place.reconciler(), place.reconciler()
    surveys = [(one, take_survey(one, URL, 100)) for one in (first, second)]
    done = [mend(one, survey, Limits(WEEK, False), False)[key.flow_run_id] for one, survey in surveys]
    assert [words_of(steps, 1) for steps in done] == [["reported"], []]
    assert place.api.requests.count("propose CRASHED") == 1


def test_a_cancelled_run_whose_engine_is_gone_is_reported_as_cancelled(place: Place) -> None:
    key = place.attempt(state="CANCELLING", presence=None)
    assert place.standings() == {key: Standing.ZOMBIE}
    assert place.mend_twice() == {key.flow_run_id: ["reported"]}
    assert place.api.runs[key.flow_run_id].state_type == "CANCELLED"


@pytest.mark.parametrize(("state", "words"), [("CANCELLING", ["stopped", "reported"]), ("CANCELLED", ["stopped"])])
def test_what_was_cancelled_on_the_server_is_stopped(place: Place, state: str, words: list[str]) -> None:
    key = place.attempt(state=state)
    assert place.standings() == {key: Standing.LIVE}
    done = place.mend_twice()
    assert done == {key.flow_run_id: [*words, *(["recorded"] if state == "CANCELLED" else [])]}
    assert not place.host().attempts[key].may_run


def test_what_was_claimed_and_not_started_in_time_is_a_zombie(place: Place) -> None:
    key = place.attempt(state="PENDING", presence=None, gate=False)
    assert place.standings() == {}
    place.api.now += 61
    assert place.standings() == {key: Standing.ZOMBIE}
    assert place.mend_twice() == {key.flow_run_id: ["reported"]}
    run = place.api.runs[key.flow_run_id]
    assert (run.state_type, "never started" in run.state_message) == ("CRASHED", True)


def test_what_runs_elsewhere_or_is_somebody_else_s_is_left_alone(place: Place) -> None:
    place.attempt(presence=None, locus="there")
    place.api.add(make_run(state="RUNNING", infrastructure_pid="here:2"))
    place.api.add(make_run(state="PENDING"))
    assert place.standings() == {}
    assert place.mend_twice() == {}


def test_records_are_read_only_where_a_run_may_be_here(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.host(), "may_hold", lambda identifier: identifier.startswith("here:"))
    for pid in ("there:1", None):
        place.api.add(make_run(state="RUNNING", infrastructure_pid=pid))
    zombie = place.attempt(presence=None)
    assert set(place.standings()) == {zombie}
    assert place.api.requests == ["write flowops-1", "write flowops-1-gate", "open runs", *["filter", "inputs"] * 2]


def test_an_attempt_that_is_launched_while_we_look_is_no_zombie(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    key = place.attempt(presence=None)
    second = AttemptKey(key.flow_run_id, 2)
    find = place.host().find
    looks: list[int] = []

    def launched_after_the_first_look(flow_run_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        looks.append(1)
        if len(looks) == 2:
            place.reconciler().ledger.record(second, Owner("here", "other", "test", "hash", 60))
        return find(flow_run_ids)

    monkeypatch.setattr(place.host(), "find", launched_after_the_first_look)
    assert place.mend() == {}
    assert place.api.runs[key.flow_run_id].state_type == "RUNNING"


def test_the_server_is_asked_for_no_more_runs_than_the_limit(place: Place) -> None:
    for _number in range(3):
        place.attempt(presence=None)
    assert place.survey(3).complete
    limited = place.survey(2)
    assert (len(limited.attempts), limited.complete) == (2, False)
    assert place.survey(0).attempts == []


def test_a_server_that_cannot_be_asked_makes_no_orphans(place: Place) -> None:
    place.attempt()
    place.api.unreachable = True
    with pytest.raises(ApiUnreachable):
        place.survey()


def test_damaged_records_of_one_run_say_nothing_of_the_others(place: Place) -> None:
    damaged, fine = place.attempt(), place.attempt()
    record = place.api.inputs[damaged.flow_run_id, "flowops-1"]
    place.api.inputs[damaged.flow_run_id, "flowops-1"] = dataclasses.replace(record, value="{")
    assert place.standings() == {damaged: Standing.UNKNOWN, fine: Standing.LIVE}


def test_what_cannot_be_told_is_unknown_and_left_alone(place: Place) -> None:
    key = place.attempt(presence=Presence.UNKNOWN)
    assert place.standings() == {key: Standing.UNKNOWN}
    assert place.mend_twice(older_than=0) == {}


@pytest.mark.parametrize(
    ("differs", "drift"),
    [
        ({"token": "another"}, ("token",)),
        ({"spec_hash": "another"}, ("spec_hash",)),
        ({"locus": "there"}, ("locus",)),
        ({"token": "another", "locus": "there"}, ("token", "locus")),
    ],
)
@pytest.mark.parametrize("presence", [Presence.LIVE, Presence.FINISHED])
def test_what_is_not_as_its_record_says_has_drifted(
    place: Place, presence: Presence, differs: dict[str, str], drift: tuple[str, ...]
) -> None:
    key = place.attempt(state="COMPLETED", presence=presence, **differs)
    (found,) = place.survey().attempts
    assert (found.key, found.finding.standing, found.finding.drift) == (key, Standing.DRIFTED, drift)
    assert "removed" not in place.mend_twice().get(key.flow_run_id, [])


def test_a_deleted_run_leaves_an_orphan_that_is_removed_only_when_asked(place: Place) -> None:
    live, over = place.attempt(), place.attempt(presence=Presence.FINISHED)
    for key in (live, over):
        del place.api.runs[key.flow_run_id]
    assert place.standings() == dict.fromkeys((live, over), Standing.ORPHANED)
    assert place.mend_twice(older_than=0) == {}
    assert place.mend_twice(orphans=True) == {live.flow_run_id: ["stopped", "removed"], over.flow_run_id: ["removed"]}
    assert place.host().attempts == {}


@pytest.mark.parametrize("url", ["http://another/api", ""])
def test_an_attempt_of_another_server_is_never_touched(place: Place, url: str) -> None:
    key = place.attempt(api_url=url)
    del place.api.runs[key.flow_run_id]
    assert place.standings() == {key: Standing.FOREIGN}
    assert place.mend_twice(orphans=True, older_than=0) == {}


def test_leftovers_are_removed_when_they_are_old_enough(place: Place) -> None:
    long_ago, lately = place.api.now - 101, place.api.now - 99
    old = place.attempt(state="COMPLETED", presence=Presence.FINISHED, end_time=long_ago)
    young = place.attempt(state="FAILED", presence=Presence.FINISHED, end_time=lately, finished_at=long_ago)
    suspended = place.attempt(state="PAUSED", presence=Presence.FINISHED, finished_at=long_ago)
    never_began = place.attempt(state="CANCELLED", presence=Presence.FINISHED, gate=False, finished_at=long_ago)
    assert place.mend_twice(older_than=100) == {
        old.flow_run_id: ["recorded", "removed"],
        young.flow_run_id: ["recorded"],
        suspended.flow_run_id: ["recorded"],
        never_began.flow_run_id: ["removed"],
    }
    assert set(place.host().attempts) == {young, suspended}


def test_a_clock_that_is_ahead_does_not_keep_what_is_to_go_at_once(place: Place) -> None:
    key = place.attempt(state="COMPLETED", presence=Presence.FINISHED, end_time=place.api.now + 5)
    assert place.mend_twice(older_than=0) == {key.flow_run_id: ["recorded", "removed"]}


def test_the_output_of_a_zombie_stays_as_long_as_that_of_others(place: Place) -> None:
    """However long ago it began: its run ends when that is told."""
    key = place.attempt(presence=Presence.FINISHED, finished_at=None, started_at=1.0, created_at=1.0)
    assert place.mend_twice(older_than=1) == {key.flow_run_id: ["reported"]}


def test_a_zombie_is_reported_and_cleared_in_one_go(place: Place) -> None:
    key = place.attempt(presence=Presence.FINISHED)
    assert place.mend_twice(older_than=0) == {key.flow_run_id: ["reported", "removed"]}


def test_nothing_is_launched(place: Place) -> None:
    """Neither what waits for a launch nor what a launcher left half-way."""
    waiting = make_run()
    place.api.add(waiting)
    place.host().put(AttemptKey(waiting.id, 1), Presence.PREPARED)
    place.attempt(state="SCHEDULED", presence=Presence.FINISHED)
    place.api.now += 1000
    place.mend(older_than=0)
    assert place.host().created == []


def test_a_foretelling_ends(place: Place) -> None:
    """A rule that never gets anywhere is cut off, as the state machine cuts it off."""
    run = make_run(state="CANCELLED")
    key = AttemptKey(run.id, 1)
    view = View(Want("cancelled"), run, (), {1: Observation(key, Presence.LIVE)}, "here", 0)
    assert [step.step for step in foretold(view)] == [Step.VOID, Step.STOP]
    assert words_of([Decision(Step.VOID, foretold(view)[0].phase, 1)], 1) == []
