# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""Keeps Python's garbage collector away where it only costs time.

Ansible forks a worker for each task, which inherits the whole heap of the controller. While the sources of a module are
parsed to be shipped, the collector walks that heap again and again, and copies its pages by doing so: a quarter of the
CPU time of a task that has little to do (measured).
"""

from __future__ import annotations

import contextlib
import gc
import typing as t


def spare_collector() -> None:
    """For a process that ends with its task: what it leaves behind goes with it."""
    gc.freeze()
    gc.disable()


def resume_collector() -> None:
    """For one that goes on: what shipping left behind, the syntax trees of all sources, is cleared away soon."""
    gc.enable()


@contextlib.contextmanager
def uncollected() -> t.Iterator[None]:
    """For work that leaves little behind."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
