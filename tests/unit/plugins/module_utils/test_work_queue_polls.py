# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an agent asks of Orion's work queues, and what each generation says of pools and queues that it lacks."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import RESERVED
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_orion import PrefectApiOrion
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v2 import PrefectApiV2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v3 import PrefectApiV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._open_polls import open_polls
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Answer
from ansible_collections.flowops.prefect.tests.unit.plugins.module_utils.test_prefect_api_objects import (
    DEPLOYMENT,
    RUN,
    Script,
)

FIRST, SECOND = "0f6e2a4c-1b1d-4c6e-9d55-0a3c6f1f2b7e", "ecdd48f0-1c31-4cbd-b9c5-de49451a9e73"
OTHER = "3f0d5c9a-4a54-4c38-9f6d-6a8e0f8f1c11"


def queue(queue_id, **conditions):
    return Answer(200, {"id": queue_id, "name": "q", "filter": conditions})


def runs(*ids):
    return Answer(200, [{"id": run_id, "state": {"type": "SCHEDULED"}} for run_id in ids])


def polls(names, *answers):
    script = Script(*answers)
    return open_polls(PrefectApiOrion(script, "2.0b6"), None, names), script


def test_queues_are_asked_in_their_order_and_for_nothing_before_its_time():
    asked, script = polls(["a/b", FIRST.upper()], queue(SECOND), queue(FIRST), runs(RUN), runs(OTHER, RUN))
    assert asked.due(3) == {RUN: SECOND, OTHER: FIRST}
    body = {"scheduled_before": "1970-01-01T00:16:40+00:00", "limit": 3}
    assert [request[:3] for request in script.sent] == [
        ("GET", "/work_queues/name/a%2Fb", None),
        ("GET", f"/work_queues/{FIRST}", None),
        ("POST", f"/work_queues/{SECOND}/get_runs", body),
        ("POST", f"/work_queues/{FIRST}/get_runs", body),
    ]


def test_what_is_under_way_is_what_fits_the_filter_and_no_task_has_made_for_itself():
    pending = {"id": RUN, "state": {"type": "PENDING", "name": "Pending", "message": None}}
    reserved = {"id": OTHER, "state": {"type": "PENDING", "name": "Pending", "message": RESERVED}}
    conditions = {"tags": ["t"], "deployment_ids": [DEPLOYMENT], "flow_runner_types": None}
    asked, script = polls(["a"], queue(FIRST, **conditions), Answer(200, [pending, reserved]))
    assert asked.under_way() == [RUN]
    assert script.sent[-1][2]["flow_runs"] == {
        "tags": {"all_": ["t"]},
        "deployment_id": {"any_": [DEPLOYMENT], "is_null_": False},
        "state": {"type": {"any_": ["PENDING", "RUNNING"]}},
    }


def test_no_queue_hears_of_an_agent():
    """It could never be deleted."""
    asked, script = polls(["a"], queue(FIRST), runs())
    asked.heartbeat("me")
    asked.due()
    assert not any("agent_id" in (body or {}) for _method, _path, body, _repeatable in script.sent)


@pytest.mark.parametrize("answers", [[], [queue(FIRST)]], ids=["at the start", "deleted meanwhile"])
def test_a_queue_that_is_not_there_is_named(answers):
    with pytest.raises(ApiNotFound, match="work_queues: there is no work queue night"):
        polls(["night"], *answers, ApiNotFound("no", "", status=404))[0].due()


@pytest.mark.parametrize(
    ("api", "pool", "queues", "says"),
    [
        (PrefectApiV3, None, ["a"], r"work_queues: Prefect 3 cannot .* without a work pool\. Give work_pool as well"),
        (PrefectApiV2, None, ["a"], r"work_queues: Prefect 2\.20 cannot .* Give work_pool as well"),
        (PrefectApiOrion, "p", [], r"work_pool: Orion 2\.0b6 cannot keep work pools\. .*work_queues"),
        (PrefectApiOrion, "p", ["a"], r"work_pool: Orion 2\.0b6 cannot keep work pools\. .*work_queues"),
    ],
)
def test_what_a_server_lacks_is_refused_without_a_request(api, pool, queues, says):
    script = Script()
    with pytest.raises(ApiError, match=says):
        open_polls(api(script, ""), pool, queues)
    assert script.sent == []
