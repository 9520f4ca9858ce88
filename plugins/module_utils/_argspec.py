# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Argument specs, made from the field table."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    Field,
    exclusive_groups_of,
    fields_of,
    per_run_fields_of,
    sources_of,
)


def argument_spec(runner_type: str) -> dict[str, t.Any]:
    """The keyword arguments of ``AnsibleModule`` for a runner module.

    That a source of runs is needed depends on the state, so ``_rules`` sees to it.
    """
    fields = fields_of(runner_type)
    spec = {field.name: option_of(field) for field in fields}
    entry = per_run_fields_of(runner_type)
    spec["runs"]["options"] = {field.name: option_of(field) for field in entry}
    spec["runs"]["mutually_exclusive"] = [("flow_run_id", "deployment"), *_groups(entry)]
    return {
        "argument_spec": spec,
        "mutually_exclusive": [*sources_of(runner_type)[1], *_groups(fields)],
        "supports_check_mode": True,
    }


def _groups(fields: t.Iterable[Field]) -> list[tuple[str, ...]]:
    return [group for group, _reason in exclusive_groups_of(fields)]


def option_of(field: Field) -> dict[str, t.Any]:
    """One option; without a default, see :class:`Field`."""
    option: dict[str, t.Any] = {"type": field.type}
    if field.elements:
        option["elements"] = field.elements
    if field.choices:
        option["choices"] = list(field.choices)
    if field.no_log is not None:
        option["no_log"] = field.no_log
    if field.aliases:
        option["aliases"] = list(field.aliases)
    return option
