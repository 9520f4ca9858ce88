# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The rules of the state machine: from what is wanted and what was seen to the next step. Pure functions.

A rule never remembers: it gets one :class:`View` of the flow run on the server, of its attempt ledger and of the
infrastructure at this locus, and names the one step that comes next. The loop in ``_reconcile`` performs the step and
looks again. So a controller that was killed anywhere is continued by the next one, from what is there.
"""

from __future__ import annotations

import dataclasses
import enum

from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Entry
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun

#: Reasons that void a gate. They are kept in the ledger, so they are part of the format; the bootstrap writes
#: ``cancelled`` and ``claimed_elsewhere`` too.
VOID_CANCELLED = "cancelled"
VOID_TAKEOVER = "takeover"
VOID_FAILED = "failed"
VOID_FOREIGN = "claimed_elsewhere"

#: What the bootstrap calls a refusal that says "somebody else has this run".
FOREIGN_CATEGORIES = frozenset({"foreign", VOID_FOREIGN})


class Step(enum.Enum):
    """What to do next with one flow run."""

    DONE = "done"
    """Nothing is left to do; the phase says how it stands."""
    WAIT = "wait"
    """Infrastructure of ours is on its way: look again when it changes."""
    FOLLOW = "follow"
    """It runs elsewhere: look again at the server's state."""
    LAUNCH = "launch"
    """Create the infrastructure of the attempt here."""
    VOID = "void"
    """Take the gate away from the attempt, so that it can never start."""
    STOP = "stop"
    """End what runs of the attempt here."""
    END = "end"
    """Write how the attempt ended; whoever is first reports ``report`` to the server."""
    PROPOSE = "propose"
    """Propose the state ``report`` to the server."""
    REMOVE = "remove"
    """Remove what is left of the attempt here."""
    MISSING = "missing"
    """The server does not know the run."""


class Phase(str, enum.Enum):
    """How a flow run stands, in the words of the result."""

    ABSENT = "absent"
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNKNOWN = "unknown"


_TERMINAL_PHASES = {
    "COMPLETED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CRASHED": Phase.FAILED,
    "CANCELLED": Phase.CANCELLED,
}


@dataclasses.dataclass(frozen=True)
class Decision:
    """The next step.

    :arg phase: how the run stands now.
    :arg attempt: the attempt that the step is about, 0 where it is about none.
    :arg report: the Prefect state type to propose (``END`` and ``PROPOSE``); empty for none.
    :arg reason: why, for people and for the ledger.
    """

    step: Step
    phase: Phase
    attempt: int = 0
    report: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Want:
    """What the user asked for one run.

    :arg state: ``launched``, ``cancelled``, ``absent`` or ``reconciled``.
    :arg target: launch until this attempt exists. 1 for "once"; a rerun raises it (:func:`rerun_target`).
    :arg clear: of ``reconciled``: remove what is left of a run that is over, end and remove that of a deleted one.
    """

    state: str = "launched"
    target: int = 1
    clear: bool = False


