# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a play around the task means for it: defaults, environment, several hosts, loops, callbacks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_play import RunPlaybook
from prefect_rest import PrefectRest
from runner import MODULE, CountedRun, counted_runs, runner_task

TWO_HOSTS: dict[str, dict[str, Any]] = {"first": {}, "second": {}}


def play_of(tasks: list[dict[str, Any]], **keywords: Any) -> list[dict[str, Any]]:
    return [{"name": "Test", "hosts": "all", "gather_facts": False, **keywords, "tasks": tasks}]


def counted_deployment(rest: PrefectRest, folder: Path, sleep: float = 0) -> tuple[dict[str, Any], Path]:
    """A deployment whose runs all append to one file."""
    file = folder / "bodies"
    return rest.create_deployment("append_line", parameters={"path": str(file), "sleep": sleep}), file


def test_module_defaults_of_the_action_group(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    defaults = runner_task(api_url, tmp_path / "state", wait_timeout=120)[MODULE]
    task = {"name": "Run", MODULE: {"flow_run_id": run.id}}
    play = run_playbook(play_of([task], module_defaults={"group/flowops.prefect.prefect": defaults})).check()
    assert (play.last["run"]["phase"], run.executions) == ("succeeded", 1)
    assert (tmp_path / "state" / "runs").is_dir()


def test_address_and_key_from_the_controller_s_environment(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run.id)
    del task[MODULE]["api_url"]
    secret = "canary-of-the-environment"
    play = run_playbook(task, env={"PREFECT_API_URL": api_url, "PREFECT_API_KEY": secret}, arguments=["-vvv"]).check()
    assert play.last["run"]["phase"] == "succeeded"
    assert play.last["invocation"]["module_args"]["api_url"] == api_url
    assert play.last["invocation"]["module_args"]["api_key"]
    assert secret not in play.output + str(play.results)


def test_the_task_s_own_address_wins(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run.id)
    play = run_playbook(task, env={"PREFECT_API_URL": "http://127.0.0.1:9/api"}, check=True).check()
    assert play.last["would_launch"]


def test_one_deployment_on_several_hosts(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment, file = counted_deployment(rest, tmp_path)
    options = {"deployment": deployment["full_name"], "idempotency_key": "nightly"}
    task = runner_task(api_url, tmp_path / "state", **options)
    refused = run_playbook(task, hosts=TWO_HOSTS)
    assert refused.rc == 2
    assert "per_host" in refused.last["msg"]
    assert "run_once" in refused.last["msg"]
    assert not rest.flow_runs(deployment["id"])

    once = run_playbook({**task, "run_once": True}, hosts=TWO_HOSTS).check()
    assert once.last["run"]["phase"] == "succeeded"
    assert file.read_text().count("\n") == 1

    states = {name: {"state_dir": str(tmp_path / name)} for name in TWO_HOSTS}
    each = {**runner_task(api_url, Path("{{ state_dir }}"), **options, per_host=True), "name": "Each"}
    several = run_playbook(each, hosts=states).check()
    ids = {several.of("Each", host).result["run"]["flow_run_id"] for host in TWO_HOSTS}
    assert len(ids) == 2
    assert file.read_text().count("\n") == 3
    for host in TWO_HOSTS:
        assert re.search(rf"^{host} \| \[[a-z-]+\] ", several.stdout, re.MULTILINE), several.stdout
    assert not any(one.changed for one in run_playbook(each, hosts=states).check().results)


def test_a_loop(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> None:
    runs = counted_runs(rest, tmp_path, 2)
    task = runner_task(api_url, tmp_path / "state", flow_run_id="{{ item }}")
    play = run_playbook({**task, "loop": [run.id for run in runs]}).check()
    items = [one.result for one in play.results if one.status == "item_ok"]
    assert [item["run"]["flow_run_id"] for item in items] == [run.id for run in runs]
    assert {item["run"]["phase"] for item in items} == {"succeeded"}
    assert [run.executions for run in runs] == [1, 1]


def test_runs_with_settings_of_their_own(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment, file = counted_deployment(rest, tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    runs = [{"parameters": {"line": "a"}}, {"parameters": {"line": "b"}, "env": {"X": "1"}, "working_dir": str(own)}]
    task = runner_task(
        api_url,
        tmp_path / "state",
        deployment=deployment["full_name"],
        idempotency_key="two",
        env={"X": "0", "Y": "0"},
        runs=runs,
    )
    first = run_playbook(task, check=True).check()
    one, other = first.last["would_launch"]
    assert (one["environment"]["X"], other["environment"]["X"], other["environment"]["Y"]) == ("0", "1", "0")
    assert other["working_directory"] == str(own)
    play = run_playbook(task).check()
    assert sorted(file.read_text().split()) == ["a", "b"]
    assert play.last["summary"]["launched"] == 2
    again = run_playbook(task).check()
    assert (again.last["changed"], again.last["flow_run_ids"]) == (False, play.last["flow_run_ids"])


def test_a_machine_readable_callback_stays_readable(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment = rest.create_deployment("hello")
    run_id = rest.create_flow_run(deployment["id"], {"name": "Ada"})["id"]
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run_id)
    play = run_playbook(task, env={"ANSIBLE_STDOUT_CALLBACK": "minimal"}).check()
    assert not re.search(r"^\[.*Hello, Ada!", play.stdout, re.MULTILINE)
    assert re.search(r"^\[.*Hello, Ada!", play.stderr, re.MULTILINE)


def test_the_default_callback_under_its_full_name(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    deployment = rest.create_deployment("hello")
    run_id = rest.create_flow_run(deployment["id"], {"name": "Ada"})["id"]
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run_id)
    play = run_playbook(task, env={"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}).check()
    assert re.search(r"^\[.*Hello, Ada!", play.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("stream_output", "number", "lines", "progress"),
    [(None, 1, True, False), (False, 1, False, False), (None, 4, False, True), (True, 4, True, False)],
)
def test_stream_output(
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    tmp_path: Path,
    stream_output: bool | None,
    number: int,
    lines: bool,
    progress: bool,
) -> None:
    runs: list[CountedRun] = counted_runs(rest, tmp_path, number)
    ids = [run.id for run in runs]
    task = runner_task(api_url, tmp_path / "state", flow_run_ids=ids, stream_output=stream_output)
    play = run_playbook(task).check()
    assert bool(re.search(r"^\[[a-z-]+\] .*Beginning flow run", play.stdout, re.MULTILINE)) is lines
    assert bool(re.search(rf"^{number} flow runs: ", play.stdout, re.MULTILINE)) is progress
    assert [run.executions for run in runs] == [1] * number
    assert play.last["summary"]["succeeded"] == number


def test_localhost_in_awx(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> None:
    (run,) = counted_runs(rest, tmp_path, 1)
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run.id, wait=False)
    play = run_playbook(task, extra_vars={"awx_job_id": 7})
    assert play.rc == 2
    assert re.search(r"wait: false .*AWX.*container", play.last["msg"])
    assert rest.inputs(run.id) == {}
    assert not (tmp_path / "state").exists()
