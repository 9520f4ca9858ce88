# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests of Jobs, changes to them, and what is read from Jobs and pods: everything that needs no cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import dataclasses
import json
import sys
import threading
import types
import uuid

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureUnreachable, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import _kubernetes
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_client import (
    Connection,
    KubernetesClient,
    KubernetesRefused,
    connect,
    explained,
    needed_right,
    remarks,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_job import (
    base_job,
    job_name,
    manifests,
    slug,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_look import (
    Found,
    observed,
    outlived_by,
    presence_of,
    without_manifest,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_patch import (
    json_patch,
    strategic_merge,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_trouble import (
    ended_unseen,
    kept_exit_code,
    mount_trouble,
    told_by_events,
    vanished_from,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._moments import parse_moment
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Presence
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task

RUN = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
KEY = AttemptKey(RUN, 1)
SECRET = "s3cret-canary-value"


def launch(**settings) -> Launch:
    return Launch(
        key=KEY,
        token=str(uuid.UUID(int=7)),
        flow_run_name="My Flow",
        environment={"PREFECT_API_URL": "http://prefect:4200/api", "PRICE": "$(HOME) costs 5$"},
        secret_environment={"PREFECT_API_KEY": SECRET},
        unset_environment=("PIP_INDEX_URL",),
        settings=settings,
        bootstrap={"flow_run_id": RUN, "number": 1},
        spec_hash="0" * 64,
        start_timeout=900.0,
        run_timeout=60.0,
        stop_grace=30.0,
        concurrency=None,
    )


def job_of(**settings) -> dict:
    return manifests(launch(**settings), "image:1", "flows", "uid:flows:job", True).job


def pod_of(job: dict) -> dict:
    return job["spec"]["template"]["spec"]


def of_container(**changes) -> dict:
    return {"pod_overrides": {"spec": {"containers": [{"name": "prefect-job", **changes}]}}}


def restricted(**changes) -> dict:
    return {"security_profile": "restricted", **of_container(**changes)}


#: A base manifest with every part that options are added to, and options for all of them.
_CONTAINER = {
    "name": "prefect-job",
    "env": [{"name": "A", "value": "b"}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "securityContext": {
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "Localhost"},
    },
    "resources": {"limits": {"memory": "1Gi"}},
}
_POD = {
    "containers": [_CONTAINER, {"name": "sidecar", "image": "x"}],
    "initContainers": [{"name": "first", "image": "x"}],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "a"}],
    "nodeSelector": {"a": "b"},
    "imagePullSecrets": [{"name": "p"}],
    "securityContext": {"fsGroup": 5},
    "restartPolicy": "Never",
}
RICH = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}, "namespace": "flows"},
    "spec": {
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": 60,
        "template": {"metadata": {"labels": {"a": "b"}, "annotations": {}}, "spec": _POD},
    },
}
OPTIONS = {
    "volumes": [{"name": "w", "emptyDir": {}}],
    "volume_mounts": [{"name": "w", "mountPath": "/w"}],
    "env_from_secret": ["t"],
    "node_selector": {"c": "d"},
    "tolerations": [{"key": "c"}],
    "image_pull_secrets": ["q"],
    "labels": {"c": "d"},
    "annotations": {"c": "d"},
    "security_profile": "restricted",
}


def everywhere(document, above=()):
    """The path of every part of a document."""
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, part in parts:
        yield (*above, name)
        yield from everywhere(part, (*above, name))


