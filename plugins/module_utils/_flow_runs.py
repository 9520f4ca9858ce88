# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Flow runs as the management modules show and find them."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._management import Session
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document, RunFilter
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields

View = dict[str, t.Any]


def described(session: Session, run: Document) -> View:
    """A run of the server in the words of the runner modules' results."""
    fields = Fields(run, "flow run")
    state = fields.sub("state")
    return {
        "flow_run_id": fields.uuid("id"),
        "name": fields.label("name"),
        "url": session.api.ui_url(fields.uuid("id")),
        "deployment_id": fields.optional_uuid("deployment_id"),
        "state": state.label("name"),
        "state_type": state.state_type("type"),
        "state_message": state.label("message"),
        "parameters": fields.mapping("parameters"),
        "job_variables": fields.mapping("job_variables"),
        "tags": list(fields.texts("tags")),
        "run_count": int(fields.number("run_count", 0)),
        "work_pool_name": fields.optional_text("work_pool_name"),
        "work_queue_name": fields.optional_text("work_queue_name"),
        "infrastructure_pid": fields.optional_text("infrastructure_pid"),
        "created_at": fields.optional_text("created"),
        "expected_at": fields.optional_text("expected_start_time"),
        "started_at": fields.optional_text("start_time"),
        "finished_at": fields.optional_text("end_time"),
    }


def run_filter(session: Session, options: t.Mapping[str, t.Any]) -> RunFilter:
    """What the options of a filter, and ids beside them, ask for; a deployment that is not there is an error."""
    common = options.get("filter", {})
    deployments = tuple(session.api.read_deployment(name).id for name in common.get("deployments", ()))
    return RunFilter(
        ids=tuple(ids_of(options)),
        deployments=deployments,
        flows=tuple(common.get("flows", ())),
        states=tuple(common.get("states", ())),
        tags=tuple(common.get("tags", ())),
        work_pools=tuple(common.get("work_pools", ())),
        name=common.get("name", ""),
        after=common.get("after", ""),
        before=common.get("before", ""),
    )


def ids_of(options: t.Mapping[str, t.Any]) -> list[str]:
    """The runs that are named by id, each once."""
    given = options.get("flow_run_ids", [options["flow_run_id"]] if "flow_run_id" in options else [])
    return list(dict.fromkeys(given))
