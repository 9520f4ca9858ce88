# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state machine from end to end over an in-memory server and an in-memory infrastructure."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Phase, Step
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    FlowopsError,
    InfrastructureError,
    InfrastructureUnreachable,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Ledger
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import (
    API_PATIENCE,
    Reconciler,
    Tracked,
    promised_start,
)

from .in_memory import MemoryApi, MemoryInfrastructure, make_run


class World:
    """A server and one host; the engine of the host passes its gate and then does what ``outcome`` says."""

    def __init__(self, outcome: str = "RUNNING") -> None:
        self.api = MemoryApi()
        self.outcome = outcome
        self.bodies: list[AttemptKey] = []
        self.clock = 0.0
        self.hosts: dict[str, MemoryInfrastructure] = {}

    def host(self, locus: str = "here") -> MemoryInfrastructure:
        if locus not in self.hosts:
            self.hosts[locus] = MemoryInfrastructure(locus, self.engine)
        return self.hosts[locus]

    def engine(self, launch: Launch) -> Presence:
        run_id, number = launch.key.flow_run_id, launch.key.number
        gate = json.dumps({"go": launch.token, "nonce": str(len(self.bodies))})
        if not self.api.write_input(run_id, f"flowops-{number}-gate", gate):
            return Presence.FINISHED
        self.bodies.append(launch.key)
        self.api.change(run_id, self.outcome, run_count=1)
        return Presence.LIVE if self.outcome == "RUNNING" else Presence.FINISHED

    def tracked(self, run_id: str, rerun: str = "never") -> Tracked:
        def plan(key: AttemptKey, token: str, inheritable: list[str]) -> Launch:
            return Launch(key, token, "", {}, {}, (), {}, {}, "hash", 120, None, 30, None)

        return Tracked(run_id, plan, rerun=rerun)

    def reconciler(self, locus: str = "here") -> Reconciler:
        return Reconciler(self.api, Ledger(self.api), self.host(locus), "test", 120, 30, clock=lambda: self.clock)

    def run_task(self, run_id: str, state: str = "launched", rerun: str = "never", locus: str = "here") -> Tracked:
        """One task that waits for the end."""
        tracked = self.tracked(run_id, rerun)
        reconciler = self.reconciler(locus)
        reconciler.begin([tracked], state)
        reconciler.settle([tracked])
        while not tracked.settled:
            reconciler.wait_once([tracked], 1, output=False)
        if tracked.error is not None:
            raise tracked.error
        return tracked


def test_a_scheduled_run_is_launched_once_and_reported() -> None:
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    first = world.run_task(run_id)
    assert (first.action, first.changed, first.decision.phase) == ("launched", True, Phase.SUCCEEDED)
    second = world.run_task(run_id)
    assert (second.action, second.changed, second.decision.phase) == ("none", False, Phase.SUCCEEDED)
    assert len(world.bodies) == 1


def test_a_finished_run_costs_one_request() -> None:
    world = World()
    run_id = world.api.add(make_run(state="COMPLETED"))
    world.run_task(run_id)
    assert world.api.requests == ["filter"]


def test_twenty_finished_runs_cost_one_request() -> None:
    world = World()
    runs = [world.tracked(world.api.add(make_run(state="COMPLETED"))) for _number in range(20)]
    reconciler = world.reconciler()
    reconciler.begin(runs, "launched")
    reconciler.settle(runs)
    assert all(tracked.settled for tracked in runs)
    assert world.api.requests == ["filter"]


