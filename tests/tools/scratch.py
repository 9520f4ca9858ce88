# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of the checkout at ``…/ansible_collections/flowops/prefect``.

ansible-test and the import system want the collection under that path and follow no symbolic link to it, while a
checkout may lie anywhere. The copy also gives tests a tree that does not change while somebody edits the checkout.

A copy is taken from a few numbered slots, each with a lock: tools that cache by path find their cache again, and
two runs at the same time do not share a tree.

As a command: ``scratch.py DIRECTORY`` copies to ``DIRECTORY/ansible_collections/flowops/prefect``.
"""

from __future__ import annotations

import fcntl
import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from environments import CACHE, CHECKOUT

COLLECTION = Path("ansible_collections/flowops/prefect")
# Kept between copies into the same slot: what earlier runs wrote there is nobody's source.
KEPT = {"__pycache__", "output"}


def _sources() -> list[Path]:
    """Every file that is or could be committed, relative to the checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (CHECKOUT / name).is_file()]


def _same(source: Path, copy: Path) -> bool:
    """Whether the copy is up to date; modification times are copied too."""
    if not copy.is_file():
        return False
    ours, theirs = source.stat(), copy.stat()
    return (ours.st_mtime_ns, ours.st_size, ours.st_mode) == (theirs.st_mtime_ns, theirs.st_size, theirs.st_mode)


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    """Remove what the checkout does not have (any more), so that a deleted file fails tests here as it will in CI."""
    for path in folder.iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            if path in wanted:
                _remove_others(path, wanted)
            else:
                shutil.rmtree(path)
        elif path not in wanted:
            path.unlink()


def copy_to(directory: Path) -> Path:
    """Bring the copy below a directory up to date and return the collection's root in it."""
    root = directory / COLLECTION
    root.mkdir(parents=True, exist_ok=True)
    wanted: set[Path] = set()
    for name in _sources():
        source, copy = CHECKOUT / name, root / name
        wanted.add(copy)
        wanted.update(parent for parent in copy.parents if root in parent.parents)
        if not _same(source, copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    _remove_others(root, wanted)
    return root


@contextmanager
def scratch() -> Iterator[Path]:
    """The collection's root in a fresh copy that is ours until the block ends."""
    for number in itertools.count():
        directory = CACHE / "scratch" / str(number)
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield copy_to(directory)
            return


def main() -> int:
    """The command line."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    print(copy_to(Path(sys.argv[1]).absolute()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
