# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How runs in containers end other than well: cancelled, killed, refused, out of time or memory; and the reasons."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import docker_image
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from containers import (
    MODULE,
    container_of,
    containers_of,
    counted_runs,
    docker,
    docker_task,
    hosts,
    is_running,
    make_run,
    run_containers,
    volume,
)
from engine_proxy import BeforeOutputProxy, NoStartProxy
from prefect_rest import PrefectRest
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("docker_engine_up")


def diagnosis(play: Any) -> dict[str, Any]:
    """Why a play with one run failed."""
    assert play.rc != 0, play.output
    found: dict[str, Any] = play.last["run"]["diagnosis"]
    assert found, play.output
    return found


def test_a_container_that_was_only_created_is_refused_after_a_cancel(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path))
    with NoStartProxy(tmp_path / "engine.sock") as proxy:
        arguments = {**task[MODULE], "docker_host": proxy.host, "wait": False}
        launched = run_playbook({"name": "Run", MODULE: arguments}, hosts=hosts())
    assert (launched.rc != 0, proxy.dropped > 0) == (True, True)
    assert container_of(run.id)["State"]["Status"] == "created"
    assert rest.state_type(run.id) == "PENDING"
    run_playbook(docker_task(api_url, flow_run_id=run.id, state="cancelled"), hosts=hosts()).check()
    docker("start", container_of(run.id)["Id"])
    wait_until(lambda: not is_running(run.id), "the end of the start by hand")
    assert container_of(run.id)["State"]["ExitCode"] == 86
    assert (run.executions, rest.state_type(run.id)) == (0, "CANCELLED")


def test_a_container_that_was_only_created_is_started_by_the_next_play(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path))
    with NoStartProxy(tmp_path / "engine.sock") as proxy:
        run_playbook({"name": "Run", MODULE: {**task[MODULE], "docker_host": proxy.host, "wait": False}}, hosts=hosts())
    created = container_of(run.id)["Id"]
    end = run_playbook(task, hosts=hosts()).check().last["run"]
    assert (end["phase"], end["action"], end["attempt"]) == ("succeeded", "launched", 1)
    assert (container_of(run.id)["Id"], run.executions) == (created, 1)


def test_a_finished_container_that_is_started_again_runs_nothing(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path))
    run_playbook(task, hosts=hosts()).check()
    docker("start", container_of(run.id)["Id"])
    wait_until(lambda: not is_running(run.id), "the end of the second start")
    assert container_of(run.id)["State"]["ExitCode"] == 86
    assert run.executions == 1
    again = run_playbook(task, hosts=hosts()).check()
    assert (again.last["run"]["phase"], again.last["changed"]) == ("succeeded", False)


def test_run_timeout_holds_with_nobody_watching(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=300)
    task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path), run_timeout=5, stop_grace=5, wait=False)
    run_playbook(task, hosts=hosts()).check()
    wait_until(lambda: run_containers(run.id, "exited"), "the end of the container", 120)
    again = run_playbook(docker_task(api_url, flow_run_id=run.id), hosts=hosts())
    assert diagnosis(again)["category"] == "run_timeout"
    assert (rest.state_type(run.id), run.executions) == ("CRASHED", 1)


def test_start_timeout_ends_an_engine_that_never_gets_to_its_flow(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    """An API that takes the engine's connection and says nothing holds it up before it has asked for its gate."""
    run_id = make_run(rest, "hello")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hold = {"PREFECT_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/api"}
        task = docker_task(api_url, flow_run_id=run_id, env=hold, start_timeout=5, stop_grace=2)
        play = run_playbook(task, hosts=hosts())
    assert diagnosis(play)["category"] == "start_timeout"
    assert rest.state_type(run_id) == "CRASHED"


def test_out_of_memory_is_said_where_the_engine_proves_it(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    run_id = make_run(rest, "eat_memory", {"mebibytes": 600})
    task = docker_task(api_url, flow_run_id=run_id, mem_limit="300m", memswap_limit="300m")
    found = diagnosis(run_playbook(task, hosts=hosts()))
    assert found["category"] == "out_of_memory"
    assert "mem_limit (now 300m)" in found["remedy"]
    assert rest.state_type(run_id) == "CRASHED"


def test_a_container_that_somebody_removed_is_a_crash_with_that_reason(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=300)
    play = start_playbook(docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path)), hosts=hosts())
    wait_until(lambda: run.executions, "the flow's body")
    docker("rm", "--force", container_of(run.id)["Id"])
    assert diagnosis(play.wait())["category"] == "infrastructure_gone"
    assert (rest.state_type(run.id), run.executions) == ("CRASHED", 1)


