# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Keeps secrets out of everything that is returned, shown or logged.

Ansible's ``no_log`` covers declared options only and mangles free-form mappings, so the collection redacts by value
itself: in plain, base64, URL-encoded, JSON-escaped and shell-quoted form. Values shorter than four characters would
mangle everything else; they are masked where they stand (``masked_params``).
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import typing as t
import urllib.parse

from ansible.module_utils.common.validation import check_type_dict

from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    ALL_FIELDS,
    Field,
    fields_of,
    per_run_fields_of,
)

MASK = "********"

_SHORTEST = 4
_SHORTEST_LINE = 8

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PWD\w|\w_PWD|AUTH|CREDENTIAL|DSN|PRIVATE"
    r"|(CONNECTION|CONN|DATABASE|DB|BROKER|REDIS|MONGO|AMQP)\w*_(URL|URI|STRING)|WEBHOOK",
    re.IGNORECASE,
)

#: Values of variables with a secret-looking name that are settings and no secrets; to mask these words everywhere
#: would make output unreadable.
_HARMLESS = frozenset(
    (
        *("true", "false", "none", "null", "auto", "default", "required", "optional", "enabled", "disabled"),
        *("basic", "bearer", "oauth", "oauth2", "token", "password", "admin", "root", "prefect", "ansible"),
        *("local", "localhost", "production", "staging", "development", "debug", "info", "warning", "error"),
    )
)

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{0,30}://)(?P<user>[^\s/?#@:]*):(?P<password>[^\s/?#]*)@")


def looks_secret(name: str) -> bool:
    """Whether a variable of this name probably holds a secret."""
    return bool(_SECRET_NAME.search(name))


class Redactor:
    """Masks known values wherever they turn up.

    :arg values: the secrets; texts that are not secret enough to be recognised (shorter than 4) are ignored.
    """

    def __init__(self, values: t.Iterable[str]) -> None:
        forms: set[str] = set()
        for value in set(values):
            forms.update(_forms(value))
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text with every secret and every password in an address masked."""
        return _mask_userinfo(_mask_spans(text, self._spans(text)))

    def deep(self, value: t.Any) -> t.Any:
        """The same for everything in a document made of mappings, lists and texts, the names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.deep(key): self.deep(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.deep(entry) for entry in value]
        return value

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand; they may overlap, and each of them must go entirely."""
        spans = []
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                spans.append((start, start + len(form)))
                start = text.find(form, start + 1)
        return spans


def _mask_spans(text: str, spans: list[tuple[int, int]]) -> str:
    """Replace the spans, those that touch or overlap by one mask."""
    if not spans:
        return text
    pieces: list[str] = []
    position, end = 0, -1
    for start, stop in sorted(spans):
        if start > end:
            pieces.extend((text[position:start], MASK))
        end = max(end, stop)
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _mask_userinfo(text: str) -> str:
    """Mask the password of every ``scheme://user:password@host``, known or not."""
    return _USERINFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text) if "://" in text else text


def _forms(value: str) -> set[str]:
    """All looks of a secret that are worth masking."""
    plain = {part for part in _parts(value) if len(part) >= _SHORTEST}
    forms = set(plain)
    for part in plain:
        forms.update(_encodings(part))
    return {form for form in forms if len(form) >= _SHORTEST}


def _parts(value: str) -> set[str]:
    """A secret and what in it is one by itself: lines of a key file, the password of a DSN, the key of a header."""
    parts = {value, value.strip()}
    lines = value.splitlines()
    if len(lines) > 1:
        parts.update(line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE and "-----" not in line)
    for found in _USERINFO.finditer(value):
        parts.update((found["password"], urllib.parse.unquote(found["password"])))
    scheme, blank, rest = value.partition(" ")
    if blank and scheme.lower() in ("bearer", "basic", "token"):
        parts.add(rest.strip())
    return parts


def _encodings(part: str) -> set[str]:
    """The forms in which software writes a text down."""
    raw = part.encode("utf-8", "surrogatepass")
    escaped = (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1])
    quoted = (
        urllib.parse.quote(raw, safe=""),
        urllib.parse.quote(raw),
        urllib.parse.quote_plus(raw),
        _lower_escapes(urllib.parse.quote(raw, safe="")),
        shlex.quote(part),
    )
    return {*escaped, *quoted, *_base64_forms(raw)}


