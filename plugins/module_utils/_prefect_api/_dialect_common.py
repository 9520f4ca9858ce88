# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Requests and answers that all generations of Prefect have in common."""

from __future__ import annotations

import datetime
import hashlib
import json
import typing as t
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, ApiNotFound, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import (
    PrefectApi,
    checked_id,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import (
    TERMINAL_TYPES,
    Deployment,
    Fields,
    FlowRun,
    LogRecord,
    Verdict,
    canonical_uuid,
    code_of,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import (
    PAGE,
    each_found,
    pages_of,
    quoted,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import (
    TOO_LARGE,
    printable,
)
from ansible_collections.flowops.prefect.plugins.module_utils._same import same

_STATUSES = ("ACCEPT", "REJECT", "ABORT", "WAIT")


class CommonApi(PrefectApi):
    """The requests that all generations answer; where their words differ there is a method for it."""

    def _state(self, state: dict[str, t.Any]) -> dict[str, t.Any]:
        """A state that the server told, in the words of Prefect 3."""
        return state

    def _proposal(self, state: dict[str, t.Any]) -> dict[str, t.Any]:
        """A state to be sent, in the words of the server."""
        return state

    def _needs_force(self, state_type: str) -> bool:  # noqa: ARG002 - see Orion
        """Whether the server takes this state only so over every state that Prefect 3 takes it over."""
        return False

    def _job_variables(self, fields: Fields) -> dict[str, t.Any]:
        """What a deployment says of its infrastructure."""
        return self._own_job_variables(fields)

    def _own_job_variables(self, fields: Fields) -> dict[str, t.Any]:
        """What a flow run says of it."""
        return fields.mapping("job_variables")

    def _prepare_creation(self, deployment: Deployment, body: dict[str, t.Any]) -> None:
        """Keep the new run, of which ``body`` is about to be sent, away from workers and agents."""

    def read_flow_runs(self, flow_run_ids: t.Iterable[str]) -> dict[str, FlowRun]:
        ids = list(dict.fromkeys(checked_id(flow_run_id, "flow_run_id") for flow_run_id in flow_run_ids))
        runs: dict[str, FlowRun] = {}
        for page in pages_of(ids):
            runs.update(self._read_page(page))
        return runs

    def _read_page(self, ids: list[str]) -> dict[str, FlowRun]:
        """Runs carry their parameters (up to 512 KB each): a page above the size limit is read in halves."""
        body = {"flow_runs": {"id": {"any_": ids}}, "limit": len(ids)}
        try:
            answer = self.transport.request("POST", "/flow_runs/filter", body, repeatable=True, shape=list)
        except ApiError as error:
            if error.category != TOO_LARGE or len(ids) == 1:
                raise
            half = len(ids) // 2
            return {**self._read_page(ids[:half]), **self._read_page(ids[half:])}
        runs = [self._flow_run(item) for item in answer.data]
        return {run.id: run for run in runs if run.id in ids}

    def _read_flow_run(self, flow_run_id: str) -> FlowRun:
        answer = self.transport.request("GET", f"/flow_runs/{flow_run_id}", repeatable=True, shape=dict)
        return self._flow_run(answer.data)

    def open_runs(self) -> t.Iterator[FlowRun]:
        taken = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
        body = {"flow_runs": taken, "sort": "EXPECTED_START_TIME_ASC"}
        return (self._flow_run(item) for item in each_found(self.transport, "/flow_runs/filter", body))

    def was_being_cancelled(self, flow_run_id: str) -> bool:
        path = f"/flow_run_states/?flow_run_id={checked_id(flow_run_id, 'flow_run_id')}"
        answer = self.transport.request("GET", path, repeatable=True, shape=list)
        states = [Fields(self._state(state), "state") for state in answer.data]
        before = [state for state in states if state.state_type("type") not in TERMINAL_TYPES]
        last = max(before, key=lambda state: state.moment("timestamp"), default=None)
        return last is not None and last.state_type("type") == "CANCELLING"

    def read_deployment(self, deployment: str) -> Deployment:
        deployment_id = canonical_uuid(deployment)
        if deployment_id is not None:
            return self._deployment(f"/deployments/{deployment_id}", f"deployment {deployment_id}", None)
        flow_name, _slash, name = deployment.partition("/")
        if not flow_name or not name:
            raise SettingsError("deployment is neither flow/name nor a UUID.", "Give it as flow/name.")
        path = f"/deployments/name/{quoted(flow_name)}/{quoted(name)}"
        return self._deployment(path, f"deployment {printable(deployment, 200)}", flow_name)

    def _deployment(self, path: str, what: str, flow_name: str | None) -> Deployment:
        try:
            data = self.transport.request("GET", path, repeatable=True, shape=dict).data
        except ApiNotFound:
            raise ApiNotFound(f"There is no {what}.", "Check its name: flow/name.", status=404) from None
        fields = Fields(data, "deployment")
        if flow_name is None:
            answer = self.transport.request("GET", f"/flows/{fields.uuid('flow_id')}", repeatable=True, shape=dict)
            flow_name = Fields(answer.data, "flow").text("name")
        return Deployment(
            id=fields.uuid("id"),
            name=fields.text("name"),
            flow_name=flow_name,
            parameters=fields.mapping("parameters"),
            enforce_parameter_schema=fields.flag("enforce_parameter_schema", True),
            parameter_schema=fields.mapping("parameter_openapi_schema"),
            job_variables=self._job_variables(fields),
            work_pool_name=fields.optional_text("work_pool_name"),
            work_queue_name=fields.optional_text("work_queue_name"),
            paused=fields.flag("paused", False),
            code=code_of(fields),
        )

    def read_code(self, deployment_ids: t.Iterable[str]) -> dict[str, tuple[str, dict[str, t.Any]]]:
        found: dict[str, tuple[str, dict[str, t.Any]]] = {}
        for page in pages_of(sorted(deployment_ids)):
            body = {"deployments": {"id": {"any_": page}}, "limit": len(page)}
            answer = self.transport.request("POST", "/deployments/filter", body, repeatable=True, shape=list)
            for item in answer.data:
                fields = Fields(item, "deployment")
                found[fields.uuid("id")] = (fields.label("name"), code_of(fields))
        return found

    def create_flow_run(
        self,
        deployment: Deployment,
        *,
        parameters: dict[str, t.Any] | None = None,
        name: str | None = None,
        tags: t.Sequence[str] = (),
        idempotency_key: str | None = None,
        key_salt: str = "",
    ) -> tuple[FlowRun, bool]:
        given = dict(parameters or {})
        body: dict[str, t.Any] = {
            "state": {"type": "SCHEDULED", "name": "Scheduled"},
            "parameters": given,
            "tags": list(tags),
            "idempotency_key": server_key(deployment.id, idempotency_key, key_salt),
        }
        if name is not None:
            body["name"] = name
        self._prepare_creation(deployment, body)
        try:
            answer = self.transport.request(
                "POST", f"/deployments/{deployment.id}/create_flow_run", body, repeatable=True, shape=dict
            )
        except ApiError as error:
            if error.status != 409:
                raise
            raise SettingsError(
                f"The server refuses the parameters of {printable(deployment.full_name, 200)}: {error.message}",
                "Correct parameters.",
            ) from None
        run = self._flow_run(answer.data)
        # A repeat that answers "existing" may be answering our own first copy; with a random key it certainly is.
        created = answer.status == 201 or idempotency_key is None
        if not created:
            check_same(run, deployment, given)
        return run, created

    def propose(
        self,
        flow_run_id: str,
        state_type: str,
        *,
        name: str | None = None,
        message: str = "",
        transition_id: str | None = None,
    ) -> Verdict:
        run_id = checked_id(flow_run_id, "flow_run_id")
        state: dict[str, t.Any] = {"type": state_type}
        if name is not None:
            state["name"] = name
        if message:
            state["message"] = message
        if transition_id is not None:
            state["state_details"] = {"transition_id": checked_id(transition_id, "token")}
        answer = self.transport.request(
            "POST",
            f"/flow_runs/{run_id}/set_state",
            {"state": self._proposal(state), "force": self._needs_force(state_type)},
            repeatable=transition_id is not None or state_type in TERMINAL_TYPES,
            shape=dict,
        )
        return self._verdict(answer.data)

    def read_flow_run_logs(self, flow_run_id: str, *, after: float | None = None, limit: int = 200) -> list[LogRecord]:
        logs: dict[str, t.Any] = {"flow_run_id": {"any_": [checked_id(flow_run_id, "flow_run_id")]}}
        if after is not None:
            moment = datetime.datetime.fromtimestamp(after, datetime.timezone.utc)
            logs["timestamp"] = {"after_": moment.isoformat()}
        body = {"logs": logs, "limit": min(limit, PAGE), "sort": "TIMESTAMP_ASC"}
        answer = self.transport.request("POST", "/logs/filter", body, repeatable=True, shape=list)
        return [_log_record(item) for item in answer.data]

    def _flow_run(self, data: t.Any) -> FlowRun:
        fields = Fields(data, "flow run")
        state = Fields(self._state(fields.mapping("state")), "flow run state")
        details = state.sub("state_details")
        return FlowRun(
            id=fields.uuid("id"),
            name=fields.label("name"),
            state_type=state.state_type("type"),
            state_name=state.label("name"),
            state_message=state.label("message"),
            state_id=state.optional_uuid("id"),
            transition_id=details.optional_uuid("transition_id"),
            state_since=state.optional_moment("timestamp"),
            scheduled_time=details.optional_moment("scheduled_time"),
            deployment_id=fields.optional_uuid("deployment_id"),
            parameters=fields.mapping("parameters"),
            job_variables=self._own_job_variables(fields),
            run_count=int(fields.number("run_count", 0)),
            start_time=fields.optional_moment("start_time"),
            end_time=fields.optional_moment("end_time"),
            created=fields.optional_moment("created"),
            tags=fields.texts("tags"),
            work_pool_name=fields.optional_text("work_pool_name"),
            work_queue_name=fields.optional_text("work_queue_name"),
            infrastructure_pid=fields.optional_text("infrastructure_pid"),
        )

    def _verdict(self, data: t.Any) -> Verdict:
        fields = Fields(data, "state verdict")
        status = fields.text("status")
        if status not in _STATUSES:
            raise ApiError(f"The Prefect API answered the unknown verdict {printable(status, 40)!r}.")
        state, details = Fields(self._state(fields.mapping("state")), "state"), fields.sub("details")
        retry_after: float | None = None
        if status == "WAIT":
            retry_after = details.number("delay_seconds", 0)
        elif status == "REJECT" and state.label("type") == "SCHEDULED":
            scheduled = state.sub("state_details").optional_moment("scheduled_time")
            retry_after = None if scheduled is None else max(0.0, scheduled - self.server_now())
        return Verdict(status, state.label("type"), state.label("name"), details.label("reason"), retry_after)


def server_key(deployment_id: str, user_key: str | None, salt: str) -> str:
    """Prefect's keys are unique per *flow*: without the deployment in it, another deployment's run would come back.

    Without a user's key a random one makes the request safe to repeat.
    """
    if user_key is None:
        return f"flowops-{uuid.uuid4()}"
    text = json.dumps([user_key, deployment_id, salt])
    return f"flowops-{hashlib.sha256(text.encode()).hexdigest()}"


def check_same(run: FlowRun, deployment: Deployment, given: dict[str, t.Any]) -> None:
    """The server answers a known key with the old run whatever else the request says: compare."""
    if run.deployment_id != deployment.id:
        raise ApiError(
            f"The server answered with flow run {run.id}, which is of another deployment.",
            "Check that api_url is a Prefect API of a supported version.",
        )
    wanted = {**deployment.parameters, **given}
    names = sorted(
        name
        for name in {*wanted, *run.parameters}
        if name not in wanted or name not in run.parameters or not _same(wanted[name], run.parameters[name])
    )
    if names:
        raise SettingsError(
            f"idempotency_key was used before, for flow run {run.id}, with other parameters; these differ: "
            f"{printable(', '.join(names))}.",
            "Give the same parameters, or another key.",
        )


def _same(wanted: t.Any, stored: t.Any) -> bool:
    """A value with ``__prefect_kind`` is a recipe that the server has replaced by what it makes: not comparable."""
    if isinstance(wanted, dict) and "__prefect_kind" in wanted:
        return True
    return same(wanted, stored)


def _log_record(data: t.Any) -> LogRecord:
    fields = Fields(data, "log record")
    return LogRecord(
        fields.uuid("id"), fields.moment("timestamp"), int(fields.number("level", 20)), fields.text("message")
    )
