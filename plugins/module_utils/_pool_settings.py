# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From the job configuration of Prefect's own workers to the settings of our flow runners.

What has the same meaning is taken over, what only matters to a worker is left out, and what would change how the flow
runs and has no counterpart is refused by its name.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import typing as t
import unicodedata

from ansible_collections.flowops.prefect.plugins.module_utils._fields import settings_fields_of
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, ProblemsError, described

Document = dict[str, t.Any]

#: Types of Prefect's work pools, and the flow runner that does the same.
STOCK_POOLS = {"process": "subprocess", "docker": "docker", "kubernetes": "kubernetes"}

#: Spellings of "start the engine": ours starts it in its own way.
_ENGINE_COMMANDS = ("python -m prefect.engine", "prefect flow-run execute")

#: What only matters to a worker: names of infrastructure are ours, and the play decides what it shows.
_WORKERS_OWN = ("command", "env", "name", "stream_output")

_CONTAINER = "prefect-job"

_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9._-]+")

#: A manifest that says nothing beyond the options.
_BARE_JOB = {"metadata": {}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{}]}}}}


def _template(*names: str, **more: t.Any) -> Document:
    """Each variable becomes what it is called."""
    return {"job_configuration": {**{name: "{{ " + name + " }}" for name in (*_WORKERS_OWN, *names)}, **more}}


#: A pool may be made without a template. Prefect's worker gives it this one when it starts for the first time.
USUAL_TEMPLATES: dict[str, Document] = {
    "process": _template("working_dir"),
    "docker": _template(*(field.name for field in settings_fields_of("docker")), "registry_credentials"),
    "kubernetes": _template(
        *("namespace", "labels", "annotations", "cluster_config"),
        job_manifest={
            "spec": {
                "backoffLimit": "{{ backoff_limit }}",
                "ttlSecondsAfterFinished": "{{ finished_job_ttl }}",
                "template": {
                    "spec": {
                        "serviceAccountName": "{{ service_account_name }}",
                        "containers": [
                            {
                                "image": "{{ image }}",
                                "imagePullPolicy": "{{ image_pull_policy }}",
                                "resources": {
                                    "limits": {"cpu": "{{ cpu_limit }}", "memory": "{{ memory_limit }}"},
                                    "requests": {"cpu": "{{ cpu_request }}", "memory": "{{ memory_request }}"},
                                },
                            }
                        ],
                    }
                },
            }
        },
    ),
}


@dataclasses.dataclass
class PoolSettings:
    """What a pool, with the job variables laid over it, says.

    :arg settings: of the flow runner, without ``env``.
    :arg connection: options of the connection, with those of a registry.
    :arg env: texts; ``None`` unsets a variable.
    """

    settings: Document = dataclasses.field(default_factory=dict)
    connection: Document = dataclasses.field(default_factory=dict)
    env: dict[str, str | None] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)


def pool_settings(pool_type: str, configuration: Document) -> PoolSettings:
    """:raises ProblemsError: what has no counterpart."""
    found = PoolSettings()
    _refuse_command(configuration.get("command"))
    given = {name: value for name, value in configuration.items() if value is not None and name not in _WORKERS_OWN}
    _TRANSLATIONS[pool_type](given, found)
    found.env.update(environment_of(configuration.get("env")))
    for name in given:
        found.warnings.append(f"{name} of a {pool_type} pool has no counterpart and is left out")
    return found


def environment_of(env: t.Any) -> dict[str, str | None]:
    """Texts, as Prefect's workers make them; a list is the form of Kubernetes."""
    if env is None:
        return {}
    if isinstance(env, list):
        env = {entry.get("name"): entry.get("value") for entry in env if isinstance(entry, dict) and "value" in entry}
    if not isinstance(env, dict):
        raise ProblemsError([Problem("env", f"is {described(env, True)}, not a mapping", "Give names and values.")])
    return {str(name): None if value is None else str(value) for name, value in env.items()}


def _refuse_command(command: t.Any) -> None:
    text = " ".join(command) if isinstance(command, list) else str(command or "")
    if text.strip() and text.strip() not in _ENGINE_COMMANDS:
        remedy = "Remove the variable; for what has to happen first use the deployment's pull steps, or an image."
        raise ProblemsError([Problem("command", "would start something else than Prefect's engine", remedy)])


def _take(given: Document, found: PoolSettings, names: t.Iterable[str]) -> None:
    """Options that are called the same; they come out of ``given``."""
    for name in names:
        if name in given:
            found.settings[name] = given.pop(name)


def _process(given: Document, found: PoolSettings) -> None:
    given.pop("labels", None)  # processes have none; Prefect's worker has no use for them either
    _take(given, found, ("working_dir",))


def _docker(given: Document, found: PoolSettings) -> None:
    names = [field.name for field in settings_fields_of("docker")]
    _take(given, found, names)
    arguments = found.settings.get("container_create_kwargs")
    if isinstance(arguments, dict):
        moved = [name for name in names if name in arguments]
        found.settings = {**{name: arguments[name] for name in moved}, **found.settings}
        found.settings["container_create_kwargs"] = {
            name: value for name, value in arguments.items() if name not in moved
        }
    given.pop("container_wait_timeout", None)  # older workers; no worker ever looked at it
    credentials = given.pop("registry_credentials", None)
    if isinstance(credentials, dict):
        for option, name in (("url", "registry_url"), ("username", "username"), ("password", "password")):
            if credentials.get(name) is not None:
                found.connection[f"registry_{option}"] = credentials[name]


