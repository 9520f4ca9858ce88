# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The one state machine of all infrastructures: look, decide, perform, look again.

It is level-triggered: a wake-up never says what happened, a fresh look does. ``_decide`` names the step, this file
performs it. Nothing is remembered between two executions but what the server and the infrastructure hold.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import typing as t
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._decide import (
    VOID_CANCELLED,
    VOID_FAILED,
    VOID_FOREIGN,
    Decision,
    Phase,
    Step,
    View,
    Want,
    decide,
    rerun_target,
)
from ansible_collections.flowops.prefect.plugins.module_utils._diagnosis import (
    INFRASTRUCTURE_GONE,
    LINES,
    NEVER_STARTED,
    OWN_REPORT,
    Diagnosis,
    diagnose,
)
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    ApiRefused,
    ApiUnreachable,
    FlowopsError,
    InfrastructureError,
    InfrastructureUnreachable,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._foretell import after
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import End, Entry, Ledger, Owner, tokens_of_voided
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun

#: Added to ``start_timeout`` in the owner's promise, as a share of it and in seconds: from, to. It keeps others from
#: taking over what is late by seconds; what makes a takeover safe is the gate.
MARGIN_SHARE, MARGIN_LEAST, MARGIN_MOST = 0.5, 10.0, 60.0

#: Without a change of its infrastructure a run's state is asked for again after this many seconds.
SERVER_INTERVAL = 30.0

#: How often a run that runs elsewhere is asked for: from, to, and the factor between two looks.
FOLLOW_FIRST, FOLLOW_LAST, FOLLOW_GROWTH = 2.0, 10.0, 1.5

#: While runs are watched the server may be out of reach for this many seconds before the watching ends.
API_PATIENCE = 300.0

#: How soon an unreachable server is asked again, in seconds.
API_RETRY = 5.0

#: A run needs a handful of steps from any state to a settled one; more means that a step has no effect.
MOST_STEPS = 16

_WAITING = (Step.WAIT, Step.FOLLOW)

#: An engine that reached its flow's end exits with 0, or with 1 where the flow failed; ``None`` says nothing.
_EXITS_OF_ENGINES = (None, 0, 1)


def promised_start(start_timeout: float) -> float:
    """Seconds within which an owner passes or voids its gate; others take the attempt over only after them."""
    return start_timeout + min(MARGIN_MOST, max(MARGIN_LEAST, start_timeout * MARGIN_SHARE))


@dataclasses.dataclass
class Tracked:
    """One flow run while the state machine works on it."""

    flow_run_id: str
    plan: t.Callable[[AttemptKey, str, list[str]], Launch]
    rerun: str = "never"
    created: bool = False
    contested: bool = False
    run: FlowRun | None = None
    entries: tuple[Entry, ...] = ()
    was_cancelling: bool = False
    seen: dict[int, Observation] = dataclasses.field(default_factory=dict)
    want: Want = dataclasses.field(default_factory=Want)
    decision: Decision = dataclasses.field(default_factory=lambda: Decision(Step.WAIT, Phase.UNKNOWN))
    action: str = "none"
    changed: bool = False
    watched: bool = False
    error: FlowopsError | None = None
    failure: Diagnosis | None = None
    diagnosis: Diagnosis | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)
    performed: list[Decision] = dataclasses.field(default_factory=list)
    shown_by_step: bool = False
    next_look: float = 0.0
    follow_interval: float = FOLLOW_FIRST
    unreachable_since: float | None = None
    not_now: str = ""

    def note(self, decision: Decision) -> None:
        """This changed something that users see."""
        self.changed = True
        self.performed.append(decision)

    @property
    def settled(self) -> bool:
        return self.error is not None or self.decision.step not in _WAITING

    @property
    def acts(self) -> bool:
        """Whether its decision is a step to perform."""
        return self.error is None and self.decision.step not in (*_WAITING, Step.DONE, Step.MISSING)

    @property
    def observation(self) -> Observation | None:
        """The infrastructure here of the attempt that the decision is about, of the newest where it is about none.

        ``None`` where that attempt runs elsewhere: what lost a race for it here has nothing to say about the run.
        """
        seen = self.seen.get(self.decision.attempt or max(self.seen, default=0))
        return None if seen is None or self._lost_race(seen) else seen

    @property
    def outrun(self) -> bool:
        """Whether something was begun here for the newest attempt, and another launcher was first."""
        newest = max([entry.number for entry in self.entries] + list(self.seen), default=0)
        return newest in self.seen and self._lost_race(self.seen[newest])

    def _lost_race(self, seen: Observation) -> bool:
        entry = next((entry for entry in self.entries if entry.number == seen.key.number), None)
        if entry is None:
            return False
        return entry.void_kind == VOID_FOREIGN or (entry.token != "" and entry.token != seen.token)

    @property
    def started(self) -> bool:
        """Whether the engine of the attempt passed its gate, by the ledger."""
        return any(entry.started for entry in self.entries if entry.number == self.decision.attempt)

    @property
    def signature(self) -> tuple[t.Any, ...]:
        """What a caller that was here before would call a change."""
        return (self.decision.step in _WAITING, self.decision.phase, self.decision.attempt, self.error is None)


