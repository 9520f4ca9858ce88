# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What every runner module's ``main`` does: parse, resolve the runs, reconcile, wait, answer."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.flowops.prefect.plugins.module_utils._api_settings import api_settings
from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec
from ansible_collections.flowops.prefect.plugins.module_utils._decide import Phase, Step
from ansible_collections.flowops.prefect.plugins.module_utils._diagnosis import LINES, diagnose, waiting_problem
from ansible_collections.flowops.prefect.plugins.module_utils._errors import FlowopsError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._registry import make_infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Ledger
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._plan import plan_launch
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._connect import connect
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import (
    Reconciler,
    Tracked,
    promised_start,
)
from ansible_collections.flowops.prefect.plugins.module_utils._redact import Redactor, masked_params, secret_values
from ansible_collections.flowops.prefect.plugins.module_utils._result import LOG_BUDGET, RunOutcome, task_result
from ansible_collections.flowops.prefect.plugins.module_utils._server_fit import check_task, records_for
from ansible_collections.flowops.prefect.plugins.module_utils._task import RunRequest, Task, parse_task

#: Stands for a flow run that check mode does not create.
NOT_CREATED = "00000000-0000-0000-0000-000000000000"

#: Without a wait_timeout the module looks at its runs this often at least, in seconds.
LONGEST_PAUSE = 30.0


