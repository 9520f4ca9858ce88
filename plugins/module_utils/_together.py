# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""One task over one or several infrastructures: begin everything, wait for any, answer in the order asked."""

from __future__ import annotations

import dataclasses
import json
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Phase
from ansible_collections.flowops.prefect.plugins.module_utils._errors import FlowopsError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import Tracked
from ansible_collections.flowops.prefect.plugins.module_utils._result import LOG_BUDGET, task_result
from ansible_collections.flowops.prefect.plugins.module_utils._task import RunRequest, Task

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import TaskRunner

#: Stands for a flow run that check mode does not create.
NOT_CREATED = "00000000-0000-0000-0000-000000000000"

#: Without a wait_timeout the runs are looked at this often at least, in seconds.
LONGEST_PAUSE = 30.0

#: Several infrastructures cannot be listened to at once: each is listened to for so many seconds in turn.
SLICE = 2.0


#: Makes what deals with the runs of a task on one infrastructure, from the type of its flow runner.
RunnerOf = t.Callable[[str, Task], "TaskRunner"]


@dataclasses.dataclass(frozen=True)
class Work:
    """What a module's options come down to.

    :arg tasks: with the types of their flow runners.
    :arg agent: in the place of tasks, what takes up the runs that are due: in check mode or not, with a difference or
        not. Only who can be an agent knows the code of one, since Ansible ships to the host whatever is named.
    """

    api: PrefectApi
    tasks: list[tuple[str, Task]]
    agent: t.Callable[[RunnerOf, bool, bool], dict[str, t.Any]] | None = None


@dataclasses.dataclass
class Planned:
    """A requested run: what was asked for, its state in the machine, the name of its deployment, its preview."""

    request: RunRequest
    tracked: Tracked
    deployment: str
    preview: dict[str, t.Any] | None = None


def run_together(runners: t.Sequence[TaskRunner], diff_mode: bool) -> dict[str, t.Any]:
    """Do what was asked for and say what came of it. Nothing is launched before all runs are known and looked at."""
    begun = time.monotonic()
    for runner in runners:
        runner.resolve()
    _refuse_same_run_twice([one for runner in runners for one in runner.planned])
    for runner in runners:
        runner.begin()
    if runners[0].check_mode:
        for runner, one in _in_order(runners):
            runner.predict(one)
        return prediction(runners, diff_mode)
    for runner in runners:
        runner.settle()
    return answer(runners, timed_out=runners[0].task.wait and _Watch(runners, begun).is_over_before_the_runs())


def _refuse_same_run_twice(planned: t.Sequence[Planned]) -> None:
    """Two entries that resolve to one run would fight over it."""
    labels: dict[str, str] = {}
    for one in planned:
        known = labels.setdefault(one.tracked.flow_run_id, one.request.label)
        if known != one.request.label and one.tracked.flow_run_id != NOT_CREATED:
            raise SettingsError(
                f"{one.request.label} and {known} are the same flow run {one.tracked.flow_run_id}.",
                "Give each entry parameters or an idempotency_key of its own.",
            )