class TestManifest:
    def test_what_a_launch_needs(self):
        found = manifests(launch(), "image:1", "flows", "uid:flows:job", True)
        job, container = found.job, pod_of(found.job)["containers"][0]
        assert job["metadata"]["name"] == job_name(KEY)
        assert (job["spec"]["backoffLimit"], job["spec"]["podReplacementPolicy"]) == (0, "Failed")
        assert [rule["action"] for rule in job["spec"]["podFailurePolicy"]["rules"]] == ["FailJob", "FailJob"]
        assert (pod_of(job)["restartPolicy"], pod_of(job)["automountServiceAccountToken"]) == ("Never", False)
        assert container["securityContext"] == {"allowPrivilegeEscalation": False}
        values = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert values["PRICE"] == "$$(HOME) costs 5$$"
        orders = json.loads(values["FLOWOPS_BOOTSTRAP"])
        assert (orders["unset"], orders["infrastructure_pid"]) == (["PIP_INDEX_URL"], "uid:flows:job")
        assert SECRET not in json.dumps(job)
        assert found.secret is not None
        assert found.secret["stringData"] == {"PREFECT_API_KEY": SECRET}

    def test_the_cluster_keeps_an_upper_bound_where_run_timeout_is_given(self):
        """The pod's: start, run, grace, two minutes more; the Job's: that, and as long as a node may be waited for."""
        job = job_of()
        assert (pod_of(job)["activeDeadlineSeconds"], job["spec"]["activeDeadlineSeconds"]) == (1110, 2010)
        endless = manifests(
            dataclasses.replace(launch(), run_timeout=None), "image:1", "flows", "uid:flows:job", True
        ).job
        assert "activeDeadlineSeconds" not in {**pod_of(endless), **endless["spec"]}
        base = {**base_job(None), "spec": {**base_job(None)["spec"], "activeDeadlineSeconds": 30}}
        assert job_of(job=base)["spec"]["activeDeadlineSeconds"] == 30

    def test_labels_of_job_and_pod(self):
        """The user's win over Prefect's; those that tell whose a Job is win over all."""
        job = job_of(labels={"team": "data", "io.prefect.flow-run-name": "mine", "flowops.prefect/attempt": "9"})
        for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
            assert labels == {
                "team": "data",
                "io.prefect.flow-run-id": RUN,
                "io.prefect.flow-run-name": "mine",
                "flowops.prefect/flow-run-id": RUN,
                "flowops.prefect/attempt": "1",
                "flowops.prefect/token": str(uuid.UUID(int=7)),
            }
        assert job_of()["metadata"]["labels"]["io.prefect.flow-run-name"] == "my-flow"

    def test_what_is_not_given_is_left_to_the_cluster(self):
        pod = pod_of(job_of())
        assert not {"serviceAccountName", "nodeSelector", "tolerations"} & set(pod)
        assert "imagePullPolicy" not in pod["containers"][0]

    @pytest.mark.parametrize("policy", ["IfNotPresent", "Always", "Never"])
    def test_the_pull_policy(self, policy):
        assert pod_of(job_of(image_pull_policy=policy))["containers"][0]["imagePullPolicy"] == policy

    @pytest.mark.parametrize(("limit", "warning"), [(None, "gives up"), (2, "exit code 86")])
    def test_the_restart_policy(self, limit, warning):
        settings = {"restart_policy": "OnFailure", "may_run_again": True, "backoff_limit": limit}
        found = manifests(launch(**settings), "image:1", "flows", "uid:flows:job", True)
        assert pod_of(found.job)["restartPolicy"] == "OnFailure"
        assert warning in found.warnings[0]

    def test_the_service_account_and_its_token(self):
        pod = pod_of(job_of(service_account_name="runner"))
        assert pod["serviceAccountName"] == "runner"
        assert "automountServiceAccountToken" not in pod

    def test_node_selector_and_tolerations(self):
        base = base_job(None)
        pod_of(base)["nodeSelector"] = {"disk": "ssd"}
        tolerations = [{"key": "gpu", "operator": "Exists"}]
        pod = pod_of(job_of(job=base, node_selector={"zone": "a"}, tolerations=tolerations))
        assert pod["nodeSelector"] == {"disk": "ssd", "zone": "a"}
        assert pod["tolerations"] == tolerations

    def test_the_namespace(self):
        found = manifests(launch(), "image:1", "flows", "uid:flows:job", True)
        assert found.secret is not None
        assert {one["metadata"]["namespace"] for one in (found.job, found.secret)} == {"flows"}

    @pytest.mark.parametrize(("options", "wanted"), [({}, "default"), ({"namespace": "flows"}, "flows")])
    def test_the_namespace_of_all_requests(self, monkeypatch, options, wanted):
        monkeypatch.setattr(_kubernetes, "connect", lambda connection: types.SimpleNamespace(is_unverified=False))
        task = parse_task({"api_url": "http://prefect:4200/api", "flow_run_id": RUN, **options}, "kubernetes")
        infrastructure = _kubernetes.kubernetes_infrastructure(task, look_only=False)
        for resource in ("jobs", "pods", "secrets"):
            assert infrastructure._path(resource).endswith(f"/namespaces/{wanted}/{resource}")

    def test_the_entry_point_of_the_image_is_kept(self):
        container = pod_of(job_of())["containers"][0]
        assert container["args"][:2] == ["python", "-c"]
        assert "command" not in container

    def test_how_long_a_finished_job_stays(self):
        assert job_of(finished_job_ttl=0)["spec"]["ttlSecondsAfterFinished"] == 0
        assert "ttlSecondsAfterFinished" not in job_of()["spec"]

    def test_a_name_fits_whatever_the_attempt(self):
        assert len(job_name(AttemptKey(RUN, 10_000))) <= 63

    def test_the_key_may_be_in_a_secret_of_ones_own(self):
        found = manifests(
            launch(api_key_secret={"name": "mine", "key": "k"}), "image:1", "flows", "uid:flows:job", True
        )
        env = {entry["name"]: entry for entry in pod_of(found.job)["containers"][0]["env"]}
        assert env["PREFECT_API_KEY"]["valueFrom"] == {"secretKeyRef": {"name": "mine", "key": "k"}}
        assert found.secret is None

    def test_an_older_server_is_not_asked_for_what_it_does_not_know(self):
        assert "podReplacementPolicy" not in manifests(launch(), "image:1", "flows", "uid:flows:job", False).job["spec"]

    def test_a_base_manifest_is_kept_and_not_changed(self):
        base = base_job(None)
        pod_of(base)["containers"].append({"name": "sidecar", "image": "x"})
        pod_of(base)["containers"][0]["env"] = [{"name": "PRICE", "value": "old"}, {"name": "MINE", "value": "1"}]
        before = copy.deepcopy(base)
        job = job_of(job=base)
        assert base == before
        assert [one["name"] for one in pod_of(job)["containers"]] == ["prefect-job", "sidecar"]
        names = [entry["name"] for entry in pod_of(job)["containers"][0]["env"]]
        assert names.count("PRICE") == 1
        assert "MINE" in names

    def test_a_base_manifest_lacks_something(self):
        with pytest.raises(SettingsError, match=r"missing required attributes.*: /apiVersion, /kind, /metadata, /spec"):
            base_job({})
        wrong = {**base_job(None), "apiVersion": "v1"}
        with pytest.raises(SettingsError, match="/apiVersion must have value 'batch/v1'"):
            base_job(wrong)

    def test_a_part_that_is_null_is_not_there(self):
        base = base_job(None)
        base["spec"]["template"]["metadata"] = None
        pod_of(base)["securityContext"] = None
        assert pod_of(job_of(job=base))["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}

    @pytest.mark.parametrize("wrong", ["x", 5, [], ["x"], {}, {"x": [1]}], ids=repr)
    def test_whatever_is_wrong_with_a_base_manifest_is_told(self, wrong):
        """Each part of a manifest in turn is something else: no Job or a Job, and never an error of ours."""
        told = []
        for path in everywhere(RICH):
            base = copy.deepcopy(RICH)
            place = base
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = wrong
            try:
                job_of(job=base, **OPTIONS)
            except SettingsError as error:
                told.append(str(error))
        assert len(told) > 10
        assert [text for text in told if not text.startswith("job: ")] == []

    def test_where_something_is_wrong(self):
        base = copy.deepcopy(RICH)
        pod_of(base)["containers"][0]["env"] = ["A=b"]
        pod_of(base)["nodeSelector"] = ["a"]
        with pytest.raises(SettingsError) as caught:
            job_of(job=base)
        assert "/spec/template/spec/containers/0/env/0 must have value a mapping" in str(caught.value)
        assert "/spec/template/spec/nodeSelector must have value a mapping" in str(caught.value)

    def test_a_namespace_that_is_not_the_option_s(self):
        base = base_job(None)
        base["metadata"]["namespace"] = "flows"
        assert job_of(job=base)["metadata"]["namespace"] == "flows"
        base["metadata"]["namespace"] = "kube-system"
        with pytest.raises(SettingsError, match="kube-system, and the option namespace is flows"):
            job_of(job=base)

    def test_options_then_overrides_then_customizations(self):
        job = job_of(
            resources={"limits": {"memory": "1Gi"}},
            pod_overrides={"spec": {"containers": [{"name": "prefect-job", "workingDir": "/srv"}]}},
            customizations=[{"op": "add", "path": "/metadata/labels/example.com~1team", "value": "data"}],
        )
        container = pod_of(job)["containers"][0]
        assert (container["resources"], container["workingDir"]) == ({"limits": {"memory": "1Gi"}}, "/srv")
        assert job["metadata"]["labels"]["example.com/team"] == "data"

    @pytest.mark.parametrize(
        ("settings", "word"),
        [
            ({"pod_overrides": {"spec": {"hostNetwork": True}}}, "hostNetwork"),
            (
                {"customizations": [{"op": "remove", "path": "/spec/template/spec/containers/0/securityContext"}]},
                "allowPrivilegeEscalation",
            ),
            ({"customizations": [{"op": "replace", "path": "/metadata/name", "value": "x"}]}, "its name"),
            ({"customizations": [{"op": "replace", "path": "/spec/parallelism", "value": 2}]}, "parallelism"),
            (
                {"customizations": [{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": []}]},
                "does not start the engine",
            ),
            ({"customizations": [{"op": "remove", "path": "/spec/template"}]}, "no Job"),
            ({"annotations": {"note": SECRET}}, "PREFECT_API_KEY"),
            ({"restart_policy": "OnFailure"}, "may_run_again"),
            ({"pod_overrides": {"spec": {"restartPolicy": "Always"}}}, "restartPolicy"),
            (of_container(restartPolicy="Always"), "restartPolicy"),
            (of_container(restartPolicy="OnFailure"), "may_run_again"),
            (of_container(restartPolicy="Never", restartPolicyRules=[{"action": "Restart"}]), "restartPolicyRules"),
            (of_container(env=[{"name": "FLOWOPS_BOOTSTRAP", "value": "{}"}]), "FLOWOPS_BOOTSTRAP"),
            (
                {"customizations": [{"op": "add", "path": "/spec/manualSelector", "value": True}]},
                "manualSelector",
            ),
            (of_container(securityContext={"seccompProfile": {"type": "Unconfined"}}), "seccompProfile"),
            (restricted(securityContext={"runAsNonRoot": False}), "runAsNonRoot"),
            (restricted(securityContext={"runAsUser": 0}), "runAsUser"),
            (restricted(ports=[{"containerPort": 80, "hostPort": 80}]), "hostPort"),
            (restricted(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "capabilities"),
            ({"pod_overrides": {"spec": {"containers": "x"}}}, "no Job"),
        ],
    )
    def test_what_breaks_a_promise_is_refused(self, settings, word):
        with pytest.raises(SettingsError, match=word):
            job_of(**settings)

    @pytest.mark.parametrize("profile", ["baseline", "restricted"])
    def test_a_profile_holds_for_containers_of_overrides(self, profile):
        overrides = {"spec": {"containers": [{"name": "other", "image": "x"}], "initContainers": [{"name": "first"}]}}
        pod = pod_of(job_of(security_profile=profile, pod_overrides=overrides))
        found = [
            one["securityContext"]["allowPrivilegeEscalation"] for one in pod["containers"] + pod["initContainers"]
        ]
        assert found == [False, False, False]

    def test_a_profile_can_be_given_up(self):
        job = job_of(security_profile="none", pod_overrides={"spec": {"hostNetwork": True}})
        assert pod_of(job)["hostNetwork"] is True

    def test_the_restricted_profile(self):
        job = job_of(security_profile="restricted")
        container = pod_of(job)["containers"][0]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod_of(job)["securityContext"]["runAsNonRoot"] is True
        assert {"name": "HOME", "value": "/tmp"} in container["env"]

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("9flow-run", "9flow-run"),
            ("_flow_run", "flow-run"),
            ("flow9.-foo_bar^x", "flow9-foo-bar-x"),
            (" !@#", RUN),
        ],
    )
    def test_a_runs_name_as_a_label(self, name, wanted):
        assert slug(name, RUN) == wanted


BASE = {"a": {"b": [1, 2]}, "c": "x"}


class TestPatches:
    @pytest.mark.parametrize(
        ("operation", "wanted"),
        [
            ({"op": "add", "path": "/a/b/-", "value": 3}, {"a": {"b": [1, 2, 3]}, "c": "x"}),
            ({"op": "add", "path": "/a/b/0", "value": 0}, {"a": {"b": [0, 1, 2]}, "c": "x"}),
            ({"op": "remove", "path": "/c"}, {"a": {"b": [1, 2]}}),
            ({"op": "replace", "path": "/a/b/1", "value": 9}, {"a": {"b": [1, 9]}, "c": "x"}),
            ({"op": "move", "from": "/c", "path": "/a/d"}, {"a": {"b": [1, 2], "d": "x"}}),
            ({"op": "copy", "from": "/c", "path": "/d"}, {"a": {"b": [1, 2]}, "c": "x", "d": "x"}),
            ({"op": "test", "path": "/c", "value": "x"}, {"a": {"b": [1, 2]}, "c": "x"}),
            ({"op": "add", "path": "/x~1y~0z", "value": 1}, {"a": {"b": [1, 2]}, "c": "x", "x/y~z": 1}),
        ],
    )
    def test_json_patch(self, operation, wanted):
        before = copy.deepcopy(BASE)
        assert json_patch(BASE, [operation], "customizations") == wanted
        assert before == BASE

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "remove", "path": "/nowhere"},
            {"op": "add", "path": "/a/b/7", "value": 1},
            {"op": "test", "path": "/c", "value": "y"},
            {"op": "move", "from": "/a", "path": "/a/b"},
            {"op": "add", "path": "/c/d", "value": 1},
            {"op": "replace", "path": "/a/b/01", "value": 1},
            {"op": "replace", "path": "/a/b/²", "value": 1},
        ],
    )
    def test_what_cannot_be_applied_is_named(self, operation):
        with pytest.raises(SettingsError, match=r"customizations\[0\](?!.*base 10)"):
            json_patch(BASE, [operation], "customizations")

    def test_strategic_merge(self):
        base = {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}], "image": "i"}], "tolerations": [1]}
        patch = {"containers": [{"name": "a", "image": None, "env": [{"name": "X", "value": "2"}]}, {"name": "b"}]}
        merged = strategic_merge(base, {**patch, "tolerations": [2]})
        assert merged == {
            "containers": [{"name": "a", "env": [{"name": "X", "value": "2"}]}, {"name": "b"}],
            "tolerations": [2],
        }
        removed = {"containers": [{"name": "a", "$patch": "delete"}]}
        assert strategic_merge(base, removed)["containers"] == []


