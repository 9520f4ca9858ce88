# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Whether anybody still waits for the answer of this module.

A controller that was told to end, or that died, leaves a module alone with what it is doing, which may be half of a
launch. So an agent does not just end: it looks here between two steps.
"""

from __future__ import annotations

import contextlib
import select
import signal
import typing as t

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_STDOUT = 1


class Caller:
    """Who has executed this module.

    :arg answers: the descriptor that the answer goes to.
    """

    def __init__(self, answers: int = _STDOUT) -> None:
        self._answers = answers
        self._told_to_end = False

    @contextlib.contextmanager
    def heard(self) -> t.Iterator[Caller]:
        """While inside, signals that ask this process to end are noted and end nothing.

        What is executed meanwhile does not inherit that: it is a handler, not SIG_IGN.
        """
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        self._told_to_end = True

    @property
    def gone(self) -> bool:
        """Told to end, or nobody reads what is written. Of a file nobody can tell."""
        return self._told_to_end or self._nobody_reads()

    def _nobody_reads(self) -> bool:
        look = select.poll()
        look.register(self._answers, 0)  # errors are always told
        return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in look.poll(0))
