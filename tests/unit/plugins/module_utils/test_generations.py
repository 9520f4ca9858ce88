# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generations of Prefect: told apart by their versions, each spoken to in its own words."""

from __future__ import annotations

import json
import os
import re
import threading

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import RESERVED, read_records, write_record
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, FlowopsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import RUNNER_SCOPES
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker import DockerInfrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes import (
    KubernetesInfrastructure,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import ProcessInfrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import End, Ledger, Owner
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_orion import PrefectApiOrion
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v2 import PrefectApiV2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v3 import PrefectApiV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import (
    GENERATIONS,
    ORION,
    PREFECT2,
    PREFECT3,
    Ability,
    generation_of,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Answer
from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._server_fit import (
    KEEP_RECORDS,
    check_task,
    check_type,
    records_for,
)
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task

from .in_memory import MemoryInfrastructure

RUN = "0f6e2a4c-1b1d-4c6e-9d55-0a3c6f1f2b7e"
DEPLOYMENT = "979b4e7b-c5f1-4546-8e24-8a038e182219"
FLOW = "ecdd48f0-1c31-4cbd-b9c5-de49451a9e73"
KEY = AttemptKey(RUN, 1)
OWNER = Owner("here", FLOW, "me", "hash", 60.0)


class Script:
    """A transport that answers from a list."""

    url = "http://h/api"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def request(self, method, path, body=None, *, repeatable, shape=None):
        self.sent.append((method, path, body))
        return self.answers.pop(0)

    def server_now(self):
        return 1000.0


def orion(*answers):
    script = Script(*answers)
    return PrefectApiOrion(script, "2.0b6"), script


def run_with(**state):
    return {"id": RUN, "name": "n", "state": {"message": None, "state_details": {}, **state}}


@pytest.mark.parametrize(
    ("version", "generation"),
    [
        ("3.9.1", PREFECT3),
        ("3", PREFECT3),
        ("3.0.0rc1+4.gabcdef", PREFECT3),
        ("2.20.26", PREFECT2),
        ("2.0b6", ORION),
        *(
            (version, None)
            for version in ("", "30.1", "2.2", "2.19.9", "2.200", "2.0b5", "2.0b61", "2.0.0", "1.4", "x")
        ),
    ],
)
def test_a_version_is_of_one_generation_or_of_none(version, generation):
    assert generation_of(version) is generation


def test_every_generation_has_its_dialect_and_an_alternative_for_everything_it_lacks():
    assert [dialect.generation for dialect in (PrefectApiV3, PrefectApiV2, PrefectApiOrion)] == list(GENERATIONS)
    for generation in GENERATIONS:
        assert re.search(r"[23][.0-9b]", generation.requirement)
        for ability in Ability:
            if not generation.can(ability):
                refusal = str(generation.refusal(ability, "something"))
                assert refusal.startswith(f"something: {generation.name} cannot {ability.value}. ")
                assert generation.lacks[ability] in refusal


@pytest.mark.parametrize(
    ("dialect", "page"),
    [(PrefectApiV3, "runs/flow-run"), (PrefectApiV2, "flow-runs/flow-run"), (PrefectApiOrion, "flow-run")],
)
def test_runs_are_shown_where_the_server_has_their_page(dialect, page):
    assert dialect(Script(), "").ui_url(RUN) == f"http://h/{page}/{RUN}"


def test_prefect_2_names_the_job_variables_of_a_deployment_otherwise():
    told = {"id": DEPLOYMENT, "name": "d", "flow_id": FLOW, "infra_overrides": {"image": "a"}}
    api = PrefectApiV2(Script(Answer(200, told)), "2.20.26")
    assert api.read_deployment("f/d").job_variables == {"image": "a"}


@pytest.mark.parametrize(
    ("told", "kind", "token"),
    [
        ({"type": "PENDING", "name": "Pending", "message": RESERVED}, "SCHEDULED", None),
        ({"type": "PENDING", "name": "Pending", "message": f"flowops: claimed by {FLOW}"}, "PENDING", FLOW),
        ({"type": "PENDING", "name": "Pending", "message": "Submitted by an agent"}, "PENDING", None),
        ({"type": "SCHEDULED", "name": "Late"}, "SCHEDULED", None),
        ({"type": "RUNNING", "name": "Running", "message": RESERVED}, "RUNNING", None),
        ({"type": "FAILED", "name": "Crashed"}, "CRASHED", None),
        ({"type": "FAILED", "name": "Failed"}, "FAILED", None),
    ],
)
def test_states_of_orion_are_told_in_the_words_of_prefect_3(told, kind, token):
    run = orion(Answer(200, run_with(**told)))[0].read_flow_run(RUN)
    assert (run.state_type, run.transition_id) == (kind, token)


@pytest.mark.parametrize(
    ("propose", "state", "force"),
    [
        (
            lambda api: api.propose(RUN, "CRASHED", message="why"),
            {"type": "FAILED", "name": "Crashed", "message": "why"},
            False,
        ),
        (lambda api: api.propose(RUN, "CANCELLED"), {"type": "CANCELLED"}, True),
    ],
)
def test_states_are_proposed_to_orion_in_its_words(propose, state, force):
    api, script = orion(Answer(201, {"status": "ACCEPT", "state": state, "details": {}}))
    assert propose(api).ours
    assert script.sent == [("POST", f"/flow_runs/{RUN}/set_state", {"state": state, "force": force})]


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ({"type": "SCHEDULED", "name": "Late"}, True),
        ({"type": "PENDING", "name": "Pending", "message": RESERVED}, True),
        ({"type": "PENDING", "name": "Pending", "message": f"flowops: claimed by {FLOW}"}, True),
        ({"type": "PENDING", "name": "Pending"}, False),
        ({"type": "RUNNING", "name": "Running"}, False),
        ({"type": "CANCELLED", "name": "Cancelled"}, False),
    ],
)
def test_a_claim_on_orion_looks_first(told, ours):
    """The server itself would take it over every state that is no end."""
    accepted = {"status": "ACCEPT", "state": {"type": "PENDING"}, "details": {}}
    api, script = orion(Answer(200, run_with(**told)), Answer(201, accepted))
    verdict = api.claim(RUN, FLOW)
    assert (verdict.ours, verdict.not_now, verdict.state_type) == (ours, False, "PENDING" if ours else told["type"])
    state = {"type": "PENDING", "name": "Pending", "message": f"flowops: claimed by {FLOW}"}
    sent = [("POST", f"/flow_runs/{RUN}/set_state", {"state": state, "force": False})]
    assert script.sent[1:] == (sent if ours else [])


