# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Work that outlives the module that began it: a process of its own, which others ask how far it is.

A pull may take minutes. Ansible shows nothing of a module before it ends, and an engine gives a pull up when nobody
listens to it any more. So the pull goes on in a process of its own, the module comes back with how far it is, and the
next execution of the module asks again.

There is no file: the process is found by the name of a socket in Linux's abstract namespace, which one process can have
at a time. Nobody but a process of the same user is believed or answered.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time
import typing as t

#: How long an outcome waits for somebody who asks for it.
_LINGER = 60.0
_ANSWER_PATIENCE = 5.0
_MOST_BYTES = 64 * 1024
_TRIES = 5
_CREDENTIALS = struct.Struct("3i")


@dataclasses.dataclass
class Background:
    """How far the work is.

    :arg text: for people, while it goes on.
    :arg seconds: how long it took so far.
    :arg error: what its failure is, for who began it; ``None`` where there is none.
    """

    text: str = ""
    done: bool = False
    seconds: float = 0.0
    error: dict[str, str] | None = None


#: Does the work, tells how far it is by its argument, returns the error if there is one.
Work = t.Callable[[t.Callable[[str], None]], "dict[str, str] | None"]


def follow(name: str, work: Work, patience: float) -> Background | None:
    """How far the work of this name is; it is begun where nobody does it.

    :arg patience: answers at the end of the work, at the latest after so many seconds.
    :returns: ``None`` where no work can go on beside the module.
    """
    if not sys.platform.startswith("linux"):
        return None
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    address = f"\0flowops-prefect-{os.geteuid()}-{digest}"
    for _try in range(_TRIES):
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(address)
            except OSError:
                pass
            else:
                listener.listen()
                _detach(listener, work, patience)
        # Refused or reset: it ended between two looks.
        with contextlib.suppress(ConnectionError):
            return _ask(address, patience)
    return None


def _ask(address: str, patience: float) -> Background | None:
    """:raises ConnectionError: nobody is there any more."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(patience + _ANSWER_PATIENCE)
        caller.connect(address)
        if _peer(caller) != os.geteuid():
            return None
        try:
            with caller.makefile("rb") as told:
                answer = told.read(_MOST_BYTES)
        except ConnectionError:
            raise
        except OSError:
            return None
    if not answer:
        raise ConnectionResetError
    return Background(**json.loads(answer))


def _peer(connection: socket.socket) -> int:
    """The user on the other side, by the kernel."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(told)[1])


def _detach(listener: socket.socket, work: Work, patience: float) -> None:
    """Fork twice, so that nobody waits for the process that works."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _let_go(listener.fileno())
            _serve(listener, work, patience)
    finally:
        os._exit(0)


def _let_go(kept: int) -> None:
    """Of everything that Ansible waits for: it takes a module for running as long as somebody has its output."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    most = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, kept)
    os.closerange(kept + 1, most if 0 < most < 65536 else 65536)


def _serve(listener: socket.socket, work: Work, patience: float) -> None:
    """Answer who asks, until the outcome was told or nobody wants to know it."""
    state, over, begun = Background(), threading.Event(), time.monotonic()

    def tell(text: str) -> None:
        state.text = text

    def perform() -> None:
        try:
            state.error = work(tell)
        finally:
            state.done = True
            over.set()

    threading.Thread(target=perform, daemon=True).start()
    listener.settimeout(1.0)
    told, ended = False, 0.0
    while not told and (not ended or time.monotonic() < ended + _LINGER):
        if over.is_set() and not ended:
            ended = time.monotonic()
        with contextlib.suppress(OSError):
            caller = listener.accept()[0]
            with caller:
                if _peer(caller) == os.geteuid():
                    over.wait(patience)
                    answer = dataclasses.replace(state, seconds=round((ended or time.monotonic()) - begun, 3))
                    caller.sendall(json.dumps(dataclasses.asdict(answer)).encode())
                    told = answer.done
