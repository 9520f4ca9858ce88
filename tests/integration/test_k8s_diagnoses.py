# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong in a cluster, each thing provoked for real: category and remedy, and what the server hears of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import kubernetes_cluster
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from jobs import NO_REGISTRY, Namespace, hosts, make_namespace
from prefect_server import PrefectServer
from scenarios import wait_until

BROKEN_COMMAND = [{"op": "add", "path": "/spec/template/spec/containers/0/command", "value": ["/no/such/command"]}]
MISSING_SECRET = {"name": "nowhere", "key": "api-key"}
NO_VOLUME = {"name": "data", "configMap": {"name": "nowhere"}}
MOUNT = {"name": "data", "mountPath": "/data"}

#: Options that keep the engine from starting, the category, and a word of reason or remedy.
NEVER_STARTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unschedulable": ({"node_selector": {"disktype": "golden"}}, "unschedulable", "node_selector"),
    "graphics card": ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "unschedulable", "nvidia.com/gpu"),
    "image": ({"image": NO_REGISTRY}, "image_missing", NO_REGISTRY),
    "image never pulled": (
        {"image": NO_REGISTRY, "image_pull_policy": "Never"},
        "image_missing",
        "image_pull_policy",
    ),
    "missing secret": ({"api_key_secret": MISSING_SECRET}, "configuration_missing", "nowhere"),
    "missing volume": ({"volumes": [NO_VOLUME], "volume_mounts": [MOUNT]}, "configuration_missing", "nowhere"),
    "service account": ({"service_account_name": "nobody"}, "service_account_missing", "service_account_name"),
}


@pytest.mark.parametrize("name", NEVER_STARTS)
def test_what_never_starts_is_torn_down_and_explained(
    run_playbook: RunPlaybook, namespace: Namespace, name: str
) -> None:
    options, category, word = NEVER_STARTS[name]
    run_id = namespace.make_run("hello", {"name": "Ada"})
    play = run_playbook(namespace.task(flow_run_id=run_id, start_timeout=12, **options), hosts=hosts())
    found = play.last["run"]["diagnosis"]
    assert found["category"] == category, play.last["msg"]
    assert word in f"{found['reason']} {found['remedy']}"
    assert namespace.rest.state_type(run_id) == "CRASHED"
    assert found["reason"] in namespace.rest.flow_run(run_id)["state"]["message"]
    assert not namespace.objects("pods", run_id)


