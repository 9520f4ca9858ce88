# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments for every tool, made once per lock file and kept outside the checkout.

A name such as ``dev`` stands for ``requirements/dev.txt`` and for the Pythons that may run it. An environment lies
in the cache under a name that holds a hash of its lock and of its Python: another lock makes another environment,
so one that exists is never changed, and tests of two branches do not disturb each other.

As a command: ``environments.py NAME…`` makes environments and prints their folders, ``environments.py --lock``
compiles the lock files anew.
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
REQUIREMENTS = CHECKOUT / "requirements"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowops-prefect"


class NoInterpreter(Exception):
    """No Python of a wanted version is to be had; the message names the versions."""


class EnvironmentFailed(Exception):
    """An environment could not be made; the message holds the tool's own words."""


@dataclass(frozen=True)
class Environment:
    """One lock file and who may run it.

    :arg name: the stem of the files in ``requirements/``.
    :arg pythons: the versions that it runs on, the preferred one first.
    :arg lock_python: the oldest of them, which the lock is resolved for.
    :arg overrides: a file with requirements that replace what packages ask for, see there.
    """

    name: str
    pythons: tuple[str, ...]
    lock_python: str
    overrides: str | None = None

    @property
    def lock(self) -> Path:
        """The lock file."""
        return REQUIREMENTS / f"{self.name}.txt"


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("uv", ("3",), "3.9"),
        Environment("dev", ("3.11", "3.12", "3.13"), "3.11"),
        Environment("docs", ("3.11", "3.12", "3.13"), "3.11"),
        Environment("quickstart", ("3.11", "3.12", "3.13"), "3.11"),
        Environment("core-oldest", ("3.11", "3.12", "3.10"), "3.10"),
        Environment("core-default", ("3.11", "3.12", "3.13"), "3.11"),
        Environment("core-newest", ("3.13", "3.12", "3.14"), "3.12"),
        Environment("prefect3", ("3.12", "3.11", "3.13"), "3.11", "prefect3-override.txt"),
        # Older generations of server and engine.
        Environment("prefect2", ("3.11", "3.12"), "3.11"),
        Environment("orion", ("3.9",), "3.9"),
        # Prefect's own workers for containers and Jobs.
        Environment("stock-workers", ("3.12", "3.11", "3.13"), "3.11", "prefect3-override.txt"),
        # A controller whose modules need no process of their own.
        Environment("controller", ("3.11", "3.12", "3.13"), "3.11"),
        # What AWX executes a job with.
        Environment("awx", ("3.11", "3.12", "3.13"), "3.11"),
        # What benchmarks compare with.
        Environment("bench", ("3.11", "3.12", "3.13"), "3.11"),
        Environment("host-units", ("3.9",), "3.9"),
        # A managed node that runs containers: the Docker SDK and nothing else.
        Environment("host-docker", ("3.11", "3.12", "3.13", "3.10"), "3.10"),
        # The same for Jobs: the Kubernetes client.
        Environment("host-kubernetes", ("3.11", "3.12", "3.13", "3.10"), "3.10"),
        Environment("host-kubernetes-oldest", ("3.9",), "3.9"),
    )
}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time in, also among those that another `make` started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _answers(python: str, version: str) -> tuple[str, str] | None:
    """Path and full version of an interpreter if it runs and is of the wanted version.

    A shim of pyenv may exist, but fail. The interpreter names itself: found through a shim or an active environment,
    it is still the same one.
    """
    code = (
        "import ensurepip, os, sys, venv;"
        "print(os.path.realpath(sys._base_executable)); print('.'.join(map(str, sys.version_info[:3])))"
    )
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    path, found = done.stdout.split("\n")[:2]
    return (path, found) if f"{found}.".startswith(f"{version}.") else None


def _candidates(version: str) -> Iterator[str]:
    """Where an interpreter of a version may lie on this machine."""
    if ".".join(map(str, sys.version_info[:2])) == version or version == "3":
        yield sys.executable
    yield from filter(None, (shutil.which(f"python{version}"), shutil.which("python3")))
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    for root in filter(None, roots):
        yield from sorted((str(path) for path in Path(root).glob(f"versions/{version}.*/bin/python3")), reverse=True)


