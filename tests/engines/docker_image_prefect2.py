# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image of the tests with Prefect 2.20 in the place of Prefect 3, made from it in a minute."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import docker_engine
import docker_image
import environments

LOCK = environments.ENVIRONMENTS["prefect2"].lock
INSIDE = f"/usr/local/lib/python{docker_image.PYTHON}/dist-packages"
# Compiled, or every container would do it; what is no Python yet among the packages is no error.
EXCHANGE = f"rm -r {INSIDE} && mv /opt/packages {INSIDE} && (python -m compileall -qq {INSIDE} || true)"


def name() -> str:
    """What the image is called; other flows or another Prefect make another name."""
    return f"{docker_image.REPOSITORY}-2:{docker_image.digest(docker_image.name().encode(), LOCK.read_bytes())}"


def ensure() -> str:
    """Have the image in the engine and return its name.

    :raises docker_engine.NoEngine: it cannot be made.
    """
    docker_image.ensure()
    with environments.locked(environments.CACHE / "images" / "prefect2.lock"):
        if not docker_image.is_there(name()):
            _build()
    return name()


def _build() -> None:
    """Exchange the packages in a container and keep what it then is."""
    command = ("--entrypoint", "sh", docker_image.name(), "-c", EXCHANGE)
    container = docker_engine.docker("create", *command).stdout.strip()
    try:
        with tempfile.TemporaryDirectory(prefix="flowops-image-") as temporary:
            packages = Path(temporary) / "packages"
            _install(packages)
            docker_engine.docker("cp", str(packages), f"{container}:/opt")
        docker_engine.docker("start", "--attach", container)
        changes = ["--change", 'ENTRYPOINT ["/opt/prefect/entrypoint.sh"]', "--change", 'CMD ["python"]']
        docker_engine.docker("commit", *changes, container, name())
    finally:
        docker_engine.docker("rm", container)


def _install(folder: Path) -> None:
    """The packages of the lock; one of them has no wheels and is built, by the image's Python on this machine."""
    try:
        python = environments.find_python((docker_image.PYTHON,))[0]
    except environments.NoInterpreter as error:
        raise docker_engine.NoEngine(f"the image with Prefect 2.20: {error}") from None
    wanted = ["--no-deps", "--require-hashes", "--python", python, "--target", folder, "-r", LOCK]
    command = [environments.uv(), "pip", "install", "--quiet", *wanted]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise docker_engine.NoEngine(f"uv: {done.stderr.strip()[-2000:]}")
