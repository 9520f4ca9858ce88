# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What a task may ask of its server: each generation of Prefect lacks something that a later one has."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._fields import RUNNER_SCOPES
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Records
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._task import Task

#: Flow runners whose infrastructure keeps the records of an attempt where the server cannot: those of one host.
KEEP_RECORDS = ("subprocess",)


def check_type(api: PrefectApi, runner_type: str, said_by: str) -> None:
    """Refuse a run whose infrastructure the server cannot have; types that nobody knows are told elsewhere.

    :arg said_by: who asks for this type.
    :raises ProblemsError: about this run, whoever launches it.
    """
    generation = api.generation
    if runner_type in RUNNER_SCOPES and runner_type not in KEEP_RECORDS and not generation.can(Ability.RECORDS):
        what = f"is {runner_type} ({said_by}), and {generation.name} cannot {Ability.RECORDS.value}"
        raise ProblemsError([Problem("type", what, generation.lacks[Ability.RECORDS])])


def check_task(api: PrefectApi, task: Task) -> None:
    """Refuse what the server cannot do, before anything is launched."""
    if any(request.rerun != "never" for request in task.requests) and not api.generation.can(Ability.RERUN):
        raise api.generation.refusal(Ability.RERUN, "rerun")
    if task.artifacts and not api.generation.can(Ability.ARTIFACTS):
        raise api.generation.refusal(Ability.ARTIFACTS, "artifacts")


def records_for(api: PrefectApi, infrastructure: Infrastructure) -> Records:
    """Where the attempt ledger is kept: on the server or, where that keeps none, with the attempts."""
    if api.generation.can(Ability.RECORDS):
        return api
    local = infrastructure.records()
    if local is None:
        raise api.generation.refusal(Ability.RECORDS, f"flow runner {infrastructure.type}")
    api.warnings.append(
        f"{api.generation.name} cannot keep the records of an attempt, so they are kept where it runs. That a flow "
        f"run is executed once holds for one place alone ({infrastructure.locus}): never launch a run from two."
    )
    return local
