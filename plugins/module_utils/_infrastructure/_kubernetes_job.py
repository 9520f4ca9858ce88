# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From a launch to the manifests of its Job and its Secret. Pure functions.

The order in which a Job is made: the user's base manifest, what the launch needs, the options, ``pod_overrides``
(strategic merge), the security profile where nobody spoke of it, ``customizations`` (JSON patch). What comes out is
checked: nothing that the launch or the profile relies on may have been changed on the way.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_engine import (
    BOOTSTRAP_VARIABLE,
    engine_command,
    engine_orders,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_patch import (
    json_patch,
    strategic_merge,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch

#: Ours: what tells whose a Job, a pod or a Secret is. Nobody else may write them.
PREFIX = "flowops.prefect/"
RUN_LABEL = PREFIX + "flow-run-id"
ATTEMPT_LABEL = PREFIX + "attempt"
TOKEN_LABEL = PREFIX + "token"
SPEC_ANNOTATION = PREFIX + "spec-hash"
API_ANNOTATION = PREFIX + "api-url"
START_ANNOTATION = PREFIX + "start-timeout"

#: The container that the engine runs in, as Prefect's own worker calls it.
CONTAINER = "prefect-job"

#: Where a container leaves a last word; the events of the bootstrap go there and so outlive the log.
LAST_WORD = "/dev/termination-log"

#: Added to the limits that the bootstrap itself keeps: the node ends what does not even do that.
BACKSTOP = 120.0

#: By it the Job keeps how its pod ended, longer than the pod is there: with an exit code, or without anybody having
#: seen one.
#: It fails the Job at once, as one that allows no further pod fails anyway.
_KEEPS_THE_END = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"containerName": CONTAINER, "operator": "NotIn", "values": [0]}},
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}

_PLAIN_USER, _PLAIN_HOME = 1000, "/tmp"  # noqa: S108 - inside the container
_NOT_IN_SLUG = re.compile(r"[^a-zA-Z0-9]+")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@dataclasses.dataclass(frozen=True)
class Manifests:
    """What is created for one attempt.

    :arg secret: ``None`` where nothing is secret. Its owner is added when the Job is there.
    """

    job: dict[str, t.Any]
    secret: dict[str, t.Any] | None
    warnings: tuple[str, ...] = ()


def job_name(key: AttemptKey) -> str:
    """Deterministic, so that a second launch of one attempt meets the first; 45 characters and the attempt's number."""
    return f"flowops-{key.name}"


def slug(text: str, fallback: str, limit: int = 63) -> str:
    """A flow run's name as the value of a label."""
    return _NOT_IN_SLUG.sub("-", text).strip("-").lower()[:limit].rstrip("-") or fallback


def our_labels(key: AttemptKey, token: str) -> dict[str, str]:
    """Whose it is."""
    return {RUN_LABEL: key.flow_run_id, ATTEMPT_LABEL: str(key.number), TOKEN_LABEL: token}


def manifests(launch: Launch, image: str, namespace: str, identifier: str, knows_replacement: bool) -> Manifests:
    """Everything that is created for an attempt.

    :arg identifier: of the attempt, which the bootstrap tells the Prefect server.
    :arg image: the one to use where neither an option nor the base manifest names one.
    :arg knows_replacement: the server knows ``podReplacementPolicy``, and so ``podFailurePolicy`` too.
    :raises SettingsError: what the options make of the Job cannot work or is not allowed by the security profile.
    """
    settings = launch.settings
    secret, references = _secret(launch, namespace)
    job = base_job(settings.get("job"))
    _identify(job, launch, namespace)
    _orchestrate(job, launch, knows_replacement)
    _add_engine(job, launch, identifier, references)
    _add_options(job, settings, image)
    orders = _orders(job)
    if settings.get("pod_overrides"):
        job["spec"]["template"] = strategic_merge(job["spec"]["template"], settings["pod_overrides"])
    try:
        _harden(job, settings, launch)
        if settings.get("customizations"):
            job = json_patch(job, settings["customizations"], "customizations")
        warnings = _checked(job, launch, namespace, orders)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise SettingsError(
            "job: what job, pod_overrides and customizations make of it is no Job.", "Look at it with check mode."
        ) from None
    return Manifests(job, secret, tuple(warnings))