def test_a_run_made_on_orion_is_kept_from_agents():
    api, script = orion(
        Answer(200, {"id": DEPLOYMENT, "name": "d", "flow_id": FLOW}),
        Answer(201, run_with(type="PENDING", name="Pending", message=RESERVED)),
    )
    run, created = api.create_flow_run(api.read_deployment("f/d"), idempotency_key="k")
    assert (created, run.scheduled) == (True, True)
    assert script.sent[1][2]["state"] == {"type": "PENDING", "name": "Pending", "message": RESERVED}
    assert "work_queue_name" not in script.sent[1][2]


@pytest.mark.parametrize(
    "asked",
    [
        lambda api: api.propose(RUN, "CANCELLING"),
        lambda api: api.read_inputs(RUN),
        lambda api: api.write_input(RUN, "k", "v"),
        lambda api: api.read_artifacts([RUN], ["k"]),
    ],
)
def test_what_orion_cannot_do_is_refused_without_a_request(asked):
    api, script = orion()
    with pytest.raises(ApiError, match=r"Orion 2\.0b6 cannot") as caught:
        asked(api)
    assert caught.value.remedy
    assert script.sent == []


def test_a_task_is_refused_what_its_server_lacks(tmp_path):
    def task(**options):
        params = {"api_url": "http://h/api", "flow_run_id": RUN, "state_dir": str(tmp_path / "state"), **options}
        return parse_task(params, "subprocess")

    api = orion()[0]
    check_task(api, task())
    check_task(PrefectApiV2(Script(), "2.20.26"), task(rerun="always"))
    with pytest.raises(FlowopsError, match=r"rerun: Orion 2\.0b6 cannot .* Make a new flow run"):
        check_task(api, task(rerun="always"))


