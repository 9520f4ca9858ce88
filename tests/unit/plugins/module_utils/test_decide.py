# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule of the state machine and every row of its table, one test each."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._decide import (
    VOID_CANCELLED,
    VOID_FAILED,
    VOID_FOREIGN,
    VOID_TAKEOVER,
    Decision,
    Phase,
    Step,
    View,
    Want,
    decide,
    rerun_target,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import End, Entry, Gate, Owner
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun

RUN_ID = "0f6e2a4c-1b1d-4c6e-9d55-0a3c6f1f2b7e"
STATE = "4f0c2f9e-6f0e-4a55-9d0f-6b1f0a4f7c11"
HERE, THERE = "here", "there"
NOW = 10_000.0


def run(state: str, name: str = "", claim: str | None = None, **more: object) -> FlowRun:
    values: dict[str, object] = {
        "id": RUN_ID,
        "name": "lively-hornet",
        "state_type": state,
        "state_name": name or state.capitalize(),
        "state_message": "",
        "state_id": STATE,
        "transition_id": claim,
        "state_since": NOW - 100,
        "scheduled_time": None,
        "deployment_id": None,
        "parameters": {},
        "job_variables": {},
        "run_count": 0,
        "start_time": None,
        "end_time": None,
        "created": NOW - 100,
        "tags": (),
        "work_pool_name": None,
        "work_queue_name": None,
        "infrastructure_pid": None,
    }
    return FlowRun(**{**values, **more})  # type: ignore[arg-type]


def entry(
    number: int = 1, locus: str = HERE, gate: Gate | None = None, end: str | None = None, over: str = ""
) -> Entry:
    owner = Owner(locus, f"token-{number}", "ctl", "hash", start_within=100, created=NOW - 50)
    return Entry(number, owner, gate, End(end, end, "ctl", over) if end is not None else None)


def go(number: int = 1) -> Gate:
    return Gate(token=f"token-{number}", nonce="n")


def seen(presence: Presence, number: int = 1, **evidence: object) -> dict[int, Observation]:
    return {number: Observation(AttemptKey(RUN_ID, number), presence, token=f"token-{number}", evidence=dict(evidence))}


def next_step(
    server: FlowRun | None,
    *entries: Entry,
    here: dict[int, Observation] | None = None,
    want: Want = Want(),
    was_cancelling: bool = False,
) -> Decision:
    return decide(View(want, server, tuple(entries), here or {}, HERE, NOW, was_cancelling))


CANCEL = Want(state="cancelled")
ABSENT = Want(state="absent")


class TestRule1ReadFirst:
    @pytest.mark.parametrize(
        ("state", "phase"),
        [
            ("COMPLETED", Phase.SUCCEEDED),
            ("FAILED", Phase.FAILED),
            ("CRASHED", Phase.FAILED),
            ("CANCELLED", Phase.CANCELLED),
        ],
    )
    def test_terminal_run_is_reported(self, state: str, phase: Phase) -> None:
        assert next_step(run(state)).step is Step.DONE
        assert next_step(run(state)).phase is phase

    def test_live_infrastructure_of_a_cancelled_run_is_stopped(self) -> None:
        decision = next_step(run("CANCELLED"), entry(gate=go()), here=seen(Presence.LIVE))
        assert (decision.step, decision.attempt) == (Step.STOP, 1)

    @pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED"])
    def test_live_infrastructure_of_another_terminal_run_is_waited_for(self, state: str) -> None:
        assert next_step(run(state), entry(gate=go()), here=seen(Presence.LIVE)).step is Step.WAIT


class TestRule2NoRecord:
    def test_a_due_scheduled_run_is_launched(self) -> None:
        assert next_step(run("SCHEDULED", "Late")) == Decision(Step.LAUNCH, Phase.PENDING, 1)

    def test_a_run_of_the_future_is_not(self) -> None:
        assert next_step(run("SCHEDULED", scheduled_time=NOW + 60)).step is Step.FOLLOW

    @pytest.mark.parametrize("state", ["PENDING", "RUNNING", "PAUSED"])
    def test_any_other_state_is_somebody_elses_launch(self, state: str) -> None:
        assert next_step(run(state)).step is Step.FOLLOW

    def test_a_retry_wait_of_somebody_elses_engine_is_not_launched(self) -> None:
        assert next_step(run("SCHEDULED", "AwaitingRetry", run_count=1)).step is Step.FOLLOW


