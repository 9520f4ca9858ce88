# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""Lets a worker clean up when its play is interrupted.

ansible-core 2.19 and later passes Ctrl-C on to its workers, whose own handler ends them without raising anything;
before, a worker hears it as a KeyboardInterrupt. Either way a SIGTERM follows 0.2 seconds later (measured), and
ansible-playbook then waits for its workers to end. So there is time to clean up for a worker that hears both signals
itself.
"""

from __future__ import annotations

import contextlib
import signal
import typing as t

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interrupts_raise(wanted: bool) -> t.Iterator[None]:
    """While inside, the first SIGINT or SIGTERM raises KeyboardInterrupt and the others are ignored.

    :arg wanted: False leaves everything as it is.
    """
    if not wanted:
        yield
        return
    before = {number: signal.signal(number, _interrupted) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(*_: object) -> t.NoReturn:
    """Not SIG_IGN: what is executed to clean up would inherit that."""
    for each in _SIGNALS:
        signal.signal(each, lambda *_: None)
    raise KeyboardInterrupt
