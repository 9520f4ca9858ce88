# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From what users typed to what the core works with: one :class:`Task`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._checks import clean_all
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    Field,
    connection_fields_of,
    exclusive_groups_of,
    fields_of,
    per_run_fields_of,
    settings_fields_of,
    without_result_keys,
)
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, join, shown
from ansible_collections.flowops.prefect.plugins.module_utils._redact import Redactor, looks_secret, secret_values
from ansible_collections.flowops.prefect.plugins.module_utils._rules import effective_parameters, rule_problems

_MOST_SHOWN = 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclasses.dataclass(frozen=True)
class ApiOptions:
    """How the Prefect API is reached.

    :arg engine_url: the same API as seen by the engine; equal to ``url`` unless the user says otherwise.
    :arg engine_url_chosen: the user did.
    """

    url: str
    key: str | None = dataclasses.field(default=None, repr=False)
    auth_string: str | None = dataclasses.field(default=None, repr=False)
    headers: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    validate_certs: bool = True
    timeout: float = 30.0
    engine_url: str = ""
    engine_url_chosen: bool = False


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """One run that the task is about: an existing one, or one to be created from a deployment.

    :arg position: counts from 0, in the order of the task.
    :arg label: the option that names it, for messages: ``runs[3]``.
    :arg deployment: ``flow/name`` or a UUID; set exactly when ``flow_run_id`` is not.
    :arg rerun: ``never``, ``failed``, ``always``, or the number of the attempt, 2 or more.
    :arg flow_run_name: with ``{parameter}`` already replaced.
    :arg settings: every setting of the runner type, merged: default < task < entry; None where nothing was said.
    :arg env: merged; None means that the variable must not be there, whoever else would set it.
    :arg secret_env: merged, and disjoint from ``env``.
    :arg sources: by setting, who said so; only where the server was asked too.
    """

    position: int
    label: str
    flow_run_id: str | None
    deployment: str | None
    parameters: dict[str, t.Any]
    flow_run_name: str | None
    tags: list[str]
    idempotency_key: str | None
    rerun: str
    settings: dict[str, t.Any]
    env: dict[str, str | None]
    secret_env: dict[str, str] = dataclasses.field(repr=False)
    sources: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Task:
    """What the user asked for, checked, with effective defaults.

    :arg run_timeout: None for no limit, like ``wait_timeout``.
    :arg concurrency: None: the core decides by the number of processors.
    :arg stream_output: None: the controller decides by the number of runs.
    :arg log_cursor: by flow run id; None when the call is no follow-up.
    :arg storage_check: ``strict``, ``warn`` or ``off``, which it is where code is always at hand.
    :arg older_than: seconds; what ``state: reconciled`` does, like ``orphans`` (``keep`` or ``remove``) and
        ``zombie_limit`` (how many of the server's runs are looked at). Its one request names no run, only a place.
    :arg connection: how the infrastructure is reached: the options of ``CONNECTION_SCOPES``.
    :arg warnings: for the result: what works and is not safe.
    """

    state: str
    wait: bool
    fail_on: list[str]
    on_abort: str
    start_timeout: float
    run_timeout: float | None
    wait_timeout: float | None
    stop_grace: float
    concurrency: int | None
    stream_output: bool | None
    log_lines: int
    artifacts: list[str]
    log_cursor: dict[str, str] | None
    poll_interval: float
    per_host: bool
    storage_check: str
    older_than: float
    orphans: str
    zombie_limit: int
    api: ApiOptions
    requests: list[RunRequest]
    connection: dict[str, t.Any] = dataclasses.field(repr=False)
    warnings: list[str]

    @property
    def is_followed(self) -> bool:
        """Whether the caller comes again and again, so that nothing has to be waited for here."""
        return self.log_cursor is not None

    @property
    def streams(self) -> bool:
        """Whether the caller wants new output."""
        return self.is_followed and self.stream_output is not False


def parse_task(params: t.Mapping[str, t.Any], runner_type: str) -> Task:
    """Check a task's options and put them together.

    :arg params: as Ansible hands them over; raw values are fine too, nothing is taken for granted.
    :raises SettingsError: lists everything that is wrong.
    """
    options = parse_options(params, runner_type)
    options, problems = _on_this_host(options, runner_type)
    if problems:
        raise settings_error(problems, params, runner_type)
    return _task(options, runner_type)


def parse_options(params: t.Mapping[str, t.Any], runner_type: str) -> dict[str, t.Any]:
    """A task's options, each in its clean form; what was left open is absent.

    :raises SettingsError: lists everything that is wrong.
    """
    options, problems = _checked(params, runner_type)
    if problems:
        raise settings_error(problems, params, runner_type)
    return options


