# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Executes a module in the task's own worker, where a Python started for it would be the same one in the same place.

Modules that talk to an engine or a cluster mostly run on the controller itself. There more than half of what an
execution costs that finds nothing to do is packing the module's sources, starting a Python and loading them (measured).
The collections for network devices have executed their modules so for years (``import_modules`` of ansible.netcommon).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import typing as t

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

from ansible_collections.flowops.prefect.plugins.module_utils._collector import resume_collector, uncollected
from ansible_collections.flowops.prefect.plugins.plugin_utils._booleans import is_true

#: A variable of hosts and plays: false has every module run in a process of its own.
SWITCH = "flowops_prefect_direct"


def runs_here(action: ActionBase, task_vars: t.Mapping[str, t.Any]) -> bool:
    """Whether the task's module would be executed by this very Python, as this user, in this environment."""
    task, connection = action._task, action._connection  # noqa: SLF001  # how action plugins know them
    elsewhere = connection.transport != "local" or connection.become is not None or any(task.environment or ())
    if elsewhere or task.async_val or constants.DEFAULT_KEEP_REMOTE_FILES:
        return False
    told = task_vars
    if task.delegate_to:
        told = (task_vars.get("ansible_delegated_vars") or {}).get(task.delegate_to) or {}
    python = action._templar.template(told.get("ansible_python_interpreter") or "")  # noqa: SLF001
    if os.path.abspath(str(python)) != os.path.abspath(sys.executable):
        return False
    return is_true(action._templar.template(told.get(SWITCH, True)))  # noqa: SLF001


def executed_here(
    args: t.Mapping[str, t.Any], runner_type: str, check_mode: bool, diff_mode: bool
) -> dict[str, t.Any] | None:
    """The module's result, in plain values as every module's.

    :returns: ``None`` for arguments that only a module in its own process has the right words for.
    """
    with uncollected():
        from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec
        from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._registry import INFRASTRUCTURES
        from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import result_of
    resume_collector()
    try:
        # What templates made of them carries marks of the controller, and is not what a module would be given.
        plain = json.loads(json.dumps(args))
    except (TypeError, ValueError):
        return None
    spec = argument_spec(runner_type)
    checked = ArgumentSpecValidator(spec["argument_spec"], mutually_exclusive=spec["mutually_exclusive"]).validate(
        plain
    )
    if checked.error_messages:
        return None
    with _without_terminal():
        result = result_of(checked.validated_parameters, runner_type, INFRASTRUCTURES, check_mode, diff_mode)
    secrets = checked._no_log_values  # noqa: SLF001  # as AnsibleModule does it
    return dict(remove_values(json.loads(json.dumps(result)), secrets))


@contextlib.contextmanager
def _without_terminal() -> t.Iterator[None]:
    """Libraries log to where a module's errors would be, and programs for credentials would ask on a terminal."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
