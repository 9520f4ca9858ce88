# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether anybody waits for an answer: real pipes, real signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._caller import Caller


def test_a_pipe_that_nobody_reads():
    reader, writer = os.pipe()
    caller = Caller(writer)
    assert not caller.gone
    os.close(reader)
    assert caller.gone
    os.close(writer)


def test_a_socket_that_nobody_reads():
    """What older ssh daemons give a command."""
    ours, theirs = socket.socketpair()
    with ours:
        caller = Caller(ours.fileno())
        assert not caller.gone
        theirs.close()
        assert caller.gone


def test_of_a_file_nobody_can_tell(tmp_path):
    with (tmp_path / "answer").open("w") as file:
        assert not Caller(file.fileno()).gone


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted_and_ends_nothing(number, tmp_path):
    before = signal.getsignal(number)
    with (tmp_path / "answer").open("w") as file, Caller(file.fileno()).heard() as caller:
        assert not caller.gone
        os.kill(os.getpid(), number)
        assert caller.gone
        child = subprocess.run(
            [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(number)})"], check=False, capture_output=True
        )
    assert child.returncode != 0, "what is executed would inherit that the signal is ignored"
    assert signal.getsignal(number) is before
