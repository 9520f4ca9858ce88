# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``storage_check`` with containers: what cannot have its code is refused before anything is done for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import docker_image
import pytest
from ansible_play import RunPlaybook
from containers import LABELS, container_of, containers_of, deploy, docker, docker_task, hosts
from prefect_rest import PrefectRest
from stock_pools import stock_template

pytestmark = pytest.mark.usefixtures("docker_engine_up")


@pytest.fixture
def stock_image() -> Iterator[str]:
    """An image under the name of Prefect's own, which holds the flows all the same."""
    name = f"prefecthq/prefect:flowops-{uuid.uuid4().hex[:8]}"
    docker("tag", docker_image.name(), name)
    yield name
    docker("rmi", "--force", name)


def test_code_of_one_machine(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, stock_image: str) -> None:
    """Refused before the claim, launched with a warning where that is wanted, and not asked for again."""
    pool = f"docker-{uuid.uuid4().hex[:8]}"
    rest.create_work_pool(pool, "docker", base_job_template=stock_template(rest, "docker"))
    deployment = deploy(rest, "hello", work_pool_name=pool, job_variables={"image": stock_image})
    run_id = rest.create_flow_run(deployment["id"], {"name": "Ada"})["id"]
    universal = {"api_url": api_url, "deployment": deployment["full_name"], "labels": LABELS}

    def task(name: str, **options: Any) -> dict[str, Any]:
        made = docker_task(api_url, flow_run_id=run_id, **{"image": stock_image, **options})
        return {**made, "name": name, "ignore_errors": True}

    refused = run_playbook(
        [
            task("Strict"),
            {"name": "Create", "flowops.prefect.flow_runner": universal, "ignore_errors": True},
            {**task("Preview", storage_check="warn"), "check_mode": True},
        ],
        hosts=hosts(),
    )
    for name in ("Strict", "Create"):
        found = refused.of(name)
        assert found.failed, name
        assert f"the code lies in {docker_image.FLOWS_INSIDE} of one machine" in found.result["msg"]
        assert "storage_check: warn or off" in found.result["msg"]
    assert "requires remote storage" in refused.of("Preview").result["warnings"][0]
    assert [run["id"] for run in rest.flow_runs(deployment["id"])] == [run_id]
    assert {state["type"] for state in rest.state_history(run_id)} == {"SCHEDULED"}, "at most late"
    assert not containers_of(run_id)

    play = run_playbook(
        [task("Warn", storage_check="warn"), task("Again"), task("Own image", image=docker_image.name())],
        hosts=hosts(),
    ).check()
    launched = play.of("Warn").result
    assert (launched["run"]["phase"], launched["run"]["action"]) == ("succeeded", "launched")
    (warning,) = launched["warnings"]
    assert f"deployment {deployment['name']}: the code lies in {docker_image.FLOWS_INSIDE}" in warning
    for name in ("Again", "Own image"):
        result = play.of(name).result
        assert (result["run"]["phase"], result["changed"], result.get("warnings", [])) == ("succeeded", False, [])
    assert container_of(run_id)["Config"]["Image"] == stock_image