# --- the base manifest -----------------------------------------------------------------------------------------------

_REQUIRED: tuple[tuple[tuple[str, ...], t.Any], ...] = (
    (("apiVersion",), "batch/v1"),
    (("kind",), "Job"),
    (("metadata",), None),
    (("metadata", "labels"), None),
    (("spec",), None),
    (("spec", "template"), None),
    (("spec", "template", "spec"), None),
    (("spec", "template", "spec", "containers"), None),
    (("spec", "template", "spec", "containers", "0"), None),
    (("spec", "template", "spec", "containers", "0", "name"), CONTAINER),
    (("spec", "template", "spec", "containers", "0", "env"), None),
)
#: What the parts of a Job have to be where they are there.
_MAPPINGS = frozenset(
    (
        *("metadata", "spec", "template", "labels", "annotations"),
        *("securityContext", "nodeSelector", "resources"),
    )
)
_LISTS = frozenset(
    (
        *("containers", "initContainers", "volumes", "tolerations", "imagePullSecrets"),
        *("env", "envFrom", "volumeMounts"),
    )
)
_BRANCHES = ("metadata", "spec", "template", "containers", "initContainers", "env")


def base_job(given: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """A copy of the user's base manifest, or the default one.

    :raises SettingsError: something of the default one is missing, in the words of Orion.
    """
    if given is None:
        container = {"name": CONTAINER, "env": []}
        template: dict[str, t.Any] = {"spec": {"containers": [container]}}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"labels": {}}, "spec": {"template": template}}
    job: dict[str, t.Any] = _without_null(given)
    missing = [path for path, _value in _REQUIRED if _found(job, path) is _MISSING]
    if missing:
        tops = [path for path in missing if path[:-1] not in missing]
        raise SettingsError(
            f"job: Job is missing required attributes at the following paths: {_pointers(tops)}.",
            "Start from the manifest in the module's documentation.",
        )
    wrong = {path: repr(value) for path, value in _REQUIRED if value is not None and _found(job, path) != value}
    wrong.update(misshapen(job))
    if wrong:
        texts = [f"{_pointers([path])} must have value {value}" for path, value in wrong.items()]
        raise SettingsError(
            f"job: Job has incompatible values for the following attributes: {', '.join(sorted(texts))}.",
            "Start from the manifest in the module's documentation.",
        )
    return job


def _without_null(value: t.Any) -> t.Any:
    """A copy; to Kubernetes a part that is null is not there."""
    if isinstance(value, dict):
        return {key: _without_null(entry) for key, entry in value.items() if entry is not None}
    return [_without_null(entry) for entry in value] if isinstance(value, list) else value


