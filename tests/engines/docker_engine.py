# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker Engine for tests: the one that answers, else Debian's, started here and stopped again by ``down``.

Its data, images included, stays in the cache between two starts. Nothing of an engine that was there before is changed
but the test image that is loaded into it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import environments

DEFAULT_HOST = "unix:///var/run/docker.sock"
PACKAGES = ("docker.io", "iptables", "mmdebstrap")
FOLDER = environments.CACHE / "docker"
PID_FILE = FOLDER / "dockerd.pid"
LOG = FOLDER / "dockerd.log"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
_SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


class NoEngine(Exception):
    """No engine answers and none can be started; the message says why."""


def host() -> str:
    """Where the engine is expected, as in DOCKER_HOST."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def find_program(name: str) -> Path | None:
    """A program, also where only root looks for programs."""
    found = shutil.which(name, path=_SEARCH_PATH)
    return Path(found) if found else None


def docker(*words: str, host: str | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the docker command.

    :raises NoEngine: it failed.
    """
    program = find_program("docker")
    if program is None:
        raise NoEngine("the docker command is not installed")
    where = ["--host", host] if host else []
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(program), *where, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": _SEARCH_PATH},
        **options,  # type: ignore[call-overload]
    )
    if done.returncode:
        raise NoEngine(f"docker {' '.join(words)[:200]}: {done.stderr.strip()}")
    return done


def answers(where: str | None = None) -> bool:
    """Whether an engine answers there."""
    try:
        docker("version", "--format", "{{.Server.Version}}", host=where, timeout=20)
    except (NoEngine, subprocess.TimeoutExpired):
        return False
    return True


def up() -> str:
    """Have an engine and say what was done for it.

    :raises NoEngine: there is none and none can be had.
    """
    with environments.locked(FOLDER / "lock"):
        if answers():
            return f"Docker Engine: the one at {host()}"
        if os.environ.get("DOCKER_HOST"):
            raise NoEngine(f"DOCKER_HOST is {host()}, and no Docker Engine answers there")
        installed = _install()
        pid = start(FOLDER / "root", DEFAULT_HOST, PID_FILE, LOG)
        return f"Docker Engine: {installed}started (process {pid}, data in {FOLDER / 'root'})"


def status() -> str:
    """Say where an engine answers.

    :raises NoEngine: nowhere.
    """
    if not answers():
        raise NoEngine(f"nothing answers at {host()}")
    return f"Docker Engine: answers at {host()}"


def down() -> str:
    """Stop the engine that :func:`up` started and say so."""
    with environments.locked(FOLDER / "lock"):
        stopped = stop(PID_FILE)
        remove_runtime(FOLDER / "root")
    return f"Docker Engine: {'stopped' if stopped else 'nothing of ours was running'}"


def _install() -> str:
    """Debian's packages where the programs are missing; only on a machine for tests, never where systemd runs."""
    if find_program("dockerd"):
        return ""
    if os.geteuid() != 0 or find_program("apt-get") is None or Path("/run/systemd/system").exists():
        raise NoEngine("no Docker Engine answers, and one is only installed by root in a container or a bare image")
    # Run level 1 keeps invoke-rc.d from starting what it installs.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-qq", *words], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoEngine(f"apt-get {' '.join(words)}: {done.stderr.strip()}")
    return f"installed {', '.join(PACKAGES)} and "


def start(root: Path, where: str, pid_file: Path, log: Path, *words: str) -> int:
    """Start a daemon of our own and wait until it answers.

    :arg words: more of its options.
    :returns: its process id.
    :raises NoEngine: it ended, or did not answer in time.
    """
    program = find_program("dockerd")
    if program is None:
        raise NoEngine("dockerd is not installed")
    if os.geteuid() != 0:
        raise NoEngine("only root can start a Docker Engine")
    root.mkdir(parents=True, exist_ok=True)
    options = ["--data-root", str(root), "--exec-root", str(_runtime(root)), "--pidfile", str(pid_file)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(program), *options, "--host", where, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What tests leave behind is found by a mark in the environment: the engine is to stay.
            env={name: value for name, value in os.environ.items() if name != "FLOWOPS_TEST_RUN"}
            | {"PATH": _SEARCH_PATH},
        )
    deadline = time.monotonic() + START_TIMEOUT
    while not answers(where):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise NoEngine(f"dockerd {'ended' if process.poll() is not None else 'did not answer in time'}\n{tail}")
        time.sleep(0.2)
    return process.pid


def _runtime(root: Path) -> Path:
    """Where a daemon keeps what it needs while it runs: sockets have short paths."""
    return Path("/run") / f"flowops-docker-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def remove_runtime(root: Path) -> None:
    """Remove what a daemon of our own needed while it ran, once it has ended for good.

    It leaves a network namespace mounted there, and with live-restore its data folder over itself. Lazily, since what
    it had mounted below may take a moment to go.
    """
    runtime = _runtime(root)
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mounted in mounts:
        if mounted == str(root) or mounted.startswith(f"{runtime}/"):
            subprocess.run(["umount", "--lazy", mounted], check=True)
    if runtime.exists():
        shutil.rmtree(runtime)


def stop(pid_file: Path, number: signal.Signals = signal.SIGTERM) -> bool:
    """End a daemon of our own and wait until it is gone. :returns: whether there was one."""
    pid = _running(pid_file)
    if pid is None:
        return False
    os.kill(pid, number)
    deadline = time.monotonic() + STOP_TIMEOUT
    while _running(pid_file) == pid:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    pid_file.unlink(missing_ok=True)
    return True


def _running(pid_file: Path) -> int | None:
    """The daemon's process id, if it lives and is one."""
    try:
        pid = int(pid_file.read_text())
        status = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return None
    name, _dummy, rest = status.partition("(")[2].rpartition(")")
    return pid if name == "dockerd" and rest.split()[0] not in "ZX" else None
