# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An agent of containers that is told to end: the module itself claims runs here, and could leave one half launched."""

from __future__ import annotations

import signal
import uuid
from collections import Counter

import docker_image
import pytest
from ansible_play import StartPlaybook
from containers import LABELS, deploy, hosts
from prefect_rest import PrefectRest
from scenarios import processes_of, wait_until
from stock_pools import stock_template

pytestmark = pytest.mark.usefixtures("docker_engine_up")

RUNS = 8


def test_what_is_claimed_has_a_container(start_playbook: StartPlaybook, rest: PrefectRest, api_url: str) -> None:
    """The signal comes while the first runs are being launched."""
    template = stock_template(rest, "docker")
    template["job_configuration"]["labels"] = LABELS
    pool = rest.create_work_pool(f"docker-{uuid.uuid4().hex[:8]}", "docker", base_job_template=template)["name"]
    deployment = deploy(rest, "hello", work_pool_name=pool, job_variables={"image": docker_image.name()})
    ids = [rest.create_flow_run(deployment["id"])["id"] for _number in range(RUNS)]
    options = {"api_url": api_url, "work_pool": pool, "limit": 3, "serve": True}
    agent = start_playbook({"name": "Serve", "flowops.prefect.flow_runner": options}, hosts=hosts())
    wait_until(lambda: any(rest.state_type(run_id) != "SCHEDULED" for run_id in ids), "the first claim", timeout=120)
    agent.process.terminate()
    assert agent.wait().rc == -signal.SIGTERM
    wait_until(lambda: not processes_of(agent), "the end of everything but containers")
    taken = [run_id for run_id in ids if rest.state_type(run_id) != "SCHEDULED"]
    ends = Counter(rest.wait_for_state(run_id, timeout=300) for run_id in taken)
    assert ends == {"COMPLETED": len(taken)}
    assert Counter(rest.state_type(run_id) for run_id in ids)["SCHEDULED"] == RUNS - len(taken) > 0