@pytest.mark.parametrize("runner_type", list(RUNNER_SCOPES))
def test_a_run_that_needs_another_infrastructure_is_refused_with_who_asked_for_it(runner_type):
    check_type(PrefectApiV3(Script(), "3.9.1"), runner_type, "flow run")
    if runner_type in KEEP_RECORDS:
        check_type(orion()[0], runner_type, "flow run")
        return
    with pytest.raises(ProblemsError, match=rf"type is {runner_type} \(flow run\), and Orion 2\.0b6 cannot keep"):
        check_type(orion()[0], runner_type, "flow run")


def test_types_that_keep_records_are_those_whose_infrastructure_has_a_place_for_them():
    infrastructures = {
        "subprocess": ProcessInfrastructure,
        "docker": DockerInfrastructure,
        "kubernetes": KubernetesInfrastructure,
    }
    keeping = {kind for kind, one in infrastructures.items() if one.records is not Infrastructure.records}
    assert (set(infrastructures), keeping) == (set(RUNNER_SCOPES), set(KEEP_RECORDS))


def test_records_are_kept_where_they_can_be(tmp_path):
    here = ProcessInfrastructure(str(tmp_path / "state"))
    api, later = orion()[0], PrefectApiV2(Script(), "2.20.26")
    assert records_for(later, here) is later
    assert later.warnings == []
    assert records_for(api, here) is not api
    assert "one place alone" in api.warnings[0]
    with pytest.raises(FlowopsError, match=r"flow runner memory: Orion 2\.0b6 cannot keep .*flow_runner_subprocess"):
        records_for(api, MemoryInfrastructure("elsewhere", lambda _launch: None))


def test_a_ledger_on_the_host_is_written_once(tmp_path):
    infrastructure = ProcessInfrastructure(str(tmp_path / "state"))
    ledger = Ledger(infrastructure.records())
    assert ledger.read(RUN) == []
    assert ledger.record(KEY, OWNER)
    assert not ledger.record(KEY, Owner("there", DEPLOYMENT, "other", "hash", 60.0))
    assert ledger.void(KEY, "cancelled")
    assert ledger.void(KEY, "again")
    assert ledger.end(KEY, End("cancelled", "CANCELLED", "me"))
    assert not ledger.end(KEY, End("failed", "FAILED", "other"))
    (entry,) = ledger.read(RUN)
    assert (entry.token, entry.void_kind, entry.end_state) == (FLOW, "cancelled", "CANCELLED")
    assert entry.owner.created > 0
    assert not infrastructure.remove(KEY)
    assert len(ledger.read(RUN)) == 1


def test_of_many_writers_at_once_one_wins(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    barrier, wins = threading.Barrier(8), []

    def write(number):
        barrier.wait()
        if write_record(folder, "flowops-1", str(number) * 1000):
            wins.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (winner,) = wins
    assert [text for text, _written in read_records(folder).values()] == [str(winner) * 1000]
    assert os.listdir(tmp_path) == ["flowops-1"]
    os.close(folder)


def test_a_look_makes_nothing(tmp_path):
    records = ProcessInfrastructure(str(tmp_path / "state"), look_only=True).records()
    assert records.read_inputs(RUN) == []
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("damage", ["text", "bytes", "pipe", "file"])
def test_damaged_records_are_told(tmp_path, damage):
    records = ProcessInfrastructure(str(tmp_path / "state")).records()
    records.write_input(RUN, "flowops-1", json.dumps(OWNER.value()))
    record = tmp_path / "state" / "records" / RUN / "flowops-1" / "record"
    record.unlink()
    if damage == "pipe":
        os.mkfifo(record)
    elif damage == "file":
        record.parent.rmdir()
        record.parent.write_text("x")
    else:
        record.write_bytes(b"x" if damage == "text" else b"\xff\xfe")
    with pytest.raises(FlowopsError, match=r"flowops-1|state_dir: ") as caught:
        Ledger(records).read(RUN)
    assert caught.value.remedy
