# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Deployments as they are to be: what differs from what the server has, and the requests that mend it."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fit import check_fit, kept
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_rules import check_options as check_entry
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_rules import (
    deployment_problems,
    has_interpreter,
    merged,
)
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import JOB_VARIABLE, attached, stored
from ansible_collections.flowops.prefect.plugins.module_utils._flow_source import read_flows, read_prefect_yaml
from ansible_collections.flowops.prefect.plugins.module_utils._management import Result, Session
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document, RunFilter
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_yaml import entries_of
from ansible_collections.flowops.prefect.plugins.module_utils._same import same
from ansible_collections.flowops.prefect.plugins.module_utils._schedules import completed, flat, in_order, nested, steps
from ansible_collections.flowops.prefect.plugins.module_utils._storage import REMEDY, local_directory, unreachable_code
from ansible_collections.flowops.prefect.plugins.module_utils._task import joined_error

View = dict[str, t.Any]

#: Options that are fields of the server's too, and what they are where nothing was said.
_PLAIN: View = {
    "entrypoint": "",
    "path": "",
    "description": "",
    "version": "",
    "work_pool_name": "",
    "work_queue_name": "",
    "pull_steps": [],
    "flow_data": "",
    "parameters": {},
    "parameter_openapi_schema": {},
    "enforce_parameter_schema": True,
    "paused": False,
}
_BLANK: View = {
    **_PLAIN,
    "tags": [],
    "schedules": [],
    "concurrency_limit": 0,
    "job_variables": {},
    "flow_runner": None,
}
#: What Prefect 3 makes of an empty schema.
_NO_SCHEMA = {"type": "object", "properties": {}}
#: Options that are checked together.
_OF_PARAMETERS = {"parameters", "parameter_openapi_schema", "enforce_parameter_schema"}
_OF_STORAGE = {"entrypoint", "path", "pull_steps", "flow_runner"}
_OF_POOL = {"work_pool_name", "job_variables", "flow_runner"}
#: States of runs that may still be launched.
_OPEN = ("SCHEDULED", "PENDING", "PAUSED", "RUNNING")
#: A page of them is plenty: the server's scheduler makes at most 100 for a schedule.
_MOST_RUNS = 10_000


# What it looks like


def described(found: Document) -> View:
    """A deployment of the server in the words of the options; empty text and 0 say that there is none."""
    fields = Fields(found, "deployment")
    variables = fields.mapping("job_variables")
    limit = fields.sub("global_concurrency_limit").number("limit", fields.number("concurrency_limit", 0))
    view: View = {name: blank if found.get(name) is None else found[name] for name, blank in _PLAIN.items()}
    view["parameter_openapi_schema"] = _told_schema(view["parameter_openapi_schema"])
    view["tags"] = sorted(fields.texts("tags"))
    view["schedules"] = in_order(flat(schedule) for schedule in fields.items("schedules"))
    view["concurrency_limit"] = int(limit)
    view["flow_runner"] = attached(variables)
    view["job_variables"] = {name: value for name, value in variables.items() if name != JOB_VARIABLE}
    return view


def planned(before: View | None, wanted: t.Mapping[str, t.Any]) -> View:
    """What it will look like: what is given replaces, the rest stays."""
    start = _BLANK if before is None else before
    after = {**start, **{name: wanted[name] for name in _BLANK if name in wanted}}
    after["parameter_openapi_schema"] = _told_schema(after["parameter_openapi_schema"])
    after["flow_runner"] = after["flow_runner"] or None
    after["tags"] = sorted(set(after["tags"]))
    after["schedules"] = (
        completed(wanted["schedules"], start["schedules"]) if "schedules" in wanted else start["schedules"]
    )
    if after["work_pool_name"] != start["work_pool_name"] and "work_queue_name" not in wanted:
        after["work_queue_name"] = "default" if after["work_pool_name"] else ""
    return after


def _told_schema(schema: View) -> View:
    return {} if schema == _NO_SCHEMA else schema


def differences(before: View | None, after: View) -> list[str]:
    """The options that differ."""
    return [name for name in after if before is None or not same(before[name], after[name])]


