# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the collection at work: a real Prefect server, a deployment of a sample flow, and a playbook that runs it.

The playbook runs twice: the first time it launches flow runs, the second time it finds them finished and changes
nothing. Everything that was started is stopped at the end; with ``--keep`` the server stays up until Ctrl-C.
``--runner`` says what the flows run in.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import environments
import processes
from scratch import scratch

sys.path.extend(str(environments.CHECKOUT / "tests" / name) for name in ("fixtures", "engines"))

import prefect_server
from docker_engine import NoEngine
from quickstart_runners import RUNNERS, Runner


def _say(text: str) -> None:
    """Print a step, set off from what Ansible prints."""
    print(f"\n=== {text}", flush=True)


def _run_playbook(root: Path, home: Path, runner: Runner, variables: dict[str, Any]) -> int:
    """Run the quick start's playbook and let it print to the terminal."""
    tools = environments.ensure("quickstart") / "bin"
    python = environments.ensure(runner.environment) / "bin" / "python"
    inventory = home / "inventory.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    inventory.write_text(json.dumps({"all": {"hosts": {"localhost": local}}}))
    environment = {
        **prefect_server.clean_environment(),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(root.parents[2]),
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_REMOTE_TEMP": str(home / "ansible" / "remote"),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(tools / "ansible-playbook"), "-i", str(inventory), "-e", json.dumps(variables)]
    return subprocess.run([*command, str(root / runner.playbook)], env=environment, cwd=home, check=False).returncode


def _wait_for_the_user(server: prefect_server.PrefectServer) -> None:
    """Leave the server up until it is interrupted."""
    _say(f"The server stays up: {server.url} (API {server.api_url}). Ctrl-C stops it.")
    try:
        if server.process is not None:
            server.process.wait()
    except KeyboardInterrupt:
        pass


def _show(root: Path, home: Path, runner: Runner, keep: bool) -> int:
    """Start a server, deploy a flow, run the playbook twice; return the worst exit code."""
    _say("A Prefect server")
    settings = {"PREFECT_SERVER_UI_ENABLED": str(keep).lower()}
    with prefect_server.PrefectServer(home / "server", env=settings, listen=runner.listen) as server:
        print(server.api_url, flush=True)
        codes = []
        with runner.stage(server, home) as variables:
            for words in ("The playbook launches flow runs", "The same playbook again changes nothing"):
                _say(words)
                codes.append(_run_playbook(root, home, runner, {"prefect_api_url": server.api_url, **variables}))
            if keep:
                _wait_for_the_user(server)
    return max(codes)


def _show_the_others(runner: Runner) -> None:
    """Say what else can be shown on this machine."""
    for name, other in RUNNERS.items():
        if other is not runner and other.answers():
            _say(f"It answers here too: make quickstart RUNNER={name}")


def quickstart(runner: Runner, keep: bool) -> int:
    """Bring everything up, show it, and take everything down."""
    if not runner.answers():
        print(runner.remedy, file=sys.stderr)
        return 1
    _say("Environments (made once)")
    for name in dict.fromkeys(("quickstart", "prefect3", runner.environment)):
        print(f"{name}: {environments.ensure(name)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="flowops-quickstart-") as temporary, scratch() as root:
        # What the playbook starts carries this mark, so that it is found however it detaches.
        os.environ[processes.MARKER] = temporary
        try:
            code = _show(root, Path(temporary), runner, keep)
        finally:
            for process in processes.marked(temporary):
                processes.kill_tree(process.pid)
    _show_the_others(runner)
    return code


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server and its pages up at the end")
    parser.add_argument("--runner", choices=RUNNERS, default="subprocess", help="what the flows run in")
    # Also when it is told to end, it stops what it started first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    arguments = parser.parse_args()
    try:
        return quickstart(RUNNERS[arguments.runner], arguments.keep)
    except (environments.NoInterpreter, environments.EnvironmentFailed, prefect_server.ServerFailed, NoEngine) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