class TestRule3GateEmptyHere:
    def test_nothing_there_is_created(self) -> None:
        decision = next_step(run("PENDING", claim="token-1"), entry())
        assert (decision.step, decision.attempt) == (Step.LAUNCH, 1)

    def test_a_prepared_one_is_created_again(self) -> None:
        assert next_step(run("SCHEDULED"), entry(), here=seen(Presence.PREPARED)).step is Step.LAUNCH

    @pytest.mark.parametrize("presence", [Presence.LIVE, Presence.QUEUED, Presence.STOPPING, Presence.UNKNOWN])
    def test_what_may_run_is_adopted(self, presence: Presence) -> None:
        assert next_step(run("SCHEDULED"), entry(), here=seen(presence)).step is Step.WAIT

    def test_an_inherited_claim_is_launched_as_the_next_attempt(self) -> None:
        decision = next_step(run("PENDING", claim="token-1"), entry(locus=THERE, gate=Gate(void=VOID_TAKEOVER)))
        assert (decision.step, decision.attempt) == (Step.LAUNCH, 2)

    def test_a_foreign_claim_is_followed(self) -> None:
        assert next_step(run("PENDING", claim="other"), entry(gate=Gate(void=VOID_FOREIGN))).step is Step.FOLLOW
        assert next_step(run("PENDING", claim="other"), entry(gate=Gate(void=VOID_TAKEOVER))).step is Step.FOLLOW

    def test_infrastructure_that_waits_for_a_slot_is_adopted_without_a_record(self) -> None:
        decision = next_step(run("SCHEDULED"), here=seen(Presence.QUEUED))
        assert (decision.step, decision.phase) == (Step.WAIT, Phase.QUEUED)

    def test_a_bootstrap_that_was_told_foreign_follows(self) -> None:
        here = seen(Presence.FINISHED, bootstrap={"event": "refused", "category": "foreign"})
        assert next_step(run("RUNNING"), here=here).step is Step.FOLLOW


class TestRule5GateEmptyElsewhere:
    def test_the_owner_is_waited_for(self) -> None:
        assert next_step(run("SCHEDULED"), entry(locus=THERE)).step is Step.FOLLOW

    def test_a_broken_promise_voids_the_gate(self) -> None:
        late = dataclasses.replace(entry(locus=THERE), owner=Owner(THERE, "t", "c", "h", 100, NOW - 101))
        assert next_step(run("SCHEDULED"), late) == Decision(Step.VOID, Phase.PENDING, 1, reason=VOID_TAKEOVER)


class TestRule7CancelAndAbsent:
    @pytest.mark.parametrize("want", [CANCEL, ABSENT])
    def test_the_gate_is_voided_first(self, want: Want) -> None:
        decision = next_step(run("PENDING"), entry(), here=seen(Presence.LIVE), want=want)
        assert decision.step is Step.VOID
        assert decision.reason == VOID_CANCELLED

    def test_a_run_that_was_never_launched_loses_its_first_gate(self) -> None:
        decision = next_step(run("SCHEDULED"), want=CANCEL)
        assert (decision.step, decision.attempt) == (Step.VOID, 1)

    def test_what_was_voided_is_stopped_then_cancelled(self) -> None:
        void = entry(gate=Gate(void=VOID_CANCELLED))
        assert next_step(run("PENDING"), void, here=seen(Presence.LIVE), want=CANCEL).step is Step.STOP
        decision = next_step(run("PENDING"), void, here=seen(Presence.FINISHED), want=CANCEL)
        assert (decision.step, decision.report) == (Step.PROPOSE, "CANCELLED")

    def test_what_started_is_announced_stopped_seen_gone_and_reported(self) -> None:
        started = entry(gate=go())
        first = next_step(run("RUNNING"), started, here=seen(Presence.LIVE), want=CANCEL)
        assert (first.step, first.report) == (Step.PROPOSE, "CANCELLING")
        assert next_step(run("CANCELLING"), started, here=seen(Presence.LIVE), want=CANCEL).step is Step.STOP
        last = next_step(run("CANCELLING"), started, here=seen(Presence.FINISHED), want=CANCEL)
        assert (last.step, last.report) == (Step.END, "CANCELLED")

    def test_a_run_elsewhere_is_only_asked(self) -> None:
        first = next_step(run("RUNNING"), want=CANCEL)
        assert (first.step, first.report) == (Step.PROPOSE, "CANCELLING")
        assert next_step(run("CANCELLING"), want=CANCEL).step is Step.FOLLOW
        assert next_step(run("CANCELLING"), entry(locus=THERE, gate=go()), want=CANCEL).step is Step.FOLLOW

    def test_a_watcher_acts_on_a_cancel_from_elsewhere(self) -> None:
        assert next_step(run("CANCELLING"), entry(gate=go()), here=seen(Presence.LIVE)).step is Step.STOP
        assert next_step(run("CANCELLING"), entry(), here=seen(Presence.QUEUED)).step is Step.VOID


