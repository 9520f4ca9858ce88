# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A home directory for ansible-test, in the cache, that works without the download host of its pip.

ansible-test fills the environments of its sanity tests with the help of a ``get-pip`` script that it downloads from
a host of the Ansible project. Where that host is not reached (only a package registry is), a stand-in takes its place:
the wheel of the very same pip, from PyPI, and a few lines that run it. Everything else ansible-test installs by pip.
"""

from __future__ import annotations

import re
import subprocess
import urllib.request
from pathlib import Path

import environments

# Runs under the empty environment's own interpreter, in the place of the real script; the wheel lies beside it.
STAND_IN = """\
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "pip-{version}-py3-none-any.whl"))

from pip._internal.cli.main import main

OPTIONS = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--find-links", HERE, *OPTIONS]))
"""
SCRIPT_URL = "https://ci-files.testing.ansible.com/ansible-test/get-pip-{version}.py"
# The user's settings for pip, which the private home would hide.
PIP_SETTINGS = (".config/pip", ".pip")


def pip_version(environment: Path) -> str:
    """The version of pip that the ansible-test in an environment asks for."""
    source = next(environment.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py"))
    found = re.search(r"\bpip='([\d.]+)'", source.read_text())
    if not found:
        raise environments.EnvironmentFailed(f"{source} names no version of pip")
    return found.group(1)


def _download(url: str, path: Path) -> bool:
    """Fetch the real script."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            content = answer.read()
    except OSError:
        return False
    path.write_bytes(content)
    return True


def _stand_in(environment: Path, version: str, script: Path) -> None:
    """Put the stand-in and its wheel in the place of the real script."""
    if not next(script.parent.glob(f"pip-{version}-*.whl"), None):
        pip = environments.ensure("uv") / "bin" / "pip"
        words = [str(pip), "download", "--quiet", "--no-deps", "--dest", str(script.parent), f"pip=={version}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise environments.EnvironmentFailed(f"pip {version} for {environment.name}: {done.stderr}")
    script.write_text(STAND_IN.format(version=version))


def prepare(environment: Path) -> Path:
    """Return the home for the ansible-test of an environment; it keeps what that installs for later runs."""
    home = environments.CACHE / "ansible-test" / environment.name
    with environments.locked(home.with_suffix(".lock")):
        version = pip_version(environment)
        script = home / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        if not script.exists():
            script.parent.mkdir(parents=True, exist_ok=True)
            if not _download(SCRIPT_URL.format(version=version), script):
                _stand_in(environment, version, script)
        for name in PIP_SETTINGS:
            if (Path.home() / name).is_dir() and not (home / name).is_symlink():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).symlink_to(Path.home() / name)
    return home
