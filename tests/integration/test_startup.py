# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules leave on a host when Ansible has shipped them there."""

from __future__ import annotations

import os
import pwd
import time
import uuid
from pathlib import Path

from ansible_play import RunPlaybook


def test_a_module_keeps_its_compiled_sources(run_playbook: RunPlaybook, api_url: str) -> None:
    place = Path(pwd.getpwuid(os.geteuid()).pw_dir, ".cache", "flowops-prefect", "modules")
    run_id = str(uuid.uuid4())
    task = {"name": "Look", "flowops.prefect.flow_run_info": {"api_url": api_url, "flow_run_ids": [run_id]}}
    started = time.time() - 1  # file systems round
    run_playbook(task, env={"PYTHONDONTWRITEBYTECODE": ""})
    used = [folder for folder in place.iterdir() if folder.stat().st_mtime >= started]
    assert any(path.name.startswith("_flow_run_info.") for folder in used for path in folder.rglob("*.pyc"))