def _download(version: str) -> str | None:
    """Let uv fetch an interpreter: the last resort, possible only where its download host is reached."""
    wanted = [str(uv()), "python", "install", "--quiet", version]
    if subprocess.run(wanted, capture_output=True, check=False).returncode:
        return None
    found = subprocess.run([str(uv()), "python", "find", version], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


@functools.cache
def find_python(versions: Sequence[str]) -> tuple[str, str]:
    """Path and full version of an interpreter, the first version in the list that is to be had.

    :raises NoInterpreter: none is installed and none can be downloaded.
    """
    for version in versions:
        for candidate in _candidates(version):
            found = _answers(candidate, version)
            if found:
                return found
    for version in versions:
        downloaded = _download(version)
        found = _answers(downloaded, version) if downloaded else None
        if found:
            return found
    raise NoInterpreter(f"no Python {' or '.join(versions)} is installed, and none could be downloaded")


def _run(command: Sequence[str | Path]) -> None:
    """Run an installation step, and once more if it fails: a first try may meet a registry that is slow to answer."""
    for attempt in (1, 2):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if attempt == 1:
            time.sleep(2)
    raise EnvironmentFailed(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


@functools.cache
def uv() -> Path:
    """The uv on PATH, or else one from PyPI in an environment of its own."""
    found = shutil.which("uv")
    return Path(found) if found else ensure("uv") / "bin" / "uv"


def _fill(environment: Environment, python: str, folder: Path) -> None:
    """Make the environment; the lock is complete, so nothing is resolved and only what it names is installed."""
    if environment.name == "uv":
        _run([python, "-m", "venv", "--clear", folder])
        _run([folder / "bin" / "pip", "install", "--quiet", "--require-hashes", "-r", environment.lock])
        return
    _run([uv(), "venv", "--quiet", "--no-project", "--clear", "--python", python, folder])
    install: list[str | Path] = [
        uv(),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--compile-bytecode",
    ]
    _run([*install, "--python", folder / "bin" / "python", "-r", environment.lock])


def folder_of(name: str) -> Path:
    """Where an environment lies, made or not."""
    environment = ENVIRONMENTS[name]
    python, full = find_python(environment.pythons)
    digest = hashlib.sha256(f"{environment.lock.read_text()}\n{full}\n{python}".encode()).hexdigest()[:12]
    return CACHE / "environments" / f"{name}-{digest}"


def ensure(name: str) -> Path:
    """Make an environment unless it is there, and return its folder.

    :raises NoInterpreter: this machine has no Python for it.
    :raises EnvironmentFailed: its packages cannot be installed.
    """
    folder = folder_of(name)
    complete = folder / ".complete"
    if not complete.exists():
        with locked(folder.with_suffix(".lock")):
            if not complete.exists():
                environment = ENVIRONMENTS[name]
                _fill(environment, find_python(environment.pythons)[0], folder)
                complete.touch()
    return folder


def make_elsewhere(name: str, folder: Path, search_path: str) -> Path:
    """An environment outside the cache, for users who cannot read there, on a Python that they can read.

    :arg search_path: where that Python may lie, as in PATH.
    :returns: its interpreter.
    :raises NoInterpreter: there is no such Python.
    """
    environment = ENVIRONMENTS[name]
    for version in environment.pythons:
        for program in (f"python{version}", "python3"):
            python = shutil.which(program, path=search_path)
            if python and _answers(python, version):
                _fill(environment, python, folder)
                return folder / "bin" / "python"
    raise NoInterpreter(f"no Python {' or '.join(environment.pythons)} lies in {search_path}")


def _compile(environment: Environment, upgrade: bool) -> list[str]:
    """The command that compiles one lock file."""
    return [
        *(str(uv()), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-emit-index-url"),
        *("--custom-compile-command", "make lock", "--python-version", environment.lock_python),
        *(["--override", environment.overrides] if environment.overrides else []),
        *(["--upgrade"] if upgrade else []),
        *("--output-file", environment.lock.name, f"{environment.name}.in"),
    ]


def lock_all(upgrade: bool) -> None:
    """Compile every ``.in`` file to its ``.txt`` file, with hashes and without the address of any index."""
    if not ENVIRONMENTS["uv"].lock.exists() and not shutil.which("uv"):
        raise EnvironmentFailed("requirements/uv.txt is missing: install uv first")
    for environment in ENVIRONMENTS.values():
        subprocess.run(_compile(environment, upgrade), cwd=REQUIREMENTS, check=True)
        print(f"requirements/{environment.lock.name}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="environments to make")
    parser.add_argument("--lock", action="store_true", help="compile the lock files")
    parser.add_argument("--upgrade", action="store_true", help="with --lock: take the newest versions")
    arguments = parser.parse_args()
    try:
        if arguments.lock:
            lock_all(arguments.upgrade)
        for name in arguments.names:
            print(ensure(name))
    except (NoInterpreter, EnvironmentFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