def job(**status) -> dict:
    conditions = [{"type": kind, "status": "True"} for kind in status.pop("conditions", ())]
    metadata = {"name": job_name(KEY), "uid": "u", **status.pop("metadata", {})}
    return {"metadata": metadata, "spec": status.pop("spec", {}), "status": {**status, "conditions": conditions}}


def failed_job(message: str) -> dict:
    found = job(conditions=["Failed"])
    found["status"]["conditions"][0]["message"] = message
    return found


def pod(phase: str, **terminated) -> dict:
    state = {"terminated": terminated} if terminated else {}
    statuses = [{"name": "sidecar", "state": {"terminated": {"exitCode": 99}}}, {"name": "prefect-job", "state": state}]
    return {
        "metadata": {"name": "p", "uid": "p"},
        "spec": {},
        "status": {"phase": phase, "containerStatuses": statuses},
    }


def beside_a_sidecar(code: int, policy: str = "Never") -> dict:
    """A pod of which our container has ended and another has not."""
    found = pod("Running", exitCode=code)
    found["spec"]["restartPolicy"] = policy
    found["status"]["containerStatuses"][0]["state"] = {"running": {}}
    return found


class TestLook:
    @pytest.mark.parametrize(
        ("found", "wanted"),
        [
            (Found(KEY, job()), Presence.LIVE),
            (Found(KEY, job(), [pod("Running")]), Presence.LIVE),
            (Found(KEY, job(), [pod("Failed")]), Presence.LIVE),
            (Found(KEY, job(conditions=["FailureTarget"]), [pod("Running")]), Presence.LIVE),
            (Found(KEY, job(conditions=["Failed"]), [pod("Running")]), Presence.STOPPING),
            (Found(KEY, job(conditions=["Complete"]), [pod("Succeeded")]), Presence.FINISHED),
            (Found(KEY, job(metadata={"deletionTimestamp": "x"})), Presence.STOPPING),
            (Found(KEY, job(spec={"suspend": True})), Presence.QUEUED),
            (Found(KEY, None, [pod("Running")]), Presence.STOPPING),
            (Found(KEY, None, [pod("Succeeded")]), Presence.FINISHED),
        ],
    )
    def test_presence(self, found, wanted):
        assert presence_of(found) is wanted

    def test_a_container_beside_ours_that_never_ends(self):
        """The engine is over, and so is the attempt; one that may be started again is not."""
        found = Found(KEY, job(), [beside_a_sidecar(0)])
        assert presence_of(found) is Presence.FINISHED
        assert outlived_by(found.pods[0]) == ["sidecar"]
        assert presence_of(Found(KEY, job(), [beside_a_sidecar(1)])) is Presence.FINISHED
        assert presence_of(Found(KEY, job(), [beside_a_sidecar(1, "OnFailure")])) is Presence.LIVE
        assert presence_of(Found(KEY, job(), [beside_a_sidecar(0, "OnFailure")])) is Presence.FINISHED
        leaving = beside_a_sidecar(0)
        leaving["metadata"]["deletionTimestamp"] = "x"
        assert presence_of(Found(KEY, job(), [leaving])) is Presence.LIVE
        assert presence_of(Found(KEY, job(conditions=["Failed"]), [leaving])) is Presence.STOPPING

    def test_a_container_that_has_to_succeed_first(self):
        failed = pod("Failed")
        failed["status"]["containerStatuses"][1]["state"] = {"waiting": {"reason": "PodInitializing"}}
        failed["status"]["initContainerStatuses"] = [{"name": "fetch", "state": {"terminated": {"exitCode": 4}}}]
        problem = observed(Found(KEY, job(conditions=["Failed"]), [failed]), "id", 0.0, stopped=False).evidence[
            "problem"
        ]
        assert problem["category"] == "init_failed"
        assert "fetch" in problem["reason"]
        assert "code 4" in problem["reason"]
        failed["status"]["containerStatuses"][1]["state"] = {"terminated": {"exitCode": 0}}
        assert "problem" not in observed(Found(KEY, job(), [failed]), "id", 0.0, stopped=False).evidence

    def test_the_pod_that_tells_is_not_the_one_that_came_second(self):
        """A new pod of the same Job meets a gate that is passed."""
        first, second = pod("Failed", exitCode=3), pod("Failed", exitCode=86)
        for number, one in enumerate((first, second)):
            one["metadata"]["creationTimestamp"] = f"2026-01-01T00:0{number}:00Z"
        assert (
            observed(Found(KEY, job(conditions=["Failed"]), [first, second]), "id", 0.0, stopped=False).exit_code == 3
        )
        second["status"]["containerStatuses"][1]["state"] = {"running": {}}
        assert Found(KEY, job(), [first, second]).newest_pod is second

    def test_what_the_cluster_deletes_because_it_failed_too_often(self):
        """Nobody else deleted it."""
        found = failed_job("Job has reached the specified backoff limit")
        found["status"]["conditions"][0]["reason"] = "BackoffLimitExceeded"
        assert observed(Found(KEY, found), "id", 0.0, stopped=False).evidence["problem"]["category"] == "pod_deleted"
        found["spec"]["template"] = {"spec": {"restartPolicy": "OnFailure", "containers": []}}
        kept = without_manifest(found)
        assert kept["spec"]["template"] == {"spec": {"restartPolicy": "OnFailure"}}
        assert observed(Found(KEY, kept), "id", 0.0, stopped=False).evidence["problem"]["category"] == "backoff_limit"

    def test_a_volume_that_cannot_be_mounted(self):
        told = mount_trouble([{"reason": "Scheduled"}, {"reason": "FailedMount", "message": 'configmap "c" not found'}])
        assert told is not None
        assert (told.category, 'configmap "c" not found' in told.reason) == ("configuration_missing", True)
        assert mount_trouble([{"reason": "Scheduled"}]) is None

    def test_the_reason_tells_of_memory_and_the_container_is_ours(self):
        found = Found(KEY, job(conditions=["Failed"]), [pod("Failed", exitCode=0, reason="OOMKilled")])
        seen = observed(found, "id", 0.0, stopped=False)
        assert (seen.evidence["oom"], seen.exit_code) == (True, 0)

    def test_the_last_word_holds_the_events_of_the_bootstrap(self):
        word = 'noise\n{"event": "imported"}\n{"event": "refused", "category": "voided"}\n'
        found = Found(KEY, job(conditions=["Failed"]), [pod("Failed", exitCode=86, message=word)])
        assert observed(found, "id", 0.0, stopped=False).evidence["bootstrap"]["category"] == "voided"

    def test_a_signal(self):
        seen = observed(Found(KEY, job(conditions=["Failed"]), [pod("Failed", exitCode=137)]), "id", 0.0, stopped=False)
        assert (seen.exit_code, seen.signal) == (None, 9)

    def test_a_late_start(self):
        metadata = {"creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"flowops.prefect/start-timeout": "60"}}
        found = Found(KEY, job(metadata=metadata), [pod("Pending")])
        created = observed(found, "id", 0.0, stopped=False).created_at
        assert created is not None
        assert "timed_out" not in observed(found, "id", created + 59, stopped=False).evidence
        assert observed(found, "id", created + 61, stopped=False).evidence["timed_out"] == "start"

    def test_a_job_that_was_held_back_begins_when_it_is_let_go(self):
        metadata = {"creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"flowops.prefect/start-timeout": "60"}}
        found = Found(KEY, job(metadata=metadata, startTime="2026-01-01T01:00:00Z"), [pod("Pending")])
        begun = parse_moment("2026-01-01T01:00:00Z")
        assert "timed_out" not in observed(found, "id", begun + 59, stopped=False).evidence
        assert observed(found, "id", begun + 61, stopped=False).evidence["timed_out"] == "start"

    @pytest.mark.parametrize(
        ("known", "events", "category"),
        [
            ("pod_deleted", {"Scheduled": "", "Killing": "", "Preempted": "by pod x on node n"}, "preempted"),
            ("pod_deleted", {"Evicted": "The node was low on resource: memory."}, "evicted"),
            ("pod_deleted", {"TaintManagerEviction": "Marking for deletion Pod flows/p"}, "node_tainted"),
            ("pod_deleted", {"Scheduled": "", "Started": "", "Killing": "Stopping container"}, None),
            ("pod_deleted", {"FailedScheduling": "0/1 nodes are available"}, None),
            ("run_timeout", {"FailedScheduling": "0/1 nodes are available"}, "unschedulable"),
            ("run_timeout", {"Scheduled": "", "Failed": 'Failed to pull image "a:1": not found'}, "image_missing"),
            ("run_timeout", {"Scheduled": "", "Failed": 'Failed to pull image "a:1": denied'}, "pull_denied"),
            ("run_timeout", {"FailedScheduling": "", "Scheduled": "", "Started": ""}, None),
        ],
    )
    def test_what_events_know_of_a_pod_that_is_gone(self, known, events, category):
        told = told_by_events({"category": known}, [{"reason": one, "message": text} for one, text in events.items()])
        assert (told.category if told else None) == category

    def test_a_node_that_is_lost(self):
        scheduled = {"reason": "Scheduled", "message": "Successfully assigned flows/p to worker-3"}
        tainted, killing = {"reason": "TaintManagerEviction"}, {"reason": "Killing"}
        assert vanished_from([scheduled, tainted], unseen=False) == "worker-3"
        assert vanished_from([scheduled, tainted, killing], unseen=False) == ""
        assert vanished_from([scheduled], unseen=False) == ""
        assert vanished_from([scheduled, killing], unseen=True) == "worker-3"
        assert vanished_from([{"reason": "FailedScheduling"}], unseen=True) == ""
        assert vanished_from([], unseen=True)

    def test_what_the_job_keeps_of_a_pod_that_is_gone(self):
        code = "Container prefect-job for pod flows/p failed with exit code 3 matching FailJob rule at index 0"
        unseen = "Pod flows/p has condition DisruptionTarget matching FailJob rule at index 1"
        assert (kept_exit_code(failed_job(code)), ended_unseen(failed_job(code))) == (3, False)
        assert (kept_exit_code(failed_job(unseen)), ended_unseen(failed_job(unseen))) == (None, True)
        assert kept_exit_code(job(conditions=["FailureTarget"])) is None
        assert observed(Found(KEY, failed_job(code)), "id", 0.0, stopped=False).exit_code == 3


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/apis/batch/v1/namespaces/n/jobs", ("list", "jobs")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", ("get", "pods/log")),
        ("POST", "/api/v1/namespaces/n/secrets", ("create", "secrets")),
        ("GET", "/api/v1/namespaces/n", ("get", "namespaces")),
    ],
)
def test_the_right_that_a_request_needs(method, path, wanted):
    assert needed_right(method, path) == wanted


