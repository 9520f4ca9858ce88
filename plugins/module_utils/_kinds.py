# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the values of options mean: a check for each ``kind`` of the field table.

Each takes a value of the option's type and returns it as the core works with it, or raises its problems.
"""

from __future__ import annotations

import datetime
import math
import re
import string
import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._problems import (
    CONTROL,
    EMPTY_REMEDY,
    LARGEST,
    SURROGATE,
    Problem,
    ProblemsError,
    described,
    fail,
    join,
    no_control,
    shown,
)
from ansible_collections.flowops.prefect.plugins.module_utils._redact import looks_secret

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ARTIFACT_KEY = re.compile(r"[a-z0-9-]{1,255}")
_CONDA_REFUSED = re.compile(r"[\s/:#]")

#: Set by the HTTP client itself; a second value would break the request.
_RESERVED_HEADERS = frozenset(("host", "content-length", "transfer-encoding", "connection"))

#: Variables that belong to the launch itself. ``PREFECT__`` (two underscores) is Prefect's own reserved prefix.
_RESERVED_ENV = ("FLOWOPS_", "PREFECT__")

#: The kernel's limit for one ``NAME=value`` with its final NUL (MAX_ARG_STRLEN).
_LONGEST_VARIABLE = 131_072

_LONGEST_CURSOR = 4096
_DEEPEST = 64


def plain_dict(value: t.Mapping[t.Any, t.Any]) -> dict[t.Any, t.Any]:
    """A real dictionary: templating hands out lazy ones whose storage is not to be read directly."""
    return {key: value[key] for key in value}


def as_text(value: t.Any) -> str | None:
    """Texts, and whole numbers, which look the same as a text; None for the rest."""
    if isinstance(value, int):
        return str(value) if not isinstance(value, bool) and abs(value) < LARGEST else None
    return value if isinstance(value, str) else None


def canonical_uuid(value: str) -> str | None:
    """The dashed, lower-case form; None for what is not a UUID."""
    text = value.strip()
    if not _UUID.fullmatch(text):
        return None
    digits = text.replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _uuid(value: str) -> str:
    canonical = canonical_uuid(value)
    if canonical is None:
        _not_a_uuid(value)
    return canonical


def _not_a_uuid(value: str, path: str = "") -> t.NoReturn:
    inside = _UUID.search(value)
    remedy = "Give the id of a flow run, such as 0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d: the end of its page's address."
    if inside:
        remedy = f"Give only the id, {shown(inside[0])}."
    elif "/" in value:
        remedy = "A flow and its deployment's name go into the option deployment."
    fail(f"is {described(value)}, not the UUID of a flow run", remedy, path)


def each(values: t.Iterable[tuple[str, t.Any]], check: t.Callable[[str, t.Any], t.Any]) -> list[t.Any]:
    """Check every entry and raise all problems together."""
    problems: list[Problem] = []

    def attempt(path: str, value: t.Any) -> t.Any:
        try:
            return check(path, value)
        except ProblemsError as exc:
            problems.extend(exc.problems)
            return None

    cleaned = [attempt(path, value) for path, value in values]
    if problems:
        raise ProblemsError(problems)
    return cleaned


def indexed(values: t.Iterable[t.Any]) -> t.Iterator[tuple[str, t.Any]]:
    return ((f"[{index}]", value) for index, value in enumerate(values))


def word_at(value: t.Any, path: str) -> str:
    """A text that says something, without what is around it."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        fail(f"is {described(value)}, not a text", "Put the value in quotes.", path)
    return text


def _words(values: list[t.Any]) -> list[str]:
    return each(indexed(values), lambda path, value: word_at(value, path))


def _uuids(values: list[t.Any]) -> list[str]:
    def one(path: str, value: t.Any) -> str:
        if not isinstance(value, str):
            fail(f"is {described(value)}, not the UUID of a flow run", "Give the ids as a list of texts.", path)
        canonical = canonical_uuid(value)
        return canonical if canonical is not None else _not_a_uuid(value, path)

    return each(indexed(values), one)


