# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Flow runs that somebody else launches: created, waited for, cancelled, retried, deleted."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import JOB_VARIABLE
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runs import View, described, ids_of, run_filter
from ansible_collections.flowops.prefect.plugins.module_utils._management import Result, Session
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import QUEUE_NAME
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_common import (
    check_same,
    server_key,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import (
    TERMINAL_TYPES,
    Deployment,
    Fields,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable

#: Seconds between two looks: from, to, and how they grow. A worker needs longer than that to start anything.
_FIRST_PAUSE, _LAST_PAUSE, _GROWTH = 0.5, 10.0, 1.5
#: Ends of a run that may be retried; who cancelled one meant it.
_RETRIED = ("FAILED", "CRASHED")
_WAITS_LONGER = "Runs go on. Execute the task again to wait on, with the same ids or the same idempotency_key."


@dataclasses.dataclass
class _Run:
    """One run, and what the task did with it.

    :arg before: its state before that; ``after`` the one that this led to.
    """

    view: View
    action: str = "none"
    before: str = ""
    after: str = ""

    @property
    def id(self) -> str:
        return str(self.view["flow_run_id"])

    @property
    def terminal(self) -> bool:
        return self.view["state_type"] in TERMINAL_TYPES


def manage(session: Session) -> Result:
    """Find or create the runs, do what was asked for, wait."""
    state = session.options.get("state", "created")
    runs = [_created(session)] if state == "created" else _found(session, missing_is_fine=state == "absent")
    if state == "absent":
        _refuse_live(runs)
    if state == "cancelled":
        _refuse_begun(session, runs)
    if state == "retried":
        _refuse_lonely(session, runs)
    for run in runs:
        _ACTIONS[state](session, run)
        session.changed = session.changed or (run.action != "none" and not session.check_mode)
    timed_out = False
    if state != "absent" and session.options.get("wait", True) and not session.check_mode:
        timed_out = not _wait(session, runs)
    return _result(session, runs, timed_out)


# Which runs


def _found(session: Session, missing_is_fine: bool) -> list[_Run]:
    options = session.options
    limit = options.get("limit", 20) if "filter" in options else len(ids_of(options))
    found = session.catalog.list_runs(run_filter(session, options), limit + 1)
    if len(found) > limit:
        raise SettingsError(
            f"filter finds more than {limit} flow runs.", "Narrow it, or raise limit if you mean all of them."
        )
    runs = [_Run(described(session, run)) for run in found]
    order = {run_id: position for position, run_id in enumerate(ids_of(options))}
    missing = [run_id for run_id in order if run_id not in {run.id for run in runs}]
    if missing and not missing_is_fine:
        raise SettingsError(f"There is no flow run {', '.join(missing)}.", "Check the ids.", "not_found")
    return sorted(runs, key=lambda run: order.get(run.id, 0))


def _created(session: Session) -> _Run:
    options = session.options
    deployment = session.api.read_deployment(options["deployment"])
    _check_pool(session, deployment)
    parameters = options.get("parameters", {})
    body: dict[str, t.Any] = {
        "state": {"type": "SCHEDULED", "name": "Scheduled"},
        "parameters": parameters,
        "tags": options.get("tags", []),
        "job_variables": _job_variables(deployment, options.get("job_variables", {})),
        "idempotency_key": server_key(deployment.id, options.get("idempotency_key"), ""),
    }
    if "scheduled_time" in options:
        body["state"]["state_details"] = {"scheduled_time": options["scheduled_time"]}
    if "flow_run_name" in options:
        body["name"] = options["flow_run_name"].format_map(parameters)
    if "work_queue_name" in options:
        body["work_queue_name"] = options["work_queue_name"]
    if session.check_mode:
        return _foretold(session, deployment, body)
    try:
        document, created = session.catalog.create_run(deployment.id, body)
    except ApiError as error:
        if error.status not in (409, 422):
            raise
        raise SettingsError(
            f"The server refuses the run of {printable(deployment.full_name, 200)}: {error.message}",
            "Correct parameters or job_variables.",
        ) from None
    run = _Run(described(session, document))
    if created or "idempotency_key" not in options:
        run.action = "created"
    else:
        check_same(session.api.read_flow_run(run.id), deployment, parameters)
    return run


def _foretold(session: Session, deployment: Deployment, body: View) -> _Run:
    """In check mode: the run that the key names, or what one would look like."""
    found = session.catalog.find_run_by_key(deployment.id, body["idempotency_key"])
    if found is not None:
        check_same(session.api.read_flow_run(found["id"]), deployment, body["parameters"])
        return _Run(described(session, found))
    _check_parameters(session, deployment, {**deployment.parameters, **body["parameters"]})
    document = {**body, "id": "00000000-0000-0000-0000-000000000000", "deployment_id": deployment.id}
    return _Run(described(session, document), "created")


def _check_parameters(session: Session, deployment: Deployment, parameters: View) -> None:
    """What the server would say when it is asked to make the run."""
    for found in session.catalog.list_deployments([deployment.id], [], []):
        schema = found.get("parameter_openapi_schema") or {}
        if not found.get("enforce_parameter_schema"):
            continue
        missing = [f"{name} is missing" for name in schema.get("required", []) if name not in parameters]
        problems = [*session.catalog.schema_problems(schema, parameters), *missing]
        if problems:
            raise SettingsError(
                f"The server would refuse the run of {printable(deployment.full_name, 200)}: "
                f"{printable('; '.join(problems), 1000)}.",
                "Correct parameters.",
            )


def _job_variables(deployment: Deployment, given: View) -> View:
    """A run has the flow runner that its deployment had when it was made."""
    runner = deployment.job_variables.get(JOB_VARIABLE)
    return given if runner is None or JOB_VARIABLE in given else {**given, JOB_VARIABLE: runner}


def _waits_for_ever(session: Session) -> bool:
    return bool(session.options.get("wait", True)) and session.options.get("wait_timeout") is None


def _check_pool(session: Session, deployment: Deployment) -> None:
    """To wait for what nobody will launch is refused before there is anything to wait for."""
    name, options = deployment.work_pool_name, session.options
    pool = session.catalog.find_pool(name) if name else None
    if not _waits_for_ever(session):
        return
    if not session.api.generation.can(Ability.WORK_POOLS):
        return  # which queue an agent polls cannot be told
    if pool is None:
        raise SettingsError(
            f"{printable(deployment.full_name, 200)} has no work pool, so no worker launches its runs.",
            "Launch it with a runner module such as flowops.prefect.flow_runner_subprocess, or say wait: false.",
        )
    if Fields(pool, "work pool").flag("is_paused", False):
        raise SettingsError(
            f"The work pool {printable(str(name), 100)} is paused, so no worker launches its runs.",
            "Resume it, or give wait_timeout or wait: false.",
        )
    if options.get("work_queue_name", deployment.work_queue_name) == QUEUE_NAME:
        raise SettingsError(
            f"The queue {QUEUE_NAME} is for runs that runner modules launch.", "Give another work_queue_name."
        )


# What is done


def _nothing(_session: Session, _run: _Run) -> None:
    pass


def _refuse_begun(session: Session, runs: t.Sequence[_Run]) -> None:
    """Where nobody tells an engine to end, only what waits for its start can be cancelled."""
    if session.api.generation.can(Ability.CANCELLING):
        return
    for run in runs:
        if not run.terminal and run.view["state_type"] != "SCHEDULED":
            raise session.api.generation.refusal(Ability.CANCELLING, f"flow run {run.id}, {run.view['state']}")


def _cancel(session: Session, run: _Run) -> None:
    if run.terminal or run.view["state_type"] == "CANCELLING":
        return
    run.action, run.before = "cancelled", run.view["state"]
    run.after = "Cancelled" if run.view["state_type"] == "SCHEDULED" else "Cancelling"
    if not session.check_mode:
        wanted = "CANCELLING" if session.api.generation.can(Ability.CANCELLING) else "CANCELLED"
        verdict = session.api.propose(run.id, wanted, message="Cancelled by a play.")
        if not verdict.accepted and verdict.state_type not in (*TERMINAL_TYPES, "CANCELLING"):
            raise ApiError(f"The server does not cancel flow run {run.id}: {verdict.reason}.", "See the run's page.")
        _refresh(session, [run])
        run.after = run.view["state"]


def _refuse_lonely(session: Session, runs: t.Sequence[_Run]) -> None:
    """The same rule for runs that are to be launched once more."""
    for run in runs:
        if _waits_for_ever(session) and run.view["state_type"] in _RETRIED and not run.view["work_pool_name"]:
            raise SettingsError(
                f"Flow run {run.id} is in no work pool, so no worker launches it.",
                "Launch it with the option rerun of a runner module, or say wait: false.",
            )


def _retry(session: Session, run: _Run) -> None:
    if run.view["state_type"] not in _RETRIED:
        return
    run.action, run.before, run.after = "retried", run.view["state"], "AwaitingRetry"
    if not session.check_mode:
        verdict = session.api.propose(run.id, "SCHEDULED", name="AwaitingRetry", message="Retried by a play.")
        if not verdict.accepted:
            raise ApiError(f"The server does not retry flow run {run.id}: {verdict.reason}.", "See the run's page.")
        _refresh(session, [run])


def _refuse_live(runs: t.Sequence[_Run]) -> None:
    for run in runs:
        if not run.terminal and run.view["state_type"] != "SCHEDULED":
            raise SettingsError(
                f"Flow run {run.id} is {run.view['state']}: deleted, it would go on and nobody would see it.",
                "Cancel it first.",
            )


def _delete(session: Session, run: _Run) -> None:
    run.action = "removed"
    if not session.check_mode:
        session.catalog.delete_run(run.id)


_ACTIONS: dict[str, t.Callable[[Session, _Run], None]] = {
    "created": _nothing,
    "finished": _nothing,
    "cancelled": _cancel,
    "retried": _retry,
    "absent": _delete,
}


# Waiting


def _wait(session: Session, runs: t.Sequence[_Run]) -> bool:
    """:returns: whether all came to their end before patience did."""
    patience = session.options.get("wait_timeout")
    deadline = None if patience is None else time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        waiting = [run for run in runs if not run.terminal]
        if not waiting:
            return True
        remaining = pause if deadline is None else deadline - time.monotonic()
        if remaining <= 0:
            return False
        time.sleep(min(pause, remaining))
        pause = min(pause * _GROWTH, _LAST_PAUSE)
        _refresh(session, waiting)


def _refresh(session: Session, runs: t.Sequence[_Run]) -> None:
    found = session.catalog.list_runs(run_filter(session, {"flow_run_ids": [run.id for run in runs]}), len(runs))
    views = {view["flow_run_id"]: view for view in (described(session, run) for run in found)}
    for run in runs:
        if run.id not in views:
            raise SettingsError(f"Flow run {run.id} was deleted meanwhile.", "Create another one.", "not_found")
        run.view = views[run.id]


# The answer


def _result(session: Session, runs: t.Sequence[_Run], timed_out: bool) -> Result:
    listed = [{**run.view, "action": run.action} for run in runs]
    failed = [] if session.check_mode else [run for run in runs if _failed(session, run, timed_out)]
    result: Result = {
        "changed": any(run.action != "none" for run in runs),
        "failed": bool(failed),
        "msg": _message(runs, failed, timed_out),
        "flow_runs": listed,
        "flow_run_ids": [run.id for run in runs],
        "failed_runs": [run.id for run in failed],
        "timed_out": timed_out,
        "diff": {
            "before": {run.id: _shown(run, run.before) for run in runs if run.action not in ("none", "created")},
            "after": {run.id: _shown(run, run.after) for run in runs if run.action not in ("none", "removed")},
        },
    }
    if len(listed) == 1:
        result["flow_run"] = listed[0]
    return result


def _shown(run: _Run, state: str) -> View:
    """For a difference: of a run that only changes its state nothing else."""
    return {"state": state} if run.after else run.view


def _failed(session: Session, run: _Run, timed_out: bool) -> bool:
    options = session.options
    fail_on = options.get("fail_on", ["failed", "crashed", "cancelled", "wait_timeout"])
    if options.get("state") == "absent" or not options.get("wait", True):
        return False
    if not run.terminal:
        return timed_out and "wait_timeout" in fail_on
    wanted_end = options.get("state") == "cancelled" and run.view["state_type"] == "CANCELLED"
    return run.view["state_type"].lower() in fail_on and not wanted_end


def _message(runs: t.Sequence[_Run], failed: t.Sequence[_Run], timed_out: bool) -> str:
    if not failed:
        states = sorted({str(run.view["state"]) for run in runs})
        return f"{len(runs)} flow runs: {', '.join(states) or 'none'}"
    shown = [
        f"{run.view['name']} is {run.view['state']}: {run.view['state_message']} {run.view['url']}" for run in failed
    ]
    more = [_WAITS_LONGER] if timed_out else []
    return " ".join(["; ".join(shown[:10]), *more])
