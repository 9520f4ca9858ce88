# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The field table of the management modules: every option that users can type there, said once.

Like ``_fields`` for the runner modules. Left out means untouched, so nothing has a default of Ansible's.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    ALL_FIELDS,
    CONNECTION_SCOPES,
    RUNNER_SCOPES,
    UNIVERSAL,
    Field,
    fields_of,
)


@dataclasses.dataclass(frozen=True)
class Table:
    """The options of one module.

    :arg entries: the suboptions of those options that are lists of mappings or mappings, by name.
    """

    fields: tuple[Field, ...]
    entries: t.Mapping[str, tuple[Field, ...]] = dataclasses.field(default_factory=dict)


_API = tuple(field for field in ALL_FIELDS if field.scope == "api")
_INTERPRETER = tuple(field for field in ALL_FIELDS if field.name in ("python", "virtualenv", "condaenv"))

_DEPLOYMENT = (
    Field("name", "str", "deployment", kind="object_name", longest=255),
    Field("flow", "str", "deployment", kind="object_name", longest=255),
    Field("entrypoint", "str", "deployment", kind="entrypoint", longest=1024),
    Field("path", "str", "deployment", kind="line", may_be_empty=True),
    Field("flow_data", "str", "deployment", longest=1_000_000),
    Field("pull_steps", "list", "deployment", kind="steps", elements="dict", longest=100, may_be_empty=True),
    Field("parameters", "dict", "deployment", kind="parameters", longest=10_000, may_be_empty=True),
    Field("parameter_openapi_schema", "dict", "deployment", kind="json", longest=1000, may_be_empty=True),
    Field("enforce_parameter_schema", "bool", "deployment"),
    Field("tags", "list", "deployment", kind="tags", elements="str", longest=200, may_be_empty=True),
    Field("schedules", "list", "deployment", kind="schedules", elements="dict", longest=100, may_be_empty=True),
    Field("description", "str", "deployment", longest=65_536, may_be_empty=True),
    Field("version", "str", "deployment", kind="line", longest=255, may_be_empty=True),
    Field("paused", "bool", "deployment"),
    Field("concurrency_limit", "int", "deployment", minimum=0, maximum=1_000_000, unit="runs"),
    Field("work_pool_name", "str", "deployment", kind="line", longest=255, may_be_empty=True),
    Field("work_queue_name", "str", "deployment", kind="object_name", longest=255),
    Field("job_variables", "dict", "deployment", kind="json", longest=1000, may_be_empty=True),
    Field("flow_runner", "dict", "deployment", may_be_empty=True),
    *_INTERPRETER,
    Field("source_dir", "path", "deployment", kind="path"),
    Field("storage_check", "str", "deployment", choices=("strict", "warn", "off"), default="strict"),
)

_STATE = Field("state", "str", "task", choices=("present", "absent"), default="present")

_FILTER = (
    Field("deployments", "list", "filter", kind="deployments", elements="str", longest=100),
    Field("flows", "list", "filter", kind="words", elements="str", longest=100),
    Field("states", "list", "filter", kind="states", elements="str", longest=100),
    Field("tags", "list", "filter", kind="tags", elements="str", longest=100),
    Field("work_pools", "list", "filter", kind="words", elements="str", longest=100),
    Field("name", "str", "filter", kind="line", longest=1024),
    Field("after", "str", "filter", kind="moment", longest=64),
    Field("before", "str", "filter", kind="moment", longest=64),
)

_RUN_IDS = tuple(field for field in ALL_FIELDS if field.name in ("flow_run_id", "flow_run_ids"))

_NEW_RUN_NAMES = ("deployment", "parameters", "flow_run_name", "tags", "idempotency_key")
_NEW_RUN = (
    *(field for field in ALL_FIELDS if field.scope == "runs" and field.name in _NEW_RUN_NAMES),
    Field("scheduled_time", "str", "run", kind="moment", longest=64),
    Field("work_queue_name", "str", "run", kind="object_name", longest=255),
    Field("job_variables", "dict", "run", kind="json", longest=1000, may_be_empty=True),
)
#: Options of a run that is still to be created.
NEW_RUN = tuple(field.name for field in _NEW_RUN if field.name != "deployment")
_ENDS = ("failed", "crashed", "cancelled", "wait_timeout")

