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

import pytest
from ansible_play import PlayResult, RunPlaybook, StartPlaybook
from canary import Canary, CommandLines, SystemLog, sightings_below
from engines import nothing_left, processes_of, wait_until
from prefect_rest import PrefectRest
from prefect_server import PrefectServer
from runner import runner_task

NAMES = ("APP_TOKEN", "DB_PASSWORD")


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """Nothing of its runs may outlive the test."""
    with nothing_left(tmp_path / "state") as folder:
        yield folder


@pytest.fixture
def canaries() -> dict[str, Canary]:
    """One for each place that takes a secret."""
    return {name: Canary(name) for name in ("API_KEY", "AUTH_STRING", *NAMES)}


def from_environment(name: str) -> str:
    """A template; the value itself is in no file of the test."""
    return f"{{{{ lookup('env', 'CANARY_{name}') }}}}"


def environment_of(canaries: dict[str, Canary]) -> dict[str, str]:
    """What ansible-playbook is started with."""
    return {f"CANARY_{name}": canary.value for name, canary in canaries.items()}


def secret_task(name: str, api_url: str, state_dir: Path, **options: Any) -> dict[str, Any]:
    """A task with a secret in every place that takes one."""
    given: dict[str, Any] = {
        "api_url": api_url,
        "api_key": from_environment("API_KEY"),
        "env": {"DB_PASSWORD": from_environment("DB_PASSWORD"), "PLAIN": "plainly-visible"},
        "secret_env": {"APP_TOKEN": from_environment("APP_TOKEN")},
        **options,
    }
    return {**runner_task(given.pop("api_url"), state_dir, **given), "name": name, "ignore_errors": True}


def check_nothing_shown(play: PlayResult, canaries: dict[str, Canary]) -> None:
    """Neither printed nor in a result."""
    results = json.dumps([result.result for result in play.results]).encode()
    for canary in canaries.values():
        assert not canary.seen_in(play.output.encode()), f"{canary.name} was printed"
        assert not canary.seen_in(results), f"{canary.name} is in a result"


def test_no_sighting(
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    state_dir: Path,
    tmp_path: Path,
    canaries: dict[str, Canary],
) -> None:
    """Success, failure, a flow that tells, a start that fails, check mode, async; at -vvvv with --diff."""
    deployment = rest.create_deployment("show_hash")

    def task(name: str, parameters: dict[str, Any], **options: Any) -> dict[str, Any]:
        run = rest.create_flow_run(deployment["id"], {"names": list(NAMES), **parameters})
        address = options.pop("api_url", api_url)
        return secret_task(name, address, state_dir, **{"flow_run_id": run["id"], **options})

    async_dir = tmp_path / "async"
    in_address = "http://me:{{ lookup('env', 'CANARY_API_KEY') | urlencode | replace('/', '%2F') }}@127.0.0.1:1/api"
    tasks = [
        task("Preview", {}) | {"check_mode": True},
        task("Success", {}),
        task("Failure", {"fail": True}),
        task("Start", {}) | {"async": 120, "poll": 0, "register": "job", "vars": {"ansible_async_dir": str(async_dir)}},
        {
            "name": "Async",
            "ansible.builtin.async_status": {"jid": "{{ job.ansible_job_id }}"},
            "vars": {"ansible_async_dir": str(async_dir)},
            "register": "waited",
            "until": "waited is finished",
            "retries": 120,
            "delay": 1,
        },
        task("No interpreter", {}, python="/opt/nowhere"),
        task("Bad option", {}, start_timeout="soon"),
        task("In the address", {}, api_url=in_address),
    ]
    everything = list(canaries.values())
    with CommandLines(everything) as lines:
        play = run_playbook(tasks, env=environment_of(canaries), diff=True, arguments=["-vvvv"], timeout=240)
    check_nothing_shown(play, canaries)
    assert not sightings_below(state_dir, everything)
    assert list(async_dir.iterdir()), "there must be something to look at"
    assert not sightings_below(async_dir, everything)
    ansible_home = tmp_path / "play-1" / "ansible-home"
    # A module comes with its arguments; ansible-core looks every 5 s whether an async one can be deleted.
    wait_until(lambda: not list((ansible_home / "remote").iterdir()), "the end of Ansible's temporary files")
    assert not sightings_below(ansible_home, everything)
    assert lines.looks > 100
    assert not lines.sightings

    assert play.of("Preview").result["would_launch"][0]["environment"]["PLAIN"] == "plainly-visible"
    assert play.of("Success").result["run"]["phase"] == "succeeded"
    assert play.of("Failure").result["run"]["diagnosis"]["category"] == "flow_failed"
    assert play.of("Async").result["run"]["phase"] == "succeeded"
    for name in ("No interpreter", "Bad option", "In the address"):
        assert play.of(name).failed
    for name in NAMES:
        assert f"{name} is {canaries[name].digest}" in play.stdout, "the flow has to have it"
    invocation = play.of("Success").result["invocation"]["module_args"]
    assert invocation["env"]["PLAIN"] == "plainly-visible", "what is no secret stays readable"
    ledger = json.dumps([rest.inputs(run["id"]) for run in rest.flow_runs(deployment["id"])]).encode()
    assert not any(canary.seen_in(ledger) for canary in everything)


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
        rest.create_deployment("show_hash")["id"], {"names": list(NAMES), "tell": True, "fail": True}
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
    parameters = {"names": list(NAMES), "until_file": str(until)}
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
    """Another module's line in the log proves that somebody listens."""
    run = rest.create_flow_run(rest.create_deployment("show_hash")["id"], {"names": list(NAMES)})
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
        heard = b"\n".join(log.read())
    finally:
        log.__exit__()
    assert play.of("Run").result["run"]["phase"] == "succeeded"
    assert b"flow_runner_subprocess" not in heard
    assert not any(canary.seen_in(heard) for canary in canaries.values())
