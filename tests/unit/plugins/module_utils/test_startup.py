# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources out of a zip as Ansible ships them, in processes of their own: what is kept, and what is not trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _startup

PACKAGE = _startup.__name__.rpartition(".")[0]
SOURCES = Path(_startup.__file__).parent
TEXT = "_text.py"
PROGRAM = f"""
import gc, json, sys
sys.path.insert(0, sys.argv[1])
from {PACKAGE} import _startup
keep = _startup.keep_compiled
_startup.keep_compiled = lambda: keep(sys.argv[2])
with _startup.starting():
    collecting = gc.isenabled()
    from {PACKAGE} import _text
print(json.dumps([_text.__file__, _text.neutralise("a\\x1bb"), collecting, gc.isenabled()]))
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return zipped(tmp_path / "payload.zip")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".cache" / "modules"


def zipped(path: Path, addition: str = "") -> Path:
    folder = PACKAGE.replace(".", "/")
    with zipfile.ZipFile(path, "w") as archive:
        parts = folder.split("/")
        for depth in range(1, len(parts) + 1):
            archive.writestr("/".join([*parts[:depth], "__init__.py"]), "")
        for name in ("_startup.py", "_collector.py", TEXT):
            archive.writestr(f"{folder}/{name}", (SOURCES / name).read_text(encoding="utf-8") + addition)
    return path


def run(archive: Path, cache: Path, **environment: str) -> Any:
    """Where the module ``_text`` came from, after it has worked."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(archive), str(cache)],
        env={**env, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    origin, text, collecting, collecting_after = json.loads(done.stdout)
    assert "\x1b" not in text
    assert (collecting, collecting_after) == (False, True)
    return Path(origin)


def bytecode(origin: Path) -> list[Path]:
    return sorted((origin.parent / "__pycache__").glob("_text.*.pyc"))


def test_sources_are_unpacked_once_and_keep_their_bytecode(archive: Path, cache: Path) -> None:
    origin = run(archive, cache)
    assert cache in origin.parents
    assert cache.stat().st_mode & 0o777 == 0o700
    (compiled,) = bytecode(origin)
    before = compiled.stat().st_mtime_ns
    assert run(archive, cache) == origin
    assert compiled.stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == [origin.relative_to(cache).parts[0]]


def test_other_sources_have_a_place_of_their_own(archive: Path, cache: Path, tmp_path: Path) -> None:
    other = zipped(tmp_path / "other.zip", addition="# newer\n")
    assert run(archive, cache) != run(other, cache)


def test_who_wants_no_bytecode_gets_none(archive: Path, cache: Path) -> None:
    assert archive in run(archive, cache, PYTHONDONTWRITEBYTECODE="1").parents
    assert not cache.exists()


def test_a_damaged_copy_is_thrown_away_and_made_anew(archive: Path, cache: Path) -> None:
    origin = run(archive, cache)
    origin.write_text("")
    assert archive in run(archive, cache).parents
    assert run(archive, cache) == origin


def test_what_is_cleared_away_meanwhile_comes_out_of_the_zip(archive: Path, cache: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM.replace("    collecting =", "    import shutil; shutil.rmtree(sys.argv[2])\n    collecting ="),
            str(archive),
            str(cache),
        ],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert archive in Path(json.loads(done.stdout)[0]).parents


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_what_others_can_write_is_not_executed(archive: Path, cache: Path, mode: int) -> None:
    origin = run(archive, cache)
    for folder in (cache, cache / origin.relative_to(cache).parts[0]):
        folder.chmod(mode)
        assert archive in run(archive, cache).parents
        folder.chmod(0o700)
    assert run(archive, cache) == origin


def test_a_link_is_not_followed(archive: Path, cache: Path, tmp_path: Path) -> None:
    origin = run(archive, cache)
    folder = cache / origin.relative_to(cache).parts[0]
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert archive in run(archive, cache).parents


def test_a_place_that_cannot_be_made_costs_nothing_but_time(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert archive in run(archive, tmp_path / "file" / "modules").parents


def test_what_nobody_used_for_long_is_removed(archive: Path, cache: Path, tmp_path: Path) -> None:
    old, young = cache / "draft-old", cache / "young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        cache.chmod(0o700)
    long_ago = time.time() - 31 * 86400
    os.utime(old, (long_ago, long_ago))
    run(archive, cache)
    assert young.is_dir()
    assert not old.exists()
    first = run(archive, cache)
    os.utime(cache / first.relative_to(cache).parts[0], (long_ago, long_ago))
    assert run(archive, cache) == first
    run(zipped(tmp_path / "other.zip", addition="# newer\n"), cache)
    assert first.is_file(), "using it makes it young again"
