# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""How a module starts quickly on a host.

Ansible ships a module's sources in a zip, out of which Python compiles them at each execution, and a task that watches
a run executes its module again and again. So they are unpacked once into ``~/.cache/flowops-prefect/modules``, where
Python keeps what it compiled. What hinders that costs only time: then everything comes out of the zip, as ever.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pwd
import shutil
import stat
import sys
import tempfile
import time
import typing as t
import zipfile

from ansible_collections.flowops.prefect.plugins.module_utils._collector import uncollected

#: Sources that no module has used for so long are removed, in seconds.
_UNUSED = 30 * 86400.0


@contextlib.contextmanager
def starting() -> t.Iterator[None]:
    """For a module's imports: what they make stays to the end, so nobody needs to look for garbage there."""
    with uncollected():
        keep_compiled()
        yield
    gc.freeze()


def keep_compiled(cache: str | None = None) -> None:
    """Have the rest of this package imported from where its bytecode can be kept.

    :arg cache: a directory of this user's; by default in the home that the passwd database names, since ``$HOME`` may
        be another user's under sudo, and what lies there is executed.
    """
    archive = getattr(globals().get("__loader__"), "archive", None)
    if archive is None or sys.dont_write_bytecode:
        return
    package = __name__.rpartition(".")[0]
    with contextlib.suppress(OSError, KeyError, zipfile.BadZipFile):
        home = pwd.getpwuid(os.geteuid()).pw_dir
        place = cache or os.path.join(home, ".cache", "flowops-prefect", "modules")
        prefix = package.replace(".", "/") + "/"
        with zipfile.ZipFile(archive) as shipped:
            folder = _unpacked(shipped, prefix, place)
        # The zip stays behind it, for what somebody clears away meanwhile.
        sys.modules[package].__path__.insert(0, os.path.join(folder, prefix.rstrip("/")))


def _unpacked(shipped: zipfile.ZipFile, prefix: str, place: str) -> str:
    """A directory with these very sources. :raises OSError: there is none to be had, or none that can be trusted."""
    sources = [info for info in shipped.infolist() if info.filename.startswith(prefix)]
    known = "".join(f"{info.filename} {info.CRC} {info.file_size}\n" for info in sources)
    folder = os.path.join(place, hashlib.sha256(known.encode()).hexdigest()[:32])
    os.makedirs(place, mode=0o700, exist_ok=True)
    _refuse_foreign(place)
    if not os.path.isdir(folder):
        _unpack(shipped, sources, folder)
        _remove_unused(place)
    _refuse_foreign(folder)
    for info in sources:
        # After a loss of power files may be shorter than they were written.
        if os.path.getsize(os.path.join(folder, info.filename)) != info.file_size:
            shutil.rmtree(folder, ignore_errors=True)
            raise OSError(f"{folder}: damaged")
    os.utime(folder)
    return folder


def _unpack(shipped: zipfile.ZipFile, sources: list[zipfile.ZipInfo], folder: str) -> None:
    """Filled under another name: nobody sees half of it."""
    draft = tempfile.mkdtemp(prefix="draft-", dir=os.path.dirname(folder))
    try:
        shipped.extractall(draft, sources)
        os.rename(draft, folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not os.path.isdir(folder):  # else somebody was faster
            raise


def _refuse_foreign(folder: str) -> None:
    """What lies there is executed: only this user may be able to write there."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(folder)


def _remove_unused(place: str) -> None:
    """Earlier versions of the collection, and drafts of who was killed."""
    with os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED:
                    shutil.rmtree(entry.path, ignore_errors=True)
