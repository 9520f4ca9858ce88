# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state directory is ours alone, or it is refused with the reason and a remedy."""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
import sys
import time

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _state_dir
from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import (
    StateDirectory,
    create_file,
    default_path,
    explained,
    file_system_type,
    overwrite_file,
    read_file,
    replace_file,
    source_name,
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: needs root to change owners")


@pytest.fixture
def state(tmp_path):
    opened = StateDirectory.create(str(tmp_path / "a" / "b"))
    yield opened
    opened.close()


def refused(path, problem):
    for action in (lambda: StateDirectory.create(str(path)), lambda: StateDirectory.check(str(path))):
        with pytest.raises(SettingsError, match=problem) as caught:
            action()
        assert str(caught.value).startswith("state_dir: ")
        assert caught.value.remedy


def test_what_is_created_is_for_the_user_alone(tmp_path, state):
    state.folder("runs")
    for path in ("a", "a/b", "a/b/runs"):
        assert os.stat(tmp_path / path).st_mode & 0o777 == 0o700
    assert not os.get_inheritable(state.folder("runs"))


def test_nothing_is_created_by_looking(tmp_path):
    assert StateDirectory.open(str(tmp_path / "x" / "y")) is None
    StateDirectory.check(str(tmp_path / "x" / "y"))
    assert not (tmp_path / "x").exists()


def test_the_default_is_below_the_home_of_the_passwd_entry(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere/else")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    home = pwd.getpwuid(0).pw_dir
    assert default_path() == f"{home}/.local/state/flowops-prefect"


def test_a_user_without_a_passwd_entry_has_to_choose(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    with pytest.raises(SettingsError, match="no passwd entry"):
        default_path()


@pytest.mark.parametrize("path", ["relative", "./x", "x\0y", "/x\0y"])
def test_relative_paths_are_refused(path):
    refused(path, "not an absolute path")


def test_a_link_is_refused_and_one_above_is_followed(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    refused(tmp_path / "link", "Not a directory|symbolic")
    opened = StateDirectory.create(str(tmp_path / "link" / "state"))
    assert opened.path == os.path.realpath(tmp_path / "real" / "state")
    opened.close()


def test_a_dangling_link_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(tmp_path / "link", "Not a directory|symbolic")


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
def test_what_others_can_use_is_refused(tmp_path, mode):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    refused(tmp_path / "state", "cannot be trusted: others can use it")


def test_what_others_can_replace_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    refused(tmp_path / "open" / "state", "can be written by others")
    (tmp_path / "open").chmod(0o1777)
    StateDirectory.create(str(tmp_path / "open" / "state")).close()


def test_the_private_group_of_a_user_is_no_stranger(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o770)
    StateDirectory.create(str(tmp_path / "home" / "state")).close()


@needs_root
def test_what_belongs_to_others_is_refused(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", 12345, 0)
    refused(tmp_path / "state", "belongs to user 12345")
    refused(tmp_path / "state" / "below", "a directory above it, belongs to user 12345")


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "state").write_text("x")
    refused(tmp_path / "state", "Not a directory")
    refused(tmp_path / "state" / "below", "Not a directory")


def test_a_path_that_is_too_long_is_refused(tmp_path):
    refused(tmp_path / ("x" * 300), "File name too long")


@needs_root
def test_what_cannot_be_written_is_refused(tmp_path):
    code = (
        "import os, sys\n"
        "from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import StateDirectory\n"
        "from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "for action in (lambda: StateDirectory.check(sys.argv[1]),"
        " lambda: StateDirectory.create(sys.argv[1])):\n"
        "    try:\n        action()\n"
        "    except SettingsError as error:\n        print(error)\n"
    )
    done = run_python(code, "/usr/state")
    remedy = "Set state_dir to a directory that the user of the task can write."
    assert done.splitlines() == [f"state_dir: /usr/state: Permission denied. {remedy}"] * 2


def run_python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_network_file_systems_are_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(_state_dir, "file_system_type", lambda _path: kind)
    refused(tmp_path / "state", f"network file system \\({kind}\\)")


def test_the_type_of_a_file_system_is_known():
    assert file_system_type("/proc/self") == "proc"
    assert file_system_type("/")


def test_a_folder_that_is_a_link_is_refused(tmp_path, state):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    os.symlink(tmp_path / "elsewhere", os.path.join(state.path, "runs"))
    with pytest.raises(SettingsError, match=r"state_dir: .*/runs"):
        state.folder("runs")


def test_files_are_private_and_never_overwritten_by_creating(state):
    folder = state.folder("runs")
    create_file(folder, "x", b"1")
    assert os.stat("x", dir_fd=folder).st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_file(folder, "x", b"2")
    replace_file(folder, "x", b"3")
    overwrite_file(folder, "x", b"4")
    assert read_file(folder, "x") == b"4"
    assert os.listdir(folder) == ["x"]


@pytest.mark.parametrize(
    ("number", "kind", "remedy"),
    [
        (errno.ENOSPC, InfrastructureError, "Free some space"),
        (errno.EDQUOT, InfrastructureError, "quota"),
        (errno.EROFS, SettingsError, "read-only"),
        (errno.EIO, InfrastructureError, "See what is wrong"),
    ],
)
def test_what_the_system_says_gets_a_remedy(number, kind, remedy):
    with pytest.raises(kind, match=remedy):
        with explained("/x"):
            raise OSError(number, "")


def test_the_identity_stays_and_is_made_anew_when_it_is_damaged(state):
    first = state.identity()
    assert first == state.identity()
    with open(os.path.join(state.path, "id"), "w", encoding="utf-8") as file:
        file.write("torn")
    second = state.identity()
    assert second != first
    assert len(second) == 32


def test_a_kept_source_is_verified(state):
    path = state.keep_source(b"print(1)")
    assert path == os.path.join(state.path, "lib", source_name(b"print(1)"))
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    assert state.keep_source(b"print(1)") == path
    assert not os.path.islink(path)
    with open(path, "rb") as file:
        assert file.read() == b"print(1)"


def test_discarding_takes_trees_of_any_depth_and_follows_no_link(tmp_path, state):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    folder = os.open(".", os.O_RDONLY, dir_fd=state.folder("runs"))
    for _dummy in range(3000):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.symlink(tmp_path / "precious", "link", dir_fd=folder)
    os.mkfifo("pipe", dir_fd=folder)
    os.close(folder)
    state.discard("runs", "d")
    assert os.listdir(state.folder("runs")) == []
    assert os.listdir(state.folder("tmp")) == []
    assert (tmp_path / "precious" / "file").exists()


def test_sweeping_takes_what_is_old(state):
    old = time.time() - 7200
    for name in ("old", "new"):
        os.mkdir(name, dir_fd=state.folder("tmp"))
    os.utime(os.path.join(state.path, "tmp", "old"), (old, old))
    state.sweep()
    assert os.listdir(state.folder("tmp")) == ["new"]
