# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The directory on a host that remembers the attempts of one user there.

What lies in it decides whether a flow runs again and which processes get killed, so nobody else may be able to put
anything into it: it is opened without following links, its owner and mode are checked each time, and everything in it
is used through descriptors of directories.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import secrets
import stat
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureError, SettingsError

READ_LIMIT = 1024 * 1024

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STALE_AFTER = 3600.0
# Where flock() reaches other hosts late, or not at all, or by a lease that can be lost.
_NETWORK_FILE_SYSTEMS = frozenset(
    ("afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "fuse.sshfs")
)
_REMEDIES = {
    errno.ENOSPC: "Free some space on that file system.",
    errno.EDQUOT: "Free some of that user's disk quota.",
    errno.EROFS: "It is on a read-only file system; set state_dir to a directory that can be written.",
    errno.EACCES: "Set state_dir to a directory that the user of the task can write.",
    errno.EPERM: "Set state_dir to a directory that the user of the task can write.",
    errno.ENAMETOOLONG: "Set state_dir to a shorter path.",
    errno.ENOTDIR: "Set state_dir to a directory, or to a path that does not exist yet.",
    errno.ELOOP: "Set state_dir to the real path; symbolic links are not followed there.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
}
_SETTINGS_PROBLEMS = frozenset(_REMEDIES) - {errno.ENOSPC, errno.EDQUOT, errno.EMFILE}


class DamagedError(Exception):
    """A file of ours is not what we left there: another type, owner or mode, too large, not readable."""


@contextlib.contextmanager
def explained(path: str) -> t.Iterator[None]:
    """Turn what the operating system says about a path into an error that names ``state_dir`` and a remedy."""
    try:
        yield
    except OSError as error:
        kind = SettingsError if error.errno in _SETTINGS_PROBLEMS else InfrastructureError
        remedy = _REMEDIES.get(error.errno or 0, "See what is wrong with it, or set another state_dir.")
        raise kind(f"state_dir: {path}: {os.strerror(error.errno or 0)}.", remedy) from error


def default_path() -> str:
    """In the home that the passwd database names: ``$HOME`` differs between sudo, su and a login."""
    uid = os.geteuid()
    try:
        home = pwd.getpwuid(uid).pw_dir
    except KeyError:
        raise SettingsError(
            f"state_dir: user {uid} has no passwd entry, so there is no default.", "Set state_dir."
        ) from None
    return os.path.join(home, ".local", "state", "flowops-prefect")


def open_directory(name: str, parent: int | None = None) -> int:
    """Open a directory that is ours alone. :raises DamagedError: it is not. :raises OSError: it cannot be opened."""
    descriptor = os.open(name, _DIRECTORY_FLAGS, dir_fd=parent)
    problem = _ownership_problem(os.fstat(descriptor))
    if problem:
        os.close(descriptor)
        raise DamagedError(problem)
    return descriptor


def _ownership_problem(status: os.stat_result) -> str:
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}, not to user {os.geteuid()}"
    if stat.S_IMODE(status.st_mode) & 0o077:
        return f"others can use it: its mode is {stat.S_IMODE(status.st_mode):04o}"
    return ""


def read_file(directory: int, name: str, limit: int = READ_LIMIT) -> bytes:
    """Read a file of ours. :raises DamagedError: it is not what we left. :raises FileNotFoundError: it is not there."""
    descriptor = open_file(directory, name)
    try:
        if os.fstat(descriptor).st_size > limit:
            raise DamagedError(f"{name}: larger than {limit} bytes")
        return os.pread(descriptor, limit, 0)
    finally:
        os.close(descriptor)


def open_file(directory: int, name: str, flags: int = os.O_RDONLY) -> int:
    """Open a file of ours. :raises DamagedError: it is not what we left. :raises FileNotFoundError: it is not there."""
    try:  # not blocking: somebody may have put a pipe there
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{name}: {error.strerror}") from error
    status = os.fstat(descriptor)
    problem = _ownership_problem(status)
    if not stat.S_ISREG(status.st_mode):
        problem = "not a regular file"
    elif status.st_nlink != 1:
        problem = f"it has {status.st_nlink} names" if status.st_nlink else "it was removed just now"
    if problem:
        os.close(descriptor)
        raise DamagedError(f"{name}: {problem}")
    return descriptor