POLICY = "jobs.batch \"j\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not here"
NO_RIGHT = 'jobs.batch is forbidden: User "u" cannot create resource "jobs" in API group "batch" in the namespace "n"'
RANGE = 'pods "p" is forbidden: maximum memory usage per Container is 100Mi, but limit is 1Gi'


@pytest.mark.parametrize(
    ("status", "message", "category", "word"),
    [
        (403, NO_RIGHT, "forbidden", "verb create on jobs"),
        (403, NO_RIGHT.replace('"u"', '"system:anonymous"'), "credentials_refused", "program"),
        (403, POLICY, "admission_refused", "policy"),
        (422, POLICY, "admission_refused", "policy"),
        (400, 'admission webhook "w.example.com" denied the request: no', "admission_refused", "policy"),
        (403, 'pods "p" is forbidden: exceeded quota: q, requested: pods=1', "quota_exceeded", "raised"),
        (403, 'pods "p" is forbidden: failed quota: q: must specify limits.memory', "quota_exceeded", "resources"),
        (403, RANGE, "admission_refused", "LimitRange"),
        (403, 'pods "p" is forbidden: violates PodSecurity "restricted:latest"', "admission_refused", "restricted"),
        (422, 'Job.batch "j" is invalid: spec.x: Forbidden: may not be set', "bad_settings", "field"),
    ],
)
def test_a_refusal_by_policy_is_no_missing_right(status, message, category, word):
    found, remedy = explained("POST", "/apis/batch/v1/namespaces/n/jobs", status, message)
    assert (found, word in remedy) == (category, True), remedy


