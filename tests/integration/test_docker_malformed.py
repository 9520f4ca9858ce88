# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is malformed never becomes a container: a clear error with field and remedy, no traceback."""

from __future__ import annotations

import yaml
from ansible_play import RunPlaybook
from containers import MODULE
from malformed_settings import DOCKER_CASES, check, task_of


def test_settings_in_a_play(run_playbook: RunPlaybook) -> None:
    """As users meet them: every case is a task, refused before its host is touched."""
    tasks = [
        {"name": f"{number}: {case['case']}", MODULE: task_of(case), "ignore_errors": True}
        for number, case in enumerate(DOCKER_CASES)
    ]
    play = [{"name": "Test", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    result = run_playbook(yaml.safe_dump(play)).check()
    assert len(result.results) == len(DOCKER_CASES)
    for case, found in zip(DOCKER_CASES, result.results):
        assert found.failed, case
        check(case, found.result["msg"].splitlines())
        assert found.result["category"] == "bad_settings"
    assert "Traceback" not in result.output
    assert "CANARY" not in result.output
