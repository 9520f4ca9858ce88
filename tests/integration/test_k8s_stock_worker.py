# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs beside those that Prefect's own worker makes of the same deployments, as the API server describes them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import kubernetes_cluster
from ansible_play import RunPlaybook
from jobs import PULL_STEPS, RUN_LABEL, Namespace, engine_api_url, hosts
from scenarios import wait_until
from stock_comparison import assert_as_documented, differences
from stock_pools import stock_worker

#: Added by the cluster, another one for each Job.
CLUSTERS_OWN = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
#: By which Prefect's worker knows the Jobs that it watches.
THEIR_LABEL = "prefect.io/flow-run-id"
#: What Prefect's worker says of a run whose pod is made and not started.
OBSERVED = "InfrastructurePending"


def deployments(namespace: Namespace) -> dict[str, dict[str, Any]]:
    """Job variables: every setting of a kubernetes pool, and as few as will do. No node has so many processors."""
    common = {"namespace": namespace.name, "image": kubernetes_cluster.image()}
    return {
        "everything": {
            **common,
            "name": "somebody",
            "image_pull_policy": "Never",
            "service_account_name": "flows",
            "labels": {"team": "data", "example.com/tier": "Hot & cold"},
            "annotations": {"example.com/owner": "data team"},
            "env": {"WHO": "deployment", "PREFECT_LOGGING_LEVEL": "DEBUG", "PRICE": "$(WHO) $5"},
            "backoff_limit": 2,
            "finished_job_ttl": 3600,
            "cpu_request": "1000",
            "cpu_limit": "1000",
            "memory_request": "64Mi",
            "memory_limit": "1Gi",
            "stream_output": False,
        },
        "little": common,
    }


def described(job: dict[str, Any]) -> dict[str, Any]:
    """What of a Job was asked for, the template of its pod among it; lists of what has a name by their names."""
    template = job["spec"]["template"]
    containers = {
        container["name"]: {**container, "env": {entry["name"]: entry["value"] for entry in container["env"]}}
        for container in template["spec"]["containers"]
    }
    spec = {name: value for name, value in job["spec"].items() if name not in ("selector", "template")}
    return {
        "metadata": _named(job["metadata"]),
        "spec": spec,
        "pod": {"metadata": _named(template["metadata"]), "spec": {**template["spec"], "containers": containers}},
    }


def _named(metadata: dict[str, Any]) -> dict[str, Any]:
    labels = {name: value for name, value in metadata["labels"].items() if name not in CLUSTERS_OWN}
    kept = ("name", "generateName", "namespace", "annotations")
    return {"labels": labels, **{name: metadata[name] for name in kept if name in metadata}}


def jobs_of(namespace: Namespace, label: str, run_id: str) -> list[dict[str, Any]]:
    found = json.loads(namespace.kubectl("get", "jobs", "--selector", f"{label}={run_id}", "--output", "json"))
    return list(found["items"])


def names_of_states(namespace: Namespace, run_id: str) -> set[str]:
    return {str(state["name"]) for state in namespace.rest.state_history(run_id)}


def test_they_differ_as_the_documentation_says(run_playbook: RunPlaybook, namespace: Namespace, tmp_path: Path) -> None:
    """With the worker there, which gives the pool its template, and which leaves the runs of ours alone."""
    rest, api_url = namespace.rest, engine_api_url(namespace.server)
    namespace.kubectl("create", "serviceaccount", "flows")
    pool = str(rest.create_work_pool(f"kubernetes-{uuid.uuid4().hex[:8]}", "kubernetes")["name"])
    made = {
        name: rest.create_deployment("hello", pull_steps=PULL_STEPS, work_pool_name=pool, job_variables=variables)
        for name, variables in deployments(namespace).items()
    }
    variables = {
        "KUBECONFIG": str(kubernetes_cluster.kubeconfig()),
        "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES": namespace.name,
    }
    with stock_worker(api_url, pool, tmp_path / "worker", len(made), "stock-workers", **variables):
        wait_until(lambda: rest.get(f"/work_pools/{pool}")["base_job_template"], "the worker", 120)
        options = {
            "api_url": api_url,
            "kubeconfig": variables["KUBECONFIG"],
            "runs": [{"deployment": deployment["full_name"]} for deployment in made.values()],
            "wait": False,
        }
        play = run_playbook({"name": "Run", "flowops.prefect.flow_runner": options}, hosts=hosts()).check()
        ours = dict(zip(made, play.last["flow_run_ids"], strict=True))
        theirs = {name: rest.create_flow_run(deployment["id"])["id"] for name, deployment in made.items()}
        # The pod that no node takes: that of the other may run before the worker has seen it.
        wait_until(lambda: OBSERVED in names_of_states(namespace, theirs["everything"]), "what the worker sees", 120)
        wait_until(lambda: jobs_of(namespace, THEIR_LABEL, theirs["little"]), "the other Job of the worker", 120)
    found = []
    for name in made:
        (our_job,) = jobs_of(namespace, RUN_LABEL, ours[name])
        (their_job,) = jobs_of(namespace, THEIR_LABEL, theirs[name])
        found.append(differences(described(our_job), described(their_job)))
        assert OBSERVED not in names_of_states(namespace, ours[name])
    assert_as_documented(found, "Jobs")
