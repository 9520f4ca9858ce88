# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Output of a container, read on from a cursor without losing or repeating a line.

An engine can be asked for what came since a second, not for what came after a line. So a cursor is such a second, how
many pieces of output since then are known, and the time of the last of them: pieces are only ever added at the end, so
those that are known come first. Where they do not (old output was rotated away), the time tells where to go on.
"""

from __future__ import annotations

import dataclasses
import re
import struct
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._moments import parse_moment
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk
from ansible_collections.flowops.prefect.plugins.module_utils._text import safe_line

CHUNK = 256 * 1024

#: Stream, three bytes of nothing, length.
_HEADER = struct.Struct(">BxxxL")

#: The two streams of a container are stamped by two threads: pieces may be out of order by much less than this.
_OVERLAP = 2
_CURSOR = re.compile(r"(\d{1,12})/(\d{1,12})/([0-9TZ:.+-]{0,40})")


@dataclasses.dataclass(frozen=True)
class Cursor:
    """Where to read on.

    :arg since: in whole seconds since the epoch.
    :arg known: how many pieces with that time or a later one were handed out.
    :arg last: time of the last of them, as the engine writes it.
    """

    since: int = 0
    known: int = 0
    last: str = ""

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """:raises SettingsError: nothing that we ever handed out."""
        if not text:
            return cls()
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise SettingsError(f"log_cursor: {text[:40]!r} is not a cursor.", "Use the one of an earlier result.")
        return cls(int(found[1]), int(found[2]), found[3])

    def __str__(self) -> str:
        return f"{self.since}/{self.known}/{self.last}"


@dataclasses.dataclass(frozen=True)
class Piece:
    """One piece of output: a line, or a part of a very long one.

    :arg stamp: its time, as the engine writes it; ``at`` the same in seconds.
    """

    stamp: str
    at: float
    stream: int
    data: bytes

    @classmethod
    def of(cls, stream: int, raw: bytes) -> Piece:
        """From what the engine sends with ``timestamps``."""
        stamp, _dummy, data = raw.partition(b" ")
        text = stamp.decode("ascii", "replace")
        return cls(text, parse_moment(text) or 0.0, stream, data)


def pieces(chunks: t.Iterable[bytes]) -> t.Iterator[Piece]:
    """Take the engine's answer apart: each piece has a header with its stream and its length.

    The SDK does the same and forgets the stream, without which parts of lines cannot be put together.
    """
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(buffer)
            end = _HEADER.size + length
            if len(buffer) < end:
                break
            yield Piece.of(stream, buffer[_HEADER.size : end])
            buffer = buffer[end:]


def read_on(found: t.Iterable[Piece], cursor: Cursor, is_finished: t.Callable[[], bool]) -> LogChunk:
    """The lines that are new.

    :arg found: everything since ``cursor.since``; may break off at any place.
    :arg is_finished: whether a last line without an end will stay so.
    """
    seen: list[Piece] = []
    fresh: list[Piece] = []
    size, cut = 0, False
    for piece in found:
        if len(seen) < cursor.known:
            seen.append(piece)
            continue
        fresh.append(piece)
        size += len(piece.data)
        if size >= CHUNK and piece.data.endswith(b"\n"):
            cut = True
            break
    truncated = bool(cursor.known) and (len(seen) < cursor.known or seen[-1].stamp != cursor.last)
    if truncated:
        last = parse_moment(cursor.last) or 0.0
        everything = seen + fresh
        fresh = [piece for piece in everything if piece.at > last]
        seen = everything[: len(everything) - len(fresh)]
    lines, used = _lines(fresh, whole=not cut and is_finished)
    return LogChunk([safe_line(line) for line in lines], str(_advanced(cursor, seen, fresh[:used])), truncated)


def _lines(found: t.Sequence[Piece], whole: t.Callable[[], bool] | bool) -> tuple[list[bytes], int]:
    """Whole lines, and how many pieces they are made of. Parts of the two streams are not mixed."""
    open_lines: dict[int, bytes] = {}
    lines: list[bytes] = []
    used = 0
    for number, piece in enumerate(found, start=1):
        line = open_lines.pop(piece.stream, b"") + piece.data
        if line.endswith(b"\n"):
            lines.append(line[:-1])
        else:
            open_lines[piece.stream] = line
        if not open_lines:
            used = number
    if open_lines and (whole() if callable(whole) else whole):
        return [*lines, *open_lines.values()], len(found)
    if open_lines:
        # A line of the other stream that came after the open one is handed out with it.
        return _lines(found[:used], whole=False)[0] if used < len(found) else lines, used
    return lines, used


def _advanced(cursor: Cursor, seen: t.Sequence[Piece], fresh: t.Sequence[Piece]) -> Cursor:
    known = [*seen, *fresh]
    if not known:
        return cursor
    since = max(cursor.since, int(known[-1].at) - _OVERLAP)
    return Cursor(since, sum(piece.at >= since for piece in known), known[-1].stamp)


def safe_lines(data: bytes) -> list[str]:
    """Output without times as lines."""
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return [safe_line(line) for line in lines]
