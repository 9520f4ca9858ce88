# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Runs attempts as processes of this host, each under a supervisor of its own (see ``_supervisor``).

What is known of an attempt lies in ``<state_dir>/runs/<flow run id>-<number>/``. The lock of that directory belongs to
whoever launches the attempt and then to its supervisor, as long as that lives: a free lock without a recorded engine
proves that nothing was ever started, however slow or dead a launcher may be.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import typing as t
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    InfrastructureError,
    NameCollision,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_attempt import (
    SPEC_FILE,
    AttemptDirectory,
    Look,
    identity_in,
    integer_in,
    look,
    observe,
    text_in,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_interpreter import (
    absolute_path,
    base_environment,
    check_environment,
    check_interpreter,
    resolve_interpreter,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_logout import logout_warning
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_orphans import (
    stop_orphans,
    tokens_alive,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_output import (
    OutputReader,
    parse_cursor,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_records import (
    LocalRecords,
    records_path,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._own_source import source_of
from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import (
    DamagedError,
    StateDirectory,
    create_file,
    explained,
    open_directory,
    overwrite_file,
    read_file,
    real_path,
    replace_file,
    source_name,
)
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import (
    ENGINE_RECORD,
    EXIT_RECORD,
    OUTPUT_FILE,
    PROGRESS_FILE,
    RECORDS,
    STOP_RECORD,
    TOKEN_VARIABLE,
    blank_record,
    boot_id,
    is_alive,
    pack_record,
    pid_namespace,
    signal_process,
)
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._task import Task

BOOTSTRAP_VARIABLE = "FLOWOPS_BOOTSTRAP"
DEFAULT_OUTPUT_LIMIT = 16 * 1024 * 1024
MASK = "********"

_SUPERVISOR_LOG = "supervisor.log"
_WORK = "work"
_LOCK_PATIENCE = 0.3
_HANDSHAKE_TIMEOUT = 60.0
_STOP_PATIENCE = 45.0
_WAIT_INTERVAL = 0.2
_ATTEMPT_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([1-9][0-9]{0,8})")


def process_infrastructure(task: Task, look_only: bool) -> ProcessInfrastructure:
    """Set up from a task's options; with ``look_only`` (check mode) not even the state directory is made."""
    state_dirs = {request.settings.get("state_dir") for request in task.requests} or {None}
    if len(state_dirs) > 1:
        raise SettingsError("state_dir: it differs between the runs of one task.", "Use one task for each state_dir.")
    return ProcessInfrastructure(state_dirs.pop(), look_only=look_only)


def canonical_id(flow_run_id: str) -> str:
    """A flow run's id that is safe in a path. :raises SettingsError: it is no UUID."""
    try:
        return str(uuid.UUID(flow_run_id))
    except (ValueError, AttributeError, TypeError):
        raise SettingsError(
            f"flow_run_id: {str(flow_run_id)[:60]!r} is not a UUID.", "Give the id of a flow run."
        ) from None


class ProcessInfrastructure(Infrastructure):
    """Attempts as processes of this host and this user.

    :arg state_dir: where their state is kept; ``None`` for the user's default.
    :arg inherited: the environment that engines get the harmless part of; by default the module's own.
    :arg look_only: change nothing on the host.
    :arg bootstrap_source: the script that starts the engine, when it is not the collection's own.
    """

    type: t.ClassVar[str] = "subprocess"
    bootstrap_claims: t.ClassVar[bool] = True

    def __init__(
        self,
        state_dir: str | None = None,
        inherited: t.Mapping[str, str] | None = None,
        bootstrap_source: bytes | None = None,
        look_only: bool = False,
    ) -> None:
        self._state_dir = state_dir
        self._look_only = look_only
        self._inherited = dict(os.environ if inherited is None else inherited)
        self._bootstrap_source = bootstrap_source
        self._hostname = socket.gethostname()
        self._opened: StateDirectory | None = None
        self._seen: dict[AttemptKey, t.Any] = {}

    def close(self) -> None:
        """Give the descriptors of the state directory back; the next use opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # --- looking -------------------------------------------------------------------------------------------------

    @property
    def locus(self) -> str:
        """Host, user and state directory. The latter by an id that it keeps: device numbers change with a reboot."""
        state = self._existing_state() if self._look_only else self._state()
        if state is None:
            return f"process/{self._hostname}/{os.geteuid()}/no state directory yet"
        place = f"{_machine_id()}\n{state.path}\n{state.identity()}"
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return f"process/{self._hostname}/{os.geteuid()}/{digest}"

    def find(self, flow_run_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        """One listing for all runs, and one walk through the processes if a supervisor was killed."""
        wanted = {canonical_id(flow_run_id) for flow_run_id in flow_run_ids}
        state = self._existing_state()
        if state is None:
            return {}
        return self._look_at(state, [key for key in _attempts(state) if key.flow_run_id in wanted])

    def list_attempts(self) -> dict[AttemptKey, Observation]:
        """See :meth:`Infrastructure.list_attempts`."""
        state = self._existing_state()
        return {} if state is None else self._look_at(state, list(_attempts(state)))

    def may_hold(self, identifier: str) -> bool:
        """See :meth:`Infrastructure.may_hold`."""
        return identifier.startswith(f"{self._hostname}:")

    def _look_at(self, state: StateDirectory, keys: t.Sequence[AttemptKey]) -> dict[AttemptKey, Observation]:
        for key in keys:
            self._seen[key] = {**self._seen.get(key, {}), "signature": self._signature(state, key)}
        looks = [found for key in keys if (found := look(state, key)) is not None]
        living = tokens_alive({found.token for found in looks if found.is_orphaned and found.token})
        return {found.key: observe(found, living, self._hostname) for found in looks}

    def _observe(self, state: StateDirectory, key: AttemptKey) -> tuple[Look, Observation] | None:
        found = look(state, key)
        if found is None:
            return None
        living = tokens_alive({found.token}) if found.is_orphaned and found.token else set()
        return found, observe(found, living, self._hostname)

    def _state(self) -> StateDirectory:
        state = self._existing_state()
        if state is None:
            _require_platform()
            state = self._opened = StateDirectory.create(self._state_dir)
        return state

    def _existing_state(self) -> StateDirectory | None:
        """For what changes nothing: where there is no directory there are no attempts."""
        if self._opened is None:
            self._opened = StateDirectory.open(self._state_dir)
        return self._opened

    def records(self) -> LocalRecords:
        """See :meth:`Infrastructure.records`."""
        return LocalRecords(self._existing_state if self._look_only else self._state)

    def warnings(self) -> list[str]:
        """See :meth:`Infrastructure.warnings`."""
        return [warning] if (warning := logout_warning()) else []

    # --- creating ------------------------------------------------------------------------------------------------

    def preflight(self, settings: dict[str, t.Any], server_version: str) -> None:
        """See :meth:`Infrastructure.preflight`."""
        _require_platform()
        StateDirectory.check(self._state_dir)
        _working_directory(settings)
        environment = settings.get("env") or {}
        extra = {name: value for name, value in environment.items() if isinstance(value, str)}
        check_interpreter(resolve_interpreter(settings), self._inherited, extra, server_version)

    def preview(self, launch: Launch) -> dict[str, t.Any]:
        """See :meth:`Infrastructure.preview`."""
        path = self._opened.path if self._opened else real_path(self._state_dir)
        script = os.path.join(path, "lib", source_name(self._source_of_bootstrap()))
        environment = self._environment(launch, path)
        masked = {*launch.secret_environment, BOOTSTRAP_VARIABLE, TOKEN_VARIABLE}
        return {
            "argv": [*resolve_interpreter(launch.settings).command, script],
            "environment": {name: MASK if name in masked else value for name, value in sorted(environment.items())},
            "working_directory": _working_directory(launch.settings) or os.path.join(_path(path, launch.key), _WORK),
            "name": launch.key.name,
            "state_directory": path,
        }

    def create(self, launch: Launch) -> bool:
        """See :meth:`Infrastructure.create`."""
        if canonical_id(launch.key.flow_run_id) != launch.key.flow_run_id or launch.key.number < 1:
            raise SettingsError(f"flow_run_id: {launch.key.name[:60]!r} is not canonical.", "Give a dashed UUID.")
        state = self._state()
        task, spec = self._task(state, launch)
        if launch.local_records:
            self.records().prepare(launch.key.flow_run_id)
        with explained(state.path):
            state.sweep()
            directory = self._acquire(state, launch, spec)
            if directory is None:
                return False
            with directory:
                self._supervise(state, directory, task)
        return True

    def _task(self, state: StateDirectory, launch: Launch) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """The supervisor's orders, with the secrets, and what of them is written down, without."""
        interpreter = resolve_interpreter(launch.settings)
        environment = self._environment(launch, state.path)
        check_environment(environment)
        attempt = _path(state.path, launch.key)
        limit = int(launch.settings.get("output_limit") or DEFAULT_OUTPUT_LIMIT)
        common = {
            "argv": [*interpreter.command, state.keep_source(self._source_of_bootstrap())],
            "working_directory": _working_directory(launch.settings) or os.path.join(attempt, _WORK),
            "output_limit": limit,
            "concurrency": launch.concurrency,
            "start_timeout": launch.start_timeout,
            "run_timeout": launch.run_timeout,
            "stop_grace": launch.stop_grace,
        }
        task = {**common, "environment": environment, "umask": _umask(), "slots": os.path.join(state.path, "slots")}
        spec = {
            **common,
            "token": launch.token,
            "spec_hash": launch.spec_hash,
            "api_url": launch.api_url,
            "flow_run_name": launch.flow_run_name,
            "created": time.time(),
            "host": self._hostname,
            "environment_names": sorted(environment),
        }
        return task, spec

    def _environment(self, launch: Launch, state_path: str) -> dict[str, str]:
        environment = base_environment(self._inherited)
        resolve_interpreter(launch.settings).activate(environment)
        environment["PYTHONUNBUFFERED"] = "1"
        for name in launch.unset_environment:
            environment.pop(name, None)
        environment.update(launch.environment)
        environment.update(launch.secret_environment)
        for name in launch.unset_environment:
            environment.pop(name, None)
        document = {
            **launch.bootstrap,
            "progress": os.path.join(_path(state_path, launch.key), PROGRESS_FILE),
            "infrastructure_pid_prefix": f"{self._hostname}:",
        }
        if launch.local_records:
            document["records"] = records_path(state_path, launch.key.flow_run_id)
        environment[BOOTSTRAP_VARIABLE] = json.dumps(document)
        environment[TOKEN_VARIABLE] = launch.token
        return environment

    def _source_of_bootstrap(self) -> bytes:
        if self._bootstrap_source is None:
            from ansible_collections.flowops.prefect.plugins.module_utils import _bootstrap

            self._bootstrap_source = source_of(_bootstrap).encode()
        return self._bootstrap_source

    def _acquire(self, state: StateDirectory, launch: Launch, spec: dict[str, t.Any]) -> AttemptDirectory | None:
        """The attempt's directory, locked and ready to be supervised; ``None`` if it is somebody else's to start."""
        while True:
            directory = AttemptDirectory.open(state, launch.key)
            if directory is None:
                directory = _make_attempt(state, launch.key, spec)
                if directory is not None:
                    return directory
                continue
            if not directory.lock(_LOCK_PATIENCE):
                directory.close()
                return None
            if not directory.is_current(state):  # removed between being opened and being locked
                directory.close()
                continue
            if not _is_startable(state, directory, launch.token):
                directory.close()
                return None
            replace_file(directory.descriptor, SPEC_FILE, _json(spec))
            return directory

    def _supervise(self, state: StateDirectory, directory: AttemptDirectory, task: dict[str, t.Any]) -> None:
        """Start the supervisor, hand it the lock, and wait for its word that it has taken over."""
        from ansible_collections.flowops.prefect.plugins.module_utils import _supervisor

        state.folder("slots")
        script = state.keep_source(source_of(_supervisor).encode())
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(_SUPERVISOR_LOG, flags, 0o600, dir_fd=directory.descriptor)
        # Interpreters that do not come with the system may need this to find their own library.
        environment = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
        try:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # outlives the module
                [sys.executable, "-I", "-S", "-X", "utf8", script, str(directory.descriptor), directory.key.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(directory.descriptor,),
                cwd="/",
                env=environment,
            )
        except OSError as error:
            raise InfrastructureError(
                f"the supervisor of {directory.key.name} cannot be started: {error.strerror}.",
                "See whether the user's limit of processes or the host's memory is used up.",
            ) from error
        finally:
            os.close(log)
        try:
            answer = process.communicate(_json(task), timeout=_HANDSHAKE_TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            answer = b'{"error": "it did not answer in time"}'
        _check_answer(directory, answer)

    # --- ending --------------------------------------------------------------------------------------------------

    def stop(self, key: AttemptKey, grace: float) -> None:
        """See :meth:`Infrastructure.stop`."""
        state = self._existing_state()
        deadline = time.monotonic() + grace + _STOP_PATIENCE
        told: set[int] = set()
        while state is not None:
            seen = self._observe(state, key)
            if seen is None or not seen[1].may_run:
                return
            found = seen[0]
            if found.damage or seen[1].presence is Presence.UNKNOWN:
                why = found.damage or str(seen[1].evidence.get("unknown", ""))
                raise InfrastructureError(f"{key.name} cannot be stopped: {why}.", f"See {_path(state.path, key)}.")
            if not found.locked:
                self._request_stop(state, key, grace)
                stop_orphans(found.token, found.engine, max(0.0, grace))
            elif found.supervisor is not None and found.supervisor["pid"] not in told:
                self._request_stop(state, key, grace)
                _tell_supervisor(found)
                told.add(found.supervisor["pid"])
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"{key.name} does not end although it was told to and then killed.",
                    f"See {_path(state.path, key)}/{_SUPERVISOR_LOG} and the processes below the supervisor.",
                )
            time.sleep(0.05)

    @staticmethod
    def _request_stop(state: StateDirectory, key: AttemptKey, grace: float) -> None:
        directory = AttemptDirectory.open(state, key)
        if directory is None:
            return
        with directory, explained(f"{_path(state.path, key)}/{STOP_RECORD}"):
            try:
                overwrite_file(directory.descriptor, STOP_RECORD, pack_record({"grace": grace, "at": time.time()}))
            except DamagedError as problem:
                raise InfrastructureError(f"{key.name}: {problem}.", f"See {_path(state.path, key)}.") from problem

    def remove(self, key: AttemptKey) -> bool:
        """See :meth:`Infrastructure.remove`."""
        state = self._existing_state()
        directory = AttemptDirectory.open(state, key) if state is not None else None
        if state is None or directory is None:
            return False
        with directory:
            seen = self._observe(state, key)
            if seen is None:
                return False
            if seen[1].may_run or not directory.lock(_LOCK_PATIENCE):
                raise InfrastructureError(f"{key.name} is not finished.", "Stop it first (state: cancelled).")
            with explained(_path(state.path, key)):
                state.discard("runs", key.name)
        self._seen.pop(key, None)
        return True

    # --- output --------------------------------------------------------------------------------------------------

    def read_log(self, key: AttemptKey, cursor: str) -> LogChunk:
        """See :meth:`Infrastructure.read_log`."""
        position = parse_cursor(cursor)
        chunk = self._read(key, lambda reader, is_finished: reader.read(position, is_finished))
        return chunk or LogChunk([], cursor)

    def read_log_tail(self, key: AttemptKey, lines: int) -> LogChunk:
        """See :meth:`Infrastructure.read_log_tail`."""
        return self._read(key, lambda reader, is_finished: reader.tail(max(0, lines), is_finished)) or LogChunk([], "")

    def _read(
        self, key: AttemptKey, read: t.Callable[[OutputReader, t.Callable[[], bool]], LogChunk]
    ) -> LogChunk | None:
        state = self._existing_state()
        directory = AttemptDirectory.open(state, key) if state is not None else None
        if state is None or directory is None:
            return None
        with directory:
            try:
                limit = integer_in(directory.spec(), "output_limit") or DEFAULT_OUTPUT_LIMIT
            except DamagedError:
                limit = DEFAULT_OUTPUT_LIMIT
            size = _stat(directory.descriptor, OUTPUT_FILE)
            chunk = read(OutputReader(directory, limit), lambda: self._is_finished(state, key))
        self._seen[key] = {**self._seen.get(key, {}), "output": size}
        return chunk

    def _is_finished(self, state: StateDirectory, key: AttemptKey) -> bool:
        seen = self._observe(state, key)
        return seen is None or seen[1].presence is Presence.FINISHED

    # --- waiting -------------------------------------------------------------------------------------------------

    def wait_for_change(self, keys: t.Sequence[AttemptKey], timeout: float, output: bool) -> None:
        """Compares with what the last ``find`` and ``read_log`` saw, so nothing between the calls is missed."""
        deadline = time.monotonic() + timeout
        while True:
            state = self._existing_state()
            if state is not None and any(self._has_changed(state, key, output) for key in keys):
                return
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(_WAIT_INTERVAL, left))

    def _has_changed(self, state: StateDirectory, key: AttemptKey, output: bool) -> bool:
        seen = self._seen.setdefault(key, {})
        if self._signature(state, key) != seen.get("signature"):
            return True
        if not output:
            return False
        size = _stat(state.folder("runs"), f"{key.name}/{OUTPUT_FILE}")
        return bool(size != seen.setdefault("output", size))

    @staticmethod
    def _signature(state: StateDirectory, key: AttemptKey) -> t.Any:
        """Differs whenever a new look may say something else; ``None`` for nothing there."""
        try:
            directory = AttemptDirectory.open(state, key)
        except NameCollision:
            return "collision"
        if directory is None:
            return None
        with directory:
            locked = directory.is_locked()
            files = [_stat(directory.descriptor, name) for name in (ENGINE_RECORD, EXIT_RECORD, PROGRESS_FILE)]
            return locked, files, None if locked else _engine_alive(directory)


def _engine_alive(directory: AttemptDirectory) -> bool | None:
    """Without a supervisor nothing is written when the engine ends."""
    try:
        engine = identity_in(directory.record(ENGINE_RECORD), "engine")
    except DamagedError:
        return None
    return None if engine is None else is_alive(engine)


def _stat(directory: int, name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _attempts(state: StateDirectory) -> t.Iterator[AttemptKey]:
    for name in sorted(os.listdir(state.folder("runs"))):
        match = _ATTEMPT_NAME.fullmatch(name)
        if match:
            yield AttemptKey(match.group(1), int(match.group(2)))


def _path(state_path: str, key: AttemptKey) -> str:
    return os.path.join(state_path, "runs", key.name)


def _json(document: t.Any) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _umask() -> int:
    """Of this process; the supervisor's own is not the flow's business."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def _working_directory(settings: t.Mapping[str, t.Any]) -> str:
    """The one that the user chose, checked; empty for the attempt's own."""
    if not settings.get("working_dir"):
        return ""
    path = absolute_path("working_dir", settings["working_dir"])
    if not os.path.isdir(path):
        raise SettingsError(f"working_dir: there is no directory {path} on this host.", "Create it, or give another.")
    if not os.access(path, os.X_OK):
        raise SettingsError(f"working_dir: {path} cannot be entered by the user of the task.", "Give another.")
    return path


def _require_platform() -> None:
    if not sys.platform.startswith(("linux", "darwin")):
        raise SettingsError(
            f"type: subprocess runs are not supported on {sys.platform}.", "Run them on Linux, or use another type."
        )


def _machine_id() -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
            return file.read(100).strip()
    return ""


def _make_attempt(state: StateDirectory, key: AttemptKey, spec: dict[str, t.Any]) -> AttemptDirectory | None:
    """Fill a directory aside, lock it, and give it its name at once; ``None`` if the name is taken by now."""
    draft = secrets.token_hex(8)
    os.mkdir(draft, 0o700, dir_fd=state.folder("tmp"))
    directory = AttemptDirectory(key, open_directory(draft, state.folder("tmp")))
    try:
        fcntl.flock(directory.descriptor, fcntl.LOCK_EX)
        create_file(directory.descriptor, SPEC_FILE, _json(spec))
        for name in RECORDS:
            create_file(directory.descriptor, name, blank_record())
        create_file(directory.descriptor, PROGRESS_FILE, b"")
        os.mkdir(_WORK, 0o700, dir_fd=directory.descriptor)
        os.fsync(directory.descriptor)
        os.rename(draft, key.name, src_dir_fd=state.folder("tmp"), dst_dir_fd=state.folder("runs"))
    except OSError as error:
        directory.close()
        with contextlib.suppress(OSError):
            state.discard("tmp", draft)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return None
        raise
    os.fsync(state.folder("runs"))
    return directory


def _is_startable(state: StateDirectory, directory: AttemptDirectory, token: str) -> bool:
    """Whether nothing of it was ever started, or only to hear "not now" under the same token. Needs the lock."""
    try:
        engine = directory.record(ENGINE_RECORD)
        if directory.record(EXIT_RECORD) is not None or identity_in(engine, "engine") is not None:
            return False
        return not integer_in(engine, "starts") or text_in(directory.spec(), "token") == token
    except DamagedError as problem:
        raise InfrastructureError(
            f"state_dir: {_path(state.path, directory.key)}: {problem}.",
            "Make sure that nothing of this attempt runs, then move the directory away.",
        ) from problem


def _check_answer(directory: AttemptDirectory, answer: bytes) -> None:
    """Raise unless the supervisor said that it took over."""
    try:
        word = json.loads(answer)
    except ValueError:
        word = {"error": "it ended without a word"}
    if word.get("up") is True:
        return
    try:
        log = read_file(directory.descriptor, _SUPERVISOR_LOG).decode("utf-8", "replace").strip()
    except (OSError, DamagedError):
        log = ""
    last = neutralise(log.splitlines()[-1])[:300] if log else ""
    remedy = "Free some disk space." if word.get("errno") in (errno.ENOSPC, errno.EDQUOT) else f"See {_SUPERVISOR_LOG}."
    raise InfrastructureError(
        f"the supervisor of {directory.key.name} did not start: {word.get('error')} {last}".strip() + ".", remedy
    )


def _tell_supervisor(found: Look) -> None:
    """Signal the supervisor, if what was recorded is still that very process."""
    supervisor = found.supervisor or {}
    if supervisor["boot"] != boot_id() or supervisor["pidns"] != pid_namespace():
        raise InfrastructureError(
            f"{found.key.name} cannot be stopped from here: its supervisor runs in another PID namespace.",
            "Run the task where the run was launched.",
        )
    signal_process(supervisor["pid"], supervisor["start"], signal.SIGTERM)
    signal_process(supervisor["pid"], supervisor["start"], signal.SIGCONT)
