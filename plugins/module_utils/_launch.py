# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What is launched: the identity of an attempt and everything its infrastructure needs to be created."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True, order=True)
class AttemptKey:
    """The n-th launch of one flow run.

    :arg flow_run_id: a UUID in its canonical, dashed, lower-case form.
    :arg number: counts from 1.
    """

    flow_run_id: str
    number: int

    @property
    def name(self) -> str:
        """The deterministic part of every infrastructure's name."""
        return f"{self.flow_run_id}-{self.number}"


@dataclasses.dataclass(frozen=True)
class Launch:
    """One attempt, ready to be created.

    :arg key: which attempt.
    :arg token: random text that marks everything which belongs to this attempt.
    :arg flow_run_name: Prefect's name of the run, for people.
    :arg environment: variables of the engine.
    :arg secret_environment: variables of the engine whose values are never shown; they win over ``environment``.
    :arg unset_environment: variables that must not be there, whoever else would set them.
    :arg settings: the runner's settings, defaults applied (``_task``).
    :arg bootstrap: the document that the bootstrap in the infrastructure reads (``_bootstrap``).
    :arg spec_hash: says whether two launches would create the same infrastructure.
    :arg start_timeout: seconds from the start of the infrastructure to the passed gate.
    :arg run_timeout: seconds that the engine may run once it passed the gate; ``None`` for no limit.
    :arg stop_grace: seconds between SIGTERM and SIGKILL.
    :arg concurrency: how many attempts may run at once at this locus; ``None`` for no limit.
    :arg local_records: the server keeps no records; the bootstrap writes into the infrastructure's own.
    :arg api_url_chosen: the user said which address the engine reaches the API at, so it is not to be adapted.
    :arg api_url: the API as its launcher reaches it; kept with the attempt, to tell later whose run it is.
    """

    key: AttemptKey
    token: str
    flow_run_name: str
    environment: dict[str, str]
    secret_environment: dict[str, str] = dataclasses.field(repr=False)
    unset_environment: tuple[str, ...]
    settings: dict[str, t.Any]
    bootstrap: dict[str, t.Any]
    spec_hash: str
    start_timeout: float
    run_timeout: float | None
    stop_grace: float
    concurrency: int | None
    local_records: bool = False
    api_url_chosen: bool = False
    api_url: str = ""
