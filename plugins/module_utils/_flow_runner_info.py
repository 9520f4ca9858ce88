# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What was launched at a place, and how it stands: a look at it as ``state: reconciled`` takes one."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._fields import RECONCILED, fields_of, universal_name
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._registry import INFRASTRUCTURES
from ansible_collections.flowops.prefect.plugins.module_utils._management import Result, Session
from ansible_collections.flowops.prefect.plugins.module_utils._place import describe_place
from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import TaskRunner
from ansible_collections.flowops.prefect.plugins.module_utils._task import Task, parse_task

NAME = "flow_runner_info"


def inform(session: Session) -> Result:
    """Look, and change nothing."""
    kind = session.options.get("type", "subprocess")
    task = _task(session.options, kind)
    runner = TaskRunner(task, INFRASTRUCTURES[kind](task, True), session.api, check_mode=True)
    result = describe_place(runner)
    session.warnings.extend(result.pop("task_warnings"))
    return result


def _task(options: t.Mapping[str, t.Any], kind: str) -> Task:
    """The task that the runner module of that type would be given."""
    known = {field.name for field in TABLES[NAME].fields}
    names = {field.name: universal_name(field) for field in fields_of(kind)}
    given = {name: options[typed] for name, typed in names.items() if typed in options and typed in known}
    return parse_task({**given, "state": RECONCILED}, kind)
