# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""End a worker whose playbook is gone.

Since ansible-core 2.19 workers lead sessions of their own: a SIGKILL of the playbook's process group (which is how
ansible-runner cancels) leaves them behind, and they go on executing modules with nobody listening (measured).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import typing as t

#: Seconds between two looks at the parent.
INTERVAL = 1.0


@contextlib.contextmanager
def ends_with_parent() -> t.Iterator[t.Callable[[], None]]:
    """While inside, this process and what it started in its process group end when its parent is gone.

    Yields what lets go of the parent: from then on this process has something to finish without it.
    """
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(os.getppid(), done), name="flowops-parent-watch", daemon=True)
    watch.start()
    try:
        yield done.set
    finally:
        done.set()
        watch.join()


def _watch(parent: int, done: threading.Event) -> None:
    while not done.wait(INTERVAL):
        if os.getppid() != parent:
            _end_everything()


def _end_everything() -> None:
    """Only a process group of our own may be killed: without one the group is the user's shell pipeline."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
