# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The one result of all runner modules: the same keys for every infrastructure, on success and on failure."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Phase, Step
from ansible_collections.flowops.prefect.plugins.module_utils._diagnosis import Diagnosis
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Observation
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import Tracked

#: A task's result is one event in AWX, which cuts events at 700 KB: log tails of a task share this many bytes.
LOG_BUDGET = 100 * 1024

#: So many failures are named in ``msg``; the rest is counted.
NAMED_FAILURES = 5


@dataclasses.dataclass(frozen=True)
class RunOutcome:
    """A run and what was read for its result."""

    tracked: Tracked
    infrastructure_type: str
    url: str
    deployment: str
    diagnosis: Diagnosis | None
    log: LogChunk
    timed_out: bool
    artifacts: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def phase(self) -> Phase:
        return self.tracked.decision.phase

    @property
    def failures(self) -> set[str]:
        """The words of ``fail_on`` that apply to this run."""
        run = self.tracked.run
        words: set[str] = set()
        if self.tracked.error is not None or self.tracked.decision.step is Step.MISSING:
            words.add("infrastructure")
        elif self.phase in (Phase.LOST, Phase.UNKNOWN) and self.tracked.settled:
            words.add("infrastructure")
        elif self.phase is Phase.FAILED:
            words.add("failed" if run is not None and run.state_type == "FAILED" else "crashed")
        elif self.phase is Phase.CANCELLED and self.tracked.want.state == "launched":
            words.add("cancelled")
        if self.timed_out and not self.tracked.settled:
            words.add("wait_timeout")
        return words


def run_result(outcome: RunOutcome) -> dict[str, t.Any]:
    """One entry of ``runs``."""
    tracked, run, seen = outcome.tracked, outcome.tracked.run, outcome.tracked.observation
    result: dict[str, t.Any] = {
        "flow_run_id": tracked.flow_run_id,
        "name": run.name if run else "",
        "url": outcome.url,
        "deployment": outcome.deployment,
        "state": run.state_name if run else "",
        "state_type": run.state_type if run else "",
        "state_message": run.state_message if run else "",
        "phase": outcome.phase.value,
        "action": tracked.action,
        "attempt": tracked.decision.attempt,
        "infrastructure": infrastructure_of(outcome.infrastructure_type, seen),
        "exit_code": seen.exit_code if seen else None,
        "signal": seen.signal if seen else None,
        "diagnosis": outcome.diagnosis.as_dict() if outcome.diagnosis else None,
        "created_at": iso(run.created if run else None),
        "started_at": iso(run.start_time if run else None),
        "finished_at": iso(run.end_time if run else None),
        "durations": _durations(run, seen),
        "log": {"lines": outcome.log.lines, "truncated": outcome.log.truncated},
        "artifacts": outcome.artifacts,
        "warnings": list(dict.fromkeys(tracked.warnings)),
        "debug": {
            "spec_hash": seen.spec_hash if seen else "",
            "cursor": outcome.log.cursor,
            "token": seen.token if seen else "",
            "reason": tracked.decision.reason,
        },
    }
    return result


def infrastructure_of(kind: str, seen: Observation | None) -> dict[str, t.Any]:
    """What an attempt runs or ran in."""
    return {
        "type": kind,
        "identifier": seen.identifier if seen else "",
        "name": seen.name if seen else "",
        "host": seen.host if seen else "",
        "node": seen.node if seen else "",
    }


def iso(epoch: float | None) -> str | None:
    """A moment for people and for Ansible's filters."""
    if epoch is None:
        return None
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _durations(run: FlowRun | None, seen: Observation | None) -> dict[str, float | None]:
    """Seconds that the image took, from infrastructure to flow, and of the flow."""
    begun = seen.started_at if seen else None
    flow_start, flow_end = (run.start_time, run.end_time) if run else (None, None)
    return {
        "pull": seen.pull_seconds if seen else None,
        "start": _span(begun, flow_start),
        "run": _span(flow_start, flow_end),
    }


