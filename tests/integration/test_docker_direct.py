# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that is executed in the task's worker, against one in a process of its own: the same results."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import containers
import pytest
from ansible_play import RunningPlay, StartPlaybook
from prefect_rest import PrefectRest
from prefect_server import PrefectServer

pytestmark = pytest.mark.usefixtures("docker_engine_up")

WORKER = "controller"
#: What differs between two runs of the same kind.
_OWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}|\d+(\.\d+)?")


def _shape(value: Any, names: list[str]) -> Any:
    """A result without what is a run's own."""
    if isinstance(value, dict):
        return {key: _shape(member, names) for key, member in value.items() if key != "log"}
    if isinstance(value, list):
        return [_shape(member, names) for member in value]
    if isinstance(value, str):
        return _OWN.sub("#", re.sub("|".join(names), "NAME", value))
    return value if value is None or isinstance(value, bool) else type(value).__name__


def _had_a_process(play: RunningPlay) -> bool:
    """A module in a process of its own needs a folder on its host."""
    return (play.folder / "ansible-home" / "remote").exists()


def test_the_same_results(server: PrefectServer, start_playbook: StartPlaybook) -> None:
    """Success, a repetition, check mode, failures of every kind, options that only an argument spec refuses."""
    rest = PrefectRest(server.api_url)
    results = []
    for direct in (True, False):
        made = [rest.create_flow_run(containers.deploy(rest, "hello")["id"]) for _number in range(2)]
        run_id, other = (run["id"] for run in made)
        cases: list[dict[str, Any]] = [
            {"flow_run_id": run_id},
            {"flow_run_id": run_id},
            {"flow_run_id": other, "env": {"PREFECT_API_URL": "http://127.0.0.1:1/api"}},
            {"flow_run_id": other, "image": "flowops.invalid/nothing:1"},
            {"flow_run_id": other, "networks": ["flowops-nowhere"]},
            {"flow_run_id": other, "flow_run_ids": [run_id]},
            {"flow_run_id": other, "mem_limit": "much"},
            {"flow_run_id": other, "docker_host": "unix:///nowhere.sock"},
            {"flow_run_id": other, "api_url": "http://127.0.0.1:1/api"},
            {"flow_run_id": other, "secret_env": {"DB_PASSWORD": "never-shown-1"}, "state": "absent"},
        ]
        tasks = [
            {
                **containers.docker_task(**{"api_url": server.api_url, **case}),
                "ignore_errors": True,
                "vars": {"flowops_prefect_direct": direct},
            }
            for case in cases
        ]
        tasks.append({**tasks[0], "check_mode": True, "diff": True})
        play = start_playbook(tasks, hosts=containers.hosts(WORKER), core=WORKER)
        done = play.wait()
        assert "never-shown-1" not in done.output
        assert _had_a_process(play) != direct
        results.append([_shape(one.result, [run["name"] for run in made]) for one in done.results])
    here, apart = results
    assert [one["changed"] for one in here[:3]] == [True, False, True]
    for number, (one, other_one) in enumerate(zip(here, apart)):
        assert one == other_one, number
    assert len(here) == len(apart) == len(cases) + 1


@pytest.mark.parametrize(
    ("more", "python"),
    [
        pytest.param({"vars": {"flowops_prefect_direct": False}}, WORKER, id="the switch"),
        pytest.param({"environment": {"NO_PROXY": "*"}}, WORKER, id="an environment"),
        pytest.param({}, "host-docker", id="another Python"),
        pytest.param({"async": 60, "poll": 1}, WORKER, id="async"),
    ],
)
def test_what_needs_a_process(
    server: PrefectServer, start_playbook: StartPlaybook, more: dict[str, Any], python: str
) -> None:
    """Whatever would not be the same in the worker."""
    task = containers.docker_task(api_url=server.api_url, flow_run_id=str(uuid.uuid4()))
    play = start_playbook({**task, **more, "ignore_errors": True}, hosts=containers.hosts(python), core=WORKER)
    done = play.wait()
    assert done.last["runs"][0]["phase"] == "absent", done.output
    assert _had_a_process(play)


@pytest.mark.parametrize("on_abort", ["cancel", "leave"])
def test_an_interrupted_play(
    server: PrefectServer, start_playbook: StartPlaybook, tmp_path: Path, on_abort: str
) -> None:
    """Ctrl-C while the worker looks at a container: as with a module, the run is cancelled or goes on."""
    rest = PrefectRest(server.api_url)
    until = tmp_path / "until"
    parameters = {"seconds": 300, "pid_file": str(tmp_path / "pid"), "until_file": str(until)}
    run_id = containers.make_run(rest, "sleeper", parameters)
    options = {"flow_run_id": run_id, "on_abort": on_abort, "stop_grace": 5, "volumes": containers.volume(tmp_path)}
    play = start_playbook(
        containers.docker_task(api_url=server.api_url, **options), hosts=containers.hosts(WORKER), core=WORKER
    )
    play.wait_for_output("asleep")
    play.interrupt()
    play.wait(60)
    assert not _had_a_process(play)
    if on_abort == "cancel":
        assert not containers.is_running(run_id)
        assert rest.wait_for_state(run_id) == "CANCELLED"
    else:
        assert containers.is_running(run_id)
        assert rest.state_type(run_id) == "RUNNING"
        until.touch()
        assert rest.wait_for_state(run_id) == "COMPLETED"