class Reconciler:
    """Bring many flow runs to what is wanted.

    :arg controller: who does it, for people who read the ledger.
    :arg start_timeout: seconds that an owner has to get an engine to its gate.
    :arg stop_grace: seconds between SIGTERM and SIGKILL.
    :arg concurrency: how many of the runs may be live at once, where the bootstrap does not see to it.
    """

    def __init__(
        self,
        api: PrefectApi,
        ledger: Ledger,
        infrastructure: Infrastructure,
        controller: str,
        start_timeout: float,
        stop_grace: float,
        clock: t.Callable[[], float] = time.monotonic,
        concurrency: int | None = None,
    ) -> None:
        self.api = api
        self.ledger = ledger
        self.infrastructure = infrastructure
        self.controller = controller
        self.start_timeout = start_timeout
        self.stop_grace = stop_grace
        self.clock = clock
        self.concurrency = concurrency
        self._launching = False
        self._runs: t.Sequence[Tracked] = ()
        self._placed: set[str] = set()
        self._lock = threading.Lock()

    # --- looking ---------------------------------------------------------------------------------------------------

    def begin(self, runs: t.Sequence[Tracked], state: str) -> None:
        """First look at runs, which join those that are known; turns the rerun policies into attempt numbers."""
        self._runs, self._launching = [*self._runs, *runs], state == "launched"
        self._look_here(runs)
        self._look_at_server(runs)
        for tracked in runs:
            target = rerun_target(tracked.rerun, tracked.run, tracked.entries, tracked.seen)
            tracked.want = Want(state=state, target=target)

    def survey(self, runs: t.Sequence[Tracked]) -> None:
        """Look at everything of a place. What is wrong with the records of one run is that run's error.

        :raises ApiUnreachable, ApiRefused: nothing can be said of any run.
        """
        self._runs = runs
        self._look_here(runs)
        self._look_safely(self._look_at_server, runs)
        for tracked in runs:
            if isinstance(tracked.error, (ApiUnreachable, ApiRefused)):
                raise tracked.error

    def _look_here(self, runs: t.Sequence[Tracked]) -> None:
        """One listing for the whole batch."""
        found = self.infrastructure.find([tracked.flow_run_id for tracked in runs])
        for tracked in runs:
            tracked.seen = {key.number: seen for key, seen in found.items() if key.flow_run_id == tracked.flow_run_id}

    def _look_at_server(self, runs: t.Sequence[Tracked]) -> None:
        """One filter request for the whole batch, and the ledger of those runs whose rules need it."""
        read = self.api.read_flow_runs([tracked.flow_run_id for tracked in runs])
        for tracked in runs:
            tracked.run = read.get(tracked.flow_run_id)
        self._together(self._read_ledger, [tracked for tracked in runs if self._needs_ledger(tracked)])
        for tracked in runs:
            tracked.next_look = self.clock() + SERVER_INTERVAL

    def _read_ledger(self, tracked: Tracked) -> bool:
        tracked.entries = tuple(self.ledger.read(tracked.flow_run_id))
        if self._may_be_cut_short(tracked):
            tracked.was_cancelling = self.api.was_being_cancelled(tracked.flow_run_id)
        return bool(tracked.entries)

    def _may_be_cut_short(self, tracked: Tracked) -> bool:
        """A crash of an attempt here whose end nobody has told: its engine may call a cancel so."""
        if tracked.run is None or tracked.run.state_type != "CRASHED" or not tracked.entries:
            return False
        newest = tracked.entries[-1]
        return newest.started and not newest.ended and newest.locus == self.infrastructure.locus

    def _tries_first(self, tracked: Tracked) -> bool:
        """A run that nobody ever touched can have no attempt but the first: its record is tried for without a look.

        Who comes second looks. A bootstrap that records by itself would find out only in a process of its own.
        """
        alone = tracked.run is not None and tracked.run.untouched and not (tracked.seen or tracked.contested)
        return alone and self._launching and not self.infrastructure.bootstrap_claims

    def _is_about_to_start(self, tracked: Tracked) -> bool:
        """What the run was claimed for lives here and has not begun: whatever the records say, it is waited for."""
        if not self._launching or tracked.watched or tracked.entries or tracked.rerun != "never":
            return False
        run, seen = tracked.run, tracked.seen.get(1)
        if run is None or run.state_type != "PENDING" or seen is None or len(tracked.seen) > 1:
            return False
        timely = seen.presence is Presence.LIVE and not (seen.evidence.get("timed_out") or seen.evidence.get("lost"))
        return timely and seen.token != "" and seen.token == run.transition_id

    def _needs_ledger(self, tracked: Tracked) -> bool:
        """A run that was finished before anybody asked, with nothing of it alive, is reported without its ledger.

        Not so where the state is half of the story: a crash may be a cancel, and see :func:`_tells_half`.
        """
        if tracked.run is None or self._tries_first(tracked) or self._is_about_to_start(tracked):
            return False
        if not tracked.run.terminal or tracked.watched or tracked.rerun != "never" or tracked.entries:
            return True
        if tracked.want.state == "reconciled":
            return True
        crashed = tracked.run.state_type == "CRASHED"
        return crashed or any(seen.may_run or _tells_half(seen) for seen in tracked.seen.values())

    def view_of(self, tracked: Tracked) -> View:
        """What the last look saw of a run."""
        return View(
            want=tracked.want,
            run=tracked.run,
            entries=tracked.entries,
            seen=tracked.seen,
            locus=self.infrastructure.locus,
            server_now=self.api.server_now(),
            was_cancelling=tracked.was_cancelling,
        )

    def decide_only(self, tracked: Tracked) -> None:
        """Name the next step without performing it (check mode); a record of what the server knows changes nothing."""
        if self._tries_first(tracked):
            self._read_ledger(tracked)
        view = self.view_of(tracked)
        tracked.decision = decide(view)
        if tracked.decision.step is Step.END and not tracked.decision.report:
            tracked.decision = decide(after(view, tracked.decision))
        self._note_adoption(tracked)

    # --- deciding and performing -----------------------------------------------------------------------------------

    def settle(self, runs: t.Sequence[Tracked]) -> None:
        """Perform steps until each run is settled or waits. One run's error never stops the others."""
        todo = [tracked for tracked in runs if tracked.error is None]
        for _step in range(MOST_STEPS):
            for tracked in todo:
                self._safely(self._decide, tracked)
            todo = [tracked for tracked in todo if tracked.acts]
            if not todo:
                return
            self._act(todo)
            # What was held back is tried again later, not now.
            todo = [tracked for tracked in todo if tracked.acts]
        for tracked in todo:
            if tracked.acts:
                tracked.error = InfrastructureError(
                    f"flow run {tracked.flow_run_id}: {tracked.decision.step.value} of attempt "
                    f"{tracked.decision.attempt} has no effect.",
                    "Run the task again; if it stays so, look at the attempt with verbosity 2.",
                )

    def _act(self, runs: t.Sequence[Tracked]) -> None:
        """One step of each run, then one look at all of them but those whose step showed what came of it."""
        changed = self._together(lambda tracked: self._safely(self._perform, tracked), runs)
        self._look_safely(self._look_here, [tracked for tracked in runs if tracked.acts and not tracked.shown_by_step])
        told = [tracked for tracked, server_changed in zip(runs, changed) if server_changed]
        self._look_safely(self._look_at_server, [tracked for tracked in told if tracked.acts])

    def _together(self, work: t.Callable[[Tracked], bool], runs: t.Sequence[Tracked]) -> list[bool]:
        """Several at a time, where the infrastructure gains by it."""
        workers = min(self.infrastructure.parallel, len(runs))
        if workers <= 1:
            return [work(tracked) for tracked in runs]
        import concurrent.futures

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, runs))

    def _safely(self, work: t.Callable[[Tracked], bool], tracked: Tracked) -> bool:
        try:
            return work(tracked)
        except (ApiUnreachable, InfrastructureUnreachable) as error:
            self._postpone(tracked, error)
        except FlowopsError as error:
            tracked.error = error
        return False

    def _look_safely(self, look: t.Callable[[t.Sequence[Tracked]], None], runs: t.Sequence[Tracked]) -> None:
        """An error that is not about who was asked is about one of the runs: only that one has it."""
        if not runs:
            return
        try:
            look(runs)
        except (ApiUnreachable, InfrastructureUnreachable) as error:
            for tracked in runs:
                self._postpone(tracked, error)
        except FlowopsError as error:
            for tracked in runs:
                if len(runs) == 1:
                    tracked.error = error
                else:
                    self._look_safely(look, [tracked])

    def _postpone(self, tracked: Tracked, error: FlowopsError) -> None:
        """Who does not answer says nothing about a run that is being watched: ask again, for a while."""
        now = self.clock()
        since = tracked.unreachable_since if tracked.unreachable_since is not None else now
        if not tracked.watched or now - since > API_PATIENCE:
            tracked.error = error
            return
        tracked.unreachable_since, tracked.next_look = since, now + API_RETRY
        tracked.decision = dataclasses.replace(tracked.decision, step=Step.WAIT)

    def _decide(self, tracked: Tracked) -> bool:
        """Name the next step. :returns: whether there is one to perform."""
        tracked.decision = decide(self.view_of(tracked))
        self._note_adoption(tracked)
        if tracked.decision.step in _WAITING:
            _refuse_hopeless(tracked)
            tracked.watched = True
            self._plan_next_look(tracked)
        return tracked.acts

    def _hold(self, tracked: Tracked) -> None:
        """The run cannot be launched yet: it is tried again, while somebody watches."""
        tracked.decision = dataclasses.replace(
            tracked.decision, step=Step.FOLLOW, phase=Phase.QUEUED, reason=tracked.not_now
        )
        tracked.not_now, tracked.watched = "", True
        self._plan_next_look(tracked)

    def _note_adoption(self, tracked: Tracked) -> None:
        """Waiting for what is here is adoption; what was begun here and lost its race only follows the winner."""
        if tracked.outrun and tracked.action in ("none", "adopted", "launched"):
            tracked.action = "followed"
        elif tracked.action not in ("none", "followed"):
            return
        elif tracked.decision.step is Step.WAIT:
            tracked.action = "adopted"
        elif tracked.decision.step is Step.FOLLOW:
            tracked.action = "followed" if tracked.observation is None else "adopted"

    def _plan_next_look(self, tracked: Tracked) -> None:
        if tracked.decision.step is Step.FOLLOW:
            tracked.next_look = min(tracked.next_look, self.clock() + tracked.follow_interval)
            tracked.follow_interval = min(FOLLOW_LAST, tracked.follow_interval * FOLLOW_GROWTH)

    def _perform(self, tracked: Tracked) -> bool:
        """Perform the step. :returns: whether the server knows something new."""
        tracked.shown_by_step = False
        perform = {
            Step.LAUNCH: self._launch,
            Step.VOID: self._void,
            Step.STOP: self._stop,
            Step.END: self._end,
            Step.PROPOSE: self._propose,
            Step.REMOVE: self._remove,
        }[tracked.decision.step]
        server_changed = perform(tracked, tracked.decision)
        if tracked.not_now:
            self._hold(tracked)
        return server_changed

    def _key(self, tracked: Tracked, decision: Decision) -> AttemptKey:
        return AttemptKey(tracked.flow_run_id, decision.attempt)

    def _launch(self, tracked: Tracked, decision: Decision) -> bool:
        """Create the attempt's infrastructure; before that, where the bootstrap does not, own and claim it."""
        key = self._key(tracked, decision)
        recorded = next((entry for entry in tracked.entries if entry.number == key.number), None)
        token = (recorded.token if recorded else "") or str(uuid.uuid4())
        launch = tracked.plan(key, token, sorted(tokens_of_voided(tracked.entries)))
        if not self.infrastructure.bootstrap_claims and not self._take_place(tracked):
            tracked.not_now = "it waits for a free place (concurrency)"
            return False
        under_way = self.infrastructure.provide(launch)
        if under_way:
            tracked.not_now, tracked.follow_interval = under_way, FOLLOW_FIRST
            return False
        if self.infrastructure.bootstrap_claims:
            self._create(tracked, launch)
            return False
        if not self._own(tracked, launch, recorded):
            return True
        try:
            identifier = self.infrastructure.prepare(launch)
            if identifier:
                self.api.set_infrastructure_pid(tracked.flow_run_id, identifier)
            self._create(tracked, launch)
        except InfrastructureUnreachable:
            raise
        except (InfrastructureError, SettingsError) as error:
            self._give_up(tracked, key, error)
            return True
        return not _is_claimed(tracked, launch)

    def _take_place(self, tracked: Tracked) -> bool:
        """One of the places of ``concurrency``; it is free again when its run is at its end."""
        with self._lock:
            taken = {
                run.flow_run_id
                for run in self._runs
                if run.error is None and run.decision.step not in (Step.DONE, Step.MISSING) and self._is_placed(run)
            }
            free = self.concurrency is None or tracked.flow_run_id in taken or len(taken) < self.concurrency
            if free:
                self._placed.add(tracked.flow_run_id)
            return free

    def _is_placed(self, run: Tracked) -> bool:
        return run.flow_run_id in self._placed or any(seen.may_run for seen in run.seen.values())

    def _create(self, tracked: Tracked, launch: Launch) -> None:
        if not self.infrastructure.create(launch):
            return
        tracked.action, tracked.changed = "launched", True
        made = self.infrastructure.made(launch)
        if made is not None:
            tracked.seen = {**tracked.seen, launch.key.number: made}
            tracked.shown_by_step = True

    def _give_up(self, tracked: Tracked, key: AttemptKey, error: FlowopsError) -> None:
        """A claimed run whose infrastructure is refused: it failed before the flow, and the server is to hear so."""
        self.ledger.void(key, VOID_FAILED)
        tracked.changed = True
        tracked.failure = Diagnosis(error.category, error.message.rstrip("."), error.remedy, retryable=False)

    def _own(self, tracked: Tracked, launch: Launch, recorded: Entry | None) -> bool:
        """Write the record and claim the run. False: somebody else was first, look again."""
        if recorded is None and not self.ledger.record(launch.key, self.owner(launch)):
            tracked.contested = True
            return False
        verdict = self.api.claim(tracked.flow_run_id, launch.token)
        if verdict.ours:
            self._note_claim(tracked, launch)
            return True
        inherited = tracked.run is not None and tracked.run.transition_id in tokens_of_voided(tracked.entries)
        if inherited and verdict.state_type in ("PENDING", ""):
            return True
        if verdict.not_now:
            tracked.not_now = f"the server says not now: {verdict.reason}".rstrip(": ")
            return False
        self.ledger.void(launch.key, VOID_CANCELLED if verdict.state_type == "CANCELLED" else VOID_FOREIGN)
        return False

    def _note_claim(self, tracked: Tracked, launch: Launch) -> None:
        """What has just been written need not be read again."""
        owner = dataclasses.replace(self.owner(launch), created=self.api.server_now())
        others = (entry for entry in tracked.entries if entry.number != launch.key.number)
        tracked.entries = (*others, Entry(launch.key.number, owner))
        if tracked.run is not None:
            tracked.run = dataclasses.replace(
                tracked.run, state_type="PENDING", state_name="Pending", transition_id=launch.token
            )

    def owner(self, launch: Launch) -> Owner:
        """The record of an attempt that is launched here."""
        return Owner(
            locus=self.infrastructure.locus,
            token=launch.token,
            controller=self.controller,
            spec_hash=launch.spec_hash,
            start_within=promised_start(self.start_timeout),
        )

    def _void(self, tracked: Tracked, decision: Decision) -> bool:
        """Whatever the answer, the next look shows it: void now, or started after all."""
        if self.ledger.void(self._key(tracked, decision), decision.reason):
            tracked.note(decision)
            if decision.reason == VOID_FAILED and tracked.failure is None:
                # Now: what has to be torn down takes its evidence along.
                tracked.failure = self._explain(tracked, decision)
        return True

    def _stop(self, tracked: Tracked, decision: Decision) -> bool:
        self.infrastructure.stop(self._key(tracked, decision), self.stop_grace)
        tracked.note(decision)
        return True

    def _end(self, tracked: Tracked, decision: Decision) -> bool:
        """Write the end; only the one whose record it is reports, so that two observers cannot contradict."""
        message = self._message(tracked, decision)
        own = tracked.run.state_type if tracked.run is not None and tracked.run.terminal else ""
        over = (tracked.run.state_id if tracked.run is not None else None) or ""
        end = End(verdict=decision.reason, state=decision.report or own, reporter=self.controller, over=over)
        if self.ledger.end(self._key(tracked, decision), end):
            if decision.report:
                self._report(tracked, decision, message)
            else:
                tracked.performed.append(decision)
        return True

    def _propose(self, tracked: Tracked, decision: Decision) -> bool:
        self._report(tracked, decision, self._message(tracked, decision))
        return True

    def _message(self, tracked: Tracked, decision: Decision) -> str:
        """What the server is told: of a crash the diagnosis, which is kept for the result, else the reason."""
        if decision.report == "CRASHED":
            tracked.diagnosis = tracked.failure or self._explain(tracked, decision)
        if tracked.diagnosis is None:
            return decision.reason
        return f"{tracked.diagnosis.reason.rstrip('.')}. {tracked.diagnosis.remedy}".strip()

    def _explain(self, tracked: Tracked, decision: Decision) -> Diagnosis | None:
        seen = tracked.seen.get(decision.attempt)
        if seen is None or seen.presence is Presence.PREPARED:
            return INFRASTRUCTURE_GONE if tracked.started else NEVER_STARTED
        return diagnose(tracked.run, seen, self.output_of(tracked, LINES), tracked.started)

    def _report(self, tracked: Tracked, decision: Decision, message: str) -> None:
        self.api.propose(tracked.flow_run_id, decision.report, message=f"{OWN_REPORT}{message}")
        tracked.note(decision)
        if decision.report in ("CANCELLED", "CANCELLING") and tracked.want.state != "launched":
            tracked.action = "cancelled"

    def _remove(self, tracked: Tracked, decision: Decision) -> bool:
        """Of every attempt, not only the newest."""
        for number in sorted(tracked.seen):
            if self.infrastructure.remove(AttemptKey(tracked.flow_run_id, number)):
                tracked.action = "removed"
                tracked.note(decision)
        return False

    def output_of(self, tracked: Tracked, lines: int) -> list[str]:
        """The last lines of the newest attempt's output; none where nobody can say."""
        seen = tracked.observation
        if seen is None or seen.presence in (Presence.ABSENT, Presence.PREPARED):
            return []
        try:
            return self.infrastructure.read_log_tail(seen.key, lines).lines
        except FlowopsError:
            return []

    # --- waiting ---------------------------------------------------------------------------------------------------

    def wait_once(self, runs: t.Sequence[Tracked], timeout: float, output: bool) -> None:
        """Sleep until something may have changed, then look at what needs it and settle it."""
        waiting = [tracked for tracked in runs if not tracked.settled]
        due = min((tracked.next_look for tracked in waiting), default=self.clock())
        pause = max(0.0, min(timeout, due - self.clock()))
        keys = [tracked.observation.key for tracked in waiting if tracked.observation is not None]
        self.infrastructure.wait_for_change(keys, pause, output)
        before = {tracked.flow_run_id: _presences(tracked) for tracked in waiting}
        try:
            self._look_here(waiting)
        except InfrastructureUnreachable as error:
            for tracked in waiting:
                self._postpone(tracked, error)
            return
        stale = [
            tracked
            for tracked in waiting
            if _presences(tracked) != before[tracked.flow_run_id] or tracked.next_look <= self.clock()
        ]
        if not stale:
            return
        try:
            self._look_at_server(stale)
        except ApiUnreachable as error:
            for tracked in stale:
                self._postpone(tracked, error)
            return
        for tracked in stale:
            tracked.unreachable_since = None
        self.settle(stale)
        if any(tracked.settled for tracked in stale):
            self._wake_queued(waiting)

    def refresh(self, runs: t.Sequence[Tracked]) -> None:
        """Before an answer: a flow behind its passed gate may be running by now, and nothing here tells of that."""
        beginning = [run for run in runs if not run.settled and run.decision.phase is Phase.PENDING and run.started]
        self._look_safely(self._look_at_server, beginning)
        self.settle([tracked for tracked in beginning if tracked.unreachable_since is None])

    def _wake_queued(self, runs: t.Sequence[Tracked]) -> None:
        """A place may be free: those that wait for one try again at once."""
        for tracked in runs:
            if tracked.decision.phase is Phase.QUEUED and tracked.decision.step is Step.FOLLOW:
                tracked.next_look = self.clock()


def _refuse_hopeless(tracked: Tracked) -> None:
    """Waiting for what nobody will ever tell would never end."""
    seen = tracked.observation
    reason = seen.evidence.get("hopeless") if seen is not None else None
    if reason and tracked.decision.step is Step.WAIT:
        raise InfrastructureError(
            f"{reason}.", "Make sure that nothing of this attempt runs, then move it away.", "damaged_state"
        )


def _is_claimed(tracked: Tracked, launch: Launch) -> bool:
    return tracked.run is not None and tracked.run.transition_id == launch.token


def _presences(tracked: Tracked) -> dict[int, tuple[Presence, t.Any]]:
    """What of the infrastructure makes it worth asking the server again."""
    return {
        number: (seen.presence, str(seen.evidence.get("bootstrap", {}).get("event", "")))
        for number, seen in tracked.seen.items()
    }


def _tells_half(seen: Observation) -> bool:
    """Whether the end of a run needs the ledger beside what is seen here.

    A later attempt; an engine that was refused, or that ended as none does by itself (somebody else may have run it).
    """
    refused = seen.evidence.get("bootstrap", {}).get("event") == "refused"
    return seen.key.number > 1 or refused or seen.exit_code not in _EXITS_OF_ENGINES