def request(after: View, names: t.Collection[str]) -> Document:
    """The fields of a request for these options, schedules apart."""
    body: Document = {}
    for name in names:
        if name in _PLAIN:
            body[name] = None if after[name] == "" else after[name]
    if "tags" in names:
        body["tags"] = after["tags"]
    if "concurrency_limit" in names:
        body["concurrency_limit"] = after["concurrency_limit"] or None
    if "job_variables" in names or "flow_runner" in names:
        runner = {} if after["flow_runner"] is None else {JOB_VARIABLE: stored(after["flow_runner"])}
        body["job_variables"] = {**after["job_variables"], **runner}
    # Without the pool the server does not check the variables, and without the queue it goes back to "default".
    if {"job_variables", "flow_runner", "work_pool_name", "work_queue_name"}.intersection(names):
        body.update({name: after[name] or None for name in ("work_pool_name", "work_queue_name")})
    return body


# The module


@dataclasses.dataclass
class _Planned:
    """One deployment of the task, and what is to happen to it."""

    flow: str
    name: str
    wanted: View
    found: Document | None
    before: View | None
    after: View | None
    changed: list[str]

    @property
    def label(self) -> str:
        return f"{self.flow}/{self.name}"

    @property
    def action(self) -> str:
        if self.after is None:
            return "none" if self.before is None else "removed"
        if self.before is None:
            return "created"
        return "changed" if self.changed else "none"


def manage(session: Session) -> Result:
    """Look at all of them, refuse what cannot work, and only then begin."""
    entries = _entries(session)
    for entry in entries:
        check_fit(session.api.generation, "deployment", entry)
    _read_sources(session, entries)
    absent = session.options.get("state") == "absent"
    deployments = [_plan(session, entry, absent) for entry in entries]
    _refuse_same_twice(deployments)
    if not absent:
        _check(session, deployments)
    if not session.check_mode:
        for one in deployments:
            _perform(session, one)
            session.changed = session.changed or one.action != "none"
    return _result(session, deployments)


def _entries(session: Session) -> list[View]:
    """The deployments of the task, each with everything that is said about it."""
    options = session.options
    if "from_file" in options:
        return _entries_of_file(session)
    if "deployments" in options:
        return [merged(options, entry) for entry in options["deployments"]]
    return [merged(options, {})]


def _entries_of_file(session: Session) -> list[View]:
    options, path = session.options, session.options["from_file"]
    raw, warnings = entries_of(read_prefect_yaml(options, path))
    session.warnings.extend(warnings)
    api = {"api_url": options["api_url"]}
    checked, problems = check_entry("deployment", {**api, "deployments": [merged(options, one) for one in raw]})
    if problems:
        raise joined_error([f"from_file: {problem}" for problem in problems])
    here = {"source_dir": os.path.dirname(path)}
    step = {"prefect.deployments.steps.set_working_directory": {"directory": here["source_dir"]}}
    entries = []
    for one in checked["deployments"]:
        fetched = {} if "pull_steps" in one or "path" in one else {"pull_steps": [step]}
        entries.append({**here, **fetched, **one})
    missing = [problem for entry in entries for problem in deployment_problems(entry, "from_file: ")]
    if missing:
        raise joined_error([str(problem) for problem in missing])
    return entries


# What the code says


def _read_sources(session: Session, entries: t.Sequence[View]) -> None:
    """Fill in names of flows and schemas of parameters where an interpreter is given that can tell them."""
    groups: dict[tuple[t.Any, ...], list[View]] = {}
    for entry in entries:
        complete = "flow" in entry and ("parameter_openapi_schema" in entry or session.options.get("state") == "absent")
        if "entrypoint" in entry and has_interpreter(entry) and not complete:
            key = (*(entry.get(name) for name in ("python", "virtualenv", "condaenv")), _source_directory(entry))
            groups.setdefault(key, []).append(entry)
    for key, members in groups.items():
        entrypoints = list(dict.fromkeys(entry["entrypoint"] for entry in members))
        flows = read_flows(members[0], key[-1], entrypoints, _api_variables(session))
        for entry in members:
            _fill_in(entry, flows[entry["entrypoint"]])


def _fill_in(entry: View, flow: t.Mapping[str, t.Any]) -> None:
    if entry.setdefault("flow", flow["name"]) != flow["name"]:
        raise SettingsError(
            f"flow is {printable(entry['flow'], 100)}, and the flow of {entry['entrypoint']} is called "
            f"{printable(flow['name'], 100)}.",
            "Leave flow out, or correct one of them.",
        )
    entry.setdefault("parameter_openapi_schema", flow["schema"])


def _source_directory(entry: View) -> str:
    directory = entry.get("source_dir") or local_directory(entry)
    if directory is None:
        raise SettingsError(
            f"source_dir is missing: {entry['entrypoint']} is to be read, and nothing says where it lies on this host.",
            "Give source_dir, or flow and parameter_openapi_schema.",
        )
    return os.path.expanduser(directory)


