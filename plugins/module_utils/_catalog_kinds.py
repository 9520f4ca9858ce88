# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the values of the management modules' options mean: a check for each ``kind`` of their field table."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._checks import RUNNER_KINDS, Kinds
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import KINDS, as_text, each, indexed, word_at
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import STATE_TYPES
from ansible_collections.flowops.prefect.plugins.module_utils._problems import (
    described,
    did_you_mean,
    fail,
    no_control,
    shown,
)

_json = KINDS["parameters"]

_RULES = ("cron", "interval", "rrule")
#: The keys of a schedule: those of ``prefect.yaml``.
_SCHEDULE_KEYS = {
    "cron": (*_RULES, "timezone", "day_or", "active", "max_scheduled_runs", "parameters", "slug"),
    "interval": (*_RULES, "timezone", "anchor_date", "active", "max_scheduled_runs", "parameters", "slug"),
    "rrule": (*_RULES, "timezone", "active", "max_scheduled_runs", "parameters", "slug"),
}


def _name(value: str) -> str:
    """Prefect's own rule for names."""
    no_control(value)
    if not value.strip():
        fail("is blank", "Give a name.")
    if any(char in value for char in "/%&<>"):
        fail(f"is {described(value)}, with a character that names must not have (/ % & < >)", "Give another name.")
    return value


def _line(value: str) -> str:
    no_control(value)
    return value


def _entrypoint(value: str) -> str:
    no_control(value)
    if ":" not in value and "." not in value:
        fail(f"is {described(value)}", "Write it as file.py:function, such as flows/etl.py:nightly.")
    return value


def _steps(value: list[t.Any]) -> list[dict[str, t.Any]]:
    def one(path: str, step: t.Any) -> dict[str, t.Any]:
        if not isinstance(step, dict) or len(step) != 1:
            fail("is no step", "Write '- prefect.deployments.steps.set_working_directory: {directory: …}'.", path)
        return t.cast("dict[str, t.Any]", _json(step))

    return each(indexed(value), one)


def _schedules(value: list[t.Any]) -> list[dict[str, t.Any]]:
    slugs: set[str] = set()

    def one(path: str, entry: t.Any) -> dict[str, t.Any]:
        if not isinstance(entry, dict):
            fail(f"is {described(entry)}, not a mapping", "Write '- cron: 0 5 * * *'.", path)
        schedule = _schedule(entry, path)
        if schedule.get("slug") in slugs:
            fail(f"is {shown(str(schedule['slug']))} a second time", "Give each schedule a slug of its own.", path)
        slugs.update([schedule["slug"]] if schedule.get("slug") else [])
        return schedule

    return each(indexed(value), one)


def _schedule(raw: dict[t.Any, t.Any], path: str) -> dict[str, t.Any]:
    entry = {str(key): value for key, value in raw.items() if value is not None}
    rules = [rule for rule in _RULES if rule in entry]
    if len(rules) != 1:
        fail("needs just one of cron, interval and rrule", "Keep one of them.", path)
    for key in entry:
        if key not in _SCHEDULE_KEYS[rules[0]]:
            fail(f"has {shown(key)}", did_you_mean(key, _SCHEDULE_KEYS[rules[0]]), path)
    for key, check in _SCHEDULE_CHECKS.items():
        if key in entry:
            entry[key] = check(entry[key], f"{path}.{key}")
    return entry


def _seconds(value: t.Any, path: str) -> float:
    number = as_text(value) if not isinstance(value, float) else str(value)
    try:
        seconds = float(number or "")
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e10:
        fail(f"is {described(value)}", "Give seconds, more than 0.", path)
    return seconds


def _flag(value: t.Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in ("true", "false", "yes", "no"):
        fail(f"is {described(value)}", "Give true or false.", path)
    return word in ("true", "yes")


def _count(value: t.Any, path: str) -> int:
    text = as_text(value) or ""
    if not text.isdigit() or not 0 < int(text) < 10**6:
        fail(f"is {described(value)}", "Give a whole number, more than 0.", path)
    return int(text)


def _mapping(value: t.Any, path: str) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        fail(f"is {described(value)}, not a mapping", "Give names and values.", path)
    return t.cast("dict[str, t.Any]", _json(value))


def _date(value: t.Any, path: str) -> str:
    """YAML makes dates of what looks like one."""
    text = value.isoformat() if isinstance(value, datetime.date) else value
    try:
        return _moment(text if isinstance(text, str) else "")
    except ValueError:
        fail(f"is {described(value)}", "Give a time such as 2026-11-23T05:00:00Z.", path)


_SCHEDULE_CHECKS: dict[str, t.Callable[[t.Any, str], t.Any]] = {
    "cron": word_at,
    "rrule": word_at,
    "interval": _seconds,
    "timezone": word_at,
    "slug": word_at,
    "day_or": _flag,
    "active": _flag,
    "max_scheduled_runs": _count,
    "parameters": _mapping,
    "anchor_date": _date,
}


def _moment(value: str) -> str:
    """ISO 8601 with an offset; without one it is UTC, since what else it might be depends on the host."""
    text = value.strip().replace(" ", "T", 1)
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        fail(f"is {described(value)}, not a time", "Give a time such as 2026-11-23T05:00:00Z.")
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)
    return aware.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def _states(values: list[t.Any]) -> list[str]:
    """Words in capitals are types. Names are anything; those of Prefect's own begin with a capital."""

    def one(path: str, value: t.Any) -> str:
        word = word_at(value, path)
        if word not in STATE_TYPES and (word.isupper() or (word.upper() in STATE_TYPES and word.islower())):
            fail(f"is {described(value)}, which is no type of state", did_you_mean(word, STATE_TYPES), path)
        return word

    return each(indexed(values), one)


def _deployments(values: list[t.Any]) -> list[str]:
    return each(indexed(values), lambda path, value: t.cast("str", KINDS["deployment"](word_at(value, path))))


#: The check of every ``kind`` among the fields of management modules.
CATALOG_KINDS: Kinds = {
    **RUNNER_KINDS,
    "object_name": _name,
    "line": _line,
    "entrypoint": _entrypoint,
    "json": _json,
    "steps": _steps,
    "schedules": _schedules,
    "moment": _moment,
    "states": _states,
    "deployments": _deployments,
}