def test_a_reporter_that_dies_before_it_tells_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    run_id = world.api.add(make_run())
    launching = world.reconciler()
    tracked = world.tracked(run_id)
    launching.begin([tracked], "launched")
    launching.settle([tracked])
    (attempt,) = world.host().attempts
    world.host().remove(attempt)

    def dies(*_: t.Any, **_more: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(world.api, "propose", dies)
        with pytest.raises(KeyboardInterrupt):
            world.run_task(run_id)
    assert world.api.runs[run_id].state_type == "RUNNING"

    found = world.run_task(run_id)
    assert (found.decision.phase, found.diagnosis and found.diagnosis.category) == (Phase.FAILED, "infrastructure_gone")
    assert world.api.runs[run_id].state_type == "CRASHED"


def test_a_run_that_nobody_touched_is_launched_without_reading_its_ledger() -> None:
    world = World()
    tracked = world.tracked(world.api.add(make_run()))
    reconciler = world.reconciler()
    reconciler.begin([tracked], "launched")
    reconciler.settle([tracked])
    before_the_engine = ["filter", "write flowops-1", "propose PENDING", "pid"]
    assert world.api.requests[: len(before_the_engine)] == before_the_engine
    assert tracked.action == "launched"


@pytest.mark.parametrize(("shows_made", "looks"), [(False, 2), (True, 1)])
def test_what_a_step_shows_is_not_looked_for(shows_made: bool, looks: int) -> None:
    world = World()
    world.host().shows_made = shows_made
    tracked = world.tracked(world.api.add(make_run()))
    reconciler = world.reconciler()
    reconciler.begin([tracked], "launched")
    reconciler.settle([tracked])
    assert world.host().looks == looks
    assert (tracked.action, tracked.decision.step) == ("launched", Step.WAIT)
    world.host().on_wait.append(lambda: None)
    reconciler.wait_once([tracked], 1, output=False)
    assert world.host().looks == looks + 1, "whoever waits looks"


CLAIM = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    ("token", "evidence", "state", "reads"),
    [
        (CLAIM, {}, "launched", False),
        ("22222222-2222-4222-8222-222222222222", {}, "launched", True),
        ("", {}, "launched", True),
        (CLAIM, {"timed_out": "start"}, "launched", True),
        (CLAIM, {"lost": "its node is gone"}, "launched", True),
        (CLAIM, {}, "cancelled", True),
    ],
)
def test_what_lives_with_the_token_of_the_claim_is_adopted_without_reading_the_ledger(
    token: str, evidence: dict[str, t.Any], state: str, reads: bool
) -> None:
    world = World()
    run_id = world.api.add(make_run(state="PENDING", transition_id=CLAIM))
    world.host().put(AttemptKey(run_id, 1), Presence.LIVE, token=token, **evidence)
    tracked = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([tracked], state)
    assert world.api.requests == ["filter", "inputs"][: 1 + reads]
    if not reads:
        reconciler.settle([tracked])
        assert (tracked.action, tracked.decision.phase, tracked.changed) == ("adopted", Phase.PENDING, False)


def test_a_second_look_reads_the_ledger_of_what_was_about_to_start() -> None:
    world = World()
    run_id = world.api.add(make_run(state="PENDING", transition_id=CLAIM))
    world.host().put(AttemptKey(run_id, 1), Presence.LIVE, token=CLAIM)
    tracked = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([tracked], "launched")
    reconciler.settle([tracked])
    world.clock = tracked.next_look
    world.host().on_wait.append(lambda: None)
    reconciler.wait_once([tracked], 0, output=False)
    assert world.api.requests == ["filter", "filter", "inputs"]


@pytest.mark.parametrize("locus", ["here", "there"])
def test_who_loses_the_first_record_reads_the_ledger(locus: str) -> None:
    """Somebody recorded the attempt and died before the claim: the run still looks untouched."""
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    dead = world.reconciler(locus)
    launch = world.tracked(run_id).plan(AttemptKey(run_id, 1), "11111111-1111-4111-8111-111111111111", [])
    dead.ledger.record(launch.key, dead.owner(launch))

    tracked = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([tracked], "launched")
    reconciler.settle([tracked])
    assert world.api.requests.count("inputs") >= 1
    assert world.bodies == ([launch.key] if locus == "here" else [])
    assert tracked.action == ("launched" if locus == "here" else "followed")