def _text(value: str) -> str:
    no_control(value)
    if not value.strip():
        fail("is blank", EMPTY_REMEDY)
    return value


def _deployment(value: str) -> str:
    no_control(value)
    canonical = canonical_uuid(value)
    if canonical is not None:
        return canonical
    parts = value.split("/")
    if len(parts) != 2 or not all(part.strip() for part in parts):
        fail(
            f"is {described(value)}, not a deployment",
            "Write it as flow/name, such as etl/nightly ('prefect deployment ls' lists them), or give its UUID.",
        )
    return value


def _artifact_keys(values: list[t.Any]) -> list[str]:
    def one(path: str, value: t.Any) -> str:
        text = as_text(value)
        if text is None or not _ARTIFACT_KEY.fullmatch(text):
            fail("is no key of an artifact", "Keys have lower-case letters, digits and dashes.", path)
        return text

    return each(indexed(values), one)


def _tags(values: list[t.Any]) -> list[str]:
    def one(path: str, value: t.Any) -> str:
        text = as_text(value)
        if text is None:
            fail(f"is {described(value)}, not a text", "Put the tag in quotes.", path)
        if not text.strip() or len(text) > 255:
            fail("is empty or longer than 255 characters", "Give a short word.", path)
        no_control(text, path=path)
        return text

    return each(indexed(values), one)


def _rerun(value: str) -> str:
    word = value.strip()
    if word in ("never", "failed", "always"):
        return word
    if not INTEGER.fullmatch(word):
        fail(f"is {described(value)}", "Give never, failed, always, or the number of the attempt, 2 or more.")
    if not 2 <= int(word) <= 10_000:
        fail(f"is the attempt number {int(word)}", "Give 2 or more: the first attempt is what every launch makes.")
    return str(int(word))


def _parameters(value: dict[t.Any, t.Any]) -> dict[str, t.Any]:
    problems = list(_not_json(value, "", 0))
    if problems:
        raise ProblemsError(problems)
    return value


def _not_json(value: t.Any, path: str, depth: int) -> t.Iterator[Problem]:
    """Where a value cannot be sent as JSON. Values stay unnamed: parameters may be confidential."""
    if depth > _DEEPEST:
        yield Problem(path, f"is nested more than {_DEEPEST} levels deep", "Make it flatter.")
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or not key:
                yield Problem(path, f"has {described(key)} as a name", "Put the name in quotes; it must not be empty.")
            else:
                yield from _not_json(value[key], join(path, shown(key)[1:-1]), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _not_json(entry, f"{path}[{index}]", depth + 1)
    elif isinstance(value, int) and value.bit_length() > 1024:
        yield Problem(path, "is a number too large for JSON", "Give it as a text.")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, "is not a finite number", "JSON knows neither NaN nor infinity: give null or a text.")
    elif isinstance(value, str) and SURROGATE.search(value):
        yield Problem(path, "holds text that is not valid Unicode", "Save the file that it comes from as UTF-8.")
    elif not isinstance(value, (str, int, float, type(None), datetime.date)):
        yield Problem(path, f"is {described(value, True)}, which JSON does not know", "Give a text instead.")


def template_fields(template: str) -> list[str]:
    """The ``{names}`` in a flow run's name.

    Only plain names: ``format`` itself would let attributes and indexes of the parameters be read.
    """
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError:
        fail("has unbalanced braces", "Write {parameter} for a parameter's value and {{ or }} for a brace.")
    names = []
    for _literal, name, spec, conversion in parsed:
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            fail(f"uses {shown(name)} in braces", "Only {parameter} works there: the plain name of a parameter.")
        names.append(name)
    return names


def _flow_run_name(value: str) -> str:
    _text(value)
    template_fields(value)
    return value


