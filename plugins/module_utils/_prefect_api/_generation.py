# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The generations of Prefect that the collection speaks with, and what each of them cannot do."""

from __future__ import annotations

import dataclasses
import enum
import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError


class Ability(enum.Enum):
    """What not every generation can do, in words that follow "cannot"."""

    RECORDS = "keep the records of an attempt"
    CANCELLING = "ask an engine to end"
    RERUN = "take a finished flow run up again"
    ARTIFACTS = "keep artifacts"
    WORK_POOLS = "keep work pools"
    LEAVING_POOLS = "take a deployment out of its work pool"
    LONE_QUEUES = "hand out flow runs of work queues without a work pool"
    QUEUE_FILTERS = "hand out flow runs by filters"
    DEPLOYMENT_LIMITS = "limit how many flow runs of a deployment run at once"
    NAMED_SCHEDULES = "keep a slug or parameters with a schedule"
    MANY_SCHEDULES = "keep several schedules, or one that is off, limited or an interval in a time zone"
    PLACES_OF_CODE = "load code from a place that the deployment names"
    FLOW_DATA = "keep the code of a flow"
    SCHEMAS = "check the parameters of flow runs"
    DESCRIPTIONS = "keep description and version of a deployment"
    JOB_VARIABLES = "keep job variables"
    PARTS_OF_NAMES = "find flow runs by a part of their name"


@dataclasses.dataclass(frozen=True)
class Generation:
    """Servers and engines that fit each other.

    :arg name: as people call it.
    :arg versions: what its version numbers match.
    :arg requirement: what pip installs for it.
    :arg lacks: what it cannot do, and what the user can do instead.
    """

    name: str
    versions: re.Pattern[str]
    requirement: str
    lacks: t.Mapping[Ability, str] = dataclasses.field(default_factory=dict)

    def can(self, ability: Ability) -> bool:
        return ability not in self.lacks

    def refusal(self, ability: Ability, what: str) -> ApiError:
        """The error for somebody who asks for what it lacks.

        :arg what: the option, the module or the run that asks.
        """
        return ApiError(f"{what}: {self.name} cannot {ability.value}.", self.lacks[ability], "unsupported_server")


_OF_ORION_ALONE = {
    Ability.LONE_QUEUES: "Give work_pool as well; queues of Prefect's agents are in the pool default-agent-pool.",
    Ability.QUEUE_FILTERS: "Give the deployments a work queue of a pool.",
    Ability.FLOW_DATA: "Give entrypoint, and path or pull_steps.",
}
PREFECT3 = Generation("Prefect 3", re.compile(r"3(\.|$)"), "prefect==3.*", lacks=_OF_ORION_ALONE)
PREFECT2 = Generation(
    "Prefect 2.20",
    re.compile(r"2\.20(\.|$)"),
    "prefect==2.20.*",
    lacks={
        **_OF_ORION_ALONE,
        Ability.LEAVING_POOLS: "Delete the deployment and create it again.",
        Ability.DEPLOYMENT_LIMITS: "Give the deployment a work queue of its own with a limit.",
        Ability.NAMED_SCHEDULES: "Make a deployment for each set of parameters, and leave slug out.",
    },
)
ORION = Generation(
    "Orion 2.0b6",
    re.compile(r"2\.0b6$"),
    "prefect==2.0b6",
    lacks={
        Ability.RECORDS: "Use flow_runner_subprocess, or a Prefect 2.20 or Prefect 3 server.",
        Ability.CANCELLING: "Set the flow run to Cancelled with Prefect's client, then run a task with state: absent, "
        "which stops what runs here.",
        Ability.RERUN: "Make a new flow run.",
        Ability.ARTIFACTS: "Leave artifacts out.",
        Ability.WORK_POOLS: "Use work queues with filters: the module work_pool makes them with name and filter, "
        "work_queues of the module flow_runner launches what they hand out.",
        Ability.LEAVING_POOLS: "Leave work_pool_name out.",
        Ability.DEPLOYMENT_LIMITS: "Give a work queue with a filter a limit.",
        Ability.NAMED_SCHEDULES: "Make a deployment for each set of parameters, and leave slug out.",
        Ability.MANY_SCHEDULES: "Make a deployment for each schedule, and switch it off with paused.",
        Ability.PLACES_OF_CODE: "Give the code itself as flow_data.",
        Ability.SCHEMAS: "Leave it out.",
        Ability.DESCRIPTIONS: "Leave it out, or give tags.",
        Ability.JOB_VARIABLES: "Give flow_runner.",
        Ability.PARTS_OF_NAMES: "Use tags, or flow_run_ids.",
    },
)
GENERATIONS = (PREFECT3, PREFECT2, ORION)
SUPPORTED = "Prefect 3, Prefect 2.20 or Orion 2.0b6"


def generation_of(version: str) -> Generation | None:
    """The generation that a version of Prefect belongs to, ``None`` for one that is not supported."""
    return next((generation for generation in GENERATIONS if generation.versions.match(version)), None)