def test_a_container_that_is_removed_while_its_output_is_read_is_a_crash_with_that_reason(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=300)

    def remove() -> None:
        for container in containers_of(run.id) if run.executions else ():
            docker("rm", "--force", container["Id"])

    with BeforeOutputProxy(tmp_path / "engine.sock", remove) as proxy:
        task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path), docker_host=proxy.host)
        play = start_playbook(task, hosts=hosts()).wait()
    assert diagnosis(play)["category"] == "infrastructure_gone"
    assert (rest.state_type(run.id), run.executions) == ("CRASHED", 1)


def test_a_container_of_an_image_that_was_committed_is_not_the_run(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    """The image took the labels along, and all its containers have them."""
    (run,) = counted_runs(rest, tmp_path, 1, sleep=300)
    copy = f"flowops-test/copy:{run.id}"
    play = start_playbook(docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path)), hosts=hosts())
    wait_until(lambda: run.executions, "the flow's body")
    original = container_of(run.id)["Id"]
    docker("commit", "--pause=false", original, copy)
    created = docker("create", copy).strip()
    try:
        docker("rm", "--force", original)
        assert diagnosis(play.wait())["category"] == "infrastructure_gone"
    finally:
        docker("rm", "--force", created)
        docker("rmi", copy)


def test_a_container_that_somebody_renamed_is_still_the_run(
    start_playbook: StartPlaybook, run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    ends, is_cancelled = counted_runs(rest, tmp_path, 2, sleep=10)
    tasks = [docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path)) for run in (ends, is_cancelled)]
    plays = [start_playbook(task, hosts=hosts()) for task in tasks]
    for run in (ends, is_cancelled):
        wait_until(lambda run=run: run.executions, "the flow's body")
        docker("rename", container_of(run.id)["Id"], f"renamed-{run.id}")
    run_playbook(docker_task(api_url, flow_run_id=is_cancelled.id, state="cancelled"), hosts=hosts()).check()
    assert not is_running(is_cancelled.id)
    end = plays[0].wait().check().last["run"]
    assert (end["phase"], rest.state_type(ends.id), ends.executions) == ("succeeded", "COMPLETED", 1)
    assert (plays[1].wait().last["run"]["phase"], rest.state_type(is_cancelled.id)) == ("cancelled", "CANCELLED")


def test_a_restart_policy_given_to_a_live_container_changes_nothing_about_its_end(
    start_playbook: StartPlaybook, run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=5)
    task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path))
    play = start_playbook(task, hosts=hosts())
    wait_until(lambda: run.executions, "the flow's body")
    container = container_of(run.id)["Id"]
    docker("update", "--restart", "always", container)
    end = play.wait().check()
    assert (end.last["run"]["phase"], rest.state_type(run.id)) == ("succeeded", "COMPLETED")
    assert "docker update --restart no" in end.output
    wait_until(lambda: container_of(run.id)["RestartCount"] > 1, "the engine's starting it again")
    assert run.executions == 1
    cleared = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path), auto_remove=True)
    assert run_playbook(cleared, hosts=hosts()).check().last["run"]["phase"] == "succeeded"
    assert containers_of(run.id) == []


@pytest.mark.parametrize(
    ("options", "category", "says"),
    [
        ({"image": "registry.invalid:5000/flows/hello:1"}, "registry_unreachable", "registry.invalid"),
        ({"image": "flowops-test/no-such:1", "image_pull_policy": "NEVER"}, "image_missing", "image_pull_policy"),
        ({"networks": ["no-such-network"]}, "network_missing", "no-such-network"),
        ({"network_mode": "no-such-network"}, "network_missing", "no-such-network"),
        ({"container_create_kwargs": {"cpu_sharez": 1}}, "bad_settings", "cpu_shares"),
        ({"network_mode": "container:no-such-container"}, "network_missing", "no-such-container"),
        ({"container_create_kwargs": {"ulimits": "many"}}, "bad_settings", "container_create_kwargs"),
        ({"container_create_kwargs": {"mem_reservation": "lots"}}, "bad_settings", "container_create_kwargs"),
        ({"registry_password": "CANARY-3"}, "bad_settings", "registry_username"),
        ({"security_profile": "restricted", "privileged": True}, "bad_settings", "privileged"),
        ({"security_profile": "restricted", "user": "root"}, "bad_settings", "user"),
        ({"volumes": ["~nobody-at-all/data:/data"]}, "bad_settings", "volumes"),
    ],
)
def test_what_cannot_work_leaves_the_run_scheduled(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, options: dict[str, Any], category: str, says: str
) -> None:
    run_id = make_run(rest, "hello")
    play = run_playbook(docker_task(api_url, flow_run_id=run_id, **options), hosts=hosts())
    assert play.rc != 0
    assert play.last["category"] == category, play.last["msg"]
    assert says in play.last["msg"]
    assert rest.state_type(run_id) == "SCHEDULED"
    assert not containers_of(run_id)