def misshapen(found: t.Mapping[str, t.Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """The parts of a manifest that are of another kind than they have to be, and of which they should be."""
    wrong: dict[tuple[str, ...], str] = {}
    for name, part in found.items():
        path = (*above, name)
        if name == "name" and not isinstance(part, str):
            wrong[path] = "a text"
        elif name in _LISTS and not isinstance(part, list):
            wrong[path] = "a list"
        elif name in _LISTS or name in _MAPPINGS:
            entries = [((*path, str(n)), entry) for n, entry in enumerate(part)] if name in _LISTS else [(path, part)]
            for place, entry in entries:
                if not isinstance(entry, dict):
                    wrong[place] = "a mapping"
                elif name in _BRANCHES:
                    wrong.update(misshapen(entry, place))
    return wrong


_MISSING: t.Any = object()


def _found(document: t.Any, path: tuple[str, ...]) -> t.Any:
    for step in path:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step == "0" and document:
            document = document[0]
        else:
            return _MISSING
    return document


def _pointers(paths: t.Iterable[tuple[str, ...]]) -> str:
    return ", ".join(sorted("/" + "/".join(path) for path in paths))


# --- what the launch needs -------------------------------------------------------------------------------------------


def _container(job: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", job["spec"]["template"]["spec"]["containers"][0])


def _identify(job: dict[str, t.Any], launch: Launch, namespace: str) -> None:
    """Name, labels and annotations: of the user, of Prefect, and ours, which win."""
    settings = launch.settings
    # Not as Prefect's worker calls them: it watches whatever has its labels and reports states of such runs.
    prefects = {
        "io.prefect.flow-run-id": launch.key.flow_run_id,
        "io.prefect.flow-run-name": slug(launch.flow_run_name, launch.key.flow_run_id),
    }
    ours = our_labels(launch.key, launch.token)
    annotations = {
        SPEC_ANNOTATION: launch.spec_hash,
        API_ANNOTATION: launch.api_url,
        START_ANNOTATION: f"{launch.start_timeout:g}",
    }
    metadata = job["metadata"]
    if metadata.get("namespace") not in (None, namespace):
        raise SettingsError(
            f"job: its metadata.namespace is {metadata['namespace']}, and the option namespace is {namespace}.",
            "Give the option namespace, or leave the namespace out of job.",
        )
    metadata.pop("generateName", None)
    metadata["name"], metadata["namespace"] = job_name(launch.key), namespace
    template = job["spec"]["template"].setdefault("metadata", {})
    for place in (metadata, template):
        place["labels"] = {**(place.get("labels") or {}), **prefects, **(settings.get("labels") or {}), **ours}
        place["annotations"] = {
            **(place.get("annotations") or {}),
            **(settings.get("annotations") or {}),
            **annotations,
        }


def _orchestrate(job: dict[str, t.Any], launch: Launch, knows_replacement: bool) -> None:
    """One pod, once. The limits are the bootstrap's; the deadline is for a node or a process that ignores them."""
    spec, settings = job["spec"], launch.settings
    spec["parallelism"] = spec["completions"] = 1
    if settings.get("backoff_limit") is not None or "backoffLimit" not in spec:
        spec["backoffLimit"] = settings.get("backoff_limit") or 0
    if knows_replacement and "podFailurePolicy" not in spec:
        spec["podReplacementPolicy"] = "Failed"
    if settings.get("finished_job_ttl") is not None:
        spec["ttlSecondsAfterFinished"] = settings["finished_job_ttl"]
    pod = spec["template"]["spec"]
    pod["restartPolicy"] = settings.get("restart_policy") or pod.get("restartPolicy") or "Never"
    if knows_replacement and spec["backoffLimit"] == 0 and pod["restartPolicy"] == "Never":
        spec.setdefault("podFailurePolicy", copy.deepcopy(_KEEPS_THE_END))
    pod["terminationGracePeriodSeconds"] = max(1, math.ceil(launch.stop_grace) + 2)
    if launch.run_timeout is not None:
        seconds = math.ceil(launch.start_timeout + launch.run_timeout + launch.stop_grace + BACKSTOP)
        pod["activeDeadlineSeconds"] = seconds
        # A pod's time begins on its node. Its Job's ends also what no node takes, with nobody watching.
        spec.setdefault("activeDeadlineSeconds", math.ceil(launch.start_timeout) + seconds)


def literal(text: str) -> str:
    """Kubernetes replaces ``$(NAME)`` in values and arguments; what users type is meant as it stands."""
    return text.replace("$", "$$")


def _add_engine(job: dict[str, t.Any], launch: Launch, identifier: str, references: dict[str, t.Any]) -> None:
    """The bootstrap as arguments, so that the image's entry point still runs, and its environment."""
    container = _container(job)
    container["args"] = [literal(word) for word in engine_command()]
    own = {"progress": LAST_WORD, "unset": list(launch.unset_environment), "infrastructure_pid": identifier}
    orders = {**json.loads(engine_orders(launch)), **own}
    values = {"PYTHONUNBUFFERED": "1", **launch.environment, BOOTSTRAP_VARIABLE: json.dumps(orders, sort_keys=True)}
    entries = [{"name": name, "value": literal(value)} for name, value in sorted(values.items())]
    entries += [{"name": name, "valueFrom": source} for name, source in sorted(references.items())]
    names = {entry["name"] for entry in entries} | set(launch.unset_environment)
    container["env"] = [entry for entry in container.get("env") or [] if entry.get("name") not in names] + entries


def _secret(launch: Launch, namespace: str) -> tuple[dict[str, t.Any] | None, dict[str, t.Any]]:
    """The Secret with everything secret, and by variable the references to it."""
    values = dict(launch.secret_environment)
    references: dict[str, t.Any] = {}
    given = launch.settings.get("api_key_secret")
    if given:
        values.pop("PREFECT_API_KEY", None)
        references["PREFECT_API_KEY"] = {"secretKeyRef": {"name": given["name"], "key": given["key"]}}
    if not values:
        return None, references
    name, data = job_name(launch.key), {}
    for number, (variable, value) in enumerate(sorted(values.items())):
        key = variable if _SECRET_KEY.fullmatch(variable) else f"variable-{number}"
        data[key] = value
        references[variable] = {"secretKeyRef": {"name": name, "key": key}}
    labels = our_labels(launch.key, launch.token)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "type": "Opaque",
        "immutable": True,
        "stringData": data,
    }
    return secret, references


# --- options ---------------------------------------------------------------------------------------------------------


def _add_options(job: dict[str, t.Any], settings: t.Mapping[str, t.Any], image: str) -> None:
    """What the base manifest says stays where no option says otherwise."""
    pod, container = job["spec"]["template"]["spec"], _container(job)
    container["image"] = settings.get("image") or container.get("image") or image
    for option, field in (("image_pull_policy", "imagePullPolicy"), ("resources", "resources")):
        if settings.get(option):
            container[field] = settings[option]
    if settings.get("volume_mounts"):
        merged = strategic_merge(
            {"volumeMounts": container.get("volumeMounts") or []}, {"volumeMounts": settings["volume_mounts"]}
        )
        container["volumeMounts"] = merged["volumeMounts"]
    if settings.get("env_from_secret"):
        more = [{"secretRef": {"name": name}} for name in settings["env_from_secret"]]
        container["envFrom"] = [*(container.get("envFrom") or []), *more]
    if settings.get("service_account_name"):
        pod["serviceAccountName"] = settings["service_account_name"]
    if settings.get("node_selector"):
        pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), **settings["node_selector"]}
    if settings.get("tolerations"):
        pod["tolerations"] = [*(pod.get("tolerations") or []), *settings["tolerations"]]
    if settings.get("image_pull_secrets"):
        names = [{"name": name} for name in settings["image_pull_secrets"]]
        pod["imagePullSecrets"] = strategic_merge(
            {"imagePullSecrets": pod.get("imagePullSecrets") or []}, {"imagePullSecrets": names}
        )["imagePullSecrets"]
    if settings.get("volumes"):
        pod["volumes"] = strategic_merge({"volumes": pod.get("volumes") or []}, {"volumes": settings["volumes"]})[
            "volumes"
        ]


