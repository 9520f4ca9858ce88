# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client against a real server: what unit tests with made-up answers cannot prove."""

from __future__ import annotations

import concurrent.futures
import time
import uuid

import pytest
from lossy_proxy import LossyProxy

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    ApiNotFound,
    ApiRefused,
    ApiUnreachable,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import End, Ledger, Owner
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._connect import connect
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import ApiSettings

RACERS = 8


@pytest.fixture
def api(api_url):
    return connect(ApiSettings(url=api_url))


@pytest.fixture
def run(api, rest):
    return api.create_flow_run(api.read_deployment(rest.create_deployment("hello")["id"]))[0]


def race(api_url, action):
    """The outcomes of one action done by several clients at once."""
    clients = [connect(ApiSettings(url=api_url)) for dummy in range(RACERS)]
    with concurrent.futures.ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(action, clients))


def test_server(api, rest):
    assert api.server_version.startswith("3.")
    assert abs(api.server_now() - time.time()) < 5


def test_a_created_run_is_scheduled_in_our_paused_queue(api, rest):
    pool = rest.create_work_pool(f"pool-{uuid.uuid4().hex[:8]}")["name"]
    made = rest.create_deployment("hello", work_pool_name=pool, parameters={"name": "default"})
    deployment = api.read_deployment(made["full_name"])
    assert deployment == api.read_deployment(made["id"])
    assert deployment.full_name == made["full_name"]
    run, created = api.create_flow_run(deployment, name="n 1", tags=["a", "b"])
    assert created
    assert (run.name, sorted(run.tags), run.parameters) == ("n 1", ["a", "b"], {"name": "default"})
    assert (run.work_pool_name, run.work_queue_name, run.scheduled) == (pool, "ansible", True)
    assert run.due(api.server_now() + 1)
    assert rest.post(f"/work_pools/{pool}/get_scheduled_flow_runs", {}) == []
    token = str(uuid.uuid4())
    assert api.claim(run.id, token).ours
    assert api.read_flow_run(run.id).transition_id == token
    assert api.warnings == []
    assert connect(ApiSettings(url=api.transport.url)).create_flow_run(deployment)[1]


def test_the_same_key_is_the_same_run_of_this_deployment_only(api, rest):
    one, two = (api.read_deployment(rest.create_deployment("hello")["id"]) for dummy in range(2))
    key = str(uuid.uuid4())
    first, created = api.create_flow_run(one, parameters={"name": "a"}, idempotency_key=key)
    again, created_again = api.create_flow_run(one, parameters={"name": "a"}, idempotency_key=key)
    assert (created, created_again) == (True, False)
    assert again.id == first.id
    assert api.create_flow_run(two, parameters={"name": "a"}, idempotency_key=key)[0].id != first.id
    assert api.create_flow_run(one, parameters={"name": "a"}, idempotency_key=key, key_salt="x")[0].id != first.id
    assert api.create_flow_run(one)[0].id != api.create_flow_run(one)[0].id
    with pytest.raises(SettingsError, match="these differ: name"):
        api.create_flow_run(one, parameters={"name": "b"}, idempotency_key=key)


def test_parameters_that_the_server_refuses(api, rest):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = rest.create_deployment("hello", enforce_parameter_schema=True, parameter_openapi_schema=schema)
    with pytest.raises(SettingsError, match="refuses the parameters"):
        api.create_flow_run(api.read_deployment(made["id"]), parameters={"n": "many"})


def test_what_does_not_exist(api):
    unknown = str(uuid.uuid4())
    with pytest.raises(ApiNotFound):
        api.read_flow_run(unknown)
    with pytest.raises(ApiNotFound, match="There is no deployment no/such"):
        api.read_deployment("no/such")
    assert api.read_flow_runs([unknown]) == {}
    assert api.read_inputs(unknown) == []


def test_one_claim_wins(api_url, api, run):
    verdicts = race(api_url, lambda client: client.claim(run.id, str(uuid.uuid4())))
    assert sum(verdict.ours for verdict in verdicts) == 1
    assert not any(verdict.not_now for verdict in verdicts)


def test_a_repeated_claim_is_recognised(api, run):
    token = str(uuid.uuid4())
    assert api.claim(run.id, token).accepted
    verdict = api.claim(run.id, token)
    assert not verdict.accepted
    assert verdict.ours


