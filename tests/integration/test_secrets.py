# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries: secrets reach the flow and nobody else, whatever is shown, kept or logged.

They come from the environment of ansible-playbook, as they would from a vault: a literal in a playbook is shown by
ansible-core itself, which prints the source of a task that failed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fault_scenarios
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from canary import (
    Canary,
    CommandLines,
    SystemLog,
    check_nothing_shown,
    environment_of,
    from_environment,
    sightings_below,
)
from engines import nothing_left, processes_of, wait_until
from fault_scenarios import SECRET_OPTIONS, SECRETS
from places import Stage
from prefect_rest import PrefectRest
from prefect_server import PrefectServer
from runner import runner_task


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """Nothing of its runs may outlive the test."""
    with nothing_left(tmp_path / "state") as folder:
        yield folder


@pytest.fixture
def canaries() -> dict[str, Canary]:
    """One for each place that takes a secret."""
    return {name: Canary(name) for name in ("API_KEY", "AUTH_STRING", *SECRETS)}


def secret_task(name: str, api_url: str, state_dir: Path, **options: Any) -> dict[str, Any]:
    """A task with a secret in every place that takes one."""
    task = runner_task(api_url, state_dir, **{**SECRET_OPTIONS, **options})
    return {**task, "name": name, "ignore_errors": True}


def test_no_sighting(stage: Stage) -> None:
    fault_scenarios.secrets_are_seen_by_the_flow_alone(stage, {"python": "/opt/nowhere"})


def test_credentials_of_the_api(
    run_playbook: RunPlaybook, new_server: Callable[..., PrefectServer], state_dir: Path, tmp_path: Path
) -> None:
    """The server really asks for it; right and wrong."""
    right, wrong = Canary("RIGHT"), Canary("WRONG")
    server = new_server({"PREFECT_SERVER_API_AUTH_STRING": f"admin:{right.value}"})
    rest = PrefectRest(server.api_url, {"Authorization": f"Basic {_basic(right)}"})
    run = rest.create_flow_run(rest.create_deployment("show_hash")["id"], {"names": ["PREFECT_API_AUTH_STRING"]})
    canaries = {"RIGHT": right, "WRONG": wrong}
    tasks = [
        {
            **runner_task(server.api_url, state_dir, flow_run_id=run["id"], api_auth_string=f"admin:{login}"),
            "name": name,
            "ignore_errors": True,
        }
        for name, login in (("Wrong", from_environment("WRONG")), ("Right", from_environment("RIGHT")))
    ]
    with CommandLines([right, wrong]) as lines:
        play = run_playbook(tasks, env=environment_of(canaries), diff=True, arguments=["-vvvv"])
    assert play.of("Wrong").result["category"] == "credentials_refused"
    assert play.of("Right").result["run"]["phase"] == "succeeded"
    check_nothing_shown(play, canaries)
    assert not sightings_below(state_dir, [right, wrong])
    assert not lines.sightings


def _basic(canary: Canary) -> str:
    return base64.b64encode(f"admin:{canary.value}".encode()).decode()


def test_a_careless_flow(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, canaries: dict[str, Canary]
) -> None:
    """A flow that prints its secrets: masked in the play and in the result; its output file on the host is its own."""
    run = rest.create_flow_run(
        rest.create_deployment("show_hash")["id"], {"names": list(SECRETS), "tell": True, "fail": True}
    )
    task = secret_task("Careless", api_url, state_dir, flow_run_id=run["id"])
    play = run_playbook(task, env=environment_of(canaries), arguments=["-vvv"])
    check_nothing_shown(play, canaries)
    assert "DB_PASSWORD is not to be seen: ****" in play.stdout
    kept = sightings_below(state_dir, list(canaries.values()))
    assert kept, "what the flow itself wrote shows that the search finds secrets"
    assert all(sighting.endswith("/output.log") for sighting in kept), kept


def test_no_log_shows_nothing_live(
    start_playbook: StartPlaybook,
    rest: PrefectRest,
    api_url: str,
    state_dir: Path,
    tmp_path: Path,
    canaries: dict[str, Canary],
) -> None:
    until = tmp_path / "until"
    parameters = {"names": list(SECRETS), "until_file": str(until)}
    run = rest.create_flow_run(rest.create_deployment("show_hash")["id"], parameters)
    task = {**secret_task("Quiet", api_url, state_dir, flow_run_id=run["id"]), "no_log": True}
    play = start_playbook(task, env=environment_of(canaries), arguments=["-vv"])
    output = state_dir / "runs" / f"{run['id']}-1" / "output.log"
    wait_until(lambda: output.exists() and "DB_PASSWORD is" in output.read_text(), "output of the flow")
    until.touch()
    ended = play.wait(90)
    assert ended.rc == 0, ended.output
    check_nothing_shown(ended, canaries)
    for word in ("DB_PASSWORD is", run["id"], run["name"]):
        assert word not in ended.output
    assert "censored" in json.dumps(ended.last)
    wait_until(lambda: not processes_of(state_dir), "the end of the supervisor")


@pytest.mark.skipif(SystemLog.PATH.exists(), reason="this machine's own /dev/log is in use: nothing may replace it")
def test_the_system_log_hears_nothing(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, canaries: dict[str, Canary]
) -> None:
    """Another module's line in the log proves that somebody listens, and how such a line begins."""
    run = rest.create_flow_run(rest.create_deployment("show_hash")["id"], {"names": list(SECRETS)})
    tasks = [
        secret_task("Run", api_url, state_dir, flow_run_id=run["id"]),
        {"name": "Ping", "ansible.builtin.ping": {"data": "listening"}},
    ]
    try:
        log = SystemLog().__enter__()
    except OSError as error:
        pytest.skip(f"/dev/log cannot be made here: {error}")
    try:
        play = run_playbook(tasks, env=environment_of(canaries)).check()
        log.wait(b"listening")
        heard = b"\n".join(log.messages)
    finally:
        log.__exit__()
    assert play.of("Run").result["run"]["phase"] == "succeeded"
    assert b"flow_runner_subprocess: Invoked" not in heard
    assert not any(canary.seen_in(heard) for canary in canaries.values())
