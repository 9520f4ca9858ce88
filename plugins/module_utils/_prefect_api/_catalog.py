# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the management modules ask of a Prefect API: deployments, pools, and runs by filter.

Runs that are launched here go through :class:`PrefectApi`. Documents are the server's own, in the words of Prefect 3;
the file of a generation translates where it uses others.
"""

from __future__ import annotations

import abc
import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Generation
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport

Document = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class RunFilter:
    """Which flow runs; what is empty does not count.

    :arg deployments: UUIDs.
    :arg flows: names.
    :arg states: types of Prefect's (in capitals) and names.
    :arg tags: a run must have all of them.
    :arg name: part of the run's name.
    :arg after: ISO 8601, of the time when the run was or is expected to start; ``before`` too.
    """

    ids: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    work_pools: tuple[str, ...] = ()
    name: str = ""
    after: str = ""
    before: str = ""


class Catalog(abc.ABC):
    """What one Prefect server holds. Errors are those of :class:`PrefectApi`."""

    #: Whose words it speaks.
    generation: t.ClassVar[Generation]
    #: Where a generation's pages show a deployment.
    _page_of_deployment: t.ClassVar[str] = "deployments/deployment"

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def deployment_url(self, deployment_id: str) -> str:
        """Where people look at the deployment."""
        return f"{self._transport.url.removesuffix('/api')}/{self._page_of_deployment}/{deployment_id}"

    # --- deployments -------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def find_deployment(self, flow_name: str, name: str) -> Document | None:
        """One deployment, if it exists."""

    @abc.abstractmethod
    def list_deployments(self, ids: t.Sequence[str], flows: t.Sequence[str], tags: t.Sequence[str]) -> list[Document]:
        """Deployments by filter, ordered by name; what is empty does not count. Each has its ``flow_name``."""

    @abc.abstractmethod
    def create_deployment(self, flow_name: str, body: Document) -> Document:
        """Make a deployment, and its flow where there is none of that name."""

    @abc.abstractmethod
    def update_deployment(self, deployment_id: str, changes: Document) -> None:
        """Change what is named and nothing else."""

    @abc.abstractmethod
    def delete_deployment(self, deployment_id: str) -> None:
        """Remove it; its runs stay."""

    @abc.abstractmethod
    def change_schedules(
        self,
        deployment_id: str,
        create: t.Sequence[Document],
        update: t.Mapping[str, Document],
        delete: t.Sequence[str],
    ) -> None:
        """Make, change and remove schedules, in this order; one that goes takes the runs that it has made with it.

        :arg update: by id; ``delete`` are ids.
        """

    @abc.abstractmethod
    def schema_problems(self, schema: Document, values: Document) -> list[str]:
        """Where values do not fit a JSON schema, as the server sees it; missing ones are no problem."""

    # --- pools -------------------------------------------------------------------------------------------------
    # Orion's work queues with filters stand here for pools: both say which runs are handed out, and how many.

    @abc.abstractmethod
    def find_pool(self, name: str) -> Document | None:
        """One work pool, if it exists."""

    @abc.abstractmethod
    def create_pool(self, body: Document) -> Document:
        """Make a work pool; it begins with a queue ``default``."""

    @abc.abstractmethod
    def update_pool(self, name: str, changes: Document) -> None:
        """Change what is named and nothing else."""

    @abc.abstractmethod
    def delete_pool(self, name: str) -> None:
        """Remove it with its queues."""

    @abc.abstractmethod
    def list_queues(self, pool: str) -> list[Document]:
        """The pool's queues, the most urgent one first."""

    @abc.abstractmethod
    def create_queue(self, pool: str, body: Document) -> None:
        """Add a queue."""

    @abc.abstractmethod
    def update_queue(self, pool: str, name: str, changes: Document) -> None:
        """Change what is named and nothing else."""

    @abc.abstractmethod
    def delete_queue(self, pool: str, name: str) -> None:
        """Remove a queue."""

    # --- flow runs ---------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def count_runs(self, wanted: RunFilter) -> int:
        """How many runs there are."""

    @abc.abstractmethod
    def list_runs(self, wanted: RunFilter, limit: int, offset: int = 0, newest_first: bool = True) -> list[Document]:
        """Runs ordered by the time at which they are expected to start."""

    @abc.abstractmethod
    def create_run(self, deployment_id: str, body: Document) -> tuple[Document, bool]:
        """Make a run of a deployment. :returns: the run, and whether it is new."""

    @abc.abstractmethod
    def find_run_by_key(self, deployment_id: str, key: str) -> Document | None:
        """The run of a deployment that was made with this idempotency key."""

    @abc.abstractmethod
    def set_run_job_variables(self, flow_run_id: str, job_variables: Document) -> None:
        """Replace the run's own job variables."""

    @abc.abstractmethod
    def delete_run(self, flow_run_id: str) -> None:
        """Remove a run with its records."""

    @abc.abstractmethod
    def list_states(self, flow_run_id: str) -> list[Document]:
        """Every state that the run had, the first one first."""

    @abc.abstractmethod
    def list_artifacts(self, flow_run_id: str, limit: int) -> list[Document]:
        """What the run has made for people to read."""