def _log_cursor(value: dict[t.Any, t.Any]) -> dict[str, str]:
    def one(_place: str, pair: tuple[t.Any, t.Any]) -> tuple[str, str]:
        key, cursor = pair
        canonical = canonical_uuid(key) if isinstance(key, str) else None
        if canonical is None:
            fail(f"has {described(key)} as a name, not the UUID of a flow run", _CURSOR_REMEDY)
        if not isinstance(cursor, str) or len(cursor) > _LONGEST_CURSOR or CONTROL.search(cursor):
            fail(f"is {described(cursor, True)} that is no position", _CURSOR_REMEDY, canonical)
        return canonical, cursor

    return dict(each(named_entries(value), one))


_CURSOR_REMEDY = "Take both from an earlier result: runs[].flow_run_id and runs[].debug.cursor."


def named_entries(value: dict[t.Any, t.Any]) -> t.Iterator[tuple[str, tuple[t.Any, t.Any]]]:
    return ((shown(str(key))[1:-1], (key, entry)) for key, entry in value.items())


def _url(value: str) -> str:
    look = "" if "@" in value else f" ({shown(value.partition('?')[0].partition('#')[0])})"
    if CONTROL.search(value) or SURROGATE.search(value) or " " in value.strip():
        fail("holds a blank or a control character", "Give one address without blanks and line breaks.")
    if "://" not in value:
        fail(f"has no scheme{look}", "Begin with http:// or https://, such as https://prefect.example.com/api.")
    try:
        parts = urllib.parse.urlsplit(value.strip())
        _port = parts.port
    except ValueError:
        fail(f"is not a valid address{look}", "Check host and port, such as http://prefect.example.com:4200/api.")
    _check_url_parts(parts, look)
    return value.strip().rstrip("/")


def _check_url_parts(parts: urllib.parse.SplitResult, look: str) -> None:
    if parts.scheme.lower() not in ("http", "https"):
        fail(f"has a scheme that is neither http nor https{look}", "Begin with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        fail(
            "has credentials in it",
            "Take them out of the address: api_auth_string takes user:password, api_key takes a key.",
        )
    if not parts.hostname:
        fail(f"names no host{look}", "Give one, such as http://prefect.example.com:4200/api.")
    if parts.query or parts.fragment:
        fail(f"has a query or a fragment{look}", "Give the API's address only; it usually ends in /api.")
    if (parts.hostname or "").lower() == "app.prefect.cloud" or _UI_PAGE.search(parts.path):
        fail(
            f"is the address of a web page{look}",
            "Give the API's address: it usually ends in /api; 'prefect config view' shows PREFECT_API_URL.",
        )


_UI_PAGE = re.compile(r"/(dashboard|runs|flow-runs|flows|deployments|work-pools|blocks|automations|settings|docs)(/|$)")


def _credential(value: str) -> str:
    no_control(value)
    if value != value.strip():
        fail("begins or ends with a blank", "Remove it; the filter trim does that.")
    return value


def _auth_string(value: str) -> str:
    _credential(value)
    if ":" not in value:
        fail("has no colon", "Give user:password, the same text as the server's PREFECT_SERVER_API_AUTH_STRING.")
    return value


def _headers(value: dict[t.Any, t.Any]) -> dict[str, str]:
    def one(path: str, pair: tuple[t.Any, t.Any]) -> tuple[str, str]:
        name, text = pair
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            fail("has a name that is no HTTP header's", "Use letters, digits and dashes.", "")
        if name.lower() in _RESERVED_HEADERS:
            fail("is set by the HTTP client itself", "Leave it out.", path)
        if not isinstance(text, str):
            fail(f"is {described(text, True)}, not a text", "Put the value in quotes.", path)
        no_control(text, path=path)
        if not text.isascii() or len(text) > 16_384:
            fail("is longer than 16384 characters or not plain ASCII", "Encode or shorten it.", path)
        return name, text

    return dict(each(named_entries(value), one))


def _path(value: str) -> str:
    """Absolute, or to be made so where it is used: ``~`` and ``$VARIABLE`` are the host's business."""
    no_control(value)
    if value[0] not in "/~$":
        fail(
            f"is the relative path {shown(value)}",
            "Give the full path on the host, such as /opt/flows or ~/flows; relative to what could only be guessed.",
        )
    return value


