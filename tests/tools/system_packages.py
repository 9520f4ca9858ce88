# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs the Debian packages that some tests need, and says so; only as root in a container or a bare image.

Where systemd runs this is somebody's machine: nothing is installed there, and the tests that need more are skipped with
the name of what is missing. A freshly installed server is not started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import environments

#: Packages by the program that they bring.
PACKAGES = {"sshd": "openssh-server", "ssh": "openssh-client"}
_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def find(program: str) -> Path | None:
    """A program, also where only root looks for programs."""
    found = shutil.which(program, path=_PATH)
    return Path(found) if found else None


def _may_install() -> bool:
    """Whether this is a machine for tests, and one that has Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and not Path("/run/systemd/system").exists()


def _apt(*words: str) -> None:
    # Run level 1 keeps invoke-rc.d from starting what it installs.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(["apt-get", "-qq", *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"apt-get {' '.join(words)}: {done.stderr.strip()}", file=sys.stderr)


def ensure() -> None:
    """Install what is missing. Where that fails, the tests that need it say what they miss."""
    with environments.locked(environments.CACHE / "system-packages.lock"):
        missing = sorted({package for program, package in PACKAGES.items() if find(program) is None})
        if missing and _may_install():
            print(f"Installing for the tests: {' '.join(missing)}", flush=True)
            _apt("update")
            _apt("install", "--yes", "--no-install-recommends", *missing)


if __name__ == "__main__":
    ensure()