class _Watch:
    """Waiting for the runs of a task.

    :arg begun: when the task's patience began, on the monotonic clock.
    """

    def __init__(self, runners: t.Sequence[TaskRunner], begun: float) -> None:
        self.runners = runners
        self.task = runners[0].task
        self.deadline = None if self.task.wait_timeout is None else begun + self.task.wait_timeout
        self.begun = time.monotonic()
        self.before, self.preparing = self._signatures(), self._preparing()

    @property
    def _runs(self) -> list[Tracked]:
        return [tracked for runner in self.runners for tracked in runner.runs]

    def is_over_before_the_runs(self) -> bool:
        """Watch until everything is settled, the caller's patience is over, or a streaming caller has news.

        :returns: whether patience ended it.
        """
        while True:
            if self.task.streams:
                for runner in self.runners:
                    runner.read_new_output()
            if all(tracked.settled for tracked in self._runs):
                return False
            remaining = self._remaining()
            if remaining <= 0 or (self.task.streams and self._has_news()):
                for runner in self.runners:
                    runner.reconciler.refresh(runner.runs)
                return remaining <= 0
            self._pause(remaining)

    def _pause(self, remaining: float) -> None:
        fresh = self._fresh()
        pause = min(remaining, LONGEST_PAUSE, self.task.poll_interval if fresh else LONGEST_PAUSE)
        listening = [runner for runner in self.runners if not all(tracked.settled for tracked in runner.runs)]
        for runner in listening:
            turn = pause if len(listening) == 1 else min(pause, SLICE)
            runner.reconciler.wait_once(runner.runs, turn, output=self.task.streams and not fresh)

    def _remaining(self) -> float:
        return LONGEST_PAUSE if self.deadline is None else self.deadline - time.monotonic()

    def _fresh(self) -> bool:
        """Whether there is output that nobody has shown."""
        return any(chunk.lines for runner in self.runners for chunk in runner.chunks.values())

    def _has_news(self) -> bool:
        """A single run's change is told at once; many runs' news are collected, since telling them has its price."""
        changed = self._signatures() != self.before
        if changed and len(self.before) == 1:
            return True
        collected = time.monotonic() - self.begun >= self.task.poll_interval
        return collected and (changed or self._fresh() or self._preparing() != self.preparing)

    def _signatures(self) -> list[tuple[t.Any, ...]]:
        return [tracked.signature for tracked in self._runs]

    def _preparing(self) -> list[str]:
        """How far it is with what runs wait for before they are launched."""
        return [tracked.decision.reason for tracked in self._runs if tracked.decision.phase is Phase.QUEUED]


def prediction(runners: t.Sequence[TaskRunner], diff_mode: bool) -> dict[str, t.Any]:
    """What a module in check mode returns."""
    result = answer(runners, timed_out=False, verdict=False)
    planned = [one for _runner, one in _in_order(runners)]
    previews = [one.preview for one in planned if one.preview is not None]
    result["changed"] = any(one.tracked.changed for one in planned)
    result["would_launch"] = previews
    if diff_mode and previews:
        after = json.dumps(previews, indent=2, sort_keys=True) + "\n"
        result["diff"] = {"before": "", "after": after, "after_header": "would be launched"}
    return result


def _in_order(runners: t.Sequence[TaskRunner]) -> list[tuple[TaskRunner, Planned]]:
    """As the task lists the runs."""
    pairs = [(runner, one) for runner in runners for one in runner.planned]
    return sorted(pairs, key=lambda pair: pair[1].request.position)


def answer(runners: t.Sequence[TaskRunner], timed_out: bool, verdict: bool = True) -> dict[str, t.Any]:
    """What a module returns.

    :arg timed_out: patience ended before the runs did.
    :arg verdict: how the runs ended decides on the task.
    """
    budget = LOG_BUDGET
    outcomes = []
    ordered = _in_order(runners)
    artifacts = _artifacts(runners) if verdict and runners else {}
    for runner, one in ordered:
        outcome = runner.outcome(one, timed_out, budget, only=len(ordered) == 1)
        outcome = dataclasses.replace(outcome, artifacts=artifacts.get(one.tracked.flow_run_id, {}))
        budget -= sum(len(line) + 1 for line in outcome.log.lines)
        outcomes.append(outcome)
    fail_on = runners[0].task.fail_on if verdict and runners else []
    errors = [outcome.tracked.error for outcome in outcomes if outcome.tracked.error is not None]
    if verdict:
        for runner, one in ordered:
            runner.clear_away(one)
        if errors:
            fail_on = [*fail_on, "infrastructure"]
    result = task_result(outcomes, fail_on)
    if errors:
        result["category"] = errors[0].category
    warnings = [warning for runner in runners for warning in runner.warnings()]
    result["task_warnings"] = list(dict.fromkeys(warnings))
    return result


def _artifacts(runners: t.Sequence[TaskRunner]) -> dict[str, dict[str, t.Any]]:
    """Those that were asked for, of runs that are over; without them the task has still done its work."""
    task, api = runners[0].task, runners[0].api
    over = [tracked.flow_run_id for runner in runners for tracked in runner.runs if tracked.settled and tracked.run]
    if not task.artifacts or not over:
        return {}
    try:
        return api.read_artifacts(over, task.artifacts)
    except FlowopsError as error:
        api.warnings.append(f"artifacts: {error}")
        return {}
