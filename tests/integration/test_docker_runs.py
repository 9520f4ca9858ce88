# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job in containers: runs are launched once, watched, adopted, and reported as they ended."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_play import RunPlaybook
from containers import container_of, docker_task, hosts, make_run
from prefect_rest import PrefectRest

pytestmark = pytest.mark.usefixtures("docker_engine_up")


def test_a_run_is_executed_once_and_its_output_is_shown(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path
) -> None:
    run_id = make_run(rest, "hello", {"name": "Ada"})
    task = docker_task(api_url, flow_run_id=run_id)

    first = run_playbook(task, hosts=hosts()).check()
    result = first.last["run"]
    assert first.last["changed"] is True
    assert (result["phase"], result["action"], result["attempt"]) == ("succeeded", "launched", 1)
    assert (result["state_type"], result["exit_code"], result["diagnosis"]) == ("COMPLETED", 0, None)
    assert re.search(rf"\[{result['name']}\] .*Ada", first.stdout), first.stdout
    found = container_of(run_id)
    assert found["Name"] == f"/flowops-{run_id}-1" == f"/{result['infrastructure']['name']}"
    assert rest.flow_run(run_id)["infrastructure_pid"] == result["infrastructure"]["identifier"]
    assert result["infrastructure"]["identifier"].endswith(found["Id"])

    second = run_playbook(task, hosts=hosts()).check()
    assert second.last["changed"] is False
    assert (second.last["run"]["phase"], second.last["run"]["action"]) == ("succeeded", "none")