def test_check_mode_reads_the_ledger_of_a_run_that_looks_untouched() -> None:
    world = World()
    run_id = world.api.add(make_run())
    other = world.reconciler("there")
    launch = world.tracked(run_id).plan(AttemptKey(run_id, 1), "11111111-1111-4111-8111-111111111111", [])
    other.ledger.record(launch.key, other.owner(launch))
    tracked = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([tracked], "launched")
    reconciler.decide_only(tracked)
    assert tracked.decision.step is Step.FOLLOW


def test_check_mode_looks_past_an_end_that_nobody_recorded() -> None:
    """A task that found its run at its end has no reason to write that down; the next one is still to be foretold."""
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    launching = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([launching], "launched")
    key = AttemptKey(run_id, 1)
    launch = launching.plan(key, "11111111-1111-4111-8111-111111111111", [])
    reconciler.ledger.record(key, reconciler.owner(launch))
    world.api.claim(run_id, launch.token)
    world.host().create(launch)
    before = dict(world.api.inputs)

    for rerun, step, number in (("always", Step.LAUNCH, 2), ("failed", Step.DONE, 1)):
        tracked = world.tracked(run_id, rerun)
        checking = world.reconciler()
        checking.begin([tracked], "launched")
        checking.decide_only(tracked)
        assert (tracked.decision.step, tracked.decision.attempt) == (step, number)
    assert dict(world.api.inputs) == before
    assert world.run_task(run_id, rerun="always").action == "launched"
    assert world.bodies == [key, AttemptKey(run_id, 2)]


def test_a_controller_that_dies_after_the_record_is_continued() -> None:
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    dying = world.reconciler()
    tracked = world.tracked(run_id)
    dying.begin([tracked], "launched")
    launch = tracked.plan(AttemptKey(run_id, 1), "11111111-1111-4111-8111-111111111111", [])
    assert dying.ledger.record(launch.key, dying.owner(launch))
    world.run_task(run_id)
    assert world.bodies == [AttemptKey(run_id, 1)]


def test_another_host_follows_and_takes_over_only_after_the_promise() -> None:
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    dead = world.reconciler("there")
    launch = world.tracked(run_id).plan(AttemptKey(run_id, 1), "11111111-1111-4111-8111-111111111111", [])
    dead.ledger.record(launch.key, dead.owner(launch))
    dead.api.claim(run_id, launch.token)

    def promise_over() -> None:
        assert world.bodies == []
        world.api.now += 181
        world.clock += 60

    world.host().on_wait.append(promise_over)
    tracked = world.run_task(run_id)
    assert tracked.decision.phase is Phase.SUCCEEDED
    assert world.bodies == [AttemptKey(run_id, 2)]
    late = world.host("there")
    assert late.create(launch)
    assert len(world.bodies) == 1, "the late launcher's engine must not pass the voided gate"


@pytest.mark.parametrize(
    "refused",
    [
        {"evidence": {"bootstrap": {"event": "refused", "category": "foreign"}}},
        *({"exit_code": n} for n in (86, 88, 92)),
    ],
    ids=["by the bootstrap's word", "by the exit code alone", "its API was gone", "stopped since its gate was void"],
)
def test_what_lost_its_race_here_follows_the_winner_and_says_nothing_of_itself(refused: dict[str, t.Any]) -> None:
    world = World()
    run_id = world.api.add(make_run())
    key = AttemptKey(run_id, 1)
    winner = world.reconciler("there")
    launch = world.tracked(run_id).plan(key, "11111111-1111-4111-8111-111111111111", [])
    winner.ledger.record(key, winner.owner(launch))
    world.api.claim(run_id, launch.token)
    world.engine(launch)
    world.host().put(key, Presence.LIVE, token="22222222-2222-4222-8222-222222222222")

    def engine_here_is_refused() -> None:
        token = "22222222-2222-4222-8222-222222222222"
        world.host().attempts[key] = Observation(key, Presence.FINISHED, token=token, **refused)
        world.clock += 60

    def winner_ends() -> None:
        world.api.change(run_id, "COMPLETED")
        world.clock += 60

    world.host().on_wait += [engine_here_is_refused, winner_ends]
    for tracked in (world.run_task(run_id), world.run_task(run_id)):
        assert (tracked.decision.phase, tracked.action) == (Phase.SUCCEEDED, "followed")
        assert tracked.observation is None
        assert not tracked.changed
    assert world.bodies == [key]


