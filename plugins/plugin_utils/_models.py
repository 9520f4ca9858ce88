# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""What users type, checked with pydantic on the controller: mistakes are reported before any host is touched.

The schema is made from the same field table, checks and rules as the host's own validation, so that both say the same
words. It is handed to ``pydantic_core``, the part of pydantic that validates: to make classes for it would take longer
than everything else that a task without work does on the controller (0.1 s of 0.2 s, measured). Where pydantic is
missing, ``HAS_PYDANTIC`` is False and the same checks are run without it.
"""

from __future__ import annotations

import functools
import typing as t

try:
    from pydantic_core import SchemaValidator, ValidationError, core_schema
except ImportError:
    HAS_PYDANTIC = False
else:
    HAS_PYDANTIC = True

from ansible_collections.flowops.prefect.plugins.module_utils._checks import clean
from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    Field,
    accept_results,
    fields_of,
    per_run_fields_of,
    without_result_keys,
)
from ansible_collections.flowops.prefect.plugins.module_utils._problems import (
    Problem,
    ProblemsError,
    join,
    unknown_option,
)
from ansible_collections.flowops.prefect.plugins.module_utils._rules import rule_problems
from ansible_collections.flowops.prefect.plugins.module_utils._task import problem_texts, problems_of


def validate_on_controller(args: t.Mapping[str, t.Any], runner_type: str) -> list[str]:
    """Everything that is wrong with a task's arguments, in the words of the host's validation; empty when all is well.

    :arg args: templated, fallbacks from the environment filled in. ansible-core 2.17 hands texts where templates made
        numbers; they are converted as Ansible's argument spec would.
    """
    if not HAS_PYDANTIC:
        return problems_of(args, runner_type)
    options = by_name(fields_of(runner_type), args)
    problems: list[Problem] = []
    try:
        options = task_validator(runner_type).validate_python(options)
    except ValidationError as exc:
        problems = _problems(exc, runner_type)
        options = accept_results(options)
    problems.extend(rule_problems(options, runner_type))
    return problem_texts(problems, args, runner_type)


@functools.cache
def task_validator(runner_type: str) -> SchemaValidator:
    """What validates a runner module's arguments. Made at first use: no play needs all of them."""
    members = {field.name: _member(field, _schema(field)) for field in fields_of(runner_type)}
    if "runs" in members:
        entry_fields = per_run_fields_of(runner_type)
        entry = _mapping({field.name: _member(field, _schema(field)) for field in entry_fields})
        runs = next(field for field in fields_of(runner_type) if field.name == "runs")
        clean_runs = functools.partial(_clean_runs, runs, entry_fields)
        members["runs"] = _member(runs, core_schema.list_schema(entry), clean_runs)
    # What was typed is never repeated.
    return SchemaValidator(_mapping(members), core_schema.CoreConfig(hide_input_in_errors=True))


def _mapping(members: dict[str, t.Any]) -> t.Any:
    """Options by their names; none is required here, the rules know better, and no other is accepted."""
    return core_schema.typed_dict_schema(members, extra_behavior="forbid", total=False)


def _member(field: Field, schema: t.Any, convert: t.Callable[[t.Any], t.Any] | None = None) -> t.Any:
    """One option: what its check in the field table makes of it has to be of its type."""
    check = convert or functools.partial(clean, field)
    return core_schema.typed_dict_field(core_schema.no_info_before_validator_function(check, schema))


def _schema(field: Field) -> t.Any:
    """The type of an option's value, once it is checked."""
    if field.type != "list":
        return _typed(field.type)
    return core_schema.list_schema(core_schema.any_schema() if field.elements == "raw" else _typed(field.elements))


def _typed(kind: str) -> t.Any:
    """A value of one of Ansible's types; what is none of these is a text."""
    if kind == "dict":
        return core_schema.dict_schema(keys_schema=core_schema.str_schema())
    if kind == "bool":
        return core_schema.bool_schema()
    if kind in ("int", "float"):
        return core_schema.int_schema() if kind == "int" else core_schema.float_schema()
    return core_schema.str_schema()


def _clean_runs(field: Field, entry_fields: tuple[Field, ...], value: t.Any) -> t.Any:
    """Entries as users write them or as an earlier result holds them."""
    return [by_name(entry_fields, without_result_keys(entry)) for entry in clean(field, value)]


def by_name(fields: t.Iterable[Field], options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Options under their main names, without what was left open and what is Ansible's own."""
    names = {alias: field.name for field in fields for alias in field.aliases}
    return {
        names.get(key, key): value
        for key, value in options.items()
        if value is not None and not str(key).startswith("_ansible_")
    }


def _problems(exc: ValidationError, runner_type: str) -> list[Problem]:
    """pydantic's findings in our own words."""
    problems: list[Problem] = []
    for error in exc.errors(include_url=False, include_input=False):
        cause = error.get("ctx", {}).get("error")
        if isinstance(cause, ProblemsError):
            problems.extend(problem.under(_path(error["loc"])) for problem in cause.problems)
        else:
            problems.append(_other_problem(error["loc"], error["type"], runner_type))
    return problems


def _other_problem(loc: tuple[int | str, ...], kind: str, runner_type: str) -> Problem:
    """Options that do not exist, the one thing that pydantic finds by itself."""
    if kind not in ("extra_forbidden", "invalid_key"):
        return Problem(_path(loc), "cannot be read", "Give a value of the documented type.")
    fields = per_run_fields_of(runner_type) if loc[0] == "runs" else fields_of(runner_type)
    known = {name for field in fields for name in field.names}
    return unknown_option(loc[-1], known).under(_path(loc[:-1]))


def _path(loc: tuple[int | str, ...]) -> str:
    """``("runs", 2, "env")`` as people write it: ``runs[2].env``."""
    return functools.reduce(join, (f"[{part}]" if isinstance(part, int) else part for part in loc), "")
