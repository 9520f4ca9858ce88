# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a flow prints is shown without harm, and however hostile, in linear time."""

from __future__ import annotations

import time

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._text import LINE_LIMIT, neutralise, safe_line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain\ttext", "plain\ttext"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP1$q\x1b\\dcs", "dcs"),
        (b"\x1b(Bcharset\x1bM", "charset"),
        (b"\x1b]no end", "\ufffd]no end"),
        (b"bell\x07 null\x00 back\x08", "bell\ufffd null\ufffd back\ufffd"),
        ("c1 \x9b31m \x85".encode(), "c1  \ufffd"),
        ("\u202eevil\u2069 a\u2028b".encode(), "\ufffdevil\ufffd a\ufffdb"),
        (b"broken \xff\xc5", "broken \ufffd\ufffd"),
        (b"10%\r50%\r100%", "100%"),
        (b"done\r", "done"),
        (b"100%\r\x1b[K", "100%"),
        (b"\r\r", ""),
        (b"", ""),
    ],
)
def test_lines(raw, shown):
    assert safe_line(raw) == shown


def test_long_lines_are_cut_with_a_mark():
    line = safe_line(b"x" * (LINE_LIMIT + 5))
    assert line == "x" * LINE_LIMIT + " [flowops: 5 more characters in this line]"


@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x1b[", "\x1b[0", "\x90", "\x9d\x9b", "\x1b", "\x1b ", "\x1bP;", "\r", "\x1b[ "]
)
def test_no_input_takes_long(piece):
    begun = time.monotonic()
    neutralise(piece * (256 * 1024 // len(piece)))
    neutralise("\x1b]" + piece[-1] * 256 * 1024)
    assert time.monotonic() - begun < 2