def _api_variables(session: Session) -> dict[str, str]:
    """Flows may look things up while they are imported."""
    names = {"api_url": "PREFECT_API_URL", "api_key": "PREFECT_API_KEY", "api_auth_string": "PREFECT_API_AUTH_STRING"}
    return {variable: session.options[name] for name, variable in names.items() if name in session.options}


# Planning


def _plan(session: Session, entry: View, absent: bool) -> _Planned:
    found = session.catalog.find_deployment(entry["flow"], entry["name"])
    before = None if found is None else described(found)
    if absent:
        return _Planned(entry["flow"], entry["name"], entry, found, before, None, [])
    after = planned(before, entry)
    _refuse_impossible(session, entry, before, after)
    if before is None and after["entrypoint"] and "parameter_openapi_schema" not in entry:
        raise SettingsError(
            f"{entry['flow']}/{entry['name']}: parameter_openapi_schema is missing for a new deployment.",
            "Give virtualenv (or python) to have it read from the code, or give it; {} says that nothing is known.",
        )
    changed = differences(before, kept(session.api.generation, "deployment", after))
    return _Planned(entry["flow"], entry["name"], entry, found, before, after, changed)


def _refuse_impossible(session: Session, entry: View, before: View | None, after: View) -> None:
    """What the server's generation cannot do to a deployment as it is now."""
    generation, label = session.api.generation, f"{entry['flow']}/{entry['name']}"
    if before is None and generation.can(Ability.FLOW_DATA) and not after["flow_data"]:
        raise SettingsError(
            f"{label}: flow_data is missing for a new deployment on {generation.name}.", "Give the flow's source."
        )
    leaves = before is not None and before["work_pool_name"] and not after["work_pool_name"]
    if leaves and not generation.can(Ability.LEAVING_POOLS):
        raise generation.refusal(Ability.LEAVING_POOLS, f"{label}: work_pool_name")


def _refuse_same_twice(deployments: t.Sequence[_Planned]) -> None:
    labels = [one.label for one in deployments]
    for label in labels:
        if labels.count(label) > 1:
            raise SettingsError(f"{label} is named {labels.count(label)} times.", "Name every deployment once.")


def _check(session: Session, deployments: t.Sequence[_Planned]) -> None:
    """What would be refused later, or would never run, is said before anything is changed."""
    pools = _pools(session, deployments)
    fitting: set[str] = set()
    for one in deployments:
        after = one.after or {}
        _check_storage(session, one)
        _check_job_variables(session, one, pools, fitting)
        if _OF_PARAMETERS.intersection(one.changed) and after["enforce_parameter_schema"]:
            found = session.catalog.schema_problems(after["parameter_openapi_schema"], after["parameters"])
            if found:
                raise SettingsError(
                    f"{one.label}: parameters do not fit the flow: {'; '.join(found)}.", "Correct parameters."
                )


def _pools(session: Session, deployments: t.Sequence[_Planned]) -> dict[str, Document]:
    """The work pools that something is said about; those that the task names have to be there."""
    present = [(one, one.after["work_pool_name"]) for one in deployments if one.after and one.after["work_pool_name"]]
    named = {name for one, name in present if "work_pool_name" in one.wanted}
    found = {}
    for name in sorted({*named, *(name for one, name in present if _OF_POOL.intersection(one.changed))}):
        pool = session.catalog.find_pool(name)
        if pool is not None:
            found[name] = pool
        elif name in named:
            raise SettingsError(
                f"work_pool_name: there is no work pool {printable(name, 100)}.",
                "Create it with flowops.prefect.work_pool, or correct the name.",
            )
        if name in named and Fields(pool, "work pool").flag("is_paused", False):
            session.warnings.append(f"The work pool {printable(name, 100)} is paused: no worker takes runs from it.")
    return found


def _check_job_variables(session: Session, one: _Planned, pools: t.Mapping[str, Document], fitting: set[str]) -> None:
    """:arg fitting: what is known to fit; many deployments say the same."""
    after = one.after or {}
    name = after.get("work_pool_name", "")
    if name not in pools or not _OF_POOL.intersection(one.changed):
        return
    schema = Fields(pools[name], "work pool").mapping("base_job_template").get("variables")
    given = request(after, ("job_variables",))["job_variables"]
    said = {variable: value for variable, value in given.items() if value is not None}  # null is "not said" there
    key = json.dumps([name, said], sort_keys=True)
    if not schema or not said or key in fitting:
        return
    found = session.catalog.schema_problems(schema, said)
    if found:
        raise SettingsError(
            f"{one.label}: job variables do not fit the work pool {printable(name, 100)}: {'; '.join(found)}.",
            "Correct job_variables or flow_runner, or the pool's base job template.",
        )
    fitting.add(key)


