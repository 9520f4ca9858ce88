# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow_runner`` with Jobs: deployments of a stock kubernetes pool, and of one with an edited manifest."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import kubernetes_cluster
from ansible_play import RunPlaybook
from jobs import PULL_STEPS, Namespace, engine_api_url, hosts
from stock_pools import stock_template

MODULE = "flowops.prefect.flow_runner"


def pool(namespace: Namespace, template: dict[str, Any]) -> str:
    name = f"kubernetes-{uuid.uuid4().hex[:8]}"
    return str(namespace.rest.create_work_pool(name, "kubernetes", base_job_template=template)["name"])


def test_deployments_of_kubernetes_pools_run_unchanged(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """Namespace and image are the deployments'; of an edited manifest everything stays that is not the launch's."""
    rest = namespace.rest
    stock = stock_template(rest, "kubernetes")
    edited = copy.deepcopy(stock)
    pod = edited["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    pod["hostname"] = "edited"
    field = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    pod["containers"][0]["env"] = [{"name": "FIXED", "value": "1"}, field]
    variables = {
        "namespace": namespace.name,
        "image": kubernetes_cluster.image(),
        "cpu_request": "10m",
        "finished_job_ttl": 3600,
        "labels": {"team": "x"},
        "env": {"WHO": "deployment"},
    }
    ids = []
    for template in (stock, edited):
        deployment = rest.create_deployment(
            "hello", pull_steps=PULL_STEPS, work_pool_name=pool(namespace, template), job_variables=variables
        )
        ids.append(rest.create_flow_run(deployment["id"])["id"])
    options = {
        "api_url": namespace.server.api_url,
        "engine_api_url": engine_api_url(namespace.server),
        "kubeconfig": str(kubernetes_cluster.kubeconfig()),
        "flow_run_ids": ids,
    }
    play = run_playbook(
        [{"name": "Preview", MODULE: options, "check_mode": True}, {"name": "Run", MODULE: options}], hosts=hosts()
    ).check()
    first, second = play.of("Preview").result["would_launch"]
    assert {first["sources"][name].partition(" ")[0] for name in ("namespace", "image", "labels")} == {"deployment"}
    assert "job" not in first["sources"]
    assert second["sources"]["job"].startswith("work pool")
    runs = play.of("Run").result["runs"]
    assert [(run["phase"], run["infrastructure"]["type"]) for run in runs] == [("succeeded", "kubernetes")] * 2

    specs = []
    for run_id in ids:
        (job,) = namespace.objects("jobs", run_id)
        assert job["metadata"]["labels"]["team"] == "x"
        assert job["spec"]["ttlSecondsAfterFinished"] == 3600
        specs.append(job["spec"]["template"]["spec"])
        (container,) = specs[-1]["containers"]
        assert container["resources"] == {"requests": {"cpu": "10m"}}
        assert {"name": "WHO", "value": "deployment"} in container["env"]
    assert "hostname" not in specs[0]
    assert specs[1]["hostname"] == "edited"
    names = {entry["name"]: entry for entry in specs[1]["containers"][0]["env"]}
    assert names["FIXED"]["value"] == "1"
    assert names["POD"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
