# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Runs attempts as Jobs of a Kubernetes cluster.

The server gives a Job's name to one Job, and the labels say whose it is. A Job is made before its Secret, which it
owns: a Secret never outlives its Job. That a pod made twice cannot run a flow's body twice is the gate's doing (see
``_bootstrap``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    InfrastructureError,
    InfrastructureUnreachable,
    NameCollision,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_image import default_image
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_output import (
    Cursor,
    Piece,
    read_on,
    safe_lines,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_client import (
    Connection,
    KubernetesClient,
    KubernetesRefused,
    connect,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_job import (
    CONTAINER,
    RUN_LABEL,
    TOKEN_LABEL,
    Manifests,
    job_name,
    manifests,
    masked,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_look import (
    Found,
    condition,
    gathered,
    is_live,
    key_of,
    labels_of,
    observed,
    outlived_by,
    presence_of,
    without_manifest,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_trouble import (
    created_pod,
    ended_unseen,
    event_trouble,
    is_vague,
    kept_exit_code,
    mount_trouble,
    node_lost,
    told_by_events,
    told_problem,
    vanished_from,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_watch import Watches
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Observation, Presence

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._task import Task

MASK = "********"

#: So many ids fit into a selector whose address no proxy refuses; for more, everything of ours is listed.
_MOST_IDS = 100
_STOP_PATIENCE = 60.0
#: New output is looked for this often, in seconds: a log cannot be waited for together with everything else.
_OUTPUT_INTERVAL = 1.5
_KEPT_LINES = 1000
#: Seconds for each run that a change waits for others.
_GATHER = 0.002
#: ``podReplacementPolicy`` is known since 1.28 and on since 1.29.
_REPLACEMENT_SINCE = (1, 29)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def kubernetes_infrastructure(task: Task, look_only: bool) -> KubernetesInfrastructure:
    """Set up from a task's options; in check mode what would be created is shown to the server, which keeps nothing."""
    options = task.connection
    connection = Connection(
        kubeconfig=options.get("kubeconfig"),
        context=options.get("context"),
        host=options.get("kube_host"),
        token=options.get("kube_token"),
        ca_cert=options.get("kube_ca_cert"),
        validate_certs=options.get("kube_validate_certs"),
    )
    return KubernetesInfrastructure(connect(connection), options["namespace"], look_only)


class KubernetesInfrastructure(Infrastructure):
    """Attempts as Jobs of one namespace.

    :arg dry_run: let the server check what a preview shows.
    """

    type: t.ClassVar[str] = "kubernetes"
    bootstrap_claims: t.ClassVar[bool] = False
    parallel: t.ClassVar[int] = 8

    def __init__(self, client: KubernetesClient, namespace: str, dry_run: bool = False) -> None:
        self._client = client
        self._namespace = namespace
        self._dry_run = dry_run
        self._uid = ""
        self._knows_replacement: bool | None = None
        self._asking = threading.Lock()
        self._server_version = ""
        self._warnings: list[str] = []
        self._trials: dict[str, _Trial] = {}
        self._made: dict[AttemptKey, dict[str, t.Any]] = {}
        self._pods: dict[AttemptKey, str] = {}
        self._versions: dict[str, str] = {}
        self._shown: dict[tuple[str, str], str] = {}
        self._kept: dict[AttemptKey, tuple[Observation, list[str]]] = {}
        self._last_events: dict[str, list[dict[str, t.Any]]] = {}
        #: Why a pod had to go is told as long as it is on its way out, and not always afterwards.
        self._driven_out: dict[AttemptKey, dict[str, t.Any]] = {}
        if client.is_unverified:
            self._warnings.append(
                "The Kubernetes API's certificate is not verified: credentials are sent to whoever answers. Give its "
                "authority as kube_ca_cert."
            )

    # --- places --------------------------------------------------------------------------------------------------

    def _path(self, resource: str, name: str = "") -> str:
        group = "/apis/batch/v1" if resource == "jobs" else "/api/v1"
        return f"{group}/namespaces/{self._namespace}/{resource}" + (f"/{name}" if name else "")

    @property
    def locus(self) -> str:
        """The namespace, by an id that no other namespace of any cluster has, ever.

        A namespace's own id can be read by who has rights in that namespace only; a cluster's cannot.
        """
        return f"kubernetes/{self._namespace_uid()}/{self._namespace}"

    def _namespace_uid(self) -> str:
        if not self._uid:
            try:
                found = self._client.get(f"/api/v1/namespaces/{self._namespace}")
            except KubernetesRefused as error:
                if error.status != 404:
                    raise
                raise SettingsError(
                    f"namespace: there is no namespace {self._namespace} in this cluster.",
                    "Create it, or give another one.",
                    "namespace_missing",
                ) from None
            self._uid = str(found["metadata"]["uid"])
        return self._uid

    def _identifier(self, key: AttemptKey) -> str:
        """In the format of Prefect's own worker."""
        return f"{self._namespace_uid()}:{self._namespace}:{job_name(key)}"

    def warnings(self) -> list[str]:
        """See :meth:`Infrastructure.warnings`."""
        return list(dict.fromkeys([*self._warnings, *self._client.warnings]))

    # --- looking -------------------------------------------------------------------------------------------------

    def find(self, flow_run_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        """See :meth:`Infrastructure.find`."""
        wanted = set(flow_run_ids)
        if not wanted:
            return {}
        found = self._look(wanted)
        seen = {key: self._observed(each) for key, each in found.items()}
        for key, (kept, _lines) in self._kept.items():
            if key.flow_run_id in wanted and key not in seen:
                seen[key] = kept
        return seen

    def list_attempts(self) -> dict[AttemptKey, Observation]:
        """See :meth:`Infrastructure.list_attempts`."""
        return {key: self._observed(each) for key, each in self._look(None).items()}

    def may_hold(self, identifier: str) -> bool:
        """See :meth:`Infrastructure.may_hold`."""
        return identifier.startswith(f"{self._namespace_uid()}:")

    def _look(self, flow_run_ids: t.Collection[str] | None) -> dict[AttemptKey, Found]:
        """Jobs and pods of these runs, or of all of ours, each with one list call for 500 of them."""
        # Jobs first: a pod that is made in between is seen, one of a Job that is not seen yet waits for the next look.
        jobs = self._listed("jobs", flow_run_ids)
        pods = self._listed("pods", flow_run_ids)
        return gathered(jobs, pods, flow_run_ids)

    def _listed(self, resource: str, flow_run_ids: t.Collection[str] | None) -> list[dict[str, t.Any]]:
        shown: list[str] = []
        query = {"labelSelector": RUN_LABEL if flow_run_ids is None else _selector(sorted(flow_run_ids))}
        found = [without_manifest(one) for one in self._client.items(self._path(resource), shown.append, **query)]
        for one in found:
            self._versions[one["metadata"]["uid"]] = one["metadata"].get("resourceVersion", "")
        for run_id in flow_run_ids or ():
            self._shown[resource, run_id] = shown[-1]
        return found

    def _observed(self, found: Found) -> Observation:
        pod = found.newest_pod
        seen = self._observed_alone(found)
        if pod is not None:
            self._pods[found.key] = pod["metadata"]["name"]
            if pod["metadata"].get("deletionTimestamp") and "problem" in seen.evidence:
                self._driven_out[found.key] = seen.evidence["problem"]
            self._explain_overdue(pod, seen)
            self._warn_of_others(pod)
        elif found.key in self._driven_out and is_vague(seen.evidence.get("problem")):
            seen.evidence["problem"] = self._driven_out[found.key]
        if pod is None and seen.presence is Presence.LIVE:
            problem = self._missing_pod(found)
            if problem is not None:
                seen.evidence["problem"] = problem
        elif pod is None and found.key not in self._kept and condition(found.job, "Failed"):
            lost = self._lost_node(found)
            if lost:
                seen.evidence.update(lost=lost, problem=told_problem(node_lost(lost)))
                return dataclasses.replace(seen, presence=Presence.UNKNOWN, finished_at=None)
            problem = seen.evidence.get("problem")
            better = told_by_events(problem, self._events_of_pod(found)) if problem else None
            if better:
                seen.evidence["problem"] = told_problem(better)
        return seen

    def _observed_alone(self, found: Found) -> Observation:
        """Without what events would tell."""
        return observed(found, self._identifier(found.key), self._client.now(), stopped=found.key in self._kept)

    def _explain_overdue(self, pod: t.Mapping[str, t.Any], seen: Observation) -> None:
        """Of volumes that cannot be mounted only events tell."""
        if seen.evidence.get("timed_out") == "start" and "problem" not in seen.evidence:
            problem = mount_trouble(self._events(f"involvedObject.name={pod['metadata']['name']}"))
            if problem is not None:
                seen.evidence["problem"] = told_problem(problem)

    def _warn_of_others(self, pod: t.Mapping[str, t.Any]) -> None:
        others = outlived_by(pod)
        if others:
            self._warnings.append(
                f"{pod['metadata']['name']}: its engine has ended and {', '.join(others)} went on, which state: absent "
                "ends. What is to end with the engine goes into initContainers, with restartPolicy: Always."
            )

    def _events(self, selector: str) -> list[dict[str, t.Any]]:
        """Events of one thing; none where they may not be read."""
        try:
            return list(self._client.items(self._path("events"), fieldSelector=selector))
        except KubernetesRefused:
            return []

    def _lost_node(self, found: Found) -> str:
        """The node of a pod that vanished without its node having said that it ended; empty for any other pod.

        The Job itself says so. One that does not (an older cluster, a policy of the user's) leaves the events.
        """
        if kept_exit_code(found.job) is not None:
            return ""
        return vanished_from(self._events_of_pod(found), ended_unseen(found.job))

    def _events_of_pod(self, found: Found) -> list[dict[str, t.Any]]:
        """What is told of the pod of a Job that has none any more; asked for once."""
        uid = str((found.job or {})["metadata"]["uid"])
        if uid not in self._last_events:
            made = [created_pod(event) for event in self._events(f"involvedObject.uid={uid}")]
            names = [name for name in made if name]
            self._last_events[uid] = self._events(f"involvedObject.name={names[-1]}") if names else []
        return self._last_events[uid]

    def _missing_pod(self, found: Found) -> dict[str, t.Any] | None:
        """Why a Job has no pod: its controller's last event says. Nothing where events may not be read."""
        events = self._events(f"involvedObject.uid={(found.job or {})['metadata']['uid']}")
        messages = [str(event.get("message", "")) for event in events if event.get("reason") == "FailedCreate"]
        problem = event_trouble(messages[-1]) if messages else None
        return told_problem(problem) if problem else None

    # --- creating ------------------------------------------------------------------------------------------------

    def preflight(self, settings: dict[str, t.Any], server_version: str) -> None:  # noqa: ARG002 - see provide
        """See :meth:`Infrastructure.preflight`."""
        self._server_version = server_version
        self._namespace_uid()

    def _manifests(self, launch: Launch) -> Manifests:
        image, identifier = default_image(self._server_version), self._identifier(launch.key)
        found = manifests(launch, image, self._namespace, identifier, self._replacement())
        self._warnings.extend(found.warnings)
        return found

    def _replacement(self) -> bool:
        """Asked once, however many are launched at the same time."""
        with self._asking:
            if self._knows_replacement is None:
                version = self._client.get("/version")
                numbers = ["".join(filter(str.isdigit, str(version.get(name, "")))) for name in ("major", "minor")]
                self._knows_replacement = tuple(int(number or 0) for number in numbers) >= _REPLACEMENT_SINCE
            return self._knows_replacement

    def preview(self, launch: Launch) -> dict[str, t.Any]:
        """See :meth:`Infrastructure.preview`. In check mode the server itself checks it, strictly."""
        found = self._manifests(launch)
        if self._dry_run:
            strictly = {"dryRun": "All", "fieldValidation": "Strict"}
            for resource, body in (("jobs", found.job), ("secrets", found.secret)):
                with contextlib.suppress(_Existing):
                    if body is not None:
                        self._post(resource, body, **strictly)
        return {"name": job_name(launch.key), "namespace": self._namespace, **masked(found, MASK)}

    def provide(self, launch: Launch) -> None:
        """See :meth:`Infrastructure.provide`. Nothing to get; but what cannot work is told before the claim."""
        url = launch.environment.get("PREFECT_API_URL", "")
        if urllib.parse.urlsplit(url).hostname in _LOOPBACK and not launch.api_url_chosen:
            raise SettingsError(
                f"engine_api_url: a pod cannot reach the Prefect API at {url}: there, that is the pod itself.",
                "Give an address of the API that pods reach as engine_api_url.",
            )
        self._try_out(launch.spec_hash, self._manifests(launch).job)

    def _try_out(self, spec_hash: str, job: dict[str, t.Any]) -> None:
        """Have a Job refused before its run is claimed: one request for all Jobs of the same specification."""
        trial = self._trials.setdefault(spec_hash, _Trial())
        with trial.lock:
            if not trial.is_over:
                trial.refusal = self._refusal_of(job)
                trial.is_over = True
        if trial.refusal is not None:
            raise trial.refusal

    def _refusal_of(self, job: dict[str, t.Any]) -> KubernetesRefused | None:
        """What the server has against a Job. Where it cannot tell, its creation will."""
        try:
            self._post("jobs", job, dryRun="All")
        except KubernetesRefused as error:
            return error if error.is_verdict else None
        except (_Existing, InfrastructureUnreachable):
            pass
        return None

    def prepare(self, launch: Launch) -> str:  # noqa: ARG002 - see below
        """See :meth:`Infrastructure.prepare`. A Job starts as soon as it is there, so nothing is made here.

        Its name is known before it is made, so its bootstrap has the identifier.
        """
        return ""

    def create(self, launch: Launch) -> bool:
        """See :meth:`Infrastructure.create`."""
        found = self._manifests(launch)
        job, created = self._ensure_job(launch, found.job)
        if found.secret is not None:
            try:
                self._ensure_secret(found.secret, job)
            except InfrastructureUnreachable:
                raise
            except InfrastructureError:
                if created:
                    self._client.delete(self._path("jobs", job_name(launch.key)), {"propagationPolicy": "Background"})
                raise
        if created:
            self._made[launch.key] = without_manifest(job)
        return created

    def made(self, launch: Launch) -> Observation | None:
        """See :meth:`Infrastructure.made`. A cluster that begins many Jobs takes long to list them."""
        job = self._made.pop(launch.key, None)
        return None if job is None else self._observed_alone(Found(launch.key, job))

    def _post(self, resource: str, body: dict[str, t.Any], **query: t.Any) -> dict[str, t.Any]:
        """Create something. :raises _Existing: the name is taken."""
        try:
            return self._client.post(self._path(resource), body, **query)
        except KubernetesRefused as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                raise _Existing from None
            raise

    def _get(self, resource: str, name: str) -> dict[str, t.Any] | None:
        try:
            return self._client.get(self._path(resource, name))
        except KubernetesRefused as error:
            if error.status == 404:
                return None
            raise

    def _ensure_job(self, launch: Launch, body: dict[str, t.Any]) -> tuple[dict[str, t.Any], bool]:
        """The attempt's Job, made here or before. One that is on its way out is waited for."""
        deadline = time.monotonic() + _STOP_PATIENCE
        while True:
            try:
                return self._post("jobs", body), True
            except _Existing:
                found = self._get("jobs", job_name(launch.key))
            if found is not None and not _is_ours(found, launch):
                raise NameCollision(
                    f"{job_name(launch.key)}: a Job of that name exists in {self._namespace} that is not this "
                    "attempt's; it stays as it is.",
                    "Rename or remove it, if it is yours.",
                )
            if found is not None and not found["metadata"].get("deletionTimestamp"):
                return found, False
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"{job_name(launch.key)} is being deleted and does not go.", "See what holds it (finalizers)."
                )
            time.sleep(0.3)

    def _ensure_secret(self, body: dict[str, t.Any], job: dict[str, t.Any]) -> None:
        """The Job's Secret; one that an earlier Job of that name left behind is replaced."""
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
        body = {**body, "metadata": {**body["metadata"], "ownerReferences": [owner]}}
        for _attempt in range(3):
            try:
                self._post("secrets", body)
                return
            except _Existing:
                found = self._get("secrets", body["metadata"]["name"])
            if found is None:
                continue
            owners = found["metadata"].get("ownerReferences") or ()
            if any(one.get("uid") == owner["uid"] for one in owners):
                return
            if labels_of(found).get(RUN_LABEL) != body["metadata"]["labels"][RUN_LABEL]:
                break
            self._client.delete(self._path("secrets", body["metadata"]["name"]), {})
        raise NameCollision(
            f"{body['metadata']['name']}: a Secret of that name in {self._namespace} is not this attempt's.",
            "Rename or remove it, if it is yours.",
        )

    # --- ending --------------------------------------------------------------------------------------------------

    def stop(self, key: AttemptKey, grace: float) -> None:
        """See :meth:`Infrastructure.stop`.

        Deleting is how a pod is ended, so what is known of the attempt and the end of its output are kept here.
        """
        found = self._own(key)
        if found is None:
            return
        self._refuse_lost(key, found)
        self._keep(key, found)
        self._delete(key, found, "Foreground", grace)
        deadline = time.monotonic() + grace + _STOP_PATIENCE
        while (left := self._own(key)) is not None:
            if not left.pods and left.job is None:
                break
            if time.monotonic() > deadline:
                where = ", ".join(f"{pod['metadata']['name']} on {pod['spec'].get('nodeName')}" for pod in left.pods)
                raise InfrastructureError(
                    f"{job_name(key)} does not end although it was deleted{': ' + where if where else ''}.",
                    "See whether the node is well: only it can say that a pod has ended.",
                )
            self._delete(key, Found(key, pods=left.pods), "Background", grace)
            Watches(self._client, lambda _kind, one: key_of(one) == key).wait(self._lists([key]), 1.0)

    def _refuse_lost(self, key: AttemptKey, found: Found) -> None:
        """What runs on a node that nobody reaches cannot be ended from here, and must not be called ended."""
        if found.pods or not condition(found.job, "Failed"):
            return
        node = self._lost_node(found)
        if node:
            raise InfrastructureError(
                f"{job_name(key)} cannot be stopped: its node {node} is lost, and its engine may live.",
                "Make sure that the node is off, then remove the Job with kubectl.",
                "node_lost",
            )

    def _delete(self, key: AttemptKey, found: Found, propagation: str, grace: float) -> None:
        """The Job first, so that it makes no new pod; a pod that is told already is left alone."""
        if found.job is not None:
            self._client.delete(self._path("jobs", job_name(key)), {"propagationPolicy": propagation})
        for pod in found.pods:
            if not pod["metadata"].get("deletionTimestamp"):
                options = {"gracePeriodSeconds": max(1, int(grace))} if is_live(pod) else {}
                self._client.delete(self._path("pods", pod["metadata"]["name"]), options)

    def _own(self, key: AttemptKey) -> Found | None:
        """The attempt's Job and pods, right now."""
        return self._look([key.flow_run_id]).get(key)

    def _keep(self, key: AttemptKey, found: Found) -> None:
        """What the result needs of an attempt that is about to be deleted."""
        if key in self._kept:
            return
        lines = self.read_log_tail(key, _KEPT_LINES).lines
        seen = observed(found, self._identifier(key), self._client.now(), stopped=True)
        if any(is_live(pod) for pod in found.pods) or seen.presence is not Presence.FINISHED:
            seen = _as_stopped(seen)
        self._kept[key] = (seen, lines)

    def remove(self, key: AttemptKey) -> bool:
        """See :meth:`Infrastructure.remove`. A Job takes its Secret along."""
        kept = self._kept.pop(key, None)
        found = self._own(key)
        if found is None:
            return kept is not None
        over = not found.job or _is_over(found) or presence_of(found) is Presence.FINISHED
        if not over or any(map(is_live, found.pods)):
            raise InfrastructureError(f"{job_name(key)} is not finished.", "Stop it first (state: cancelled).")
        self._delete(key, found, "Background", 0)
        return True

    # --- output --------------------------------------------------------------------------------------------------

    def read_log(self, key: AttemptKey, cursor: str) -> LogChunk:
        """See :meth:`Infrastructure.read_log`."""
        position = Cursor.parse(cursor)
        pod = self._pods.get(key)
        if pod is None or key in self._kept:
            return LogChunk([], cursor)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(position.since)) if position.since else None
        return read_on(self._pieces(pod, since), position, lambda: self._has_ended(pod))

    def _pieces(self, pod: str, since: str | None) -> t.Iterator[Piece]:
        """Until the server breaks off: what was read so far is as good as before, and the rest comes the next time."""
        with contextlib.suppress(InfrastructureUnreachable):
            yield from (
                Piece.of(1, line)
                for line in self._client.lines(self._log(pod), timestamps="true", sinceTime=since, container=CONTAINER)
            )

    def _log(self, pod: str) -> str:
        return self._path("pods", pod) + "/log"

    def _has_ended(self, pod: str) -> bool:
        found = self._get("pods", pod)
        return found is None or not is_live(found)

    def read_log_tail(self, key: AttemptKey, lines: int) -> LogChunk:
        """See :meth:`Infrastructure.read_log_tail`."""
        if key in self._kept:
            kept = self._kept[key][1]
            return LogChunk(kept[len(kept) - min(lines, len(kept)) :], "", len(kept) > lines)
        pod = self._pods.get(key)
        if pod is None or lines <= 0:
            return LogChunk([], "")
        tail = safe_lines(b"".join(self._client.lines(self._log(pod), tailLines=lines, container=CONTAINER)))
        return LogChunk(tail[-lines:], "", truncated=len(tail) >= lines)

    # --- waiting -------------------------------------------------------------------------------------------------

    def wait_for_change(self, keys: t.Sequence[AttemptKey], timeout: float, output: bool) -> None:
        """See :meth:`Infrastructure.wait_for_change`."""
        if output:
            timeout = min(timeout, _OUTPUT_INTERVAL)
        wanted = set(keys)
        if not wanted:
            time.sleep(max(0.0, timeout))
            return
        known = dict(self._versions)

        def is_news(kind: str, found: dict[str, t.Any]) -> bool:
            metadata = found.get("metadata") or {}
            if key_of(found) not in wanted:
                return False
            return kind == "DELETED" or known.get(metadata.get("uid", "")) != metadata.get("resourceVersion")

        if Watches(self._client, is_news).wait(self._lists(sorted(wanted)), timeout):
            # A look at thousands is dear: changes of a moment are looked at together.
            time.sleep(min(timeout, _GATHER * len(wanted)))

    def _lists(self, keys: t.Sequence[AttemptKey]) -> list[tuple[str, dict[str, t.Any]]]:
        """What to watch, from the look on that is longest ago."""
        run_ids = sorted({key.flow_run_id for key in keys})
        query = {"labelSelector": _selector(run_ids)}
        return [
            (self._path(resource), {**query, "resourceVersion": self._shown_by_all(resource, run_ids)})
            for resource in ("jobs", "pods")
        ]

    def _shown_by_all(self, resource: str, run_ids: t.Sequence[str]) -> str | None:
        """The oldest version that was looked at; ``None``, for a watch that begins with what there is, if unknown."""
        shown = [self._shown.get((resource, run_id), "") for run_id in run_ids]
        return min(shown, key=int) if all(version.isdecimal() for version in shown) else None


@dataclasses.dataclass
class _Trial:
    """A Job that the server was only shown; whoever needs the same waits for its answer."""

    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    is_over: bool = False
    refusal: KubernetesRefused | None = None


class _Existing(Exception):
    """The name is taken."""


def _selector(flow_run_ids: t.Sequence[str]) -> str:
    if len(flow_run_ids) > _MOST_IDS:
        return RUN_LABEL
    return f"{RUN_LABEL} in ({','.join(flow_run_ids)})"


def _is_ours(job: t.Mapping[str, t.Any], launch: Launch) -> bool:
    return key_of(job) == launch.key and labels_of(job).get(TOKEN_LABEL) == launch.token


def _is_over(found: Found) -> bool:
    return bool(condition(found.job, "Complete") or condition(found.job, "Failed"))


def _as_stopped(seen: Observation) -> Observation:
    """What is known of an attempt once everything of it is deleted and gone."""
    return dataclasses.replace(seen, presence=Presence.FINISHED, finished_at=time.time())