_LIMIT = Field("concurrency_limit", "int", "pool", minimum=-1, maximum=1_000_000, unit="runs")
_POOL = (
    Field("name", "str", "pool", kind="object_name", longest=255),
    _STATE,
    Field("description", "str", "pool", longest=65_536, may_be_empty=True),
    _LIMIT,
    Field("paused", "bool", "pool"),
)
#: Orion's queues take runs from everywhere.
_QUEUE_FILTER = (
    Field("deployments", "list", "filter", kind="deployments", elements="str", longest=100),
    Field("tags", "list", "filter", kind="tags", elements="str", longest=100),
    Field("flow_runner_types", "list", "filter", kind="words", elements="str", longest=100),
)

#: What pulls an image needs no look at what runs.
_PULLS = ("pull_timeout", "registry_url", "registry_username", "registry_password")
#: Which place it is, under the names that the module ``flow_runner`` has for it.
_PLACE = (
    Field("type", "str", "place", choices=tuple(RUNNER_SCOPES), default="subprocess"),
    *(
        field
        for field in fields_of(UNIVERSAL)
        if field.name == "state_dir" or (field.scope in CONNECTION_SCOPES and field.name not in _PULLS)
    ),
    *(field for field in ALL_FIELDS if field.name == "zombie_limit"),
)

TABLES: dict[str, Table] = {
    "deployment": Table(
        (
            *_API,
            _STATE,
            *_DEPLOYMENT,
            Field("deployments", "list", "task", elements="dict", longest=10_000),
            Field("from_file", "path", "task", kind="path"),
        ),
        {"deployments": _DEPLOYMENT},
    ),
    "flow_run": Table(
        (
            *_API,
            Field(
                "state",
                "str",
                "task",
                choices=("created", "finished", "cancelled", "retried", "absent"),
                default="created",
            ),
            *_RUN_IDS,
            Field("filter", "dict", "task"),
            Field("limit", "int", "task", default=20, minimum=1, maximum=10_000, unit="runs"),
            *_NEW_RUN,
            Field("wait", "bool", "task", default=True),
            *(field for field in ALL_FIELDS if field.name == "wait_timeout"),
            Field("fail_on", "list", "task", elements="str", choices=_ENDS, default=_ENDS, may_be_empty=True),
        ),
        {"filter": _FILTER},
    ),
    "flow_run_info": Table(
        (
            *_API,
            *_RUN_IDS,
            Field("filter", "dict", "task"),
            Field("limit", "int", "task", default=100, minimum=1, maximum=10_000, unit="runs"),
            Field("offset", "int", "task", default=0, minimum=0, maximum=10_000_000, unit="runs"),
            Field("order", "str", "task", choices=("newest_first", "oldest_first"), default="newest_first"),
            Field("history", "bool", "task", default=False),
            Field("artifacts", "bool", "task", default=False),
            Field("log_limit", "int", "task", default=0, minimum=0, maximum=100_000, unit="records"),
        ),
        {"filter": _FILTER},
    ),
    "flow_runner_info": Table((*_API, *_PLACE)),
    "deployment_info": Table(
        (
            *_API,
            Field("deployments", "list", "filter", kind="deployments", elements="str", longest=1000),
            Field("flows", "list", "filter", kind="words", elements="str", longest=100),
            Field("tags", "list", "filter", kind="tags", elements="str", longest=100),
        )
    ),
    "work_pool": Table(
        (
            *_API,
            *_POOL,
            Field("type", "str", "pool", kind="line", longest=255),
            Field("base_job_template", "dict", "pool", kind="json", longest=100, may_be_empty=True),
            Field("queues", "list", "pool", elements="dict", longest=1000),
            Field("filter", "dict", "pool", may_be_empty=True),
        ),
        {
            "queues": (*_POOL, Field("priority", "int", "pool", minimum=1, maximum=1_000_000)),
            "filter": _QUEUE_FILTER,
        },
    ),
}
