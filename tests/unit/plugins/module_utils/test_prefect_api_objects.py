# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server sends becomes typed objects or an error that names the field; never a traceback."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, FlowopsError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._moments import parse_moment
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api import _dialect_v3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import canonical_uuid
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import TOO_LARGE, Answer

RUN = "979b4e7b-c5f1-4546-8e24-8a038e182219"
DEPLOYMENT = "1511342e-40c2-432a-a483-d9d2b3326314"
RUN_DATA = {
    "id": RUN,
    "name": "liberal-urchin",
    "deployment_id": DEPLOYMENT,
    "parameters": {"a": 1, "default": 2},
    "run_count": 0,
    "created": "2026-11-23T10:24:35.454225Z",
    "start_time": None,
    "tags": ["t"],
    "work_pool_name": "p1",
    "state": {
        "type": "SCHEDULED",
        "name": "Late",
        "message": None,
        "state_details": {"scheduled_time": "2026-11-23T10:24:35.441797Z", "transition_id": None},
    },
}


class Script:
    """A transport that answers from a list."""

    url = "http://h/api"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def request(self, method, path, body=None, *, repeatable, shape=None):
        self.sent.append((method, path, body, repeatable))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def server_now(self):
        return 1000.0


def api(*answers):
    return _dialect_v3.PrefectApiV3(Script(*answers), "3.9.1")


def changed(data, path, value):
    data = copy.deepcopy(data)
    target = data
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return data


def test_flow_run():
    run = api(Answer(200, RUN_DATA)).read_flow_run(RUN.upper().replace("-", ""))
    assert (run.id, run.state_name, run.state_message, run.tags) == (RUN, "Late", "", ("t",))
    assert run.scheduled
    assert not run.terminal
    assert run.scheduled_time is not None
    assert run.due(run.scheduled_time)
    assert not run.due(run.scheduled_time - 1)
    assert "parameters" not in repr(run)


def test_only_a_run_in_its_first_state_is_untouched():
    """The server makes a run's first state before the run itself."""

    def untouched(since, **more):
        state = {**RUN_DATA["state"], "timestamp": since, **more.pop("state", {})}
        return api(Answer(200, {**RUN_DATA, **more, "state": state})).read_flow_run(RUN).untouched

    first = "2026-11-23T10:24:35.454224Z"
    assert untouched(first)
    assert not untouched("2026-11-23T10:24:35.454226Z")
    assert not untouched(None)
    assert not untouched(first, run_count=1)
    assert not untouched(first, created=None)
    assert not untouched(first, state={"type": "PENDING"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "../../admin"),
        (("id",), None),
        (("deployment_id",), 7),
        (("state",), "RUNNING"),
        (("state", "type"), None),
        (("state", "name"), ["x"]),
        (("state", "state_details"), 1),
        (("state", "state_details", "transition_id"), "x"),
        (("state", "state_details", "scheduled_time"), "soon"),
        (("parameters",), []),
        (("run_count",), "1"),
        (("run_count",), float("inf")),
        (("tags",), [1]),
        (("created",), "99999-01-01"),
    ],
)
def test_damaged_flow_runs_name_the_field(path, value):
    with pytest.raises(ApiError, match=path[-1]):
        api(Answer(200, changed(RUN_DATA, path, value))).read_flow_run(RUN)


@pytest.mark.parametrize("value", ["", "x", "../" + RUN, RUN + "/..", "{" + RUN + "}", None, 3])
def test_ids_must_be_uuids_before_they_touch_a_url(value):
    for call in ("read_flow_run", "read_inputs"):
        with pytest.raises(SettingsError, match="not a UUID"):
            getattr(api(), call)(value)
    assert canonical_uuid(value) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10.5", 10.5),
        ("1970-01-01 01:00:10.123456789+01:00", 10.123456789),
        ("1970-01-01T00:00:10+0000", 10.0),
        ("1970-13-01T00:00:10Z", None),
        ("\u0661970-01-01T00:00:10Z", None),
        ("x", None),
        (5, None),
    ],
)
def test_moments(text, moment):
    assert parse_moment(text) == pytest.approx(moment)


def verdict(status, state=None, **details):
    return api(Answer(200, {"status": status, "state": state, "details": details})).claim(RUN, RUN)


def test_verdicts():
    assert verdict("ACCEPT", {"type": "PENDING", "name": "Pending"}).ours
    assert verdict("REJECT", {"type": "PENDING"}, reason="This run has already made this state transition.").ours
    foreign = verdict("ABORT", None, reason="This run is in a PENDING state and cannot transition to PENDING.")
    assert not foreign.ours
    assert not foreign.not_now
    waiting = {"type": "SCHEDULED", "state_details": {"scheduled_time": "1970-01-01T00:17:10Z"}}
    assert verdict("REJECT", waiting).not_now
    assert verdict("REJECT", waiting).retry_after == 30
    assert verdict("WAIT", None, delay_seconds=12, reason="later").retry_after == 12
    assert not verdict("REJECT", {"type": "CANCELLED"}).not_now
    with pytest.raises(ApiError, match="verdict"):
        verdict("MAYBE")


