# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The protocol that every infrastructure implements; the state machine knows nothing else of them."""

from __future__ import annotations

import abc
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import Records
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Observation


class Infrastructure(abc.ABC):
    """Where attempts run.

    Every method may raise :class:`InfrastructureUnreachable` where the infrastructure cannot be asked and
    :class:`InfrastructureError` where it answers and refuses.
    """

    #: Name of the flow runner type, as users and the result know it.
    type: t.ClassVar[str]

    #: True: the bootstrap writes the attempt's record, claims the run and passes the gate, so that runs can wait for
    #: a slot with nobody watching. False: the state machine does all but the gate before ``create``.
    bootstrap_claims: t.ClassVar[bool]

    #: How many runs may be worked on at once; more than 1 only where every method may be called from several threads.
    parallel: t.ClassVar[int] = 1

    def warnings(self) -> list[str]:
        """What the user should know of this place before something is launched there."""
        return []

    def records(self) -> Records | None:
        """A place here for the attempt ledger, for servers that keep no records; ``None`` where there is none.

        Such a ledger knows of this locus alone.
        """
        return None

    @property
    @abc.abstractmethod
    def locus(self) -> str:
        """The one place where these attempts can exist. Stable over time, different at every other place."""

    @abc.abstractmethod
    def preflight(self, settings: dict[str, t.Any], server_version: str) -> None:
        """Raise :class:`SettingsError` when an attempt with these settings cannot work here. Changes nothing.

        Called once for each distinct ``settings`` before anything is claimed.
        """

    @abc.abstractmethod
    def preview(self, launch: Launch) -> dict[str, t.Any]:
        """Exactly what ``create`` would make, secrets masked. Changes nothing."""

    @abc.abstractmethod
    def find(self, flow_run_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        """Look at all attempts of these runs that exist here, with one list operation for the whole batch.

        An attempt that is not in the answer is absent.
        """

    @abc.abstractmethod
    def list_attempts(self) -> dict[AttemptKey, Observation]:
        """Look at all attempts of ours that exist here, whoever launched them. Changes nothing."""

    def may_hold(self, identifier: str) -> bool:  # noqa: ARG002 - most are told by their form
        """Whether what the server calls so (``Observation.identifier``) may be an attempt here.

        Spares a look at the records of runs that are elsewhere, so only what certainly is elsewhere is a no.
        """
        return True

    def provide(self, launch: Launch) -> str | None:  # noqa: ARG002 - not every infrastructure needs something
        """Get what the attempt needs and does not own, such as an image.

        Called before the run is claimed, since it may take long and a claim that is not used in time is lost.

        :returns: for people, what is still under way: it is called again later. ``None`` when all is there.
        """
        return None

    def prepare(self, launch: Launch) -> str:  # noqa: ARG002 - nothing is known beforehand
        """Make what can be made without starting anything.

        Called after the claim and before ``create``, where the bootstrap does not claim.

        :returns: the identifier that the attempt's infrastructure has or will have. The server is told before the
            start: it could not be cancelled during a retry wait otherwise. Empty where the bootstrap tells the server.
        :raises NameCollision: something that is not ours has the name.
        """
        return ""

    @abc.abstractmethod
    def create(self, launch: Launch) -> bool:
        """Make the attempt's infrastructure and start it; every step may be run again.

        :returns: True if this call started it, False if somebody else's call did.
        :raises NameCollision: something that is not ours has the name.
        """

    def made(self, launch: Launch) -> Observation | None:  # noqa: ARG002 - mostly a look is as cheap
        """What a look would show of what ``create`` has just made; ``None`` where only a look tells."""
        return None

    @abc.abstractmethod
    def stop(self, key: AttemptKey, grace: float) -> None:
        """Ask everything of the attempt to end, kill after ``grace`` seconds, return when it is proven gone.

        :raises InfrastructureError: something is still there.
        """

    @abc.abstractmethod
    def remove(self, key: AttemptKey) -> bool:
        """Remove what is left of a finished attempt. :returns: whether there was something."""

    @abc.abstractmethod
    def read_log(self, key: AttemptKey, cursor: str) -> LogChunk:
        """Output after ``cursor``; at most 256 KiB a call."""

    @abc.abstractmethod
    def read_log_tail(self, key: AttemptKey, lines: int) -> LogChunk:
        """The last lines of the output."""

    @abc.abstractmethod
    def wait_for_change(self, keys: t.Sequence[AttemptKey], timeout: float, output: bool) -> None:
        """Return when something about these attempts may have changed, at the latest after ``timeout`` seconds.

        Only wakes the state machine: verdicts come from a fresh ``find``.

        :arg output: new output counts as a change.
        """
