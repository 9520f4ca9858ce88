# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.
"""Starts the engine of one attempt: the last thing that runs before a flow's body, and what decides that it may.

Stands alone: it runs under the *engine's* interpreter (Python 3.8 or later, Prefect's own client), as a file or as
``python -c SOURCE``, on hosts and in containers that know nothing of Ansible. Importing it does nothing and needs no
Prefect: the core takes the exit codes and, through the loader, the source from here.

Its orders are the JSON document in the variable ``FLOWOPS_BOOTSTRAP``:

``flow_run_id``, ``number``, ``token``
    the attempt; the token is a UUID.
``claims``, ``record``, ``inheritable``, ``rerun``, ``infrastructure_pid_prefix``
    with ``claims`` true it first writes ``record`` as the attempt's owner, claims the run (a Pending state with a
    token in ``inheritable`` is as good; with ``rerun`` a run that is over may be claimed) and tells the server
    prefix + own pid. False: somebody else did so already.
``infrastructure_pid``
    only where somebody else claimed the run and has not told the server where it is: what the server is to be told.
``progress``
    path of a file that gets one JSON line per event, or null:
    {at, event: imported|recorded|claimed|pid_recorded|gate_passed|not_now|refused, category?, detail?, retry_after?}.
``prefect``
    pattern that the version of the engine's Prefect has to match, or null: one of another generation than the server
    would fail somewhere on its way.
``records``
    only for Orion 2.0b6, which keeps no records: the folder of this host that the run's are kept in, see
    :class:`OrionApi`.
``unset``
    only in pods: names of variables that the engine must not have although its image sets them.
``limits``
    only where nothing else supervises, in containers: {start, run, grace} in seconds, null for no limit. Then the
    engine gets a process of its own, and this one keeps the limits and passes signals on (see :class:`Guard`).

Then, always, it passes the gate: it writes ``flowops-N-gate`` with a nonce of its own, which the server accepts once.
So a second start of a container, a pod created twice or a slow launcher after a cancel ends with exit code 86 and the
flow's body runs once. The engine then runs in this very process, exactly as ``python -m prefect.engine`` would.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import gc
import importlib
import json
import os
import re
import runpy
import select
import signal
import sys
import time
import typing as t
import uuid
import warnings

#: "Not now": a concurrency limit is full or the run's time has not come; try again later.
EXIT_NOT_NOW = 75
#: Refused for good: this attempt may not start its engine.
EXIT_REFUSED = 86
#: This interpreter cannot import Prefect.
EXIT_NO_PREFECT = 87
#: The API gave no usable answer before the gate was passed.
EXIT_API_UNREACHABLE = 88
#: The API does not accept the credentials.
EXIT_CREDENTIALS_REFUSED = 89
#: The guard's: the gate was not passed within ``start``, the engine ran longer than ``run``, it was told to stop.
EXIT_START_TIMEOUT = 90
EXIT_RUN_TIMEOUT = 91
EXIT_STOPPED = 92

VARIABLE = "FLOWOPS_BOOTSTRAP"

#: What a rerun may be claimed over; the server itself refuses a cancelled run.
_REPEATABLE = ("COMPLETED", "FAILED", "CRASHED")
_TERMINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_ALREADY_MADE = "already made this"
#: What the engine imports itself once it has started, where the Prefect at hand has it.
_ENGINE_MODULES = ("prefect.flow_engine",)
_NO_CREDENTIALS = (401, 403)

#: Orion's states have no transition id: the message of a claim says whose it is, these words before the token.
CLAIM_MARK = "flowops: claimed by "
#: A run that we create on Orion is Pending with this message until it is claimed: agents get Scheduled ones only.
RESERVED = "flowops: waits for its launch"
#: File of a record that is kept on this host.
_RECORD_FILE = "record"
_LARGEST_RECORD = 64 * 1024
_ORION_TIMEOUT = 30.0
#: Who saw a run of Orion free before this claim may write its own over it, all but always within so many seconds.
_CLAIM_SETTLES = 0.5


class Stop(Exception):
    """The engine is not started."""

    def __init__(self, code: int, category: str, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(category)
        self.code = code
        self.category = category
        self.detail = detail
        self.retry_after = retry_after


class Progress:
    """Tells what happened; a full disk or a missing folder must not keep the flow from running."""

    def __init__(self, path: str | None) -> None:
        self._path = path

    def tell(self, event: str, **facts: t.Any) -> None:
        if not self._path:
            return
        line = json.dumps({"at": time.time(), "event": event, **{k: v for k, v in facts.items() if v is not None}})
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, (line + "\n").encode())
            finally:
                os.close(descriptor)
        except OSError:
            pass


class State:
    """A state as the server tells it.

    :ivar kind: its type.
    :ivar holder: the token that a claim carries.
    """

    def __init__(self, content: dict[str, t.Any]) -> None:
        self.content = content
        self.kind: str = content.get("type", "")
        self.holder: str = (content.get("state_details") or {}).get("transition_id") or ""

    @property
    def at(self) -> datetime.datetime:
        """When it was made."""
        return moment(self.content["timestamp"])


class Api:
    """Raw requests through the HTTP client of Prefect's own client: its credentials, TLS, CSRF and retries."""

    #: Whether the server refuses a claim over the claim of somebody else.
    claims_exclude = True

    def __init__(self, http: t.Any, flow_run_id: str) -> None:
        self._http = http
        self._httpx = importlib.import_module("httpx")
        self._flow_run_id = flow_run_id

    def call(self, method: str, path: str, body: t.Any = None) -> tuple[int, t.Any]:
        """A request about the run; states are in the server's own words."""
        return self._ask(method, f"/flow_runs/{self._flow_run_id}{path}", body)

    def _ask(self, method: str, path: str, body: t.Any = None) -> tuple[int, t.Any]:
        """Status and JSON of an answer; only 409 is an answer besides success, the rest stops the bootstrap."""
        try:
            response = self._http.request(method, path, json=body)
        except self._httpx.HTTPStatusError as error:
            response = error.response
        except self._httpx.HTTPError as error:
            raise Stop(EXIT_API_UNREACHABLE, "api_unreachable", type(error).__name__) from None
        status = response.status_code
        if status in _NO_CREDENTIALS:
            raise Stop(EXIT_CREDENTIALS_REFUSED, "credentials_refused", f"HTTP {status}")
        if status == 404:
            raise Stop(EXIT_REFUSED, "not_found", "the server knows no such flow run")
        if status != 409 and not 200 <= status < 300:
            code = EXIT_API_UNREACHABLE if status >= 500 or status in (408, 429) else EXIT_REFUSED
            raise Stop(code, "api_error", f"HTTP {status}")
        try:
            return status, response.json() if response.content else None
        except ValueError:
            raise Stop(EXIT_API_UNREACHABLE, "api_error", "the answer is not JSON") from None

    def inputs(self, number: int) -> dict[str, dict[str, t.Any]]:
        """The attempt's records by key."""
        found = self.call("POST", "/input/filter", {"prefix": f"flowops-{number}", "limit": 200})[1]
        return {item["key"]: dict(json.loads(item["value"])) for item in found}

    def write_once(self, key: str, content: dict[str, t.Any]) -> bool:
        value = json.dumps(content, sort_keys=True)
        return self.call("POST", "/input", {"key": key, "value": value})[0] == 201

    def tell_pid(self, identifier: str) -> None:
        self.call("PATCH", "", {"infrastructure_pid": identifier})

    def propose_pending(self, token: str) -> dict[str, t.Any]:
        """Propose the plain Pending as the claim of an attempt. :returns: the server's verdict."""
        return self._propose({"type": "PENDING", "name": "Pending", "state_details": {"transition_id": token}})

    def _propose(self, state: dict[str, t.Any]) -> dict[str, t.Any]:
        return dict(self.call("POST", "/set_state", {"state": state, "force": False})[1])

    def state(self) -> State:
        """The run's state."""
        return State(self.call("GET", "")[1].get("state") or {})

    def history(self) -> list[State]:
        """Every state that the run had, in no order that could be relied on."""
        return [State(state) for state in self._ask("GET", f"/flow_run_states/?flow_run_id={self._flow_run_id}")[1]]


