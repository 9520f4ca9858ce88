# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The small process that owns one attempt of a subprocess run, from its launch until nothing of it is left.

It runs as ``python -I -S <copy of this file>``, long after the module that started it is gone, so it imports nothing
but the standard library, and little of that: it may live for days beside every flow. The module imports it too, for
the record formats and the identity of processes that both sides have to agree on.

What it is handed: a JSON document on stdin (the environment with its secrets never touches a file or an argv), the
attempt's directory, opened and locked, as a descriptor, a pipe for its one word "up" as stdout, its log as stderr.

On macOS there is no subreaper and no ``/proc``: there only the engine's process group is stopped, and what left the
group is not found.
"""

from __future__ import annotations

import binascii
import errno
import fcntl
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # known to type checkers by its name; saves importing typing into every supervisor
if TYPE_CHECKING:
    import typing as t

    Fields = dict[str, t.Any]

# --- what the supervisor and the module agree on -------------------------------------------------------------------

RECORD_SIZE = 2048
TOKEN_VARIABLE = "FLOWOPS_ATTEMPT_TOKEN"  # noqa: S105 - a name

ENGINE_RECORD = "engine.json"
EXIT_RECORD = "exit"
STOP_RECORD = "stop"
DROPPED_RECORD = "dropped"
RECORDS = (ENGINE_RECORD, EXIT_RECORD, STOP_RECORD, DROPPED_RECORD)
PROGRESS_FILE = "progress.jsonl"
OUTPUT_FILE = "output.log"

STAGE_SLOT = "waiting for a slot"
STAGE_NOT_NOW = "waiting for the server"
STAGE_RUNNING = "running"
STAGE_STOPPING = "stopping"
STAGE_LEFTOVERS = "clearing leftovers"

EXIT_NOT_NOW = 75
OUTPUT_HEAD = 64 * 1024

_UNWRITTEN = b" " * (RECORD_SIZE - 1) + b"\n"


def pack_record(fields: Fields) -> bytes:
    """A record of fixed size, so that it can be overwritten in place on a full disk; its checksum shows torn ones."""
    body = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    text = f'{{"crc":"{binascii.crc32(body.encode()):08x}","record":{body}}}'.encode()
    if len(text) >= RECORD_SIZE:
        raise ValueError(f"record of {len(text)} bytes")
    return text.ljust(RECORD_SIZE - 1) + b"\n"


def blank_record() -> bytes:
    """A record that nobody has written yet. Takes its place on the disk already."""
    return _UNWRITTEN


def unpack_record(data: bytes) -> Fields | None:
    """The fields of a record, ``None`` for one that was never written.

    :raises ValueError: damaged.
    """
    if len(data) != RECORD_SIZE:
        raise ValueError(f"{len(data)} bytes instead of {RECORD_SIZE}")
    if data == _UNWRITTEN:
        return None
    try:
        document = json.loads(data)
        fields = document["record"]
        body = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        intact = document["crc"] == f"{binascii.crc32(body.encode()):08x}"
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a record") from error
    if not intact or not isinstance(fields, dict):
        raise ValueError("checksum does not match")
    return fields


def last_event(data: bytes) -> Fields | None:
    """The last complete and sensible line of the bootstrap's progress file."""
    events = events_of(data)
    return events[-1] if events else None


def events_of(data: bytes) -> list[Fields]:
    """The complete and sensible lines of the bootstrap's progress file. It is the flow's to write: trust nothing."""
    events = []
    for line in data.split(b"\n")[:-1]:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
    return events


def boot_id() -> str:
    """Differs after every start of the host, so that a recorded pid of an earlier life is known for one."""
    if sys.platform == "darwin":
        return _command_output(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"])
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def pid_namespace() -> int:
    """Inode of the namespace in which our pids mean something; 0 where there are none."""
    if sys.platform == "darwin":
        return 0
    return os.stat("/proc/self/ns/pid").st_ino


def _command_output(argv: list[str]) -> str:
    import subprocess  # only on macOS, and too big for a supervisor elsewhere

    # pylint: disable-next=ansible-bad-function  # stands alone: there is no module here to run it
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10).stdout.strip()


