# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an agent asks of a work pool, and what it says of one that is not there."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Answer
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._work_pool_polls import WorkPoolPolls
from ansible_collections.flowops.prefect.tests.unit.plugins.module_utils.test_prefect_api_objects import (
    DEPLOYMENT,
    RUN,
    RUN_DATA,
    api,
)


def test_nothing_is_asked_for_before_its_time():
    server = api(Answer(200, [{"flow_run": RUN_DATA, "work_queue_id": DEPLOYMENT}]))
    assert WorkPoolPolls(server.transport, "local", ["urgent"]).due(3) == {RUN: DEPLOYMENT}
    ((method, path, body, _repeatable),) = server.transport.sent
    assert (method, path) == ("POST", "/work_pools/local/get_scheduled_flow_runs")
    assert body == {
        "scheduled_before": "1970-01-01T00:16:40+00:00",
        "work_queue_names": ["urgent"],
        "limit": 3,
    }


@pytest.mark.parametrize(("queues", "more"), [([], ""), (["urgent"], " or one of work_queues")])
def test_a_pool_that_is_not_there_is_named(queues, more):
    server = api(ApiNotFound("no", "", status=404))
    with pytest.raises(ApiNotFound, match=f"no work pool .*local.*{more}"):
        WorkPoolPolls(server.transport, "local", queues).due()
