# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The universal flow runner: which infrastructure each run of a task gets, with which settings, and who said so.

It makes one :class:`Task` for each infrastructure, as if the user had typed it for that runner module.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._agent import Agent
from ansible_collections.flowops.prefect.plugins.module_utils._agent_cycle import PoolWork, agent_of
from ansible_collections.flowops.prefect.plugins.module_utils._api_settings import api_settings
from ansible_collections.flowops.prefect.plugins.module_utils._checks import clean_all
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    AGENT_SOURCES,
    NEW_RUN_ONLY,
    SETTINGS_SCOPES,
    UNIVERSAL,
    Field,
    connection_fields_of,
    exclusive_groups_of,
    fields_of,
    settings_fields_of,
    universal_name,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._connect import connect
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._job_sources import JobSources
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Deployment, FlowRun
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._open_polls import open_polls
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._redact import secret_values, worth_masking
from ansible_collections.flowops.prefect.plugins.module_utils._rules import effective_parameters
from ansible_collections.flowops.prefect.plugins.module_utils._server_fit import check_type
from ansible_collections.flowops.prefect.plugins.module_utils._server_says import Level, Pool, ServerSays
from ansible_collections.flowops.prefect.plugins.module_utils._task import (
    Task,
    api_options,
    joined_error,
    merged_environments,
    named_runs,
    parse_options,
    parse_task,
)
from ansible_collections.flowops.prefect.plugins.module_utils._together import Work

Options = dict[str, t.Any]

#: What every runner module has alike.
_COMMON_SCOPES = ("lifecycle", "storage", "api", "engine")


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """One run with its infrastructure.

    :arg entry: as an entry of ``runs`` of that type's runner module.
    :arg connection: what is the same for all runs of that module's task.
    :arg sources: by setting, who said so.
    """

    label: str
    position: int
    runner_type: str
    entry: Options
    connection: Options = dataclasses.field(repr=False)
    sources: dict[str, str]
    warnings: list[str]

    @property
    def group(self) -> str:
        """Runs of one group share their infrastructure."""
        return json.dumps([self.runner_type, self.connection], sort_keys=True, default=str)


def universal_work(params: t.Mapping[str, t.Any], runner_type: str, secrets: list[str]) -> Work:
    """A task for each infrastructure.

    :arg secrets: those that come from the server are added.
    :raises SettingsError: what is wrong with any of the runs; nothing was launched.
    """
    options = parse_options(params, runner_type)
    values = {field.name: options.get(field.name, field.default) for field in fields_of(runner_type)}
    api = connect(api_settings(api_options(values)))
    if any(name in options for name in AGENT_SOURCES):
        return Work(api, [], agent_of(_pool_work(options, values, api, secrets)))
    sources = JobSources(api.transport)
    tasks = _tasks(_Chooser(options, values, api, sources, None), named_runs(options), secrets)
    return Work(api, list(tasks.values()))


def _pool_work(options: Options, values: Options, api: PrefectApi, secrets: list[str]) -> PoolWork:
    """What an agent does: it is not known beforehand which runs it will be about."""
    polls = open_polls(api, options.get("work_pool"), options.get("work_queues", []))
    if "work_pool" in options:
        _check_pool(options["work_pool"], options, JobSources(api.transport))
    agent = Agent(api, polls, options.get("limit"), secrets)
    # How flows end is told by Prefect; who serves goes on.
    judged = {**options, "fail_on": []} if values["serve"] else options

    def choose(flow_run_ids: t.Sequence[str]) -> dict[str, tuple[str, Task]]:
        named = [(f"flow run {run_id}", {"flow_run_id": run_id}) for run_id in flow_run_ids]
        return _tasks(_Chooser(judged, values, api, JobSources(api.transport), agent), named, secrets)

    return PoolWork(agent, choose, values["serve"], values["wait"], values["wait_timeout"], values["poll_interval"])


def _check_pool(name: str, options: Options, sources: JobSources) -> None:
    """Of a pool that nothing here corresponds to no run can be launched: all would be reported as crashed."""
    try:
        pool = Pool(name, *sources.pool(name))
        if options.get("type", UNIVERSAL) == UNIVERSAL:
            ServerSays(pool, ()).runner_type()
    except ApiNotFound as error:
        remedy = "Correct work_pool, or make it with flowops.prefect.work_pool."
        raise ApiNotFound(error.message, remedy, status=error.status) from None
    except ProblemsError as error:
        raise joined_error([str(problem) for problem in error.problems]) from None


def _tasks(
    chooser: _Chooser, named: t.Sequence[tuple[str, Options]], secrets: list[str]
) -> dict[str, tuple[str, Task]]:
    """Tasks with the types of their flow runners, by what runs on the same infrastructure have in common."""
    try:
        chosen = chooser.choose(named)
    finally:
        secrets.extend(worth_masking(chooser.sources.secrets))
    groups: dict[str, list[_Chosen]] = {}
    for one in chosen:
        groups.setdefault(one.group, []).append(one)
        secrets.extend(secret_values({**one.connection, **one.entry}, one.runner_type))
    return {group: (members[0].runner_type, _task(chooser.options, members)) for group, members in groups.items()}