def _span(start: float | None, end: float | None) -> float | None:
    return round(max(0.0, end - start), 3) if start is not None and end is not None else None


def task_result(outcomes: t.Sequence[RunOutcome], fail_on: t.Collection[str]) -> dict[str, t.Any]:
    """The whole result of a task; ``failed`` and ``msg`` say what the user has to know first."""
    failing = [outcome for outcome in outcomes if outcome.failures & set(fail_on)]
    result: dict[str, t.Any] = {
        "changed": any(outcome.tracked.changed or outcome.tracked.created for outcome in outcomes),
        "failed": bool(failing),
        "msg": _message(outcomes, failing),
        "runs": [run_result(outcome) for outcome in outcomes],
        "flow_run_ids": [outcome.tracked.flow_run_id for outcome in outcomes],
        "failed_runs": [outcome.tracked.flow_run_id for outcome in failing],
        "timed_out": any(outcome.timed_out and not outcome.tracked.settled for outcome in outcomes),
        "summary": _summary(outcomes),
    }
    if len(outcomes) == 1:
        result["run"] = result["runs"][0]
    return result


def _summary(outcomes: t.Sequence[RunOutcome]) -> dict[str, int]:
    counted: collections.Counter[str] = collections.Counter()
    for outcome in outcomes:
        counted[outcome.tracked.action] += 1
        counted[outcome.phase.value] += 1
    words = ("launched", "adopted", "followed", "removed", *(phase.value for phase in Phase))
    return {word: counted[word] for word in dict.fromkeys(words)}


def _message(outcomes: t.Sequence[RunOutcome], failing: t.Sequence[RunOutcome]) -> str:
    if not failing:
        return _tally(outcomes)
    named = [_failure(outcome) for outcome in failing[:NAMED_FAILURES]]
    rest = len(failing) - len(named)
    if rest:
        named.append(f"and {rest} more")
    if len(outcomes) == 1:
        return named[0]
    return f"{len(failing)} of {len(outcomes)} runs failed: " + "; ".join(named)


def _tally(outcomes: t.Sequence[RunOutcome]) -> str:
    if len(outcomes) == 1:
        outcome = outcomes[0]
        return f"{_name(outcome)}: {outcome.phase.value}"
    if not outcomes:
        return "no runs"
    counted = collections.Counter(outcome.phase.value for outcome in outcomes)
    return f"{len(outcomes)} runs: " + ", ".join(f"{number} {phase}" for phase, number in sorted(counted.items()))


def _name(outcome: RunOutcome) -> str:
    return outcome.tracked.run.name if outcome.tracked.run else outcome.tracked.flow_run_id


def _failure(outcome: RunOutcome) -> str:
    """One failed run in a line: name, reason, remedy, link."""
    tracked = outcome.tracked
    if tracked.error is not None:
        return f"{_name(outcome)}: {tracked.error}"
    if tracked.decision.step is Step.MISSING:
        left = f", but attempt {tracked.decision.attempt} of it is here" if tracked.decision.attempt else ""
        return (
            f"{tracked.flow_run_id}: the server has no flow run of this id{left}. "
            "Check flow_run_id, and that api_url is the right server."
        )
    if outcome.timed_out and not tracked.settled:
        why = f" ({outcome.diagnosis.reason})" if outcome.diagnosis else ""
        return (
            f"{_name(outcome)}: still {outcome.phase.value}{why} when wait_timeout was over; it goes on. "
            f"Run the task again with flow_run_id: {tracked.flow_run_id} to wait on. {outcome.url}"
        )
    reason = outcome.diagnosis.reason if outcome.diagnosis else outcome.phase.value
    remedy = f" ({outcome.diagnosis.remedy})" if outcome.diagnosis and outcome.diagnosis.remedy else ""
    return f"{_name(outcome)}: {reason}{remedy} {outcome.url}"
