# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What every management module's ``main`` does: parse, connect, work, mask, answer."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.flowops.prefect.plugins.module_utils._api_settings import api_settings
from ansible_collections.flowops.prefect.plugins.module_utils._argspec import option_of
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fit import check_fit
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_rules import Options, check_options
from ansible_collections.flowops.prefect.plugins.module_utils._errors import FlowopsError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import Field
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Catalog
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._connect import connect
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._open_catalog import open_catalog
from ansible_collections.flowops.prefect.plugins.module_utils._redact import (
    Redactor,
    concealed,
    masked_options,
    secrets_among,
    secrets_in,
)
from ansible_collections.flowops.prefect.plugins.module_utils._task import (
    api_options,
    connection_warnings,
    joined_error,
)

Result = dict[str, t.Any]


@dataclasses.dataclass
class Session:
    """What a module works with.

    :arg options: cleaned; what was left open is absent.
    :arg warnings: for the result; the work may add some.
    :arg changed: whether something was done already, should the rest fail.
    """

    options: Options
    api: PrefectApi
    catalog: Catalog
    check_mode: bool
    warnings: list[str]
    changed: bool = False


def argument_spec(name: str) -> dict[str, t.Any]:
    """The keyword arguments of ``AnsibleModule``."""
    table = TABLES[name]
    spec = {field.name: option_of(field) for field in table.fields}
    for option, fields in table.entries.items():
        spec[option]["options"] = {field.name: option_of(field) for field in fields}
    return {"argument_spec": spec, "supports_check_mode": True}


def run_module(name: str, work: t.Callable[[Session], Result]) -> None:
    """The whole of a management module. :arg work: returns the result, with ``changed``; raises FlowopsError."""
    module = AnsibleModule(**argument_spec(name))
    redactor = redactor_of(name, module.params)
    warnings: list[str] = []
    session = None
    try:
        session = _session(name, module.params, module.check_mode, warnings)
        result = work(session)
        warnings.extend(session.api.warnings)
    except FlowopsError as error:
        changed = session is not None and session.changed
        result = {"changed": changed, "failed": True, "msg": str(error), "category": error.category}
    diff = result.pop("diff", None)
    result = redactor.deep(concealed(result))
    if module._diff and diff is not None:  # noqa: SLF001  # Ansible has no public name for it
        result["diff"] = {side: _document(redactor.deep(concealed(diff[side]))) for side in ("before", "after")}
    for warning in warnings:
        module.warn(redactor.text(warning))
    result["invocation"] = {"module_args": masked_params(name, module.params)}
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _document(value: t.Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n" if value else ""


def problems_of(name: str, params: t.Mapping[str, t.Any]) -> list[str]:
    """Everything that is wrong with a task's options, free of its secrets."""
    redactor = redactor_of(name, params)
    return list(dict.fromkeys(redactor.text(str(problem)) for problem in check_options(name, params)[1]))


def masked_params(name: str, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A task's options for the ``invocation`` of its result."""
    masked = concealed(masked_options(TABLES[name].fields, params))
    return t.cast("dict[str, t.Any]", redactor_of(name, params).deep(masked))


def redactor_of(name: str, params: t.Mapping[str, t.Any]) -> Redactor:
    """Knows every value of a task's options that must not be shown."""
    fields = TABLES[name].fields
    free = [params.get(field.name) for field in fields if field.type in ("dict", "list")]
    return Redactor([*secrets_among(fields, params), *secrets_in(free)])


def _session(name: str, params: t.Mapping[str, t.Any], check_mode: bool, warnings: list[str]) -> Session:
    problems = problems_of(name, params)
    if problems:
        raise joined_error(problems)
    options, _none = check_options(name, params)
    values = {field.name: options.get(field.name, field.default) for field in TABLES[name].fields}
    api_part = api_options(values)
    warnings.extend(connection_warnings(api_part))
    on_host = _with_paths_of_this_host(options, TABLES[name].fields)
    for option, fields in TABLES[name].entries.items():
        if isinstance(on_host.get(option), list):
            on_host[option] = [_with_paths_of_this_host(entry, fields) for entry in on_host[option]]
    api = connect(api_settings(api_part))
    check_fit(api.generation, name, on_host)
    return Session(on_host, api, open_catalog(api), check_mode, warnings)


def _with_paths_of_this_host(options: Options, fields: t.Iterable[Field]) -> Options:
    """``~`` and ``$VARIABLE`` mean something only where the module runs."""
    expanded = dict(options)
    for field in fields:
        value = options.get(field.name)
        if field.type == "path" and value is not None:
            expanded[field.name] = os.path.expanduser(os.path.expandvars(value))
            if not os.path.isabs(expanded[field.name]):
                raise SettingsError(
                    f"{field.name} has a variable or a user that this host does not know.", "Give the full path."
                )
    return expanded
