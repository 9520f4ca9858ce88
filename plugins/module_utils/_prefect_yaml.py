# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From Prefect's own ``prefect.yaml`` to what the module ``deployment`` takes."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._problems import shown

#: Keys of a deployment there that mean the same here.
_SAME = (
    *("name", "version", "tags", "description", "entrypoint", "parameters", "enforce_parameter_schema"),
    *("paused", "concurrency_limit", "schedules"),
)
#: What Prefect's command does besides, and this module does not.
_NOT_DONE = ("build", "push", "triggers", "sla")
#: Placeholders of Prefect's command; those of Prefect itself are resolved when a run starts.
_PLACEHOLDER = re.compile(r"\{\{\s*(?!prefect\.)([^}\s][^}]*?)\s*\}\}")


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
    return [_entry(one, document.get("pull"), f"deployments[{n}]") for n, one in enumerate(listed)], warnings


def _entry(raw: dict[str, t.Any], pull: t.Any, place: str) -> dict[str, t.Any]:
    entry = {name: raw[name] for name in _SAME if raw.get(name) is not None}
    pool: dict[str, t.Any] = raw["work_pool"] if isinstance(raw.get("work_pool"), dict) else {}
    pull = raw.get("pull", pull)
    more = {
        "pull_steps": [pull] if isinstance(pull, dict) else pull,
        "schedules": raw.get("schedules", [raw["schedule"]] if raw.get("schedule") else None),
        "work_pool_name": pool.get("name"),
        "work_queue_name": pool.get("work_queue_name"),
        "job_variables": pool.get("job_variables") or None,
    }
    entry.update({name: value for name, value in more.items() if value is not None})
    if isinstance(entry.get("concurrency_limit"), dict):
        entry["concurrency_limit"] = entry["concurrency_limit"].get("limit")
    _refuse_placeholders(entry, f"from_file: {place}")
    return entry


def _refuse_placeholders(value: t.Any, place: str) -> None:
    """What only Prefect's command could fill in would be stored as it stands."""
    if isinstance(value, str):
        found = _PLACEHOLDER.search(value)
        if found:
            raise SettingsError(
                f"{place} uses {shown('{{ ' + found[1] + ' }}')}, which only Prefect's own command fills in.",
                "Write the value, or give that option in the task.",
            )
    elif isinstance(value, dict):
        for name, entry in value.items():
            _refuse_placeholders(entry, f"{place}.{name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            _refuse_placeholders(entry, f"{place}[{index}]")
