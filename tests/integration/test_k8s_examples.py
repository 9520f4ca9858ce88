# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the module's documentation and the plays of its guide do what they show, as they stand."""

from __future__ import annotations

import json
import re
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_cluster
import pytest
import yaml
from ansible_play import COLLECTION_ROOT, RunPlaybook
from jobs import PULL_STEPS, Namespace, engine_api_url, hosts
from prefect_server import PrefectServer

from ansible_collections.flowops.prefect.plugins.modules.flow_runner_k8s import EXAMPLES

GUIDE = COLLECTION_ROOT / "docs" / "guides" / "kubernetes.md"
IMAGE = "registry.example.com:5000/flows/hello:1.4"
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "batch"},
    "value": 10,
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {"app": "flows"}},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "prefect-job", "env": [], "image": IMAGE},
                    {"name": "sidecar", "image": IMAGE, "command": ["true"]},
                ]
            }
        }
    },
}


@pytest.fixture
def flows(cluster_server: PrefectServer) -> Iterator[Namespace]:
    """What the documentation takes for granted: namespace, image, node, priority, deployment, Role."""
    if not kubernetes_cluster.is_ours():
        pytest.skip("the image and the node of the examples can be had in a cluster of our own only")
    with kubernetes_cluster.used_alone():
        kubernetes_cluster.run_ctr("images", "tag", "--force", kubernetes_cluster.image(), IMAGE)
        kubernetes_cluster.kubectl("label", "node", kubernetes_cluster.NODE, "disktype=ssd", "--overwrite")
        kubernetes_cluster.apply(json.dumps(PRIORITY))
        kubernetes_cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flows"}}))
        account = ("--namespace", "flows", "get", "serviceaccounts", "default", "--ignore-not-found")
        kubernetes_cluster.wait_until(lambda: kubernetes_cluster.kubectl(*account), "the namespace")
        made = Namespace("flows", cluster_server)
        made.rest.create_deployment("hello", "quickstart", pull_steps=PULL_STEPS)
        yield made
        kubernetes_cluster.kubectl("delete", "namespace", "flows")
        kubernetes_cluster.kubectl("delete", "priorityclass", "batch")


def head(namespace: Namespace) -> str:
    """A play that says what differs here from where a user is: the cluster, and how pods reach the server."""
    defaults = {
        "kubeconfig": str(kubernetes_cluster.kubeconfig()),
        "api_url": namespace.server.api_url,
        "engine_api_url": engine_api_url(namespace.server),
        "namespace": "flows",
        "image": IMAGE,
    }
    module_defaults = {"flowops.prefect.flow_runner_k8s": defaults}
    play = {"name": "Examples", "hosts": "all", "gather_facts": False, "module_defaults": module_defaults}
    return yaml.safe_dump([play], sort_keys=False) + "  tasks:\n"


def variables(namespace: Namespace) -> dict[str, Any]:
    return {
        "prefect_api_url": namespace.server.api_url,
        "batch_id": uuid.uuid4().hex,
        "greeting_token": "canary-7d2e",
        "run_id": namespace.make_run("hello", {"name": "Ada"}),
    }


def test_every_example(run_playbook: RunPlaybook, flows: Namespace, tmp_path: Path) -> None:
    """One after the other, since they build on each other's results."""
    (tmp_path / "play-1").mkdir()
    (tmp_path / "play-1" / "job.yml").write_text(yaml.safe_dump(JOB))
    text = head(flows) + textwrap.indent(EXAMPLES, "    ")
    play = run_playbook(text, extra_vars=variables(flows), hosts=hosts(), timeout=300).check()
    assert {task["name"] for task in yaml.safe_load(EXAMPLES)} == {one.task for one in play.results}
    assert "canary-7d2e" not in play.output
    with_manifest = next(one.result["run"] for one in play.results if "base manifest" in one.task)
    (job,) = flows.objects("jobs", with_manifest["flow_run_id"])
    assert (job["metadata"]["labels"]["app"], job["metadata"]["labels"]["example.com/team"]) == ("flows", "data")
    assert job["spec"]["template"]["spec"]["priorityClassName"] == "batch"


def test_every_task_of_the_guide(run_playbook: RunPlaybook, flows: Namespace) -> None:
    """Each play of the guide with its tasks, and its Role as an account of the cluster takes it."""
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    manifests = [block for block in blocks if block.startswith("apiVersion")]
    tasks = [block for block in blocks if block.startswith("- name") and "\n  hosts:" not in block]
    for manifest in manifests:
        kubernetes_cluster.apply(json.dumps(yaml.safe_load(manifest)))
    text = head(flows) + textwrap.indent("\n".join(tasks), "    ")
    play = run_playbook(text, extra_vars=variables(flows), hosts=hosts(), timeout=300).check()
    assert len(play.results) >= len(tasks) >= 6
