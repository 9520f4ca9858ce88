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


PREFECT3 = Generation("Prefect 3", re.compile(r"3(\.|$)"), "prefect==3.*")
PREFECT2 = Generation("Prefect 2.20", re.compile(r"2\.20(\.|$)"), "prefect==2.20.*")
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
    },
)
GENERATIONS = (PREFECT3, PREFECT2, ORION)
SUPPORTED = "Prefect 3, Prefect 2.20 or Orion 2.0b6"


def generation_of(version: str) -> Generation | None:
    """The generation that a version of Prefect belongs to, ``None`` for one that is not supported."""
    return next((generation for generation in GENERATIONS if generation.versions.match(version)), None)
