# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is malformed never gets far: a clear error with field and remedy, no traceback, nothing launched.

Settings through the whole play and through the module's process; answers of a hostile server; damaged state files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_play import RunPlaybook
from hostile_api import HostileApi, Wrong, answer, changed, raw
from malformed_settings import CASES, CONTROLLER_ONLY, check, task_of
from module_process import Execution, execute_modules
from prefect_rest import PrefectRest
from prefect_server import engine_python
from runner import MODULE

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import _make_attempt
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_attempt import SPEC_FILE
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import StateDirectory
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import (
    ENGINE_RECORD,
    EXIT_RECORD,
    PROGRESS_FILE,
    RECORD_SIZE,
    STOP_RECORD,
    pack_record,
)

#: A port of the loopback interface that nobody listens on: whoever asks a server there learns nothing.
NOBODY = "http://127.0.0.1:9/api"


def nowhere(case: dict[str, Any], state_dir: Path) -> dict[str, Any]:
    """The task of a case; were it executed after all, it would find no server and leave its state here."""
    task = task_of(case)
    given = case["with"]
    return {
        **task,
        **({"api_url": NOBODY} if "api_url" not in given else {}),
        **({"state_dir": str(state_dir)} if "state_dir" not in given else {}),
    }


def test_settings_in_a_play(run_playbook: RunPlaybook, tmp_path: Path) -> None:
    """As users meet them: every case is a task, refused before its host is touched."""
    cases = [case for case in CASES if "<surrogate>" not in str(case["with"])]  # no file in UTF-8 can hold one
    tasks = [
        {"name": f"{number}: {case['case']}", MODULE: nowhere(case, tmp_path / "state"), "ignore_errors": True}
        for number, case in enumerate(cases)
    ]
    play = [{"name": "Test", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    result = run_playbook(yaml.safe_dump(play, allow_unicode=False)).check()
    assert len(result.results) == len(cases) >= 200
    for case, found in zip(cases, result.results):
        assert found.failed, case
        says = [text for text in case.get("says", ()) if not text.endswith(" problems")]
        check({**case, "says": says}, found.result["msg"].splitlines())
        assert found.result["category"] == "bad_settings"
    assert "Traceback" not in result.output
    assert "CANARY" not in result.output
    assert not (tmp_path / "state").exists()


#: Ansible's own validation refuses these before the module can, and names no option, or just the first wrong one.
UNNAMED_BY_ANSIBLE = {"an entry that is a text", "everything is reported at once"}


def holds_a_secret(case: dict[str, Any]) -> bool:
    """Whether the value is for an option of secrets; a name with "=" in it is no value."""
    options = ("secret_env", "api_key", "api_auth", "api_headers")
    return any(name.startswith(options) for name in case["with"]) and case["case"] != "a secret in a name"


def reaches_a_host(case: dict[str, Any]) -> bool:
    """Whether JSON in UTF-8 can carry it, and Ansible does not change it on the way."""
    try:
        json.dumps(task_of(case), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return False
    return case["case"] not in CONTROLLER_ONLY


def test_settings_in_the_process_of_the_module(tmp_path: Path) -> None:
    """As a host meets them where the controller has no pydantic: Ansible's own validation first, then the module's."""
    cases = [case for case in CASES if reaches_a_host(case)]
    assert len(cases) >= 200
    for case, done in zip(cases, execute_modules([nowhere(case, tmp_path / "state") for case in cases])):
        assert done.status == 1, (case, done)
        assert "Traceback" not in done.output, (case, done)
        result = done.result
        assert result["failed"] is True
        top = case["field"].partition("[")[0].partition(".")[0].partition(" ")[0]
        assert top in result["msg"] or case["case"] in UNNAMED_BY_ANSIBLE, (case, result["msg"])
        if result.get("category") == "bad_settings":
            # Ansible made texts of some values before the module saw them, so the words may differ.
            assert re.search(rf"^(- )?{re.escape(top)}.*\. \S.*[.?]$", result["msg"], re.MULTILINE), result["msg"]
        assert "CANARY" not in result["msg"], case
        if holds_a_secret(case):
            assert "CANARY" not in done.output, case
    assert not (tmp_path / "state").exists()


# --- a hostile server ------------------------------------------------------------------------------------------------

VERSION, RUNS, INPUTS = r"GET /admin/version", r"POST /flow_runs/filter", r"POST /flow_runs/[^/]+/input/filter"
DEPLOYMENT, CREATE = r"GET /deployments/name/", r"POST /deployments/[^/]+/create_flow_run"
NEW: dict[str, Any] = {"flow_run_id": None, "deployment": "{deployment}", "idempotency_key": "hostile"}


def run_with(**fields: Any) -> Any:
    """The first run of an answer with other fields."""
    return changed(lambda runs: runs[0].update(fields))


def state_with(**fields: Any) -> Any:
    return changed(lambda runs: runs[0]["state"].update(fields))


def records(*pairs: tuple[str, Any]) -> Any:
    """Records of the attempt ledger; texts are stored as they are."""
    made = [
        {
            "flow_run_id": str(uuid.uuid4()),
            "key": key,
            "value": value if isinstance(value, str) else json.dumps(value),
            "created": "2026-01-01T00:00:00Z",
        }
        for key, value in pairs
    ]
    return answer(made)


OWNER = {"locus": "elsewhere", "token": str(uuid.uuid4()), "controller": "c", "spec_hash": "h", "start_within": 60}

WRONG_ANSWERS = [
    Wrong("a web page", VERSION, raw(b"<html>Welcome</html>"), ["api_url"]),
    Wrong("a number", VERSION, answer(3), ["api_url"]),
    Wrong("a list", VERSION, answer(["3.0.0"]), ["api_url"]),
    Wrong("nothing", VERSION, raw(b""), ["api_url"]),
    Wrong("no content", VERSION, raw(b"", 204), ["api_url"]),
    Wrong("an old server", VERSION, answer("2.14.3"), ["Prefect 2.14.3", "not supported"]),
    Wrong("a far future", VERSION, answer("99999999.1"), ["not supported"]),
    Wrong("a version in Arabic digits", VERSION, answer("٣.0"), ["not supported"]),
    Wrong("a version with an escape sequence", VERSION, answer("\x1b[31m3"), ["not supported"]),
    Wrong("an endless version", VERSION, answer("9" * 100_000), ["not supported"]),
    Wrong("not found", VERSION, answer({"detail": "Not Found"}, 404), ["api_url"]),
    Wrong("credentials refused", VERSION, answer({"detail": "Unauthorized"}, 401), ["api_key"]),
    Wrong("access forbidden", VERSION, raw(b"no", 403), ["api_key"]),
    Wrong("a crash", VERSION, answer({"exception_message": "boom"}, 500), ["boom"]),
    Wrong("a redirect elsewhere", VERSION, raw(b"", 302, Location="http://192.0.2.1/api"), ["redirects"]),
    Wrong("a redirect to nowhere", VERSION, raw(b"", 301), ["redirects"]),
    Wrong("a redirect in circles", VERSION, raw(b"", 307, Location="version"), ["redirects"]),
    Wrong("bytes that are no text", VERSION, raw(b'"\xff\xfe"'), ["api_url"]),
    Wrong("deep nesting", VERSION, raw(b"[" * 100_000), ["api_url"]),
    Wrong("a flood", VERSION, raw(b" " * 9_000_000), ["MiB", "api_url"]),
    Wrong("a strange length", VERSION, raw(b'"3.0"', Content_Length="many"), ["api_url"]),
    Wrong("a length beyond the body", VERSION, raw(b'"3.0"', Content_Length="900"), ["cannot be reached"]),
    Wrong("a body cut short", VERSION, raw(b'"3.0.0"'), ["cannot be reached"], cut=True),
    Wrong("a body that drips", VERSION, raw(b" " * 60), ["too long"], {"api_timeout": 1}, drip=0.1),
    Wrong("an overloaded server", VERSION, answer({"detail": "busy"}, 503), ["503"]),
    Wrong("an object for the runs", RUNS, answer({}), ["api_url"]),
    Wrong("no runs", RUNS, answer([]), ["no flow run"]),
    Wrong("runs that are numbers", RUNS, answer([1, 2]), ["flow run"]),
    Wrong("another run", RUNS, run_with(id=str(uuid.uuid4())), ["no flow run"]),
    Wrong("an id that is a path", RUNS, run_with(id="../../etc/passwd"), ["'id'"]),
    Wrong("a run without a state", RUNS, run_with(state=None), ["'type'"]),
    Wrong("a state that is a text", RUNS, run_with(state="COMPLETED"), ["'state'"]),
    Wrong("a type that is a number", RUNS, state_with(type=7), ["'type'"]),
    Wrong("a type that nobody knows", RUNS, state_with(type="BANANA"), ["BANANA"]),
    Wrong("a name that is a list", RUNS, run_with(name=["x"]), ["'name'"]),
    Wrong("parameters that are a list", RUNS, run_with(parameters=[1]), ["'parameters'"]),
    Wrong("tags that are numbers", RUNS, run_with(tags=[1]), ["'tags'"]),
    Wrong("a date that is none", RUNS, run_with(created="yesterday"), ["'created'"]),
    Wrong("a date beyond all calendars", RUNS, run_with(created="9999-99-99T99:99:99Z"), ["'created'"]),
    Wrong("a count that is not finite", RUNS, run_with(run_count=float("nan")), ["'run_count'"]),
    Wrong("a count beyond all numbers", RUNS, run_with(run_count=10**400), ["'run_count'"]),
    Wrong("a transition id that is none", RUNS, state_with(state_details={"transition_id": "x"}), ["'transition_id'"]),
    Wrong("an object for the records", INPUTS, answer({}), ["api_url"]),
    Wrong("records that are texts", INPUTS, answer(["x"]), ["flow run input"]),
    Wrong("a record without a value", INPUTS, answer([{"key": "flowops-1"}]), ["'value'"]),
    Wrong("a record that is no JSON", INPUTS, records(("flowops-1", "{")), ["flowops-1", "damaged"]),
    Wrong("a record that is a list", INPUTS, records(("flowops-1", [])), ["flowops-1", "damaged"]),
    Wrong("a gate without its owner", INPUTS, records(("flowops-1-gate", {"go": "x", "nonce": "y"})), ["damaged"]),
    Wrong(
        "a gate of another token",
        INPUTS,
        records(("flowops-1", OWNER), ("flowops-1-gate", {"go": "x", "nonce": "y"})),
        ["token"],
    ),
    Wrong(
        "a gate that says both",
        INPUTS,
        records(("flowops-1", OWNER), ("flowops-1-gate", {"go": "x", "void": "y"})),
        ["neither"],
    ),
    Wrong("an owner without a place", INPUTS, records(("flowops-1", {**OWNER, "locus": 3})), ["locus"]),
    Wrong(
        "a promise without an end",
        INPUTS,
        records(("flowops-1", {**OWNER, "start_within": float("inf")})),
        ["start_within"],
    ),
    Wrong("a promise below zero", INPUTS, records(("flowops-1", {**OWNER, "start_within": -1})), ["start_within"]),
    Wrong("thousands of records", INPUTS, records(*[(f"flowops-{n}", OWNER) for n in range(1, 3000)]), ["inputs"]),
    Wrong("a deployment without an id", DEPLOYMENT, changed(lambda made: made.pop("id") and None), ["'id'"], NEW),
    Wrong("a deployment that is a list", DEPLOYMENT, answer([]), ["api_url"], NEW),
    Wrong("a deployment that is not there", DEPLOYMENT, answer({"detail": "x"}, 404), ["There is no deployment"], NEW),
    Wrong("a refusal of the parameters", CREATE, answer({"detail": "'n' is required"}, 409), ["'n' is required"], NEW),
    Wrong(
        "a refusal in pieces",
        CREATE,
        answer({"detail": [{"loc": ["body", 3], "msg": "bad", "input": "CANARY"}]}, 422),
        ["body.3: bad"],
        NEW,
    ),
    Wrong("a new run without an id", CREATE, answer({"name": "x", "state": {"type": "SCHEDULED"}}, 201), ["'id'"], NEW),
    Wrong(
        "a run of another deployment",
        CREATE,
        changed(lambda run: run.update(deployment_id=str(uuid.uuid4()))),
        ["another deployment"],
        NEW,
    ),
]


@pytest.fixture
def victim(rest: PrefectRest) -> Callable[[], str]:
    """Makes scheduled runs that nobody has touched."""
    deployment = rest.create_deployment("hello")
    return lambda: str(rest.create_flow_run(deployment["id"])["id"])


def refused(done: Execution) -> dict[str, Any]:
    """The result of an execution that failed in good order: without a traceback, with a sentence on what to do."""
    assert done.status == 1, done
    assert "Traceback" not in done.output
    result = done.result
    assert result["failed"] is True
    message = result["msg"]
    assert all(line.isprintable() for line in message.splitlines()), message
    assert len(message) < 1500, message
    assert result.get("category") != "internal", message
    assert re.search(r"\. \S.*[.?]?$", message.splitlines()[0]), f"no remedy: {message}"
    return result


def test_answers_of_a_hostile_server(
    rest: PrefectRest, api_url: str, tmp_path: Path, victim: Callable[[], str]
) -> None:
    assert len(WRONG_ANSWERS) >= 25
    deployment = rest.create_deployment("hello")
    runs = [victim() for _wrong in WRONG_ANSWERS]
    with HostileApi(api_url, WRONG_ANSWERS) as hostile:
        tasks = []
        for number, (wrong, run_id) in enumerate(zip(WRONG_ANSWERS, runs)):
            options = {"flow_run_id": run_id, **wrong.task}
            if options.get("deployment"):
                options["deployment"] = deployment["full_name"]
                options["idempotency_key"] = f"hostile-{number}"
            options = {name: value for name, value in options.items() if value is not None}
            tasks.append(
                {
                    "api_url": hostile.api_url(number),
                    "engine_api_url": api_url,
                    "python": str(engine_python()),
                    "state_dir": str(tmp_path / f"state-{number}"),
                    "wait_timeout": 5,
                    **options,
                }
            )
        executions = execute_modules(tasks)
    problems = []
    for number, (wrong, done) in enumerate(zip(WRONG_ANSWERS, executions)):
        try:
            result = refused(done)
            for text in wrong.says:
                assert text in result["msg"], result["msg"]
            assert "CANARY" not in done.output
            assert not list((tmp_path / f"state-{number}").glob("runs/*"))
            assert not [one for one in hostile.changes.get(number, ()) if "create_flow_run" not in one]
        except (AssertionError, KeyError) as error:
            problems.append(f"{wrong.name}: {str(error)[:400]}")
    assert not problems, "\n".join(problems)
    for run_id in runs:
        assert rest.state_type(run_id) == "SCHEDULED"
        assert rest.inputs(run_id) == {}


# --- damaged state files ---------------------------------------------------------------------------------------------


class Damage:
    """A state directory with one attempt that was prepared and never started, ready to be damaged."""

    def __init__(self, state: Path, run_id: str) -> None:
        self.state = state
        self.attempt = state / "runs" / f"{run_id}-1"
        opened = StateDirectory.create(str(state))
        assert opened is not None
        spec = {"token": str(uuid.uuid4()), "spec_hash": "h", "created": 1.0, "host": "h", "output_limit": 65536}
        made = _make_attempt(opened, AttemptKey(run_id, 1), spec)
        assert made is not None
        made.close()
        opened.identity()
        opened.close()

    def write(self, name: str, data: bytes) -> None:
        (self.attempt / name).write_bytes(data)

    def replace(self, name: str, make: Callable[[Path], Any]) -> None:
        path = self.attempt / name if name else self.attempt
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        make(path)

    def replace_state(self, name: str, make: Callable[[Path], Any]) -> None:
        path = self.state / name if name else self.state
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        make(path)


def to_elsewhere(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def to_a_folder(path: Path) -> None:
    path.symlink_to("/var/tmp")


def as_file(path: Path) -> None:
    path.write_bytes(b"x")


def for_everybody(path: Path) -> None:
    path.mkdir(mode=0o777)
    path.chmod(0o777)


def record(**fields: Any) -> bytes:
    return pack_record(fields)


ENGINE, EXIT, STOP, SPEC = ENGINE_RECORD, EXIT_RECORD, STOP_RECORD, SPEC_FILE
IDENTITY = {"pid": 4_000_000, "start": "1", "boot": "another", "pidns": 1}

#: Damage of which nobody can say whether something of the attempt ran: refused, and the files stay as they are.
REFUSED: dict[str, Callable[[Damage], Any]] = {
    "spec empty": lambda d: d.write(SPEC, b""),
    "spec cut short": lambda d: d.write(SPEC, b'{"token": "x'),
    "spec garbage": lambda d: d.write(SPEC, os.urandom(300)),
    "spec a list": lambda d: d.write(SPEC, b"[]"),
    "spec without token": lambda d: d.write(SPEC, b"{}"),
    "spec with a token that is a number": lambda d: d.write(SPEC, b'{"token": 7}'),
    "spec with a token of control characters": lambda d: d.write(SPEC, b'{"token": "\\u001b[31m"}'),
    "spec nested deeply": lambda d: d.write(SPEC, b"[" * 200_000),
    "spec huge": lambda d: d.write(SPEC, b'{"token": "' + b"x" * 2_000_000 + b'"}'),
    "spec missing": lambda d: d.replace(SPEC, lambda path: None),
    "spec a link": lambda d: d.replace(SPEC, to_elsewhere),
    "spec with two names": lambda d: os.link(d.attempt / SPEC, d.attempt / "other"),
    "spec a pipe": lambda d: d.replace(SPEC, lambda path: os.mkfifo(path, 0o600)),
    "spec a directory": lambda d: d.replace(SPEC, lambda path: path.mkdir(0o700)),
    "spec for everybody": lambda d: (d.attempt / SPEC).chmod(0o666),
    "engine record empty": lambda d: d.write(ENGINE, b""),
    "engine record garbage": lambda d: d.write(ENGINE, os.urandom(RECORD_SIZE)),
    "engine record cut short": lambda d: d.write(ENGINE, record(engine=IDENTITY)[:40]),
    "engine record too long": lambda d: d.write(ENGINE, record(engine=IDENTITY) * 3),
    "engine record missing": lambda d: d.replace(ENGINE, lambda path: None),
    "engine record a link": lambda d: d.replace(ENGINE, to_elsewhere),
    "engine with pid 1": lambda d: d.write(ENGINE, record(engine={**IDENTITY, "pid": 1})),
    "engine with a negative pid": lambda d: d.write(ENGINE, record(engine={**IDENTITY, "pid": -1})),
    "engine with a pid that is a text": lambda d: d.write(ENGINE, record(engine={**IDENTITY, "pid": "1"})),
    "engine that is a list": lambda d: d.write(ENGINE, record(engine=[1])),
    "exit record garbage": lambda d: d.write(EXIT, os.urandom(RECORD_SIZE)),
    "exit record a directory": lambda d: d.replace(EXIT, lambda path: path.mkdir(0o700)),
    "stop record garbage": lambda d: d.write(STOP, b"\0" * RECORD_SIZE + b"x"),
    "stop record missing": lambda d: d.replace(STOP, lambda path: None),
    "attempt a file": lambda d: d.replace("", as_file),
    "attempt a link": lambda d: d.replace("", to_a_folder),
    "attempt for everybody": lambda d: d.attempt.chmod(0o755),
    "runs a file": lambda d: d.replace_state("runs", as_file),
    "runs a link": lambda d: d.replace_state("runs", to_a_folder),
    "runs for everybody": lambda d: (d.state / "runs").chmod(0o777),
    "state directory a file": lambda d: d.replace_state("", as_file),
    "state directory a link": lambda d: d.replace_state("", to_a_folder),
    "state directory for everybody": lambda d: d.state.chmod(0o777),
    "id a link": lambda d: d.replace_state("id", to_elsewhere),
    "id huge": lambda d: (d.state / "id").write_bytes(b"x" * 1_000_000),
    "lib a file": lambda d: d.replace_state("lib", as_file),
    "tmp for everybody": lambda d: d.replace_state("tmp", for_everybody),
    "slots a link": lambda d: d.replace_state("slots", to_a_folder),
}
if os.geteuid() == 0:
    REFUSED["spec of another user"] = lambda d: os.chown(d.attempt / SPEC, 65534, 65534)
    REFUSED["attempt of another user"] = lambda d: os.chown(d.attempt, 65534, 65534)
    REFUSED["state directory of another user"] = lambda d: os.chown(d.state, 65534, 65534)

#: Damage that says nothing about whether something ran: the run is launched, once.
HARMLESS: dict[str, Callable[[Damage], Any]] = {
    "progress garbage": lambda d: d.write(PROGRESS_FILE, os.urandom(5000)),
    "id garbage": lambda d: (d.state / "id").write_bytes(os.urandom(32)),
    "strangers beside the attempt": lambda d: (d.state / "runs" / "lost+found").mkdir(),
    "spec with hostile values": lambda d: d.write(
        SPEC, b'{"token": "t", "created": 1' + b"0" * 400 + b', "output_limit": "x", "host": [], "spec_hash": {}}'
    ),
}


def test_damaged_state_files(rest: PrefectRest, api_url: str, tmp_path: Path, victim: Callable[[], str]) -> None:
    assert len(REFUSED) >= 25
    everything = {**REFUSED, **HARMLESS}
    runs = [victim() for _damage in everything]
    tasks = []
    for number, (damage, run_id) in enumerate(zip(everything.values(), runs)):
        state = tmp_path / f"state-{number}"
        damage(Damage(state, run_id))
        options = {"flow_run_id": run_id, "state_dir": str(state), "wait_timeout": 90 if number >= len(REFUSED) else 3}
        tasks.append({"api_url": api_url, "python": str(engine_python()), **options})
    problems = []
    for name, run_id, done in zip(everything, runs, execute_modules(tasks)):
        try:
            if name in REFUSED:
                result = refused(done)
                assert "state_dir" in result["msg"] or run_id in result["msg"], result["msg"]
                assert not result["timed_out"], result["msg"]
                assert rest.inputs(run_id) == {}
                assert rest.state_type(run_id) == "SCHEDULED"
            else:
                assert done.status == 0, done
                assert done.result["run"]["phase"] == "succeeded"
                assert rest.flow_run(run_id)["run_count"] == 1
            assert "Traceback" not in done.output
        except (AssertionError, KeyError) as error:
            problems.append(f"{name}: {str(error)[:400]}")
    assert not problems, "\n".join(problems)
