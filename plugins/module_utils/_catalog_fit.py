# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What a management task may ask of its server: each generation of Prefect lacks something that a later one has."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import JOB_VARIABLE
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability, Generation

Options = t.Mapping[str, t.Any]

#: Options, by module, that ask for something which not every generation can do.
_ABILITIES: dict[str, dict[str, Ability]] = {
    "deployment": {
        "entrypoint": Ability.PLACES_OF_CODE,
        "path": Ability.PLACES_OF_CODE,
        "pull_steps": Ability.PLACES_OF_CODE,
        "from_file": Ability.PLACES_OF_CODE,
        "flow_data": Ability.FLOW_DATA,
        "parameter_openapi_schema": Ability.SCHEMAS,
        "enforce_parameter_schema": Ability.SCHEMAS,
        "description": Ability.DESCRIPTIONS,
        "version": Ability.DESCRIPTIONS,
        "concurrency_limit": Ability.DEPLOYMENT_LIMITS,
        "work_pool_name": Ability.WORK_POOLS,
        "work_queue_name": Ability.WORK_POOLS,
        "job_variables": Ability.JOB_VARIABLES,
    },
    "flow_run": {"work_queue_name": Ability.WORK_POOLS, "job_variables": Ability.JOB_VARIABLES},
    "flow_run_info": {"artifacts": Ability.ARTIFACTS},
    "work_pool": {
        "type": Ability.WORK_POOLS,
        "base_job_template": Ability.WORK_POOLS,
        "queues": Ability.WORK_POOLS,
        "filter": Ability.QUEUE_FILTERS,
    },
}
_FILTERS = {"work_pools": Ability.WORK_POOLS, "name": Ability.PARTS_OF_NAMES}


def check_fit(generation: Generation, module: str, options: Options) -> None:
    """Refuse what the server cannot do, before anything is changed; empty values ask for nothing.

    :raises ApiError: lists everything, with the alternatives.
    """
    asked = {name: ability for name, ability in _ABILITIES.get(module, {}).items() if _says(name, options)}
    if module in ("flow_run", "flow_run_info"):
        runs = options.get("filter", {})
        asked.update((f"filter.{name}", ability) for name, ability in _FILTERS.items() if runs.get(name))
    if options.get("state") == "retried":
        asked["state"] = Ability.RERUN
    lacking: dict[Ability, list[str]] = {}
    for name, ability in (*asked.items(), *(("schedules", one) for one in _of_schedules(options.get("schedules", [])))):
        if not generation.can(ability):
            lacking.setdefault(ability, []).append(name)
    refusals = [generation.refusal(ability, ", ".join(names)) for ability, names in lacking.items()]
    if refusals:
        raise ApiError(" ".join(str(refusal) for refusal in refusals), category=refusals[0].category)


def _says(name: str, options: Options) -> bool:
    """Whether an option asks for anything; every generation keeps a flow runner."""
    value = options.get(name)
    if name == "job_variables" and value:
        return set(value) != {JOB_VARIABLE}
    return bool(value)


def _of_schedules(schedules: t.Sequence[Options]) -> t.Iterator[Ability]:
    if any(schedule.get("slug") or schedule.get("parameters") for schedule in schedules):
        yield Ability.NAMED_SCHEDULES
    if len(schedules) > 1 or any(_is_special(schedule) for schedule in schedules):
        yield Ability.MANY_SCHEDULES


def _is_special(schedule: Options) -> bool:
    off = schedule.get("active") is False or schedule.get("max_scheduled_runs") is not None
    return off or ("interval" in schedule and schedule.get("timezone") not in (None, "UTC"))


def kept(generation: Generation, module: str, view: Options) -> dict[str, t.Any]:
    """Of a description what the server knows anything about."""
    abilities = _ABILITIES[module]
    return {name: value for name, value in view.items() if name not in abilities or generation.can(abilities[name])}
