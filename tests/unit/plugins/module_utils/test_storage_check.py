# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before a launch: whether the code can be there, and how often the server is asked for it."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Answer
from ansible_collections.flowops.prefect.plugins.module_utils._storage_check import StorageCheck
from ansible_collections.flowops.prefect.tests.unit.plugins.module_utils.test_prefect_api_objects import api, deployment

HERE, FAR, GONE = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(3))
ANSWER = Answer(
    200,
    [
        {"id": HERE, "name": "here", "pull_steps": [{"prefect.deployments.steps.git_clone": {}}]},
        {"id": FAR, "name": "far", "path": "/srv/flows", "entrypoint": "a.py:b"},
    ],
)


def checked(mode="strict", kind="docker"):
    server = api(ANSWER)
    return StorageCheck(server, kind, mode), server.transport.sent


def test_the_server_is_asked_once_for_all_runs_of_a_task():
    check, sent = checked()
    check.check(HERE, {}, [FAR, HERE, GONE])
    ((_method, path, body, repeatable),) = sent
    assert (path, repeatable) == ("/deployments/filter", True)
    assert body == {"deployments": {"id": {"any_": [HERE, FAR, GONE]}}, "limit": 3}
    for _time in range(2):
        with pytest.raises(SettingsError, match=r"deployment far: .*/srv/flows.* docker .*requires remote storage"):
            check.check(FAR, {}, [HERE])
    check.check(GONE, {}, [])
    assert len(sent) == 1


def test_a_run_that_is_to_be_created_costs_no_request():
    check, sent = checked()
    with pytest.raises(SettingsError, match=r"deployment f/d: .*/srv/flows"):
        check.check_new(deployment(path="/srv/flows", entrypoint="a.py:b"), {"image": None})
    check.check_new(deployment(path="/srv/flows", entrypoint="a.py:b"), {"image": "flows:1"})
    assert sent == []


def test_warn_launches_and_warns():
    check, _sent = checked("warn", "kubernetes")
    check.check(FAR, {"image": "prefecthq/prefect:3-latest"}, [])
    (warning,) = check.warnings
    assert "deployment far: the code lies in /srv/flows" in warning
    assert "git_clone" in warning


def test_off_does_not_look():
    check, sent = checked("off")
    check.check(FAR, {}, [])
    assert (check.warnings, sent) == ([], [])


def test_a_run_without_a_deployment_has_nothing_to_look_at():
    check, sent = checked()
    check.check(None, {}, [FAR])
    assert sent == []
