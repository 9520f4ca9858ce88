# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that can go wrong with a run, provoked for real: the reason is named, the server knows the truth."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_play import PlayResult, RunPlaybook, StartPlaybook
from engines import (
    engines_of,
    executions,
    hold_environment,
    is_supervisor,
    nothing_left,
    processes_of,
    wait_for_held_engine,
    wait_for_pid,
    wait_until_gone,
)
from interpreters import bare_virtualenv, stand_in_conda, virtualenv_of_prefect
from limited import fill, inside, little_memory, little_space
from prefect_rest import PrefectRest, start_engine
from prefect_server import PrefectServer, engine_python, free_port
from runner import counted_runs, runner_task

from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import pack_record, unpack_record

Check = tuple[dict[str, Any], tuple[str, ...]]


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """Nothing of its runs may outlive the test."""
    with nothing_left(tmp_path / "state") as folder:
        yield folder


def named(name: str, task: dict[str, Any]) -> dict[str, Any]:
    """A task of a longer play, which goes on whatever becomes of it."""
    return {**task, "name": name, "ignore_errors": True}


def diagnosed(result: dict[str, Any], category: str, *words: str) -> dict[str, Any]:
    """Check the diagnosis of a task's only run, and return the run."""
    run: dict[str, Any] = result["run"]
    assert run["diagnosis"], result["msg"]
    assert run["diagnosis"]["category"] == category, run["diagnosis"]
    text = f"{run['diagnosis']['reason']} {run['diagnosis']['remedy']}"
    for word in words:
        assert word in text, text
        assert word in result["msg"], result["msg"]
    return run


def nothing_happened(rest: PrefectRest, run: str) -> bool:
    """A run that nobody claimed, whose ledger is empty."""
    return rest.state_type(run) == "SCHEDULED" and rest.inputs(run) == {}


# --- before anything is claimed -------------------------------------------------------------------------------------


