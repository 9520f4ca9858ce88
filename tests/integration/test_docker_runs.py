# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job in containers: runs are launched once, watched, adopted, and reported as they ended."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_play import RunPlaybook, StartPlaybook
from containers import container_of, containers_of, counted_runs, docker_task, hosts, make_run, volume
from engine_proxy import CutOutputProxy
from prefect_rest import PrefectRest

pytestmark = pytest.mark.usefixtures("docker_engine_up")


def test_a_run_is_executed_once_and_its_output_is_shown(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    run_id = make_run(rest, "hello", {"name": "Ada"})
    task = docker_task(api_url, flow_run_id=run_id)

    first = run_playbook(task, hosts=hosts()).check()
    result = first.last["run"]
    assert first.last["changed"] is True
    assert (result["phase"], result["action"], result["attempt"]) == ("succeeded", "launched", 1)
    assert (result["state_type"], result["exit_code"], result["diagnosis"]) == ("COMPLETED", 0, None)
    assert re.search(rf"\[{result['name']}\] .*Ada", first.stdout), first.stdout
    found = container_of(run_id)
    assert found["Name"] == f"/flowops-{run_id}-1" == f"/{result['infrastructure']['name']}"
    assert rest.flow_run(run_id)["infrastructure_pid"] == result["infrastructure"]["identifier"]
    assert result["infrastructure"]["identifier"].endswith(found["Id"])

    second = run_playbook(task, hosts=hosts()).check()
    assert second.last["changed"] is False
    assert (second.last["run"]["phase"], second.last["run"]["action"]) == ("succeeded", "none")


def test_many_runs_are_launched_by_one_task_and_reported_one_by_one(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    runs = counted_runs(rest, tmp_path, 4)
    failing = make_run(rest, "fail", {"message": "on purpose"})
    ids = [*(run.id for run in runs), failing]
    task = docker_task(api_url, flow_run_ids=ids, volumes=volume(tmp_path), concurrency=3)
    play = run_playbook(task, hosts=hosts(), timeout=300)
    assert play.rc != 0
    assert [(run["flow_run_id"], run["phase"], run["action"]) for run in play.last["runs"]] == [
        *((run.id, "succeeded", "launched") for run in runs),
        (failing, "failed", "launched"),
    ]
    assert play.last["failed_runs"] == [failing]
    assert play.last["runs"][-1]["diagnosis"]["category"] == "flow_failed"
    assert play.last["runs"][-1]["exit_code"] == 1 or play.last["runs"][-1]["exit_code"] == 0
    assert [run.executions for run in runs] == [1, 1, 1, 1]

    removed = run_playbook(docker_task(api_url, flow_run_ids=ids, state="absent"), hosts=hosts()).check()
    assert {run["action"] for run in removed.last["runs"]} == {"removed"}
    assert not any(containers_of(run_id) for run_id in ids)


def test_check_mode_shows_the_container_and_makes_none(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    run_id = make_run(rest, "hello")
    task = docker_task(
        api_url,
        flow_run_id=run_id,
        network_mode="bridge",
        mem_limit="256m",
        secret_env={"GREETING_TOKEN": "CANARY-7f3a"},
        security_profile="restricted",
        container_create_kwargs={"cpu_shares": 512},
    )
    play = run_playbook(task, hosts=hosts(), check=True, diff=True).check()
    (preview,) = play.last["would_launch"]
    body = preview["body"]
    port = api_url.rpartition(":")[2]
    assert f"PREFECT_API_URL=http://host.docker.internal:{port}" in body["Env"]
    assert body["HostConfig"]["ExtraHosts"] == ["host.docker.internal:host-gateway"]
    assert (body["HostConfig"]["Memory"], body["HostConfig"]["CpuShares"]) == (256 * 2**20, 512)
    assert (body["HostConfig"]["CapDrop"], body["User"]) == (["ALL"], "1000:1000")
    assert preview["pull"] == "no, the engine has the image"
    assert "CANARY" not in play.output
    assert not containers_of(run_id)


def test_a_container_with_networks_of_its_own_reaches_the_api(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, bridge_proxy: str, two_networks: list[str]
) -> None:
    run_id = make_run(rest, "hello")
    task = docker_task(api_url, flow_run_id=run_id, networks=two_networks, engine_api_url=bridge_proxy)
    play = run_playbook(task, hosts=hosts()).check()
    assert play.last["run"]["phase"] == "succeeded"
    assert set(container_of(run_id)["NetworkSettings"]["Networks"]) == set(two_networks)


def test_the_restricted_profile_runs_a_flow_as_nobody_of_importance(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    run_id = make_run(rest, "hello")
    task = docker_task(api_url, flow_run_id=run_id, security_profile="restricted", auto_remove=True)
    play = run_playbook(task, hosts=hosts()).check()
    assert (play.last["run"]["phase"], play.last["run"]["exit_code"]) == ("succeeded", 0)
    assert not containers_of(run_id), "auto_remove, after the verdict"
    again = run_playbook(task, hosts=hosts()).check()
    assert (again.last["run"]["phase"], again.last["changed"]) == ("succeeded", False)


def test_a_later_task_that_removes_what_is_over_changes_something(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    run_id = make_run(rest, "hello")
    run_playbook(docker_task(api_url, flow_run_id=run_id), hosts=hosts()).check()
    clearing = docker_task(api_url, flow_run_id=run_id, auto_remove=True)
    foretold = {**clearing, "check_mode": True}
    play = run_playbook([foretold, clearing, clearing], hosts=hosts()).check()
    assert [one.changed for one in play.results] == [True, True, False]
    assert not containers_of(run_id)


def test_an_engine_that_breaks_off_costs_no_line(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    run_id = make_run(rest, "chatty", {"lines": 300, "pause": 0.02})
    with CutOutputProxy(tmp_path / "engine.sock", times=4) as proxy:
        task = docker_task(api_url, flow_run_id=run_id, docker_host=proxy.host)
        play = start_playbook(task, hosts=hosts()).wait().check()
    shown = [int(number) for number in re.findall(r"\] line (\d+) ", play.stdout)]
    assert sorted(shown) == list(range(300))
    assert proxy.dropped == 4


def test_output_is_shown_line_by_line_without_loss(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str
) -> None:
    run_id = make_run(rest, "chatty", {"lines": 300, "pause": 0.02})
    play = start_playbook(docker_task(api_url, flow_run_id=run_id), hosts=hosts()).wait().check()
    shown = [int(number) for number in re.findall(r"\] line (\d+) ", play.stdout)]
    assert sorted(shown) == list(range(300))
