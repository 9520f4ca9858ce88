# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The supervisor: slots, clocks, "not now", output below its limit, full disks, what it costs."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time

import pytest
from process_attempts import FOR_EVER, PASS_GATE, Attempts, wait_until

from ansible_collections.flowops.prefect.plugins.module_utils import _supervisor
from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Presence
from ansible_collections.flowops.prefect.plugins.module_utils._own_source import source_of
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import (
    blank_record,
    events_of,
    pack_record,
    retry_delay,
    unpack_record,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.fixture
def attempts(tmp_path):
    made = Attempts(str(tmp_path))
    yield made
    made.end()


def touch(path):
    with open(path, "w", encoding="utf-8"):
        pass


# --- slots ---------------------------------------------------------------------------------------------------------


def test_no_more_run_at_once_than_there_are_slots_and_all_get_their_turn(attempts):
    do = PASS_GATE + "note('+')\nwhile open(document['notes']).read().count('+') < 2: time.sleep(0.01)\nnote('-')"
    launches = [attempts.start(do, concurrency=2) for _dummy in range(6)]
    for launch in launches:
        attempts.wait(launch, Presence.FINISHED)
    running = most = 0
    for mark in attempts.noted():
        running += 1 if mark == "+" else -1
        most = max(most, running)
    assert (attempts.noted().count("+"), most) == (6, 2)


def test_waiting_for_a_slot_is_seen_and_ends_at_once_when_told_to_stop(attempts):
    holder = attempts.start(PASS_GATE + FOR_EVER, concurrency=1)
    attempts.event(holder, "gate_passed")
    waiting = [attempts.start("note('ran')", concurrency=1) for _dummy in range(3)]
    for launch in waiting:  # the first one looks for a free slot, the others wait in the queue
        seen = attempts.wait(launch, Presence.QUEUED)
        assert seen.evidence["stage"] == "waiting for a slot"
    for launch in reversed(waiting):
        begun = time.monotonic()
        attempts.infrastructure.stop(launch.key, 30)
        assert time.monotonic() - begun < 2
        seen = attempts.look(launch)
        assert (seen.presence, seen.evidence["stopped"]) == (Presence.FINISHED, True)
        assert seen.started_at is None
        assert attempts.another_infrastructure().create(launch) is False
    assert attempts.noted() == []


def test_a_slot_of_a_killed_supervisor_is_free_again(attempts):
    holder = attempts.start(PASS_GATE + FOR_EVER, concurrency=1)
    attempts.event(holder, "gate_passed")
    attempts.kill_supervisor(holder)
    attempts.wait(attempts.start("", concurrency=1), Presence.FINISHED)


def test_a_supervisor_killed_while_it_waits_is_started_again(attempts):
    holder = attempts.start(PASS_GATE + FOR_EVER, concurrency=1)
    attempts.event(holder, "gate_passed")
    waiting = attempts.start("note('ran')", concurrency=1)
    attempts.wait(waiting, Presence.QUEUED)
    attempts.kill_supervisor(waiting)
    assert attempts.look(waiting).presence is Presence.PREPARED
    assert attempts.another_infrastructure().create(waiting) is True
    attempts.infrastructure.stop(holder.key, 0)
    attempts.wait(waiting, Presence.FINISHED)
    assert attempts.noted() == ["ran"]


# --- "not now" -----------------------------------------------------------------------------------------------------

NOT_NOW = (
    "note('asked')\n"
    "if not os.path.exists(document['notes'] + '.now'):\n"
    "    tell('not_now', retry_after={}); sys.exit(75)\n"
    "tell('gate_passed'); sys.exit(0)"
)


def test_not_now_gives_the_slot_back_and_asks_again(attempts):
    launch = attempts.start(NOT_NOW.format(0.3), concurrency=1)
    other = attempts.start("note('other')", concurrency=1)
    attempts.wait(other, Presence.FINISHED)
    assert attempts.look(launch).may_run
    touch(attempts.notes + ".now")
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.exit_code == 0
    assert seen.evidence["starts"] == attempts.noted().count("asked") >= 2


def test_waiting_for_the_server_is_seen_and_ends_at_once_when_told_to_stop(attempts):
    launch = attempts.start(NOT_NOW.format(300))
    seen = attempts.wait(launch, Presence.QUEUED)
    seen = wait_until(lambda: (now := attempts.look(launch)).evidence.get("retry_at") and now)
    assert seen.evidence["stage"] == "waiting for the server"
    assert seen.evidence["bootstrap"]["event"] == "not_now"
    assert 250 < seen.evidence["retry_at"] - time.time() < 450
    begun = time.monotonic()
    attempts.infrastructure.stop(launch.key, 30)
    assert time.monotonic() - begun < 2
    assert attempts.noted() == ["asked"]


def test_a_flow_that_exits_with_75_after_the_gate_is_not_run_again(attempts):
    launch = attempts.start(PASS_GATE + "note('body'); sys.exit(75)")
    assert attempts.wait(launch, Presence.FINISHED).exit_code == 75
    assert attempts.noted() == ["body"]


def test_a_supervisor_killed_between_two_tries_is_started_again_by_its_owner_only(attempts):
    launch = attempts.start(NOT_NOW.format(300))
    wait_until(lambda: attempts.look(launch).evidence.get("retry_at"))
    attempts.kill_supervisor(launch)
    assert attempts.look(launch).presence is Presence.PREPARED
    stranger = attempts.launch("note('stranger')", key=launch.key)
    assert attempts.another_infrastructure().create(stranger) is False
    touch(attempts.notes + ".now")
    assert attempts.another_infrastructure().create(launch) is True
    attempts.wait(launch, Presence.FINISHED)
    assert "stranger" not in attempts.noted()


@pytest.mark.parametrize("wanted", [None, True, "1", -1, 10**9, float("nan"), []])
def test_a_senseless_delay_is_replaced(wanted):
    assert 15 <= retry_delay([{"event": "not_now", "retry_after": wanted}]) <= 20


# --- clocks --------------------------------------------------------------------------------------------------------


def test_an_engine_that_does_not_pass_the_gate_in_time_is_stopped(attempts):
    launch = attempts.start(FOR_EVER, start_timeout=0.5)
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.evidence["timed_out"] == "start"
    assert 0.5 <= seen.finished_at - seen.started_at < 5
    assert "stopped" not in seen.evidence


def test_a_passed_gate_ends_the_start_timeout_and_begins_the_run_timeout(attempts):
    do = PASS_GATE + "signal.signal(15, signal.SIG_IGN)\nwhile True: signal.pause()"
    launch = attempts.start(do, start_timeout=1.0, run_timeout=1.5, stop_grace=0.3)
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.evidence["timed_out"] == "run"
    assert 1.8 <= seen.finished_at - seen.started_at < 8
    assert (seen.signal, seen.evidence["oom"]) == (signal.SIGKILL, False)


def test_a_second_request_to_stop_can_shorten_the_grace(attempts):
    do = "signal.signal(15, signal.SIG_IGN); tell('gate_passed')\nwhile True: signal.pause()"
    launch = attempts.start(do)
    attempts.event(launch, "gate_passed")
    code = (
        "import sys; from process_attempts import *\n"
        "ProcessInfrastructure(sys.argv[1]).stop(AttemptKey(sys.argv[2], 1), 600)"
    )
    patient = subprocess.Popen(
        [sys.executable, "-c", code, attempts.state_dir, launch.key.flow_run_id],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    attempts.wait(launch, Presence.STOPPING)
    attempts.infrastructure.stop(launch.key, 0)
    assert patient.wait(30) == 0


# --- output --------------------------------------------------------------------------------------------------------


def everything(attempts, launch):
    lines, cursor, truncated = [], "", False
    while True:
        chunk = attempts.infrastructure.read_log(launch.key, cursor)
        lines.extend(chunk.lines)
        truncated = truncated or chunk.truncated
        if chunk.cursor == cursor:
            return lines, truncated
        cursor = chunk.cursor


def test_output_beyond_the_limit_loses_its_middle_with_one_mark(attempts):
    limit = 256 * 1024
    do = PASS_GATE + "[(print(f'line {n:06}'), n % 1000 or time.sleep(0.005)) for n in range(200000)]"
    launch = attempts.start(do, settings={"output_limit": limit})
    seen = attempts.wait(launch, Presence.FINISHED)
    assert seen.exit_code == 0
    lines, truncated = everything(attempts, launch)
    marks = [line for line in lines if line.startswith("[flowops: ")]
    assert truncated
    assert marks == [f"[flowops: {marks[0].split()[1]} bytes of output were dropped here, the limit is {limit} bytes]"]
    assert (lines[0], lines[-1]) == ("line 000000", "line 199999")
    whole = [line for line in lines if line.startswith("line ") and len(line) == 11]
    assert whole == sorted(whole)
    assert len(lines) - len(whole) <= 3  # the mark and the two lines that it cut
    dropped = int(marks[0].split()[1])
    assert dropped + sum(len(line) + 1 for line in lines if line not in marks) == pytest.approx(200000 * 12, abs=2)
    status = os.stat(attempts.path(launch, "output.log"))
    assert status.st_blocks * 512 <= limit + 16384
    tail = attempts.infrastructure.read_log_tail(launch.key, 2)
    assert (tail.lines, tail.truncated) == (["line 199998", "line 199999"], True)


def test_a_reader_that_follows_never_takes_a_hole_for_output(attempts):
    do = PASS_GATE + "[(print('x' * 63), n % 500 or time.sleep(0.01)) for n in range(60000)]"
    launch = attempts.start(do, settings={"output_limit": 64 * 1024})
    cursor = ""
    while attempts.look(launch).presence is not Presence.FINISHED:
        chunk = attempts.infrastructure.read_log(launch.key, cursor)
        assert not [line for line in chunk.lines if set(line) - {"x"} and not line.startswith("[flowops: ")]
        cursor = chunk.cursor


def test_where_no_hole_can_be_made_the_file_is_emptied(attempts, monkeypatch):
    crippled = source_of(_supervisor).replace(".fallocate64", ".no_such_function")
    monkeypatch.setattr(
        "ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process.source_of",
        lambda _module: crippled,
    )
    do = PASS_GATE + "[(print('x' * 63), n % 500 or time.sleep(0.01)) for n in range(30000)]; print('end')"
    launch = attempts.start(do, settings={"output_limit": 64 * 1024})
    attempts.wait(launch, Presence.FINISHED)
    lines, truncated = everything(attempts, launch)
    assert truncated
    assert lines[0].startswith("[flowops: ")
    assert os.stat(attempts.path(launch, "output.log")).st_size <= 64 * 1024


def test_lines_are_whole_across_chunks_and_the_last_one_is_held_back(attempts):
    go = attempts.notes + ".go"
    do = PASS_GATE + (
        "out = sys.stdout.buffer; out.write('žluť\\n'.encode() * 100000 + 'kůň'.encode()[:-1]); out.flush(); "
        f"note('x'); wait_for({go!r}); out.write('kůň'.encode()[-1:] + b' end'); out.flush()"
    )
    launch = attempts.start(do)
    wait_until(attempts.noted)
    lines, _truncated = everything(attempts, launch)
    assert lines == ["žluť"] * 100000
    touch(go)
    attempts.wait(launch, Presence.FINISHED)
    assert everything(attempts, launch)[0][100000:] == ["kůň end"]


def test_a_line_longer_than_a_chunk_does_not_stop_the_reading(attempts):
    launch = attempts.start("sys.stdout.write('ž' * 400000 + '\\nnext\\n')")
    attempts.wait(launch, Presence.FINISHED)
    lines, _truncated = everything(attempts, launch)
    assert lines[-1] == "next"
    assert all("more characters in this line" in line for line in lines[:-2])
    assert "\ufffd" not in "".join(lines)


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "٣", "9" * 30, "../../x"])
def test_only_cursors_are_cursors(attempts, cursor):
    launch = attempts.start("print('x')")
    attempts.wait(launch, Presence.FINISHED)
    with pytest.raises(SettingsError, match="log_cursor"):
        attempts.infrastructure.read_log(launch.key, cursor)
    assert attempts.infrastructure.read_log(launch.key, "9" * 15).lines == []