# --- security --------------------------------------------------------------------------------------------------------


def _harden(job: dict[str, t.Any], settings: t.Mapping[str, t.Any], launch: Launch) -> None:
    """What the security profile asks for, where neither the base manifest nor an override speaks of it."""
    profile = settings.get("security_profile") or "baseline"
    if profile == "none":
        return
    pod = job["spec"]["template"]["spec"]
    if not pod.get("serviceAccountName"):
        pod.setdefault("automountServiceAccountToken", False)
    context = pod.setdefault("securityContext", {})
    context.setdefault("seccompProfile", {"type": "RuntimeDefault"})
    for container in _all_containers(pod):
        own = container.setdefault("securityContext", {})
        if not own.get("privileged"):
            own.setdefault("allowPrivilegeEscalation", False)
        if profile == "restricted":
            own.setdefault("capabilities", {"drop": ["ALL"]})
    if profile == "restricted":
        context.setdefault("runAsNonRoot", True)
        context.setdefault("runAsUser", _PLAIN_USER)
        environment = _ours(job).setdefault("env", [])
        if "HOME" not in {entry.get("name") for entry in environment} and "HOME" not in launch.unset_environment:
            environment.append({"name": "HOME", "value": _PLAIN_HOME})


def _all_containers(pod: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    return [*(pod.get("containers") or []), *(pod.get("initContainers") or [])]


def loosened(pod: t.Mapping[str, t.Any], profile: str) -> list[str]:
    """What of a pod contradicts its security profile."""
    if profile == "none":
        return []
    context = pod.get("securityContext") or {}
    shared = {name: context[name] for name in ("seccompProfile", "runAsNonRoot", "runAsUser") if name in context}
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    for container in _all_containers(pod):
        own = {**shared, **(container.get("securityContext") or {})}
        names = _loosened_in_all(own) + (_loosened_in_restricted(own) if profile == "restricted" else [])
        if profile == "restricted" and any(port.get("hostPort") for port in container.get("ports") or ()):
            names.append("hostPort")
        found += [f"{name} ({container.get('name')})" for name in names]
    if profile == "restricted":
        found += [f"hostPath ({volume.get('name')})" for volume in pod.get("volumes") or () if "hostPath" in volume]
    return found


def _loosened_in_all(context: t.Mapping[str, t.Any]) -> list[str]:
    """Of a container's security context, with what the pod's says laid under it."""
    found = ["privileged"] if context.get("privileged") else []
    if context.get("allowPrivilegeEscalation") is not False:
        found.append("allowPrivilegeEscalation")
    if (context.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        found.append("seccompProfile")
    return found


def _loosened_in_restricted(context: t.Mapping[str, t.Any]) -> list[str]:
    capabilities = context.get("capabilities") or {}
    added = {*(capabilities.get("add") or ())} - {"NET_BIND_SERVICE"}
    found = ["capabilities"] if added or "ALL" not in (capabilities.get("drop") or ()) else []
    if context.get("runAsNonRoot") is not True:
        found.append("runAsNonRoot")
    if context.get("runAsUser") == 0:
        found.append("runAsUser")
    return found


# --- the check at the end --------------------------------------------------------------------------------------------


def _ours(job: dict[str, t.Any]) -> dict[str, t.Any]:
    """The container of the engine; empty where there is none any more."""
    containers = job["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if one.get("name") == CONTAINER), {})


def _orders(job: dict[str, t.Any]) -> t.Any:
    """The bootstrap's orders, as the container finds them: of a variable said twice, the last counts."""
    found = [entry for entry in _ours(job).get("env") or () if entry.get("name") == BOOTSTRAP_VARIABLE]
    return copy.deepcopy(found[-1]) if found else None


def _checked(job: dict[str, t.Any], launch: Launch, namespace: str, orders: t.Any) -> list[str]:
    metadata, spec = job["metadata"], job["spec"]
    pod = spec["template"]["spec"]
    ours = our_labels(launch.key, launch.token).items()
    kept = all(ours <= (place.get("labels") or {}).items() for place in (metadata, spec["template"]["metadata"]))
    if not kept or metadata["name"] != job_name(launch.key) or metadata.get("namespace") != namespace:
        _refuse(
            f"its name, its namespace and labels that begin with {PREFIX} are changed, by which it is found again",
            "Leave them as they are; the options namespace and labels are for the rest.",
        )
    if spec.get("parallelism") != 1 or spec.get("completions") != 1:
        _refuse("parallelism or completions is not 1", "One Job runs one flow run: leave them out.")
    if spec.get("manualSelector"):
        _refuse("manualSelector makes it take pods that are not its own", "Leave it and selector out.")
    container = _ours(job)
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if literal(engine_command()[-1]) not in words or _orders(job) != orders:
        _refuse(
            f"the container {CONTAINER} does not start the engine any more",
            f"Keep its arguments and the variable {BOOTSTRAP_VARIABLE}: words before them are fine, and so are other "
            "containers.",
        )
    _check_restarts(pod, container, launch.settings)
    _check_secrets(job, launch)
    profile = launch.settings.get("security_profile") or "baseline"
    found = loosened(pod, profile)
    if found:
        _refuse(
            f"security_profile is {profile}, and the job contradicts it: {', '.join(found)}",
            "Keep to the profile there, or say security_profile: none.",
        )
    return _warnings(spec)


def _refuse(what: str, remedy: str) -> t.NoReturn:
    raise SettingsError(f"job: {what}.", remedy)


def _check_restarts(pod: dict[str, t.Any], container: dict[str, t.Any], settings: t.Mapping[str, t.Any]) -> None:
    """A restarted container meets a gate that is passed, but what came before the gate is executed again."""
    policies = {pod.get("restartPolicy"), container.get("restartPolicy", "Never")}
    if not policies <= {"Never", "OnFailure"} or container.get("restartPolicyRules"):
        _refuse("restartPolicy is neither Never nor OnFailure", "Leave it out, and restartPolicyRules too.")
    if "OnFailure" in policies and not settings.get("may_run_again"):
        raise SettingsError(
            "restart_policy: OnFailure lets the cluster start the container again, and nobody said that it may.",
            "Add may_run_again: true, or leave restart_policy out; rerun: failed makes a new attempt.",
        )


def _check_secrets(job: dict[str, t.Any], launch: Launch) -> None:
    """Values of secrets are in the Secret, nowhere in the Job."""
    text = json.dumps(job, ensure_ascii=False)
    for name, value in launch.secret_environment.items():
        if len(value) >= 8 and json.dumps(value, ensure_ascii=False)[1:-1] in text:
            raise SettingsError(
                f"job: it holds the value of {name}, which is secret, where everybody can read it.",
                "Refer to the variable; the collection puts its value into a Secret.",
            )


def _warnings(spec: t.Mapping[str, t.Any]) -> list[str]:
    warnings = []
    ttl = spec.get("ttlSecondsAfterFinished")
    if ttl is not None and ttl < 60:
        warnings.append(
            f"finished_job_ttl is {ttl} seconds: exit code and output of a run may be gone before they are read. "
            "Give 60 or more."
        )
    limit = spec.get("backoffLimit") or 0
    if limit == 0 and spec["template"]["spec"]["restartPolicy"] == "OnFailure":
        warnings.append(
            "restart_policy is OnFailure and backoff_limit is 0: the cluster gives up as soon as it has started the "
            "container again. Give backoff_limit: 1 or more."
        )
    if limit > 0:
        warnings.append(
            "backoff_limit is above 0: the cluster makes new pods after a failure, and whichever begins after the "
            "flow has started ends with exit code 86. rerun: failed makes a new attempt instead."
        )
    return warnings


def masked(found: Manifests, mask: str) -> dict[str, t.Any]:
    """The manifests for people: without the bootstrap's source, of the Secret only the names."""
    job = copy.deepcopy(found.job)
    source = literal(engine_command()[-1])
    for container in job["spec"]["template"]["spec"]["containers"]:
        for words in ("command", "args"):
            if words in container:
                short = "(the bootstrap, which starts the engine)"
                container[words] = [short if word == source else word for word in container[words]]
    shown = {"job": job}
    if found.secret is not None:
        shown["secret"] = {**found.secret, "stringData": dict.fromkeys(found.secret["stringData"], mask)}
    return shown
