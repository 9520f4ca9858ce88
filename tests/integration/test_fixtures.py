# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fixtures themselves: when these fail, every other failure here is of no interest."""

from __future__ import annotations

import processes
from prefect_rest import start_engine
from scenarios import wait_until


def test_an_engine_started_by_hand_completes_a_run(server, rest, tmp_path):
    deployment = rest.create_deployment("hello", parameters={"name": "fixture"})
    run = rest.create_flow_run(deployment["id"])
    assert run["state_type"] == "SCHEDULED"
    assert run["parameters"] == {"name": "fixture"}

    engine = start_engine(server.api_url, run["id"], tmp_path / "engine")
    output = engine.communicate(timeout=90)[0]

    assert "Hello, fixture!" in output
    assert rest.state_type(run["id"]) == "COMPLETED"
    assert [state["type"] for state in rest.state_history(run["id"])] == ["SCHEDULED", "RUNNING", "COMPLETED"]
    assert [found["id"] for found in rest.flow_runs(deployment["id"])] == [run["id"]]


def test_inputs_are_read_by_prefix(rest):
    run = rest.create_flow_run(rest.create_deployment("hello")["id"])
    rest.post(f"/flow_runs/{run['id']}/input", {"key": "flowops-1", "value": '{"a": 1}'})
    rest.post(f"/flow_runs/{run['id']}/input", {"key": "other", "value": "2"})
    assert rest.inputs(run["id"], "flowops-") == {"flowops-1": {"a": 1}}


def test_a_playbook_gives_results_per_task(run_playbook):
    tasks = [
        {"name": "One", "ansible.builtin.debug": {"msg": "{{ word }}"}},
        {"name": "Two", "ansible.builtin.command": {"cmd": "printenv WORD"}, "ignore_errors": True},
    ]
    play = run_playbook(tasks, extra_vars={"word": "hello"}, env={"WORD": "from the environment"}).check()
    assert play.of("One").result["msg"] == "hello"
    assert play.last["stdout"] == "from the environment"
    assert play.of("Two").changed

    failed = run_playbook({"name": "No", "ansible.builtin.fail": {"msg": "no"}}, hosts={"a": {}, "b": {}})
    assert failed.rc == 2
    assert failed.of("No", host="b").failed


def test_a_killed_play_leaves_no_process(start_playbook):
    play = start_playbook({"name": "Sleep", "ansible.builtin.command": {"cmd": "sleep 61.5"}}, env={"KILLED_PLAY": "1"})
    play.wait_for_output(r"TASK \[Sleep\]")
    play.kill()
    # What a worker has just forked ends by itself; the command would stay for a minute.
    wait_until(lambda: not processes.marked("1", "KILLED_PLAY"), "the end of its processes", 10)


def test_a_server_can_hang_vanish_and_come_back(new_server):
    server = new_server()
    server.pause()
    assert not server.answers(timeout=0.5)
    server.resume()
    assert server.answers()
    server.kill()
    assert not server.answers()
    assert server.start().wait_until_ready().answers()
