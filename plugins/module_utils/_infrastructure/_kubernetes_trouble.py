# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What is wrong with a Job or a pod, and what to do about it. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._diagnosis import Diagnosis
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise

_Object = t.Mapping[str, t.Any]
_LONGEST = 400

_MOUNTS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_PULLS = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed")
_DENIED = re.compile(r"unauthorized|authentication required|denied|no basic auth|forbidden", re.IGNORECASE)
#: What a Job says that failed by the pod failure policy of ``_kubernetes_job``.
_KEPT_CODE = re.compile(r"failed with exit code (\d{1,3}) matching FailJob rule")
_KEPT_DISRUPTION = "has condition DisruptionTarget matching FailJob rule"
#: In place of a node's name where nobody tells it.
_SOME_NODE = "(its name is not known)"

_LIMIT_RANGE = re.compile(r"(maximum|minimum) \S+ usage per|limit to request ratio per")
_NO_COMMAND = re.compile(r"executable file not found|no such file or directory|exec format error", re.IGNORECASE)


def told_problem(problem: Diagnosis) -> dict[str, t.Any]:
    """As evidence, which is plain data."""
    return dataclasses.asdict(problem)


def pod_trouble(job: _Object | None, pod: _Object | None, container: str) -> Diagnosis | None:
    """What keeps an attempt from starting, or ended it from outside; ``None`` where nothing is known."""
    if pod is None:
        return _overdue(job) or _given_up(job) or _job_trouble(job)
    if pod["metadata"].get("deletionTimestamp") and (found := _given_up(job)):
        return found
    return _overdue(job) or _ended_by_others(pod) or _container_trouble(pod, container) or _unscheduled(pod)


def _text(value: t.Any) -> str:
    return neutralise(" ".join(str(value or "").split()))[:_LONGEST].rstrip(".")


def _ended_by_others(pod: _Object) -> Diagnosis | None:
    """Eviction, preemption, deletion: what the pod's own status tells of it."""
    status = pod.get("status") or {}
    disrupted: _Object = next(
        (
            one
            for one in status.get("conditions") or ()
            if one.get("type") == "DisruptionTarget" and one.get("status") == "True"
        ),
        {},
    )
    why = _text(disrupted.get("message") or status.get("message"))
    if disrupted.get("reason") == "DeletionByPodGC" or status.get("reason") == "NodeLost":
        return None
    if status.get("reason") == "Evicted" or disrupted.get("reason") in (
        "EvictionByEvictionAPI",
        "TerminationByKubelet",
    ):
        return _evicted(why)
    if disrupted.get("reason") == "PreemptionByScheduler":
        return _preempted(why)
    if disrupted.get("reason") == "DeletionByTaintManager":
        return _tainted(why)
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return _deleted("")
    return None


def _evicted(why: str) -> Diagnosis:
    return Diagnosis(
        "evicted",
        f"the pod was evicted: {why or 'no reason was given'}",
        "Ask for what the flow uses in resources.requests, or run it on a node with room; then rerun: failed.",
        True,
    )


def _preempted(why: str) -> Diagnosis:
    return Diagnosis(
        "preempted",
        f"the pod had to make room for a more important one: {why}",
        "Give it a higher priorityClassName with pod_overrides, or run it again (rerun: failed).",
        True,
    )


def _tainted(why: str) -> Diagnosis:
    return Diagnosis(
        "node_tainted",
        f"the node drove its pods out: {why}",
        "See what is wrong with the node, then run it again (rerun: failed).",
        True,
    )


def _container_trouble(pod: _Object, container: str) -> Diagnosis | None:
    """What our container, or one that has to end before it, waits for or ended with."""
    status = pod.get("status") or {}
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    held_up = _held_up(status, container)
    if held_up is not None:
        return held_up
    for one in every:
        state = one.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        found = _waiting(one, waiting) if waiting else None
        if found is None and one.get("name") == container:
            found = _not_started(ended)
        if found is not None:
            return found
    return None