class TestRule8NextAttempt:
    def test_only_when_asked(self) -> None:
        ended = entry(gate=go(), end="failed")
        assert next_step(run("FAILED"), ended).step is Step.DONE
        decision = next_step(run("FAILED"), ended, want=Want(target=2))
        assert (decision.step, decision.attempt) == (Step.LAUNCH, 2)

    def test_an_open_attempt_is_ended_first(self) -> None:
        assert next_step(run("FAILED"), entry(gate=go()), want=Want(target=2)).step is Step.END

    def test_not_while_the_old_one_lives(self) -> None:
        ended = entry(gate=go(), end="failed")
        assert next_step(run("FAILED"), ended, here=seen(Presence.LIVE), want=Want(target=2)).step is Step.WAIT
        assert next_step(run("SCHEDULED"), ended, here=seen(Presence.UNKNOWN)).step is Step.WAIT

    def test_never_after_a_cancel(self) -> None:
        void = entry(gate=Gate(void=VOID_CANCELLED))
        assert next_step(run("CANCELLED"), void, want=Want(target=2)).step is Step.DONE
        assert next_step(run("CANCELLED"), entry(gate=go(), end="x"), want=Want(target=2)).step is Step.DONE
        assert next_step(run("SCHEDULED"), void).step is Step.PROPOSE

    def test_not_over_an_open_attempt_elsewhere(self) -> None:
        assert next_step(run("FAILED"), entry(locus=THERE, gate=go()), want=Want(target=2)).step is Step.DONE

    def test_a_rerun_that_waits_for_its_slot_is_waited_for(self) -> None:
        ended = entry(gate=go(), end="failed")
        assert next_step(run("FAILED"), ended, here=seen(Presence.QUEUED, 2)).step is Step.WAIT

    def test_a_run_that_others_ran_before_starts_at_two(self) -> None:
        assert next_step(run("FAILED"), want=Want(target=2)) == Decision(Step.LAUNCH, Phase.PENDING, 2)


