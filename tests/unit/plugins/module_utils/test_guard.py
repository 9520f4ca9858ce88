# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first process of a container, with real processes: exit codes, signals and time limits."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _bootstrap

# The bootstrap's source, less its last lines, which would run it.
SOURCE = pathlib.Path(_bootstrap.__file__).read_text().partition('\nif __name__ == "__main__":')[0]
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
DRIVER = """
code, gate = Guard(json.loads(os.environ["LIMITS"])).split()
if code is not None:
    sys.exit(code)
def pass_gate():
    os.write(gate, b"1")
    os.close(gate)
{engine}
sys.exit(0)
"""


def start(engine: str, **limits: float) -> subprocess.Popen[str]:
    """A guard whose engine is some code."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", SOURCE + DRIVER.format(engine=engine)],
        env={"PATH": os.environ["PATH"], "LIMITS": json.dumps({"start": None, "run": None, "grace": 0.3, **limits})},
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str], number: int = 0) -> int:
    """The exit code, after a signal that is sent when the engine says that it is ready."""
    if number:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
    process.communicate(timeout=30)
    return process.returncode


READY = "print('ready', flush=True)\ntime.sleep(60)"


@pytest.mark.parametrize(
    ("engine", "limits", "code"),
    [
        ("pass", {}, 0),
        ("sys.exit(3)", {}, 3),
        ("os.kill(os.getpid(), signal.SIGKILL)", {}, 137),
        ("time.sleep(60)", {"start": 0.3}, _bootstrap.EXIT_START_TIMEOUT),
        (f"{DEAF}\ntime.sleep(60)", {"start": 0.3}, _bootstrap.EXIT_START_TIMEOUT),
        ("pass_gate()\ntime.sleep(60)", {"start": 20, "run": 0.3}, _bootstrap.EXIT_RUN_TIMEOUT),
        (f"{DEAF}\npass_gate()\ntime.sleep(60)", {"run": 0.3}, _bootstrap.EXIT_RUN_TIMEOUT),
        ("pass_gate()\ntime.sleep(0.8)", {"start": 0.4}, 0),
        ("pass_gate()\nsys.exit(5)", {"run": 30}, 5),
    ],
)
def test_ends(engine, limits, code):
    assert told(start(engine, **limits)) == code


@pytest.mark.parametrize(
    ("engine", "number", "code"),
    [
        (READY, signal.SIGUSR1, _bootstrap.EXIT_STOPPED),
        (f"{DEAF}\n{READY}", signal.SIGUSR1, _bootstrap.EXIT_STOPPED),
        (READY, signal.SIGTERM, 143),
        (f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n{READY}", signal.SIGTERM, 7),
        (f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n{READY}", signal.SIGUSR1, _bootstrap.EXIT_STOPPED),
    ],
)
def test_signals(engine, number, code):
    assert told(start(engine), number) == code