def _task(options: Options, members: t.Sequence[_Chosen]) -> Task:
    """The members as the task that their runner module would have been given, at their places in the whole."""
    kind = members[0].runner_type
    common = [field.name for field in fields_of(kind) if field.scope in _COMMON_SCOPES and field.name in options]
    params = {**{name: options[name] for name in common}, **members[0].connection}
    task = parse_task({**params, "runs": [one.entry for one in members]}, kind)
    requests = [
        dataclasses.replace(request, position=one.position, label=one.label, sources=one.sources)
        for request, one in zip(task.requests, members)
    ]
    warnings = [*task.warnings, *(warning for one in members for warning in one.warnings)]
    return dataclasses.replace(task, requests=requests, warnings=list(dict.fromkeys(warnings)))


class _Chooser:
    """Asks server and task about each run.

    :arg options: of the task, checked.
    :arg values: the same with their defaults.
    :arg agent: who is told of runs that cannot be launched, in the place of the user.
    """

    def __init__(
        self, options: Options, values: Options, api: PrefectApi, sources: JobSources, agent: Agent | None
    ) -> None:
        self.options = options
        self.values = values
        self.api = api
        self.sources = sources
        self.agent = agent
        self._deployments: dict[str, Deployment | None] = {}

    def choose(self, named: t.Sequence[tuple[str, Options]]) -> list[_Chosen]:
        """Every run, or all complaints together; for an agent those runs that nothing is wrong with."""
        runs = self.api.read_flow_runs(entry["flow_run_id"] for _label, entry in named if "flow_run_id" in entry)
        chosen: list[_Chosen] = []
        complaints: list[str] = []
        for position, (label, entry) in enumerate(named):
            run = runs.get(entry.get("flow_run_id", ""))
            try:
                chosen.append(self._choose(position, label, entry, run))
            except ProblemsError as error:
                complaints.extend(f"{label}: {problem}" for problem in error.problems)
                self._tell_agent(run, " ".join(str(problem) for problem in error.problems))
            except ApiNotFound as error:
                if self.agent is None:
                    raise
                self._tell_agent(run, str(error))
        if self.agent is not None:
            return chosen
        complaints.extend(self._misfits(chosen))
        if complaints:
            raise joined_error(list(dict.fromkeys(complaints)))
        return chosen

    def _tell_agent(self, run: FlowRun | None, reason: str) -> None:
        """Of a run that is somebody else's already it need not know."""
        if self.agent is not None and run is not None and run.scheduled:
            self.agent.refuse(run.id, reason)

    def _misfits(self, chosen: t.Sequence[_Chosen]) -> t.Iterator[str]:
        """Settings of the task that its own type does not have."""
        kind = self.options.get("type", UNIVERSAL)
        if kind == UNIVERSAL or any(one.runner_type != kind for one in chosen):
            return
        known = {field.name for field in settings_fields_of(kind)}
        for name in _settings_names():
            if name in self.options and name not in known:
                yield str(Problem(name, f"is no setting of {kind}, the task's type", "Remove it."))

    def _choose(self, position: int, label: str, entry: Options, run: FlowRun | None) -> _Chosen:
        own = entry if label.startswith("runs[") else {}
        says = self._server(entry, run)
        kind, type_source = self._type(own, says)
        check_type(self.api, kind, type_source)
        levels, warnings = self._server_levels(says, kind, run)
        levels.append(_level("task", self.options, kind))
        levels.append(_level("entry of runs", own, kind))
        _refuse_strange(own, kind, type_source)
        settings, sources = _merged(levels, kind)
        whole = [field.name for field in _fields(kind) if not field.per_run and field.name in settings]
        connection = {name: settings.pop(name) for name in whole}
        if settings.pop("cluster_config", None) and not {"kubeconfig", "kube_host", "context"}.intersection(connection):
            remedy = "Give kubeconfig, context or kube_host in the task, which then say which cluster it is."
            raise ProblemsError(
                [Problem("cluster_config", f"({sources['cluster_config']}) is a block of Prefect's", remedy)]
            )
        self._check({**settings}, kind, sources)
        env, secret_env = merged_environments({"env": level.env, "secret_env": level.secret_env} for level in levels)
        identity = {"flow_run_id": entry["flow_run_id"]} if "flow_run_id" in entry else self._new_run(entry)
        sources = {"type": type_source, **dict(sorted(sources.items())), **_env_sources(levels)}
        return _Chosen(
            label=label,
            position=position,
            runner_type=kind,
            entry={**identity, **settings, "env": env, "secret_env": secret_env},
            connection=connection,
            sources=sources,
            warnings=[f"{label}: {warning}" for warning in warnings],
        )

    # --- the server ----------------------------------------------------------------------------------------------

    def _server(self, entry: Options, run: FlowRun | None) -> ServerSays:
        """Everybody on the server who may have a say."""
        name = (run.deployment_id if run else None) if "flow_run_id" in entry else self._deployment_name(entry)
        deployment = self._deployment(name, gone_is_fine=run is not None) if name else None
        stages = []
        if deployment is not None:
            stages.append((f"deployment {deployment.full_name}", deployment.job_variables))
        if run is not None:
            stages.append(("flow run", run.job_variables))
        pool_name = (run.work_pool_name if run else None) or (deployment.work_pool_name if deployment else None)
        pool = Pool(pool_name, *self.sources.pool(pool_name)) if pool_name else Pool()
        return ServerSays(pool, tuple(stages))

    def _deployment_name(self, entry: Options) -> str:
        return str(entry.get("deployment") or self.options["deployment"])

    def _deployment(self, name: str, gone_is_fine: bool) -> Deployment | None:
        if name not in self._deployments:
            try:
                self._deployments[name] = self.api.read_deployment(name)
            except ApiNotFound:
                if not gone_is_fine:
                    raise
                self._deployments[name] = None
        return self._deployments[name]

    def _type(self, own: Options, says: ServerSays) -> tuple[str, str]:
        """The type of the flow runner, and who says so."""
        for source, level in (("entry of runs", own), ("task", self.options)):
            if level.get("type", UNIVERSAL) != UNIVERSAL:
                return level["type"], source
        kind, source = says.runner_type()
        if kind:
            return kind, source
        return self.values["default_type"], "task (default_type)" if "default_type" in self.options else "default"

    def _server_levels(self, says: ServerSays, kind: str, run: FlowRun | None) -> tuple[list[Level], list[str]]:
        """What cannot be rendered is an error only for a run that may be launched."""
        try:
            return says.levels(kind, self.sources)
        except (ProblemsError, ApiNotFound):
            launched = self.values["state"] == "launched"
            waits = run is None or run.state_type in ("SCHEDULED", "PENDING")
            if launched and (waits or self.values["rerun"] != "never"):
                raise
            return [], []

    # --- the task ------------------------------------------------------------------------------------------------

    def _new_run(self, entry: Options) -> Options:
        """What a run is created from."""
        new = {name: value for name, value in {**self.options, **entry}.items() if name in NEW_RUN_ONLY}
        return {
            **new,
            "deployment": self._deployment_name(entry),
            "parameters": effective_parameters(self.options, entry),
        }

    def _check(self, settings: Options, kind: str, sources: t.Mapping[str, str]) -> None:
        """Each setting by what its type makes of it; who said it is part of the complaint."""
        _good, _bad, problems = clean_all(settings_fields_of(kind), settings)
        if problems:
            raise ProblemsError(
                [
                    dataclasses.replace(one, path=f"{one.path} ({sources.get(_head(one.path), 'task')})")
                    for one in problems
                ]
            )