def test_a_reader_needs_no_attempt(attempts):
    launch = attempts.launch("")
    assert attempts.infrastructure.read_log(launch.key, "").lines == []
    assert attempts.infrastructure.read_log_tail(launch.key, 3).lines == []


# --- a full disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", folder]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a full disk needs the right to mount a tmpfs: {mounted.stderr.decode()}")
    made = Attempts(str(folder))
    yield made
    made.end()
    subprocess.run(["umount", folder], check=True)


def fill(attempts):
    with open(os.path.join(attempts.folder, "filler"), "wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 4096)
            except OSError:
                return


def test_the_end_is_recorded_on_a_full_disk(small_disk):
    do = PASS_GATE + "signal.signal(10, lambda *_: sys.exit(7)); tell('ready')\n" + FOR_EVER
    launch = small_disk.start(do)
    seen = small_disk.event(launch, "ready")
    fill(small_disk)
    os.kill(int(seen.identifier.rpartition(":")[2]), signal.SIGUSR1)
    seen = small_disk.wait(launch, Presence.FINISHED)
    assert (seen.exit_code, seen.evidence.get("lost")) == (7, None)


def test_a_stop_works_on_a_full_disk(small_disk):
    launch = small_disk.start(PASS_GATE + FOR_EVER)
    small_disk.event(launch, "gate_passed")
    fill(small_disk)
    small_disk.infrastructure.stop(launch.key, 1)
    assert small_disk.look(launch).evidence["stopped"] is True


def test_a_gate_passed_on_a_full_disk_is_told(small_disk):
    wait = "signal.signal(10, lambda *_: None); note('ready'); signal.pause(); "
    launch = small_disk.launch(wait + PASS_GATE + FOR_EVER, start_timeout=2.0)
    launch.bootstrap["notes"] = small_disk.notes
    small_disk.infrastructure.create(launch)
    wait_until(small_disk.noted)
    fill(small_disk)
    os.kill(int(small_disk.look(launch).identifier.rpartition(":")[2]), signal.SIGUSR1)
    seen = small_disk.event(launch, "gate_passed")
    wait_until(lambda: time.time() > seen.started_at + 3)
    assert small_disk.look(launch).presence is Presence.LIVE


def test_a_launch_on_a_full_disk_is_refused_and_leaves_nothing(small_disk):
    first = small_disk.start("")
    small_disk.wait(first, Presence.FINISHED)
    fill(small_disk)
    launch = small_disk.launch("")
    with pytest.raises(InfrastructureError, match=r"state_dir: .*No space left.*Free some space"):
        small_disk.infrastructure.create(launch)
    assert small_disk.look(launch).presence is Presence.ABSENT
    assert os.listdir(os.path.join(small_disk.state_dir, "tmp")) == []


# --- memory --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_memory():
    """This process in a memory cgroup of its own, so that what it starts is in there too."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        own = next((line.rstrip().split(":", 2)[2] for line in file if ":memory:" in line), None)
    parent = f"/sys/fs/cgroup/memory{own}"
    group = os.path.join(parent, f"flowops-test-{os.getpid()}")
    try:
        os.mkdir(group)
        for name, value in (("memory.limit_in_bytes", "200M"), ("cgroup.procs", str(os.getpid()))):
            with open(os.path.join(group, name), "w", encoding="ascii") as file:
                file.write(value)
    except OSError as error:
        pytest.skip(f"NOT TESTED: the kernel's kill for memory needs a writable v1 memory cgroup: {error}")
    yield
    with open(os.path.join(parent, "cgroup.procs"), "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    wait_until(lambda: not contents_of(os.path.join(group, "cgroup.procs")))
    os.rmdir(group)


def contents_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_a_kill_for_memory_is_proven_by_the_kernels_count(small_memory, attempts):
    launch = attempts.start(PASS_GATE + "x = []\nwhile True: x.append(bytearray(b'x') * (1 << 20))")
    seen = attempts.wait(launch, Presence.FINISHED)
    assert (seen.signal, seen.evidence["oom"]) == (signal.SIGKILL, True)


# --- what it costs -------------------------------------------------------------------------------------------------


def status_of(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{name}:"))


def processor_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        words = file.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def test_it_is_small_and_sleeps_while_nothing_happens(attempts):
    launch = attempts.start(PASS_GATE + FOR_EVER, concurrency=3)
    attempts.event(launch, "gate_passed")
    supervisor = attempts.supervisor_pid(launch)
    settled = -1
    while settled != (settled := int(status_of(supervisor, "voluntary_ctxt_switches"))):
        time.sleep(0.6)
    ticks = processor_ticks(supervisor)
    time.sleep(3)
    assert processor_ticks(supervisor) == ticks
    assert int(status_of(supervisor, "voluntary_ctxt_switches")) - settled <= 1
    assert int(status_of(supervisor, "VmRSS")) <= 14 * 1024


def test_its_lock_is_held_by_nobody_else(attempts):
    launch = attempts.start(PASS_GATE + FOR_EVER)
    seen = attempts.event(launch, "gate_passed")
    engine = seen.identifier.rpartition(":")[2]
    targets = [os.readlink(f"/proc/{engine}/fd/{name}") for name in os.listdir(f"/proc/{engine}/fd")]
    assert sorted(targets) == ["/dev/null", *[os.path.realpath(attempts.path(launch, "output.log"))] * 2]


def test_it_stands_alone():
    tree = ast.parse(source_of(_supervisor))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert not [name for name in imported if name.startswith("ansible")]


def test_a_launcher_that_is_killed_before_it_sent_the_orders_starts_nothing(attempts, tmp_path):
    with open(_supervisor.__file__, encoding="utf-8") as file:
        script = tmp_path / "supervisor.py"
        script.write_text(file.read())
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", script, str(folder)], input=b'{"argv": ["/bin/tr', pass_fds=(folder,),
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        os.close(folder)
    assert done.returncode != 0
    assert done.stdout == b""


# --- records -------------------------------------------------------------------------------------------------------


def test_records_come_back_and_damage_is_seen():
    fields = {"a": 1.5, "b": "žluť", "c": {"d": None}}
    data = pack_record(fields)
    assert unpack_record(data) == fields
    assert unpack_record(blank_record()) is None
    assert len(data) == len(blank_record())
    for damaged in (b"", data[:-1], data + b" ", data.replace(b"1.5", b"1.6"), blank_record()[1:]):
        with pytest.raises(ValueError, match=r"bytes instead|not a record|checksum"):
            unpack_record(damaged)
    with pytest.raises(ValueError, match="record of"):
        pack_record({"a": "x" * 3000})


def test_events_survive_anything_between_them():
    data = (
        b'{"event": "imported"}\n\xff\xfe\n[1]\n{"event": 3}\n'
        + b"[" * 100_000
        + b'\n{"event": "recorded"}\n{"event": "c'
    )
    assert [event["event"] for event in events_of(data)] == ["imported", "recorded"]


def test_no_signal_is_lost_before_the_waiting():
    code = (
        "import os, signal, sys, time; sys.path.insert(0, sys.argv[1]); import _supervisor as s\n"
        "wakeups = s.Wakeups(); os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert signal.SIGTERM in wakeups.wait(time.monotonic() + 30)\n"
    )
    folder = os.path.dirname(_supervisor.__file__)
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=20)