def process_status(pid: int) -> tuple[str, int, str] | None:
    """(state letter, parent's pid, start time) of a process, ``None`` where there is none."""
    if sys.platform == "darwin":
        words = _command_output(["/bin/ps", "-o", "state=,ppid=,lstart=", "-p", str(pid)]).split(None, 2)
        return (words[0][0], int(words[1]), words[2]) if len(words) == 3 else None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return None
    return words[0], int(words[1]), words[19]


def identify(pid: int) -> Fields:
    """What tells this process from every other, before and after it."""
    status = process_status(pid)
    return {
        "pid": pid,
        "start": status[2] if status else "",
        "boot": boot_id(),
        "pidns": pid_namespace(),
    }


def is_alive(identity: Fields) -> bool | None:
    """Whether that very process still runs; ``None`` where it cannot be told from here."""
    if identity["boot"] != boot_id():
        return False
    if identity["pidns"] != pid_namespace():
        return None
    status = process_status(identity["pid"])
    return status is not None and status[2] == identity["start"] and status[0] not in "ZX"


def signal_process(pid: int, start: str, number: int) -> bool:
    """Signal a process if it is still the one that started then. :returns: whether it is still there."""
    try:
        descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
    except ProcessLookupError:
        return False
    except OSError:  # a kernel without pidfd
        descriptor = -1
    try:
        status = process_status(pid)
        if status is None or status[2] != start:
            return False
        if descriptor < 0:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it became another user's; whoever waits for its end will see
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def all_processes() -> dict[int, tuple[str, int, str]]:
    """Every process that can be seen: pid → status."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            status = process_status(int(name))
            if status is not None:
                found[int(name)] = status
    return found


def descendants(roots: t.Iterable[int], processes: dict[int, tuple[str, int, str]]) -> set[int]:
    """Pids of everything below the roots, without them."""
    children: dict[int, list[int]] = {}
    for pid, status in processes.items():
        children.setdefault(status[1], []).append(pid)
    found: set[int] = set()
    front = list(roots)
    while front:
        for child in children.get(front.pop(), ()):
            if child not in found:
                found.add(child)
                front.append(child)
    return found


# --- the supervisor ------------------------------------------------------------------------------------------------

LOOK_FASTEST = 0.25
LOOK_SLOWEST = 2.0
LOOK_WHEN_NOTIFIED = 30.0
SLOT_INTERVAL = 0.2
LEFTOVER_GRACE = 3.0
RETRY_AFTER = 15.0
RETRY_AFTER_MOST = 600.0
PROGRESS_READ_MOST = 64 * 1024
PROGRESS_RESERVE = 16 * 1024
FOR_EVER = float("inf")

_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_KEEP_SIZE = 1
_FALLOC_PUNCH_HOLE = 2


class StopRequested(Exception):
    """We were told to stop while nothing ran yet."""


class Record:
    """One preallocated record of this attempt, held open so that not even a lack of descriptors can lose it."""

    def __init__(self, directory: int, name: str) -> None:
        self._descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)

    def write(self, fields: Fields) -> None:
        """Durable when it returns."""
        os.pwrite(self._descriptor, pack_record(fields), 0)
        os.fsync(self._descriptor)

    def read(self) -> Fields | None:
        """What somebody else wrote, ``None`` if nobody did or it is damaged."""
        try:
            return unpack_record(os.pread(self._descriptor, RECORD_SIZE + 1, 0))
        except ValueError:
            return None


class Wakeups:
    """Blocks until a deadline or a signal, whichever comes first; nothing is polled and no signal is missed."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGIO):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def wait(self, deadline: float) -> bytes:
        """The numbers of the signals that came (0: :meth:`wake` was called), empty at the deadline."""
        left = deadline - time.monotonic()
        # Rounded up: waking a little early would spin. A day at most: poll() counts milliseconds in an int.
        self._poll.poll(None if left == FOR_EVER else min(max(0, int(left * 1000) + 1), 86_400_000))
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def wake(self) -> None:
        """From another thread."""
        os.write(self._writer, b"\0")


