# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to a managed host (local, ssh, become), old and new Pythons and ansible-cores, and broken connections."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import ansible_play
import environments
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from prefect_rest import FLOWS, PrefectRest
from runner import MODULE, counted_runs, runner_task
from ssh_server import SshServer, short_folder

NO_SSHD = SshServer.missing()
needs_sshd = pytest.mark.skipif(bool(NO_SSHD), reason=f"ssh tests need these programs: {NO_SSHD}")


@pytest.fixture
def ssh() -> Iterator[SshServer]:
    with short_folder() as folder, SshServer(Path(folder)) as server:
        yield server


def python_of_version(version: str) -> str:
    """The interpreter for a managed host, or the reason to skip the test."""
    try:
        return environments.find_python((version,))[0]
    except environments.NoInterpreter as reason:
        pytest.skip(str(reason))


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@needs_sshd
@pytest.mark.parametrize("pipelining", [False, True], ids=["copied", "pipelined"])
def test_ssh(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, ssh: SshServer, pipelining: bool
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=1)
    hosts = {"remote": {**ssh.host_variables, "ansible_pipelining": pipelining}}
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run.id)
    first = run_playbook(task, hosts=hosts).check()
    assert (first.last["run"]["phase"], first.last["run"]["action"]) == ("succeeded", "launched")
    assert re.search(rf"^\[{first.last['run']['name']}\] .*Beginning flow run", first.stdout, re.MULTILINE)
    assert run.executions == 1


@needs_sshd
def test_a_run_outlives_the_ssh_session(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, ssh: SshServer
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=6)
    hosts = {"remote": ssh.host_variables}
    launch = runner_task(api_url, tmp_path / "state", flow_run_id=run.id, wait=False)
    started = time.monotonic()
    launched = run_playbook(launch, hosts=hosts).check()
    assert time.monotonic() - started < 30, "a descriptor that the run keeps would hold the task until its end"
    assert launched.last["run"]["phase"] in ("queued", "pending", "running")
    assert ssh.drop_sessions(), "the connection that ssh keeps open was already gone"
    wait_until(lambda: not ssh.sessions())
    assert rest.state_type(run.id) != "COMPLETED"
    waited = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run.id), hosts=hosts).check()
    assert (waited.last["run"]["action"], waited.last["run"]["phase"]) == ("adopted", "succeeded")
    assert run.executions == 1


@needs_sshd
def test_a_dropped_connection_is_made_again(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, ssh: SshServer
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=15)
    hosts = {"remote": ssh.host_variables}
    play = start_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=run.id), hosts=hosts)
    wait_until(lambda: run.executions)
    for _time in range(3):
        wait_until(ssh.drop_sessions)
    result = play.wait().check()
    assert [one.status for one in result.results] == ["ok"]
    assert (result.last["changed"], result.last["run"]["action"]) == (True, "launched")
    assert result.last["run"]["phase"] == "succeeded"
    assert run.executions == 1


@needs_sshd
def test_a_host_out_of_reach_ends_the_wait_and_not_the_run(
    start_playbook: StartPlaybook,
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    tmp_path: Path,
    ssh: SshServer,
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=25)
    hosts = {"remote": ssh.host_variables}
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run.id, wait_timeout=20)
    play = start_playbook(task, hosts=hosts)
    wait_until(lambda: run.executions, 60)
    ssh.stop_listening()
    lost = play.wait()
    assert lost.rc == 2, lost.output
    assert lost.last["category"] == "infrastructure_unreachable"
    assert run.id in lost.last["msg"]
    assert (lost.last["flow_run_ids"], lost.last["failed_runs"]) == ([run.id], [run.id])
    assert lost.last["run"]["phase"] == "unknown"
    assert lost.last["timed_out"] is True
    ssh.start()
    again = run_playbook(task | {MODULE: {**task[MODULE], "wait_timeout": None}}, hosts=hosts).check()
    assert again.last["run"]["phase"] == "succeeded"
    assert run.executions == 1


@pytest.fixture
def other_user() -> Iterator[pwd.struct_passwd]:
    """An unprivileged user with a home of its own, for the time of a test."""
    if os.geteuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("become to another user needs root and useradd")
    name = f"flowops-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        wait_until(lambda: not _processes_of(name), 30)
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