def _lower_escapes(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def _base64_forms(raw: bytes) -> set[str]:
    """base64 of the text itself, and what of it stays the same where it stands inside a longer text.

    Three bytes make four characters, so there are three ways in which a text can lie in an encoded one; the characters
    at its edges also depend on the neighbours and are left out.
    """
    forms: set[str] = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        forms.update((whole, whole.rstrip("=")))
        for offset in range(3):
            encoded = encode(b"\0" * offset + raw).decode()
            inner = encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
            if len(inner) >= _SHORTEST_LINE:
                forms.add(inner)
    return forms


def secret_values(params: t.Mapping[str, t.Any], runner_type: str) -> list[str]:
    """Every value among a task's options that must not be shown, for a :class:`Redactor`."""
    values = secrets_among(fields_of(runner_type), params)
    runs = params.get("runs")
    for entry in runs if isinstance(runs, (list, tuple)) else ():
        if isinstance(entry, dict):
            values.extend(secrets_among(per_run_fields_of(runner_type), entry))
    return sorted(set(values))


def secrets_among(fields: t.Iterable[Field], params: t.Mapping[str, t.Any]) -> list[str]:
    """What must not be shown among the values of these options."""
    values: list[str] = []
    for field in fields:
        for name in field.names:
            if field.secret:
                values.extend(_texts(_read(field, params.get(name))))
            elif field.kind == "env":
                values.extend(_secret_variables(_read(field, params.get(name))))
            elif field.kind == "url":
                values.extend(_passwords(params.get(name)))
    if isinstance(params.get("api_auth_string"), str):
        values.append(params["api_auth_string"].partition(":")[2])
    return values


def _read(field: Field, value: t.Any) -> t.Any:
    """A mapping that was given as a text (``A=b`` or JSON); anything else as it is."""
    if field.type != "dict" or not isinstance(value, str):
        return value
    try:
        return check_type_dict(value)
    except (TypeError, ValueError, RecursionError):
        return value


def _texts(value: t.Any) -> list[str]:
    """Every text in a value that is secret as a whole; numbers count, since a wrong type is no less secret."""
    if isinstance(value, dict):
        return [text for entry in value.values() for text in _texts(entry)]
    if isinstance(value, (list, tuple)):
        return [text for entry in value for text in _texts(entry)]
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value.bit_length() > 1024):
        return []
    return [str(value)]


def _secret_variables(env: t.Any) -> list[str]:
    """Values of variables that look secret by name, less those that are settings."""
    if not isinstance(env, dict):
        return []
    return worth_masking(text for name, value in env.items() if looks_secret(str(name)) for text in _texts(value))


def worth_masking(texts: t.Iterable[str]) -> list[str]:
    """Those of the texts that could be secrets."""
    return [text for text in texts if text.strip().lower() not in _HARMLESS]


def secrets_in(document: t.Any) -> list[str]:
    """Texts in a document of any shape that stand under names that look secret."""
    if isinstance(document, (list, tuple)):
        return [text for entry in document for text in secrets_in(entry)]
    if not isinstance(document, dict):
        return []
    values = []
    for name, entry in document.items():
        values.extend(_texts(entry) if name in _SECRET_OPTIONS else secrets_in(entry))
    secret = [entry for name, entry in document.items() if isinstance(entry, str) and _holds_secret(name, entry)]
    return [*values, *worth_masking(secret)]


def concealed(document: t.Any) -> t.Any:
    """The document with these texts masked where they stand."""
    if isinstance(document, (list, tuple)):
        return [concealed(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    return {name: MASK if _holds_secret(name, entry) else concealed(entry) for name, entry in document.items()}


#: Options whose values are secret as a whole, also where they are none.
_SECRET_OPTIONS = frozenset(field.name for field in ALL_FIELDS if field.secret)
#: Options whose names look secret and whose values are references.
_REFERENCES = frozenset(field.name for field in ALL_FIELDS if field.no_log is False)


def _holds_secret(name: t.Any, value: t.Any) -> bool:
    """References, of ours and of Prefect's templates, are no secrets."""
    if name in _SECRET_OPTIONS:
        return value is not None
    if not isinstance(value, str) or not isinstance(name, str) or name in _REFERENCES:
        return False
    return bool(value) and looks_secret(name) and "{{" not in value


def _passwords(url: t.Any) -> list[str]:
    return [found["password"] for found in _USERINFO.finditer(url)] if isinstance(url, str) else []


def masked_params(params: t.Mapping[str, t.Any], runner_type: str) -> dict[str, t.Any]:
    """A task's options for the ``invocation`` of its result: secrets masked by position and by value."""
    masked = masked_options(fields_of(runner_type), params)
    if isinstance(masked.get("runs"), (list, tuple)):
        entry_fields = per_run_fields_of(runner_type)
        masked["runs"] = [
            masked_options(entry_fields, entry) if isinstance(entry, dict) else MASK for entry in masked["runs"]
        ]
    return t.cast("dict[str, t.Any]", Redactor(secret_values(params, runner_type)).deep(masked))


def masked_options(fields: t.Iterable[Field], params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options with secrets masked by position."""
    masked = dict(params)
    for field in fields:
        for name in field.names:
            if masked.get(name) is not None:
                masked[name] = _masked_value(field, masked[name])
    return masked


def _masked_value(field: Field, value: t.Any) -> t.Any:
    """Names of variables stay readable where they are known to be names."""
    if field.kind in ("env", "secret_env", "parameters") and isinstance(value, dict):
        return {name: MASK if field.secret or looks_secret(str(name)) else entry for name, entry in value.items()}
    if field.kind == "headers" and isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    if field.secret or (field.kind == "env" and not isinstance(value, dict)):
        return MASK
    return value
