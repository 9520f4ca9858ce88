# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Reads the output of an attempt while it is written, and while its middle is dropped to stay below the limit.

A cursor is the number of bytes that the engine had written up to there, dropped ones included.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_attempt import (
    AttemptDirectory,
    integer_in,
)
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk
from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import DamagedError, open_file
from ansible_collections.flowops.prefect.plugins.module_utils._supervisor import DROPPED_RECORD, OUTPUT_FILE
from ansible_collections.flowops.prefect.plugins.module_utils._text import safe_line

CHUNK = 256 * 1024


@dataclasses.dataclass(frozen=True)
class Dropped:
    """What is not there any more.

    :arg base: the cursor of the file's first byte; above 0 where the file had to be truncated.
    :arg start: cursor of the first dropped byte.
    :arg end: cursor after the last one.
    """

    base: int = 0
    start: int = 0
    end: int = 0


def parse_cursor(cursor: str) -> int:
    """:raises SettingsError: nothing that we ever handed out."""
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise SettingsError(f"log_cursor: {cursor[:40]!r} is not a cursor.", "Use the one of an earlier result.")
    return int(cursor)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Raw output as it was found at a position.

    :arg position: where the data begins; later than asked for when there was a gap.
    :arg gap: how many dropped bytes were jumped over.
    :arg follows: what comes after the data: ``more`` of it, a ``gap`` or the ``end`` of what there is by now.
    """

    position: int
    data: bytes
    gap: int
    follows: str


class OutputReader:
    """The output of one attempt.

    :arg limit: bytes that the supervisor keeps, for the mark at a gap.
    """

    def __init__(self, directory: AttemptDirectory, limit: int) -> None:
        self._directory = directory
        self._limit = limit

    def read(self, position: int, is_finished: t.Callable[[], bool]) -> LogChunk:
        """Whole lines from a position on, with a mark where some were dropped.

        :arg is_finished: whether an incomplete last line will stay incomplete.
        """
        piece = self._piece(position)
        raw_lines, rest = _split(piece.data)
        if rest and self._is_complete(piece, bool(raw_lines), is_finished):
            kept = len(_unfinished_character(rest)) if piece.follows == "more" else 0
            raw_lines.append(rest[: len(rest) - kept])
            rest = rest[len(rest) - kept :]
        marks = [self._mark(piece.gap)] if piece.gap else []
        lines = marks + [safe_line(line) for line in raw_lines]
        return LogChunk(lines, str(piece.position + len(piece.data) - len(rest)), bool(piece.gap))

    def tail(self, count: int, is_finished: t.Callable[[], bool]) -> LogChunk:
        """The last lines, as far as they fit into one chunk."""
        start = max(0, self._end() - CHUNK)
        chunk = self.read(start, is_finished)
        whole = chunk.lines[1:] if start and not chunk.truncated else chunk.lines  # the first one is a line's end
        lines = whole[len(whole) - min(count, len(whole)) :]
        return LogChunk(lines, chunk.cursor, bool(start) or len(lines) < len(whole))

    @staticmethod
    def _is_complete(piece: Piece, has_lines: bool, is_finished: t.Callable[[], bool]) -> bool:
        """Whether what comes after the last line end is to be shown now: nothing will ever be added to it, or it is
        longer than anybody reads.
        """
        if piece.follows == "more":
            return not has_lines
        return piece.follows == "gap" or is_finished()

    def _mark(self, gap: int) -> str:
        return f"[flowops: {gap} bytes of output were dropped here, the limit is {self._limit} bytes]"

    def _end(self) -> int:
        try:
            descriptor = open_file(self._directory.descriptor, OUTPUT_FILE)
        except (FileNotFoundError, DamagedError):
            return 0
        try:
            return self._dropped().base + os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _piece(self, position: int) -> Piece:
        try:
            descriptor = open_file(self._directory.descriptor, OUTPUT_FILE)
        except (FileNotFoundError, DamagedError):
            return Piece(0, b"", 0, "end")
        try:
            before = self._dropped()
            while True:
                piece = _read_piece(descriptor, before, position)
                after = self._dropped()  # told before the hole is made: what was read outside of it is real
                if after == before:
                    return piece
                before = after
        finally:
            os.close(descriptor)

    def _dropped(self) -> Dropped:
        try:
            fields = self._directory.record(DROPPED_RECORD)
        except DamagedError:
            return Dropped()
        base, start, end = (max(0, integer_in(fields, name) or 0) for name in ("base", "start", "end"))
        return Dropped(base, start, end)


def _read_piece(descriptor: int, dropped: Dropped, position: int) -> Piece:
    gap = dropped.end - position if dropped.start <= position < dropped.end else 0
    end = dropped.base + os.fstat(descriptor).st_size
    position = min(position + gap, max(end, dropped.end))
    room = CHUNK
    if position < dropped.start:
        room = min(room, dropped.start - position)
    data = os.pread(descriptor, room, max(0, position - dropped.base))
    if gap:
        skipped = _continuation_bytes(data)
        position, data = position + skipped, data[skipped:]
    following = position + len(data)
    follows = "more" if following < end else "end"
    if following == dropped.start < dropped.end:
        follows = "gap"
    return Piece(position, data, gap, follows)


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines without their ends, and what follows the last end."""
    lines = data.split(b"\n")
    rest = lines.pop()
    return lines, rest


def _continuation_bytes(data: bytes) -> int:
    """How many bytes at the beginning belong to a character that was cut."""
    return next((index for index, byte in enumerate(data[:3]) if not 0x80 <= byte < 0xC0), min(3, len(data)))


def _unfinished_character(data: bytes) -> bytes:
    """The bytes at the end that begin a UTF-8 character and do not complete it."""
    for length in range(1, min(3, len(data)) + 1):
        byte = data[-length]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[-length:] if needed > length else b""
        if byte < 0x80:
            break
    return b""
