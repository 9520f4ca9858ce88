# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Renders a work pool's base job template as Prefect's own worker does.

A template has a ``job_configuration`` with placeholders ``{{ name }}`` and the schema of its variables with their
defaults. The job variables of deployment and flow run take the place of the defaults. What they bring may hold
placeholders of the server's own (``prefect.blocks.…``, ``prefect.variables.…``), which are resolved last.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._problems import fail, shown

Document = dict[str, t.Any]

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
_STEP = re.compile(r"[^.\[\]]+")
_BLOCKS, _VARIABLES, _WORKERS_OWN = "prefect.blocks.", "prefect.variables.", "$"


class _NOT_SET:  # noqa: N801  # a value; a class since copies of it are itself
    """What a placeholder without a value leaves behind: its key or entry goes too."""


class Server(t.Protocol):
    """What placeholders may refer to; each raises an error with a remedy for what does not exist."""

    def block(self, slug: str, name: str) -> t.Any:
        """The content of a block."""

    def block_by_id(self, block_id: t.Any) -> t.Any:
        """The same by the block's id."""

    def variable(self, name: str) -> t.Any:
        """The value of a variable."""


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A job configuration.

    :arg secret_env: the variables of ``env`` that hold something of a block.
    """

    configuration: Document
    secret_env: frozenset[str] = frozenset()


def merged_variables(*levels: t.Mapping[str, t.Any]) -> Document:
    """Job variables of several levels, later ones win; environments are merged name by name.

    ``env.NAME`` is the same as NAME in env.
    """
    merged: Document = {}
    for level in levels:
        nested = _nested(level)
        if isinstance(merged.get("env"), dict) and isinstance(nested.get("env"), dict):
            nested["env"] = {**merged["env"], **nested["env"]}
        merged.update(nested)
    return merged


def _nested(variables: t.Mapping[str, t.Any]) -> Document:
    """Dotted names as mappings; what is written as a mapping wins."""
    nested: Document = {}
    for name in variables:
        if "." in name:
            place, *path, last = [nested, *name.split(".")]
            for step in path:
                place = place.setdefault(step, {})
                if not isinstance(place, dict):
                    fail("says two things about one variable", "Write it in one form only.", shown(name)[1:-1])
            place[last] = copy.deepcopy(variables[name])
    for name, value in variables.items():
        if "." not in name:
            earlier = nested.get(name)
            both = isinstance(earlier, dict) and isinstance(value, dict)
            nested[name] = {**t.cast("Document", earlier), **copy.deepcopy(value)} if both else copy.deepcopy(value)
    return nested


def render(template: t.Mapping[str, t.Any], variables: Document, server: Server, only: str = "") -> Rendered:
    """The job configuration that a worker would work with.

    :arg template: of the pool, as the server has it.
    :arg variables: see :func:`merged_variables`.
    :arg only: render nothing but this part.
    :raises ProblemsError: what cannot be rendered, with its place in the template.
    """
    configuration, defaults = _parts(template)
    fixed = configuration.get("env")
    if isinstance(fixed, dict) or isinstance(defaults.get("env"), dict):
        # The environment of the pool stays beneath that of deployment and run, in whichever way the pool gives it.
        levels = (fixed, defaults.get("env"), variables.get("env"))
        configuration["env"] = {
            name: value for level in levels if isinstance(level, dict) for name, value in level.items()
        }
    if only:
        configuration = {name: part for name, part in configuration.items() if name == only}
    return resolved(_applied(configuration, {**defaults, **variables}, ""), server)


def resolved(configuration: Document, server: Server) -> Rendered:
    """The configuration with what the server holds in the place of its placeholders."""
    secret = _secret_names(configuration.get("env"))
    found = t.cast("Document", _resolved(configuration, server, ""))
    if secret is None:
        secret = found["env"] if isinstance(found.get("env"), dict) else {}
    return Rendered(found, frozenset(secret))


def default_of(template: t.Mapping[str, t.Any], variable: str) -> t.Any:
    """The default that a template gives a variable."""
    return _parts(template)[1].get(variable)


def _parts(template: t.Mapping[str, t.Any]) -> tuple[Document, Document]:
    """Job configuration and the defaults of its variables; an empty template says nothing."""
    configuration = template.get("job_configuration", {})
    schema = template.get("variables", {})
    if not isinstance(configuration, dict):
        fail("is no mapping", "Mend the pool's base job template.", "job_configuration")
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        fail("is no schema with properties", "Mend the pool's base job template.", "variables")
    properties = schema.get("properties", {})
    defaults = {
        name: copy.deepcopy(attributes["default"])
        for name, attributes in properties.items()
        if isinstance(attributes, dict) and attributes.get("default") is not None
    }
    return copy.deepcopy(configuration), defaults


# --- variables of the template -----------------------------------------------------------------------------------


def _applied(part: t.Any, values: Document, path: str) -> t.Any:
    """The part with its placeholders replaced; inserted values are not looked at again."""
    if isinstance(part, str):
        return _applied_text(part, values, path)
    if isinstance(part, dict):
        pairs = ((name, _applied(entry, values, f"{path}.{name}".lstrip("."))) for name, entry in part.items())
        return {name: entry for name, entry in pairs if entry is not _NOT_SET}
    if isinstance(part, list):
        entries = (_applied(entry, values, f"{path}[{index}]") for index, entry in enumerate(part))
        return [entry for entry in entries if entry is not _NOT_SET]
    return part


def _applied_text(text: str, values: Document, path: str) -> t.Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole and not whole[1].startswith((_BLOCKS, _VARIABLES, _WORKERS_OWN)):
        return copy.deepcopy(_looked_up(values, whole[1]))

    def replacement(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith((_BLOCKS, _VARIABLES)):
            return found[0]
        if name.startswith(_WORKERS_OWN):
            remedy = "Put the value into the deployment's job variables, or give the setting in the task."
            fail(f"takes {shown(name)} from the environment of Prefect's worker, and there is none", remedy, path)
        value = _looked_up(values, name)
        return "" if value is _NOT_SET else str(value)

    return _PLACEHOLDER.sub(replacement, text)


def _looked_up(values: t.Any, path: str) -> t.Any:
    """``a.b[0].c`` in a document."""
    for step in _STEP.findall(path):
        if isinstance(values, dict) and step in values:
            values = values[step]
        elif isinstance(values, list) and step.isdigit() and int(step) < len(values):
            values = values[int(step)]
        else:
            return _NOT_SET
    return values


# --- what the server holds ---------------------------------------------------------------------------------------


def _secret_names(env: t.Any) -> t.Collection[str] | None:
    """Which variables will hold something of a block; ``None`` for all of them."""
    if isinstance(env, dict) and "$ref" not in env:
        return [name for name, value in env.items() if _BLOCKS in str(value)]
    return None if env is not None and (isinstance(env, dict) or _BLOCKS in str(env)) else ()


def _resolved(part: t.Any, server: Server, path: str) -> t.Any:
    if isinstance(part, str):
        return _resolved_text(part, server, path)
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, dict) and reference.get("block_document_id"):
            return copy.deepcopy(server.block_by_id(reference["block_document_id"]))
        return {name: _resolved(entry, server, f"{path}.{name}".lstrip(".")) for name, entry in part.items()}
    if isinstance(part, list):
        return [_resolved(entry, server, f"{path}[{index}]") for index, entry in enumerate(part)]
    return part


def _resolved_text(text: str, server: Server, path: str) -> t.Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole and whole[1].startswith((_BLOCKS, _VARIABLES)):
        return _held_by_server(whole[1], server, path)

    def replacement(found: re.Match[str]) -> str:
        if not found[1].startswith((_BLOCKS, _VARIABLES)):
            return found[0]
        value = _held_by_server(found[1], server, path)
        if isinstance(value, (dict, list)):
            fail(f"has {found[0]} within a text, and that is no text", "Name one value in it, after a dot.", path)
        return str(value)

    return _PLACEHOLDER.sub(replacement, text)


def _held_by_server(name: str, server: Server, path: str) -> t.Any:
    if name.startswith(_VARIABLES):
        return copy.deepcopy(server.variable(name[len(_VARIABLES) :]))
    slug, _dot, rest = name[len(_BLOCKS) :].partition(".")
    block, _dot, inner = rest.partition(".")
    if not slug or not block:
        fail(f"has {shown(name)}", "Write prefect.blocks.type-of-block.name-of-block.", path)
    content = server.block(slug, block)
    if isinstance(content, dict) and set(content) == {"value"} and _STEP.findall(inner)[:1] != ["value"]:
        content = content["value"]
    value = _looked_up(content, inner)
    if value is _NOT_SET:
        fail(f"has {shown(name)}, and the block has nothing of that name", "Look at the block in Prefect's UI.", path)
    return copy.deepcopy(value)