def _processes_of(user: str) -> list[str]:
    found = subprocess.run(["ps", "-u", user, "-o", "args="], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    """A folder that every user can read, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="flowops-shared-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared_engine(shared_folder: Path) -> Path:
    """Prefect for users who cannot look into the cache."""
    try:
        return environments.make_elsewhere("prefect3", shared_folder / "prefect3", "/usr/local/bin:/usr/bin:/bin")
    except environments.NoInterpreter as reason:
        pytest.skip(str(reason))


def test_become(
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    other_user: pwd.struct_passwd,
    shared_folder: Path,
    shared_engine: Path,
) -> None:
    shutil.copy2(FLOWS / "append_line.py", shared_folder)
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(shared_folder)}}
    deployment = rest.create_deployment("append_line", pull_steps=[step])
    bodies = Path(other_user.pw_dir, "bodies")
    run_id = rest.create_flow_run(deployment["id"], {"path": str(bodies), "sleep": 6})["id"]
    method = "sudo" if shutil.which("sudo") else "su"
    become = {"become": True, "become_user": other_user.pw_name, "become_method": method}
    hosts = {"localhost": {"ansible_python_interpreter": "/usr/bin/python3"}}
    options = {"api_url": api_url, "flow_run_id": run_id, "python": str(shared_engine)}

    launch = {"name": "Launch", MODULE: {**options, "wait": False}, **become}
    launched = run_playbook(launch, hosts=hosts).check()
    assert launched.last["run"]["phase"] in ("queued", "pending", "running")
    waited = run_playbook({"name": "Wait", MODULE: options, **become}, hosts=hosts).check()
    assert (waited.last["run"]["action"], waited.last["run"]["phase"]) == ("adopted", "succeeded")
    assert bodies.read_text().count("\n") == 1
    state = Path(other_user.pw_dir, ".local", "state", "flowops-prefect")
    found = [state, *state.rglob("*")]
    assert {path.stat().st_uid for path in [*found, bodies]} == {other_user.pw_uid}
    assert state.stat().st_mode & 0o777 == 0o700


def test_the_oldest_python_of_a_managed_host(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    (run,) = counted_runs(rest, tmp_path, 1, sleep=1)
    hosts = {"localhost": {"ansible_python_interpreter": python_of_version("3.9")}}
    task = runner_task(api_url, tmp_path / "state", flow_run_id=run.id)
    result = run_playbook(task, hosts=hosts).check()
    assert (result.last["run"]["phase"], run.executions) == ("succeeded", 1)
    assert not result.last["run"]["warnings"]


def test_a_python_that_is_too_old(run_playbook: RunPlaybook, api_url: str, tmp_path: Path) -> None:
    hosts = {"localhost": {"ansible_python_interpreter": python_of_version("3.8")}}
    result = run_playbook(runner_task(api_url, tmp_path / "state", flow_run_id=str(uuid.uuid4())), hosts=hosts)
    assert result.rc == 2
    assert re.search(r"Python 3\.8\.\d+ is too old: .* 3\.9 .*ansible_python_interpreter", result.last["msg"])
    assert "Traceback" not in result.output


@pytest.mark.parametrize("core", ["core-oldest", "core-default", "core-newest"])
def test_every_supported_ansible_core(
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    core: str,
) -> None:
    try:
        environments.ensure(core)
    except environments.NoInterpreter as reason:
        pytest.skip(str(reason))
    monkeypatch.setattr(ansible_play, "CORE", core)
    deployment = rest.create_deployment("hello")
    task = runner_task(
        api_url,
        tmp_path / "state",
        deployment=deployment["full_name"],
        idempotency_key=core,
        parameters={"name": "{{ 'A' + 'da' }}"},
    )
    first = run_playbook(task).check()
    name = first.last["run"]["name"]
    assert re.search(rf"^\[{name}\] .*Hello, Ada!", first.stdout, re.MULTILINE), first.output
    assert first.last["run"]["phase"] == "succeeded"
    assert "WARNING" not in first.output, first.output
