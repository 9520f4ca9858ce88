# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From what an API server says of a Job and its pods to an observation. Pure functions.

A Job that is Complete or Failed is over only when no pod of it lives: its conditions come before a pod's grace period
is over, and its name is free while a pod of it still runs.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import (
    EXIT_REFUSED,
    EXIT_RUN_TIMEOUT,
    EXIT_START_TIMEOUT,
    EXIT_STOPPED,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_job import (
    API_ANNOTATION,
    ATTEMPT_LABEL,
    CONTAINER,
    RUN_LABEL,
    SPEC_ANNOTATION,
    START_ANNOTATION,
    TOKEN_LABEL,
    job_name,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_trouble import (
    kept_exit_code,
    pod_trouble,
    restarts_in_place,
    told_problem,
)
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import canonical_uuid
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._moments import parse_moment
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence

_Object = t.Mapping[str, t.Any]

_OVER = ("Succeeded", "Failed")


@dataclasses.dataclass
class Found:
    """The Job of an attempt and its pods, as far as they are there."""

    key: AttemptKey
    job: _Object | None = None
    pods: list[_Object] = dataclasses.field(default_factory=list)

    @property
    def newest_pod(self) -> _Object | None:
        """The pod that tells: the one that was created last, unless another one's engine had come first."""
        return max(self.pods, key=_told_by, default=None)

    @property
    def token(self) -> str:
        anything = self.job or self.newest_pod or {}
        return str(labels_of(anything).get(TOKEN_LABEL, ""))


def _told_by(pod: _Object) -> tuple[bool, str]:
    came_second = _terminated(pod).get("exitCode") == EXIT_REFUSED
    return not came_second, str(pod["metadata"].get("creationTimestamp", ""))


def without_manifest(found: dict[str, t.Any]) -> dict[str, t.Any]:
    """A Job or a pod without what we sent ourselves: nine tenths of it, and a task may look at thousands."""
    found["metadata"].pop("managedFields", None)
    spec = found.get("spec") or {}
    if restarts_in_place(found):
        spec["template"] = {"spec": {"restartPolicy": "OnFailure"}}
    else:
        spec.pop("template", None)
    for container in spec.get("containers") or ():
        for part in ("command", "args", "env"):
            container.pop(part, None)
    return found


def labels_of(found: _Object) -> _Object:
    return (found.get("metadata") or {}).get("labels") or {}


def key_of(found: _Object) -> AttemptKey | None:
    """The attempt that something says it belongs to; ``None`` for what is not ours."""
    labels = labels_of(found)
    run_id, number = canonical_uuid(str(labels.get(RUN_LABEL) or "")), str(labels.get(ATTEMPT_LABEL) or "")
    if run_id is None or not (number.isascii() and number.isdigit() and 0 < int(number) < 10**9):
        return None
    return AttemptKey(run_id, int(number)) if labels.get(TOKEN_LABEL) else None


def gathered(
    jobs: t.Iterable[_Object], pods: t.Iterable[_Object], wanted: t.Container[str] | None
) -> dict[AttemptKey, Found]:
    """What belongs together; a Job that has our labels and another name is somebody's copy.

    :arg wanted: ids of flow runs, ``None`` for all.
    """
    found: dict[AttemptKey, Found] = {}
    for job in jobs:
        key = _wanted_key(job, wanted)
        if key is not None and job["metadata"]["name"] == job_name(key):
            found.setdefault(key, Found(key)).job = job
    for pod in pods:
        key = _wanted_key(pod, wanted)
        if key is not None:
            found.setdefault(key, Found(key)).pods.append(pod)
    return found


def _wanted_key(found: _Object, wanted: t.Container[str] | None) -> AttemptKey | None:
    key = key_of(found)
    return None if key is None or (wanted is not None and key.flow_run_id not in wanted) else key


def condition(found: _Object | None, kind: str) -> _Object | None:
    """A condition that holds."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind and one.get("status") == "True"), None)


def is_live(pod: _Object) -> bool:
    """Whether the engine may run in a pod; one that is being deleted runs until the node says otherwise."""
    return (pod.get("status") or {}).get("phase") not in _OVER and not outlived_by(pod)


def outlived_by(pod: _Object) -> list[str]:
    """The containers beside ours that go on although the engine has ended for good."""
    ended = (container_status(pod).get("state") or {}).get("terminated")
    if not ended or pod["metadata"].get("deletionTimestamp") or (ended.get("exitCode") and _may_restart(pod)):
        return []
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return [str(one.get("name")) for one in statuses if "terminated" not in (one.get("state") or {})]


def _may_restart(pod: _Object) -> bool:
    spec = pod.get("spec") or {}
    ours: _Object = next((one for one in spec.get("containers") or () if one.get("name") == CONTAINER), {})
    return not {spec.get("restartPolicy"), ours.get("restartPolicy")} <= {"Never", None}


def presence_of(found: Found) -> Presence:
    """How much of it is there."""
    live = any(is_live(pod) for pod in found.pods)
    job = found.job
    ends = condition(job, "Complete") or condition(job, "Failed")
    if job is None:
        return Presence.STOPPING if live else Presence.FINISHED
    if job["metadata"].get("deletionTimestamp"):
        return Presence.STOPPING
    if ends:
        return Presence.STOPPING if live else Presence.FINISHED
    if (job.get("spec") or {}).get("suspend"):
        return Presence.STOPPING if live else Presence.QUEUED
    return Presence.FINISHED if not live and any(map(outlived_by, found.pods)) else Presence.LIVE


def observed(found: Found, identifier: str, now: float, stopped: bool) -> Observation:
    """The observation of an attempt.

    :arg now: the API server's clock.
    :arg stopped: it was stopped on our request, by this very process.
    """
    presence, pod = presence_of(found), found.newest_pod
    job = found.job or {}
    metadata = job.get("metadata") or (pod or {}).get("metadata") or {}
    ended = _terminated(pod)
    code = ended.get("exitCode") if pod is not None else kept_exit_code(found.job)
    by_signal = code - 128 if isinstance(code, int) and 128 < code < 160 else None
    finished = parse_moment(ended.get("finishedAt")) or parse_moment(
        (condition(job, "Failed") or {}).get("lastTransitionTime")
    )
    annotations = metadata.get("annotations") or {}
    return Observation(
        key=found.key,
        presence=presence,
        token=found.token,
        spec_hash=str(annotations.get(SPEC_ANNOTATION, "")),
        identifier=identifier,
        name=job_name(found.key),
        host=str((pod or {}).get("metadata", {}).get("name", "")),
        node=str((pod or {}).get("spec", {}).get("nodeName", "")),
        exit_code=None if by_signal is not None else code,
        signal=by_signal,
        created_at=parse_moment(metadata.get("creationTimestamp")),
        started_at=parse_moment(ended.get("startedAt")) or parse_moment(_running(pod).get("startedAt")),
        finished_at=finished if presence is Presence.FINISHED else None,
        api_url=str(annotations.get(API_ANNOTATION, "")),
        evidence=_evidence(found, pod, ended, presence, now, stopped),
    )


def _evidence(
    found: Found, pod: _Object | None, ended: _Object, presence: Presence, now: float, stopped: bool
) -> dict[str, t.Any]:
    """Facts for the diagnosis. Memory is to blame by the reason: the code can be 0 all the same."""
    evidence: dict[str, t.Any] = {"oom": True if ended.get("reason") == "OOMKilled" else None}
    events = last_words(str(ended.get("message") or ""))
    if events:
        evidence["bootstrap"] = events[-1]
    limit = _memory_limit(pod)
    if limit:
        evidence["memory_limit"] = f"resources.limits.memory (now {limit})"
    code = ended.get("exitCode")
    if stopped or code == EXIT_STOPPED:
        evidence["stopped"] = True
    elif code == EXIT_START_TIMEOUT or (presence is Presence.LIVE and _start_is_overdue(found, pod, now)):
        evidence["timed_out"] = "start"
    elif (code == EXIT_RUN_TIMEOUT and _passed(events)) or (pod or {}).get("status", {}).get(
        "reason"
    ) == "DeadlineExceeded":
        evidence["timed_out"] = "run"
    problem = pod_trouble(found.job, pod, CONTAINER)
    if problem is not None:
        evidence["problem"] = told_problem(problem)
    return evidence


def _passed(events: t.Sequence[_Object]) -> bool:
    return any(event.get("event") == "gate_passed" for event in events)


def last_words(text: str) -> list[dict[str, t.Any]]:
    """The events of the bootstrap in a container's last word; what else a flow wrote there is none of ours."""
    events = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append({str(name): str(value)[:400] for name, value in event.items()})
    return events


def _start_is_overdue(found: Found, pod: _Object | None, now: float) -> bool:
    """No engine within ``start_timeout``: from there on the bootstrap itself keeps the time.

    A Job that was held back (suspended) begins when it is let go.
    """
    metadata = (found.job or {}).get("metadata") or {}
    released = ((found.job or {}).get("status") or {}).get("startTime")
    created = parse_moment(released or metadata.get("creationTimestamp"))
    try:
        limit = float((metadata.get("annotations") or {}).get(START_ANNOTATION, "nan"))
    except ValueError:
        return False
    began = _running(pod) or _terminated(pod)
    return not began and created is not None and now - created > limit


def container_status(pod: _Object | None) -> _Object:
    """Of our container; a pod may have others."""
    statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or ()
    return next((one for one in statuses if one.get("name") == CONTAINER), {})


def _terminated(pod: _Object | None) -> _Object:
    status = container_status(pod)
    return (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated") or {}


def _running(pod: _Object | None) -> _Object:
    return (container_status(pod).get("state") or {}).get("running") or {}


def _memory_limit(pod: _Object | None) -> str:
    containers = ((pod or {}).get("spec") or {}).get("containers") or ()
    ours: _Object = next((one for one in containers if one.get("name") == CONTAINER), {})
    return str(((ours.get("resources") or {}).get("limits") or {}).get("memory", ""))