@pytest.mark.parametrize(("start_timeout", "promised"), [(4, 14), (30, 45), (120, 180), (900, 960)])
def test_the_promise_leaves_a_margin_that_fits_the_start_timeout(start_timeout: float, promised: float) -> None:
    assert promised_start(start_timeout) == promised


def test_a_dead_engine_is_reported_once() -> None:
    world = World()
    run_id = world.api.add(make_run())
    world.host().on_wait.append(lambda: world.host().put(AttemptKey(run_id, 1), Presence.FINISHED))
    tracked = world.run_task(run_id)
    assert tracked.decision.phase is Phase.FAILED
    assert world.api.runs[run_id].state_type == "CRASHED"
    before = world.api.requests.count("propose CRASHED")
    world.run_task(run_id)
    assert world.api.requests.count("propose CRASHED") == before == 1


def test_a_cancel_stops_sees_it_gone_and_reports() -> None:
    world = World()
    run_id = world.api.add(make_run())
    running = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([running], "launched")
    reconciler.settle([running])
    tracked = world.run_task(run_id, state="cancelled")
    assert (tracked.action, tracked.decision.phase) == ("cancelled", Phase.CANCELLED)
    assert world.api.runs[run_id].state_type == "CANCELLED"
    assert not any(seen.may_run for seen in world.host().attempts.values())
    again = world.run_task(run_id, state="cancelled")
    assert not again.changed


def test_a_watcher_that_finds_nothing_but_a_crash_asks_whether_it_was_a_cancel() -> None:
    """The engine was told to end and said Crashed; what it ran in is gone, and who cancels has not written that yet."""
    world = World()
    run_id = world.api.add(make_run())

    def cancelled_by_another_play() -> None:
        world.api.change(run_id, "CANCELLING")
        world.host().attempts.clear()
        world.api.change(run_id, "CRASHED")

    world.host().on_wait.append(cancelled_by_another_play)
    watched = world.run_task(run_id)
    assert (watched.decision.phase, world.api.runs[run_id].state_type) == (Phase.CANCELLED, "CANCELLED")
    assert world.run_task(run_id, state="cancelled").decision.phase is Phase.CANCELLED


@pytest.mark.parametrize(("before", "phase"), [("CANCELLING", Phase.CANCELLED), ("RUNNING", Phase.FAILED)])
def test_so_does_a_play_that_begins_then(before: str, phase: Phase) -> None:
    world = World()
    run_id = world.api.add(make_run())
    launching = world.tracked(run_id)
    reconciler = world.reconciler()
    reconciler.begin([launching], "launched")
    reconciler.settle([launching])
    for state in (before, "CRASHED"):
        world.api.change(run_id, state)
    world.host().attempts.clear()
    assert world.run_task(run_id).decision.phase is phase
    world.api.requests.clear()
    assert world.run_task(run_id).decision.phase is phase
    assert "history" not in world.api.requests, "how it ended is written down"


def test_a_cancel_before_the_launch_keeps_a_slow_launcher_out() -> None:
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    world.run_task(run_id, state="cancelled")
    launch = world.tracked(run_id).plan(AttemptKey(run_id, 1), "11111111-1111-4111-8111-111111111111", [])
    world.host("there").create(launch)
    assert world.bodies == []
    assert world.api.runs[run_id].state_type == "CANCELLED"


def test_a_rerun_makes_the_next_attempt_and_only_one() -> None:
    world = World(outcome="FAILED")
    run_id = world.api.add(make_run())
    world.run_task(run_id)
    tracked = world.run_task(run_id, rerun="failed")
    assert tracked.decision.attempt == 2
    assert [key.number for key in world.bodies] == [1, 2]
    world.run_task(run_id, rerun="2")
    assert len(world.bodies) == 2, "an attempt number is idempotent"


