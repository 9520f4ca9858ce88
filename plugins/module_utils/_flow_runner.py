# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The flow runner that is attached to a deployment, a run or a pool: its form, its checks, its JSON schema.

Users write it flat: ``{type: docker, image: …}``. On the server it is a job variable of its own, in the form of
Prefect's first flow runners: ``{"flow_runner": {"type": "docker", "config": {"image": …}}}``. Whoever launches a run
takes the run's own, else the deployment's.
"""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._checks import clean_all
from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    RUNNER_SCOPES,
    SETTINGS_SCOPES,
    Field,
    exclusive_groups_of,
    fields_of,
)
from ansible_collections.flowops.prefect.plugins.module_utils._problems import (
    Problem,
    ProblemsError,
    described,
    did_you_mean,
)

#: The job variable that holds it.
JOB_VARIABLE = "flow_runner"
#: ``universal`` leaves the kind of infrastructure to whoever launches.
TYPES = ("universal", *sorted(RUNNER_SCOPES))

_NAMESPACE = "namespace"  # reaches the cluster and describes the Job


def fields_of_type(runner_type: str) -> tuple[Field, ...]:
    """The settings that a flow runner of this type may have: what describes a run, and no secrets."""
    if runner_type == "universal":
        return tuple(field for field in fields_of("subprocess") if field.name == "env")
    scopes = ("universal", *SETTINGS_SCOPES)
    return tuple(
        field
        for field in fields_of(runner_type)
        if field.name == _NAMESPACE or (field.scope in scopes and field.per_run and not field.secret)
    )


def checked(value: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What a user wrote, cleaned. :raises ProblemsError: lists everything that is wrong."""
    runner_type = value.get("type")
    if runner_type is None:
        raise ProblemsError([Problem("type", "is missing", f"Give one of: {', '.join(TYPES)}.")])
    if runner_type not in TYPES:
        what = f"is {described(runner_type)}, which is none of: {', '.join(TYPES)}"
        raise ProblemsError([Problem("type", what, did_you_mean(str(runner_type), TYPES))])
    settings = {name: entry for name, entry in value.items() if name != "type"}
    problems = []
    if settings.pop("secret_env", None) is not None:
        remedy = "Give secret_env where the run is launched, or refer to a block of Prefect's in env."
        problems.append(Problem("secret_env", "would be readable on the server", remedy))
    fields = fields_of_type(runner_type)
    good, _bad, found = clean_all(fields, settings)
    problems.extend(found)
    for group, reason in exclusive_groups_of(fields):
        names = [name for name in group if settings.get(name) is not None]
        if len(names) > 1:
            problems.append(Problem(" and ".join(names), f"cannot be combined: {reason}", "Keep one of them."))
    if problems:
        raise ProblemsError(problems)
    return {"type": runner_type, **good}


def stored(flow_runner: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The value of the job variable."""
    config = {name: value for name, value in flow_runner.items() if name != "type"}
    return {"type": flow_runner["type"], "config": config}


def attached(job_variables: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """The flow runner among job variables, flat; None where there is none that can be read."""
    value = job_variables.get(JOB_VARIABLE)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    config = value.get("config")
    return {**(config if isinstance(config, dict) else {}), "type": value["type"]}


def base_job_template() -> dict[str, t.Any]:
    """The template of pools of type ``ansible``: with it the server itself refuses a bad flow runner."""
    return {
        "job_configuration": {JOB_VARIABLE: "{{ flow_runner }}"},
        "variables": {
            "type": "object",
            "properties": {JOB_VARIABLE: _schema()},
            "additionalProperties": False,
        },
    }


def _schema() -> dict[str, t.Any]:
    """By if and then: with oneOf the server could not say which setting is wrong."""
    return {
        "title": "Flow runner",
        "description": "Which infrastructure runs the flow, and its settings (collection flowops.prefect).",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "enum": list(TYPES)}, "config": {"type": "object"}},
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"type": {"const": runner_type}}},
                "then": {"properties": {"config": _config_schema(runner_type)}},
            }
            for runner_type in TYPES
        ],
    }


def _config_schema(runner_type: str) -> dict[str, t.Any]:
    return {
        "type": "object",
        "properties": {field.name: _value_schema(field) for field in fields_of_type(runner_type)},
        "additionalProperties": False,
    }


_JSON_TYPES = {
    "str": "string",
    "path": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}


def _value_schema(field: Field) -> dict[str, t.Any]:
    schema: dict[str, t.Any] = {"type": _JSON_TYPES[field.type]}
    bounds = {"minimum": field.minimum, "exclusiveMinimum": field.above, "maximum": field.maximum}
    schema.update({name: bound for name, bound in bounds.items() if bound is not None})
    if field.type == "str":
        schema["maxLength"] = field.longest
    if field.elements:
        schema["items"] = {"type": _JSON_TYPES[field.elements]}
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.kind == "env":
        schema["additionalProperties"] = {"type": ["string", "null"]}
    return schema
