# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``storage_check`` with Jobs: what cannot have its code is refused before anything is done for it."""

from __future__ import annotations

import uuid

import docker_image
from ansible_play import RunPlaybook
from jobs import MODULE, PULL_STEPS, Namespace, hosts
from stock_pools import stock_template


def test_code_of_one_machine(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    """By the module's own default image, and by a stock pool's; a preview with a warning where that is wanted."""
    rest = namespace.rest
    pool = f"kubernetes-{uuid.uuid4().hex[:8]}"
    rest.create_work_pool(pool, "kubernetes", base_job_template=stock_template(rest, "kubernetes"))
    deployment = rest.create_deployment("hello", pull_steps=PULL_STEPS, work_pool_name=pool)
    run_id = rest.create_flow_run(deployment["id"])["id"]
    options = namespace.task(image=None)[MODULE]
    by_id = {**options, "flow_run_id": run_id}
    by_deployment = {**options, "deployment": deployment["full_name"]}
    play = run_playbook(
        [
            {"name": "Strict", MODULE: by_id, "ignore_errors": True},
            {"name": "Create", "flowops.prefect.flow_runner": by_deployment, "ignore_errors": True},
            {"name": "Warn", MODULE: {**by_id, "storage_check": "warn"}, "check_mode": True},
        ],
        hosts=hosts(),
    ).check()
    for name in ("Strict", "Create"):
        found = play.of(name)
        assert found.failed, name
        assert f"the code lies in {docker_image.FLOWS_INSIDE} of one machine" in found.result["msg"]
        assert "storage_check: warn or off" in found.result["msg"]
    warned = play.of("Warn").result
    assert [preview["deployment"] for preview in warned["would_launch"]] == [""]
    assert any("requires remote storage" in warning for warning in warned["warnings"])
    assert [run["id"] for run in rest.flow_runs(deployment["id"])] == [run_id]
    assert {state["type"] for state in rest.state_history(run_id)} == {"SCHEDULED"}, "at most late"
    assert not namespace.objects("jobs", run_id)