def _condaenv(value: str) -> str:
    no_control(value)
    if value[0] in "/~":
        return value
    if value.startswith("-"):
        fail(f"is {described(value)}; conda would read it as one of its own options", "Give the environment's name.")
    if _CONDA_REFUSED.search(value):
        fail(
            f"is {described(value)}, neither the name of a conda environment nor a full path",
            "Give the name that 'conda env list' prints, or a path that begins with / or ~.",
        )
    if len(value) > 255:
        fail("is longer than 255 characters", "Give the environment's name.")
    return value


def _env(value: dict[t.Any, t.Any]) -> dict[str, str | None]:
    return _variables(value, looks_secret)


def _secret_env(value: dict[t.Any, t.Any]) -> dict[str, str | None]:
    return _variables(value, lambda _name: True)


def _variables(value: dict[t.Any, t.Any], is_secret: t.Callable[[str], bool]) -> dict[str, str | None]:
    def one(_place: str, pair: tuple[t.Any, t.Any]) -> tuple[str, str | None]:
        name = _env_name(pair[0])
        return name, _env_value(name, pair[1], is_secret(name))

    return dict(each(named_entries(value), one))


def _env_name(name: t.Any) -> str:
    if not isinstance(name, str):
        fail(f"has {described(name)} as a variable's name", "YAML reads words such as NO and ON so: quote the name.")
    if "=" in name:
        fail(f"has a variable's name with '=' in it, {shown(name.partition('=')[0] + '=')}", "Write NAME: value.")
    if not name or not name.strip() or CONTROL.search(name) or SURROGATE.search(name) or " " in name:
        fail(f"has {described(name)} as a variable's name", "Use letters, digits and underscores.")
    if name.upper().startswith(_RESERVED_ENV):
        fail(
            "is reserved for the launch of the run itself",
            "Leave it out; settings of Prefect begin with PREFECT_ and one underscore.",
            shown(name)[1:-1],
        )
    return name


def _env_value(name: str, value: t.Any, secret: bool) -> str | None:
    """A text; null unsets the variable. Anything else was changed by YAML before anyone saw it."""
    path = shown(name)[1:-1]
    if value is None:
        return None
    if not isinstance(value, str):
        fail(f"is {described(value, secret)}, and the environment holds only text", _env_remedy(value), path)
    if "\0" in value or SURROGATE.search(value):
        fail("holds NUL or text that is not valid Unicode", "Encode it, for example with the filter b64encode.", path)
    if len(name.encode()) + len(value.encode()) + 2 > _LONGEST_VARIABLE:
        fail(
            f"is longer than the {_LONGEST_VARIABLE} bytes that the kernel allows for one variable",
            "Put it in a file on the host and pass its path.",
            path,
        )
    return value


def _env_remedy(value: t.Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        return "Make it a text, for example with the filter to_json."
    return (
        "YAML reads unquoted true, NO, 0755, 3.10 and dates as other types and so changes them: put the value in "
        "quotes, or end a template with | string."
    )


def _runs(values: list[t.Any]) -> list[dict[t.Any, t.Any]]:
    def one(path: str, value: t.Any) -> dict[t.Any, t.Any]:
        if not isinstance(value, dict):
            remedy = "Write '- flow_run_id: …' or '- deployment: …'; a list of bare ids goes into flow_run_ids."
            fail(f"is {described(value, True)}, not a mapping", remedy, path)
        return plain_dict(value)

    return each(indexed(values), one)


KINDS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "uuid": _uuid,
    "uuids": _uuids,
    "text": _text,
    "deployment": _deployment,
    "tags": _tags,
    "words": _words,
    "artifact_keys": _artifact_keys,
    "rerun": _rerun,
    "parameters": _parameters,
    "flow_run_name": _flow_run_name,
    "log_cursor": _log_cursor,
    "url": _url,
    "credential": _credential,
    "auth_string": _auth_string,
    "headers": _headers,
    "path": _path,
    "condaenv": _condaenv,
    "env": _env,
    "secret_env": _secret_env,
    "runs": _runs,
}
