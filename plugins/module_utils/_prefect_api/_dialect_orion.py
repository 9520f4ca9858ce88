# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Orion 2.0b6 in the words of Prefect 3."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import CLAIM_MARK, RESERVED, in_later_words
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import INPUT_PREFIX
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_common import CommonApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import ORION, Ability
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import (
    Deployment,
    Fields,
    FlowRun,
    RunInput,
    Verdict,
)


class PrefectApiOrion(CommonApi):
    """Orion 2.0b6: no work pools, no inputs, no Cancelling, no Crashed, no claim that excludes others."""

    generation = ORION
    _page_of_run = "flow-run"

    def _state(self, state: dict[str, t.Any]) -> dict[str, t.Any]:
        return in_later_words(state)

    def _proposal(self, state: dict[str, t.Any]) -> dict[str, t.Any]:
        if state["type"] == "CANCELLING":
            raise self.generation.refusal(Ability.CANCELLING, "the flow run")
        if state["type"] == "CRASHED":
            return {**state, "type": "FAILED", "name": "Crashed"}
        token = state.get("state_details", {}).get("transition_id")
        if token is not None:
            return {"type": state["type"], "name": state["name"], "message": f"{CLAIM_MARK}{token}"}
        return state

    def _needs_force(self, state_type: str) -> bool:
        """Of a run that was stopped its engine may say last that it crashed."""
        return state_type == "CANCELLED"

    def claim(self, flow_run_id: str, token: str) -> Verdict:
        """It takes a claim over every state but an end: one that somebody else has made is looked for first."""
        run = self.read_flow_run(flow_run_id)
        if run.scheduled or run.transition_id == token:
            return super().claim(flow_run_id, token)
        return Verdict("ABORT", run.state_type, run.state_name, "another launcher has this run", None)

    def _own_job_variables(self, fields: Fields) -> dict[str, t.Any]:
        """Its flow runner, where later servers keep it; the run has a copy of its deployment's."""
        found = fields.mapping("flow_runner")
        return {"flow_runner": {"type": found.get("type") or "universal", "config": found.get("config") or {}}}

    def _prepare_creation(self, deployment: Deployment, body: dict[str, t.Any]) -> None:  # noqa: ARG002
        body["state"] = {"type": "PENDING", "name": "Pending", "message": RESERVED}

    def set_infrastructure_pid(self, flow_run_id: str, identifier: str) -> None:
        """It has no place for that, and no cancelling that would look there."""

    def open_runs(self) -> t.Iterator[FlowRun]:
        return iter(())

    def read_artifacts(
        self,
        flow_run_ids: t.Sequence[str],  # noqa: ARG002
        keys: t.Sequence[str],  # noqa: ARG002
    ) -> dict[str, dict[str, t.Any]]:
        raise self.generation.refusal(Ability.ARTIFACTS, "artifacts")

    def read_inputs(self, flow_run_id: str) -> list[RunInput]:
        raise self.generation.refusal(Ability.RECORDS, f"flow run {flow_run_id}")

    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:  # noqa: ARG002
        raise self.generation.refusal(Ability.RECORDS, f"{INPUT_PREFIX}*")