def test_an_interpreter_that_cannot_work_is_refused_before_anything_is_claimed(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """The conda of this test is a stand-in that keeps to the documented contract of ``conda run``."""
    (run,) = counted_runs(rest, tmp_path, 1)
    conda = {"PATH": f"{stand_in_conda(tmp_path / 'conda')}:{os.environ['PATH']}"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("#!/bin/sh\necho no python here\nexit 3\n")
    (tmp_path / "text").chmod(0o755)
    cases: dict[str, Check] = {
        "missing": ({"python": "/opt/nowhere/bin/python"}, ("python", "there is no /opt/nowhere/bin/python")),
        "not on PATH": ({"python": "/opt/no/../python99"}, ("there is no /opt/python99",)),
        "no python": ({"python": str(tmp_path / "text")}, ("python", "exit code 3", "no python here", "by hand")),
        "no Prefect": (
            {"virtualenv": str(bare_virtualenv(tmp_path / "bare"))},
            ("virtualenv", "no Prefect", "pip install 'prefect==3.*'"),
        ),
        "old Prefect": (
            {"virtualenv": str(virtualenv_of_prefect(tmp_path / "old", "2.20.26"))},
            ("virtualenv", "Prefect 2.20.26", "the server has 3.", "pip install 'prefect==3.*'"),
        ),
        "no virtualenv": ({"virtualenv": str(tmp_path / "nowhere")}, ("is not a directory", "python3 -m venv")),
        "no bin": ({"virtualenv": str(tmp_path / "empty")}, ("bin/python", "Give the directory that holds bin/python")),
        "no conda": ({"condaenv": "flows"}, ("condaenv", "no conda", "PATH")),
        "unknown conda environment": (
            {"condaenv": "flows", "environment": conda},
            ("condaenv", "EnvironmentLocationNotFound", "by hand"),
        ),
        "no conda prefix": ({"condaenv": "/opt/nowhere", "environment": conda}, ("/opt/nowhere is not a directory",)),
        "relative": ({"condaenv": "./flows", "environment": conda}, ("condaenv", "full path")),
    }
    play = run_playbook([_interpreter_task(name, api_url, state_dir, run.id, *case) for name, case in cases.items()])
    for name, (_options, words) in cases.items():
        outcome = play.of(name)
        assert outcome.failed
        assert not outcome.changed
        for word in words:
            assert word in outcome.result["msg"], f"{name}: {outcome.result['msg']}"
    assert nothing_happened(rest, run.id)
    assert run.executions == 0


def _interpreter_task(
    name: str, api_url: str, state_dir: Path, run: str, options: dict[str, Any], _words: tuple[str, ...]
) -> dict[str, Any]:
    settings = {"python": None, **options}
    environment = settings.pop("environment", {})
    return {**named(name, runner_task(api_url, state_dir, flow_run_id=run, **settings)), "environment": environment}


def test_conda_environments(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """By name and by path, with a stand-in that keeps to the documented contract of ``conda run``: conda itself
    cannot be had everywhere. The output must come while the flow runs, and a cancel must reach through conda.
    """
    place = engine_python().parent.parent
    bin_dir = stand_in_conda(tmp_path / "conda", flows=place)
    by_name, by_path = counted_runs(rest, tmp_path, 2)
    pid_file = tmp_path / "pid"
    sleeper = rest.create_flow_run(rest.create_deployment("sleeper")["id"], {"pid_file": str(pid_file)})["id"]
    runs = [
        {"flow_run_id": by_name.id, "condaenv": "flows"},
        {"flow_run_id": by_path.id, "condaenv": str(place)},
    ]
    environment = {"environment": {"PATH": f"{bin_dir}:{os.environ['PATH']}"}}
    launch = runner_task(api_url, state_dir, python=None, flow_run_id=sleeper, condaenv="flows", wait=False)
    play = run_playbook(
        [
            {**runner_task(api_url, state_dir, python=None, runs=runs), **environment},
            {**named("Sleep", launch), **environment},
        ]
    ).check()
    assert [run["phase"] for run in play.of("Run").result["runs"]] == ["succeeded", "succeeded"]
    assert (by_name.executions, by_path.executions) == (1, 1)
    wait_for_pid(pid_file)
    cancel = runner_task(api_url, state_dir, flow_run_id=sleeper, state="cancelled", stop_grace=5)
    assert run_playbook(cancel).check().last["run"]["phase"] == "cancelled"
    assert not engines_of(state_dir)


# --- how engines end ------------------------------------------------------------------------------------------------


def test_ends_of_engines(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """One task, a run for each way in which an engine ends badly."""
    (tmp_path / "imports.py").write_text(
        "from prefect import flow\nimport surely_not_installed\n\n@flow\ndef imports():\n    pass\n"
    )
    here = [{"prefect.deployments.steps.set_working_directory": {"directory": str(tmp_path)}}]
    nowhere = [{"prefect.deployments.steps.set_working_directory": {"directory": str(tmp_path / "nowhere")}}]
    deaths = rest.create_deployment("exit_code")["id"]
    missing = rest.create_deployment("hello", entrypoint="absent.py:absent")["id"]
    no_folder = rest.create_deployment("hello", pull_steps=nowhere)["id"]
    (tmp_path / "broken.py").write_text("def broken(:\n")
    broken = rest.create_deployment("hello", entrypoint="broken.py:broken", pull_steps=here)["id"]
    no_flow = rest.create_deployment("hello", entrypoint="hello.py:goodbye")["id"]
    imports = rest.create_deployment("hello", entrypoint="imports.py:imports", pull_steps=here)["id"]
    cases = [
        (deaths, {"code": 77}, "exit_code", ("77", "output")),
        (deaths, {"code": 0}, "no_terminal_state", ("without a final state",)),
        (deaths, {"kill_with": int(signal.SIGKILL)}, "killed_by_signal", ("SIGKILL", "rerun: failed")),
        (deaths, {"kill_with": int(signal.SIGSEGV)}, "killed_by_signal", ("SIGSEGV",)),
        (missing, {}, "flow_code_missing", ("absent.py", "entrypoint")),
        (no_folder, {}, "flow_code_missing", ("nowhere", "pull steps")),
        (no_flow, {}, "flow_code_missing", ("goodbye", "entrypoint")),
        (broken, {}, "flow_import_error", ("SyntaxError", "correct the code")),
        (imports, {}, "flow_import_error", ("surely_not_installed", "Install")),
    ]
    runs = [rest.create_flow_run(deployment, parameters)["id"] for deployment, parameters, *_rest in cases]
    task = runner_task(api_url, state_dir, flow_run_ids=runs, concurrency=3)
    play = run_playbook(task)
    assert play.rc != 0
    assert play.last["failed_runs"] == runs
    for result, (_deployment, _parameters, category, words) in zip(play.last["runs"], cases):
        told = result["diagnosis"]
        assert told["category"] == category, json.dumps(result, indent=1)
        for word in words:
            assert word in f"{told['reason']} {told['remedy']}", told
        assert result["phase"] == "failed"
        assert rest.state_type(result["flow_run_id"]) == "CRASHED"
        assert result["log"]["lines"], "the last lines of a failed run belong to its result"
    by_code, by_nothing, by_kill = play.last["runs"][:3]
    assert (by_code["exit_code"], by_code["signal"]) == (77, None)
    assert (by_nothing["exit_code"], by_nothing["signal"]) == (0, None)
    assert (by_kill["exit_code"], by_kill["signal"]) == (None, 9)
    message = rest.flow_run(runs[0])["state"]["message"]
    assert "77" in message, "whoever looks at the server's page is told the same"
    again = run_playbook(task)
    assert not again.last["changed"]
    assert [run["diagnosis"] for run in again.last["runs"]] == [run["diagnosis"] for run in play.last["runs"]]


def test_killed_by_the_kernel_for_memory(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, state_dir: Path
) -> None:
    """A real kill: play, supervisor and engine live in a control group that has less than the flow takes."""
    run = rest.create_flow_run(rest.create_deployment("eat_memory")["id"], {"mebibytes": 2000, "hold": 30})["id"]
    with little_memory(500) as group:
        with inside(group):
            play = start_playbook(runner_task(api_url, state_dir, flow_run_id=run))
        ended = play.wait(120)
        wait_until_gone(state_dir)
    result = diagnosed(ended.last, "out_of_memory", "memory")
    assert result["signal"] == signal.SIGKILL
    assert rest.state_type(run) == "CRASHED"
    assert "memory" in rest.flow_run(run)["state"]["message"]


def test_the_interpreter_vanishes_while_a_run_waits_for_its_place(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    until = tmp_path / "until"
    sleeper = rest.create_flow_run(rest.create_deployment("sleeper")["id"], {"seconds": 120, "until_file": str(until)})
    (queued,) = counted_runs(rest, tmp_path, 1)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {engine_python()} "$@"\n')
    python.chmod(0o755)
    runs = [{"flow_run_id": sleeper["id"]}, {"flow_run_id": queued.id, "python": str(python)}]
    run_playbook(runner_task(api_url, state_dir, runs=runs, concurrency=1, wait=False)).check()
    python.unlink()
    until.touch()
    wait_until_gone(state_dir)
    later = run_playbook(runner_task(api_url, state_dir, flow_run_id=queued.id))
    diagnosed(later.last, "interpreter_missing", str(python))
    assert (rest.state_type(queued.id), rest.state_type(sleeper["id"])) == ("CRASHED", "COMPLETED")


# --- clocks ---------------------------------------------------------------------------------------------------------


def test_clocks_hold_with_nobody_watching(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    (slow,) = counted_runs(rest, tmp_path, 1)
    sleeper = rest.create_flow_run(rest.create_deployment("sleeper")["id"], {"seconds": 300})["id"]
    env = hold_environment(tmp_path / "hold", "start")
    common = {"wait": False, "stop_grace": 2}
    run_playbook(
        [
            runner_task(api_url, state_dir, flow_run_id=slow.id, env=env, start_timeout=2, **common),
            runner_task(api_url, state_dir, flow_run_id=sleeper, run_timeout=2, **common),
        ]
    ).check()
    wait_until_gone(state_dir)
    looks = run_playbook(
        [
            named("Slow", runner_task(api_url, state_dir, flow_run_id=slow.id)),
            named("Long", runner_task(api_url, state_dir, flow_run_id=sleeper)),
        ]
    )
    diagnosed(looks.of("Slow").result, "start_timeout", "start_timeout", "output")
    diagnosed(looks.of("Long").result, "run_timeout", "run_timeout")
    assert [rest.state_type(run) for run in (slow.id, sleeper)] == ["CRASHED", "CRASHED"]
    assert "void" in rest.inputs(slow.id)["flowops-1-gate"]
    assert slow.executions == 0


# --- the API as the engine sees it ----------------------------------------------------------------------------------


def test_an_engine_that_cannot_use_the_api(
    run_playbook: RunPlaybook, new_server: Callable[..., PrefectServer], state_dir: Path, tmp_path: Path
) -> None:
    server = new_server({"PREFECT_SERVER_API_AUTH_STRING": "admin:right-pass-word"})
    rest = PrefectRest(server.api_url, {"Authorization": "Basic YWRtaW46cmlnaHQtcGFzcy13b3Jk"})
    refused, unreachable, untouched, fine = counted_runs(rest, tmp_path, 4)
    login = {"api_auth_string": "admin:right-pass-word"}
    wrong_env = {"PREFECT_API_AUTH_STRING": "admin:wrong-pass-word"}
    closed = f"http://127.0.0.1:{free_port()}/api"
    quick = {"PREFECT_CLIENT_MAX_RETRIES": "0"}
    tasks = {
        "Refused": {"flow_run_id": refused.id, "env": wrong_env, **login},
        "Unreachable": {"flow_run_id": unreachable.id, "engine_api_url": closed, "env": quick, **login},
        "No login": {"flow_run_id": untouched.id},
        "Wrong login": {"flow_run_id": untouched.id, "api_auth_string": "admin:other-pass-word"},
        "Fine": {"flow_run_id": fine.id, **login},
    }
    play = run_playbook([named(name, runner_task(server.api_url, state_dir, **task)) for name, task in tasks.items()])
    diagnosed(play.of("Refused").result, "credentials_refused", "credentials", "PREFECT_API_AUTH_STRING")
    diagnosed(play.of("Unreachable").result, "api_unreachable", "engine_api_url")
    for run in (refused, unreachable):
        assert (rest.state_type(run.id), run.executions) == ("CRASHED", 0)
    for task in ("No login", "Wrong login"):
        result = play.of(task).result
        assert result["category"] == "credentials_refused"
        assert "api_auth_string" in result["msg"]
    assert nothing_happened(rest, untouched.id)
    assert play.of("Fine").result["run"]["phase"] == "succeeded"
    assert "pass-word" not in play.output


def test_another_launcher_has_it(
    start_playbook: StartPlaybook,
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    state_dir: Path,
    tmp_path: Path,
) -> None:
    """Somebody else claims the run after our engine looked, and before it could: we follow, and report their end."""
    until = tmp_path / "until"
    run = rest.create_flow_run(rest.create_deployment("sleeper")["id"], {"seconds": 60, "until_file": str(until)})["id"]
    env = hold_environment(tmp_path / "hold", "imported")
    play = start_playbook(runner_task(api_url, state_dir, flow_run_id=run, env=env))
    held = wait_for_held_engine(state_dir)
    other = start_engine(api_url, run, tmp_path / "other")
    try:
        assert rest.wait_for_state(run, "RUNNING") == "RUNNING"
        os.kill(held, signal.SIGCONT)
        wait_until_gone(state_dir)
        until.touch()
        assert other.wait(60) == 0
    finally:
        other.kill()
        other.communicate()
    ended = play.wait(90)
    assert ended.rc == 0, ended.output
    assert (ended.last["run"]["phase"], ended.last["run"]["action"]) == ("succeeded", "followed")
    history = rest.state_history(run)
    assert executions(history) == 1
    assert "CRASHED" not in [state["type"] for state in history]
    again = run_playbook(runner_task(api_url, state_dir, flow_run_id=run)).check()
    assert (again.last["run"]["phase"], again.last["changed"]) == ("succeeded", False)


# --- hosts ----------------------------------------------------------------------------------------------------------


def test_the_host_was_rebooted(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path
) -> None:
    """What a reboot leaves: no process, and records with the id of an earlier boot."""
    pid_file = tmp_path / "pid"
    run = rest.create_flow_run(rest.create_deployment("sleeper")["id"], {"pid_file": str(pid_file)})["id"]
    run_playbook(runner_task(api_url, state_dir, flow_run_id=run, wait=False)).check()
    wait_for_pid(pid_file)
    for process in sorted(processes_of(state_dir), key=is_supervisor, reverse=True):
        os.kill(process.pid, signal.SIGKILL)
    wait_until_gone(state_dir)
    record = state_dir / "runs" / f"{run}-1" / "engine.json"
    _boot_earlier(record)

    later = run_playbook(runner_task(api_url, state_dir, flow_run_id=run))
    assert diagnosed(later.last, "host_rebooted", "rebooted", "rerun: failed")["diagnosis"]["retryable"] is True
    assert rest.state_type(run) == "CRASHED"
    assert "rebooted" in rest.flow_run(run)["state"]["message"]


def _boot_earlier(path: Path) -> None:
    fields = unpack_record(path.read_bytes())
    assert fields is not None
    for process in ("supervisor", "engine"):
        fields[process]["boot"] = str(uuid.uuid4())
    path.write_bytes(pack_record(fields))


def test_a_full_disk_at_the_launch(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> None:
    """Nothing is claimed, and the same task works as soon as there is space."""
    (run,) = counted_runs(rest, tmp_path, 1)
    with little_space(tmp_path / "disk", 512) as disk, nothing_left(disk / "state") as state_dir:
        filler = fill(disk)
        task = runner_task(api_url, state_dir, flow_run_id=run.id)
        full = run_playbook(task)
        assert full.rc != 0
        assert "No space left" in full.last["msg"]
        assert "Free some" in full.last["msg"]
        assert nothing_happened(rest, run.id)
        filler.unlink()
        assert run_playbook(task).check().last["run"]["phase"] == "succeeded"
        assert run.executions == 1


def test_a_full_disk_while_running(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> None:
    """The flow's own prints meet the full disk; the verdict is written all the same."""
    run = rest.create_flow_run(rest.create_deployment("chatty")["id"], {"lines": 20_000, "width": 500})["id"]
    with little_space(tmp_path / "disk", 1024) as disk, nothing_left(disk / "state") as state_dir:
        play = run_playbook(runner_task(api_url, state_dir, flow_run_id=run, stream_output=False))
        wait_until_gone(state_dir)
        diagnosed(play.last, "disk_full", "full", "Free some space")
        again = run_playbook(runner_task(api_url, state_dir, flow_run_id=run, log_lines=5))
        diagnosed(again.last, "disk_full")
    assert rest.state_type(run) in ("FAILED", "CRASHED")


# --- bad input ------------------------------------------------------------------------------------------------------


class WebPage(http.server.BaseHTTPRequestHandler):
    """What answers at an address that is not the API's: a page, or a proxy that lets nobody in."""

    def do_GET(self) -> None:
        """Any path."""
        body = b"<!DOCTYPE html><html><title>Welcome</title></html>"
        self.send_response(403 if self.path.startswith("/forbidden") else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name is the base class's

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def web_page() -> Iterator[str]:
    """The address of a web server that has never heard of Prefect."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WebPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_bad_input_reads_well(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, tmp_path: Path, web_page: str
) -> None:
    """Each mistake is answered with the option's name and a remedy, without a traceback, and nothing is launched.

    An idempotency key that was used with other parameters: see the tests of runs.
    """
    (run,) = counted_runs(rest, tmp_path, 1)
    strict = rest.create_deployment("append_line", enforce_parameter_schema=True, parameter_openapi_schema=_SCHEMA)
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir(mode=0o755)
    one = {"flow_run_id": run.id}
    cases: dict[str, Check] = {
        "not a UUID": ({"flow_run_id": "lively-hornet"}, ("flow_run_id", "lively-hornet", "UUID")),
        "unknown run": ({"flow_run_id": str(uuid.uuid4())}, ("no flow run of this id", "api_url")),
        "unknown deployment": ({"deployment": "etl/nightly"}, ("deployment", "etl/nightly")),
        "bad deployment": ({"deployment": "nightly"}, ("deployment", "flow/name")),
        "parameters": (
            {"deployment": strict["full_name"], "parameters": {"path": str(tmp_path), "sleep": "long"}},
            ("parameters", "sleep", "'long'"),
        ),
        "two environments": ({**one, "condaenv": "a", "virtualenv": "/b"}, ("condaenv", "virtualenv", "Keep one")),
        "no scheme": ({**one, "api_url": "127.0.0.1:4200/api"}, ("api_url", "http")),
        "web page": ({**one, "api_url": web_page}, ("api_url", "/api")),
        "forbidden": ({**one, "api_url": f"{web_page}/forbidden"}, ("403", "api_key")),
        "nobody there": ({**one, "api_url": f"http://127.0.0.1:{free_port()}/api"}, ("api_url", "reach")),
        "unknown key": ({"runs": [{**one, "paramters": {}}]}, ("runs[0]", "paramters", "parameters")),
        "twice": ({"flow_run_ids": [run.id, run.id.upper()]}, ("flow_run_ids[1]", "flow_run_ids[0]", "once")),
        "twice in runs": ({"runs": [one, one]}, ("runs[1]", "runs[0]", "once")),
        "empty list": ({"flow_run_ids": []}, ("flow_run_ids", "empty")),
        "nothing": ({}, ("flow_run_id", "deployment")),
        "number in env": ({**one, "env": {"PORT": 8080}}, ("env.PORT", "quotes")),
        "boolean in env": ({**one, "env": {"DEBUG": True}}, ("env.DEBUG", "quotes")),
        "list in env": ({**one, "env": {"HOSTS": ["a"]}}, ("env.HOSTS",)),
        "file as state": ({**one, "state_dir": str(tmp_path / "file" / "x")}, ("state_dir", "Not a directory")),
        "unwritable state": ({**one, "state_dir": "/proc/flowops"}, ("state_dir", "/proc/flowops", "state_dir")),
        "open state": ({**one, "state_dir": str(tmp_path / "open")}, ("state_dir", "0755", "0700")),
        "relative state": ({**one, "state_dir": "state"}, ("state_dir", "state")),
        "no folder": ({**one, "working_dir": "/opt/nowhere"}, ("working_dir", "/opt/nowhere")),
    }
    play = run_playbook([_case(name, api_url, state_dir, options) for name, (options, _words) in cases.items()])
    problems = {name: _problem(play, name, words) for name, (_options, words) in cases.items()}
    assert not [problem for problem in problems.values() if problem], json.dumps(problems, indent=1)
    assert "Traceback" not in play.output
    assert nothing_happened(rest, run.id)
    assert rest.flow_runs(strict["id"]) == []


_SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "sleep": {"type": "number"}},
    "required": ["path"],
}


def _case(name: str, api_url: str, state_dir: Path, options: dict[str, Any]) -> dict[str, Any]:
    python = None if "condaenv" in options else str(engine_python())
    return named(name, runner_task(**{"api_url": api_url, "state_dir": state_dir, "python": python, **options}))


def _problem(play: PlayResult, name: str, words: tuple[str, ...]) -> str:
    """What is wrong with the answer to a mistake; empty for a good one."""
    outcome = play.of(name)
    message = str(outcome.result.get("msg"))
    missing = [word for word in words if word not in message]
    if not outcome.failed or outcome.changed or missing or len(message) > 1000:
        return f"failed {outcome.failed}, changed {outcome.changed}, without {missing}: {message}"
    return ""
