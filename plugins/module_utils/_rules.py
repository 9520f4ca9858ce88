# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Rules about several options at once. Used on the host and on the controller.

They work with what is there: options that cannot be read are reported elsewhere and never raise here.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    AGENT_SOURCES,
    NEW_RUN_ONLY,
    RECONCILED,
    RECONCILED_ONLY,
    UNIVERSAL,
    Field,
    exclusive_groups_of,
    fields_of,
    per_run_fields_of,
    sources_of,
)
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import canonical_uuid, template_fields
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, ProblemsError, join, shown

_Options = t.Mapping[str, t.Any]


def rule_problems(options: _Options, runner_type: str) -> list[Problem]:
    """Everything that is wrong between options, of the task and of its ``runs``."""
    entries = _entries(options)
    problems = [
        *(_of_a_place(options, runner_type) if _is_about_a_place(options) else _sources(options, runner_type)),
        *exclusive_problems(options, fields_of(runner_type)),
        *_twice_in_environment(options),
        *api_problems(options),
        *_new_run_options(options, entries),
        *_deployment_without_key(options, entries),
    ]
    for path, entry in entries:
        found = [
            *_entry_source(entry, options),
            *exclusive_problems(entry, per_run_fields_of(runner_type)),
            *_twice_in_environment(entry),
        ]
        problems.extend(problem.under(path) for problem in found)
    return [*problems, *_same_run_twice(options, entries), *_names(options, entries)]


def effective_parameters(options: _Options, entry: _Options) -> dict[str, t.Any]:
    """The parameters of one new run: the task's, with the entry's on top."""
    return {**_mapping(options.get("parameters")), **_mapping(entry.get("parameters"))}


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _entries(options: _Options) -> list[tuple[str, _Options]]:
    runs = options.get("runs")
    listed = runs if isinstance(runs, (list, tuple)) else []
    return [(f"runs[{index}]", entry) for index, entry in enumerate(listed) if isinstance(entry, dict)]


def _has(options: _Options, name: str) -> bool:
    return options.get(name) is not None


def _is_about_a_place(options: _Options) -> bool:
    return options.get("state") == RECONCILED


def _of_a_place(options: _Options, runner_type: str) -> t.Iterator[Problem]:
    """Everything at one place, whichever runs it belongs to."""
    for name in sources_of(runner_type)[0]:
        if _has(options, name):
            remedy = "Remove it, or give another state."
            yield Problem(name, "names flow runs, and state reconciled is about everything at a place", remedy)
    if runner_type == UNIVERSAL:
        remedy = "Use flow_runner_subprocess, flow_runner_docker or flow_runner_k8s, one task for each place."
        yield Problem("state", "is reconciled, which is about one place of one type", remedy)


def _sources(options: _Options, runner_type: str) -> t.Iterator[Problem]:
    """Exactly one source of runs."""
    sources, exclusive = sources_of(runner_type)
    if not any(_has(options, name) for name in sources):
        others = f"{', '.join(sources[1:-1])} and {sources[-1]}"
        yield Problem(sources[0], f"is missing, and so are {others}: the task names no flow run", "Give one of them.")
    for name in RECONCILED_ONLY:
        if _has(options, name):
            yield Problem(name, "is for state reconciled alone", "Give state: reconciled, or remove it.")
    agent_of = [name for name in AGENT_SOURCES if _has(options, name)]
    for name in ("limit", "serve"):
        if _has(options, name) and not agent_of:
            remedy = "Give work_pool (on Orion work_queues), or remove it."
            yield Problem(name, "is about an agent, and the task is none", remedy)
    if options.get("serve") is True and options.get("wait") is False:
        yield Problem("serve", "goes on with cycles, and wait is false", "Remove one of them.")
    if agent_of and options.get("state") in ("cancelled", "absent"):
        remedy = "Give the runs' ids; flow_run_info finds them."
        yield Problem(agent_of[0], f"would be about every run there, and state is {options['state']}", remedy)
    clashing: list[str] = []
    for group in exclusive:
        found = [name for name in group if _has(options, name)]
        clashing.extend(name for name in found if len(found) > 1 and name not in clashing)
    if clashing:
        yield Problem(
            " and ".join(clashing),
            "each say which runs the task is about",
            "Keep one of them; only deployment and runs go together.",
        )


def exclusive_problems(options: _Options, fields: t.Iterable[Field]) -> t.Iterator[Problem]:
    """Options of which at most one may be given."""
    for group, reason in exclusive_groups_of(fields):
        found = [name for name in group if _has(options, name)]
        if len(found) > 1:
            yield Problem(" and ".join(found), f"cannot be combined: {reason}", "Keep one of them.")


def _twice_in_environment(options: _Options) -> t.Iterator[Problem]:
    both = set(_mapping(options.get("env"))).intersection(_mapping(options.get("secret_env")))
    for name in sorted(str(name) for name in both):
        path = f"env.{shown(name)[1:-1]}"
        yield Problem(path, "is in secret_env too", "Keep it in one of them; secrets belong in secret_env.")


