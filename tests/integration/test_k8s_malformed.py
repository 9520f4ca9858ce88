# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is malformed never becomes a Job: a clear error with field and remedy, no traceback, the run stays scheduled."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from ansible_play import RunPlaybook
from jobs import MODULE, Namespace, hosts
from malformed_settings import KUBERNETES_CASES, check, task_of

CONTAINER: dict[str, Any] = {"name": "prefect-job", "env": []}
BASE: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {}},
    "spec": {"template": {"spec": {"containers": [CONTAINER]}}},
}
POD = "/spec/template/spec"
FIRST = f"{POD}/containers/0"


def test_settings_in_a_play(run_playbook: RunPlaybook) -> None:
    """As users meet them: every case is a task, refused before its host is touched."""
    tasks = [
        {"name": f"{number}: {case['case']}", MODULE: task_of(case), "ignore_errors": True}
        for number, case in enumerate(KUBERNETES_CASES)
    ]
    play = [{"name": "Test", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    result = run_playbook(yaml.safe_dump(play)).check()
    assert len(result.results) == len(KUBERNETES_CASES)
    for case, found in zip(KUBERNETES_CASES, result.results):
        assert found.failed, case
        check(case, found.result["msg"].splitlines())
        assert found.result["category"] == "bad_settings"
    assert "Traceback" not in result.output
    assert "CANARY" not in result.output


def without(*path: str | int) -> dict[str, Any]:
    """The base manifest without one of its parts."""
    made = copy.deepcopy(BASE)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return made


def changed(value: object, *path: str | int) -> dict[str, Any]:
    """The base manifest with one part changed."""
    made = copy.deepcopy(BASE)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return made


def patch(op: str, path: str, value: object = None) -> dict[str, Any]:
    return {"customizations": [{"op": op, "path": path, **({} if op == "remove" else {"value": value})}]}


CONTAINERS = ("spec", "template", "spec", "containers")
MISSING = "Job is missing required attributes at the following paths: "
WRONG = "Job has incompatible values for the following attributes: "

#: Options that make no Job that can be launched, and words of the error. Only the cluster sees the last three, the very
#: last only in check mode.
NO_JOB: dict[str, tuple[dict[str, Any], str]] = {
    "nearly empty": ({"job": {"spec": {}}}, f"{MISSING}/apiVersion, /kind, /metadata, /spec/template"),
    "no kind": ({"job": without("kind")}, f"{MISSING}/kind"),
    "no labels": ({"job": without("metadata", "labels")}, f"{MISSING}/metadata/labels"),
    "no containers": ({"job": without(*CONTAINERS)}, f"{MISSING}/spec/template/spec/containers"),
    "no container": ({"job": changed([], *CONTAINERS)}, f"{MISSING}/spec/template/spec/containers/0"),
    "no env": ({"job": without(*CONTAINERS, 0, "env")}, f"{MISSING}/spec/template/spec/containers/0/env"),
    "no name": ({"job": without(*CONTAINERS, 0, "name")}, f"{MISSING}/spec/template/spec/containers/0/name"),
    "another kind": ({"job": changed("Pod", "kind")}, f"{WRONG}/kind must have value 'Job'"),
    "another version": ({"job": changed("v1", "apiVersion")}, f"{WRONG}/apiVersion must have value 'batch/v1'"),
    "another container": ({"job": changed("flow", *CONTAINERS, 0, "name")}, "must have value 'prefect-job'"),
    "labels as list": ({"job": changed([], "metadata", "labels")}, "/metadata/labels must have value a mapping"),
    "env as mapping": ({"job": changed({}, *CONTAINERS, 0, "env")}, "must have value a list"),
    "path to nowhere": (patch("replace", "/spec/nowhere/deep", 1), "customizations[0]"),
    "index too far": (patch("add", f"{POD}/containers/9", {}), "customizations[0]"),
    "another name": (patch("replace", "/metadata/name", "mine"), "its name"),
    "another namespace": (patch("replace", "/metadata/namespace", "kube-system"), "its namespace"),
    "our labels": (patch("remove", "/metadata/labels/flowops.prefect~1token"), "labels that begin with"),
    "two pods": (patch("replace", "/spec/parallelism", 2), "parallelism"),
    "no engine": (patch("replace", f"{FIRST}/args", ["true"]), "does not start the engine"),
    "no orders": (patch("replace", f"{FIRST}/env", []), "does not start the engine"),
    "no containers left": (patch("remove", f"{POD}/containers"), "is no Job"),
    "restarts": ({"restart_policy": "OnFailure"}, "may_run_again"),
    "restarts by override": ({"pod_overrides": {"spec": {"restartPolicy": "Always"}}}, "restartPolicy"),
    "privileged": (patch("add", f"{FIRST}/securityContext/privileged", True), "security_profile is baseline"),
    "host's network": ({"pod_overrides": {"spec": {"hostNetwork": True}}}, "hostNetwork"),
    "a host's folder": (
        {"security_profile": "restricted", "volumes": [{"name": "etc", "hostPath": {"path": "/etc"}}]},
        "hostPath (etc)",
    ),
    "a secret in the open": (
        {"secret_env": {"WORD": "canary-K8S-7f3a"}, "annotations": {"note": "canary-K8S-7f3a"}},
        "holds the value of WORD",
    ),
    "a value out of range": (patch("add", "/spec/activeDeadlineSeconds", -1), "spec.activeDeadlineSeconds"),
    "a value of another kind": (patch("add", "/spec/suspend", "maybe"), "spec.suspend"),
    "a word of nobody": ({"pod_overrides": {"spec": {"prioritiClassName": "batch"}}}, "prioritiClassName"),
}


def test_what_makes_no_job(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """One task for each, in one play, for one run: it is launched by none of them."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    tasks = [
        {**namespace.task(flow_run_id=run_id, wait=False, **options), "name": name, "ignore_errors": True}
        for name, (options, _text) in NO_JOB.items()
    ]
    tasks[-1]["check_mode"] = True
    play = run_playbook(tasks, hosts=hosts(), timeout=300).check()
    assert len(play.results) == len(NO_JOB)
    for (name, (_options, text)), found in zip(NO_JOB.items(), play.results):
        assert found.failed, name
        assert text in found.result["msg"], (name, found.result["msg"])
        assert found.result["msg"].rstrip().endswith("."), (name, found.result["msg"])
    assert "Traceback" not in play.output
    assert "canary-K8S-7f3a" not in str([result.result for result in play.results])
    assert not namespace.objects("jobs,secrets", run_id)
    assert namespace.rest.state_type(run_id) == "SCHEDULED"


def test_canaries(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """Secrets of every option that takes one, in nothing that is shown, in no object but the Secret."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    canaries = {name: f"canary-{number}-K8S-9c1e" for number, name in enumerate(("word", "key", "auth", "token"))}
    options = {
        "secret_env": {"WORD": "{{ word }}"},
        "api_key": "{{ key }}",
        "api_headers": {"X-Canary": "{{ auth }}"},
        "env": {"DB_PASSWORD": "{{ token }}"},
        "pod_overrides": {"metadata": {"annotations": {"example.com/why": "test"}}},
    }
    variables = {name: f"{{{{ lookup('ansible.builtin.env', 'CANARY_{name.upper()}') }}}}" for name in canaries}
    play = run_playbook(
        {**namespace.task(flow_run_id=run_id, **options), "vars": variables},
        hosts=hosts(),
        env={f"CANARY_{name.upper()}": value for name, value in canaries.items()},
        arguments=["-vvvv", "--diff"],
    ).check()
    seen = namespace.kubectl("get", "jobs,pods,events,configmaps", "--output", "yaml")
    for name, value in canaries.items():
        assert value not in play.output, name
        assert value not in str([result.result for result in play.results]), name
        assert value not in seen, name
    (secret,) = namespace.objects("secrets", run_id)
    assert {"WORD", "DB_PASSWORD", "PREFECT_API_KEY"} <= set(secret["data"])
