# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are over are launched again, also those that have to wait for a place."""

from __future__ import annotations

import pytest
from ansible_play import RunPlaybook
from containers import deploy, docker_task, hosts
from prefect_rest import PrefectRest

pytestmark = pytest.mark.usefixtures("docker_engine_up")


def test_a_batch_is_repeated_once_although_only_one_run_has_a_place(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    deployment = deploy(rest, "hello")["id"]
    failed, done = (
        [rest.create_flow_run(deployment)["id"] for _number in range(2)],
        rest.create_flow_run(deployment)["id"],
    )
    for run_id in failed:
        rest.set_state(run_id, "FAILED", force=True)
    rest.set_state(done, "COMPLETED", force=True)
    task = docker_task(api_url, flow_run_ids=[*failed, done], rerun="failed", concurrency=1)
    runs = run_playbook(task, hosts=hosts()).check().last["runs"]
    assert [(run["phase"], run["attempt"]) for run in runs[:2]] == [("succeeded", 2), ("succeeded", 2)]
    assert (runs[2]["phase"], runs[2]["action"]) == ("succeeded", "none")
    assert [rest.state_type(run_id) for run_id in failed] == ["COMPLETED", "COMPLETED"]