def test_a_suspended_run_is_resumed_as_the_next_attempt() -> None:
    world = World(outcome="PAUSED")
    run_id = world.api.add(make_run())
    assert world.run_task(run_id).decision.phase is Phase.SUSPENDED
    assert world.api.runs[run_id].state_type == "PAUSED"
    world.outcome = "COMPLETED"
    world.api.change(run_id, "SCHEDULED", state_name="Resuming")
    assert world.run_task(run_id).decision.phase is Phase.SUCCEEDED
    assert [key.number for key in world.bodies] == [1, 2]


def test_absent_removes_and_keeps_the_ledger() -> None:
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    world.run_task(run_id)
    tracked = world.run_task(run_id, state="absent")
    assert (tracked.action, tracked.decision.phase) == ("removed", Phase.ABSENT)
    assert world.host().attempts == {}
    assert (run_id, "flowops-1") in world.api.inputs


def test_an_unreachable_server_is_never_a_verdict() -> None:
    world = World()
    run_id = world.api.add(make_run())
    here = world.host()

    def engine_ends_while_the_server_is_gone() -> None:
        world.api.change(run_id, "COMPLETED")
        here.put(AttemptKey(run_id, 1), Presence.FINISHED)
        world.api.unreachable = True

    def still_gone() -> None:
        world.clock += API_PATIENCE / 2

    def back() -> None:
        world.clock += 10
        world.api.unreachable = False

    here.on_wait += [engine_ends_while_the_server_is_gone, still_gone, back]
    tracked = world.run_task(run_id)
    assert tracked.decision.phase is Phase.SUCCEEDED
    assert "propose CRASHED" not in world.api.requests


def test_one_runs_error_never_stops_the_others() -> None:
    world = World(outcome="COMPLETED")
    good, bad = world.tracked(world.api.add(make_run())), world.tracked(world.api.add(make_run()))

    def refuse(key: AttemptKey, token: str, inheritable: list[str]) -> t.NoReturn:
        raise InfrastructureError("no")

    bad.plan = refuse
    reconciler = world.reconciler()
    reconciler.begin([bad, good], "launched")
    reconciler.settle([bad, good])
    assert isinstance(bad.error, InfrastructureError)
    assert good.decision.phase is Phase.SUCCEEDED


def test_infrastructure_that_is_refused_after_the_claim_is_a_crash_with_its_reason() -> None:
    world = World()
    run_id = world.api.add(make_run())

    def refuse(_launch: Launch) -> Presence:
        raise InfrastructureError("the command is missing.", "Use another image.", "command_missing")

    world.host().script = refuse
    tracked = world.run_task(run_id)
    assert (tracked.decision.phase, world.api.runs[run_id].state_type) == (Phase.FAILED, "CRASHED")
    assert tracked.diagnosis is not None
    assert (tracked.diagnosis.category, tracked.diagnosis.remedy) == ("command_missing", "Use another image.")
    assert "the command is missing" in world.api.runs[run_id].state_message


def test_infrastructure_that_cannot_be_had_leaves_the_run_alone() -> None:
    world = World()
    run_id = world.api.add(make_run())

    def fail(_launch: Launch) -> None:
        raise InfrastructureError("there is no such image.", "", "image_missing")

    world.host().provide = fail  # type: ignore[method-assign]
    with pytest.raises(InfrastructureError):
        world.run_task(run_id)
    assert world.api.runs[run_id].state_type == "SCHEDULED"
    assert not world.api.inputs


