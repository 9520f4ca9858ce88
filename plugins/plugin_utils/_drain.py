# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""An agent that is told to end takes up nothing more, and leaves nothing half launched.

What ansible-playbook does at a SIGTERM differs: before ansible-core 2.19 it ends and its workers go on, since then it
passes the signal on to them and ends at once. Either way nobody waits for a result any more. So the worker passes the
signal on to what it executes and ends; the module hears the signal, or over a connection that nobody reads its answer,
and ends where nothing is half done (``_caller``).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import typing as t

from ansible_collections.flowops.prefect.plugins.plugin_utils._parent_watch import INTERVAL

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def drains() -> t.Iterator[None]:
    """While inside, a signal that ends this process, and the end of its playbook, reach what it executes as SIGTERM."""
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)  # as workers of ansible-core 2.19 are from the start
    before = {number: signal.signal(number, _drain) for number in _SIGNALS}
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(_playbook(), done), name="flowops-drain", daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _playbook() -> int | None:
    """The process that this worker was made by; it may be gone already, so asking for the parent would not do."""
    parent = multiprocessing.parent_process()
    return None if parent is None else parent.pid


def _watch(playbook: int | None, done: threading.Event) -> None:
    while playbook is not None:
        if os.getppid() != playbook:
            _drain()
        if done.wait(INTERVAL):
            return


def _drain(*_: object) -> None:
    os.killpg(0, signal.SIGTERM)
    os._exit(1)