def test_a_wait_that_is_over_says_what_is_waited_for(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    # As Orion's own flow runner called it.
    patience = {"job_watch_timeout_seconds": 8}
    play = run_playbook(namespace.task(flow_run_id=run_id, image=NO_REGISTRY, **patience), hosts=hosts())
    assert play.last["timed_out"] is True
    assert play.last["run"]["diagnosis"]["category"] == "image_missing"
    assert NO_REGISTRY in play.last["msg"]


def test_a_command_that_the_image_lacks(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    play = run_playbook(namespace.task(flow_run_id=run_id, customizations=BROKEN_COMMAND), hosts=hosts())
    assert play.last["run"]["diagnosis"]["category"] == "command_missing", play.last["msg"]
    assert namespace.rest.state_type(run_id) == "CRASHED"


def beside_ours(kind: str, **container: Any) -> dict[str, Any]:
    """Options for a pod with another container."""
    other = {"name": "other", "image": kubernetes_cluster.image(), **container}
    return {"pod_overrides": {"spec": {kind: [other]}}}


def test_a_container_beside_ours_that_never_ends(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """The run is over with its engine. What the server remarked about the manifest is told as well."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    options = beside_ours("containers", command=["sleep", "3600"])
    options["pod_overrides"]["spec"]["prioritiClassName"] = "typo"
    tasks = [namespace.task(flow_run_id=run_id, **options), namespace.task(flow_run_id=run_id, state="absent")]
    play = run_playbook([{**task, "name": name} for task, name in zip(tasks, ("run", "remove"))], hosts=hosts()).check()
    ran = play.of("run").result
    assert (ran["run"]["phase"], ran["run"]["exit_code"]) == ("succeeded", 0)
    assert "other went on" in str(ran["warnings"])
    assert "prioritiClassName" in str(ran["warnings"])
    assert play.of("remove").changed
    wait_until(lambda: not namespace.objects("pods", run_id), "the end of the other container", 60)


def test_a_container_that_has_to_succeed_first(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    options = beside_ours("initContainers", command=["python", "-c", "raise SystemExit(4)"])
    found = run_playbook(namespace.task(flow_run_id=run_id, **options), hosts=hosts()).last["run"]["diagnosis"]
    assert (found["category"], "code 4" in found["reason"]) == ("init_failed", True), found
    assert namespace.rest.state_type(run_id) == "CRASHED"


def test_exit_code(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("talker", {"path": "/tmp/talk", "lines": 2, "end": "exit"})
    play = run_playbook(namespace.task(flow_run_id=run_id), hosts=hosts())
    assert play.last["run"]["exit_code"] == 3
    assert play.last["run"]["diagnosis"]["category"] == "exit_code"
    assert "talker says 1" in "\n".join(play.last["run"]["log"]["lines"])


def test_memory(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("eat_memory")
    limit = {"limits": {"memory": "300Mi"}}
    play = run_playbook(namespace.task(flow_run_id=run_id, resources=limit), hosts=hosts())
    found = play.last["run"]["diagnosis"]
    assert found["category"] == "out_of_memory", play.last["msg"]
    assert "300Mi" in found["remedy"]


def test_run_timeout(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("sleeper", {"seconds": 300})
    play = run_playbook(namespace.task(flow_run_id=run_id, run_timeout=3, stop_grace=3), hosts=hosts())
    assert play.last["run"]["diagnosis"]["category"] == "run_timeout", play.last["msg"]


def test_eviction_by_an_operator(start_playbook: StartPlaybook, namespace: Namespace) -> None:
    """As ``kubectl drain`` does it: the pod is told to end, and gone afterwards, its conditions with it."""
    run_id = namespace.make_run("sleeper", {"seconds": 300})
    play = start_playbook(namespace.task(flow_run_id=run_id, stop_grace=3), hosts=hosts())
    namespace.rest.wait_for_state(run_id, "RUNNING", timeout=150)
    namespace.evict(run_id)
    run = play.wait().last["run"]
    assert run["phase"] == "failed", run
    assert run["diagnosis"]["category"] in ("evicted", "pod_deleted"), run
    assert "rerun: failed" in run["diagnosis"]["remedy"]


def test_eviction_by_the_node(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """What uses more room on the node's disk than it may is driven out by the kubelet."""
    run_id = namespace.make_run("sleeper", {"seconds": 300})
    limit = {"limits": {"ephemeral-storage": "10Ki"}}
    play = run_playbook(namespace.task(flow_run_id=run_id, resources=limit, stop_grace=3), hosts=hosts())
    found = play.last["run"]["diagnosis"]
    assert found["category"] == "evicted", play.last["msg"]
    assert "ephemeral" in found["reason"]
    assert namespace.rest.state_type(run_id) == "CRASHED"


def test_the_deadline_of_a_base_manifest(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """Kept by the node, whatever the engine does."""
    run_id = namespace.make_run("sleeper", {"seconds": 300})
    deadline = [{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 12}]
    play = run_playbook(namespace.task(flow_run_id=run_id, customizations=deadline, stop_grace=2), hosts=hosts())
    assert play.last["run"]["diagnosis"]["category"] == "run_timeout", play.last["msg"]
    assert "activeDeadlineSeconds" in play.last["run"]["diagnosis"]["reason"]


def test_a_deadline_that_nobody_watched(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """The Job's own ends what no node takes; long afterwards the events still say why."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    options = {"node_selector": {"disktype": "golden"}, "run_timeout": 3600}
    deadline = [{"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": 5}]
    run_playbook(namespace.task(flow_run_id=run_id, customizations=deadline, wait=False, **options), hosts=hosts())
    wait_until(lambda: namespace.has_given_up(run_id), "the Job's deadline")
    run = run_playbook(namespace.task(flow_run_id=run_id), hosts=hosts()).last["run"]
    assert (run["phase"], run["diagnosis"]["category"]) == ("failed", "unschedulable"), run
    assert namespace.rest.state_type(run_id) == "CRASHED"


def test_a_preemption_that_nobody_watched(
    run_playbook: RunPlaybook, namespace: Namespace, scarce_resource: tuple[str, str]
) -> None:
    resource, priority_class = scarce_resource
    only_one = {"limits": {resource: "1"}}
    run_id = namespace.make_run("sleeper", {"seconds": 300})
    launch = namespace.task(flow_run_id=run_id, resources=only_one, stop_grace=3, wait=False)
    run_playbook(launch, hosts=hosts()).check()
    namespace.rest.wait_for_state(run_id, "RUNNING", timeout=150)
    container = {"name": "other", "image": kubernetes_cluster.image(), "command": ["true"], "resources": only_one}
    spec = {"containers": [container], "restartPolicy": "Never", "priorityClassName": priority_class}
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "important"}, "spec": spec})
    wait_until(lambda: namespace.has_given_up(run_id), "the pod that makes room")
    run = run_playbook(namespace.task(flow_run_id=run_id), hosts=hosts()).last["run"]
    assert (run["phase"], run["diagnosis"]["category"]) == ("failed", "preempted"), run
    assert "rerun: failed" in run["diagnosis"]["remedy"]


@pytest.fixture
def scarce_resource() -> Iterator[tuple[str, str]]:
    """A resource of which the node has one, and a priority class; no other test's pods can be in their way."""
    if not kubernetes_cluster.is_ours():
        pytest.skip("the nodes of a cluster that was given are not the tests' to change")
    name = f"test-{uuid.uuid4().hex[:8]}"
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
    kubernetes_cluster.apply(json.dumps({**important, "value": 1000}))
    _change_node("add", name, value="1")
    yield f"flowops.invalid/{name}", name
    _change_node("remove", name)
    kubernetes_cluster.kubectl("delete", "priorityclass", name)


def _change_node(operation: str, name: str, **value: str) -> None:
    """Both at once: the kubelet keeps them in step."""
    paths = [f"/status/{part}/flowops.invalid~1{name}" for part in ("capacity", "allocatable")]
    changes = json.dumps([{"op": operation, "path": path, **value} for path in paths])
    words = ["--subresource", "status", "--type", "json", "--patch", changes]
    kubernetes_cluster.kubectl("patch", "node", kubernetes_cluster.NODE, *words)


@pytest.mark.parametrize("kind", ["pod", "job"])
def test_somebody_deletes_it(start_playbook: StartPlaybook, namespace: Namespace, kind: str) -> None:
    run_id = namespace.make_run("sleeper", {"seconds": 300})
    play = start_playbook(namespace.task(flow_run_id=run_id, stop_grace=3), hosts=hosts())
    namespace.rest.wait_for_state(run_id, "RUNNING", timeout=150)
    namespace.kubectl("delete", kind, "--wait=false", "--selector", f"flowops.prefect/flow-run-id={run_id}")
    run = play.wait().last["run"]
    assert run["phase"] == "failed", run
    # The engine may get to tell the server itself that it was asked to end, before its pod is gone.
    told = ("pod_deleted", "infrastructure_gone", "killed_by_signal")
    assert run["diagnosis"]["category"] in told, run["diagnosis"]
    wait_until(lambda: not namespace.objects("pods", run_id), "the pod's end, with no other in its place", 60)


def test_quota(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    namespace.apply(quota)
    run_id = namespace.make_run("hello", {"name": "Ada"})
    # As Orion's own flow runner called it.
    patience = {"pod_watch_timeout_seconds": 10}
    play = run_playbook(namespace.task(flow_run_id=run_id, **patience), hosts=hosts())
    assert play.last["run"]["diagnosis"]["category"] == "quota_exceeded", play.last["msg"]


def test_a_quota_of_jobs(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """What is refused to the first Job of a task keeps its runs unclaimed; to a later one, it is a crash."""
    hard = {"hard": {"count/jobs.batch": "1"}}
    namespace.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}, "spec": hard})
    counted = ("get", "resourcequota", "one", "--output", "jsonpath={.status.used}")
    kubernetes_cluster.wait_until(lambda: namespace.kubectl(*counted), "a quota that is kept")
    earlier, later = ([namespace.make_run("hello", {"name": "Ada"}) for _number in range(2)] for _task in range(2))
    tasks = [
        {**namespace.task(flow_run_ids=run_ids, wait=False), "ignore_errors": True} for run_ids in (earlier, later)
    ]
    first, second = (found.result for found in run_playbook(tasks, hosts=hosts()).check().results)
    (crashed,) = [run for run in first["runs"] if run["state_type"] == "CRASHED"]
    assert crashed["diagnosis"]["category"] == "quota_exceeded", first["msg"]
    assert (second["changed"], second["category"]) == (False, "quota_exceeded"), second["msg"]
    assert "count/jobs.batch" in second["msg"]
    assert sorted(second["failed_runs"]) == sorted(later)
    for run_id in later:
        assert namespace.rest.state_type(run_id) == "SCHEDULED"
        assert not namespace.objects("jobs", run_id)


def test_pod_security(run_playbook: RunPlaybook, cluster_server: PrefectServer) -> None:
    namespace = make_namespace(cluster_server, pod_security="restricted")
    try:
        run_id = namespace.make_run("hello", {"name": "Ada"})
        play = run_playbook(namespace.task(flow_run_id=run_id, start_timeout=10), hosts=hosts())
        found = play.last["run"]["diagnosis"]
        assert found["category"] == "admission_refused", play.last["msg"]
        assert "security_profile: restricted" in found["remedy"]
        other = namespace.make_run("hello", {"name": "Ada"})
        play = run_playbook(namespace.task(flow_run_id=other, security_profile="restricted"), hosts=hosts()).check()
        assert play.last["run"]["phase"] == "succeeded"
    finally:
        kubernetes_cluster.kubectl("delete", "namespace", namespace.name, "--wait=false")


def test_what_one_may_not_do_is_named(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    if not kubernetes_cluster.is_ours():
        pytest.skip("only a cluster that the tests started has a user without rights")
    run_id = namespace.make_run("hello", {"name": "Ada"})
    config = str(kubernetes_cluster.powerless_kubeconfig())
    play = run_playbook(namespace.task(flow_run_id=run_id, kubeconfig=config), hosts=hosts())
    assert play.last["category"] == "forbidden", play.last["msg"]
    assert "the verb list on jobs" in play.last["msg"]
    assert namespace.rest.state_type(run_id) == "SCHEDULED"


def test_a_namespace_that_is_not_there(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    play = run_playbook(namespace.task(flow_run_id=run_id, namespace="nowhere"), hosts=hosts())
    assert play.last["category"] == "namespace_missing", play.last["msg"]
    assert namespace.rest.state_type(run_id) == "SCHEDULED"


def test_a_job_of_that_name_that_is_not_ours(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    container = {"name": "other", "image": kubernetes_cluster.image(), "command": ["true"]}
    pod = {"containers": [container], "restartPolicy": "Never"}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"flowops-{run_id}-1"}}
    namespace.apply({**job, "spec": {"template": {"spec": pod}}})
    play = run_playbook(namespace.task(flow_run_id=run_id), hosts=hosts())
    assert play.last["run"]["diagnosis"]["category"] == "name_collision", play.last["msg"]
    assert namespace.kubectl("get", "jobs", f"flowops-{run_id}-1", "--output", "name")


def test_an_api_that_does_not_answer(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    options = {"kubeconfig": None, "kube_host": "https://127.0.0.1:9", "kube_token": "x"}
    play = run_playbook(namespace.task(flow_run_id=run_id, wait=False, **options), hosts=hosts())
    assert play.last["category"] == "infrastructure_unreachable", play.last["msg"]
    assert namespace.rest.state_type(run_id) == "SCHEDULED"


def test_localhost_is_the_pod_itself(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    play = run_playbook(namespace.task(flow_run_id=run_id, engine_api_url=None), hosts=hosts())
    assert "engine_api_url" in play.last["msg"]
    assert namespace.rest.state_type(run_id) == "SCHEDULED"


def test_a_job_that_a_queue_holds_back(start_playbook: StartPlaybook, namespace: Namespace) -> None:
    """A Job that a queue of the cluster holds back (suspended) waits, and runs when it is let go."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    suspended = [{"op": "add", "path": "/spec/suspend", "value": True}]
    play = start_playbook(namespace.task(flow_run_id=run_id, customizations=suspended), hosts=hosts())
    wait_until(lambda: namespace.objects("jobs", run_id), "the Job")
    namespace.kubectl("patch", "job", f"flowops-{run_id}-1", "--patch", '{"spec": {"suspend": false}}')
    assert play.wait().last["run"]["phase"] == "succeeded"
