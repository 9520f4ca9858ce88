# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""``state: reconciled``: what a survey found is mended, as far as it can be, by the steps of the state machine."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Decision, Step
from ansible_collections.flowops.prefect.plugins.module_utils._foretell import foretold
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import Reconciler, Tracked
from ansible_collections.flowops.prefect.plugins.module_utils._standing import Standing
from ansible_collections.flowops.prefect.plugins.module_utils._survey import Survey


@dataclasses.dataclass(frozen=True)
class Limits:
    """How far the mending goes.

    :arg older_than: seconds after which the leftovers of a run that is over are removed.
    :arg orphans: whether those whose run was deleted are ended and removed.
    """

    older_than: float
    orphans: bool


def mend(reconciler: Reconciler, survey: Survey, limits: Limits, check_mode: bool) -> dict[str, list[Decision]]:
    """Do what can be done, or foretell it in check mode. :returns: the steps, by run."""
    orphaned = {each.key.flow_run_id for each in survey.attempts if each.finding.standing is Standing.ORPHANED}
    foreign = {each.key.flow_run_id for each in survey.attempts if each.finding.standing is Standing.FOREIGN}
    doomed = orphaned.difference(foreign) if limits.orphans else set()
    steps: dict[str, list[Decision]] = {}
    for tracked in survey.runs:
        run = tracked.run
        clear = tracked.flow_run_id in doomed if run is None else _age(reconciler, run, tracked) >= limits.older_than
        tracked.want = dataclasses.replace(tracked.want, clear=clear)
        steps[tracked.flow_run_id] = _steps(reconciler, tracked, survey)
    if check_mode:
        return steps
    todo = [tracked for tracked in survey.runs if steps[tracked.flow_run_id]]
    reconciler.settle(todo)
    return {tracked.flow_run_id: tracked.performed for tracked in survey.runs}


def _age(reconciler: Reconciler, run: FlowRun, tracked: Tracked) -> float:
    """Seconds that a run is over; one whose end is about to be told ends now."""
    now = reconciler.api.server_now()
    if not run.terminal:
        return 0.0
    made = max((seen.finished_at or seen.created_at or now for seen in tracked.seen.values()), default=now)
    return max(0.0, now - (run.end_time or made))


def _steps(reconciler: Reconciler, tracked: Tracked, survey: Survey) -> list[Decision]:
    """Nothing for runs of which the survey was not sure; a void gate alone would help nobody."""
    if tracked.error is not None or tracked.flow_run_id in survey.moving:
        return []
    steps = foretold(reconciler.view_of(tracked))
    return steps if any(step.step is not Step.VOID for step in steps) else []


def words_of(steps: t.Iterable[Decision], number: int) -> list[str]:
    """What was done with an attempt, in the words of the result."""
    words = [_word(step) for step in steps if step.step is Step.REMOVE or step.attempt == number]
    return list(dict.fromkeys(word for word in words if word))


def _word(step: Decision) -> str:
    if step.report:
        return "reported"
    return {Step.END: "recorded", Step.STOP: "stopped", Step.REMOVE: "removed"}.get(step.step, "")
