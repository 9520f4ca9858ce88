# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What a task answers that is about a whole place: ``state: reconciled``, and the module ``flow_runner_info``."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._mend import Limits, mend, words_of
from ansible_collections.flowops.prefect.plugins.module_utils._result import infrastructure_of, iso
from ansible_collections.flowops.prefect.plugins.module_utils._standing import Standing
from ansible_collections.flowops.prefect.plugins.module_utils._survey import Survey, Surveyed, take_survey

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import TaskRunner

Result = dict[str, t.Any]

#: So many failures are named in ``msg``; the rest is counted.
_NAMED = 5


def describe_place(runner: TaskRunner) -> Result:
    """What is there; nothing is changed."""
    survey = _survey(runner)
    return {"changed": False, **_report(runner, survey, [_described(runner, each) for each in survey.attempts])}


def reconcile_place(runner: TaskRunner) -> Result:
    """Mend what is there, and say what was found and what was done; in check mode, what would be done."""
    survey = _survey(runner)
    found = [_described(runner, each) for each in survey.attempts]
    limits = Limits(runner.task.older_than, runner.task.orphans == "remove")
    steps = mend(runner.reconciler, survey, limits, runner.check_mode)
    runs = {tracked.flow_run_id: tracked for tracked in survey.runs}
    for one in found:
        run_id = one["flow_run_id"]
        diagnosis = runs[run_id].diagnosis
        one["actions"] = words_of(steps[run_id], one["attempt"])
        one["diagnosis"] = diagnosis.as_dict() if diagnosis and "reported" in one["actions"] else None
    failed = [] if runner.check_mode else [run for run in survey.runs if run.error is not None]
    result = _report(runner, survey, found)
    done = collections.Counter(word for one in found for word in one["actions"])
    if done:
        tally = ", ".join(f"{number} {word}" for word, number in sorted(done.items()))
        result["msg"] += f"; would be {tally}" if runner.check_mode else f"; {tally}"
    if failed:
        named = [f"{run.flow_run_id}: {run.error}" for run in failed[:_NAMED]]
        result["msg"] = "; ".join([f"{len(failed)} flow runs could not be reconciled", *named])
    return {
        **result,
        "changed": bool(done),
        "failed": bool(failed),
        "runs": [],
        "flow_run_ids": sorted(runs),
        "failed_runs": [run.flow_run_id for run in failed],
        "timed_out": False,
    }


def _survey(runner: TaskRunner) -> Survey:
    return take_survey(runner.reconciler, runner.task.api.url, runner.task.zombie_limit)


def _report(runner: TaskRunner, survey: Survey, attempts: list[Result]) -> Result:
    """What both answers have in common."""
    counted = collections.Counter(each.finding.standing for each in survey.attempts)
    warnings = runner.warnings()
    if not survey.complete:
        warnings.append(
            f"The server has more than {runner.task.zombie_limit} flow runs under way. Only so many were looked at, "
            "the oldest, so zombies of which nothing is left here may be missing. Raise zombie_limit to find them."
        )
    tally = ", ".join(f"{counted[word]} {word.value}" for word in Standing if counted[word])
    return {
        "msg": f"{len(attempts)} attempts{': ' if tally else ''}{tally}",
        "locus": runner.infrastructure.locus,
        "attempts": attempts,
        "summary": {word.value: counted[word] for word in Standing},
        "complete": survey.complete,
        "task_warnings": list(dict.fromkeys(warnings)),
    }


def _described(runner: TaskRunner, one: Surveyed) -> Result:
    run, seen = one.run, one.seen
    return {
        "flow_run_id": one.key.flow_run_id,
        "attempt": one.key.number,
        "standing": one.finding.standing.value,
        "reason": one.finding.reason,
        "drift": list(one.finding.drift),
        "presence": seen.presence.value if seen else "absent",
        "name": run.name if run else "",
        "url": runner.api.ui_url(run.id) if run else "",
        "state": run.state_name if run else "",
        "state_type": run.state_type if run else "",
        "infrastructure": infrastructure_of(runner.infrastructure.type, seen),
        "exit_code": seen.exit_code if seen else None,
        "signal": seen.signal if seen else None,
        "created_at": iso(seen.created_at if seen else None),
        "started_at": iso(seen.started_at if seen else None),
        "finished_at": iso(seen.finished_at if seen else None),
    }