def test_one_write_wins_and_the_ledger_reads_it_back(api_url, api, run):
    key = AttemptKey(run.id, 1)

    def record(client):
        owner = Owner("locus", str(uuid.uuid4()), "ctl", "hash", 60.0)
        return Ledger(client).record(key, owner), owner.token

    outcomes = race(api_url, record)
    (winner,) = [token for won, token in outcomes if won]
    ledger = Ledger(api)
    (entry,) = ledger.read(run.id)
    assert entry.owner.token == winner
    assert abs(entry.owner.created - time.time()) < 60
    assert all(race(api_url, lambda client: Ledger(client).void(key, "cancelled")))
    assert sum(race(api_url, lambda client: Ledger(client).end(key, End("cancelled", "CANCELLED", "x")))) == 1
    (entry,) = ledger.read(run.id)
    assert entry.voided
    assert entry.ended
    for number in range(2, 5):
        ledger.record(AttemptKey(run.id, number), Owner("locus", str(uuid.uuid4()), "ctl", "hash", 60.0))
    assert [entry.number for entry in ledger.read(run.id)] == [1, 2, 3, 4]


def test_states_infrastructure_and_logs(api, rest, run):
    api.set_infrastructure_pid(run.id, "host:1")
    assert api.read_flow_run(run.id).infrastructure_pid == "host:1"
    assert api.propose(run.id, "RUNNING").accepted
    assert api.propose(run.id, "CRASHED", message="gone").accepted
    again = api.propose(run.id, "CRASHED", message="gone")
    assert (again.status, again.ours) == ("ABORT", False)
    found = api.read_flow_runs([run.id])[run.id]
    assert found.terminal
    assert (found.state_name, found.state_message) == ("Crashed", "gone")
    moment = "2026-01-01T00:00:0{}Z"
    lines = [{"name": "x", "level": 20, "message": f"m{n}", "timestamp": moment.format(n)} for n in range(3)]
    rest.post("/logs/", [{**line, "flow_run_id": run.id} for line in lines])
    records = api.read_flow_run_logs(run.id)
    assert [record.message for record in records] == ["m0", "m1", "m2"]
    rest_of_it = api.read_flow_run_logs(run.id, after=records[1].timestamp)
    assert [record.message for record in rest_of_it] == ["m1", "m2"]


def test_lost_answers_are_asked_for_again_without_harm(api, rest):
    made = rest.create_deployment("hello", work_pool_name=rest.create_work_pool(f"pool-{uuid.uuid4().hex[:8]}")["name"])
    with LossyProxy(api.transport.url) as proxy:
        lossy = connect(ApiSettings(url=proxy.api_url))
        run, created = lossy.create_flow_run(lossy.read_deployment(made["id"]))
        assert created
        assert len(rest.flow_runs(made["id"])) == 1
        key, token = AttemptKey(run.id, 1), str(uuid.uuid4())
        assert Ledger(lossy).record(key, Owner("locus", token, "ctl", "hash", 60.0))
        assert lossy.claim(run.id, token).ours
        lossy.set_infrastructure_pid(run.id, "host:1")
        assert Ledger(lossy).void(key, "cancelled")
        assert Ledger(lossy).end(key, End("cancelled", "CANCELLED", "x"))
        assert not Ledger(lossy).end(key, End("cancelled", "CANCELLED", "x"))
        assert lossy.propose(run.id, "CANCELLED").state_type == "CANCELLED"
        with pytest.raises(ApiUnreachable):
            lossy.propose(run.id, "CANCELLING")
    assert len(proxy.lost) >= 8


def test_authentication_csrf_and_a_server_that_dies(new_server):
    server = new_server(
        {"PREFECT_SERVER_API_AUTH_STRING": "admin:pass", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}
    )
    api = connect(ApiSettings(url=server.api_url, auth_string="admin:pass", timeout=2))
    assert api.read_flow_runs([str(uuid.uuid4())]) == {}  # a POST: needs the CSRF token
    for refused in ({}, {"auth_string": "admin:wrong"}, {"key": "pnu_x"}):
        with pytest.raises(ApiRefused):
            connect(ApiSettings(url=server.api_url, **refused))
    server.pause()
    with pytest.raises(ApiUnreachable):
        api.propose(str(uuid.uuid4()), "RUNNING")
    server.resume()
