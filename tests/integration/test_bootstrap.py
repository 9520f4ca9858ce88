# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bootstrap with real engines: a body runs once or, where it must not, never."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import uuid

import pytest
from lossy_proxy import LossyProxy
from prefect_server import free_port

from ansible_collections.flowops.prefect.plugins.module_utils import _bootstrap
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Owner

TIMEOUT = 120


class Start:
    """One start of the bootstrap."""

    def __init__(self, process, progress):
        self.process = process
        self.progress = progress

    def wait(self):
        self.output = self.process.communicate(timeout=TIMEOUT)[0]
        self.events = [json.loads(line) for line in self.progress.read_text().splitlines()]
        self.told = [event["event"] for event in self.events]
        self.last = self.events[-1]
        return self.process.returncode


class Attempt:
    """An attempt of one run, which can be started as often as a test likes."""

    def __init__(self, rest, python, folder, run_id, **document):
        self.rest, self.python, self.folder, self.run_id = rest, python, folder, run_id
        self.token = str(uuid.uuid4())
        self.document = {
            "flow_run_id": run_id,
            "number": 1,
            "token": self.token,
            "claims": True,
            "record": Owner("test", self.token, "test", "hash", 60.0).value(),
            "inheritable": [],
            "infrastructure_pid_prefix": "testhost:",
            **document,
        }

    def start(self, as_file=True, **environment):
        home = self.folder / uuid.uuid4().hex
        home.mkdir()
        progress = home / "progress"
        source = pathlib.Path(_bootstrap.__file__)
        process = subprocess.Popen(
            [self.python, *([source] if as_file else ["-c", source.read_text()])],
            cwd=home,
            env={
                **os.environ,
                "PREFECT_API_URL": self.rest.api_url,
                "PREFECT_HOME": str(home),
                "DO_NOT_TRACK": "1",
                "FLOWOPS_BOOTSTRAP": json.dumps({**self.document, "progress": str(progress)}),
                "FLOWOPS_ATTEMPT_TOKEN": self.token,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Start(process, progress)

    def inputs(self):
        return self.rest.inputs(self.run_id)


@pytest.fixture
def body(tmp_path):
    """The file that gets a line for each execution of the flow's body."""
    return tmp_path / "bodies"


@pytest.fixture
def attempt(rest, engine_python, tmp_path, body):
    def make(deployment=None, run_id=None, **document):
        if run_id is None:
            deployment = deployment or rest.create_deployment("append_line")["id"]
            run_id = rest.create_flow_run(deployment, {"path": str(body)})["id"]
        return Attempt(rest, engine_python, tmp_path, run_id, **document)

    return make


def bodies(body):
    return len(body.read_text().splitlines()) if body.exists() else 0


def test_the_way_of_an_attempt(attempt, rest, body):
    one = attempt()
    start = one.start(as_file=False)
    assert start.wait() == 0, start.output
    assert start.told == ["imported", "recorded", "claimed", "pid_recorded", "gate_passed"]
    assert rest.state_type(one.run_id) == "COMPLETED"
    assert bodies(body) == 1
    assert rest.flow_run(one.run_id)["infrastructure_pid"] == f"testhost:{start.process.pid}"
    records = one.inputs()
    assert records["flowops-1"]["token"] == one.token
    assert records["flowops-1-gate"]["go"] == one.token
    assert [state["type"] for state in rest.state_history(one.run_id)] == [
        "SCHEDULED",
        "PENDING",
        "RUNNING",
        "COMPLETED",
    ]
    assert "Warning" not in start.output
    again = one.start()
    assert again.wait() == _bootstrap.EXIT_REFUSED
    assert again.last["category"] == "started_before"
    assert bodies(body) == 1


def test_the_engine_finds_what_it_would_find_without_the_bootstrap(attempt, rest, tmp_path):
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "helper.py").write_text("HERE = 1\n")
    (flows / "probe.py").write_text(
        "import json, os, sys\nimport multiprocessing\nfrom prefect import flow\n\n"
        "@flow\ndef probe(path: str):\n"
        "    import __main__\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        spawned = pool.apply(abs, (-1,))\n"
        "    seen = [sys.argv[1:], __main__.__spec__.name, spawned, 'FLOWOPS_BOOTSTRAP' in os.environ,\n"
        "            'FLOWOPS_ATTEMPT_TOKEN' in os.environ]\n"
        "    open(path, 'w').write(json.dumps(seen))\n"
    )
    steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(flows)}}]
    made = rest.create_deployment("probe", entrypoint="probe.py:probe", pull_steps=steps)
    seen = tmp_path / "seen"
    run_id = rest.create_flow_run(made["id"], {"path": str(seen)})["id"]
    start = attempt(run_id=run_id).start()
    assert start.wait() == 0, start.output
    assert rest.state_type(run_id) == "COMPLETED", start.output
    assert json.loads(seen.read_text()) == [[], "prefect.engine", 1, False, True]


@pytest.mark.parametrize("claims", [True, False])
def test_two_starts_at_once_run_one_body(attempt, rest, body, claims):
    one = attempt(claims=claims)
    if not claims:
        state = {"type": "PENDING", "state_details": {"transition_id": one.token}}
        rest.post(f"/flow_runs/{one.run_id}/set_state", {"state": state})
    starts = [one.start(), one.start()]
    assert sorted(start.wait() for start in starts) == [0, _bootstrap.EXIT_REFUSED]
    assert bodies(body) == 1
    assert rest.state_type(one.run_id) == "COMPLETED"


