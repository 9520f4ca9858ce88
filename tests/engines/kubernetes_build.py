# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The daemons of a Kubernetes cluster as one binary, built from Go modules where neither a cluster nor ``kind`` is.

Kept in the cache under a name that holds a hash of what goes into it: building takes minutes, another version makes
another folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import environments
from docker_engine import NoEngine

VERSION = "1.36.3"
SOURCES = environments.CHECKOUT / "tests" / "cluster"
DAEMONS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
PAUSE = "pause"
# No more than the processors that others leave: a build beside tests must not time them out.
NICENESS = 15


def folder() -> Path:
    """Where the programs are, or will be."""
    digest = hashlib.sha256(VERSION.encode())
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return environments.CACHE / "kubernetes" / f"{VERSION}-{digest.hexdigest()[:12]}"


def is_built() -> bool:
    """Whether nothing has to be built."""
    return (folder() / ".complete").exists()


def ensure() -> str:
    """Have the programs and say what was done for it, nothing if they were there.

    :raises NoEngine: there is no Go, or it failed.
    """
    with environments.locked(environments.CACHE / "kubernetes" / "build.lock"):
        if is_built():
            return ""
        _build()
    return f"built Kubernetes {VERSION} from Go modules and "


def _build() -> None:
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    if go is None:
        raise NoEngine("no Kubernetes answers, and there is no Go to build one with")
    made = folder()
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    major, minor, _patch = VERSION.split(".")
    package = "k8s.io/component-base/version"
    version = f"-X {package}.gitVersion=v{VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    print(f"Building Kubernetes {VERSION} from Go modules; this takes some minutes, once.", flush=True)
    _go(go, "build", "-trimpath", "-ldflags", f"-s -w {version}", "-o", made / "kubernetes", ".")
    _go(go, "build", "-trimpath", "-ldflags", "-s -w", "-o", made / PAUSE, "./pause")
    for name in DAEMONS:
        (made / name).symlink_to("kubernetes")
    (made / ".complete").touch()


def _go(go: str, *words: str | Path) -> None:
    """Run the compiler, politely."""
    done = subprocess.run(
        ["nice", "-n", str(NICENESS), go, *map(str, words)],
        cwd=SOURCES,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoEngine(f"go {words[0]}: {done.stderr.strip()[-2000:]}")
