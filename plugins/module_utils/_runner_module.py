# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What every runner module's ``main`` does: parse, resolve the runs, reconcile; ``_together`` waits and answers."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.flowops.prefect.plugins.module_utils._api_settings import api_settings
from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec
from ansible_collections.flowops.prefect.plugins.module_utils._decide import Phase, Step
from ansible_collections.flowops.prefect.plugins.module_utils._diagnosis import LINES, diagnose, waiting_problem
from ansible_collections.flowops.prefect.plugins.module_utils._errors import FlowopsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import RECONCILED
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
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
from ansible_collections.flowops.prefect.plugins.module_utils._result import RunOutcome
from ansible_collections.flowops.prefect.plugins.module_utils._server_fit import check_task, records_for
from ansible_collections.flowops.prefect.plugins.module_utils._storage_check import StorageCheck
from ansible_collections.flowops.prefect.plugins.module_utils._task import RunRequest, Task, parse_task
from ansible_collections.flowops.prefect.plugins.module_utils._together import (
    NOT_CREATED,
    Planned,
    Work,
    run_together,
)

#: By runner type: what makes the infrastructure of a task; ``True`` (check mode) where it is only to be looked at.
#: Modules of one type name only theirs, since Ansible ships to the host whatever a module could ever import.
Infrastructures = t.Mapping[str, t.Callable[[Task, bool], Infrastructure]]

#: From a module's options and its runner type to what is to be done; secrets that come from the server are added to the
#: list.
WorkOf = t.Callable[[t.Mapping[str, t.Any], str, "list[str]"], Work]


def run_module(runner_type: str, infrastructures: Infrastructures, work_of: WorkOf | None = None) -> None:
    """The whole of a runner module."""
    module = AnsibleModule(**argument_spec(runner_type))
    diff_mode = module._diff  # noqa: SLF001  # Ansible has no public name for it
    result = result_of(module.params, runner_type, infrastructures, module.check_mode, diff_mode, work_of)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


def result_of(
    params: t.Mapping[str, t.Any],
    runner_type: str,
    infrastructures: Infrastructures,
    check_mode: bool,
    diff_mode: bool,
    work_of: WorkOf | None = None,
) -> dict[str, t.Any]:
    """What a runner module returns, warnings and failure with it.

    :arg params: options as an argument spec makes them, all of them.
    """
    secrets = secret_values(params, runner_type)
    try:
        work = (work_of or one_task)(params, runner_type, secrets)
        result = _done(work, infrastructures, check_mode, diff_mode)
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
    result = dict(Redactor(secrets).deep(result))
    warnings = result.pop("task_warnings", ())
    if warnings:
        result["warnings"] = list(warnings)
    result["invocation"] = {"module_args": masked_params(params, runner_type)}
    return result


def one_task(
    params: t.Mapping[str, t.Any],
    runner_type: str,
    secrets: list[str],  # noqa: ARG001 - all of them are the task's own
) -> Work:
    """The task of a module of one runner type."""
    task = parse_task(params, runner_type)
    return Work(connect(api_settings(task.api)), [(runner_type, task)])


def _done(work: Work, infrastructures: Infrastructures, check_mode: bool, diff_mode: bool) -> dict[str, t.Any]:
    """What came of it."""

    def runner_of(kind: str, task: Task) -> TaskRunner:
        return TaskRunner(task, infrastructures[kind](task, check_mode), work.api, check_mode)

    if work.agent is not None:
        return work.agent(runner_of, check_mode, diff_mode)
    runners = [runner_of(kind, task) for kind, task in work.tasks]
    if runners[0].task.state == RECONCILED:
        from ansible_collections.flowops.prefect.plugins.module_utils._place import reconcile_place

        return reconcile_place(runners[0])
    return run_together(runners, diff_mode)