class Output:
    """Keeps the engine's output below its limit. The engine writes the file itself, so it never waits for us."""

    def __init__(self, directory: int, limit: int) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.descriptor = os.open(OUTPUT_FILE, flags, 0o600, dir_fd=directory)
        self._limit = limit
        self._record = Record(directory, DROPPED_RECORD)
        self._dropped = self._record.read() or {"base": 0, "start": 0, "end": 0}
        self._punches = self._dropped["base"] == 0

    def size(self) -> int:
        """Bytes that the file seems to have; those dropped count."""
        return os.fstat(self.descriptor).st_size

    def trim(self) -> None:
        """Drop the middle of what is too much: the beginning and the latest are what people need."""
        size = self.size()
        kept = size - max(0, self._dropped["end"] - self._dropped["start"]) if self._punches else size
        if kept <= self._limit:
            return
        if self._punches:
            self._punch(size)
        else:
            self._truncate(size)

    def _punch(self, size: int) -> None:
        start = min(OUTPUT_HEAD, self._limit // 4) & ~4095
        end = (size - self._limit // 2) & ~4095
        before = self._dropped
        if end <= max(start, before["end"]):
            return  # less than a block
        self._remember(before["base"], start, end)  # before the hole: a reader must never take it for output
        if not allocate(self.descriptor, _FALLOC_PUNCH_HOLE | _FALLOC_KEEP_SIZE, start, end - start):
            self._punches = False
            self._remember(before["base"], before["start"], before["end"])
            self._truncate(size)

    def _truncate(self, size: int) -> None:
        base = self._dropped["base"] + size
        self._remember(base, 0, base)
        os.ftruncate(self.descriptor, 0)

    def _remember(self, base: int, start: int, end: int) -> None:
        self._dropped = {"base": base, "start": start, "end": end}
        self._record.write(self._dropped)


def allocate(descriptor: int, mode: int, start: int, length: int) -> bool:
    """Take or give back the disk space of a range (Linux's ``fallocate``). :returns: whether that is possible here."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate64
    except AttributeError:
        return False
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(call(descriptor, mode, start, length) == 0)


class Lookout:
    """When to look at the files that the engine writes: often while they grow, hardly ever while they do not.

    Linux can tell about changes in a directory by a signal, without the inotify instances that users have just 128 of.
    """

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._interval = LOOK_FASTEST
        self._last = time.monotonic()
        self.next = self._last

    def looked(self, changed: bool) -> None:
        """Plan the next look."""
        self._last = time.monotonic()
        if changed:
            self._interval = LOOK_FASTEST
        elif self.ask_to_be_told():
            self._interval = LOOK_WHEN_NOTIFIED
        else:
            self._interval = min(LOOK_SLOWEST, self._interval * 2)
        self.next = self._last + self._interval

    def told(self) -> None:
        """Something changed; look soon, but not for every single line."""
        self.next = min(self.next, self._last + LOOK_FASTEST)

    def ask_to_be_told(self) -> bool:
        """One signal at the next change. :returns: whether that works here."""
        try:
            fcntl.fcntl(self._directory, fcntl.F_NOTIFY, fcntl.DN_MODIFY)
        except (AttributeError, OSError):
            return False
        return True


class Progress:
    """What the bootstrap tells about this start of the engine; what it told about earlier ones is skipped."""

    def __init__(self, directory: int) -> None:
        self._descriptor = os.open(PROGRESS_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        self._skip = 0
        # On a full disk a passed gate could not be told, and its engine would be stopped for not starting in time.
        allocate(self._descriptor, _FALLOC_KEEP_SIZE, 0, PROGRESS_RESERVE)

    def begin(self) -> None:
        """A new start of the engine."""
        self._skip = self.size()

    def size(self) -> int:
        """Grows with every event."""
        return os.fstat(self._descriptor).st_size

    def events(self) -> list[Fields]:
        """All events of this start."""
        return events_of(os.pread(self._descriptor, PROGRESS_READ_MOST, self._skip))


def retry_delay(events: list[Fields]) -> float:
    """Seconds until the server may be asked again; spread, since many may have been told the same."""
    wanted = events[-1].get("retry_after") if events else None
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)) or not 0 <= wanted <= RETRY_AFTER_MOST:
        wanted = RETRY_AFTER
    return float(wanted) * (1 + os.urandom(1)[0] / 1024)


def oom_kills() -> int | None:
    """How often the kernel killed something in our memory cgroup for lack of memory; ``None`` if it does not say."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            own = {kind: path for _number, kind, path in (line.rstrip("\n").split(":", 2) for line in file)}
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            mounts = [line.split() for line in file]
    except (OSError, ValueError):
        return None
    for words in mounts:
        kind, options = words[words.index("-") + 1], words[-1].split(",")
        if kind == "cgroup2" and "" in own:
            count = _oom_count(_below(words, own[""]) + "/memory.events")
        elif kind == "cgroup" and "memory" in options:
            path = next((own[kinds] for kinds in own if "memory" in kinds.split(",")), None)
            count = None if path is None else _oom_count(_below(words, path) + "/memory.oom_control")
        else:
            continue
        if count is not None:
            return count
    return None


def _below(mount: list[str], path: str) -> str:
    """Where a cgroup is to be found below a mount that may show a part of the hierarchy only."""
    root = mount[3].rstrip("/")
    return mount[4] + path.removeprefix(root).rstrip("/")


def _oom_count(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[0] == "oom_kill":
                    return int(words[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


class Child:
    """An engine that exists and does nothing until it is released."""

    def __init__(self, pid: int, gate: int, failure: int) -> None:
        self.pid = pid
        self._gate = gate
        self._failure = failure

    def release(self) -> str:
        """Let it go. :returns: why it could not be executed, empty if it could."""
        os.write(self._gate, b"go")
        os.close(self._gate)
        with os.fdopen(self._failure, "rb") as file:
            return file.read(1000).decode("utf-8", "replace")


def execute(task: Fields, output: int) -> Child:
    """Fork a child that waits to be released and then executes the engine. Everything else of ours closes by itself."""
    gate_reader, gate_writer = os.pipe()
    failure_reader, failure_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(gate_writer)
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGIO, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            if os.read(gate_reader, 2) != b"go":
                os._exit(1)  # the supervisor died before the record was durable: nobody must run unrecorded
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.umask(task["umask"])
            os.chdir(task["working_directory"])
            os.execve(task["argv"][0], task["argv"], task["environment"])  # noqa: S606
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent says so
            os.write(failure_writer, str(error).encode("utf-8", "replace")[:1000])
        finally:
            os._exit(127)
    os.close(gate_reader)
    os.close(failure_writer)
    return Child(pid, gate_writer, failure_reader)


class Supervisor:
    """One attempt: wait for a slot, start the engine, watch it, clear what it leaves, say how it ended.

    :arg task: the document that the module sent.
    :arg directory: the attempt's directory, locked as long as we live.
    :arg start: makes the engine (:func:`execute`, or something that has Prefect imported already).
    """

    def __init__(self, task: Fields, directory: int, start: t.Callable[[Fields, int], Child]) -> None:
        self.task = task
        self.directory = directory
        self.start = start
        self.wakeups = Wakeups()
        self._engine_record = Record(directory, ENGINE_RECORD)
        self.exit_record = Record(directory, EXIT_RECORD)
        self._stop_record = Record(directory, STOP_RECORD)
        self.output = Output(directory, task["output_limit"])
        self.progress = Progress(directory)
        self.lookout = Lookout(directory)
        self.engine: Fields = {"supervisor": identify(os.getpid()), "starts": 0}
        self.told_to_stop = False
        self._slot = -1

    def announce(self) -> None:
        """From now on a reader knows whom to tell."""
        before = self._engine_record.read() or {}
        self.engine["starts"] = before.get("starts", 0)
        self.set_stage(STAGE_SLOT, engine=None)

    def run(self) -> None:
        """To the end."""
        try:
            while True:
                self._take_slot()
                delay = Run(self).watch()
                if delay is None:
                    return
                self._give_slot_back()
                self.set_stage(STAGE_NOT_NOW, engine=None, retry_at=time.time() + delay)
                self._sleep(time.monotonic() + delay)
                self.set_stage(STAGE_SLOT, engine=None)
        except StopRequested:
            self.exit_record.write(
                {"state": "finished", "finished_at": time.time(), "stopped": self.stop_grace() is not None}
            )

    def set_stage(self, stage: str, **fields: t.Any) -> None:
        """Tell readers, durably, what we do now."""
        self.engine.pop("retry_at", None)
        self.engine.update(fields, stage=stage)
        self._engine_record.write(self.engine)

    def stop_grace(self) -> float | None:
        """Seconds that the module's request to stop gives; ``None`` if it made none."""
        request = self._stop_record.read()
        grace = request.get("grace") if request else None
        return float(grace) if isinstance(grace, (int, float)) else None

    def _sleep(self, deadline: float) -> None:
        """Until the deadline or :meth:`Wakeups.wake`.

        :raises StopRequested: we were told to.
        """
        while True:
            signals = self.wakeups.wait(deadline)
            if signal.SIGTERM in signals:
                self.told_to_stop = True
                raise StopRequested
            if 0 in signals or time.monotonic() >= deadline:
                return

    def _take_slot(self) -> None:
        """Wait in a queue of the host, so that of all that wait only the first one looks for a free slot."""
        limit = self.task["concurrency"]
        if limit is None:
            self._sleep(0)
            return
        queue = self._open_lock(f"queue-{limit}")
        self._wait_for_lock(queue)
        while not self._find_slot(limit):
            self._sleep(time.monotonic() + SLOT_INTERVAL)
        os.close(queue)
        self._sleep(0)

    def _find_slot(self, limit: int) -> bool:
        for number in range(limit):
            slot = self._open_lock(f"slot-{number}")
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(slot)
                continue
            self._slot = slot
            return True
        return False

    def _give_slot_back(self) -> None:
        if self._slot >= 0:
            os.close(self._slot)
            self._slot = -1

    def _open_lock(self, name: str) -> int:
        path = os.path.join(self.task["slots"], name)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _wait_for_lock(self, descriptor: int) -> None:
        """In a thread of its own: a signal that comes just before a blocking flock would be slept through."""
        import _thread

        def wait() -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.wakeups.wake()

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _thread.start_new_thread(wait, ())
            self._sleep(FOR_EVER)


class Run:
    """One start of the engine, until nothing of it is left."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._own = supervisor
        self._task = supervisor.task
        self._progress = supervisor.progress
        self._sizes = (-1, -1)
        self._oom_kills = oom_kills()
        self._gate_passed = False
        self._timed_out = ""
        self._deadline = FOR_EVER
        self._kill_at = FOR_EVER
        self._kill_pause = 0.0
        self._killed = False
        self._status: int | None = None
        self._ended_at = 0.0
        self._failure = ""
        self._exit: Fields = {}
        self._pid = 0

    def watch(self) -> float | None:
        """Start it and see it end. :returns: seconds until it is to be started again, ``None`` for never."""
        self._progress.begin()
        self._launch()
        while self._reap():
            if self._status is not None and self._kill_at == FOR_EVER:
                self._clear_leftovers()
            self._look()
            self._mind_the_clock()
            self._take_signals(self._own.wakeups.wait(min(self._own.lookout.next, self._deadline, self._kill_at)))
        if self._is_not_now():
            return retry_delay(self._progress.events())
        self._own.output.trim()
        self._own.exit_record.write({**self._how_it_ended(), "state": "finished", "finished_at": time.time()})
        return None

    def _launch(self) -> None:
        child = self._own.start(self._task, self._own.output.descriptor)
        self._pid = child.pid
        self._own.engine["starts"] += 1
        self._own.set_stage(STAGE_RUNNING, engine=identify(child.pid), started=time.time())
        self._failure = child.release()
        self._deadline = time.monotonic() + self._task["start_timeout"]
        self._own.lookout.told()

    def _reap(self) -> bool:
        """Collect the dead. :returns: whether something is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._pid:
                self._engine_ended(status)

    def _engine_ended(self, status: int) -> None:
        self._status = status
        self._ended_at = time.time()
        self._see_events()
        self._deadline = FOR_EVER

    def _clear_leftovers(self) -> None:
        """The engine is gone, something that it started is not."""
        if not self._is_not_now():
            self._own.exit_record.write({**self._how_it_ended(), "state": "exited"})  # at once: this may take a while
        self._end(LEFTOVER_GRACE, STAGE_LEFTOVERS)

    def _is_not_now(self) -> bool:
        """The server said "later" and the flow's body cannot have run."""
        return (
            self._status is not None
            and os.WIFEXITED(self._status)
            and os.WEXITSTATUS(self._status) == EXIT_NOT_NOW
            and not (self._gate_passed or self._timed_out or self._own.told_to_stop)
        )

    def _how_it_ended(self) -> Fields:
        if not self._exit:
            self._exit = self._describe(self._status or 0)
        return self._exit

    def _describe(self, status: int) -> Fields:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        fields: Fields = {
            "exit_code": None if number or self._failure else os.WEXITSTATUS(status),
            "signal": number,
            "engine_finished_at": self._ended_at,
            "oom": self._oom(status),
            "stopped": self._own.stop_grace() is not None,
            "terminated": self._own.told_to_stop,
        }
        if self._timed_out:
            fields["timed_out"] = self._timed_out
        if self._failure:
            fields["exec_failed"] = self._failure[:200]
        return fields

    def _oom(self, status: int) -> bool | None:
        """Proven by the kernel's own count; a SIGKILL that nobody can account for stays open."""
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        wrapped = os.WIFEXITED(status) and os.WEXITSTATUS(status) in (128 + signal.SIGKILL, 256 - signal.SIGKILL)
        if self._killed or not (killed or wrapped):
            return False
        now = oom_kills()
        if now is not None and self._oom_kills is not None and now > self._oom_kills:
            return True
        return None if killed else False

    def _look(self) -> None:
        lookout = self._own.lookout
        if time.monotonic() < lookout.next:
            return
        sizes = (self._own.output.size(), self._progress.size())
        changed = sizes != self._sizes
        self._sizes = sizes
        lookout.looked(changed)
        if changed:
            self._own.output.trim()
            self._see_events()

    def _see_events(self) -> None:
        if self._gate_passed or not any(event["event"] == "gate_passed" for event in self._progress.events()):
            return
        self._gate_passed = True
        limit = self._task["run_timeout"]
        self._deadline = FOR_EVER if limit is None else time.monotonic() + limit

    def _mind_the_clock(self) -> None:
        if time.monotonic() >= self._deadline:
            self._see_events()  # the gate may have been passed since the last look
        if time.monotonic() >= self._deadline:
            self._timed_out = "run" if self._gate_passed else "start"
            self._deadline = FOR_EVER
            self._end(self._task["stop_grace"], STAGE_STOPPING)
        if time.monotonic() >= self._kill_at:
            self._kill()

    def _take_signals(self, signals: bytes) -> None:
        if signal.SIGIO in signals:
            self._own.lookout.told()
        if signal.SIGTERM in signals:
            self._own.told_to_stop = True
            grace = self._own.stop_grace()
            self._end(self._task["stop_grace"] if grace is None else grace, STAGE_STOPPING)
        if signal.SIGCHLD in signals and self._killed:
            self._kill_at = 0  # what forks as fast as it is killed must not get a pause

    def _end(self, grace: float, stage: str) -> None:
        """Ask everything to end, and set the time at which asking is over. A second request can only shorten it."""
        self._kill_at = min(self._kill_at, time.monotonic() + grace)
        if self._own.engine["stage"] != stage and not self._killed:
            self._own.set_stage(stage)
        self._signal_all(signal.SIGTERM)
        self._signal_all(signal.SIGCONT)  # a stopped process does not see SIGTERM

    def _kill(self) -> None:
        self._killed = True
        self._signal_all(signal.SIGKILL)
        self._kill_pause = min(1.0, self._kill_pause * 1.5 + 0.01)
        self._kill_at = time.monotonic() + self._kill_pause

    def _signal_all(self, number: int) -> None:
        """To everything that the engine started, wherever it went: as a subreaper we are its ancestor for good."""
        if sys.platform == "darwin":
            try:
                os.killpg(self._pid, number)
            except (ProcessLookupError, PermissionError):
                pass
            return
        processes = all_processes()
        for pid in descendants([os.getpid()], processes):
            signal_process(pid, processes[pid][2], number)


def detach() -> None:
    """Leave the session and the family of the module that started us."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def say(message: Fields) -> None:
    """The one word that the module waits for; it may be dead by now, which changes nothing."""
    try:
        os.write(1, json.dumps(message).encode())
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
    os.dup2(0, 1)


def main() -> None:
    """Started by the module with the number of the locked directory's descriptor as the only argument."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    directory = int(sys.argv[1])
    os.set_inheritable(directory, False)
    with os.fdopen(0, "rb", closefd=False) as file:
        task = json.load(file)
    detach()
    try:
        supervisor = Supervisor(task, directory, execute)
        supervisor.announce()
    except OSError as error:
        say({"error": str(error), "errno": error.errno})
        raise
    say({"up": True})
    supervisor.run()
    os._exit(0)  # not waiting for a thread that may still wait for the queue


if __name__ == "__main__":
    main()
