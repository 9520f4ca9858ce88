# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Schedules of a deployment: what users write against what the server echoes."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._same import same

Schedule = dict[str, t.Any]

#: What the server fills in.
_DEFAULTS: Schedule = {"active": True, "max_scheduled_runs": None, "parameters": {}, "slug": None}
_RULE_DEFAULTS: dict[str, Schedule] = {
    "cron": {"timezone": None, "day_or": True},
    "interval": {"timezone": "UTC", "anchor_date": None},
    "rrule": {"timezone": "UTC"},
}
#: What belongs to the rule itself; the rest says what is done with it.
_OF_THE_RULE = ("cron", "interval", "rrule", "timezone", "day_or", "anchor_date")


def flat(raw: t.Mapping[str, t.Any]) -> Schedule:
    """A schedule of the server in the words of the option."""
    return {**{name: raw.get(name, default) for name, default in _DEFAULTS.items()}, **(raw.get("schedule") or {})}


def nested(schedule: t.Mapping[str, t.Any]) -> Schedule:
    """The same for a request."""
    rule = {name: schedule[name] for name in _OF_THE_RULE if schedule.get(name) is not None}
    return {"schedule": rule, **{name: schedule[name] for name in _DEFAULTS if name != "slug" or schedule["slug"]}}


def completed(wanted: t.Sequence[Schedule], found: t.Sequence[Schedule]) -> list[Schedule]:
    """What the schedules will look like: with the server's defaults, and with what it keeps of those that are there.

    :arg found: flat.
    """
    left = list(found)
    result = []
    # Those that say when they start choose first: the others are content with any start.
    for full in sorted(map(_full, wanted), key=_is_open):
        there = next((one for one in left if _fits(one, full)), None)
        if there is not None:
            left.remove(there)
        elif "interval" in full and full["anchor_date"] is None:
            of_slug = next((one for one in found if full["slug"] and one["slug"] == full["slug"]), {})
            full["anchor_date"] = of_slug.get("anchor_date")
        result.append(there or full)
    return sorted(result, key=_order)


def _full(given: Schedule) -> Schedule:
    rule = next(name for name in _RULE_DEFAULTS if name in given)
    return {**_DEFAULTS, **_RULE_DEFAULTS[rule], **given}


def _is_open(schedule: Schedule) -> bool:
    """Whether the server chooses the start."""
    return schedule.get("anchor_date") is None and "DTSTART" not in str(schedule.get("rrule"))


def in_order(found: t.Iterable[Schedule]) -> list[Schedule]:
    """The server's order means nothing."""
    return sorted(found, key=_order)


def _order(schedule: Schedule) -> str:
    return repr(sorted((name, str(value)) for name, value in schedule.items()))


def _fits(found: Schedule, wanted: Schedule) -> bool:
    """Whether the server's schedule is the wanted one; it begins a rule without a start with one of its own."""
    for name in {*found, *wanted}:
        ours, theirs = wanted.get(name), found.get(name)
        if name == "anchor_date" and (ours is None or _instant(ours) == _instant(theirs)):
            continue
        if name == "rrule" and isinstance(theirs, str) and theirs.endswith(f"\n{ours}"):
            continue
        if not same(ours, theirs):
            return False
    return True


def _instant(moment: t.Any) -> str:
    return str(moment).replace("Z", "").replace("+00:00", "").replace(".000000", "")


@dataclasses.dataclass
class Steps:
    """How to get from one list to the other without a moment in which there is none.

    :arg update: body by id.
    :arg delete: ids.
    """

    create: list[Schedule]
    update: dict[str, Schedule]
    delete: list[str]


def steps(found: t.Sequence[t.Mapping[str, t.Any]], after: t.Sequence[Schedule]) -> Steps:
    """:arg found: as the server tells them; ``after`` as ``completed`` returns them."""
    left = list(found)
    missing = []
    for schedule in after:
        there = next((raw for raw in left if same(flat(raw), schedule)), None)
        if there is None:
            missing.append(schedule)
        else:
            left.remove(there)
    planned = Steps([], {}, [])
    for schedule in missing:
        changed = next((raw for raw in left if schedule["slug"] and raw.get("slug") == schedule["slug"]), None)
        if changed is None:
            planned.create.append(nested(schedule))
        else:
            left.remove(changed)
            planned.update[changed["id"]] = nested(schedule)
    planned.delete.extend(raw["id"] for raw in left)
    return planned