def api_problems(options: _Options) -> t.Iterator[Problem]:
    """What is wrong between the options that say how the API is reached."""
    if not _has(options, "api_url"):
        yield Problem(
            "api_url",
            "is missing",
            "Give the address of the Prefect API, such as http://prefect.example.com:4200/api, "
            "or set PREFECT_API_URL in the environment of the controller.",
        )
    if _has(options, "api_client_key") and not _has(options, "api_client_cert"):
        yield Problem("api_client_key", "has no certificate beside it", "Give api_client_cert as well.")


def _new_run_options(options: _Options, entries: t.Sequence[tuple[str, _Options]]) -> t.Iterator[Problem]:
    """Options of a run to be created need a deployment to create it from."""
    if _has(options, "deployment") or any(_has(entry, "deployment") for _path, entry in entries):
        return
    for name in NEW_RUN_ONLY:
        if _has(options, name):
            yield Problem(
                name,
                "is for runs that the task creates, and there is no deployment to create one from",
                "Give deployment, or remove this option: an existing run keeps what it was created with.",
            )
    if options.get("per_host") is True:
        yield Problem("per_host", "is for runs that the task creates from a deployment", "Remove it.")


def _deployment_without_key(options: _Options, entries: t.Sequence[tuple[str, _Options]]) -> t.Iterator[Problem]:
    """Without a key a deployment names no existing run that could be cancelled or removed."""
    if options.get("state") not in ("cancelled", "absent") or _has(options, "idempotency_key"):
        return
    for prefix, place in entries or [("", options)]:
        named = _has(place, "flow_run_id") or _has(place, "idempotency_key")
        if not named and (_has(place, "deployment") or _has(options, "deployment")):
            yield Problem(
                join(prefix, "deployment"),
                f"names no run that exists, and state is {options['state']}",
                "Give the run's flow_run_id, or the idempotency_key that it was created with.",
            )


def _entry_source(entry: _Options, options: _Options) -> t.Iterator[Problem]:
    """An entry is one existing run or one new one."""
    if not _has(entry, "flow_run_id"):
        if not _has(entry, "deployment") and not _has(options, "deployment"):
            yield Problem(
                "flow_run_id",
                "is missing, and neither the entry nor the task has a deployment",
                "Give flow_run_id or deployment.",
            )
        return
    if _has(entry, "deployment") or _has(options, "deployment"):
        yield Problem(
            "flow_run_id",
            "names an existing run beside a deployment, which would create a new one",
            "Keep one of them in the entry, and no deployment at the task where entries have ids.",
        )
        return
    for name in NEW_RUN_ONLY:
        if _has(entry, name):
            yield Problem(
                name,
                "is for a new run, and flow_run_id names an existing one",
                "Remove it: an existing run keeps what it was created with.",
            )


def _same_run_twice(options: _Options, entries: t.Sequence[tuple[str, _Options]]) -> t.Iterator[Problem]:
    """One run has one place in a task's result, so it may have only one in the task."""
    first: dict[str, str] = {}
    for path, identity in _identities(options, entries):
        if identity in first:
            yield Problem(path, f"is the same run as {first[identity]}", "Name every run once.")
        else:
            first[identity] = path


def _identities(options: _Options, entries: t.Sequence[tuple[str, _Options]]) -> t.Iterator[tuple[str, str]]:
    """Where runs are named, and what makes them the same."""
    ids = options.get("flow_run_ids")
    for index, value in enumerate(ids if isinstance(ids, (list, tuple)) else ()):
        canonical = canonical_uuid(value) if isinstance(value, str) else None
        if canonical is not None:
            yield f"flow_run_ids[{index}]", canonical
    for path, entry in entries:
        if isinstance(entry.get("flow_run_id"), str):
            canonical = canonical_uuid(entry["flow_run_id"])
            if canonical is not None:
                yield join(path, "flow_run_id"), canonical
        elif _has(entry, "idempotency_key") or _has(options, "idempotency_key"):
            yield path, _new_run_identity(options, entry)


def _new_run_identity(options: _Options, entry: _Options) -> str:
    """Deployment, key and parameters: what the server is asked to create exactly once."""
    parts = [entry.get(name, options.get(name)) for name in ("deployment", "idempotency_key")]
    return json.dumps([*parts, effective_parameters(options, entry)], sort_keys=True, default=repr)


def _names(options: _Options, entries: t.Sequence[tuple[str, _Options]]) -> t.Iterator[Problem]:
    """Every ``{parameter}`` in a run's name must have a value."""
    seen = set()
    for path, entry in entries or [("", {})]:
        own = _has(entry, "flow_run_name")
        template = entry.get("flow_run_name") if own else options.get("flow_run_name")
        place = join(path, "flow_run_name") if own else "flow_run_name"
        for name in _unknown_names(template, effective_parameters(options, entry)):
            if (place, name) not in seen:
                seen.add((place, name))
                yield Problem(
                    place,
                    f"uses {{{name}}}, and the run has no such parameter here",
                    "Give it in parameters, or write {{ and }} for braces that mean themselves.",
                )


def _unknown_names(template: t.Any, parameters: _Options) -> list[str]:
    if not isinstance(template, str):
        return []
    try:
        return [name for name in template_fields(template) if name not in parameters]
    except ProblemsError:
        return []
