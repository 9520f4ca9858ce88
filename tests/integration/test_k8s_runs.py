# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job in a cluster: runs are launched once, watched, adopted, and reported as they ended."""

from __future__ import annotations

import datetime
import re

from ansible_play import RunPlaybook
from jobs import Namespace, hosts
from scenarios import wait_until

CANARY = "canary-5d2f-K8S"


def test_a_run_is_executed_once_and_its_output_is_shown(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    task = namespace.task(flow_run_id=run_id)

    first = run_playbook(task, hosts=hosts()).check()
    result = first.last["run"]
    assert first.last["changed"] is True
    assert (result["phase"], result["action"], result["attempt"]) == ("succeeded", "launched", 1)
    assert (result["state_type"], result["exit_code"], result["diagnosis"]) == ("COMPLETED", 0, None)
    assert re.search(rf"\[{result['name']}\] .*Ada", first.stdout), first.stdout
    (job,) = namespace.objects("jobs", run_id)
    assert job["metadata"]["name"] == f"flowops-{run_id}-1" == result["infrastructure"]["name"]
    assert namespace.rest.flow_run(run_id)["infrastructure_pid"] == result["infrastructure"]["identifier"]
    assert result["infrastructure"]["host"] == namespace.pod(run_id)["metadata"]["name"]

    second = run_playbook(task, hosts=hosts()).check()
    assert second.last["changed"] is False
    assert (second.last["run"]["phase"], second.last["run"]["action"]) == ("succeeded", "none")


def test_absent_removes_job_pod_and_secret(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    task = namespace.task(flow_run_id=run_id, secret_env={"SECRET_WORD": CANARY})
    run_playbook(task, hosts=hosts()).check()
    assert namespace.objects("secrets", run_id)
    play = run_playbook(namespace.task(flow_run_id=run_id, state="absent"), hosts=hosts()).check()
    assert play.last["run"]["action"] == "removed"
    wait_until(lambda: not namespace.objects("secrets,jobs,pods", run_id), "nothing of the run")
    assert run_playbook(namespace.task(flow_run_id=run_id, state="absent"), hosts=hosts()).last["changed"] is False


def test_secrets_are_in_the_secret_alone(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    options = {"secret_env": {"WORD": CANARY}, "env": {"DB_PASSWORD": f"{CANARY}2"}, "api_auth_string": f"u:{CANARY}3"}
    play = run_playbook(namespace.task(flow_run_id=run_id, **options), hosts=hosts(), arguments=["-vvv"])
    (secret,) = namespace.objects("secrets", run_id)
    (job,) = namespace.objects("jobs", run_id)
    assert secret["immutable"] is True
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert set(secret["data"]) == {"WORD", "DB_PASSWORD", "PREFECT_API_AUTH_STRING"}
    seen = namespace.kubectl("get", "jobs,pods,events,configmaps", "--output", "yaml")
    assert CANARY not in seen
    assert CANARY not in str([result.result for result in play.results])


def test_check_mode_lets_the_server_look_and_creates_nothing(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("hello", {"name": "Ada"})
    play = run_playbook(namespace.task(flow_run_id=run_id), hosts=hosts(), check=True).check()
    assert play.last["would_launch"][0]["job"]["metadata"]["name"] == f"flowops-{run_id}-1"
    assert not namespace.objects("jobs", run_id)
    typo = {"spec": {"prioritiClassName": "batch"}}
    play = run_playbook(namespace.task(flow_run_id=run_id, pod_overrides=typo), hosts=hosts(), check=True)
    assert play.rc
    assert "prioritiClassName" in play.last["msg"]


def test_a_batch_with_one_task(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    ids = [namespace.make_run("hello", {"name": f"number {number}"}) for number in range(4)]
    # Soon gone, which is warned of, and yet not before the verdict.
    play = run_playbook(namespace.task(flow_run_ids=ids, finished_job_ttl=45), hosts=hosts()).check()
    assert "finished_job_ttl is 45 seconds" in " ".join(play.output.split())
    assert {run["phase"] for run in play.last["runs"]} == {"succeeded"}
    again = run_playbook(namespace.task(flow_run_ids=ids), hosts=hosts()).check()
    assert again.last["changed"] is False


def test_concurrency_holds_jobs_back(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """The second Job is made when the first run is at its end."""
    ids = [namespace.make_run("sleeper", {"seconds": 2}) for _number in range(2)]
    play = run_playbook(namespace.task(flow_run_ids=ids, concurrency=1), hosts=hosts()).check()
    assert {run["phase"] for run in play.last["runs"]} == {"succeeded"}
    first, second = sorted((namespace.rest.flow_run(run_id) for run_id in ids), key=lambda run: str(run["start_time"]))
    (job,) = namespace.objects("jobs", second["id"])
    assert _moment(job["metadata"]["creationTimestamp"]) >= _moment(first["end_time"]).replace(microsecond=0)


def test_the_verdict_outlives_the_job(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """A Job that the cluster removes at once: the run was executed, and is not executed again."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    task = namespace.task(flow_run_id=run_id, finished_job_ttl=0)
    assert run_playbook(task, hosts=hosts()).check().last["run"]["phase"] == "succeeded"
    wait_until(lambda: not namespace.objects("jobs,pods", run_id), "the removal of Job and pod", 120)
    again = run_playbook(task, hosts=hosts()).check()
    assert (again.last["changed"], again.last["run"]["phase"]) == (False, "succeeded")
    history = [state["type"] for state in namespace.rest.state_history(run_id)]
    assert history.count("RUNNING") == 1


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