def problems_of(params: t.Mapping[str, t.Any], runner_type: str) -> list[str]:
    """What :func:`parse_task` would complain of, as far as it can be told away from the managed host."""
    return problem_texts(_checked(params, runner_type)[1], params, runner_type)


def settings_error(problems: t.Sequence[Problem], params: t.Mapping[str, t.Any], runner_type: str) -> SettingsError:
    """All problems as one error, free of the task's secrets."""
    return joined_error(problem_texts(problems, params, runner_type))


def joined_error(texts: list[str]) -> SettingsError:
    """All complaints as one error."""
    if len(texts) == 1:
        return SettingsError(texts[0])
    listed = texts[:_MOST_SHOWN]
    more = [f"… and {len(texts) - _MOST_SHOWN} more."] if len(texts) > _MOST_SHOWN else []
    lines = [f"{len(texts)} problems with what the task says:", *(f"- {text}" for text in listed + more)]
    return SettingsError("\n".join(lines))


def problem_texts(problems: t.Iterable[Problem], params: t.Mapping[str, t.Any], runner_type: str) -> list[str]:
    """The problems as texts, free of the task's secrets, each once."""
    redactor = Redactor(secret_values(params, runner_type))
    return list(dict.fromkeys(redactor.text(str(problem)) for problem in problems))


def _checked(params: t.Mapping[str, t.Any], runner_type: str) -> tuple[dict[str, t.Any], list[Problem]]:
    """Every option by itself, then all of them together."""
    good, bad, problems = clean_all(fields_of(runner_type), params)
    everything = {**good, **bad}
    if "runs" in good:
        entries = []
        for index, raw in enumerate(good["runs"]):
            entry, unread, found = clean_all(per_run_fields_of(runner_type), without_result_keys(raw))
            problems.extend(problem.under(f"runs[{index}]") for problem in found)
            entries.append({**entry, **unread})
        everything["runs"] = entries
    problems.extend(rule_problems(everything, runner_type))
    return everything, problems


def _on_this_host(options: dict[str, t.Any], runner_type: str) -> tuple[dict[str, t.Any], list[Problem]]:
    """Replace ``~`` and ``$VARIABLE`` in paths, which means something only where the module runs."""
    expanded, problems = _expanded(options, fields_of(runner_type), "")
    if "runs" in options:
        pairs = [
            _expanded(entry, per_run_fields_of(runner_type), f"runs[{index}]")
            for index, entry in enumerate(options["runs"])
        ]
        expanded["runs"] = [entry for entry, _found in pairs]
        problems.extend(problem for _entry, found in pairs for problem in found)
    return expanded, problems


def _expanded(
    options: dict[str, t.Any], fields: t.Iterable[Field], prefix: str
) -> tuple[dict[str, t.Any], list[Problem]]:
    expanded, problems = dict(options), []
    for field in fields:
        value = options.get(field.name)
        if value is None or not (field.type == "path" or (field.kind == "condaenv" and value[0] in "/~")):
            continue
        expanded[field.name] = os.path.expanduser(os.path.expandvars(value))
        if not os.path.isabs(expanded[field.name]):
            problems.append(
                Problem(
                    join(prefix, field.name),
                    f"is {shown(value)}, with a variable or a user that this host does not know",
                    "Give the full path on the host.",
                )
            )
    return expanded, problems


def _task(options: dict[str, t.Any], runner_type: str) -> Task:
    """Put checked options together; every field of the table that is not a run's ends up here."""
    values = {field.name: options.get(field.name, field.default) for field in fields_of(runner_type)}
    api = api_options(values)
    return Task(
        state=values["state"],
        wait=values["wait"],
        fail_on=list(values["fail_on"]),
        on_abort=values["on_abort"],
        start_timeout=values["start_timeout"],
        run_timeout=values["run_timeout"],
        wait_timeout=values["wait_timeout"],
        stop_grace=values["stop_grace"],
        concurrency=values["concurrency"],
        stream_output=values["stream_output"],
        log_lines=values["log_lines"],
        artifacts=values["artifacts"] or [],
        log_cursor=values["log_cursor"],
        poll_interval=values["poll_interval"],
        per_host=values["per_host"],
        storage_check=values.get("storage_check", "off"),
        older_than=values["older_than"],
        orphans=values["orphans"],
        zombie_limit=values["zombie_limit"],
        api=api,
        requests=_requests(options, runner_type),
        connection={field.name: values[field.name] for field in connection_fields_of(runner_type)},
        warnings=connection_warnings(api),
    )


