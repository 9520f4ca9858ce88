# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attempts as real processes: launched once, adopted, stopped, lost, found again."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import uuid

import pytest
from process_attempts import FOR_EVER, PASS_GATE, STAND_IN, Attempts, wait_until

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    InfrastructureError,
    NameCollision,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import ProcessInfrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Presence
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import pack_record

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")

FORK = multiprocessing.get_context("fork")
IGNORING_CHILD = (
    "subprocess.Popen([sys.executable, '-c', 'import signal; signal.signal(15, signal.SIG_IGN); "
    'print("deaf", flush=True); signal.pause()\'], start_new_session=True); '
)
CHAIN_FORKER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(20000):
    if os.fork():
        os._exit(0)
    os.setsid()
    time.sleep(0.0005)
"""


@pytest.fixture
def attempts(tmp_path):
    made = Attempts(str(tmp_path))
    yield made
    made.end()


def rewrite(path, data):
    with open(path, "wb") as file:
        file.write(data)


def contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def forge(attempts, launch, name, change):
    """Change a record as something that knows the format would."""
    with open(attempts.path(launch, name), "rb") as file:
        fields = json.load(file)["record"]
    change(fields)
    rewrite(attempts.path(launch, name), pack_record(fields))


# --- life ----------------------------------------------------------------------------------------------------------


def test_a_run_from_start_to_end(attempts):
    launch = attempts.start(PASS_GATE + "print('hello'); sys.exit(3)")
    seen = attempts.wait(launch, Presence.FINISHED)
    assert (seen.exit_code, seen.signal, seen.token, seen.spec_hash) == (3, None, launch.token, "abc")
    assert seen.identifier.rpartition(":")[0] == os.uname().nodename
    assert seen.created_at <= seen.started_at <= seen.finished_at
    assert seen.evidence["oom"] is False
    assert seen.evidence["bootstrap"]["event"] == "gate_passed"
    assert attempts.infrastructure.read_log(launch.key, "").lines == ["hello"]
    assert not seen.may_run


def test_nothing_is_found_and_nothing_made_where_nothing_was_launched(attempts):
    assert attempts.infrastructure.find([str(uuid.uuid4())]) == {}
    attempts.infrastructure.stop(AttemptKey(str(uuid.uuid4()), 1), 0)
    assert not attempts.infrastructure.remove(AttemptKey(str(uuid.uuid4()), 1))
    assert not os.path.exists(attempts.state_dir)


def test_one_look_sees_all_attempts_of_the_runs_asked_for(attempts):
    first = attempts.start("")
    second = attempts.start("", key=AttemptKey(first.key.flow_run_id, 2))
    attempts.start("")
    assert set(attempts.infrastructure.find([first.key.flow_run_id])) == {first.key, second.key}


def test_the_engine_gets_what_was_asked_for_and_nothing_else(attempts, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-controller")
    attempts.infrastructure = attempts.another_infrastructure()
    do = (
        "note(json.dumps([dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), os.umask(0), "
        "sorted(os.listdir('/proc/self/fd')), sys.stdin.read()]))"
    )
    before = os.umask(0o027)
    try:
        launch = attempts.start(
            do, environment={"A": "1", "B": "1"}, secret_environment={"B": "2"}, unset_environment=("LANG",)
        )
    finally:
        os.umask(before)
    attempts.wait(launch, Presence.FINISHED)
    environment, folder, is_leader, umask, descriptors, stdin = json.loads(attempts.noted()[0])
    assert (environment["A"], environment["B"]) == ("1", "2")
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert environment["FLOWOPS_ATTEMPT_TOKEN"] == launch.token
    assert environment["HOME"]
    assert not {"LANG", "AWS_SECRET_ACCESS_KEY"} & set(environment)
    assert folder == os.path.realpath(attempts.path(launch, "work"))
    assert is_leader
    assert umask == 0o027
    assert descriptors == ["0", "1", "2", "3"]  # the last one lists them
    assert stdin == ""


def test_an_engine_that_cannot_be_executed_says_why(attempts, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/nonexistent/interpreter\n")
    python.chmod(0o755)
    launch = attempts.start("", settings={"python": str(python)})
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.exit_code is None
    assert "No such file" in seen.evidence["exec_failed"]


def test_leftovers_of_an_engine_that_ended_are_cleared_and_its_exit_code_kept(attempts):
    launch = attempts.start(PASS_GATE + IGNORING_CHILD + "sys.exit(4)")
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.exit_code == 4
    assert "stopped" not in seen.evidence
    assert not attempts.is_running(launch)


def test_a_killed_engine_is_told_from_a_stopped_one(attempts):
    launch = attempts.start(PASS_GATE + "os.kill(os.getpid(), signal.SIGKILL)")
    seen = attempts.wait(launch, Presence.FINISHED)
    assert (seen.exit_code, seen.signal) == (None, signal.SIGKILL)
    assert seen.evidence["oom"] is None
    assert "stopped" not in seen.evidence


# --- exactly once --------------------------------------------------------------------------------------------------


def race(attempts, launch, barrier, answers):
    barrier.wait()
    answers.put(attempts.another_infrastructure().create(launch))


def test_of_eight_launchers_one_starts_it(attempts):
    for _dummy in range(5):
        launch = attempts.launch("note(document['flow'])")
        launch.bootstrap["flow"] = launch.key.flow_run_id
        barrier, answers = FORK.Barrier(8), FORK.Queue()
        racers = [FORK.Process(target=race, args=(attempts, launch, barrier, answers)) for _dummy in range(8)]
        for racer in racers:
            racer.start()
        said = [answers.get(timeout=30) for _dummy in racers]
        for racer in racers:
            racer.join()
        assert sorted(said) == [False] * 7 + [True]
        attempts.wait(launch, Presence.FINISHED)
        assert attempts.noted().count(launch.key.flow_run_id) == 1


def test_a_launcher_killed_at_any_moment_loses_nothing_and_doubles_nothing(attempts):
    choose = random.Random(20)  # noqa: S311 - the same moments each time
    for _dummy in range(25):
        launch = attempts.launch("note(document['flow'])")
        launch.bootstrap["flow"] = launch.key.flow_run_id
        launcher = FORK.Process(target=lambda launch=launch: attempts.another_infrastructure().create(launch))
        launcher.start()
        time.sleep(choose.uniform(0, 0.06))
        launcher.kill()
        launcher.join()

        def finished(launch=launch):
            presence = attempts.look(launch).presence
            if presence in (Presence.ABSENT, Presence.PREPARED):
                attempts.another_infrastructure().create(launch)
            return presence is Presence.FINISHED

        wait_until(finished)
        assert attempts.noted().count(launch.key.flow_run_id) == 1


def test_what_was_prepared_and_never_started_is_started_under_another_token(attempts):
    infrastructure = attempts.infrastructure
    infrastructure._supervise = lambda *_: None
    launch = attempts.start("note('first')")
    assert attempts.look(launch).presence is Presence.PREPARED
    again = attempts.launch("note('second')", key=launch.key, spec_hash="other")
    assert attempts.another_infrastructure().create(again) is True
    seen = attempts.wait(again, Presence.FINISHED)
    assert (seen.token, seen.spec_hash, attempts.noted()) == (again.token, "other", ["second"])


def test_what_runs_or_ran_is_adopted(attempts):
    launch = attempts.start(PASS_GATE + "note('x'); wait_for(document['notes'] + '.go')")
    attempts.event(launch, "gate_passed")
    assert attempts.another_infrastructure().create(launch) is False
    with open(attempts.notes + ".go", "w", encoding="utf-8"):
        pass
    attempts.wait(launch, Presence.FINISHED)
    assert attempts.another_infrastructure().create(launch) is False
    assert attempts.noted() == ["x"]


def test_what_is_not_ours_stays_untouched(attempts):
    attempts.start("")
    launch = attempts.launch("")
    attempts.launches.remove(launch)
    rewrite(attempts.path(launch)[:-1], b"precious")
    with pytest.raises(NameCollision):
        attempts.infrastructure.create(launch)
    os.unlink(attempts.path(launch)[:-1])
    os.symlink("/etc", attempts.path(launch)[:-1])
    with pytest.raises(NameCollision):
        attempts.infrastructure.create(launch)


@pytest.mark.parametrize("flow_run_id", ["../../etc", "", "x" * 36, "0F6E2A4C-1B1D-4C6E-9D55-0A3C6F1F2B7E", None])
def test_only_uuids_get_near_a_path(attempts, flow_run_id):
    with pytest.raises(SettingsError):
        attempts.infrastructure.create(attempts.launch("", key=AttemptKey(flow_run_id, 1)))
    attempts.launches.clear()


# --- stopping ------------------------------------------------------------------------------------------------------


def test_stop_ends_everything_however_it_detached(attempts):
    launch = attempts.start(PASS_GATE + IGNORING_CHILD + FOR_EVER)
    wait_until(lambda: "deaf" in attempts.infrastructure.read_log(launch.key, "").lines)
    begun = time.monotonic()
    attempts.infrastructure.stop(launch.key, 0.5)
    assert 0.5 <= time.monotonic() - begun < 5
    seen = attempts.look(launch)
    assert seen.presence is Presence.FINISHED
    assert seen.evidence["stopped"] is True
    assert seen.signal == signal.SIGTERM
    assert not attempts.is_running(launch)


def test_stop_waits_for_a_flow_that_cleans_up(attempts):
    do = "signal.signal(15, lambda *_: (time.sleep(0.3), note('clean'), sys.exit(0))); tell('gate_passed'); "
    launch = attempts.start(do + FOR_EVER)
    attempts.event(launch, "gate_passed")
    attempts.infrastructure.stop(launch.key, 30)
    assert attempts.noted() == ["clean"]
    assert attempts.look(launch).exit_code == 0


@pytest.mark.parametrize("supervised", [True, False])
def test_stop_catches_what_forks_as_fast_as_it_is_killed(attempts, supervised):
    do = f"subprocess.Popen([sys.executable, '-c', {CHAIN_FORKER!r}]); tell('gate_passed'); "
    launch = attempts.start(do + FOR_EVER)
    attempts.event(launch, "gate_passed")
    if not supervised:
        attempts.kill_supervisor(launch)
    attempts.infrastructure.stop(launch.key, 0.2)
    assert not attempts.is_running(launch)
    assert attempts.look(launch).presence is Presence.FINISHED


def test_stop_reaches_processes_that_are_themselves_stopped(attempts):
    launch = attempts.start(PASS_GATE + "os.kill(os.getpid(), signal.SIGSTOP)")
    attempts.event(launch, "gate_passed")
    os.kill(attempts.supervisor_pid(launch), signal.SIGSTOP)
    attempts.infrastructure.stop(launch.key, 10)
    assert attempts.look(launch).signal == signal.SIGTERM


def test_a_reused_pid_is_never_signalled(attempts):
    bystander = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        launch = attempts.start(PASS_GATE + FOR_EVER)
        attempts.event(launch, "gate_passed")
        attempts.kill_supervisor(launch)
        forge(attempts, launch, "engine.json", lambda fields: fields["engine"].update(pid=bystander.pid))
        attempts.infrastructure.stop(launch.key, 0.1)
        assert bystander.poll() is None
        assert not attempts.is_running(launch)
    finally:
        bystander.kill()
        bystander.wait()


def test_stop_without_a_supervisor_is_gentle_first(attempts):
    do = "signal.signal(15, lambda *_: (note('clean'), sys.exit(0))); tell('gate_passed'); "
    launch = attempts.start(do + FOR_EVER)
    attempts.event(launch, "gate_passed")
    attempts.kill_supervisor(launch)
    attempts.infrastructure.stop(launch.key, 10)
    assert attempts.noted() == ["clean"]


# --- a supervisor that is killed -----------------------------------------------------------------------------------


def test_a_killed_supervisor_takes_nothing_with_it(attempts):
    go = attempts.notes + ".go"
    launch = attempts.start(PASS_GATE + f"wait_for({go!r}); print('x' * 100000); note('done')")
    attempts.event(launch, "gate_passed")
    attempts.kill_supervisor(launch)
    seen = attempts.look(launch)
    assert (seen.presence, seen.evidence["supervisor"]) == (Presence.LIVE, "lost")
    assert attempts.another_infrastructure().create(launch) is False
    rewrite(go, b"")
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.evidence["lost"] == "supervisor killed"
    assert (seen.exit_code, seen.signal, seen.evidence["oom"]) == (None, None, None)
    assert attempts.noted() == ["done"]


def test_a_child_is_found_when_supervisor_and_engine_are_dead(attempts):
    launch = attempts.start(PASS_GATE + IGNORING_CHILD + FOR_EVER)
    wait_until(lambda: "deaf" in attempts.infrastructure.read_log(launch.key, "").lines)
    attempts.kill_supervisor(launch)
    os.kill(int(attempts.look(launch).identifier.rpartition(":")[2]), signal.SIGKILL)
    assert attempts.look(launch).presence is Presence.LIVE
    attempts.infrastructure.stop(launch.key, 0.1)
    assert attempts.look(launch).presence is Presence.FINISHED


def test_a_rebooted_host_and_another_namespace_are_told_apart(attempts):
    launch = attempts.start(PASS_GATE + FOR_EVER)
    attempts.event(launch, "gate_passed")
    attempts.kill_supervisor(launch)
    attempts.infrastructure.stop(launch.key, 0)
    forge(attempts, launch, "engine.json", lambda fields: fields["engine"].update(pidns=1))
    seen = attempts.look(launch)
    assert seen.presence is Presence.UNKNOWN
    with pytest.raises(InfrastructureError, match="namespace"):
        attempts.infrastructure.stop(launch.key, 0)
    with pytest.raises(InfrastructureError, match="not finished"):
        attempts.infrastructure.remove(launch.key)
    forge(attempts, launch, "engine.json", lambda fields: fields["engine"].update(boot="earlier"))
    assert attempts.look(launch).evidence["lost"] == "host rebooted"
    attempts.launches.clear()


HOSTILE = [
    b"",
    b"\0" * 2048,
    b"[" * 2048,
    pack_record({"engine": 1, "supervisor": []}),
    pack_record({"engine": {"pid": "1", "start": [], "boot": {}, "pidns": None}}),
    pack_record({"engine": {"pid": 1, "start": "0", "boot": "b", "pidns": 1}}),
    b'{"crc":"00000000","record":{}}'.ljust(2047) + b"\n",
    b" " * 100_000,
]


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("name", ["engine.json", "exit", "spec.json", "stop", "dropped", "progress.jsonl"])
def test_hostile_records_are_never_a_traceback_and_never_gone(attempts, name, data):
    launch = attempts.start(PASS_GATE + FOR_EVER)
    attempts.event(launch, "gate_passed")
    attempts.kill_supervisor(launch)
    path = attempts.path(launch, name)
    with open(path, "rb") as file:
        original = file.read()
    rewrite(path, data)
    seen = attempts.look(launch)
    assert seen.may_run
    attempts.infrastructure.read_log(launch.key, "")
    attempts.infrastructure.read_log_tail(launch.key, 5)
    attempts.infrastructure.wait_for_change([launch.key], 0, output=True)
    rewrite(path, original)


@pytest.mark.parametrize("how", ["removed", "link", "pipe", "second name", "readable by others"])
def test_files_that_are_not_what_we_left_are_named(attempts, how):
    launch = attempts.start(PASS_GATE + FOR_EVER)
    attempts.event(launch, "gate_passed")
    path, aside = attempts.path(launch, "exit"), attempts.path(launch, "aside")
    if how == "second name":
        os.link(path, aside)
    elif how == "readable by others":
        os.chmod(path, 0o644)
    else:
        os.rename(path, aside)
    if how == "link":
        os.symlink(aside, path)
    elif how == "pipe":
        os.mkfifo(path, 0o600)
    seen = attempts.look(launch)
    assert seen.presence is Presence.UNKNOWN
    assert seen.evidence["damaged"].startswith("exit: ")
    if how == "second name":
        os.unlink(aside)
    else:
        if how in ("link", "pipe"):
            os.unlink(path)
        if os.path.exists(aside):
            os.rename(aside, path)
        os.chmod(path, 0o600)
    assert attempts.look(launch).presence is Presence.LIVE


# --- secrets, traces, removal --------------------------------------------------------------------------------------


def test_secrets_are_in_no_file_and_on_no_command_line(attempts):
    canary = "canary-" + uuid.uuid4().hex
    launch = attempts.start(PASS_GATE + FOR_EVER, secret_environment={"DB_PASSWORD": canary})
    attempts.event(launch, "gate_passed")
    texts = []
    for folder, _folders, files in os.walk(attempts.state_dir):
        texts.extend(folder.encode() + name.encode() + contents(os.path.join(folder, name)) for name in files)
    texts.extend(contents(f"/proc/{pid}/cmdline") for pid in filter(str.isdigit, os.listdir("/proc")))
    assert not [text for text in texts if canary.encode() in text]
    supervisor = f"/proc/{attempts.supervisor_pid(launch)}/environ"
    assert canary.encode() not in contents(supervisor)
    assert canary not in json.dumps(attempts.infrastructure.preview(launch))


def test_preview_is_what_create_makes_and_changes_nothing(attempts):
    launch = attempts.launch("", environment={"A": "1"}, secret_environment={"B": "2"})
    preview = attempts.infrastructure.preview(launch)
    assert not os.path.exists(attempts.state_dir)
    attempts.infrastructure.create(launch)
    with open(attempts.path(launch, "spec.json"), encoding="utf-8") as file:
        spec = json.load(file)
    assert preview["argv"] == spec["argv"]
    assert preview["working_directory"] == spec["working_directory"]
    assert sorted(preview["environment"]) == spec["environment_names"]
    assert (preview["environment"]["A"], preview["environment"]["B"]) == ("1", "********")


def test_remove_takes_finished_attempts_only_and_whatever_they_left(attempts):
    do = "os.makedirs('/'.join(['d'] * 50)); os.symlink('/etc', 'link'); os.mkdir('shut'); os.chmod('shut', 0); "
    launch = attempts.start(do + PASS_GATE + FOR_EVER)
    attempts.event(launch, "gate_passed")
    with pytest.raises(InfrastructureError, match="not finished"):
        attempts.infrastructure.remove(launch.key)
    attempts.infrastructure.stop(launch.key, 0)
    assert attempts.infrastructure.remove(launch.key) is True
    assert attempts.look(launch).presence is Presence.ABSENT
    assert attempts.infrastructure.remove(launch.key) is False
    assert os.listdir(os.path.join(attempts.state_dir, "tmp")) == []
    assert os.path.exists("/etc/passwd")


# --- waiting -------------------------------------------------------------------------------------------------------


def test_waiting_ends_at_a_change_and_misses_none_between_the_calls(attempts):
    launch = attempts.start(f"wait_for({attempts.notes + '.go'!r})")
    attempts.wait(launch, Presence.LIVE)
    infrastructure = attempts.another_infrastructure()
    infrastructure.find([launch.key.flow_run_id])
    begun = time.monotonic()
    infrastructure.wait_for_change([launch.key], 0.5, output=True)
    assert time.monotonic() - begun >= 0.5
    rewrite(attempts.notes + ".go", b"")
    attempts.wait(launch, Presence.FINISHED)
    begun = time.monotonic()
    infrastructure.wait_for_change([launch.key], 30, output=False)
    assert time.monotonic() - begun < 1


def test_waiting_notices_the_end_of_an_engine_without_a_supervisor(attempts):
    launch = attempts.start(PASS_GATE + FOR_EVER)
    attempts.event(launch, "gate_passed")
    attempts.kill_supervisor(launch)
    infrastructure = attempts.another_infrastructure()
    seen = infrastructure.find([launch.key.flow_run_id])[launch.key]
    os.kill(int(seen.identifier.rpartition(":")[2]), signal.SIGKILL)
    begun = time.monotonic()
    infrastructure.wait_for_change([launch.key], 30, output=False)
    assert time.monotonic() - begun < 5


# --- place and interpreters ----------------------------------------------------------------------------------------


def test_the_locus_is_stable_and_differs_elsewhere(attempts, tmp_path):
    locus = attempts.infrastructure.locus
    assert locus.startswith(f"process/{os.uname().nodename}/{os.geteuid()}/")
    assert attempts.another_infrastructure().locus == locus
    assert ProcessInfrastructure(str(tmp_path / "other")).locus != locus


def fake_python(folder, prefect):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "python")
    answer = "FLOWOPS " + json.dumps({"prefect": prefect, "python": [3, 12, 0]})
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\necho '{answer}'\n")
    os.chmod(path, 0o700)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"python": "/nonexistent/python"}, "python: there is no /nonexistent/python"),
        ({"python": "bin/python"}, "python: 'bin/python' is not an absolute path"),
        ({"python": "no-such-python-anywhere"}, "python: there is no"),
        ({"python": "/etc/passwd"}, "python: /etc/passwd cannot be executed"),
        ({"python": "/bin/false"}, "python: /bin/false does not work"),
        ({"virtualenv": "/nonexistent"}, "virtualenv: /nonexistent is not a directory"),
        ({"virtualenv": "/etc"}, "virtualenv: there is no /etc/bin/python"),
        ({"virtualenv": "venv"}, "virtualenv: 'venv' is not an absolute path"),
        ({"condaenv": "./env"}, "condaenv: './env' is neither the name"),
        ({"condaenv": "--help"}, "condaenv: '--help' is neither the name"),
        ({"condaenv": "env"}, "condaenv: there is no conda"),
        ({"working_dir": "/nonexistent"}, "working_dir: there is no directory"),
        ({"working_dir": "x"}, "working_dir: 'x' is not an absolute path"),
    ],
)
def test_what_cannot_work_is_refused_by_the_name_of_its_field(attempts, monkeypatch, settings, problem):
    monkeypatch.delenv("CONDA_EXE", raising=False)
    with pytest.raises(SettingsError, match=problem) as caught:
        attempts.infrastructure.preflight(settings, "3.9.1")
    assert caught.value.remedy
    assert not os.path.exists(attempts.state_dir)


def test_prefect_has_to_be_there_and_of_the_servers_generation(attempts, tmp_path):
    venv = tmp_path / "venv"
    fake_python(venv / "bin", "3.4.0")
    attempts.infrastructure.preflight({"virtualenv": str(venv)}, "3.9.1")
    attempts.infrastructure.preflight({"virtualenv": str(venv)}, "")
    with pytest.raises(SettingsError, match=r"virtualenv: .* has Prefect 3.4.0, the server has 2.20.26"):
        attempts.infrastructure.preflight({"virtualenv": str(venv)}, "2.20.26")
    fake_python(venv / "bin", "2.20.26")
    with pytest.raises(SettingsError, match=r"has Prefect 2.20.26, the server has 2.0b6\. .*'prefect==2.0b6'"):
        attempts.infrastructure.preflight({"virtualenv": str(venv)}, "2.0b6")
    fake_python(venv / "bin", None)
    with pytest.raises(SettingsError, match=r"no Prefect in .*/venv.*pip install 'prefect==3"):
        attempts.infrastructure.preflight({"virtualenv": str(venv)}, "3.9.1")


def test_the_check_works_with_a_real_interpreter(attempts):
    with pytest.raises(SettingsError, match=r"no Prefect in|has Prefect"):
        attempts.infrastructure.preflight({"python": sys.executable}, "0.1")


def test_a_virtual_environment_acts_as_if_activated(attempts, tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    do = "note(json.dumps([os.environ['VIRTUAL_ENV'], os.environ['PATH'].split(':')[0]]))"
    launch = attempts.start(do, settings={"virtualenv": str(venv)})
    attempts.wait(launch, Presence.FINISHED)
    assert json.loads(attempts.noted()[0]) == [str(venv), str(venv / "bin")]


def test_conda_is_asked_to_run_it_and_its_children_are_the_engine(attempts, tmp_path, monkeypatch):
    conda = tmp_path / "bin" / "conda"
    conda.parent.mkdir()
    # Like the real one it stays the parent of Python and hands its exit code on.
    conda.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nshift 5\n{sys.executable} "$@"\nexit $?\n')
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", f"{conda.parent}:{os.environ['PATH']}")
    launch = attempts.start(PASS_GATE + "sys.exit(5)", settings={"condaenv": "etl"})
    assert attempts.wait(launch, Presence.FINISHED).exit_code == 5
    assert (tmp_path / "asked").read_text().startswith("run --no-capture-output --name etl python /")
    launch = attempts.start(PASS_GATE + FOR_EVER, settings={"condaenv": str(tmp_path)})
    attempts.event(launch, "gate_passed")
    assert f"--prefix {tmp_path} python" in (tmp_path / "asked").read_text()
    attempts.infrastructure.stop(launch.key, 1)
    assert not attempts.is_running(launch)


@pytest.mark.parametrize(
    "environment", [{"A=B": "1"}, {"": "1"}, {"A": "x\0y"}, {"A": "x" * 200_000}], ids=["=", "empty", "NUL", "long"]
)
def test_variables_that_no_process_can_have_are_refused(attempts, environment):
    with pytest.raises(SettingsError, match="env: ") as caught:
        attempts.infrastructure.create(attempts.launch("", environment=environment))
    assert "xxx" not in str(caught.value)
    attempts.launches.clear()


def test_the_stand_in_is_kept_and_verified(attempts):
    launch = attempts.start("note('x')")
    attempts.wait(launch, Presence.FINISHED)
    with open(attempts.path(launch, "spec.json"), encoding="utf-8") as file:
        script = json.load(file)["argv"][-1]
    rewrite(script, b"raise SystemExit('changed')")
    launch = attempts.start("note('y')")
    attempts.wait(launch, Presence.FINISHED)
    assert attempts.noted() == ["x", "y"]
    with open(script, "rb") as file:
        assert file.read() == STAND_IN
