# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""A problem with what users typed, and the ways in which values are named in messages.

Values of secrets never get into a problem; other values only shortened and with control characters escaped.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import re
import typing as t

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
SURROGATE = re.compile("[\ud800-\udfff]")

#: Longer whole numbers are no ids or counts, and Python itself refuses to write very long ones down.
LARGEST = 10**30

#: For texts that must say something.
EMPTY_REMEDY = "Give a value or leave the option out; default(omit) leaves it out where a variable is empty."

_LONGEST_SHOWN = 60
_MOST_NAMES = 16


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing wrong with what the user typed.

    :arg path: the option, or where below it: ``runs[2].env.PORT``.
    """

    path: str
    what: str
    remedy: str

    def under(self, prefix: str) -> Problem:
        """The same, seen from further up."""
        return dataclasses.replace(self, path=join(prefix, self.path))

    def __str__(self) -> str:
        return f"{self.path} {self.what}. {self.remedy}"


class ProblemsError(ValueError):
    """One or more problems; a ``ValueError``, so that pydantic collects it."""

    def __init__(self, problems: t.Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = list(problems)


def join(prefix: str, path: str) -> str:
    """``runs[2]`` and ``env`` make ``runs[2].env``."""
    if not prefix or not path or path.startswith("["):
        return prefix + path
    return f"{prefix}.{path}"


def shown(text: str) -> str:
    """A text from the user, quoted, short, safe for terminals."""
    short = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    return "'" + SURROGATE.sub("?", CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", short)) + "'"


def described(value: t.Any, secret: bool = False) -> str:
    """What a value is, for a message; of secrets only the type."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    kind, text = _named(value)
    return f"a {kind}" if secret else f"the {kind} {text}"


def _named(value: t.Any) -> tuple[str, str]:
    """A scalar's kind and its look."""
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, (int, float)):
        return "number", str(value) if isinstance(value, float) or abs(value) < LARGEST else "far too large"
    if isinstance(value, (datetime.date, datetime.time)):
        return "date", value.isoformat()
    if isinstance(value, str):
        return "text", shown(value)
    return "value of type", type(value).__name__


def did_you_mean(name: str, known: t.Iterable[str]) -> str:
    """A remedy for a name that does not exist."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    if len(names) > _MOST_NAMES:
        return "The module's documentation (ansible-doc) lists the options."
    return f"Use one of: {', '.join(names)}."


def unknown_option(name: t.Any, known: t.Iterable[str]) -> Problem:
    """An option that does not exist."""
    return Problem(shown(str(name))[1:-1], "is no option here", did_you_mean(str(name), known))


def fail(what: str, remedy: str, path: str = "") -> t.NoReturn:
    """Raise one problem."""
    raise ProblemsError([Problem(path, what, remedy)])


def no_control(text: str, what: str = "holds a control character", path: str = "") -> None:
    """Nothing that could forge a line of output, and nothing that cannot be written down."""
    if CONTROL.search(text):
        fail(what, "Remove line breaks, NUL and other control characters; the filter trim removes a final one.", path)
    if SURROGATE.search(text):
        fail("holds text that is not valid Unicode", "Save the file that it comes from as UTF-8.", path)