@dataclasses.dataclass(frozen=True)
class View:
    """Everything that one look saw of one flow run.

    :arg run: ``None`` when the server does not know it.
    :arg entries: the attempt ledger, ascending.
    :arg seen: observations at this locus by attempt number.
    :arg locus: this place.
    :arg server_now: the server's clock, seconds since the epoch.
    :arg was_cancelling: the run crashed while it was being cancelled. Asked only of an attempt of this locus that
        passed its gate and whose end nobody has written yet.
    """

    want: Want
    run: FlowRun | None
    entries: tuple[Entry, ...]
    seen: dict[int, Observation]
    locus: str
    server_now: float
    was_cancelling: bool = False

    @property
    def latest(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    def observation(self, number: int) -> Observation | None:
        return self.seen.get(number)

    @property
    def unrecorded(self) -> Observation | None:
        """An attempt that exists here and has not reached the ledger yet (it may wait for a slot)."""
        highest = max(self.seen, default=0)
        recorded = self.latest.number if self.latest else 0
        return self.seen[highest] if highest > recorded else None

    @property
    def live(self) -> Observation | None:
        """The newest attempt here of which something may run."""
        alive = [number for number in self.seen if not self.is_gone(number)]
        return self.seen[max(alive)] if alive else None

    def is_gone(self, number: int) -> bool:
        return not _may_run(number, self.seen, self.entries)


def _may_run(number: int, seen: dict[int, Observation], entries: tuple[Entry, ...]) -> bool:
    """Whether something of an attempt here may run its flow; what is lost behind a gate that is void never will."""
    if number not in seen or not seen[number].may_run:
        return False
    voided = any(entry.voided for entry in entries if entry.number == number)
    return not (voided and seen[number].evidence.get("lost"))


def rerun_target(rerun: str, run: FlowRun | None, entries: tuple[Entry, ...], seen: dict[int, Observation]) -> int:
    """Turn the ``rerun`` policy into the number of the attempt that shall exist.

    Done once per task, from its first look: a policy such as ``always`` asks for one more attempt, not for one more
    at every look. An attempt number is the idempotent form: repeating the task launches nothing. A cancelled run is
    never launched again: the server itself refuses to claim it.
    """
    highest = max([entry.number for entry in entries] + list(seen), default=0)
    if rerun.isdigit():
        return max(1, int(rerun))
    if run is None or not run.terminal or any(_may_run(number, seen, entries) for number in seen):
        return max(1, highest)
    repeatable = ("FAILED", "CRASHED") if rerun == "failed" else ("FAILED", "CRASHED", "COMPLETED")
    if rerun != "never" and run.state_type in repeatable:
        return max(highest, 1) + 1
    return max(1, highest)


def decide(view: View) -> Decision:
    """Name the next step for one run."""
    if view.run is None:
        return _run_deleted(view)
    if view.want.state == "absent":
        return _absent(view, view.run)
    if view.want.state == "cancelled":
        return _cancelled(view, view.run)
    if view.want.state == "reconciled":
        return _reconciled(view, view.run)
    return _launched(view, view.run)


def _run_deleted(view: View) -> Decision:
    """A run deleted on the server with live infrastructure is an orphan: told, and stopped only when asked."""
    orphan = view.live
    removed = view.want.state == "absent" or view.want.clear
    if orphan is None and removed:
        return _remove_or_done(view)
    if orphan is None:
        return Decision(Step.MISSING, Phase.ABSENT)
    if view.want.state == "cancelled" or removed:
        return Decision(Step.STOP, Phase.RUNNING, orphan.key.number, reason="its flow run was deleted")
    return Decision(Step.MISSING, Phase.UNKNOWN, orphan.key.number, reason="orphan")


# --- state: launched ----------------------------------------------------------------------------------------------


def _launched(view: View, run: FlowRun) -> Decision:
    if run.terminal:
        return _terminal(view, run)
    if run.state_type == "CANCELLING":
        return _cancelling(view)
    waiting = view.unrecorded
    if waiting is not None:
        return _unrecorded(run, waiting)
    entry = view.latest
    if entry is None:
        return _first_attempt(view, run)
    if entry.ended or entry.voided:
        return _after_attempt(view, run, entry)
    if entry.started:
        return _started(view, run, entry)
    return _gate_empty(view, run, entry)


def _terminal(view: View, run: FlowRun) -> Decision:
    """A terminal run is reported; what still runs of it ends first, and a new attempt comes only where asked for."""
    phase = _TERMINAL_PHASES[run.state_type]
    alive = view.live
    if alive is not None and run.state_type == "CANCELLED":
        return _stop(view, alive, "the flow run is cancelled")
    if alive is not None and not alive.evidence.get("lost"):
        return Decision(Step.WAIT, _live_phase(run, alive), alive.key.number)
    correction = _cut_short(view, run)
    if correction is not None:
        return correction
    entry = view.latest
    if entry is not None and entry.started and not entry.ended and entry.locus == view.locus:
        return Decision(Step.END, phase, entry.number, reason="ended by itself")
    newest = view.unrecorded
    if newest is not None and newest.key.number > 1 and newest.key.number == view.want.target:
        return _unrecorded(run, newest)
    highest = max([entry.number if entry else 0, *view.seen])
    if view.want.target <= max(highest, 1):
        return Decision(Step.DONE, phase, highest)
    if run.state_type == "CANCELLED":
        return Decision(Step.DONE, phase, highest, reason="a run that was cancelled is not launched again")
    return _next_attempt(view, phase)


def _next_attempt(view: View, phase: Phase) -> Decision:
    """Attempt N+1 follows only on an attempt that is void or ended and whose infrastructure is proven gone."""
    entry = view.latest
    if entry is None:
        # What ran before was somebody else's launch: it counts as the first attempt.
        return Decision(Step.LAUNCH, Phase.PENDING, max(view.seen, default=1) + 1)
    if entry.voided and entry.void_kind == VOID_CANCELLED:
        return Decision(Step.DONE, phase, entry.number, reason="a run that was cancelled is not launched again")
    if not (entry.voided or entry.ended):
        return Decision(Step.DONE, phase, entry.number, reason=f"attempt {entry.number} is still open at {entry.locus}")
    return Decision(Step.LAUNCH, Phase.PENDING, entry.number + 1)


def _cancelling(view: View) -> Decision:
    """Nobody but the owner ends a run that is being cancelled: stop what is ours, see it gone, then say Cancelled."""
    alive = view.live
    if alive is not None:
        return _stop(view, alive, "the flow run is being cancelled")
    entry = view.latest
    if entry is None or entry.locus != view.locus:
        return Decision(Step.FOLLOW, Phase.RUNNING, entry.number if entry else 0, reason="being cancelled elsewhere")
    if entry.started and not entry.ended:
        return _end_cancelled(entry.number)
    return _propose_cancelled(entry.number)


def _cut_short(view: View, run: FlowRun) -> Decision | None:
    """Correct a run that says Crashed because of a cancel; ``None`` for every other end.

    An engine that is asked to end says Crashed, over Cancelling too; Prefect's own launchers correct that likewise.
    What was stopped may be gone without a mark: then the server tells that it was being cancelled.
    """
    entry = view.latest
    if run.state_type != "CRASHED" or entry is None or not entry.started:
        return None
    if entry.ended:
        late = entry.end_state == "CANCELLED"  # whoever wrote the end is about to say so, or died before
        return _propose_cancelled(entry.number) if late else None
    if entry.locus != view.locus or not view.is_gone(entry.number):
        return None
    seen = view.observation(entry.number)
    stopped = seen is not None and bool(seen.evidence.get("stopped"))
    return _end_cancelled(entry.number) if stopped or view.was_cancelling else None


def _end_cancelled(number: int) -> Decision:
    return Decision(Step.END, Phase.CANCELLED, number, report="CANCELLED", reason=VOID_CANCELLED)


def _propose_cancelled(number: int) -> Decision:
    return Decision(Step.PROPOSE, Phase.CANCELLED, number, report="CANCELLED", reason=VOID_CANCELLED)


def _stop(view: View, alive: Observation, reason: str) -> Decision:
    """Stop an attempt; what has not passed its gate yet loses it first, so that it cannot start in between."""
    number = alive.key.number
    entry = next((entry for entry in view.entries if entry.number == number), None)
    if entry is None or not (entry.started or entry.voided):
        return Decision(Step.VOID, Phase.RUNNING, number, reason=VOID_CANCELLED)
    return Decision(Step.STOP, Phase.RUNNING, number, reason=reason)


def _unrecorded(run: FlowRun, seen: Observation) -> Decision:
    """Infrastructure that has no ledger record: it waits for a slot, was never started, or ended before it could."""
    number = seen.key.number
    if seen.presence is Presence.PREPARED:
        return Decision(Step.LAUNCH, Phase.PENDING, number)
    if seen.may_run:
        return Decision(Step.WAIT, _live_phase(run, seen), number)
    if seen.evidence.get("bootstrap", {}).get("category") in FOREIGN_CATEGORIES:
        return Decision(Step.FOLLOW, Phase.RUNNING, number, reason="another launcher has this run")
    return Decision(Step.VOID, Phase.FAILED, number, reason=VOID_FAILED)


def _first_attempt(view: View, run: FlowRun) -> Decision:
    """Only a run that nobody ever took may be launched; every other state is somebody else's launch."""
    if run.state_type == "PAUSED":
        return Decision(Step.FOLLOW, Phase.SUSPENDED, reason="paused elsewhere")
    if run.state_type != "SCHEDULED" or run.state_name == "AwaitingRetry":
        return Decision(Step.FOLLOW, Phase.RUNNING, reason="another launcher has this run")
    if not run.due(view.server_now):
        return Decision(Step.FOLLOW, Phase.PENDING, reason="its scheduled time has not come")
    return Decision(Step.LAUNCH, Phase.PENDING, 1)


def _after_attempt(view: View, run: FlowRun, entry: Entry) -> Decision:
    """The newest attempt is over and the run is not: resumed, taken over, or a report that got lost."""
    number = entry.number
    if not view.is_gone(number):
        return _leftover(view, run, number)
    if entry.voided and entry.void_kind == VOID_CANCELLED:
        return _propose_cancelled(number)
    if entry.voided and entry.void_kind == VOID_FAILED and _still_ours(run, entry):
        return Decision(Step.PROPOSE, Phase.FAILED, number, report="CRASHED", reason=VOID_FAILED)
    if entry.voided and entry.void_kind == VOID_FOREIGN:
        return Decision(Step.FOLLOW, Phase.RUNNING, number, reason="another launcher has this run")
    if run.state_type == "PAUSED":
        return Decision(Step.DONE, Phase.SUSPENDED, number, reason="resume it, then run this task again")
    if run.state_type == "SCHEDULED" and not run.due(view.server_now):
        return Decision(Step.FOLLOW, Phase.PENDING, number, reason="its scheduled time has not come")
    if run.state_type == "SCHEDULED" or (entry.voided and _still_ours(run, entry)):
        return Decision(Step.LAUNCH, Phase.PENDING, number + 1)
    if entry.ended and entry.end_state and _is_late_duplicate(view, run):
        return Decision(Step.PROPOSE, Phase.PENDING, number, report=entry.end_state, reason="a late duplicate claim")
    if entry.end is not None and entry.end_state and run.state_id == entry.end.over:
        return Decision(Step.PROPOSE, Phase.RUNNING, number, report=entry.end_state, reason="its end was never told")
    return Decision(Step.FOLLOW, Phase.RUNNING, number, reason="another launcher has this run")


def _is_late_duplicate(view: View, run: FlowRun) -> bool:
    """A claim by an attempt that can never start, or is over; any of them: a frozen host claims long after its time."""
    closed = {entry.token for entry in view.entries if entry.closed and entry.token}
    return run.state_type == "PENDING" and run.transition_id in closed


def _still_ours(run: FlowRun, entry: Entry) -> bool:
    """Between the void and its report nobody else may have touched the run: SCHEDULED, or our own claim."""
    return run.state_type == "SCHEDULED" or (
        run.state_type == "PENDING" and bool(entry.token) and run.transition_id == entry.token
    )


def _leftover(view: View, run: FlowRun, number: int) -> Decision:
    """Something of a finished attempt is still there; a voided one is stopped, an ended one is on its way out."""
    entry = view.latest
    seen = view.seen[number]
    if entry is not None and entry.voided and seen.presence is not Presence.UNKNOWN:
        return Decision(Step.STOP, Phase.PENDING, number, reason="the attempt was voided")
    return Decision(Step.WAIT, _live_phase(run, seen), number)


def _gate_empty(view: View, run: FlowRun, entry: Entry) -> Decision:
    """Recorded, not started: launch it here, or wait for the owner and take over when its promise ran out.

    What is late, or lost, may live on: behind a gate that is void it never gets to the flow.
    """
    number = entry.number
    if entry.locus != view.locus:
        if entry.takeover_due(view.server_now):
            return Decision(Step.VOID, Phase.PENDING, number, reason=VOID_TAKEOVER)
        return Decision(Step.FOLLOW, Phase.PENDING, number, reason=f"{entry.locus} is about to start it")
    seen = view.observation(number)
    if seen is None or seen.presence is Presence.PREPARED:
        return Decision(Step.LAUNCH, Phase.PENDING, number)
    late = seen.presence is Presence.LIVE and seen.evidence.get("timed_out") == "start"
    if seen.may_run and not late and not seen.evidence.get("lost"):
        return Decision(Step.WAIT, _live_phase(run, seen), number)
    return Decision(Step.VOID, Phase.FAILED, number, reason=VOID_FAILED)


def _started(view: View, run: FlowRun, entry: Entry) -> Decision:
    """The engine passed its gate: what counts is whether it lives, and if not, what the server says."""
    number = entry.number
    if entry.locus != view.locus:
        return Decision(Step.FOLLOW, Phase.RUNNING, number, reason=f"it runs at {entry.locus}")
    seen = view.observation(number)
    if seen is not None and seen.presence is Presence.UNKNOWN:
        return Decision(Step.WAIT, Phase.UNKNOWN, number, reason=str(seen.evidence.get("lost", "")))
    if seen is not None and seen.may_run:
        return Decision(Step.WAIT, _live_phase(run, seen), number)
    if run.state_type in ("RUNNING", "PENDING"):
        return Decision(Step.END, Phase.FAILED, number, report="CRASHED", reason="its infrastructure is gone")
    phase = Phase.SUSPENDED if run.state_type == "PAUSED" else Phase.PENDING
    return Decision(Step.END, phase, number, reason="left by the engine")


def _live_phase(run: FlowRun, seen: Observation) -> Phase:
    if seen.presence is Presence.QUEUED:
        return Phase.QUEUED
    if seen.presence is Presence.UNKNOWN:
        return Phase.UNKNOWN
    if run.state_type in ("SCHEDULED", "PENDING") and run.run_count == 0:
        return Phase.PENDING
    return Phase.RUNNING


# --- state: cancelled and absent ----------------------------------------------------------------------------------


def _cancelled(view: View, run: FlowRun) -> Decision:
    """Void the gate first: where that succeeds it can never start; where not, stop it, see it gone, then report."""
    alive = view.live
    if run.terminal:
        if alive is not None:
            return _stop(view, alive, "the flow run is over")
        done = Decision(Step.DONE, _TERMINAL_PHASES[run.state_type], view.latest.number if view.latest else 0)
        return _cut_short(view, run) or done
    entry = view.latest
    number = entry.number if entry is not None else 0
    if entry is None or entry.ended or (entry.voided and entry.void_kind != VOID_CANCELLED):
        return _cancel_before_attempt(run, number + 1)
    if not (entry.started or entry.voided):
        return Decision(Step.VOID, Phase.PENDING, number, reason=VOID_CANCELLED)
    if entry.voided:
        if alive is not None:
            return Decision(Step.STOP, Phase.PENDING, alive.key.number, reason=VOID_CANCELLED)
        return _propose_cancelled(number)
    if run.state_type != "CANCELLING":
        return Decision(Step.PROPOSE, Phase.RUNNING, number, report="CANCELLING", reason=VOID_CANCELLED)
    return _cancelling(view)


def _cancel_before_attempt(run: FlowRun, number: int) -> Decision:
    """No attempt of ours is open. A waiting run gets its next gate voided; one that runs elsewhere is asked to end."""
    if run.state_type == "CANCELLING":
        return Decision(Step.FOLLOW, Phase.RUNNING, number - 1, reason="being cancelled elsewhere")
    if run.state_type in ("RUNNING", "PENDING"):
        return Decision(Step.PROPOSE, Phase.RUNNING, number - 1, report="CANCELLING", reason=VOID_CANCELLED)
    return Decision(Step.VOID, Phase.PENDING, number, reason=VOID_CANCELLED)


def _absent(view: View, run: FlowRun) -> Decision:
    """Infrastructure goes only after the attempt's end or void; the ledger stays."""
    if not run.terminal and (view.live is not None or _open_here(view)):
        return _cancelled(view, run)
    if view.live is not None:
        return _stop(view, view.live, "the flow run is over")
    return _cut_short(view, run) or _remove_or_done(view)


def _open_here(view: View) -> bool:
    entry = view.latest
    return entry is not None and entry.locus == view.locus and not (entry.ended or entry.voided)


def _remove_or_done(view: View) -> Decision:
    if view.seen:
        return Decision(Step.REMOVE, Phase.ABSENT, max(view.seen))
    return Decision(Step.DONE, Phase.ABSENT, view.latest.number if view.latest else 0)


# --- state: reconciled --------------------------------------------------------------------------------------------


def _reconciled(view: View, run: FlowRun) -> Decision:
    """What a launch does before it would start anything: ends are told, and what was cancelled is stopped."""
    decision = _launched(view, run)
    if decision.step is Step.LAUNCH and _is_abandoned(view, run):
        return Decision(Step.VOID, Phase.FAILED, decision.attempt, reason=VOID_FAILED)
    if decision.step in (Step.LAUNCH, Step.WAIT, Step.FOLLOW) or decision.reason == VOID_TAKEOVER:
        return dataclasses.replace(decision, step=Step.DONE)
    is_over = run.terminal and not any(seen.may_run for seen in view.seen.values())
    if decision.step is Step.DONE and view.want.clear and is_over and view.seen:
        return Decision(Step.REMOVE, decision.phase, max(view.seen))
    return decision


def _is_abandoned(view: View, run: FlowRun) -> bool:
    """Claimed here and not started in the time that was promised: whoever was about to do it is gone."""
    entry = view.latest
    if entry is None or entry.locus != view.locus or not entry.takeover_due(view.server_now):
        return False
    return run.state_type == "PENDING" and run.transition_id == entry.token
