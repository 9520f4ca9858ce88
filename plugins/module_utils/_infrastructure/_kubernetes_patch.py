# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Changes to a manifest: strategic merge as ``kubectl`` knows it, and JSON patch (RFC 6902). Pure functions."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError

#: What tells the entries of a list apart; other lists are replaced as a whole.
_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "ports": ("containerPort", "protocol"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_DIRECTIVE = "$patch"


def strategic_merge(base: t.Any, patch: t.Any, name: str = "") -> t.Any:
    """The base with the patch in it: null removes, lists of named things are merged by name."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return _merged_mapping(base, patch)
    if isinstance(base, list) and isinstance(patch, list) and name in _MERGE_KEYS:
        return _merged_list(base, patch, _MERGE_KEYS[name])
    return _without_directives(patch)


def _merged_mapping(base: dict[str, t.Any], patch: dict[str, t.Any]) -> dict[str, t.Any]:
    directive = patch.get(_DIRECTIVE)
    wanted = {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "replace":
        return t.cast("dict[str, t.Any]", _without_directives(wanted))
    merged = dict(base)
    for key, value in wanted.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge(merged[key], value, key) if key in merged else _without_directives(value)
    return merged


def _merged_list(base: list[t.Any], patch: list[t.Any], keys: tuple[str, ...]) -> list[t.Any]:
    if any(isinstance(entry, dict) and entry.get(_DIRECTIVE) == "replace" and len(entry) == 1 for entry in patch):
        return [_without_directives(entry) for entry in patch if entry != {_DIRECTIVE: "replace"}]
    merged = list(base)
    for entry in patch:
        place = _place(merged, entry, keys)
        deletes = isinstance(entry, dict) and entry.get(_DIRECTIVE) == "delete"
        if place is None and not deletes:
            merged.append(_without_directives(entry))
        elif place is not None:
            merged[place : place + 1] = [] if deletes else [strategic_merge(merged[place], entry)]
    return merged


def _place(entries: list[t.Any], wanted: t.Any, keys: tuple[str, ...]) -> int | None:
    """Where the entry with the same name is; keys that the patch leaves out do not count."""
    if not isinstance(wanted, dict) or wanted.get(keys[0]) is None:
        return None
    named = [key for key in keys if key in wanted]
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and all(entry.get(key) == wanted[key] for key in named):
            return index
    return None


def _without_directives(value: t.Any) -> t.Any:
    """What is new has nothing to be merged with: nulls and directives in it mean nothing."""
    if isinstance(value, dict):
        kept = {key: entry for key, entry in value.items() if key != _DIRECTIVE and entry is not None}
        return {key: _without_directives(entry) for key, entry in kept.items()}
    if isinstance(value, list):
        return [_without_directives(entry) for entry in value]
    return value


# --- JSON patch ------------------------------------------------------------------------------------------------------


def json_patch(document: t.Any, operations: t.Sequence[t.Mapping[str, t.Any]], option: str) -> t.Any:
    """A copy of the document with the operations applied in their order.

    :arg option: the option that they come from, for messages.
    :raises SettingsError: one of them cannot be applied.
    """
    changed = copy.deepcopy(document)
    for index, operation in enumerate(operations):
        try:
            changed = _apply(changed, operation)
        except (LookupError, ValueError, TypeError) as error:
            reason = str(error.args[0]) if error.args else type(error).__name__
            raise SettingsError(
                f"{option}[{index}]: {operation.get('op')} at {operation.get('path')} cannot be applied: {reason}.",
                "Look at the job with check mode, without this operation.",
            ) from None
    return changed


def pointer(path: t.Any) -> list[str]:
    """The steps of a JSON pointer (RFC 6901). :raises ValueError: it is none."""
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise ValueError("a path begins with /")
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _apply(document: t.Any, operation: t.Mapping[str, t.Any]) -> t.Any:
    kind, steps = operation.get("op"), pointer(operation.get("path"))
    if kind in ("add", "replace", "test") and "value" not in operation:
        raise ValueError("it has no value")
    if kind == "test":
        if _read(document, steps) != operation["value"]:
            raise ValueError("the value there is another")
        return document
    if kind == "add":
        return _add(document, steps, copy.deepcopy(operation["value"]))
    if kind == "replace":
        _read(document, steps)
        return _add(_remove(document, steps), steps, copy.deepcopy(operation["value"])) if steps else operation["value"]
    if kind == "remove":
        return _remove(document, steps)
    if kind in ("move", "copy"):
        source = pointer(operation.get("from"))
        value = copy.deepcopy(_read(document, source))
        if kind == "move" and steps[: len(source)] == source and steps != source:
            raise ValueError("a value cannot be moved into itself")
        return _add(_remove(document, source) if kind == "move" else document, steps, value)
    raise ValueError(f"there is no operation {kind}")


def _read(document: t.Any, steps: list[str]) -> t.Any:
    for step in steps:
        document = document[_index(document, step)]
    return document


def _index(container: t.Any, step: str, end: bool = False) -> t.Any:
    """The key or index that a step means in this container. :raises LookupError: there is no such thing."""
    if isinstance(container, dict):
        if step not in container and not end:
            raise LookupError(f"there is no {step}")
        return step
    if not isinstance(container, list):
        raise LookupError(f"what should hold {step} is neither a mapping nor a list")
    if end and step == "-":
        return len(container)
    if not step.isdecimal() or (step != "0" and step.startswith("0")):
        raise LookupError(f"{step} is no index of a list")
    if int(step) >= len(container) + (1 if end else 0):
        raise LookupError(f"the list has {len(container)} entries")
    return int(step)


def _add(document: t.Any, steps: list[str], value: t.Any) -> t.Any:
    if not steps:
        return value
    parent = _read(document, steps[:-1])
    place = _index(parent, steps[-1], end=True)
    if isinstance(parent, list):
        parent.insert(place, value)
    else:
        parent[place] = value
    return document


def _remove(document: t.Any, steps: list[str]) -> t.Any:
    if not steps:
        raise ValueError("the whole document cannot be removed")
    parent = _read(document, steps[:-1])
    del parent[_index(parent, steps[-1])]
    return document