class TestRule9InfrastructureGone:
    @pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
    @pytest.mark.parametrize("here", [seen(Presence.FINISHED), {}])
    def test_a_run_that_should_be_running_crashed(self, state: str, here: dict[int, Observation]) -> None:
        decision = next_step(run(state), entry(gate=go()), here=here)
        assert (decision.step, decision.report) == (Step.END, "CRASHED")

    def test_a_cancelling_one_is_cancelled(self) -> None:
        decision = next_step(run("CANCELLING"), entry(gate=go()), here=seen(Presence.FINISHED))
        assert (decision.step, decision.report) == (Step.END, "CANCELLED")

    @pytest.mark.parametrize("state", ["PAUSED", "SCHEDULED", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
    def test_legitimate_ends_are_recorded_and_never_reported_over(self, state: str) -> None:
        decision = next_step(run(state), entry(gate=go()), here=seen(Presence.FINISHED))
        assert (decision.step, decision.report) == (Step.END, "")

    def test_a_suspended_run_is_left_and_resumed_as_the_next_attempt(self) -> None:
        ended = entry(gate=go(), end="suspended")
        assert next_step(run("PAUSED"), ended).phase is Phase.SUSPENDED
        decision = next_step(run("SCHEDULED", "Resuming"), ended)
        assert (decision.step, decision.attempt) == (Step.LAUNCH, 2)

    def test_a_live_engine_under_a_scheduled_state_waits_for_its_own_retry(self) -> None:
        assert (
            next_step(run("SCHEDULED", "AwaitingRetry"), entry(gate=go()), here=seen(Presence.LIVE)).step is Step.WAIT
        )


class TestRule10StartedElsewhere:
    @pytest.mark.parametrize("state", ["RUNNING", "PENDING", "SCHEDULED", "PAUSED"])
    def test_it_is_followed_never_created(self, state: str) -> None:
        assert next_step(run(state), entry(locus=THERE, gate=go())).step is Step.FOLLOW

    def test_what_cannot_be_told_is_unknown_never_dead(self) -> None:
        decision = next_step(run("RUNNING"), entry(gate=go()), here=seen(Presence.UNKNOWN))
        assert (decision.step, decision.phase) == (Step.WAIT, Phase.UNKNOWN)


class TestRule11FailedBeforeTheFlow:
    @pytest.mark.parametrize("entries", [(entry(),), ()])
    def test_the_gate_is_voided(self, entries: tuple[Entry, ...]) -> None:
        decision = next_step(run("SCHEDULED"), *entries, here=seen(Presence.FINISHED))
        assert (decision.step, decision.reason) == (Step.VOID, VOID_FAILED)

    def test_then_it_is_reported(self) -> None:
        void = entry(gate=Gate(void=VOID_FAILED))
        for server in (run("PENDING", claim="token-1"), run("SCHEDULED")):
            decision = next_step(server, void, here=seen(Presence.FINISHED))
            assert (decision.step, decision.report) == (Step.PROPOSE, "CRASHED")


class TestLostBeforeTheFlow:
    """Nobody can say whether it lives; behind a gate that is void that does not matter any more."""

    LOST = seen(Presence.UNKNOWN, lost="worker-3")

    def test_the_gate_is_voided_and_a_crash_is_reported(self) -> None:
        decision = next_step(run("PENDING", claim="token-1"), entry(), here=self.LOST)
        assert (decision.step, decision.reason) == (Step.VOID, VOID_FAILED)
        decision = next_step(run("PENDING", claim="token-1"), entry(gate=Gate(void=VOID_FAILED)), here=self.LOST)
        assert (decision.step, decision.report) == (Step.PROPOSE, "CRASHED")

    def test_it_can_be_cancelled(self) -> None:
        void = entry(gate=Gate(void=VOID_CANCELLED))
        assert next_step(run("PENDING"), entry(), here=self.LOST, want=CANCEL).step is Step.VOID
        assert next_step(run("PENDING"), void, here=self.LOST, want=CANCEL).report == "CANCELLED"
        assert next_step(run("CANCELLED"), void, here=self.LOST).step is Step.DONE

    def test_it_is_launched_again_when_asked(self) -> None:
        void = entry(gate=Gate(void=VOID_FAILED))
        target = rerun_target("failed", run("CRASHED"), (void,), self.LOST)
        decision = next_step(run("CRASHED"), void, here=self.LOST, want=Want(target=target))
        assert (decision.step, decision.attempt) == (Step.LAUNCH, 2)

    def test_nothing_of_that_holds_once_the_gate_was_passed(self) -> None:
        started = entry(gate=go())
        assert next_step(run("RUNNING"), started, here=self.LOST).step is Step.WAIT
        assert rerun_target("failed", run("CRASHED"), (started,), self.LOST) == 1


class TestRule12Absent:
    def test_finished_infrastructure_is_removed(self) -> None:
        assert next_step(run("COMPLETED"), here=seen(Presence.FINISHED), want=ABSENT).step is Step.REMOVE

    def test_nothing_there_is_done(self) -> None:
        assert next_step(run("COMPLETED"), want=ABSENT) == Decision(Step.DONE, Phase.ABSENT)

    def test_an_orphan_is_reported_and_stopped_only_when_asked(self) -> None:
        assert next_step(None, here=seen(Presence.LIVE)).step is Step.MISSING
        assert next_step(None, here=seen(Presence.LIVE), want=ABSENT).step is Step.STOP
        assert next_step(None, here=seen(Presence.FINISHED), want=ABSENT).step is Step.REMOVE


class TestAnEndThatWasNeverTold:
    """Whoever wrote the record died before telling the server: the run is in the state that it had then."""

    @pytest.mark.parametrize("locus", [HERE, THERE])
    def test_anybody_tells_it(self, locus: str) -> None:
        ended = entry(1, locus, gate=go(), end="CRASHED", over=STATE)
        decision = next_step(run("RUNNING"), ended, here=seen(Presence.FINISHED) if locus == HERE else None)
        assert (decision.step, decision.report) == (Step.PROPOSE, "CRASHED")

    def test_not_where_somebody_else_took_the_run_up_since(self) -> None:
        ended = entry(gate=go(), end="CRASHED", over=STATE)
        other = run("RUNNING", state_id="7d3f0a51-54a4-4f0e-8a39-0b8e7a1c2d33")
        assert next_step(other, ended, here=seen(Presence.FINISHED)).step is Step.FOLLOW

    def test_records_of_earlier_versions_say_nothing_of_it(self) -> None:
        decision = next_step(run("RUNNING"), entry(gate=go(), end="CRASHED"), here=seen(Presence.FINISHED))
        assert decision.step is Step.FOLLOW


class TestRule13LateDuplicate:
    def test_the_ends_state_is_proposed_again(self) -> None:
        decision = next_step(run("PENDING", claim="token-1"), entry(gate=go(), end="CRASHED"))
        assert (decision.step, decision.report) == (Step.PROPOSE, "CRASHED")

    def test_also_over_the_claim_of_an_attempt_that_was_taken_over_long_ago(self) -> None:
        taken_over = entry(1, THERE, gate=Gate(void=VOID_TAKEOVER))
        decision = next_step(run("PENDING", claim="token-1"), taken_over, entry(2, gate=go(2), end="COMPLETED"))
        assert (decision.step, decision.report, decision.attempt) == (Step.PROPOSE, "COMPLETED", 2)


class TestRerunTarget:
    @pytest.mark.parametrize(
        ("rerun", "state", "target"),
        [
            ("never", "FAILED", 1),
            ("failed", "FAILED", 2),
            ("failed", "CRASHED", 2),
            ("failed", "COMPLETED", 1),
            ("failed", "CANCELLED", 1),
            ("always", "COMPLETED", 2),
            ("always", "CANCELLED", 1),
            ("always", "RUNNING", 1),
            ("3", "COMPLETED", 3),
        ],
    )
    def test_policies(self, rerun: str, state: str, target: int) -> None:
        assert rerun_target(rerun, run(state), (entry(gate=go(), end="x"),), {}) == target

    def test_a_live_rerun_is_not_rerun(self) -> None:
        assert rerun_target("always", run("FAILED"), (entry(gate=go(), end="x"),), seen(Presence.QUEUED, 2)) == 2


class TestACancelThatTheEngineCallsACrash:
    """Told to end, an engine says Crashed over Cancelling."""

    @pytest.mark.parametrize("want", [Want(), CANCEL, ABSENT])
    def test_it_is_corrected(self, want: Want) -> None:
        here = seen(Presence.FINISHED, stopped=True)
        decision = next_step(run("CRASHED"), entry(gate=go()), here=here, want=want)
        assert (decision.step, decision.phase, decision.report) == (Step.END, Phase.CANCELLED, "CANCELLED")

    @pytest.mark.parametrize("want", [Want(), CANCEL, ABSENT])
    @pytest.mark.parametrize("here", [{}, seen(Presence.FINISHED)])
    def test_it_is_corrected_by_what_the_server_says_of_it(self, here: dict[int, Observation], want: Want) -> None:
        """What was stopped is gone, or has no mark of it."""
        decision = next_step(run("CRASHED"), entry(gate=go()), here=here, want=want, was_cancelling=True)
        assert (decision.step, decision.phase, decision.report) == (Step.END, Phase.CANCELLED, "CANCELLED")

    def test_not_before_everything_of_it_is_gone(self) -> None:
        here = seen(Presence.STOPPING)
        assert next_step(run("CRASHED"), entry(gate=go()), here=here, was_cancelling=True).step is Step.WAIT

    @pytest.mark.parametrize("want", [Want(), CANCEL])
    def test_it_is_corrected_by_whoever_comes_after_the_end_was_written(self, want: Want) -> None:
        decision = next_step(run("CRASHED"), entry(gate=go(), end="CANCELLED"), want=want)
        assert (decision.step, decision.report) == (Step.PROPOSE, "CANCELLED")

    @pytest.mark.parametrize(
        ("attempt", "here"),
        [
            (entry(gate=go()), seen(Presence.FINISHED)),
            (entry(gate=go(), end="CRASHED"), seen(Presence.FINISHED, stopped=True)),
            (entry(gate=go(), locus=THERE), seen(Presence.FINISHED, stopped=True)),
        ],
    )
    def test_a_crash_stays_one(self, attempt: Entry, here: dict[int, Observation]) -> None:
        assert next_step(run("CRASHED"), attempt, here=here, want=CANCEL).report == ""
