# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image of the tests: Debian, the Prefect of ``requirements/prefect3.txt``, the sample flows; no registry needed.

Two steps, each cached by a hash of what goes into it. The base, which takes a minute, lies as an archive in the cache,
so that an engine that lost it gets it back; the flows on top of it take a second.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import docker_engine
import environments

FLOWS = environments.CHECKOUT / "tests" / "fixtures" / "flows"
#: Where the flows are in the image.
FLOWS_INSIDE = "/opt/flows"
SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = "python3,ca-certificates"
# Like that of the stock image, as far as it can be without an index: it says what it would install, and goes on.
ENTRYPOINT = """#!/bin/sh
if [ -n "$EXTRA_PIP_PACKAGES" ]; then echo "+pip install $EXTRA_PIP_PACKAGES"; fi
exec "$@"
"""
REPOSITORY = "flowops-test/prefect"


def digest(*parts: bytes) -> str:
    """What stands for the content of an image in its name."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _base_digest() -> str:
    lock = environments.ENVIRONMENTS["prefect3"].lock.read_bytes()
    return digest(lock, f"{SUITE} {PYTHON} {PACKAGES} 1".encode(), ENTRYPOINT.encode())


def _flows() -> list[Path]:
    return sorted(FLOWS.glob("*.py"))


def name() -> str:
    """What the image is called; other flows or another Prefect make another name."""
    content = [part for path in _flows() for part in (path.name.encode(), path.read_bytes())]
    return f"{REPOSITORY}:{digest(_base_digest().encode(), *content)}"


def base() -> str:
    """What the image below it is called, which has no flows."""
    return f"{REPOSITORY}-base:{_base_digest()}"


def _archive() -> Path:
    return environments.CACHE / "images" / f"prefect-base-{_base_digest()}.tar"


def archive(folder: Path) -> Path:
    """The base as ``docker save`` writes it: the one in the cache, else made in a folder."""
    if _archive().exists():
        return _archive()
    docker_engine.docker("save", "--output", str(folder / "base.tar"), base())
    return folder / "base.tar"


def is_there(image: str) -> bool:
    """Whether the engine has an image."""
    try:
        docker_engine.docker("image", "inspect", "--format", "{{.Id}}", image)
    except docker_engine.NoEngine:
        return False
    return True


def ensure() -> str:
    """Have the image in the engine and say what was done for it.

    :raises docker_engine.NoEngine: it cannot be made.
    """
    image = name()
    with environments.locked(environments.CACHE / "images" / "lock"):
        if is_there(image):
            return f"Image: {image} is there"
        how = "the flows are new"
        if not is_there(base()):
            how = "loaded" if _archive().exists() else "built"
            load_base()
        _add_flows(image)
        return f"Image: {image} ({how})"


def load_base(host: str | None = None) -> None:
    """Bring the base into an engine, from the archive, which is made when it is not there."""
    if _archive().exists():
        docker_engine.docker("load", "--quiet", "--input", str(_archive()), host=host)
        return
    with tempfile.TemporaryDirectory(prefix="flowops-image-") as temporary:
        root = Path(temporary) / "root"
        _make_root(root, Path(temporary) / "root.tar")
        _import(root)
    _archive().parent.mkdir(parents=True, exist_ok=True)
    partial = _archive().with_suffix(".partial")
    docker_engine.docker("save", "--output", str(partial), base())
    partial.rename(_archive())


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise docker_engine.NoEngine(f"{Path(command[0]).name}: {done.stderr.strip()[-2000:]}")


def _make_root(root: Path, archive: Path) -> None:
    """Debian with Python, and Prefect in it, compiled: every container would compile it anew otherwise."""
    program = docker_engine.find_program("mmdebstrap")
    if program is None or os.geteuid() != 0:
        raise docker_engine.NoEngine("the test image needs mmdebstrap and root")
    _run(program, "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, archive)
    root.mkdir()
    _run("tar", "--extract", "--file", archive, "--directory", root, "--exclude=./dev/*")
    packages = root / f"usr/local/lib/python{PYTHON}/dist-packages"
    wanted = ["--no-deps", "--require-hashes", "--python-version", PYTHON, "--only-binary", ":all:"]
    lock = environments.ENVIRONMENTS["prefect3"].lock
    _run(environments.uv(), "pip", "install", "--quiet", *wanted, "--target", packages, "-r", lock)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (root / "opt/prefect").mkdir(parents=True)
    (root / "opt/prefect/entrypoint.sh").write_text(ENTRYPOINT)
    (root / "opt/prefect/entrypoint.sh").chmod(0o755)
    # Without a look at its exit code: among the packages are templates that are no Python yet.
    compiler = ["chroot", str(root), "/usr/bin/python3", "-m", "compileall", "-qq", f"/{packages.relative_to(root)}"]
    subprocess.run(compiler, capture_output=True, check=False)


def _import(root: Path) -> None:
    changes = ['ENTRYPOINT ["/opt/prefect/entrypoint.sh"]', "WORKDIR /opt/prefect", "ENV LANG=C.UTF-8"]
    words = [word for change in changes for word in ("--change", change)]
    tar = subprocess.Popen(["tar", "--create", "--directory", str(root), "."], stdout=subprocess.PIPE)
    docker_engine.docker("import", *words, "-", base(), stdin=tar.stdout)
    if tar.wait():
        raise docker_engine.NoEngine(f"tar ended with {tar.returncode}")


def _add_flows(image: str) -> None:
    container = docker_engine.docker("create", base(), "true").stdout.strip()
    try:
        with tempfile.TemporaryDirectory(prefix="flowops-flows-") as temporary:
            folder = Path(temporary) / Path(FLOWS_INSIDE).name
            folder.mkdir()
            folder.chmod(0o755)
            for path in _flows():
                (folder / path.name).write_bytes(path.read_bytes())
            docker_engine.docker("cp", str(folder), f"{container}:{Path(FLOWS_INSIDE).parent}")
        docker_engine.docker("commit", container, image)
    finally:
        docker_engine.docker("rm", container)
