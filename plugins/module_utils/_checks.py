# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Checks of single values: what users typed becomes what the core works with, or a problem with its remedy.

Runs on the host (``_task``) and, through the pydantic models, on the controller: the same words on both.
"""

from __future__ import annotations

import datetime
import math
import typing as t

from ansible.module_utils.common.validation import check_type_dict

from ansible_collections.flowops.prefect.plugins.module_utils._container_kinds import CONTAINER_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._fields import Field
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import INTEGER, KINDS, as_text, plain_dict
from ansible_collections.flowops.prefect.plugins.module_utils._kubernetes_kinds import KUBERNETES_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._problems import (
    EMPTY_REMEDY,
    LARGEST,
    Problem,
    ProblemsError,
    described,
    did_you_mean,
    fail,
    unknown_option,
)

Kinds = t.Mapping[str, t.Callable[[t.Any], t.Any]]

#: The check of every ``kind`` among the fields of runner modules.
RUNNER_KINDS: Kinds = {**KINDS, **CONTAINER_KINDS, **KUBERNETES_KINDS}

_TRUE = frozenset(("y", "yes", "on", "1", "true", "t"))
_FALSE = frozenset(("n", "no", "off", "0", "false", "f"))

_TYPE_WORDS = {
    "str": "a text",
    "path": "a path",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "list": "a list",
}


def clean(field: Field, value: t.Any, kinds: Kinds = RUNNER_KINDS) -> t.Any:
    """The value as the core works with it.

    :arg kinds: the checks that the table of the field knows.
    :raises ProblemsError: with paths relative to the option.
    """
    converted = _converted(field, value)
    _check_size(field, converted)
    _check_choices(field, converted)
    return kinds[field.kind](converted) if field.kind else converted


def clean_all(
    fields: t.Iterable[Field], raw: t.Mapping[t.Any, t.Any], kinds: Kinds = RUNNER_KINDS
) -> tuple[dict[str, t.Any], dict[str, t.Any], list[Problem]]:
    """The values of a whole mapping of options.

    :returns: the good values; the bad ones as they came; the problems.
    """
    good: dict[str, t.Any] = {}
    bad: dict[str, t.Any] = {}
    problems = unknown_options(fields, raw)
    for field in fields:
        value = given(field, raw)
        if value is None:
            continue
        try:
            good[field.name] = clean(field, value, kinds)
        except ProblemsError as exc:
            bad[field.name] = value
            problems.extend(problem.under(field.name) for problem in exc.problems)
    return good, bad, problems


def given(field: Field, raw: t.Mapping[t.Any, t.Any]) -> t.Any:
    """The option's value under whichever of its names; None when it was left open."""
    return next((raw[name] for name in field.names if raw.get(name) is not None), None)


def unknown_options(fields: t.Iterable[Field], raw: t.Mapping[t.Any, t.Any]) -> list[Problem]:
    """Options that do not exist; Ansible's own (``_ansible_…``) are none of ours."""
    known = {name for field in fields for name in field.names}
    return [unknown_option(key, known) for key in raw if key not in known and not str(key).startswith("_ansible_")]


def wrong_type(field: Field, value: t.Any) -> Problem:
    """The value cannot be read as the option's type."""
    wanted = _TYPE_WORDS[field.type] + (f" of {field.unit}" if field.unit and field.type != "bool" else "")
    remedy = f"Give {wanted}."
    if field.type in ("str", "path") and isinstance(value, (bool, float, datetime.date)):
        remedy += " YAML turns unquoted words and numbers into other types: put the value in quotes."
    if field.type == "list" and field.elements == "dict":
        remedy = "Give a list of mappings, each beginning with '- '."
    # A text in the place of a mapping may be anything, an environment with secrets for example.
    confidential = field.secret or field.type == "dict"
    return Problem("", f"is {described(value, confidential)}, not {wanted}", remedy)


# Types


def _converted(field: Field, value: t.Any) -> t.Any:
    """The value in the option's type, as Ansible's argument spec would make it, less its silent changes."""
    converted = _CONVERTERS[field.type](value)
    if converted is None:
        raise ProblemsError([wrong_type(field, value)])
    return converted


def _as_path(value: t.Any) -> str | None:
    return value if isinstance(value, str) else None


def _as_bool(value: t.Any) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    return None


def _as_int(value: t.Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e18 else None
    if isinstance(value, str):
        return int(value) if INTEGER.fullmatch(value.strip()) else None
    return value if isinstance(value, int) and abs(value) < LARGEST else None


def _as_float(value: t.Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _as_dict(value: t.Any) -> dict[t.Any, t.Any] | None:
    if isinstance(value, str):
        try:
            value = check_type_dict(value)
        except (TypeError, ValueError, RecursionError):
            return None
    return plain_dict(value) if isinstance(value, dict) else None


def _as_list(value: t.Any) -> list[t.Any] | None:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    if isinstance(value, int):
        text = as_text(value)
        return None if text is None else [text]
    return list(value) if isinstance(value, (list, tuple)) else None


_CONVERTERS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "str": as_text,
    "path": _as_path,
    "bool": _as_bool,
    "int": _as_int,
    "float": _as_float,
    "dict": _as_dict,
    "list": _as_list,
}


# Bounds


def _check_size(field: Field, value: t.Any) -> None:
    if isinstance(value, (str, list, dict)):
        _check_length(field, value)
    elif not isinstance(value, bool):
        _check_bounds(field, value)


def _check_length(field: Field, value: t.Any) -> None:
    if not value and not field.may_be_empty:
        fail("is empty", _EMPTY_LIST_REMEDY if isinstance(value, list) else EMPTY_REMEDY)
    if len(value) > field.longest:
        unit = "characters" if isinstance(value, str) else "entries"
        fail(f"has {len(value)} {unit}, more than {field.longest}", "Make it shorter.")


_EMPTY_LIST_REMEDY = "Give at least one entry, or skip the task with 'when' where there may be none."


def _check_bounds(field: Field, value: float) -> None:
    unit = f" {field.unit}" if field.unit else ""
    if field.above is not None and value <= field.above:
        fail(f"is {value:g}, not more than {field.above:g}{unit}", f"Give more than {field.above:g}, or leave it out.")
    if field.minimum is not None and value < field.minimum:
        fail(f"is {value:g}, less than {field.minimum:g}{unit}", f"Give at least {field.minimum:g}, or leave it out.")
    if field.maximum is not None and value > field.maximum:
        fail(f"is {value:.15g}, more than {field.maximum:.15g}{unit}", f"Give at most {field.maximum:.15g}{unit}.")


def _check_choices(field: Field, value: t.Any) -> None:
    """One of the words, or a list of them."""
    if not field.choices:
        return
    words = value if isinstance(value, list) else [value]
    problems = [
        Problem(
            f"[{index}]" if isinstance(value, list) else "",
            f"is {described(word)}, which is none of: {', '.join(field.choices)}",
            did_you_mean(str(word), field.choices),
        )
        for index, word in enumerate(words)
        if word not in field.choices
    ]
    if problems:
        raise ProblemsError(problems)