class TaskRunner:
    """The runs of a task on one infrastructure; the methods are called in their order here (``_together``)."""

    def __init__(self, task: Task, infrastructure: Infrastructure, api: PrefectApi, check_mode: bool) -> None:
        self.task = task
        self.check_mode = check_mode
        self.api = api
        self.infrastructure = infrastructure
        check_task(self.api, task)
        self.records = records_for(self.api, self.infrastructure)
        self.controller = f"{socket.gethostname()}:{os.getpid()}"
        self.reconciler = Reconciler(
            api=self.api,
            ledger=Ledger(self.records),
            infrastructure=self.infrastructure,
            controller=self.controller,
            start_timeout=task.start_timeout,
            stop_grace=task.stop_grace,
            concurrency=task.concurrency,
        )
        self.storage = StorageCheck(api, infrastructure.type, task.storage_check)
        #: Called before anything is done for a launch; what it raises keeps the run from being launched.
        self.before_launch: t.Callable[[], None] = _nothing
        #: Whether the task is about one run, so that it needs no place among others.
        self.alone = len(task.requests) == 1
        self._checked: set[str] = set()
        self.planned: list[Planned] = []
        self.chunks: dict[str, LogChunk] = {}

    @property
    def runs(self) -> list[Tracked]:
        """The runs in the state machine."""
        return [one.tracked for one in self.planned]

    def resolve(self) -> None:
        """Find the runs, or make them."""
        self.planned = [self._resolve(request) for request in self.task.requests]

    def begin(self) -> None:
        """Look at what is there."""
        self.reconciler.begin([tracked for tracked in self.runs if tracked.flow_run_id != NOT_CREATED], self.task.state)

    def join(self, requests: t.Sequence[RunRequest]) -> list[Planned]:
        """More runs, found and looked at; for whom the task is not the whole."""
        more = [self._resolve(request) for request in requests]
        self.reconciler.begin([one.tracked for one in more], self.task.state)
        self.planned += more
        return more

    def settle(self) -> None:
        """Do what was asked for, as far as it goes without waiting."""
        self.reconciler.settle(self.runs)

    # --- which runs ------------------------------------------------------------------------------------------

    def _resolve(self, request: RunRequest) -> Planned:
        """The flow run of a request: the given one, or one made from the deployment."""
        if request.flow_run_id:
            return self._planned(request, request.flow_run_id, created=False, deployment="")
        deployment = self.api.read_deployment(request.deployment or "")
        name = f"{deployment.flow_name}/{deployment.name}"
        if self.task.state == "launched":
            self.storage.check_new(deployment, request.settings)
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

    def _planned(self, request: RunRequest, flow_run_id: str, created: bool, deployment: str) -> Planned:
        tracked = Tracked(
            flow_run_id=flow_run_id,
            plan=lambda key, token, inheritable: self._plan(request, tracked, key, token, inheritable),
            rerun=request.rerun,
            created=created,
        )
        return Planned(request, tracked, deployment)

    def _preflight(self, request: RunRequest) -> None:
        """Once for each distinct setting, before anything is created or claimed for it."""
        fingerprint = json.dumps(request.settings, sort_keys=True, default=str)
        if fingerprint not in self._checked:
            self.infrastructure.preflight(request.settings, self.api.server_version)
            self._checked.add(fingerprint)

    def _plan(
        self, request: RunRequest, tracked: Tracked, key: AttemptKey, token: str, inheritable: list[str]
    ) -> Launch:
        self.before_launch()
        if tracked.run is not None:
            runs = (other.run for other in self.runs)
            others = (run.deployment_id for run in runs if run is not None and run.deployment_id is not None)
            self.storage.check(tracked.run.deployment_id, request.settings, others)
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
            generation=self.api.generation,
        )

    def _concurrency(self) -> int | None:
        """Engines need a processor each while they import Prefect: twice the processors is what measured best."""
        if self.task.concurrency is not None or self.alone:
            return self.task.concurrency
        return 2 * (os.cpu_count() or 1)

    # --- check mode ------------------------------------------------------------------------------------------

    def predict(self, one: Planned) -> None:
        """What a real execution would do first to a run; nothing is changed."""
        tracked = one.tracked
        if tracked.flow_run_id == NOT_CREATED:
            tracked.decision = dataclasses.replace(tracked.decision, phase=Phase.PENDING, attempt=1)
            self._preview(one, AttemptKey(NOT_CREATED, 1))
            return
        self.reconciler.decide_only(tracked)
        if tracked.decision.step is Step.LAUNCH:
            self._preview(one, AttemptKey(tracked.flow_run_id, tracked.decision.attempt))
        elif tracked.decision.step not in (Step.WAIT, Step.FOLLOW, Step.DONE, Step.MISSING) or self._leftovers(one):
            tracked.changed = True

    def _preview(self, one: Planned, key: AttemptKey) -> None:
        one.tracked.changed, one.tracked.action = True, "launched"
        launch = self._plan(one.request, one.tracked, key, NOT_CREATED, [])
        preview: dict[str, t.Any] = {"deployment": one.deployment, **self.infrastructure.preview(launch)}
        if one.tracked.flow_run_id == NOT_CREATED:
            preview["flow_run_name"] = one.request.flow_run_name or "(chosen by the server)"
            preview["parameters"] = one.request.parameters
        if one.request.sources:
            preview["type"], preview["sources"] = self.infrastructure.type, one.request.sources
        one.preview = preview

    # --- output ----------------------------------------------------------------------------------------------

    def read_new_output(self) -> None:
        """Add to what was read before in this execution; a caller's cursors say where it begins."""
        for tracked in self.runs:
            earlier = self.chunks.get(tracked.flow_run_id)
            cursor = earlier.cursor if earlier else str((self.task.log_cursor or {}).get(tracked.flow_run_id, ""))
            chunk = self._read_output(tracked, cursor)
            lines = (earlier.lines if earlier else []) + chunk.lines
            truncated = chunk.truncated or bool(earlier and earlier.truncated)
            self.chunks[tracked.flow_run_id] = LogChunk(lines, chunk.cursor, truncated)

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

    def outcome(self, one: Planned, timed_out: bool, budget: int, only: bool) -> RunOutcome:
        """A run and what its result needs.

        :arg budget: bytes of output that are left of what a task may return.
        :arg only: the task has no other run.
        """
        tracked = one.tracked
        settled_badly = tracked.settled and tracked.decision.phase in (Phase.FAILED, Phase.UNKNOWN, Phase.LOST)
        tail = self.reconciler.output_of(tracked, max(self.task.log_lines + 1, LINES)) if settled_badly else []
        if not tail and tracked.settled and only and not self.check_mode:
            tail = self.reconciler.output_of(tracked, self.task.log_lines + 1)
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
            log=self.chunks.get(tracked.flow_run_id) or self._tail(tail, budget),
            timed_out=timed_out,
        )

    def warnings(self) -> list[str]:
        """What the user should know although everything went on."""
        return [*self.task.warnings, *self.storage.warnings, *self.api.warnings, *self.infrastructure.warnings()]

    def clear_away(self, one: Planned) -> None:
        """With ``auto_remove`` what is over goes after its verdict; an infrastructure's own way would not wait."""
        tracked = one.tracked
        for key in self._leftovers(one):
            try:
                tracked.changed = self.infrastructure.remove(key) or tracked.changed
            except FlowopsError as error:
                tracked.warnings.append(f"auto_remove: {error}")

    def _leftovers(self, one: Planned) -> list[AttemptKey]:
        """What ``auto_remove`` is about."""
        tracked = one.tracked
        if not one.request.settings.get("auto_remove") or not tracked.settled or tracked.error is not None:
            return []
        finished = (number for number, seen in tracked.seen.items() if seen.presence is Presence.FINISHED)
        return [AttemptKey(tracked.flow_run_id, number) for number in sorted(finished)]

    def _tail(self, tail: list[str], budget: int) -> LogChunk:
        """The end of the output: of a failed run, and of the only run of a task."""
        lines: list[str] = []
        for line in reversed(tail[-self.task.log_lines :] if self.task.log_lines else []):
            budget -= len(line) + 1
            if budget < 0:
                return LogChunk(lines, "", truncated=True)
            lines.insert(0, line)
        return LogChunk(lines, "", truncated=len(tail) > len(lines))


def _key_salt(request: RunRequest) -> str:
    """A task's one key makes as many runs as its ``runs`` have different parameters."""
    if not request.label.startswith("runs["):
        return ""
    return json.dumps(request.parameters, sort_keys=True, default=str)


def _nothing() -> None:
    """Nobody has anything against a launch."""