def test_another_owner_is_respected(attempt, body, rest):
    one = attempt()
    rest.post(f"/flow_runs/{one.run_id}/input", {"key": "flowops-1", "value": '{"token": "other"}'})
    start = one.start()
    assert start.wait() == _bootstrap.EXIT_REFUSED
    assert start.last["category"] == "foreign"
    assert "flowops-1-gate" not in one.inputs()
    assert rest.state_type(one.run_id) == "SCHEDULED"
    assert bodies(body) == 0


@pytest.mark.parametrize(
    ("kind", "claims", "category"),
    [("CANCELLED", True, "cancelled"), ("CANCELLED", False, "cancelled"), ("COMPLETED", True, "terminal")],
)
def test_a_run_that_is_over_is_not_started(attempt, rest, body, kind, claims, category):
    one = attempt(claims=claims)
    rest.set_state(one.run_id, kind, force=True)
    start = one.start()
    assert start.wait() == _bootstrap.EXIT_REFUSED
    assert start.last["category"] == category
    assert one.inputs()["flowops-1-gate"]["void"].startswith(f"{category}: ")
    assert rest.state_type(one.run_id) == kind
    assert bodies(body) == 0


def test_a_rerun_may_be_claimed_over_a_finished_run(attempt, rest, body):
    one = attempt(rerun=True)
    rest.set_state(one.run_id, "FAILED", force=True)
    start = one.start()
    assert start.wait() == 0, start.output
    assert bodies(body) == 1


def test_a_voided_gate_is_final(attempt, rest, body):
    one = attempt()
    rest.post(f"/flow_runs/{one.run_id}/input", {"key": "flowops-1-gate", "value": '{"void": "cancelled"}'})
    start = one.start()
    assert start.wait() == _bootstrap.EXIT_REFUSED
    assert (start.last["category"], start.last["detail"]) == ("voided", "cancelled")
    assert rest.state_type(one.run_id) == "SCHEDULED"
    assert bodies(body) == 0


def test_who_claimed_beforehand_may_leave_it_to_the_bootstrap_where_the_run_is(attempt, rest, body):
    one = attempt(claims=False, infrastructure_pid="cluster:flows:job")
    rest.set_state(one.run_id, "PENDING", name="Pending")
    start = one.start()
    assert start.wait() == 0, start.output
    assert start.told == ["imported", "pid_recorded", "gate_passed"]
    assert rest.flow_run(one.run_id)["infrastructure_pid"] == "cluster:flows:job"
    assert bodies(body) == 1


def test_a_lost_claim_closes_the_gate_and_an_inherited_one_is_as_good(attempt, rest, body):
    holder = str(uuid.uuid4())
    one = attempt()
    state = {"type": "PENDING", "name": "Pending", "state_details": {"transition_id": holder}}
    rest.post(f"/flow_runs/{one.run_id}/set_state", {"state": state, "force": False})
    start = one.start()
    assert start.wait() == _bootstrap.EXIT_REFUSED
    assert start.last["category"] == "claimed_elsewhere"
    assert "void" in one.inputs()["flowops-1-gate"]
    assert bodies(body) == 0
    heir = attempt(run_id=one.run_id, number=2, inheritable=[holder])
    start = heir.start()
    assert start.wait() == 0, start.output
    assert bodies(body) == 1


def test_a_full_concurrency_limit_is_not_now(attempt, rest, body):
    deployment = rest.create_deployment("append_line", concurrency_limit=1)["id"]
    other = rest.create_flow_run(deployment, {"path": str(body)})["id"]
    assert rest.set_state(other, "PENDING")["status"] == "ACCEPT"
    one = attempt(deployment)
    start = one.start()
    assert start.wait() == _bootstrap.EXIT_NOT_NOW, start.output
    assert (start.last["event"], start.last["detail"]) == ("not_now", "AwaitingConcurrencySlot")
    assert 0 < start.last["retry_after"] <= 60
    assert "flowops-1-gate" not in one.inputs()
    assert bodies(body) == 0


def test_lost_answers_change_nothing(attempt, rest, body):
    """Record, claim, pid and gate took effect unseen: each repeat has to recognise its own first copy."""
    one = attempt()
    with LossyProxy(rest.api_url, limit=4) as proxy:
        start = one.start(PREFECT_API_URL=proxy.api_url)
        assert start.wait() == 0, start.output
        lost = [text.decode() for dummy_method, dummy_path, text in proxy.lost]
    assert start.told == ["imported", "recorded", "claimed", "pid_recorded", "gate_passed"]
    assert any("nonce" in text for text in lost)
    assert any("PENDING" in text for text in lost)
    assert bodies(body) == 1


def test_an_api_that_is_down(attempt, body):
    start = attempt().start(PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api")
    assert start.wait() == _bootstrap.EXIT_API_UNREACHABLE
    assert start.last["category"] == "api_unreachable"
    start = attempt().start(PREFECT_API_URL="")
    assert start.wait() == _bootstrap.EXIT_API_UNREACHABLE
    assert bodies(body) == 0


def test_credentials_that_are_refused(attempt, body, new_server):
    server = new_server({"PREFECT_SERVER_API_AUTH_STRING": "admin:pass"})
    start = attempt().start(PREFECT_API_URL=server.api_url, PREFECT_API_AUTH_STRING="admin:canary5513")
    assert start.wait() == _bootstrap.EXIT_CREDENTIALS_REFUSED
    assert start.last["category"] == "credentials_refused"
    assert "canary5513" not in start.output + start.progress.read_text()
    assert bodies(body) == 0


def test_a_run_that_was_deleted(attempt, rest):
    one = attempt()
    rest.request("DELETE", f"/flow_runs/{one.run_id}")
    start = one.start()
    assert start.wait() == _bootstrap.EXIT_REFUSED
    assert start.last["category"] == "not_found"
