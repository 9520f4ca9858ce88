# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the collection asks of a Prefect API, in words that hold for every generation of it."""

from __future__ import annotations

import abc
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Generation
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import (
    Deployment,
    FlowRun,
    LogRecord,
    RunInput,
    Verdict,
    canonical_uuid,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport

#: Keys of the attempt ledger among the inputs of a run.
INPUT_PREFIX = "flowops-"
#: Name of the queue, in the pool of a deployment, that takes the runs we create (paused: no worker polls it).
QUEUE_NAME = "ansible"


class PrefectApi(abc.ABC):
    """One Prefect API.

    Methods raise :class:`ApiUnreachable`, :class:`ApiRefused` and :class:`ApiNotFound`, or :class:`ApiError` for
    an answer that makes no sense; ids that are no UUID are a :class:`SettingsError`.
    """

    #: Which generation the server is of: what it cannot do is refused with its name.
    generation: t.ClassVar[Generation]
    #: Where a generation's pages show a run.
    _page_of_run: t.ClassVar[str] = "runs/flow-run"

    def __init__(self, transport: Transport, server_version: str) -> None:
        #: Open to the other halves of the client, which ask the same server for other things.
        self.transport = transport
        self.server_version = server_version
        #: What the user should know although everything went on; for the result.
        self.warnings: list[str] = []

    def server_now(self) -> float:
        """The server's clock in seconds since the epoch, as told with its last answer."""
        return self.transport.server_now()

    def ui_url(self, flow_run_id: str) -> str:
        """Where people look at the run."""
        return f"{self.transport.url.removesuffix('/api')}/{self._page_of_run}/{flow_run_id}"

    @abc.abstractmethod
    def read_flow_runs(self, flow_run_ids: t.Iterable[str]) -> dict[str, FlowRun]:
        """Those of the runs that exist, by id."""

    def read_flow_run(self, flow_run_id: str) -> FlowRun:
        """:raises ApiNotFound: there is no such run."""
        return self._read_flow_run(checked_id(flow_run_id, "flow_run_id"))

    @abc.abstractmethod
    def _read_flow_run(self, flow_run_id: str) -> FlowRun:
        """The same for an id that was checked."""

    @abc.abstractmethod
    def open_runs(self) -> t.Iterator[FlowRun]:
        """Runs that somebody has taken and that are not over, the oldest first, read page by page.

        Nothing where the server does not keep where a run is: then nobody can be told from anybody else.
        """

    @abc.abstractmethod
    def was_being_cancelled(self, flow_run_id: str) -> bool:
        """Whether a run that is over was Cancelling until then."""

    @abc.abstractmethod
    def read_deployment(self, deployment: str) -> Deployment:
        """:arg deployment: ``flow/name`` or a UUID."""

    @abc.abstractmethod
    def read_code(self, deployment_ids: t.Iterable[str]) -> dict[str, tuple[str, dict[str, t.Any]]]:
        """Names of those of the deployments that exist, and where the code of their flows is (:func:`code_of`)."""

    @abc.abstractmethod
    def create_flow_run(
        self,
        deployment: Deployment,
        *,
        parameters: dict[str, t.Any] | None = None,
        name: str | None = None,
        tags: t.Sequence[str] = (),
        idempotency_key: str | None = None,
        key_salt: str = "",
    ) -> tuple[FlowRun, bool]:
        """Make a scheduled run that no worker takes; with a key, the run that this key made before.

        :arg key_salt: tells runs apart that one task makes with one key (such as their parameters).
        :returns: the run, and whether this call made it.
        :raises SettingsError: the server refuses the parameters, or the key was used with other ones.
        """

    @abc.abstractmethod
    def propose(
        self,
        flow_run_id: str,
        state_type: str,
        *,
        name: str | None = None,
        message: str = "",
        transition_id: str | None = None,
    ) -> Verdict:
        """Propose a state under the rules that Prefect 3 has for it.

        Sent again after a lost answer only with a ``transition_id`` (the repeat is recognised) or for a terminal
        type (the repeat is refused because it *is* in that state: ``state_type`` of the verdict tells).
        """

    def claim(self, flow_run_id: str, token: str) -> Verdict:
        """Claim the run for the attempt with this token; ``Verdict.ours`` and ``Verdict.not_now`` tell the outcome.

        Only the plain name excludes others: Prefect 3 accepts a differently named Pending over a Pending.
        """
        return self.propose(flow_run_id, "PENDING", name="Pending", transition_id=token)

    @abc.abstractmethod
    def set_infrastructure_pid(self, flow_run_id: str, identifier: str) -> None:
        """Tell the server where the run is; without it a cancel during a retry wait leaves the engine alive."""

    @abc.abstractmethod
    def read_inputs(self, flow_run_id: str) -> list[RunInput]:
        """The run's inputs whose keys begin with :data:`INPUT_PREFIX`."""

    @abc.abstractmethod
    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:
        """Write once. :returns: whether the stored value is from this call.

        :arg value: must hold something that nobody else writes (a token, a nonce): only so can a write whose answer
            was lost be told from somebody else's.
        """

    @abc.abstractmethod
    def read_artifacts(self, flow_run_ids: t.Sequence[str], keys: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
        """What runs have published under these keys, by run and key: ``{type, description, data}``, the newest."""

    @abc.abstractmethod
    def read_flow_run_logs(self, flow_run_id: str, *, after: float | None = None, limit: int = 200) -> list[LogRecord]:
        """Log records from ``after`` (seconds since the epoch, inclusive) on, oldest first."""


def checked_id(value: str, field: str) -> str:
    """The canonical form of an id that a user or a caller gave."""
    canonical = canonical_uuid(value)
    if canonical is None:
        raise SettingsError(f"{field} is not a UUID.", "Give an id such as 0f6e2a4c-1b1d-4c6e-9d55-0a3c6f1f2b7e.")
    return canonical