def _fields(kind: str) -> tuple[Field, ...]:
    """The options that make up a flow runner of this type and say how its infrastructure is reached."""
    return (*settings_fields_of(kind), *connection_fields_of(kind))


def _head(path: str) -> str:
    """The option that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


def _settings_names() -> list[str]:
    """Options that describe an infrastructure, of whichever type."""
    return [field.name for field in fields_of(UNIVERSAL) if field.scope in SETTINGS_SCOPES]


def _level(source: str, options: Options, kind: str) -> Level:
    """What the task or an entry says, under the names of that type's module."""
    names = {field.name: universal_name(field) for field in _fields(kind)}
    settings = {name: options[typed] for name, typed in names.items() if typed in options}
    return Level(source, settings, options.get("env", {}), options.get("secret_env", {}))


def _refuse_strange(own: Options, kind: str, type_source: str) -> None:
    """An entry is about one run: what its type does not have would be ignored."""
    known = {field.name for field in settings_fields_of(kind)}
    what = f"is no setting of {kind}, the type of this run ({type_source})"
    problems = [
        Problem(name, what, "Remove it, or give type.")
        for name in _settings_names()
        if name in own and name not in known
    ]
    if problems:
        raise ProblemsError(problems)


def _merged(levels: t.Iterable[Level], kind: str) -> tuple[Options, dict[str, str]]:
    """Later levels win; a member of an exclusive group takes the place of the others. :returns: values and sources."""
    groups = exclusive_groups_of(_fields(kind))
    merged: Options = {}
    sources: dict[str, str] = {}
    for level in levels:
        for group, _reason in groups:
            if any(level.settings.get(name) is not None for name in group):
                for name in group:
                    merged.pop(name, None)
        for name, value in level.settings.items():
            merged[name], sources[name] = value, level.source
    said = {name: value for name, value in merged.items() if value is not None}
    return said, {name: sources[name] for name in said}


def _env_sources(levels: t.Iterable[Level]) -> dict[str, str]:
    found = {f"env.{name}": level.source for level in levels for name in (*level.env, *level.secret_env)}
    return dict(sorted(found.items()))
