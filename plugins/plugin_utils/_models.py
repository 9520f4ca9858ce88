# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""pydantic models of what users type, for the controller: mistakes are reported before any host is touched.

Made from the same field table, checks and rules as the host's own validation, so that both say the same words. Where
pydantic is missing, ``HAS_PYDANTIC`` is False and the same checks are run without models.
"""

from __future__ import annotations

import functools
import typing as t

try:
    import pydantic
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

_TYPES: dict[str, t.Any] = {
    "str": str,
    "path": str,
    "int": int,
    "float": float,
    "bool": bool,
    "dict": dict[str, t.Any],
    "list": list[str],
}


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
        options = task_model(runner_type, frozenset(options)).model_validate(options).model_dump(exclude_none=True)
    except pydantic.ValidationError as exc:
        problems = _problems(exc, runner_type)
        options = accept_results(options)
    problems.extend(rule_problems(options, runner_type))
    return problem_texts(problems, args, runner_type)


@functools.cache
def task_model(runner_type: str, given: frozenset[str] | None = None) -> type[pydantic.BaseModel]:
    """The model of a runner module's arguments. Made at first use: no play needs all of them.

    :arg given: the options that are there, since each costs time and none is required; ``None`` for all that may be.
    """
    fields = [field for field in fields_of(runner_type) if given is None or field.name in given]
    members = {field.name: _member(field, _type(field)) for field in fields}
    if "runs" in members:
        entry_fields = per_run_fields_of(runner_type)
        entry = _model("RunEntry", {field.name: _member(field, _type(field)) for field in entry_fields})
        runs = next(field for field in fields_of(runner_type) if field.name == "runs")
        members["runs"] = _member(runs, list[entry], functools.partial(_clean_runs, runs, entry_fields))  # type: ignore[valid-type]
    return _model("Task", members)


def _type(field: Field) -> t.Any:
    elements = {"dict": list[dict[str, t.Any]], "raw": list[t.Any]}
    return elements.get(field.elements) or _TYPES[field.type]


def _model(name: str, members: dict[str, t.Any]) -> type[pydantic.BaseModel]:
    """A model that refuses what is no option, and never repeats what was typed."""
    config = pydantic.ConfigDict(extra="forbid", hide_input_in_errors=True)
    return pydantic.create_model(name, __config__=config, **members)


def _member(field: Field, kind: t.Any, convert: t.Callable[[t.Any], t.Any] | None = None) -> tuple[t.Any, None]:
    """One option, as ``create_model`` wants it: nothing is required here, the rules know better."""
    check = convert or functools.partial(_clean, field)
    return (t.Annotated[t.Optional[kind], pydantic.BeforeValidator(check)], None)


def _clean(field: Field, value: t.Any) -> t.Any:
    return None if value is None else clean(field, value)


def _clean_runs(field: Field, entry_fields: tuple[Field, ...], value: t.Any) -> t.Any:
    """Entries as users write them or as an earlier result holds them."""
    entries = _clean(field, value)
    return entries and [by_name(entry_fields, without_result_keys(entry)) for entry in entries]


def by_name(fields: t.Iterable[Field], options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Options under their main names, without what was left open and what is Ansible's own."""
    names = {alias: field.name for field in fields for alias in field.aliases}
    return {
        names.get(key, key): value
        for key, value in options.items()
        if value is not None and not str(key).startswith("_ansible_")
    }


def _problems(exc: pydantic.ValidationError, runner_type: str) -> list[Problem]:
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