def api_options(values: t.Mapping[str, t.Any]) -> ApiOptions:
    """The options of the scopes ``api`` and, for runner modules, ``engine``."""
    return ApiOptions(
        url=values["api_url"],
        key=values["api_key"],
        auth_string=values["api_auth_string"],
        headers=values["api_headers"] or {},
        ca_path=values["api_ca_path"],
        client_cert=values["api_client_cert"],
        client_key=values["api_client_key"],
        validate_certs=values["api_validate_certs"],
        timeout=values["api_timeout"],
        engine_url=values.get("engine_api_url") or values["api_url"],
        engine_url_chosen=values.get("engine_api_url") is not None,
    )


def connection_warnings(api: ApiOptions) -> list[str]:
    """Connections that carry a credential and can be listened to."""
    if not (api.key or api.auth_string or api.headers):
        return []
    warnings = []
    urls = {api.engine_url: "engine_api_url", api.url: "api_url"}
    for url, name in urls.items():
        parts = urllib.parse.urlsplit(url)
        if parts.scheme.lower() == "http" and parts.hostname not in _LOOPBACK:
            warnings.append(f"{name} is not encrypted, and credentials are sent over it. Use https:// where you can.")
    if not api.validate_certs and api.url.lower().startswith("https:"):
        warnings.append(
            "api_validate_certs is false: credentials are sent to a server whose certificate nobody checks. "
            "Give its authority's certificate in api_ca_path instead."
        )
    return warnings


def _requests(options: dict[str, t.Any], runner_type: str) -> list[RunRequest]:
    return [_request(n, label, entry, options, runner_type) for n, (label, entry) in enumerate(named_runs(options))]


def named_runs(options: t.Mapping[str, t.Any]) -> list[tuple[str, dict[str, t.Any]]]:
    """The runs in the task's order, each with its label and its part of the options."""
    if "flow_run_ids" in options:
        return [(f"flow_run_ids[{n}]", {"flow_run_id": run}) for n, run in enumerate(options["flow_run_ids"])]
    if "runs" in options:
        return [(f"runs[{n}]", entry) for n, entry in enumerate(options["runs"])]
    if "flow_run_id" in options:
        return [("flow_run_id", {"flow_run_id": options["flow_run_id"]})]
    return [("deployment", {})]


def _request(
    position: int, label: str, entry: dict[str, t.Any], options: dict[str, t.Any], runner_type: str
) -> RunRequest:
    env, secret_env = merged_environments((options, entry))
    flow_run_id = entry.get("flow_run_id")
    new = {**options, **entry} if flow_run_id is None else {}
    parameters = effective_parameters(options, entry) if new else {}
    name = new.get("flow_run_name")
    return RunRequest(
        position=position,
        label=label,
        flow_run_id=flow_run_id,
        deployment=new.get("deployment"),
        parameters=parameters,
        # Checked before: plain names only, and all of them known.
        flow_run_name=None if name is None else name.format_map(parameters),
        tags=new.get("tags", []),
        idempotency_key=new.get("idempotency_key"),
        rerun=entry.get("rerun") or options.get("rerun") or "never",
        settings=_settings(options, entry, runner_type),
        env=env,
        secret_env=secret_env,
    )


def _settings(options: dict[str, t.Any], entry: dict[str, t.Any], runner_type: str) -> dict[str, t.Any]:
    """default < task < entry; a member of an exclusive group replaces the group's others."""
    fields = settings_fields_of(runner_type)
    merged = {field.name: options.get(field.name, field.default) for field in fields}
    for group, _reason in exclusive_groups_of(fields):
        if any(name in entry for name in group):
            merged.update(dict.fromkeys(group))
    merged.update((field.name, entry[field.name]) for field in fields if field.name in entry)
    return merged


def merged_environments(
    levels: t.Iterable[t.Mapping[str, t.Any]],
) -> tuple[dict[str, str | None], dict[str, str]]:
    """``env`` and ``secret_env`` merged; whoever says something about a variable last is the one who counts."""
    env: dict[str, str | None] = {}
    secret: dict[str, str] = {}
    for level in levels:
        for name, value in level.get("env", {}).items():
            secret.pop(name, None)
            env[name] = value
        for name, value in level.get("secret_env", {}).items():
            env.pop(name, None)
            secret.pop(name, None)
            if value is None:
                env[name] = None
            else:
                secret[name] = value
    return env, secret


def spec_hash(
    runner_type: str,
    settings: t.Mapping[str, t.Any],
    env: t.Mapping[str, str | None],
    secret_names: t.Iterable[str],
) -> str:
    """Whether two launches would create the same infrastructure, in 64 hexadecimal digits.

    Of secrets only the names count: the hash is public (labels, records on the server), and any digest of a short
    secret could be tried out.
    """
    open_env = {name: value for name, value in env.items() if not looks_secret(name)}
    names = sorted({*secret_names, *(name for name in env if looks_secret(name))})
    document = {"type": runner_type, "settings": dict(settings), "env": open_env, "secrets": names}
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