def refused(status: int, message: str, reason: str = "") -> KubernetesRefused:
    return KubernetesRefused(message, "", "bad_settings", status, reason)


class TestTrial:
    """A Job is shown to the server before its run is claimed."""

    JOBS = "/apis/batch/v1/namespaces/flows/jobs"

    @pytest.fixture
    def place(self, monkeypatch):
        """An infrastructure, what was sent from it, and the answers to that."""
        client = KubernetesClient(types.SimpleNamespace(host="https://cluster.example.com", verify_ssl=True), None)
        sent, answers = [], {}

        def post(path, body, **query):
            sent.append((path, body["metadata"]["name"], query))
            if "error" in answers:
                raise answers["error"]
            return {**body, "spec": {**body["spec"], **answers.get("changes", {})}}

        monkeypatch.setattr(client, "post", post)
        cluster = {"major": "1", "minor": "33", "metadata": {"uid": "of-the-namespace"}}
        second = threading.Barrier(2)

        def get(path, **_query):
            if path == "/version":
                answers.setdefault("asked", []).append(path)
                # Somebody who asks the same meanwhile does so now.
                with contextlib.suppress(threading.BrokenBarrierError):
                    second.wait(0.2)
            return cluster

        monkeypatch.setattr(client, "get", get)
        return _kubernetes.KubernetesInfrastructure(client, "flows"), sent, answers

    def test_once_for_each_specification(self, place):
        infrastructure, sent, answers = place
        launches = [dataclasses.replace(launch(), key=AttemptKey(str(uuid.uuid4()), 1)) for _number in range(20)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(infrastructure.provide, launches))
        (one,) = sent
        assert (one[0], one[2]) == (self.JOBS, {"dryRun": "All"})
        assert answers["asked"] == ["/version"]
        infrastructure.provide(dataclasses.replace(launch(), spec_hash="1" * 64))
        assert len(sent) == 2

    @pytest.mark.parametrize(
        ("suspended", "presence"), [(False, Presence.LIVE), (True, Presence.QUEUED)], ids=["free", "held back"]
    )
    def test_what_was_made_is_known_from_the_answer_once(self, place, suspended, presence):
        """A queue of the cluster may hold a Job back in the moment in which it is made."""
        infrastructure, sent, answers = place
        answers["changes"] = {"suspend": suspended}
        made = dataclasses.replace(launch(), secret_environment={})
        assert infrastructure.create(made)
        seen = infrastructure.made(made)
        assert (seen.presence, seen.token, seen.name) == (presence, made.token, job_name(KEY))
        assert infrastructure.made(made) is None
        assert len(sent) == 1

    def test_a_refusal_is_for_all_that_are_alike(self, place):
        infrastructure, sent, answers = place
        answers["error"] = refused(422, "spec.suspend: Invalid value")
        for _run in range(2):
            with pytest.raises(KubernetesRefused, match="Invalid value"):
                infrastructure.provide(launch())
        assert len(sent) == 1

    @pytest.mark.parametrize(
        "error",
        [
            refused(400, 'admission webhook "w.example.com" does not support dry run'),
            refused(409, "jobs.batch exists", "AlreadyExists"),
            refused(409, "try again", "Conflict"),
            refused(429, "too many requests"),
            refused(500, "failed calling webhook"),
            InfrastructureUnreachable("no answer"),
        ],
        ids=str,
    )
    def test_what_the_server_cannot_tell_keeps_nothing_back(self, place, error):
        infrastructure, sent, answers = place
        answers["error"] = error
        infrastructure.provide(launch())
        infrastructure.provide(launch())
        assert len(sent) == 1


def test_an_answer_that_is_no_list_is_no_empty_list(monkeypatch):
    client = KubernetesClient(types.SimpleNamespace(host="https://cluster.example.com"), None)
    monkeypatch.setattr(client, "get", lambda _path, **_query: {"detail": "hello"})
    with pytest.raises(InfrastructureUnreachable, match="no Kubernetes API"):
        list(client.items("/api/v1/namespaces/n/pods"))


def test_what_the_server_remarks():
    header = '299 - "unknown field \\"spec.template.spec.x\\"", 299 - "deprecated"'
    assert [text.rpartition(": ")[2] for text in remarks([header])] == [
        'unknown field "spec.template.spec.x"',
        "deprecated",
    ]


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(SettingsError, match="kubernetes") as caught:
        connect(Connection(host="https://cluster.example.com"))
    assert caught.value.category == "library_missing"