def test_only_safe_proposals_are_repeated():
    answer = Answer(200, {"status": "ACCEPT"})
    client = api(answer, answer, answer)
    client.propose(RUN, "CANCELLING")
    client.propose(RUN, "CRASHED", message="m")
    client.claim(RUN, RUN)
    assert [sent[3] for sent in client.transport.sent] == [False, True, True]
    assert all(sent[2]["force"] is False for sent in client.transport.sent)


def deployment(**changes):
    data = {"id": DEPLOYMENT, "name": "d", "flow_id": RUN, "parameters": {"default": 2}, **changes}
    return api(Answer(200, data)).read_deployment("f/d")


def test_deployment_by_name_and_id():
    found = deployment(work_pool_name="p")
    assert (found.full_name, found.work_pool_name, found.enforce_parameter_schema) == ("f/d", "p", True)
    client = api(Answer(200, {"id": DEPLOYMENT, "name": "d", "flow_id": RUN}), Answer(200, {"name": "f"}))
    assert client.read_deployment(DEPLOYMENT).full_name == "f/d"
    client = api(Answer(200, {"id": DEPLOYMENT, "name": "ü/..", "flow_id": RUN}))
    client.read_deployment("a b/ü/..")
    assert client.transport.sent[0][1] == "/deployments/name/a%20b/%C3%BC%2F.."
    for name in ("", "x", "/x", "x/"):
        with pytest.raises(SettingsError, match="flow/name"):
            api().read_deployment(name)


def test_a_known_key_must_mean_the_same_run():
    existing = Answer(200, RUN_DATA)
    run, created = api(existing).create_flow_run(deployment(), parameters={"a": 1}, idempotency_key="k")
    assert (run.id, created) == (RUN, False)
    for parameters in ({"a": "secret-value"}, {"a": 1, "b": 3}, {}, {"a": 1, "default": 9}):
        with pytest.raises(SettingsError, match=r"these differ: (a|b|default)") as caught:
            api(existing).create_flow_run(deployment(), parameters=parameters, idempotency_key="k")
        assert "secret-value" not in str(caught.value)
    recipe = {"__prefect_kind": "json", "value": "1"}
    api(existing).create_flow_run(deployment(), parameters={"a": recipe}, idempotency_key="k")
    other = Answer(200, {**RUN_DATA, "deployment_id": RUN})
    with pytest.raises(ApiError, match="another deployment"):
        api(other).create_flow_run(deployment(), parameters={"a": 1}, idempotency_key="k")


def test_keys_hold_deployment_and_salt_and_are_random_without_a_users_key():
    keys = set()
    for user_key, salt in (("k", ""), ("k", "s"), ("k", ""), (None, ""), (None, "")):
        client = api(Answer(201, RUN_DATA))
        client.create_flow_run(deployment(), parameters={"a": 1}, idempotency_key=user_key, key_salt=salt)
        keys.add(client.transport.sent[0][2]["idempotency_key"])
    assert len(keys) == 4


def test_refused_parameters_are_a_settings_error():
    with pytest.raises(SettingsError, match=r"'x' is not of type.*Correct parameters"):
        api(ApiError("refused: 'x' is not of type 'integer'.", status=409)).create_flow_run(deployment())


def test_a_queue_that_is_not_paused_is_told():
    client = api(Answer(200, {"is_paused": False}), Answer(201, RUN_DATA), Answer(201, RUN_DATA))
    for _twice in range(2):
        client.create_flow_run(deployment(work_pool_name="p"), parameters={"a": 1})
    assert len(client.warnings) == 1
    assert "not paused" in client.warnings[0]


def test_pages_that_are_too_large_are_halved():
    other = {**RUN_DATA, "id": DEPLOYMENT}
    client = api(ApiError("large", category=TOO_LARGE), Answer(200, [RUN_DATA]), Answer(200, [other]))
    assert set(client.read_flow_runs([RUN, DEPLOYMENT, RUN])) == {RUN, DEPLOYMENT}


def test_a_lost_write_is_told_from_a_foreign_one_by_its_value():
    stored = Answer(200, [{"key": "flowops-1", "value": "mine", "created": "2026-11-23T10:24:35Z"}])
    taken = ApiError("exists", status=409)
    assert api(Answer(201, None)).write_input(RUN, "flowops-1", "mine")
    assert api(taken, stored).write_input(RUN, "flowops-1", "mine")
    assert not api(taken, stored).write_input(RUN, "flowops-1", "other")
    with pytest.raises(ApiError, match="201"):
        api(Answer(200, None)).write_input(RUN, "flowops-1", "mine")
    full = Answer(200, [stored.data[0]] * 1000)
    with pytest.raises(FlowopsError, match="1000 or more inputs"):
        api(full).read_inputs(RUN)


def test_ui_url():
    assert api().ui_url(RUN) == f"http://h/runs/flow-run/{RUN}"