def run_module(runner_type: str) -> None:
    """The whole of a runner module."""
    module = AnsibleModule(**argument_spec(runner_type))
    invocation = {"module_args": masked_params(module.params, runner_type)}
    redactor = Redactor(secret_values(module.params, runner_type))
    try:
        task = parse_task(module.params, runner_type)
        runner = TaskRunner(task, runner_type, check_mode=module.check_mode, diff_mode=module._diff)  # noqa: SLF001  # Ansible has no public name for it
        result = runner.run()
    except FlowopsError as error:
        result = {
            "changed": False,
            "failed": True,
            "msg": str(error),
            "category": error.category,
            "runs": [],
            "flow_run_ids": [],
            "failed_runs": [],
            "timed_out": False,
        }
    result = redactor.deep(result)
    for warning in result.pop("task_warnings", ()):
        module.warn(warning)
    result["invocation"] = invocation
    if result.pop("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


@dataclasses.dataclass
class _Planned:
    """A requested run: what was asked for, its state in the machine, and the name of its deployment."""

    request: RunRequest
    tracked: Tracked
    deployment: str


class TaskRunner:
    """One execution of a runner module."""

    def __init__(self, task: Task, runner_type: str, check_mode: bool, diff_mode: bool) -> None:
        self.task = task
        self.check_mode = check_mode
        self.diff_mode = diff_mode
        self.api: PrefectApi = connect(api_settings(task.api))
        self.infrastructure: Infrastructure = make_infrastructure(runner_type, task, look_only=check_mode)
        check_task(self.api, task)
        self.records = records_for(self.api, self.infrastructure)
        self.controller = f"{socket.gethostname()}:{os.getpid()}"
        self.previews: list[dict[str, t.Any]] = []
        self.reconciler = Reconciler(
            api=self.api,
            ledger=Ledger(self.records),
            infrastructure=self.infrastructure,
            controller=self.controller,
            start_timeout=task.start_timeout,
            stop_grace=task.stop_grace,
            concurrency=task.concurrency,
        )
        self._checked: set[str] = set()
        self._deadline = time.monotonic() + task.wait_timeout if task.wait_timeout is not None else None

    def run(self) -> dict[str, t.Any]:
        """Do what was asked for and say what came of it."""
        planned = [self._resolve(request) for request in self.task.requests]
        _refuse_same_run_twice(planned)
        runs = [one.tracked for one in planned]
        existing = [tracked for tracked in runs if tracked.flow_run_id != NOT_CREATED]
        self.reconciler.begin(existing, self.task.state)
        if self.check_mode:
            return self._prediction(planned)
        self.reconciler.settle(runs)
        chunks: dict[str, LogChunk] = {}
        timed_out = False
        if self.task.wait:
            timed_out = self._wait(runs, chunks)
        return self._answer(planned, chunks, timed_out)

    # --- which runs ------------------------------------------------------------------------------------------

    def _resolve(self, request: RunRequest) -> _Planned:
        """The flow run of a request: the given one, or one made from the deployment."""
        if request.flow_run_id:
            return self._planned(request, request.flow_run_id, created=False, deployment="")
        deployment = self.api.read_deployment(request.deployment or "")
        name = f"{deployment.flow_name}/{deployment.name}"
        if self.task.state == "launched":
            self._preflight(request)
        if self.check_mode:
            return self._planned(request, NOT_CREATED, created=True, deployment=name)
        run, created = self.api.create_flow_run(
            deployment,
            parameters=request.parameters,
            name=request.flow_run_name,
            tags=request.tags,
            idempotency_key=request.idempotency_key,
            key_salt=_key_salt(request),
        )
        return self._planned(request, run.id, created=created, deployment=name)

    def _planned(self, request: RunRequest, flow_run_id: str, created: bool, deployment: str) -> _Planned:
        tracked = Tracked(
            flow_run_id=flow_run_id,
            plan=lambda key, token, inheritable: self._plan(request, tracked, key, token, inheritable),
            rerun=str(self.task.rerun),
            created=created,
        )
        return _Planned(request, tracked, deployment)

    def _preflight(self, request: RunRequest) -> None:
        """Once for each distinct setting, before anything is created or claimed for it."""
        fingerprint = json.dumps(request.settings, sort_keys=True, default=str)
        if fingerprint not in self._checked:
            self.infrastructure.preflight(request.settings, self.api.server_version)
            self._checked.add(fingerprint)

    def _plan(
        self, request: RunRequest, tracked: Tracked, key: AttemptKey, token: str, inheritable: list[str]
    ) -> Launch:
        self._preflight(request)
        owner = {
            "locus": self.infrastructure.locus,
            "controller": self.controller,
            "start_within": promised_start(self.task.start_timeout),
        }
        return plan_launch(
            self.infrastructure.type,
            self.task,
            request,
            flow_run_name=tracked.run.name if tracked.run else "",
            key=key,
            token=token,
            inheritable=inheritable,
            owner=owner,
            rerun=key.number > 1,
            claims=self.infrastructure.bootstrap_claims,
            concurrency=self._concurrency(),
            local_records=self.records is not self.api,
        )

    def _concurrency(self) -> int | None:
        """Engines need a processor each while they import Prefect: twice the processors is what measured best."""
        if self.task.concurrency is not None or len(self.task.requests) == 1:
            return self.task.concurrency
        return 2 * (os.cpu_count() or 1)

    # --- check mode ------------------------------------------------------------------------------------------

    def _prediction(self, planned: t.Sequence[_Planned]) -> dict[str, t.Any]:
        """What a real execution would do first to each run; nothing is changed."""
        for one in planned:
            self._predict(one)
        result = self._answer(planned, {}, timed_out=False, verdict=False)
        result["changed"] = any(one.tracked.changed for one in planned)
        result["would_launch"] = self.previews
        return result

    def _predict(self, one: _Planned) -> None:
        tracked = one.tracked
        if tracked.flow_run_id == NOT_CREATED:
            tracked.decision = dataclasses.replace(tracked.decision, phase=Phase.PENDING, attempt=1)
            self._preview(one, AttemptKey(NOT_CREATED, 1))
            return
        self.reconciler.decide_only(tracked)
        if tracked.decision.step is Step.LAUNCH:
            self._preview(one, AttemptKey(tracked.flow_run_id, tracked.decision.attempt))
        elif tracked.decision.step not in (Step.WAIT, Step.FOLLOW, Step.DONE, Step.MISSING):
            tracked.changed = True

    def _preview(self, one: _Planned, key: AttemptKey) -> None:
        one.tracked.changed, one.tracked.action = True, "launched"
        launch = self._plan(one.request, one.tracked, key, NOT_CREATED, [])
        preview = {"deployment": one.deployment, **self.infrastructure.preview(launch)}
        if one.tracked.flow_run_id == NOT_CREATED:
            preview["flow_run_name"] = one.request.flow_run_name or "(chosen by the server)"
            preview["parameters"] = one.request.parameters
        self.previews.append(preview)

    # --- waiting and output ----------------------------------------------------------------------------------

    def _wait(self, runs: t.Sequence[Tracked], chunks: dict[str, LogChunk]) -> bool:
        """Watch until everything is settled, the caller's patience is over, or a streaming caller has news.

        :returns: whether patience ended it.
        """
        begun = time.monotonic()
        streaming = self.task.streams
        before, preparing = [tracked.signature for tracked in runs], _preparing(runs)
        while True:
            if streaming:
                self._read_new_output(runs, chunks)
            if all(tracked.settled for tracked in runs):
                return False
            elapsed = time.monotonic() - begun
            if streaming and elapsed >= self.task.poll_interval and _preparing(runs) != preparing:
                return self._remaining() <= 0
            if streaming and self._has_news(runs, before, chunks, elapsed):
                return self._remaining() <= 0
            remaining = self._remaining()
            if remaining <= 0:
                return True
            fresh = any(chunk.lines for chunk in chunks.values())
            pause = min(remaining, LONGEST_PAUSE, self.task.poll_interval if fresh else LONGEST_PAUSE)
            self.reconciler.wait_once(runs, pause, output=streaming and not fresh)

    def _remaining(self) -> float:
        return self._deadline - time.monotonic() if self._deadline is not None else LONGEST_PAUSE

    def _has_news(
        self, runs: t.Sequence[Tracked], before: t.Sequence[t.Any], chunks: dict[str, LogChunk], elapsed: float
    ) -> bool:
        """A single run's change is told at once; many runs' news are collected, since telling them has its price."""
        changed = [tracked.signature for tracked in runs] != before
        if changed and len(runs) == 1:
            return True
        return elapsed >= self.task.poll_interval and (changed or any(chunk.lines for chunk in chunks.values()))

    def _read_new_output(self, runs: t.Sequence[Tracked], chunks: dict[str, LogChunk]) -> None:
        for tracked in runs:
            earlier = chunks.get(tracked.flow_run_id)
            cursor = earlier.cursor if earlier else str((self.task.log_cursor or {}).get(tracked.flow_run_id, ""))
            chunk = self._read_output(tracked, cursor)
            lines = (earlier.lines if earlier else []) + chunk.lines
            truncated = chunk.truncated or bool(earlier and earlier.truncated)
            chunks[tracked.flow_run_id] = LogChunk(lines, chunk.cursor, truncated)

    def _read_output(self, tracked: Tracked, cursor: str) -> LogChunk:
        """New output of the newest attempt; the cursor carries its number, since another attempt starts anew."""
        seen = tracked.observation
        if seen is None or seen.presence is Presence.ABSENT:
            return LogChunk([], cursor)
        number, separator, offset = cursor.partition(":")
        known = bool(separator) and number == str(seen.key.number)
        try:
            chunk = self.infrastructure.read_log(seen.key, offset if known else "")
        except FlowopsError as error:
            tracked.warnings.append(f"output: {error}")
            return LogChunk([], cursor)
        return LogChunk(chunk.lines, f"{seen.key.number}:{chunk.cursor}", chunk.truncated)

    # --- the answer ------------------------------------------------------------------------------------------

    def _answer(
        self, planned: t.Sequence[_Planned], chunks: dict[str, LogChunk], timed_out: bool, verdict: bool = True
    ) -> dict[str, t.Any]:
        budget = LOG_BUDGET
        outcomes = []
        for one in planned:
            outcome = self._outcome(one, chunks.get(one.tracked.flow_run_id), timed_out, budget)
            budget -= sum(len(line) + 1 for line in outcome.log.lines)
            outcomes.append(outcome)
        if verdict:
            for one in planned:
                self._clear_away(one)
        fail_on = self.task.fail_on if verdict else ()
        if verdict and any(outcome.tracked.error is not None for outcome in outcomes):
            fail_on = [*fail_on, "infrastructure"]
        result = task_result(outcomes, fail_on)
        errors = [outcome.tracked.error for outcome in outcomes if outcome.tracked.error is not None]
        if errors:
            result["category"] = errors[0].category
        result["task_warnings"] = [*self.task.warnings, *self.api.warnings, *self.infrastructure.warnings()]
        if self.diff_mode and self.previews:
            after = json.dumps(self.previews, indent=2, sort_keys=True) + "\n"
            result["diff"] = {"before": "", "after": after, "after_header": "would be launched"}
        return result

    def _clear_away(self, one: _Planned) -> None:
        """With ``auto_remove`` what is over goes after its verdict; an infrastructure's own way would not wait."""
        tracked = one.tracked
        if not one.request.settings.get("auto_remove") or not tracked.settled or tracked.error is not None:
            return
        for number, seen in sorted(tracked.seen.items()):
            if seen.presence is Presence.FINISHED:
                try:
                    self.infrastructure.remove(AttemptKey(tracked.flow_run_id, number))
                except FlowopsError as error:
                    tracked.warnings.append(f"auto_remove: {error}")

    def _outcome(self, one: _Planned, streamed: LogChunk | None, timed_out: bool, budget: int) -> RunOutcome:
        tracked = one.tracked
        settled_badly = tracked.settled and tracked.decision.phase in (Phase.FAILED, Phase.UNKNOWN, Phase.LOST)
        tail = self.reconciler.output_of(tracked, max(self.task.log_lines, LINES)) if settled_badly else []
        found = tracked.diagnosis
        if found is None and (settled_badly or tracked.decision.phase is Phase.CANCELLED):
            found = diagnose(tracked.run, tracked.observation, tail, tracked.started)
        if found is None and tracked.observation is not None and not tracked.settled:
            found = waiting_problem(tracked.observation)
        return RunOutcome(
            tracked=tracked,
            infrastructure_type=self.infrastructure.type,
            url=self.api.ui_url(tracked.flow_run_id),
            deployment=one.deployment,
            diagnosis=found,
            log=streamed or self._tail(tracked, tail, budget),
            timed_out=timed_out,
        )

    def _tail(self, tracked: Tracked, tail: list[str], budget: int) -> LogChunk:
        """The end of the output: of a failed run, and of the only run of a task."""
        if not tail and tracked.settled and len(self.task.requests) == 1 and not self.check_mode:
            tail = self.reconciler.output_of(tracked, self.task.log_lines)
        lines: list[str] = []
        for line in reversed(tail[-self.task.log_lines :] if self.task.log_lines else []):
            budget -= len(line) + 1
            if budget < 0:
                return LogChunk(lines, "", truncated=True)
            lines.insert(0, line)
        return LogChunk(lines, "")


def _preparing(runs: t.Sequence[Tracked]) -> list[str]:
    """How far it is with what runs wait for before they are launched."""
    return [tracked.decision.reason for tracked in runs if tracked.decision.phase is Phase.QUEUED]


def _key_salt(request: RunRequest) -> str:
    """A task's one key makes as many runs as its ``runs`` have different parameters."""
    if not request.label.startswith("runs["):
        return ""
    return json.dumps(request.parameters, sort_keys=True, default=str)


def _refuse_same_run_twice(planned: t.Sequence[_Planned]) -> None:
    """Two entries that resolve to one run would fight over it."""
    labels: dict[str, str] = {}
    for one in planned:
        known = labels.setdefault(one.tracked.flow_run_id, one.request.label)
        if known != one.request.label and one.tracked.flow_run_id != NOT_CREATED:
            raise SettingsError(
                f"{one.request.label} and {known} are the same flow run {one.tracked.flow_run_id}.",
                "Give each entry parameters or an idempotency_key of its own.",
            )
