# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What job configurations of Prefect's own workers mean to us."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._pool_settings import environment_of, pool_settings
from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError


def test_process():
    configuration = {
        "env": {"A": 1, "B": None, "C": "c"},
        "working_dir": "/srv/flows",
        "labels": {"team": "x"},
        "name": "mine",
        "stream_output": True,
        "command": None,
    }
    found = pool_settings("process", configuration)
    assert found.settings == {"working_dir": "/srv/flows"}
    assert found.env == {"A": "1", "B": None, "C": "c"}
    assert found.warnings == []


def test_docker():
    configuration = {
        "image": "flows:1",
        "image_pull_policy": "Never",
        "networks": ["a"],
        "network_mode": None,
        "labels": {"team": "x"},
        "auto_remove": False,
        "volumes": ["/a:/b"],
        "mem_limit": "1g",
        "privileged": False,
        "container_wait_timeout": 9,
        "registry_credentials": {"username": "u", "password": "p", "registry_url": "r", "reauth": True},
        "container_create_kwargs": {"shm_size": "1g", "ipc_mode": "host"},
    }
    found = pool_settings("docker", configuration)
    assert found.settings == {
        "image": "flows:1",
        "image_pull_policy": "Never",
        "networks": ["a"],
        "labels": {"team": "x"},
        "auto_remove": False,
        "volumes": ["/a:/b"],
        "mem_limit": "1g",
        "privileged": False,
        "shm_size": "1g",
        "container_create_kwargs": {"ipc_mode": "host"},
    }
    assert found.connection == {"registry_username": "u", "registry_password": "p", "registry_url": "r"}
    assert found.warnings == []


def manifest(**container):
    """As the stock template makes it when little is given."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": "flows", "generateName": "-"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "parallelism": 1,
                    "completions": 1,
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "prefect-job",
                            "imagePullPolicy": "IfNotPresent",
                            "resources": {"limits": {}, "requests": {}},
                            **container,
                        }
                    ],
                }
            },
        },
    }


def test_kubernetes_as_it_comes():
    found = pool_settings(
        "kubernetes", {"namespace": "flows", "job_manifest": manifest(), "pod_watch_timeout_seconds": 60}
    )
    assert found.settings == {"image_pull_policy": "IfNotPresent", "backoff_limit": 0}
    assert found.connection == {"namespace": "flows"}
    assert found.warnings == []


def test_kubernetes_options_come_out_of_the_manifest():
    job = manifest(image="flows:1", resources={"limits": {"cpu": "1", "memory": None}}, env={"A": "1"})
    job["metadata"]["labels"] = {"team": "x"}
    job["spec"]["ttlSecondsAfterFinished"] = 60
    job["spec"]["template"]["spec"]["serviceAccountName"] = "runner"
    found = pool_settings("kubernetes", {"env": {"A": "1"}, "job_manifest": job})
    assert found.settings == {
        "image": "flows:1",
        "image_pull_policy": "IfNotPresent",
        "resources": {"limits": {"cpu": "1"}},
        "service_account_name": "runner",
        "finished_job_ttl": 60,
        "backoff_limit": 0,
        "labels": {"team": "x"},
    }
    assert found.env == {"A": "1"}


def test_labels_and_annotations_become_what_kubernetes_takes():
    job = manifest()
    job["metadata"]["labels"] = {"team": "Größe & Co.", "my team/tier": "-hot-"}
    found = pool_settings(
        "kubernetes",
        {"job_manifest": job, "labels": {"of everybody": "x" * 70, "none": "?"}, "annotations": {"a b": "as it is, é"}},
    )
    assert found.settings["labels"] == {"team": "Groe-Co", "my-team/tier": "hot", "of-everybody": "x" * 63, "none": "?"}
    assert found.settings["annotations"] == {"a-b": "as it is, é"}
    assert found.warnings == []


@pytest.mark.parametrize("strange", [["a"], "a=b", 7])
def test_labels_that_are_no_mapping_are_left_to_the_checks(strange):
    job = manifest()
    job["metadata"]["labels"] = {"team": 1}
    assert pool_settings("kubernetes", {"job_manifest": job}).settings["labels"] == {"team": 1}
    assert pool_settings("kubernetes", {"job_manifest": job, "labels": strange}).settings["labels"] == strange


def test_an_edited_manifest_is_the_base():
    reference = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    built = {"name": "URL", "value": "https://$(HOST)/"}
    job = manifest(env=[{"name": "A", "value": 1}, reference, built], name="other")
    job["spec"]["template"]["spec"]["priorityClassName"] = "batch"
    found = pool_settings("kubernetes", {"job_manifest": job})
    assert found.settings["job"] == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {}},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "priorityClassName": "batch",
                    "containers": [{"name": "prefect-job", "env": [reference, built]}],
                }
            }
        },
    }
    assert found.env == {"A": "1"}
    assert found.warnings == ["the first container of job_manifest is called prefect-job"]


def test_watch_timeouts_are_ours_to_give():
    found = pool_settings("kubernetes", {"job_watch_timeout_seconds": 5, "pod_watch_timeout_seconds": 90})
    assert [warning.partition(" ")[0] for warning in found.warnings] == [
        "job_watch_timeout_seconds",
        "pod_watch_timeout_seconds",
    ]


def test_a_field_of_one_s_own_is_told_of():
    assert pool_settings("process", {"umask": "077"}).warnings == [
        "umask of a process pool has no counterpart and is left out"
    ]


@pytest.mark.parametrize("command", ["python -m prefect.engine", "prefect flow-run execute", "", None])
def test_the_engine_s_own_command(command):
    assert pool_settings("process", {"command": command}).settings == {}


@pytest.mark.parametrize("command", ["python other.py", ["sh", "-c", "x"]])
def test_another_command_is_refused(command):
    with pytest.raises(ProblemsError, match=r"^command would start something else"):
        pool_settings("docker", {"command": command})


def test_a_manifest_without_a_container_is_refused():
    with pytest.raises(ProblemsError, match="has no container"):
        pool_settings("kubernetes", {"job_manifest": {"spec": {}}})


def test_an_environment_that_is_none():
    with pytest.raises(ProblemsError, match=r"^env is a number, not a mapping"):
        environment_of(3)
