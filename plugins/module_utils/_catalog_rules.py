# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Rules about several options of a management module at once."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import NEW_RUN, TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_kinds import CATALOG_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._checks import clean_all
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import JOB_VARIABLE, checked
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import template_fields
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._rules import api_problems, exclusive_problems

Options = dict[str, t.Any]

_INTERPRETERS = ("python", "virtualenv", "condaenv")


def check_options(name: str, params: t.Mapping[str, t.Any]) -> tuple[Options, list[Problem]]:
    """The options of a management module, cleaned, and everything that is wrong with them."""
    table = TABLES[name]
    options, bad, problems = clean_all(table.fields, params, CATALOG_KINDS)
    problems.extend(_flow_runner(options))
    for option, fields in table.entries.items():
        entries = options.get(option)
        listed = [entries] if isinstance(entries, dict) else entries or []
        cleaned = []
        for index, raw in enumerate(listed):
            path = option if isinstance(entries, dict) else f"{option}[{index}]"
            if not isinstance(raw, dict):
                problems.append(Problem(path, "is no mapping", "Write '- name: …'."))
                continue
            entry, _bad, found = clean_all(fields, raw, CATALOG_KINDS)
            found = [*found, *_flow_runner(entry), *exclusive_problems(entry, fields)]
            problems.extend(problem.under(path) for problem in found)
            cleaned.append(entry)
        if option in options:
            options[option] = cleaned[0] if isinstance(entries, dict) and cleaned else cleaned
    everything = {**bad, **options}
    problems.extend(api_problems(everything))
    problems.extend(exclusive_problems(everything, table.fields))
    if not problems:
        problems.extend(_RULES.get(name, _no_rules)(options))
    return options, problems


def _flow_runner(options: Options) -> list[Problem]:
    """Replace what was given by its cleaned form."""
    given = options.get("flow_runner")
    if not isinstance(given, dict) or not given:
        return []
    try:
        options["flow_runner"] = checked(given)
    except ProblemsError as error:
        return [problem.under("flow_runner") for problem in error.problems]
    return []


def _no_rules(_options: Options) -> t.Iterator[Problem]:
    return iter(())


def merged(options: Options, entry: Options) -> Options:
    """An entry of ``deployments`` over what the task says; one interpreter replaces another."""
    base = {
        field.name: options[field.name]
        for field in TABLES["deployment"].entries["deployments"]
        if field.name in options
    }
    if any(name in entry for name in _INTERPRETERS):
        base = {name: value for name, value in base.items() if name not in _INTERPRETERS}
    return {**base, **entry}


def has_interpreter(options: Options) -> bool:
    return any(name in options for name in _INTERPRETERS)


def _deployment(options: Options) -> t.Iterator[Problem]:
    sources = [name for name in ("name", "deployments", "from_file") if name in options]
    if len(sources) != 1:
        what = f"are given together: {', '.join(sources)}" if sources else "are missing"
        yield Problem("name, deployments and from_file", what, "Give just one of them.")
        return
    if "from_file" in options and not has_interpreter(options):
        yield Problem(
            "from_file", "is read by Prefect's own interpreter, and none is given", "Give python or virtualenv."
        )
    entries = options.get("deployments") if "deployments" in options else [options] if "name" in options else []
    seen: dict[tuple[str, str], str] = {}
    for index, raw in enumerate(entries or []):
        path = f"deployments[{index}]." if "deployments" in options else ""
        entry = merged(options, raw)
        yield from deployment_problems(entry, path)
        key = (entry.get("flow", ""), entry.get("name", ""))
        if entry.get("flow") and key in seen:
            yield Problem(f"{path}name", f"is the same deployment as {seen[key]}", "Name every deployment once.")
        seen.setdefault(key, f"{path}name")


def deployment_problems(entry: Options, path: str) -> t.Iterator[Problem]:
    """What one deployment needs to be known by, and one thing that is said in one way only."""
    if JOB_VARIABLE in entry.get("job_variables", {}):
        yield Problem(
            f"{path}job_variables", f"has {JOB_VARIABLE}, which is an option", "Give it beside job_variables."
        )
    if not entry.get("name"):
        yield Problem(f"{path}name", "is missing", "Give the deployment's name.")
    if not entry.get("flow") and not (has_interpreter(entry) and entry.get("entrypoint")):
        yield Problem(
            f"{path}flow",
            "is missing",
            "Give the flow's name, or entrypoint and virtualenv (or python) to have it read from the code.",
        )


def _flow_run(options: Options) -> t.Iterator[Problem]:
    sources = [name for name in ("flow_run_id", "flow_run_ids", "filter", "deployment") if name in options]
    if len(sources) != 1:
        what = f"are given together: {', '.join(sources)}" if sources else "are missing"
        yield Problem("flow_run_id, flow_run_ids, filter and deployment", what, "Give just one of them.")
        return
    state = options.get("state", "created")
    if (state == "created") != ("deployment" in options):
        remedy = "Give deployment." if state == "created" else "Give flow_run_id, flow_run_ids or filter."
        yield Problem(sources[0], f"does not go with state {state}", remedy)
    if "filter" in options and not options["filter"]:
        yield Problem("filter", "is empty, which would be every run there is", "Say which runs.")
    for name in NEW_RUN:
        if name in options and "deployment" not in options:
            remedy = "Remove it: an existing run keeps what it was created with."
            yield Problem(name, "is for a run that the task creates", remedy)
    names = template_fields(options.get("flow_run_name", ""))
    for name in sorted(set(names).difference(options.get("parameters", {}))):
        yield Problem(
            "flow_run_name", f"uses {{{name}}}, and there is no such parameter here", "Give it in parameters."
        )


def _work_pool(options: Options) -> t.Iterator[Problem]:
    if not options.get("name"):
        yield Problem("name", "is missing", "Give the name of the work pool.")
    elif options["name"].lower().startswith("prefect"):
        yield Problem("name", "begins with prefect, which the server reserves for itself", "Give another name.")
    if options.get("state") == "absent" and options.get("queues"):
        yield Problem("queues", "does not go with state absent, which removes the pool with its queues", "Remove it.")
    seen: set[str] = set()
    ranks: set[int] = set()
    for index, queue in enumerate(options.get("queues", [])):
        path, name = f"queues[{index}].name", queue.get("name", "")
        if not name:
            yield Problem(path, "is missing", "Give the name of the queue.")
        if name in seen:
            yield Problem(path, "is a queue that was named before", "Name every queue once.")
        if name == "default" and queue.get("state") == "absent":
            yield Problem(path, "is the pool's own queue, which cannot be removed", "Remove the entry.")
        if queue.get("priority") in ranks:
            what = f"is {queue['priority']} a second time, and the server keeps each priority once in a pool"
            yield Problem(f"queues[{index}].priority", what, "Give every queue a priority of its own.")
        seen.add(name)
        ranks.update([queue["priority"]] if "priority" in queue else [])


_RULES: dict[str, t.Callable[[Options], t.Iterator[Problem]]] = {
    "deployment": _deployment,
    "flow_run": _flow_run,
    "work_pool": _work_pool,
}