class OrionApi(Api):
    """Orion 2.0b6: records are kept on this host, its states are told in the words of Prefect 3."""

    claims_exclude = False

    def __init__(self, http: t.Any, flow_run_id: str, records: str) -> None:
        super().__init__(http, flow_run_id)
        self._records = records

    @contextlib.contextmanager
    def _folder(self) -> t.Iterator[int]:
        try:
            folder = os.open(self._records, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                yield folder
            finally:
                os.close(folder)
        except OSError as error:
            raise Stop(EXIT_REFUSED, "records_failed", f"{self._records}: {error.strerror}") from None

    def inputs(self, number: int) -> dict[str, dict[str, t.Any]]:
        key = f"flowops-{number}"
        with self._folder() as folder:
            found = read_records(folder)
        return {name: dict(json.loads(found[name][0])) for name in (key, f"{key}-gate", f"{key}-end") if name in found}

    def write_once(self, key: str, content: dict[str, t.Any]) -> bool:
        with self._folder() as folder:
            return write_record(folder, key, json.dumps(content, sort_keys=True))

    def tell_pid(self, identifier: str) -> None:  # noqa: ARG002 - see below
        """It has no place for that."""
        return

    def propose_pending(self, token: str) -> dict[str, t.Any]:
        verdict = self._propose({"type": "PENDING", "name": "Pending", "message": f"{CLAIM_MARK}{token}"})
        time.sleep(_CLAIM_SETTLES)
        return verdict

    def state(self) -> State:
        return State(in_later_words(super().state().content))


def in_later_words(state: dict[str, t.Any]) -> dict[str, t.Any]:
    """A state of Orion as Prefect 3 would tell it."""
    kind, name, message = state.get("type"), state.get("name"), state.get("message")
    if kind == "FAILED" and name == "Crashed":
        return {**state, "type": "CRASHED"}
    if kind != "PENDING" or not isinstance(message, str):
        return state
    if message == RESERVED:
        return {**state, "type": "SCHEDULED", "name": "Scheduled"}
    if message.startswith(CLAIM_MARK):
        details = state.get("state_details")
        details = details if isinstance(details, dict) else {}
        return {**state, "state_details": {**details, "transition_id": message[len(CLAIM_MARK) :]}}
    return state


def read_records(folder: int) -> dict[str, tuple[str, float]]:
    """The records in the open folder of a run: text and time of writing by key."""
    found = {}
    for key in os.listdir(folder):
        if key.startswith("."):
            continue  # a draft
        # Not blocking: a flow of the same user may have put a pipe there.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(f"{key}/{_RECORD_FILE}", flags, dir_fd=folder)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            found[key] = (file.read(_LARGEST_RECORD), os.fstat(descriptor).st_mtime)
    return found


def write_record(folder: int, key: str, text: str) -> bool:
    """Write a record once, at once and durably: a filled folder cannot be renamed over a filled one.

    :returns: False if there is one already.
    """
    draft = f".{uuid.uuid4().hex}"
    os.mkdir(draft, 0o700, dir_fd=folder)
    file = f"{draft}/{_RECORD_FILE}"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
        os.rename(draft, key, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(file, dir_fd=folder)
        os.rmdir(draft, dir_fd=folder)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    os.fsync(folder)
    return True


class Attempt:
    """Takes one attempt from its record to the passed gate."""

    def __init__(self, document: dict[str, t.Any], api: Api, progress: Progress) -> None:
        self._document = document
        self._api = api
        self._progress = progress
        self._token: str = document["token"]
        self._key = f"flowops-{document['number']}"
        self._claimed_over: State | None = None

    def start(self) -> None:
        """:raises Stop: the engine must not run."""
        if self._document["claims"]:
            # A claim behind a closed gate would have to be given back; without a claim the gate itself is early enough.
            self._check_gate(self._api.inputs(self._document["number"]).get(self._key + "-gate"), "")
            self._record()
            self._claim()
            self._tell_pid(f"{self._document.get('infrastructure_pid_prefix') or ''}{os.getpid()}")
        try:
            self._check_state()
            if self._document.get("infrastructure_pid"):
                self._tell_pid(self._document["infrastructure_pid"])
            self._pass_gate()
        except Stop as stop:
            if stop.code == EXIT_REFUSED:
                self._give_back()
            raise

    def _refuse(self, category: str, detail: str) -> Stop:
        """Close the gate behind us: who waits for this attempt learns at once that it never starts."""
        self._api.write_once(self._key + "-gate", {"void": f"{category}: {detail}", "nonce": uuid.uuid4().hex})
        return Stop(EXIT_REFUSED, category, detail)

    def _check_gate(self, gate: dict[str, t.Any] | None, nonce: str) -> None:
        """A gate that is closed, and not by this process, stays closed: the attempt was voided or has started."""
        if gate is None or (nonce and gate.get("nonce") == nonce):
            return
        if "void" in gate:
            raise Stop(EXIT_REFUSED, "voided", str(gate["void"])[:200])
        raise Stop(EXIT_REFUSED, "started_before", "an engine of this attempt has passed the gate")

    def _record(self) -> None:
        if not self._api.write_once(self._key, self._document["record"]):
            owner = self._api.inputs(self._document["number"]).get(self._key) or {}
            if owner.get("token") != self._token:
                raise Stop(EXIT_REFUSED, "foreign", "somebody else owns this attempt")
        self._progress.tell("recorded")

    def _claim(self) -> None:
        """Look first (a claim over a terminal state would be accepted), then propose the plain Pending.

        Only the plain name excludes others, and only the token tells whose Pending it is.
        """
        state = self._api.state()
        if state.kind == "PENDING":
            self._check_holder(state.holder)
        elif state.kind == "SCHEDULED" or (self._document.get("rerun") and state.kind in _REPEATABLE):
            self._claimed_over = state
            self._propose()
        else:
            self._check_kind(state.kind)
            raise self._refuse("claimed_elsewhere", f"the run is {state.kind}")
        self._progress.tell("claimed")

    def _propose(self) -> None:
        verdict = self._api.propose_pending(self._token)
        status, new = verdict.get("status"), verdict.get("state") or {}
        facts = verdict.get("details") or {}
        reason = str(facts.get("reason") or "")[:200]
        if status == "ACCEPT" or (status == "REJECT" and _ALREADY_MADE in reason):
            return
        if status == "WAIT":
            raise Stop(EXIT_NOT_NOW, "not_now", reason, facts.get("delay_seconds"))
        if status == "REJECT" and new.get("type") == "SCHEDULED":
            raise Stop(EXIT_NOT_NOW, "not_now", str(new.get("name") or reason)[:200], seconds_until_due(new))
        now = self._api.state()
        if now.kind == "PENDING":
            self._check_holder(now.holder)
            return
        self._check_kind(now.kind)
        raise self._refuse("claimed_elsewhere", reason)

    def _give_back(self) -> None:
        """Undo a claim that came so late that it covered the end which another attempt brought.

        The server accepts a claim over an end, and to look and then to claim are two requests: a host that freezes
        between them is taken over, and claims a run that is over by then.
        """
        over, now = self._claimed_over, self._api.state()
        if over is None or now.kind != "PENDING" or now.holder != self._token:
            return
        covered = [state for state in self._api.history() if state.kind in _TERMINAL and state.at > over.at]
        if covered:
            end = max(covered, key=lambda state: state.at).content
            kept = {name: end.get(name) for name in ("type", "name", "message", "data", "state_details")}
            self._api.call("POST", "/set_state", {"state": kept, "force": True})

    def _check_holder(self, holder: str) -> None:
        """Ours after a lost answer, or inherited from an attempt whose gate is void; anybody else's is not ours."""
        if holder not in (self._token, *(self._document.get("inheritable") or ())):
            raise self._refuse("claimed_elsewhere", "the run is PENDING with a claim that is not this attempt's")

    def _tell_pid(self, identifier: str) -> None:
        """Before the start: without it a cancel during a retry wait is answered Cancelled while the engine lives."""
        self._api.tell_pid(identifier)
        self._progress.tell("pid_recorded")

    def _check_state(self) -> None:
        """Cancelled since the claim, perhaps during a long pull: Prefect 3's engine would run the body all the same."""
        state = self._api.state()
        self._check_kind(state.kind)
        if state.kind == "PENDING" and not self._api.claims_exclude:
            self._check_holder(state.holder)
        if state.kind == "RUNNING":
            raise self._refuse("claimed_elsewhere", "the run is RUNNING before its gate was passed")

    def _check_kind(self, kind: str) -> None:
        if kind in ("CANCELLED", "CANCELLING"):
            raise self._refuse("cancelled", f"the run is {kind}")
        if kind in _TERMINAL:
            raise self._refuse("terminal", f"the run is {kind}")

    def _pass_gate(self) -> None:
        """The nonce tells this process from another start of the same attempt where the first answer was lost."""
        nonce = uuid.uuid4().hex
        if not self._api.write_once(self._key + "-gate", {"go": self._token, "nonce": nonce}):
            self._check_gate(self._api.inputs(self._document["number"]).get(self._key + "-gate") or {}, nonce)
        self._progress.tell("gate_passed")


def moment(text: str) -> datetime.datetime:
    """A point in time as the server writes it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Guard:
    """The first process of a container; the engine is its child.

    It keeps the time limits with nobody watching, reaps what loses its parent, passes signals on (the kernel drops
    those that a first process has no handler for), and ends with the engine, which ends everything else in there.
    SIGUSR1 is the launcher's own word for "stop": other than by SIGTERM, which anybody may send, its end is told.
    """

    STOP = signal.SIGUSR1
    _PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)

    def __init__(self, limits: dict[str, t.Any]) -> None:
        self._limits = limits
        self._engine = 0
        self._verdict = 0
        self._deadline: float | None = None
        self._next = signal.SIGTERM

    def split(self) -> tuple[int | None, int]:
        """Fork. :returns: in the engine's process None and where to tell of the gate; here the exit code."""
        signals, wakeup = os.pipe()
        for end in (signals, wakeup):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        handled = (*self._PASSED_ON, self.STOP, signal.SIGCHLD)
        for number in handled:
            signal.signal(number, lambda _number, _frame: None)
        gate, passed = os.pipe()
        self._engine = os.fork()
        if not self._engine:
            signal.set_wakeup_fd(-1)
            for number in handled:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.setsid()  # an init that signals whole groups would signal the engine twice
            for descriptor in (signals, wakeup, gate):
                os.close(descriptor)
            return None, passed
        os.close(passed)
        return self._watch(signals, gate), -1

    def _watch(self, signals: int, gate: int) -> int:
        self._limit(self._limits.get("start"), EXIT_START_TIMEOUT)
        watched = [signals, gate]
        while True:
            code = self._reaped()
            if code is not None:
                return code
            left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            ready = select.select(watched, [], [], left)[0]
            if signals in ready:
                for number in os.read(signals, 512):
                    self._pass_on(number)
            if gate in ready:
                watched.remove(gate)
                if os.read(gate, 1) and self._next is signal.SIGTERM:
                    self._limit(self._limits.get("run"), EXIT_RUN_TIMEOUT)
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._end(self._verdict)

    def _limit(self, seconds: float | None, verdict: int) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._verdict = verdict

    def _reaped(self) -> int | None:
        """The exit code to end with, once the engine is gone."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1
            if not pid:
                return None
            if pid == self._engine:
                if self._next is not signal.SIGTERM:
                    return self._verdict
                return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _pass_on(self, number: int) -> None:
        if number == self.STOP:
            if self._next is signal.SIGTERM:
                self._end(EXIT_STOPPED)
        elif number != signal.SIGCHLD:
            os.kill(self._engine, number)

    def _end(self, verdict: int) -> None:
        """SIGTERM, and when the grace is over SIGKILL."""
        os.kill(self._engine, self._next)
        self._next = signal.SIGKILL
        self._limit(max(self._limits.get("grace") or 0.0, 0.1), verdict)


def seconds_until_due(state: dict[str, t.Any]) -> float | None:
    """How far ahead a state is scheduled, both ends by the server's clock: this host's may be wrong."""
    try:
        made, due = moment(state["timestamp"]), moment(state["state_details"]["scheduled_time"])
        return max(0.0, (due - made).total_seconds())
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def take_document() -> dict[str, t.Any]:
    """The orders, removed from the environment: the flow has no business with them."""
    try:
        document = json.loads(os.environ.pop(VARIABLE))
        document["flow_run_id"] = str(uuid.UUID(document["flow_run_id"]))
        document["token"] = str(uuid.UUID(document["token"]))
        document["number"] = int(document["number"])
        if document["claims"] and not isinstance(document["record"], dict):
            raise ValueError
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Stop(EXIT_REFUSED, "bad_document", f"{VARIABLE} is missing or damaged") from None
    return t.cast("dict[str, t.Any]", document)


def check_version(pattern: str | None) -> None:
    """:raises Stop: the Prefect here is of another generation than the server; without any, the import will tell."""
    metadata = importlib.import_module("importlib.metadata")
    try:
        version = str(metadata.version("prefect"))
    except metadata.PackageNotFoundError:
        return
    if pattern and not re.match(pattern, version):
        raise Stop(EXIT_REFUSED, "prefect_unfit", f"Prefect {version[:40]}")


def import_client(orion: bool) -> t.Any:
    """Prefect's synchronous client; without an API URL it would quietly start a server of its own.

    Orion's knows no synchronous requests: there it is the HTTP client that it is made of.
    """
    try:
        orchestration = importlib.import_module("httpx" if orion else "prefect.client.orchestration")
        settings = importlib.import_module("prefect.settings")
    except ImportError as error:
        raise Stop(EXIT_NO_PREFECT, "prefect_missing", str(error)[:200]) from None
    except Exception as error:  # noqa: BLE001 - broken settings and the like; their text may hold values, so only the kind is told
        raise Stop(EXIT_NO_PREFECT, "prefect_missing", type(error).__name__) from None
    if not settings.PREFECT_API_URL.value():
        raise Stop(EXIT_API_UNREACHABLE, "api_unreachable", "PREFECT_API_URL is not set")
    if orion:
        return orchestration.Client(base_url=settings.PREFECT_API_URL.value(), timeout=_ORION_TIMEOUT)
    return orchestration.get_client(sync_client=True)


def open_api(document: dict[str, t.Any], client: t.Any) -> Api:
    """The server through its client."""
    if document.get("records"):
        return OrionApi(client, document["flow_run_id"], document["records"])
    return Api(client._client, document["flow_run_id"])  # noqa: SLF001 - the public client hides statuses


@contextlib.contextmanager
def without_collections() -> t.Iterator[None]:
    """Keep the garbage collector away from what is imported meanwhile, then and for good.

    Modules and classes live as long as the process. To look through them again and again, last when the interpreter
    ends, is a quarter of what a short run costs.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def import_engine() -> None:
    """What the engine would import behind the gate; if something is wrong with it the engine itself will say so."""
    for name in _ENGINE_MODULES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def prepare_interpreter() -> None:
    """``sys.argv`` and ``sys.path`` as ``python -m prefect.engine`` would have them: flows import from the cwd."""
    del sys.argv[1:]
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = os.getcwd()


def start_attempt(document: dict[str, t.Any], client: t.Any, progress: Progress) -> None:
    """:raises Stop: the engine must not run; an answer of a shape that no Prefect API gives is a reason as well."""
    try:
        Attempt(document, open_api(document, client), progress).start()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Stop(EXIT_API_UNREACHABLE, "api_error", f"an answer makes no sense ({type(error).__name__})") from None


def main() -> int:
    """Run the engine; returns only where it must not run."""
    progress = Progress(None)
    gate = -1
    try:
        document = take_document()
        for name in document.get("unset") or ():
            os.environ.pop(name, None)
        if document.get("limits"):
            code, gate = Guard(document["limits"]).split()
            if code is not None:
                return code
        progress = Progress(document.get("progress"))
        prepare_interpreter()
        with without_collections():
            check_version(document.get("prefect"))
            client = import_client(orion=bool(document.get("records")))
            import_engine()
        progress.tell("imported")
        with client:
            start_attempt(document, client, progress)
    except Stop as stop:
        event = "not_now" if stop.code == EXIT_NOT_NOW else "refused"
        progress.tell(event, category=stop.category, detail=stop.detail, retry_after=stop.retry_after)
        sys.stderr.write(f"flowops: the engine is not started: {stop.category} {stop.detail}".rstrip() + "\n")
        return stop.code
    if gate >= 0:
        os.write(gate, b"1")
        os.close(gate)
    os.environ["PREFECT__FLOW_RUN_ID"] = document["flow_run_id"]
    if document.get("records"):
        sys.argv[1:] = [document["flow_run_id"]]  # the only place where Orion's engine looks
    # As with "python -m" there is the engine as __main__ and, for those who import it, as a module.
    warnings.filterwarnings("ignore", "'prefect.engine' found in sys.modules", RuntimeWarning)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
