# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""A look at everything of ours at a place, joined with what the server says."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Decision, Step, Want
from ansible_collections.flowops.prefect.plugins.module_utils._foretell import foretold
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import Reconciler, Tracked
from ansible_collections.flowops.prefect.plugins.module_utils._standing import Finding, Standing, standing_of


@dataclasses.dataclass(frozen=True)
class Surveyed:
    """One attempt as it was found.

    :arg run: ``None`` when the server does not know it.
    :arg seen: ``None`` when nothing of it is here.
    """

    key: AttemptKey
    run: FlowRun | None
    seen: Observation | None
    finding: Finding


@dataclasses.dataclass(frozen=True)
class Survey:
    """What is at a place.

    :arg attempts: in the order of their keys.
    :arg runs: those that have them, in the state machine.
    :arg moving: ids of runs of which another attempt was begun while we looked.
    :arg complete: the server had no more runs under way than were looked at.
    """

    attempts: list[Surveyed]
    runs: list[Tracked]
    moving: frozenset[str]
    complete: bool


def take_survey(reconciler: Reconciler, api_url: str, limit: int) -> Survey:
    """Look at everything here, and at those runs of the server that should be here.

    :arg limit: how many runs that are under way on the server are looked at.
    :raises ApiUnreachable: nothing can be said of anything.
    """
    here = {key.flow_run_id for key in reconciler.infrastructure.list_attempts()}
    missing, complete = _runs_without_attempt(reconciler, here, limit)
    runs = [Tracked(run_id, _launch_nothing, want=Want(state="reconciled")) for run_id in sorted({*here, *missing})]
    reconciler.survey(runs)
    moving = _look_again(reconciler, runs)
    attempts: list[Surveyed] = []
    found: list[Tracked] = []
    for tracked in runs:
        steps = [] if tracked.flow_run_id in moving else _steps(reconciler, tracked)
        own = _attempts_of(reconciler, tracked, steps, api_url)
        attempts.extend(own)
        if own:
            found.append(tracked)
    return Survey(attempts, found, moving, complete)


def _runs_without_attempt(reconciler: Reconciler, here: t.Collection[str], limit: int) -> tuple[list[str], bool]:
    """Runs under way on the server of which nothing is here although it may have been, and whether these are all."""
    found: list[str] = []
    for number, run in enumerate(reconciler.api.open_runs()):
        if number == limit:
            return found, False
        if run.id not in here and _may_belong_here(run, reconciler):
            found.append(run.id)
    return found, True


def _may_belong_here(run: FlowRun, reconciler: Reconciler) -> bool:
    """The server is told where a run is after its claim and before its flow begins; until then it knows nothing new."""
    if run.state_type == "PENDING":
        return True
    return run.infrastructure_pid is not None and reconciler.infrastructure.may_hold(run.infrastructure_pid)


def _launch_nothing(_key: AttemptKey, _token: str, _inheritable: list[str]) -> Launch:
    raise NotImplementedError("a survey launches nothing")


def _look_again(reconciler: Reconciler, runs: t.Sequence[Tracked]) -> frozenset[str]:
    """Look twice at what the server would be told of.

    An attempt may be launched between our look at the place and the one at the server, and would seem to be gone.

    :returns: the runs of which another attempt was begun in the meantime.
    """
    doubtful = [tracked for tracked in runs if any(_interferes(step) for step in _steps(reconciler, tracked))]
    before = {tracked.flow_run_id: _newest(tracked) for tracked in doubtful}
    if doubtful:
        reconciler.survey(doubtful)
    return frozenset(tracked.flow_run_id for tracked in doubtful if _newest(tracked) != before[tracked.flow_run_id])


def _steps(reconciler: Reconciler, tracked: Tracked) -> list[Decision]:
    return [] if tracked.error is not None else foretold(reconciler.view_of(tracked))


def _interferes(step: Decision) -> bool:
    return bool(step.report) or step.step in (Step.VOID, Step.STOP)


def _newest(tracked: Tracked) -> int:
    return max([entry.number for entry in tracked.entries], default=0)


def _attempts_of(reconciler: Reconciler, tracked: Tracked, steps: t.Sequence[Decision], api_url: str) -> list[Surveyed]:
    """The attempts of a run: those that are here, and one that the server believes to be."""
    view = reconciler.view_of(tracked)
    numbers = set(tracked.seen)
    if any(step.report for step in steps) and view.latest is not None and view.latest.locus == view.locus:
        numbers.add(view.latest.number)
    found = []
    for number in sorted(numbers):
        if tracked.error is not None:
            finding = Finding(Standing.UNKNOWN, str(tracked.error))
        else:
            finding = standing_of(number, view, steps, api_url)
        key = AttemptKey(tracked.flow_run_id, number)
        found.append(Surveyed(key, tracked.run, tracked.seen.get(number), finding))
    return found