def test_what_is_still_under_way_is_looked_at_once_each_time() -> None:
    world = World()
    run_id = world.api.add(make_run())
    reconciler, tracked = world.reconciler(), world.tracked(run_id)
    asked: list[Launch] = []

    def under_way(launch: Launch) -> str:
        asked.append(launch)
        return "image flows:1 is being pulled"

    world.host().provide = under_way  # type: ignore[method-assign]
    reconciler.begin([tracked], "launched")
    reconciler.settle([tracked])
    assert len(asked) == 1
    assert (tracked.decision.phase, tracked.decision.reason) == (Phase.QUEUED, "image flows:1 is being pulled")
    assert (tracked.settled, world.api.runs[run_id].state_type, world.api.inputs) == (False, "SCHEDULED", {})


def test_the_server_hears_where_a_run_is_before_it_starts() -> None:
    world = World(outcome="COMPLETED")
    run_id = world.api.add(make_run())
    world.run_task(run_id)
    assert world.api.requests.index("pid") < world.api.requests.index("write flowops-1-gate")


def test_what_a_bootstrap_tells_the_server_nobody_else_does() -> None:
    world = World(outcome="COMPLETED")
    world.host().bootstrap_tells = True
    run_id = world.api.add(make_run())
    assert world.run_task(run_id).decision.phase is Phase.SUCCEEDED
    assert "pid" not in world.api.requests


def test_infrastructure_out_of_reach_is_no_verdict() -> None:
    world = World()
    run_id = world.api.add(make_run())
    reconciler, tracked = world.reconciler(), world.tracked(run_id)
    reconciler.begin([tracked], "launched")
    reconciler.settle([tracked])
    host = world.host()
    find = host.find

    def unreachable(_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        raise InfrastructureUnreachable("nothing answers")

    host.find = unreachable  # type: ignore[method-assign]
    host.on_wait.append(lambda: None)
    reconciler.wait_once([tracked], 1, output=False)
    assert not tracked.settled
    host.find = find  # type: ignore[method-assign]

    def end() -> None:
        world.api.change(run_id, "COMPLETED")
        host.put(AttemptKey(run_id, 1), Presence.FINISHED)

    host.on_wait.append(end)
    reconciler.wait_once([tracked], 1, output=False)
    assert tracked.decision.phase is Phase.SUCCEEDED


def test_no_more_than_concurrency_runs_are_live_at_once() -> None:
    world = World()
    runs = [world.tracked(world.api.add(make_run())) for _number in range(3)]
    reconciler = Reconciler(
        world.api, Ledger(world.api), world.host(), "test", 120, 30, clock=lambda: world.clock, concurrency=2
    )
    reconciler.begin(runs, "launched")
    reconciler.settle(runs)
    assert [tracked.decision.phase for tracked in runs] == [Phase.PENDING, Phase.PENDING, Phase.QUEUED]
    assert (len(world.bodies), runs[2].run and runs[2].run.state_type) == (2, "SCHEDULED")

    def end() -> None:
        world.api.change(runs[0].flow_run_id, "COMPLETED")
        world.host().put(AttemptKey(runs[0].flow_run_id, 1), Presence.FINISHED)

    world.host().on_wait += [end, lambda: None]
    reconciler.wait_once(runs, 1, output=False)
    reconciler.wait_once(runs, 1, output=False)
    assert [tracked.decision.phase for tracked in runs] == [Phase.SUCCEEDED, Phase.PENDING, Phase.PENDING]


def test_many_runs_are_settled_side_by_side_and_one_error_stops_no_other() -> None:
    world = World(outcome="COMPLETED")
    host = world.host()
    host.parallel = 3  # type: ignore[misc]
    runs = [world.tracked(world.api.add(make_run())) for _number in range(6)]
    good = host.script

    def script(launch: Launch) -> Presence:
        if launch.key.flow_run_id == runs[2].flow_run_id:
            raise LookupFailed("odd")
        return good(launch)

    host.script = script
    reconciler = world.reconciler()
    reconciler.begin(runs, "launched")
    reconciler.settle(runs)
    assert [tracked.decision.phase is Phase.SUCCEEDED for tracked in runs] == [True, True, False, True, True, True]
    assert isinstance(runs[2].error, LookupFailed)


class LookupFailed(FlowopsError):
    """Something that nobody foresaw."""
