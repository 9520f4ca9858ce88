# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Prefect API and an infrastructure of plain dictionaries, for unit tests of the state machine.

The infrastructure is the proof that another one needs nothing but the protocol. Unlike processes its bootstrap does
not claim, so the state machine's own record and claim are tested too.
"""

from __future__ import annotations

import dataclasses
import typing as t
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiUnreachable
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import (
    TERMINAL_TYPES,
    Deployment,
    FlowRun,
    LogRecord,
    RunInput,
    Verdict,
)


def make_run(run_id: str | None = None, state: str = "SCHEDULED", **more: t.Any) -> FlowRun:
    values: dict[str, t.Any] = dict.fromkeys(field.name for field in dataclasses.fields(FlowRun))
    values.update(id=run_id or str(uuid.uuid4()), name="lively-hornet", state_type=state, state_name=state.capitalize())
    values.update(state_message="", parameters={}, job_variables={}, run_count=0, tags=(), created=0.0, state_since=0.0)
    return FlowRun(**{**values, **more})


class MemoryApi(PrefectApi):
    """The server's rules for states and write-once inputs, as far as the state machine meets them."""

    def __init__(self) -> None:
        self.server_version = "3.9.1"
        self.warnings = []
        self.now = 1000.0
        self.runs: dict[str, FlowRun] = {}
        self.inputs: dict[tuple[str, str], RunInput] = {}
        self.histories: dict[str, list[str]] = {}
        self.requests: list[str] = []
        self.unreachable = False

    def add(self, run: FlowRun) -> str:
        self.runs[run.id] = run
        return run.id

    def change(self, run_id: str, state: str, **more: t.Any) -> None:
        ended = {"end_time": self.now} if state in TERMINAL_TYPES else {}
        new = {"state_type": state, "state_name": state.capitalize(), "transition_id": None, **ended, **more}
        new.setdefault("state_since", self.now)
        new.setdefault("state_id", str(uuid.uuid4()))
        self.runs[run_id] = dataclasses.replace(self.runs[run_id], **new)
        self.histories.setdefault(run_id, []).append(state)

    def server_now(self) -> float:
        return self.now

    def ui_url(self, flow_run_id: str) -> str:
        return f"http://server/runs/flow-run/{flow_run_id}"

    def _asked(self, what: str) -> None:
        if self.unreachable:
            raise ApiUnreachable("the server does not answer")
        self.requests.append(what)

    def read_flow_runs(self, flow_run_ids: t.Iterable[str]) -> dict[str, FlowRun]:
        self._asked("filter")
        return {run_id: self.runs[run_id] for run_id in flow_run_ids if run_id in self.runs}

    def _read_flow_run(self, flow_run_id: str) -> FlowRun:
        self._asked("read")
        return self.runs[flow_run_id]

    def open_runs(self) -> t.Iterator[FlowRun]:
        self._asked("open runs")
        return (run for run in self.runs.values() if run.state_type in ("PENDING", "RUNNING", "CANCELLING"))

    def was_being_cancelled(self, flow_run_id: str) -> bool:
        self._asked("history")
        before = [state for state in self.histories[flow_run_id] if state not in TERMINAL_TYPES]
        return before[-1:] == ["CANCELLING"]

    def read_deployment(self, deployment: str) -> Deployment:
        raise NotImplementedError

    def read_code(self, deployment_ids: t.Iterable[str]) -> dict[str, tuple[str, dict[str, t.Any]]]:
        raise NotImplementedError

    def create_flow_run(self, deployment: Deployment, **more: t.Any) -> tuple[FlowRun, bool]:
        raise NotImplementedError

    def propose(
        self,
        flow_run_id: str,
        state_type: str,
        *,
        name: str | None = None,
        message: str = "",
        transition_id: str | None = None,
    ) -> Verdict:
        self._asked(f"propose {state_type}")
        run = self.runs[flow_run_id]
        if state_type == "PENDING" and run.state_type in ("PENDING", "RUNNING", "CANCELLED"):
            repeated = transition_id is not None and run.transition_id == transition_id
            reason = "This run has already made this state transition." if repeated else "not allowed"
            return Verdict("REJECT" if repeated else "ABORT", "", "", reason, None)
        if state_type == "CANCELLING" and run.state_type == "SCHEDULED":
            self.change(flow_run_id, "CANCELLED")
            return Verdict("REJECT", "CANCELLED", "Cancelled", "", None)
        self.change(flow_run_id, state_type, transition_id=transition_id, state_message=message)
        return Verdict("ACCEPT", state_type, state_type.capitalize(), "", None)

    def set_infrastructure_pid(self, flow_run_id: str, identifier: str) -> None:
        self._asked("pid")

    def read_inputs(self, flow_run_id: str) -> list[RunInput]:
        self._asked("inputs")
        return [item for (run_id, _key), item in self.inputs.items() if run_id == flow_run_id]

    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:
        self._asked(f"write {key}")
        if (flow_run_id, key) in self.inputs:
            return False
        self.inputs[(flow_run_id, key)] = RunInput(key, value, self.now)
        return True

    def read_artifacts(self, flow_run_ids: t.Sequence[str], keys: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
        raise NotImplementedError

    def read_flow_run_logs(self, flow_run_id: str, *, after: float | None = None, limit: int = 200) -> list[LogRecord]:
        raise NotImplementedError


class MemoryInfrastructure(Infrastructure):
    """Attempts in a dictionary. ``script`` is called when an attempt starts, in place of an engine."""

    type = "memory"
    bootstrap_claims = False
    #: Its bootstrap tells the server where the run is.
    bootstrap_tells = False

    def __init__(self, locus: str, script: t.Callable[[Launch], Presence]) -> None:
        self._locus = locus
        self.script = script
        self.attempts: dict[AttemptKey, Observation] = {}
        self.created: list[AttemptKey] = []
        self.on_wait: list[t.Callable[[], None]] = []
        #: How often it was looked at, and whether what is made is known without that.
        self.looks = 0
        self.shows_made = False

    @property
    def locus(self) -> str:
        return self._locus

    def preflight(self, settings: dict[str, t.Any], server_version: str) -> None:
        return None

    def preview(self, launch: Launch) -> dict[str, t.Any]:
        return {"name": launch.key.name}

    def find(self, flow_run_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        self.looks += 1
        return {key: seen for key, seen in self.attempts.items() if key.flow_run_id in flow_run_ids}

    def list_attempts(self) -> dict[AttemptKey, Observation]:
        return dict(self.attempts)

    def prepare(self, launch: Launch) -> str:
        return "" if self.bootstrap_tells else f"memory:{launch.key.name}"

    def create(self, launch: Launch) -> bool:
        if launch.key in self.attempts:
            return False
        self.created.append(launch.key)
        self.put(launch.key, self.script(launch), token=launch.token)
        return True

    def made(self, launch: Launch) -> Observation | None:
        return self.attempts[launch.key] if self.shows_made else None

    def put(self, key: AttemptKey, presence: Presence, token: str = "", **evidence: t.Any) -> None:
        self.attempts[key] = Observation(key, presence, token=token, evidence=evidence)

    def stop(self, key: AttemptKey, grace: float) -> None:
        self.put(key, Presence.FINISHED, stopped=True)

    def remove(self, key: AttemptKey) -> bool:
        return self.attempts.pop(key, None) is not None

    def read_log(self, key: AttemptKey, cursor: str) -> LogChunk:
        return LogChunk([], cursor)

    def read_log_tail(self, key: AttemptKey, lines: int) -> LogChunk:
        return LogChunk([], "")

    def wait_for_change(self, keys: t.Sequence[AttemptKey], timeout: float, output: bool) -> None:
        """Time passes: the next thing that the test planned happens."""
        if not self.on_wait:
            raise AssertionError("the state machine waits and nothing will ever happen")
        self.on_wait.pop(0)()
