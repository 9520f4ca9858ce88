# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What is known about flow runs: a page of them, with their history, logs and artifacts where asked."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runs import View, described, ids_of, run_filter
from ansible_collections.flowops.prefect.plugins.module_utils._management import Result, Session
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields, LogRecord
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise, shorten

_RUNS = 100
_ARTIFACTS = 10_000
_LEVELS = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"))


def inform(session: Session) -> Result:
    """Look, and change nothing."""
    options = session.options
    wanted = run_filter(session, options)
    newest_first = options.get("order", "newest_first") == "newest_first"
    limit = options.get("limit", max(_RUNS, len(wanted.ids)))
    found = session.catalog.list_runs(wanted, limit, options.get("offset", 0), newest_first)
    runs = [_run(session, described(session, run)) for run in found]
    missing = set(ids_of(options)).difference(run["flow_run_id"] for run in runs)
    if missing and not set(options).intersection(("filter", "limit", "offset")):
        raise SettingsError(f"There is no flow run {', '.join(sorted(missing))}.", "Check the ids.", "not_found")
    result: Result = {
        "changed": False,
        "msg": f"{len(runs)} flow runs",
        "flow_runs": runs,
        "flow_run_ids": [run["flow_run_id"] for run in runs],
        "total": session.catalog.count_runs(wanted),
    }
    if len(runs) == 1:
        result["flow_run"] = runs[0]
    return result


def _run(session: Session, view: View) -> View:
    options, run_id = session.options, view["flow_run_id"]
    if options.get("history"):
        view["history"] = [_state(Fields(state, "state")) for state in session.catalog.list_states(run_id)]
    if options.get("artifacts"):
        view["artifacts"] = [_artifact(one) for one in session.catalog.list_artifacts(run_id, _ARTIFACTS)]
    limit = options.get("log_limit", 0)
    if limit:
        records = _read_logs(session.api, run_id, limit)
        view["logs"] = [_record(record) for record in records]
    return view


def _state(state: Fields) -> View:
    return {
        "state": state.label("name"),
        "state_type": state.state_type("type"),
        "state_message": state.label("message"),
        "at": state.text("timestamp"),
    }


def _artifact(artifact: t.Mapping[str, t.Any]) -> View:
    return {name: artifact.get(name) for name in ("key", "type", "description", "data", "created")}


def _record(record: LogRecord) -> View:
    moment = datetime.datetime.fromtimestamp(record.timestamp, datetime.timezone.utc)
    lines = [shorten(neutralise(line)) for line in record.message.splitlines()]
    return {
        "at": moment.isoformat().replace("+00:00", "Z"),
        "level": next((name for level, name in _LEVELS if record.level >= level), "DEBUG"),
        "message": "\n".join(lines),
    }


def _read_logs(api: PrefectApi, run_id: str, limit: int) -> list[LogRecord]:
    """From the first record on; pages overlap, since several records may have one moment."""
    found: dict[str, LogRecord] = {}
    after: float | None = None
    while len(found) < limit:
        page = api.read_flow_run_logs(run_id, after=after)
        fresh = [record for record in page if record.id not in found]
        if not fresh:
            break
        found.update((record.id, record) for record in fresh)
        after = page[-1].timestamp
    return list(found.values())[:limit]
