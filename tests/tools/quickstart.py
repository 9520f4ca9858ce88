# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the collection at work: a real Prefect server, a deployment of a sample flow, and a playbook that runs it.

The playbook runs twice: the first time it launches flow runs, the second time it finds them finished and changes
nothing. Everything that was started is stopped at the end; with ``--keep`` the server stays up until Ctrl-C.
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

import environments
import processes
from scratch import scratch

sys.path.insert(0, str(environments.CHECKOUT / "tests" / "fixtures"))

import prefect_server
from prefect_rest import PrefectRest

PLAYBOOK = Path("playbooks/quickstart.yml")


def _say(text: str) -> None:
    """Print a step, set off from what Ansible prints."""
    print(f"\n=== {text}", flush=True)


def _run_playbook(root: Path, home: Path, api_url: str) -> int:
    """Run the quick start's playbook and let it print to the terminal."""
    tools = environments.ensure("quickstart") / "bin"
    variables = {
        "prefect_api_url": api_url,
        "prefect_virtualenv": str(prefect_server.engine_python().parent.parent),
        "prefect_deployment": "hello/quickstart",
        "prefect_state_dir": str(home / "state"),
    }
    inventory = home / "inventory.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": str(tools / "python")}
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
    return subprocess.run([*command, str(root / PLAYBOOK)], env=environment, cwd=home, check=False).returncode


def _wait_for_the_user(server: prefect_server.PrefectServer) -> None:
    """Leave the server up until it is interrupted."""
    _say(f"The server stays up: {server.url} (API {server.api_url}). Ctrl-C stops it.")
    try:
        if server.process is not None:
            server.process.wait()
    except KeyboardInterrupt:
        pass


def _show(root: Path, home: Path, keep: bool) -> int:
    """Start a server, deploy a flow, run the playbook twice; return the worst exit code."""
    _say("A Prefect server")
    settings = {"PREFECT_SERVER_UI_ENABLED": str(keep).lower()}
    with prefect_server.PrefectServer(home / "server", env=settings) as server:
        print(server.api_url)
        PrefectRest(server.api_url).create_deployment("hello", "quickstart")
        codes = []
        for words in ("The playbook launches flow runs", "The same playbook again changes nothing"):
            _say(words)
            codes.append(_run_playbook(root, home, server.api_url))
        if keep:
            _wait_for_the_user(server)
    return max(codes)


def quickstart(keep: bool) -> int:
    """Bring everything up, show it, and take everything down."""
    _say("Environments (made once)")
    for name in ("quickstart", "prefect3"):
        print(f"{name}: {environments.ensure(name)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="flowops-quickstart-") as temporary, scratch() as root:
        # What the playbook starts carries this mark, so that it is found however it detaches.
        os.environ[processes.MARKER] = temporary
        try:
            return _show(root, Path(temporary), keep)
        finally:
            for process in processes.marked(temporary):
                processes.kill_tree(process.pid)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server and its pages up at the end")
    # Also when it is told to end, it stops what it started first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        return quickstart(parser.parse_args().keep)
    except (environments.NoInterpreter, environments.EnvironmentFailed, prefect_server.ServerFailed) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