def _kubernetes(given: Document, found: PoolSettings) -> None:
    namespace = given.pop("namespace", None)
    if namespace is not None:
        found.connection["namespace"] = namespace
    if given.pop("cluster_config", None) is not None:
        found.connection["cluster_config"] = True
    for name, usual in (("job_watch_timeout_seconds", None), ("pod_watch_timeout_seconds", 60)):
        seconds = given.pop(name, usual)
        if seconds != usual:
            ours = "wait_timeout" if name.startswith("job") else "start_timeout"
            found.warnings.append(f"{name} ({seconds}) is not taken over; give {ours} in the task")
    beside = {name: given.pop(name, None) for name in ("labels", "annotations")}
    manifest = given.pop("job_manifest", None)
    if isinstance(manifest, dict):
        _lift(_without_null(copy.deepcopy(manifest)), found)
    _add_names(found, "labels", beside["labels"], _label)
    _add_names(found, "annotations", beside["annotations"], lambda value: value)


def _add_names(found: PoolSettings, option: str, more: t.Any, of_value: t.Callable[[t.Any], t.Any]) -> None:
    """What stands beside the manifest on top of what is in it. What is no mapping is left to the checks of options."""
    parts = [part for part in (found.settings.get(option), more) if part]
    strange = [part for part in parts if not isinstance(part, dict)]
    merged = {
        _label_key(str(key)): of_value(value) for part in parts if part not in strange for key, value in part.items()
    }
    if parts:
        found.settings[option] = strange[0] if strange else merged


def _label(value: t.Any, longest: int = 63) -> t.Any:
    """Workers make of any text one that Kubernetes takes; where nothing would be left of it, it stays."""
    if not isinstance(value, str):
        return value
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    return _NOT_IN_LABEL.sub("-", plain)[:longest].strip("._-") or value


def _label_key(key: str) -> str:
    prefix, slash, name = key.partition("/")
    return f"{_label(prefix, 253)}/{_label(name)}" if slash else str(_label(key))


def _without_null(part: t.Any) -> t.Any:
    """Kubernetes reads null as "not there", and so do workers."""
    if isinstance(part, dict):
        return {name: _without_null(entry) for name, entry in part.items() if entry is not None}
    return [_without_null(entry) for entry in part] if isinstance(part, list) else part


def _lift(job: Document, found: PoolSettings) -> None:
    """What has an option becomes one; what is left and says something is the base manifest."""
    metadata, spec = _mapping(job, "metadata"), _mapping(job, "spec")
    template = _mapping(spec, "template")
    pod = _mapping(template, "spec")
    containers = pod.get("containers")
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        remedy = "Mend the pool's base job template; it has one container, which runs the engine."
        raise ProblemsError([Problem("job_manifest.spec.template.spec.containers", "has no container", remedy)])
    container = containers[0]
    for place, name, option in (
        (container, "image", "image"),
        (container, "imagePullPolicy", "image_pull_policy"),
        (container, "resources", "resources"),
        (pod, "serviceAccountName", "service_account_name"),
        (spec, "ttlSecondsAfterFinished", "finished_job_ttl"),
        (spec, "backoffLimit", "backoff_limit"),
        (metadata, "labels", "labels"),
        (metadata, "annotations", "annotations"),
    ):
        value = _without_empty(place.pop(name, None))
        if value is not None:
            found.settings[option] = value
    _refuse_command(container.get("command"))
    for place, names in (
        (metadata, ("namespace", "generateName", "name")),
        (spec, ("parallelism", "completions")),
        (pod, ("parallelism", "completions")),  # where Prefect's own template has them, to no effect
        (container, ("args", "command")),
    ):
        for name in names:
            place.pop(name, None)
    env = container.pop("env", None)
    listed = [entry for entry in env if isinstance(entry, dict)] if isinstance(env, list) else []
    references = [entry for entry in listed if "valueFrom" in entry or "$(" in str(entry.get("value"))]
    found.env.update(environment_of([entry for entry in listed if entry not in references]))
    if container.pop("name", _CONTAINER) != _CONTAINER:
        found.warnings.append(f"the first container of job_manifest is called {_CONTAINER}")
    pod.setdefault("restartPolicy", "Never")
    if references or {name: job[name] for name in job if name not in ("apiVersion", "kind")} != _BARE_JOB:
        container.update(name=_CONTAINER, env=references)
        metadata["labels"] = {}
        found.settings["job"] = {**job, "apiVersion": "batch/v1", "kind": "Job"}


def _mapping(document: Document, name: str) -> Document:
    """The mapping of that name, made where it is missing."""
    if not isinstance(document.get(name), dict):
        document[name] = {}
    return t.cast("Document", document[name])


def _without_empty(value: t.Any) -> t.Any:
    """``None`` for what holds nothing, down to the last mapping."""
    if not isinstance(value, dict):
        return value
    kept = {name: entry for name, entry in ((n, _without_empty(e)) for n, e in value.items()) if entry is not None}
    return kept or None


_TRANSLATIONS: dict[str, t.Callable[[Document, PoolSettings], None]] = {
    "process": _process,
    "docker": _docker,
    "kubernetes": _kubernetes,
}