def create_file(directory: int, name: str, data: bytes) -> None:
    """Make a file that must not be there, durably."""
    descriptor = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory
    )
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(directory: int, name: str, data: bytes) -> None:
    """Make a file, or put another in the place of one, at once and durably."""
    draft = f"{name}.{secrets.token_hex(8)}"
    try:
        create_file(directory, draft, data)
        os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=directory)
        raise
    os.fsync(directory)


def overwrite_file(directory: int, name: str, data: bytes) -> None:
    """Overwrite a file of the same size in place: needs no space on the disk."""
    descriptor = open_file(directory, name, os.O_WRONLY)
    try:
        os.pwrite(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StateDirectory:
    """The open, checked state directory.

    :arg path: its real path.
    """

    FOLDERS = ("runs", "tmp", "lib", "slots", "records")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._folders: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | None) -> StateDirectory | None:
        """Open it and check everything that an attacker or a mistake could have changed.

        :arg path: absolute or starting with ``~``; ``None`` for the default.
        :returns: ``None`` where it does not exist.
        :raises SettingsError: this directory cannot be used.
        """
        wanted = real_path(path)
        return cls._opened(wanted) if os.path.lexists(wanted) else None

    @classmethod
    def create(cls, path: str | None) -> StateDirectory:
        """Like :meth:`open`; makes it where it does not exist."""
        wanted = real_path(path)
        _make(wanted)
        return cls._opened(wanted)

    @classmethod
    def _opened(cls, wanted: str) -> StateDirectory:
        with explained(wanted):
            try:
                descriptor = open_directory(wanted)
            except DamagedError as problem:
                raise SettingsError(
                    f"state_dir: {wanted} cannot be trusted: {problem}.",
                    "Set state_dir to a directory of the user of the task with mode 0700, or let it be created.",
                ) from problem
        return cls(wanted, descriptor)

    @classmethod
    def check(cls, path: str | None) -> None:
        """Raise what :meth:`open` would, changing nothing."""
        wanted = real_path(path)
        existing, missing = _trusted_part(wanted)
        directory = None if missing else cls.open(path)
        if directory is not None:
            directory.close()
        with explained(wanted):
            if not os.access(existing, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "")

    def folder(self, name: str) -> int:
        """A descriptor of one of :attr:`FOLDERS`, created where it is missing."""
        if name not in self._folders:
            path = os.path.join(self.path, name)
            with explained(path):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=self._descriptor)
                try:
                    self._folders[name] = open_directory(name, self._descriptor)
                except DamagedError as problem:
                    raise SettingsError(
                        f"state_dir: {path} cannot be trusted: {problem}.", "Remove it, or set another state_dir."
                    ) from problem
        return self._folders[name]

    def identity(self) -> str:
        """Random text that this directory keeps for its life; device numbers change when a host starts again."""
        with explained(self.path):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                return self._read_identity() or self._make_identity()
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _read_identity(self) -> str:
        try:
            text = read_file(self._descriptor, "id", 100).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return ""
        except DamagedError as problem:
            raise SettingsError(f"state_dir: {self.path}: {problem}.", "Set another state_dir.") from problem
        return text if len(text) == 32 and text.isalnum() else ""

    def _make_identity(self) -> str:
        text = secrets.token_hex(16)
        replace_file(self._descriptor, "id", text.encode())
        return text

    def keep_source(self, source: bytes) -> str:
        """Keep a script for as long as somebody may execute it. :returns: its path, named by its content."""
        name = source_name(source)
        path = os.path.join(self.path, "lib", name)
        folder = self.folder("lib")
        with explained(path):
            try:
                if read_file(folder, name) == source:
                    return path
            except (FileNotFoundError, DamagedError):
                pass
            replace_file(folder, name, source)
        return path

    def discard(self, folder: str, name: str) -> None:
        """Remove a directory tree: out of sight at once, then piece by piece."""
        hidden = f"{secrets.token_hex(8)}"
        os.rename(name, hidden, src_dir_fd=self.folder(folder), dst_dir_fd=self.folder("tmp"))
        os.fsync(self.folder(folder))
        self._remove_trees([hidden])

    def _remove_trees(self, names: list[str]) -> None:
        """Flattens what it removes: a flow may have nested folders deeper than any recursion reaches."""
        parent = self.folder("tmp")
        while names:
            name = names.pop()
            os.chmod(name, 0o700, dir_fd=parent)
            descriptor = os.open(name, _DIRECTORY_FLAGS, dir_fd=parent)
            try:
                inner = self._empty(descriptor, parent)
            finally:
                os.close(descriptor)
            if inner:
                names.extend([name, *inner])
            else:
                os.rmdir(name, dir_fd=parent)

    @staticmethod
    def _empty(descriptor: int, parent: int) -> list[str]:
        moved = []
        with os.scandir(descriptor) as entries:
            for entry in list(entries):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.name, dir_fd=descriptor)
                    continue
                os.chmod(entry.name, 0o700, dir_fd=descriptor)
                moved.append(secrets.token_hex(8))
                os.rename(entry.name, moved[-1], src_dir_fd=descriptor, dst_dir_fd=parent)
        return moved

    def sweep(self) -> None:
        """Remove what launchers left that were killed while they prepared something."""
        parent = self.folder("tmp")
        for name in os.listdir(parent):
            with contextlib.suppress(OSError):
                if time.time() - os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime > _STALE_AFTER:
                    self._remove_trees([name])

    def close(self) -> None:
        """Give all descriptors back."""
        for descriptor in (*self._folders.values(), self._descriptor):
            os.close(descriptor)
        self._folders = {}


