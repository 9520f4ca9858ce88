# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From Prefect's own ``prefect.yaml`` to what the module ``deployment`` takes."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import JOB_VARIABLE, attached
from ansible_collections.flowops.prefect.plugins.module_utils._problems import shown

#: Keys of a deployment there that mean the same here.
_SAME = (
    *("name", "version", "tags", "description", "entrypoint", "parameters", "enforce_parameter_schema"),
    *("paused", "concurrency_limit", "schedules"),
)
#: What Prefect's command does besides, and this module does not.
_NOT_DONE = ("build", "push", "triggers", "sla")
_PLACEHOLDER = re.compile(r"\{\{\s*([^}\s][^}]*?)\s*\}\}")
#: What is filled into job variables when a run starts. Pull steps also take things from each other and from their
#: environment. All the rest is the command's.
_LATER = ("prefect.", "ctx.")


def entries_of(document: t.Mapping[str, t.Any]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """The deployments of a file as entries of the option ``deployments``, and what is left out as warnings."""
    listed = document.get("deployments")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise SettingsError("from_file: the file has no deployments.", "Give a prefect.yaml with some.")
    warnings = [
        f"from_file: {name} is left out. Do it with tasks of your own."
        for name in _NOT_DONE
        if any(one.get(name) for one in (document, *listed))
    ]
    if any(_is_special_limit(one.get("concurrency_limit")) for one in listed):
        warnings.append("from_file: of concurrency_limit only the limit is taken: what is above it waits.")
    return [_entry(one, document, f"from_file: deployments[{n}]") for n, one in enumerate(listed)], warnings


def _is_special_limit(limit: t.Any) -> bool:
    """Whether it says more than how many."""
    if not isinstance(limit, dict):
        return False
    return limit.get("collision_strategy") not in (None, "ENQUEUE") or limit.get("grace_period_seconds") is not None


def _entry(raw: dict[str, t.Any], document: t.Mapping[str, t.Any], place: str) -> dict[str, t.Any]:
    entry = {name: raw[name] for name in _SAME if raw.get(name) is not None}
    pool: dict[str, t.Any] = raw["work_pool"] if isinstance(raw.get("work_pool"), dict) else {}
    pull = raw.get("pull", document.get("pull"))
    more = {
        "pull_steps": [pull] if isinstance(pull, dict) else pull,
        "schedules": raw.get("schedules", [raw["schedule"]] if raw.get("schedule") else None),
        "work_pool_name": pool.get("name"),
        "work_queue_name": pool.get("work_queue_name"),
        **_job_variables(pool.get("job_variables")),
    }
    entry.update({name: value for name, value in more.items() if value is not None})
    if isinstance(entry.get("concurrency_limit"), dict):
        entry["concurrency_limit"] = entry["concurrency_limit"].get("limit")
    made = tuple(f"{one}." for one in _ids_of_steps(raw, document))
    for name, value in entry.items():
        for path, placeholder in _placeholders(value, f"{place}.{name}"):
            if not _is_later(name, placeholder, made):
                raise SettingsError(
                    f"{path} uses {shown('{{ ' + placeholder + ' }}')}, which only Prefect's own command fills in.",
                    "Write the value in its place.",
                )
    return entry


def _job_variables(given: t.Any) -> dict[str, t.Any]:
    """With the flow runner apart, which is an option here."""
    flow_runner = attached(given) if isinstance(given, dict) else None
    if flow_runner is None:
        return {"job_variables": given or None}
    rest = {name: value for name, value in given.items() if name != JOB_VARIABLE}
    return {"job_variables": rest or None, "flow_runner": flow_runner}


def _is_later(option: str, placeholder: str, made: tuple[str, ...]) -> bool:
    """Whether it is filled in when a run starts. :arg made: beginnings of what the command's own steps made."""
    if option == "pull_steps":
        return not placeholder.startswith(made)
    return option in ("job_variables", "flow_runner") and placeholder.startswith(_LATER)


def _ids_of_steps(raw: t.Mapping[str, t.Any], document: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Of the steps that only the command executes."""
    for section in ("build", "push"):
        steps = raw.get(section, document.get(section))
        for step in steps if isinstance(steps, list) else [steps]:
            for settings in step.values() if isinstance(step, dict) else ():
                if isinstance(settings, dict) and isinstance(settings.get("id"), str):
                    yield settings["id"]


def _placeholders(value: t.Any, place: str) -> t.Iterator[tuple[str, str]]:
    """Every placeholder and where it is."""
    if isinstance(value, str):
        yield from ((place, found[1]) for found in _PLACEHOLDER.finditer(value))
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _placeholders(entry, f"{place}.{name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _placeholders(entry, f"{place}[{index}]")