def _held_up(status: _Object, container: str) -> Diagnosis | None:
    """A container that had to succeed before ours could begin, and did not."""
    ours: _Object = next((one for one in status.get("containerStatuses") or () if one.get("name") == container), {})
    if "waiting" not in (ours.get("state") or {}) or ours.get("lastState"):
        return None
    for one in status.get("initContainerStatuses") or ():
        ended = (one.get("state") or {}).get("terminated") or (one.get("lastState") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return Diagnosis(
                "init_failed",
                f"{_text(one.get('name'))}, which has to succeed before the engine starts, ended with code "
                f"{ended['exitCode']} ({_text(ended.get('reason'))})",
                "See its output with 'kubectl logs --container', and correct it in job or pod_overrides.",
                False,
            )
    return None


def _waiting(status: _Object, waiting: _Object) -> Diagnosis | None:
    reason, message = str(waiting.get("reason") or ""), _text(waiting.get("message"))
    image = _text(status.get("image"))
    if reason in _PULLS:
        return _not_pulled(f"the image {image}", message)
    if reason == "InvalidImageName":
        return Diagnosis("bad_settings", f"{image} is no name of an image", "Correct image.", False)
    if reason == "ErrImageNeverPull":
        remedy = "Bring it to the node, or allow pulling with image_pull_policy."
        return Diagnosis("image_missing", f"the node does not have the image {image}", remedy, False)
    if reason == "CreateContainerConfigError":
        remedy = "Create what is missing in the namespace, or correct api_key_secret, env_from_secret or volumes."
        return Diagnosis("configuration_missing", f"the container cannot be set up: {message}", remedy, False)
    if reason in ("CreateContainerError", "RunContainerError", "StartError"):
        return _start_error(message)
    return None


def _not_pulled(image: str, message: str) -> Diagnosis:
    if _DENIED.search(message):
        remedy = "Give image_pull_secrets that the registry accepts, or correct image."
        return Diagnosis("pull_denied", f"the registry refuses {image}: {message}", remedy, False)
    remedy = "Correct image, or see whether the node reaches the registry."
    return Diagnosis("image_missing", f"{image} cannot be pulled: {message}", remedy, True)


def _not_started(ended: _Object) -> Diagnosis | None:
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        return _start_error(_text(ended.get("message")))
    return None


def _start_error(message: str) -> Diagnosis:
    if _NO_COMMAND.search(message):
        remedy = "Use an image that has Prefect and finds it with the command python."
        return Diagnosis("command_missing", f"the image has no such command: {message}", remedy, False)
    remedy = "Check volume_mounts, security_profile and the image."
    return Diagnosis("start_failed", f"the container could not be started: {message}", remedy, False)


def _unscheduled(pod: _Object) -> Diagnosis | None:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    for one in conditions:
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            if one.get("reason") == "SchedulingGated":
                return Diagnosis("scheduling_gated", "the pod is held by a scheduling gate", "See who set it.", True)
            return _unschedulable(_text(one.get("message")))
    return None


def _unschedulable(why: str) -> Diagnosis:
    if re.search(r"persistentvolumeclaim \S+ not found", why):
        remedy = "Create the claim in the namespace, or correct volumes."
        return Diagnosis("configuration_missing", f"no node takes the pod: {why}", remedy, False)
    return Diagnosis(
        "unschedulable",
        f"no node takes the pod: {why}",
        "Ask for less in resources, correct node_selector or tolerations, or add nodes.",
        True,
    )


def _job_trouble(job: _Object | None) -> Diagnosis | None:
    """A Job that is over and has no pod any more."""
    failed = _failed(job)
    if not failed:
        return None
    code = kept_exit_code(job)
    if code is None:
        return _deleted(_text(failed.get("message")))
    return None if code <= 128 else _deleted(f"its container ended with code {code}")


def _overdue(job: _Object | None) -> Diagnosis | None:
    """A Job whose pods are ended for its deadline; the condition that announces it comes before the end."""
    conditions = ((job or {}).get("status") or {}).get("conditions") or ()
    if not any(one.get("reason") == "DeadlineExceeded" for one in conditions):
        return None
    remedy = "Raise run_timeout, or activeDeadlineSeconds where job has them."
    return Diagnosis("run_timeout", "the Job's activeDeadlineSeconds were over", remedy, False)


def restarts_in_place(job: _Object | None) -> bool:
    """Whether a Job's containers are started again; when they were too often, the cluster deletes their pod."""
    template = ((job or {}).get("spec") or {}).get("template") or {}
    return bool((template.get("spec") or {}).get("restartPolicy") == "OnFailure")


def _given_up(job: _Object | None) -> Diagnosis | None:
    conditions = ((job or {}).get("status") or {}).get("conditions") or ()
    if not restarts_in_place(job) or all(one.get("reason") != "BackoffLimitExceeded" for one in conditions):
        return None
    remedy = "Raise backoff_limit, or see in the output of the run why it failed; rerun: failed makes a new attempt."
    return Diagnosis("backoff_limit", "a container failed more often than backoff_limit allows", remedy, True)


def _failed(job: _Object | None) -> _Object:
    """The condition of a Job that failed; empty for any other."""
    conditions = ((job or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == "Failed" and one.get("status") == "True"), {})


def kept_exit_code(job: _Object | None) -> int | None:
    """What a Job that failed still knows of its container when the pod is gone."""
    found = _KEPT_CODE.search(str(_failed(job).get("message") or ""))
    return int(found[1]) if found else None


def ended_unseen(job: _Object | None) -> bool:
    """Whether a Job was given up although nobody saw its container end."""
    return _KEPT_DISRUPTION in str(_failed(job).get("message") or "")


def _deleted(why: str) -> Diagnosis:
    return Diagnosis(
        "pod_deleted",
        f"somebody deleted the pod, or had it evicted: {why}" if why else "somebody deleted the pod",
        "Find out who did (an operator, a clean-up job, a node that was drained), then run it again (rerun: failed).",
        True,
    )


def is_vague(problem: _Object | None) -> bool:
    """Whether a pod is gone and what is left does not say why."""
    return problem is None or problem["category"] == "pod_deleted"


def mount_trouble(events: t.Sequence[_Object]) -> Diagnosis | None:
    """Why a pod that has its node does not begin, by its events."""
    told = [_text(event.get("message")) for event in events if event.get("reason") in _MOUNTS]
    if not told:
        return None
    remedy = "Create what is missing, or correct volumes and volume_mounts."
    return Diagnosis("configuration_missing", f"a volume cannot be mounted: {told[-1]}", remedy, False)


def event_trouble(message: str) -> Diagnosis | None:
    """Why a pod or a Job is not wanted, by the last event of the Job's controller or the server's refusal."""
    text = _text(message)
    if "failed quota" in text:
        remedy = "The namespace's quota counts them: give them in resources."
        return Diagnosis("quota_exceeded", f"the namespace's quota asks for more: {text}", remedy, False)
    if _LIMIT_RANGE.search(text):
        remedy = "Adapt resources to what the namespace's LimitRange allows."
        return Diagnosis("admission_refused", f"the namespace refuses the pod: {text}", remedy, False)
    if "exceeded quota" in text:
        remedy = "Ask for less in resources, end other pods, or have the namespace's quota raised."
        return Diagnosis("quota_exceeded", f"the namespace's quota is used up: {text}", remedy, True)
    if "violates PodSecurity" in text:
        level = "restricted" if '"restricted' in text else "baseline"
        remedy = (
            f"The namespace enforces the Pod Security level {level}: set security_profile: {level}, and leave out what "
            "that level forbids."
        )
        return Diagnosis("admission_refused", f"the namespace refuses the pod: {text}", remedy, False)
    if "serviceaccount" in text and "not found" in text:
        remedy = "Create the service account in the namespace, or correct service_account_name."
        return Diagnosis("service_account_missing", f"the service account is not there: {text}", remedy, False)
    if "forbidden" in text or "denied the request" in text or "admission webhook" in text:
        remedy = "Adapt the pod to the cluster's policy, for instance with pod_overrides."
        return Diagnosis("admission_refused", f"the cluster refuses the pod: {text}", remedy, False)
    return None


def told_by_events(problem: _Object | None, events: t.Sequence[_Object]) -> Diagnosis | None:
    """What the events of a pod that is gone know better than its Job; ``None`` where they do not.

    An eviction that somebody asked for leaves no event: it cannot be told from a deletion any more.
    """
    told = {str(event.get("reason")): _text(event.get("message")) for event in events}
    if is_vague(problem):
        driven_out = {"Evicted": _evicted, "Preempted": _preempted, "TaintManagerEviction": _tainted}
        return next((explain(told[reason]) for reason, explain in driven_out.items() if reason in told), None)
    if "Started" in told or (problem or {}).get("category") != "run_timeout":
        return None
    if "Scheduled" not in told and "FailedScheduling" in told:
        return _unschedulable(told["FailedScheduling"])
    messages = [_text(event.get("message")) for event in events if event.get("reason") == "Failed"]
    pulls = [message for message in messages if message.startswith("Failed to pull image")]
    return _not_pulled("the image", pulls[0]) if pulls else None


def created_pod(event: _Object) -> str:
    """The pod that a Job's controller says it made; empty for any other event."""
    prefix = "Created pod: "
    message = str(event.get("message") or "")
    return (
        message[len(prefix) :].strip()
        if event.get("reason") == "SuccessfulCreate" and message.startswith(prefix)
        else ""
    )


def vanished_from(events: t.Sequence[_Object], unseen: bool) -> str:
    """The node that a pod vanished from without a word of the node; empty where it had one, or nothing is known.

    :arg events: of the pod.
    :arg unseen: the Job says that nobody saw the pod end. Without a node, it never began.
    """
    node, lost = "", unseen
    for event in events:
        reason, message = str(event.get("reason") or ""), str(event.get("message") or "")
        if reason == "Killing" and not unseen:
            return ""
        if reason == "Scheduled":
            node = message.rpartition(" to ")[2].strip()
        lost = lost or reason in ("NodeNotReady", "TaintManagerEviction", "DeletingNode")
    if unseen and not events:
        return _SOME_NODE
    return node if lost else ""


def node_lost(node: str) -> Diagnosis:
    """Nobody confirmed that the engine is dead."""
    return Diagnosis(
        "node_lost",
        f"its node {_text(node)} is lost, the engine may live",
        "Bring the node back, or make sure that it is off; then run it again (rerun: failed).",
        False,
    )
