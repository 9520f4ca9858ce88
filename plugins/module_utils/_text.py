# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Turns what a flow printed into lines that are safe to show: a flow's output is nobody's friend.

Every pattern is linear in its input: none can be made to scan the same text again and again.
"""

from __future__ import annotations

import re

LINE_LIMIT = 8 * 1024

_TERMINAL_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, …: titles
    r"|\x1b[ -/]*[0-Z\\^-~]"  # the two-letter ones
)
# C0 but tab, DEL, C1, line separators, and what turns the direction of writing around.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def neutralise(text: str) -> str:
    """One line without terminal sequences; other control characters become U+FFFD."""
    return _CONTROL.sub("\ufffd", _TERMINAL_SEQUENCE.sub("", text))


def latest_overwrite(text: str) -> str:
    """What a terminal would show of a line with carriage returns: of a progress bar, its latest state."""
    parts = [part for part in _TERMINAL_SEQUENCE.sub("", text).split("\r") if part]
    return parts[-1] if parts else ""


def shorten(text: str, limit: int = LINE_LIMIT) -> str:
    """At most ``limit`` characters and a mark that says how many more there were."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [flowops: {len(text) - limit} more characters in this line]"


def safe_line(raw: bytes) -> str:
    """One raw line of output, made safe to show."""
    return shorten(neutralise(latest_overwrite(raw.decode("utf-8", "replace"))))
