# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The least that a launcher of flow runs can do: claim each run over REST, start its engine, wait for it.

No record of what was started, no supervisor, no look at how it ended: the floor that the collection is measured
against. ``launcher.py API_URL CONCURRENCY PYTHON FOLDER RUN…``
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def claim(api_url: str, run_id: str) -> None:
    """Set a run PENDING; a busy server (503) is asked again."""
    body = json.dumps({"state": {"type": "PENDING", "name": "Pending"}, "force": False}).encode()
    headers = {"Content-Type": "application/json"}
    while True:
        request = urllib.request.Request(f"{api_url}/flow_runs/{run_id}/set_state", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status = json.load(answer)["status"]
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.2)
            continue
        if status != "ACCEPT":
            raise SystemExit(f"{run_id}: the claim was answered {status}")
        return


def launch(api_url: str, python: str, folder: Path, run_id: str) -> int:
    """Run one flow run's engine to its end and return its exit code; its environment is ours."""
    claim(api_url, run_id)
    with (folder / f"{run_id}.log").open("wb") as log:
        command = [python, "-m", "prefect.engine", run_id]
        return subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=False).returncode


def main() -> int:
    """The command line; returns the worst exit code of an engine."""
    api_url, concurrency, python, folder, *run_ids = sys.argv[1:]
    with ThreadPoolExecutor(int(concurrency)) as pool:
        return max(pool.map(lambda run_id: launch(api_url, python, Path(folder), run_id), run_ids))


if __name__ == "__main__":
    sys.exit(main())