def _check_storage(session: Session, one: _Planned) -> None:
    mode = one.wanted.get("storage_check", "strict")
    asked = mode != "off" and _OF_STORAGE.intersection(one.changed)
    reason = unreachable_code(one.after or {}) if asked else None
    if reason is None:
        return
    if mode == "strict":
        raise SettingsError(f"{one.label}: {reason}.", REMEDY)
    session.warnings.append(f"{one.label}: {reason}. {REMEDY}")


# Doing


def _perform(session: Session, one: _Planned) -> None:
    if one.action == "none":
        return
    try:
        if one.found is not None and one.action == "removed":
            session.catalog.delete_deployment(one.found["id"])
        elif one.found is None:
            one.found = _create(session, one)
        else:
            _change(session, one, one.found)
    except ApiError as error:
        if error.status not in (400, 409, 422):
            raise
        raise SettingsError(f"{one.label}: {error.message}", error.remedy) from None


def _create(session: Session, one: _Planned) -> Document:
    after = one.after or {}
    given = [name for name in one.changed if name in one.wanted]
    body = {"name": one.name, **request(after, given)}
    body["schedules"] = [nested(schedule) for schedule in after["schedules"]]
    made = session.catalog.create_deployment(one.flow, body)
    _mend_schedules(session, one, made)
    return made


def _change(session: Session, one: _Planned, found: Document) -> None:
    after = one.after or {}
    if "flow_runner" in one.changed:
        _pin_runs(session, found)
    if "schedules" in one.changed:
        _mend_schedules(session, one, found)  # first: only the server knows whether it takes them
        session.changed = True
    body = request(after, one.changed)
    if body:
        session.catalog.update_deployment(found["id"], body)


def _mend_schedules(session: Session, one: _Planned, found: Document) -> None:
    """One by one: the update of a deployment makes all of them anew, and forgets ``max_scheduled_runs``."""
    if "schedules" not in one.wanted:
        return
    after = completed(one.wanted["schedules"], [flat(schedule) for schedule in found["schedules"]])
    plan = steps(found["schedules"], after)
    session.catalog.change_schedules(found["id"], plan.create, plan.update, plan.delete)


def _pin_runs(session: Session, found: Document) -> None:
    """Runs that exist keep the flow runner that they were made with; the server itself keeps it at the deployment."""
    old = found["job_variables"].get(JOB_VARIABLE) or stored({"type": "universal"})
    wanted = RunFilter(deployments=(found["id"],), states=_OPEN)
    for run in session.catalog.list_runs(wanted, _MOST_RUNS):
        own = Fields(run, "flow run").mapping("job_variables")
        if JOB_VARIABLE not in own:
            session.catalog.set_run_job_variables(run["id"], {**own, JOB_VARIABLE: old})


# The answer


def _result(session: Session, deployments: t.Sequence[_Planned]) -> Result:
    listed = [_answer(session, one) for one in deployments]
    changed = [one for one in deployments if one.action != "none"]
    counted = {action: sum(one.action == action for one in deployments) for action in ("created", "changed", "removed")}
    words = [f"{number} {action}" for action, number in counted.items() if number]
    result: Result = {
        "changed": bool(changed),
        "msg": f"{', '.join(words) or 'nothing to change'} of {len(deployments)} deployments",
        "deployments": listed,
        "diff": {
            "before": {one.label: _shown(session, one, one.before) for one in changed if one.before is not None},
            "after": {one.label: _shown(session, one, one.after) for one in changed if one.after is not None},
        },
    }
    if len(listed) == 1:
        result["deployment"] = listed[0]
    return result


def _shown(session: Session, one: _Planned, view: View) -> View:
    """For a difference: of a change what changes, else all."""
    if one.action == "changed":
        return {name: view[name] for name in one.changed}
    return kept(session.api.generation, "deployment", view)


def _answer(session: Session, one: _Planned) -> View:
    deployment_id = None if one.found is None else one.found["id"]
    view = one.after if one.after is not None else one.before
    return {
        "deployment": one.label,
        "deployment_id": deployment_id,
        "url": session.catalog.deployment_url(deployment_id) if deployment_id else "",
        "action": one.action,
        "changed_options": one.changed if one.action == "changed" else [],
        **kept(session.api.generation, "deployment", view or {}),
    }