def source_name(source: bytes) -> str:
    """The file name of a kept script."""
    return hashlib.sha256(source).hexdigest() + ".py"


def real_path(path: str | None) -> str:
    """Where the state directory is, or would be; links above it are followed, it must not be one itself."""
    wanted = os.path.expanduser(path) if path else default_path()
    if "\0" in wanted or not os.path.isabs(wanted):
        raise SettingsError(
            f"state_dir: {wanted!r} is not an absolute path.", "Give a path that starts with / or with ~."
        )
    parent, name = os.path.split(os.path.normpath(wanted))
    return os.path.join(os.path.realpath(parent), name)


def _make(path: str) -> None:
    """Create what is missing of the path, after what is there was found trustworthy."""
    existing, missing = _trusted_part(path)
    with explained(path):
        for name in missing:
            existing = os.path.join(existing, name)
            with contextlib.suppress(FileExistsError):
                os.mkdir(existing, 0o700)


def _trusted_part(path: str) -> tuple[str, list[str]]:
    """Split a path into what exists, which is checked, and the names that are missing below it."""
    with explained(path):
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)
        existing = path
        missing: list[str] = []
        while not os.path.lexists(existing):
            existing, name = os.path.split(existing)
            missing.insert(0, name)
        _check_ancestors(existing if missing else os.path.dirname(path))
        _check_file_system(existing)
    return existing, missing


def _check_ancestors(path: str) -> None:
    """Who can write a directory above ours can put another one in its place."""
    own_group = os.getegid()
    while True:
        status = os.stat(path)
        writers = stat.S_IMODE(status.st_mode) & 0o022
        if writers == 0o020 and status.st_gid in (0, own_group):
            writers = 0  # a user's private group, as many distributions have it
        problem = ""
        if status.st_uid not in (0, os.geteuid()):
            problem = f"belongs to user {status.st_uid}"
        elif writers and not status.st_mode & stat.S_ISVTX:
            problem = f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
        if problem:
            raise SettingsError(
                f"state_dir: {path}, a directory above it, {problem}.",
                "Set state_dir to a path that only root and the user of the task can change.",
            )
        if path == os.path.dirname(path):
            return
        path = os.path.dirname(path)


def _check_file_system(path: str) -> None:
    kind = file_system_type(path)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise SettingsError(
            f"state_dir: {path} is on a network file system ({kind}), where locks cannot be relied on.",
            "Set state_dir to a directory on a local disk.",
        )


def file_system_type(path: str) -> str:
    """The type of the file system that a path is on; empty where the system does not tell (macOS)."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return ""
    best, kind = "", ""
    for words in mounts:
        point = words[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # of mounts on the same point the last one is seen
            best, kind = point, words[words.index("-") + 1]
    return kind