@pytest.mark.parametrize(
    ("options", "category"),
    [
        (
            {"env": {"PATH": "/nowhere"}, "container_create_kwargs": {"entrypoint": ["no-such-program"]}},
            "command_missing",
        ),
        ({"volumes": ["/proc/no-such-place/x:/data"]}, "volume_conflict"),
        ({"user": "no-such-user"}, "bad_settings"),
    ],
)
def test_what_the_engine_refuses_after_the_claim_is_a_crash(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, options: dict[str, Any], category: str
) -> None:
    run_id = make_run(rest, "hello")
    play = run_playbook(docker_task(api_url, flow_run_id=run_id, **options), hosts=hosts())
    assert diagnosis(play)["category"] == category
    assert rest.state_type(run_id) == "CRASHED"


def test_devices_that_the_engine_does_not_have(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str) -> None:
    """Without a graphics card, what was asked for can be seen, and what the engine says to it."""
    run_id = make_run(rest, "hello")
    wanted = {"driver": "no-such", "count": -1, "capabilities": [["gpu", "compute"]], "options": {"a": "b"}}
    play = run_playbook(docker_task(api_url, flow_run_id=run_id, device_requests=[wanted]), hosts=hosts())
    assert diagnosis(play)["category"] == "device_missing"
    assert "device_requests" in diagnosis(play)["remedy"]
    (asked,) = container_of(run_id)["HostConfig"]["DeviceRequests"]
    seen = {"driver": "Driver", "count": "Count", "capabilities": "Capabilities", "options": "Options"}
    assert {name: asked[theirs] for name, theirs in seen.items()} == wanted
    assert rest.state_type(run_id) == "CRASHED"


def test_output_that_the_engine_sends_elsewhere(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str) -> None:
    """A logging driver that cannot be read is no reason to call a run unknown."""
    run_id = make_run(rest, "hello")
    elsewhere = {"log_config": {"type": "none"}}
    play = run_playbook(docker_task(api_url, flow_run_id=run_id, container_create_kwargs=elsewhere), hosts=hosts())
    assert play.check().last["run"]["phase"] == "succeeded"
    assert "logging driver" in str(play.last["warnings"])


def test_a_port_that_is_taken(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str) -> None:
    run_id = make_run(rest, "hello")
    with socket.create_server(("0.0.0.0", 0)) as taken:
        ports = {"ports": {"8080/tcp": taken.getsockname()[1]}}
        task = docker_task(api_url, flow_run_id=run_id, network_mode="bridge", container_create_kwargs=ports)
        found = diagnosis(run_playbook(task, hosts=hosts()))
    assert found["category"] == "port_conflict"
    assert "publish another" in found["remedy"]
    assert rest.state_type(run_id) == "CRASHED"


def test_a_foreign_container_of_the_name_stays_untouched(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    run_id = make_run(rest, "hello")
    foreign = docker("create", "--name", f"flowops-{run_id}-1", docker_image.name(), "true").strip()
    try:
        play = run_playbook(docker_task(api_url, flow_run_id=run_id), hosts=hosts())
        assert diagnosis(play)["category"] == "name_collision"
        assert json.loads(docker("inspect", foreign))[0]["State"]["Status"] == "created"
        run_playbook(docker_task(api_url, flow_run_id=run_id, state="absent"), hosts=hosts()).check()
        assert json.loads(docker("inspect", foreign))[0]["State"]["Status"] == "created"
    finally:
        docker("rm", foreign)


def test_a_paused_container_is_live_and_can_be_cancelled(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=300)
    task = docker_task(api_url, flow_run_id=run.id, volumes=volume(tmp_path), wait=False)
    run_playbook(task, hosts=hosts()).check()
    wait_until(lambda: run.executions, "the flow's body")
    docker("pause", container_of(run.id)["Id"])
    looked = run_playbook(task, hosts=hosts()).check()
    assert (looked.last["run"]["phase"], looked.last["run"]["action"]) == ("running", "adopted")
    cancel = docker_task(api_url, flow_run_id=run.id, state="absent", stop_grace=5)
    run_playbook(cancel, hosts=hosts()).check()
    assert not containers_of(run.id)
    assert rest.state_type(run.id) == "CANCELLED"
