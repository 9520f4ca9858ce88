# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the values of Kubernetes options mean; more of the checks of ``_kinds``.

Only what can be told without the cluster: the rest is the API server's own strict validation, in check mode too.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._kinds import KINDS as _PLAIN
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import as_text, each, indexed, named_entries
from ansible_collections.flowops.prefect.plugins.module_utils._problems import described, fail, no_control, shown

#: Ours: what tells whose a Job or a pod is. Nobody else may write them.
RESERVED_PREFIX = "flowops.prefect/"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_QUANTITY = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?[0-9]+)?")
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")


def _name(value: t.Any, path: str = "") -> str:
    if not isinstance(value, str) or len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
        remedy = "Use lower-case letters, digits, dashes and dots, with a letter or digit at both ends."
        fail(f"is {described(value)}, not a name of Kubernetes", remedy, path)
    return value


def _namespace(value: str) -> str:
    if not _LABEL.fullmatch(value):
        remedy = "Use at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends."
        fail(f"is {described(value)}, not the name of a namespace", remedy)
    return value


def _names(values: list[t.Any]) -> list[str]:
    return each(indexed(values), lambda path, value: _name(value, path))


def _key(key: t.Any) -> str:
    """The name of a label or an annotation: ``[prefix/]name``."""
    if not isinstance(key, str) or not key:
        fail(f"has {described(key)} as a name", "Put the name in quotes; it must not be empty.")
    prefix, slash, name = key.rpartition("/")
    if not _NAME_PART.fullmatch(name) or (slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))):
        remedy = (
            "Write name or prefix/name: the name has at most 63 letters, digits, '-', '_' and '.', with a letter or "
            "digit at both ends; the prefix is a domain such as example.com."
        )
        fail(f"has {shown(key)} as a name", remedy)
    if key.startswith(RESERVED_PREFIX):
        fail("is reserved", f"Choose a name that does not begin with {RESERVED_PREFIX}.", shown(key)[1:-1])
    return key


def _labels(value: dict[t.Any, t.Any]) -> dict[str, str]:
    def one(path: str, pair: tuple[t.Any, t.Any]) -> tuple[str, str]:
        key, text = _key(pair[0]), as_text(pair[1])
        if text is None:
            fail(f"is {described(pair[1])}, not a text", "Put the value in quotes.", path)
        if text and not _NAME_PART.fullmatch(text):
            remedy = "Use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends."
            fail(f"is {described(text)}, which is no value of a label", remedy, path)
        return key, text

    return dict(each(named_entries(value), one))


def _annotations(value: dict[t.Any, t.Any]) -> dict[str, str]:
    def one(path: str, pair: tuple[t.Any, t.Any]) -> tuple[str, str]:
        key, text = _key(pair[0]), as_text(pair[1])
        if text is None:
            fail(f"is {described(pair[1])}, not a text", "Put the value in quotes.", path)
        return key, text

    return dict(each(named_entries(value), one))


def _secret_key(value: dict[t.Any, t.Any]) -> dict[str, str]:
    if set(value) != {"name", "key"}:
        fail("needs exactly the entries name and key", "Write {name: my-secret, key: api-key}.")
    if not isinstance(value["key"], str) or not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", value["key"]):
        fail(f"is {described(value['key'])}, not a key of a Secret", "See 'kubectl describe secret'.", "key")
    return {"name": _name(value["name"], "name"), "key": value["key"]}


def _object(value: dict[t.Any, t.Any]) -> dict[str, t.Any]:
    """A part of a manifest: anything that JSON knows."""
    return t.cast("dict[str, t.Any]", _PLAIN["parameters"](value))


def _objects(values: list[t.Any]) -> list[dict[str, t.Any]]:
    def one(path: str, value: t.Any) -> dict[str, t.Any]:
        if not isinstance(value, dict):
            fail(
                f"is {described(value, True)}, not a mapping",
                "Give a list of mappings, each beginning with '- '.",
                path,
            )
        return _object(value)

    return each(indexed(values), one)


def _resources(value: dict[t.Any, t.Any]) -> dict[str, t.Any]:
    for part in value:
        if part not in ("requests", "limits", "claims"):
            fail("is no part of resources", "Use requests and limits.", shown(str(part))[1:-1])
    found = _object(value)
    for part in ("requests", "limits"):
        found[part] = _quantities(part, found.get(part))
    return {part: entry for part, entry in found.items() if entry}


def _quantities(part: str, value: t.Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        fail(f"is {described(value)}, not a mapping", "Write, for example, {memory: 512Mi, cpu: 500m}.", part)
    found = {}
    for name, amount in value.items():
        text = str(amount) if isinstance(amount, float) else as_text(amount)
        if text is None or not _QUANTITY.fullmatch(text):
            remedy = "Write a number with a unit of Kubernetes, such as 512Mi, 2Gi, 500m or 2."
            fail(f"is {described(amount)}, not an amount", remedy, f"{part}.{shown(str(name))[1:-1]}")
        found[str(name)] = text
    return found


def _pod_overrides(value: dict[t.Any, t.Any]) -> dict[str, t.Any]:
    """A pod template, of which only the parts to change are said."""
    for part in value:
        if part not in ("metadata", "spec"):
            remedy = "It has the entries metadata and spec, like a pod: write spec: {…}."
            fail("is no part of a pod's template", remedy, shown(str(part))[1:-1])
    # null removes something here, so it has a meaning that plain JSON checks leave alone.
    return _object(value)


def _customizations(values: list[t.Any]) -> list[dict[str, t.Any]]:
    def one(path: str, value: t.Any) -> dict[str, t.Any]:
        if not isinstance(value, dict) or value.get("op") not in _OPERATIONS:
            fail("is no operation of a JSON patch", f"Give op ({', '.join(_OPERATIONS)}), path and value.", path)
        for name in ("path", *(("from",) if value["op"] in ("move", "copy") else ())):
            place = value.get(name)
            if not isinstance(place, str) or (place and not place.startswith("/")):
                fail(f"has no {name} that begins with /", "Write, for example, /spec/template/spec/priority.", path)
            no_control(place, path=path)
        if value["op"] in ("add", "replace", "test") and "value" not in value:
            fail("has no value", "Give value.", path)
        return _object(value)

    return each(indexed(values), one)


KUBERNETES_KINDS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "kube_name": _name,
    "kube_namespace": _namespace,
    "kube_names": _names,
    "kube_labels": _labels,
    "kube_annotations": _annotations,
    "kube_secret_key": _secret_key,
    "kube_object": _object,
    "kube_objects": _objects,
    "kube_resources": _resources,
    "pod_overrides": _pod_overrides,
    "customizations": _customizations,
}
