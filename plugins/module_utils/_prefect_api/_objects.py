# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the Prefect API talks about, typed; parsing trusts nothing that a server sends."""

from __future__ import annotations

import dataclasses
import typing as t
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError
from ansible_collections.flowops.prefect.plugins.module_utils._moments import parse_moment
from ansible_collections.flowops.prefect.plugins.module_utils._numbers import finite
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable

TERMINAL_TYPES = frozenset(("COMPLETED", "FAILED", "CRASHED", "CANCELLED"))
STATE_TYPES = TERMINAL_TYPES.union(("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"))

#: The server's words for "this very claim was made before".
_ALREADY_MADE = "already made this"


@dataclasses.dataclass(frozen=True)
class FlowRun:
    """A flow run as the server knows it now.

    :arg state_id: of the current state: another one means that somebody changed it.
    :arg transition_id: of the current state; a claim of ours carries the attempt's token here.
    :arg scheduled_time: seconds since the epoch like all moments.
    :arg state_since: when the current state began.
    """

    id: str
    name: str
    state_type: str
    state_name: str
    state_message: str
    state_id: str | None
    transition_id: str | None
    state_since: float | None
    scheduled_time: float | None
    deployment_id: str | None
    parameters: dict[str, t.Any] = dataclasses.field(repr=False)
    job_variables: dict[str, t.Any] = dataclasses.field(repr=False)
    run_count: int
    start_time: float | None
    end_time: float | None
    created: float | None
    tags: tuple[str, ...]
    work_pool_name: str | None
    work_queue_name: str | None
    infrastructure_pid: str | None

    @property
    def terminal(self) -> bool:
        return self.state_type in TERMINAL_TYPES

    @property
    def scheduled(self) -> bool:
        """By type: the name may be "Late", "AwaitingRetry" or anything else."""
        return self.state_type == "SCHEDULED"

    @property
    def untouched(self) -> bool:
        """Still in the state that it was made in: nobody has ever claimed it."""
        made, since = self.created, self.state_since
        return self.scheduled and self.run_count == 0 and made is not None and since is not None and since <= made

    def due(self, now: float) -> bool:
        return self.scheduled and (self.scheduled_time is None or self.scheduled_time <= now)


@dataclasses.dataclass(frozen=True)
class Deployment:
    """A deployment: the defaults of its runs.

    :arg code: where the engine finds the flow's code, see :func:`code_of`.
    """

    id: str
    name: str
    flow_name: str
    parameters: dict[str, t.Any] = dataclasses.field(repr=False)
    enforce_parameter_schema: bool
    parameter_schema: dict[str, t.Any] = dataclasses.field(repr=False)
    job_variables: dict[str, t.Any] = dataclasses.field(repr=False)
    work_pool_name: str | None
    work_queue_name: str | None
    paused: bool
    code: dict[str, t.Any]

    @property
    def full_name(self) -> str:
        return f"{self.flow_name}/{self.name}"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The server's answer to a proposed state.

    :arg state_type: the state that the run has now, empty where the server does not say.
    :arg retry_after: seconds after which a "not now" may be asked again.
    """

    status: str
    state_type: str
    state_name: str
    reason: str
    retry_after: float | None

    @property
    def accepted(self) -> bool:
        return self.status == "ACCEPT"

    @property
    def ours(self) -> bool:
        """The proposed state is the current one by our doing: accepted now or, with the same token, before."""
        return self.accepted or (self.status == "REJECT" and _ALREADY_MADE in self.reason)

    @property
    def not_now(self) -> bool:
        """A full concurrency limit or a future time: neither a refusal nor somebody else's claim."""
        return self.status == "WAIT" or (self.status == "REJECT" and self.state_type == "SCHEDULED" and not self.ours)


@dataclasses.dataclass(frozen=True)
class RunInput:
    """One write-once value kept with a flow run; ``created`` is the server's clock."""

    key: str
    value: str
    created: float


@dataclasses.dataclass(frozen=True)
class LogRecord:
    """One line that a flow logged to the server."""

    id: str
    timestamp: float
    level: int
    message: str


def canonical_uuid(value: t.Any) -> str | None:
    """The canonical spelling of a UUID, ``None`` for anything else: only that may become part of a URL."""
    if not isinstance(value, str) or len(value) > 36:
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


class Fields:
    """Typed access to one JSON object of the server; a value of the wrong kind is an error that names it."""

    def __init__(self, data: t.Any, what: str) -> None:
        self._what = what
        if not isinstance(data, dict):
            raise ApiError(f"The Prefect API's answer has no usable {what}.", "Check that api_url is a Prefect API.")
        self._data: dict[str, t.Any] = data

    def _wrong(self, name: str) -> ApiError:
        return ApiError(
            f"The Prefect API's answer has a {self._what} without a usable {name!r}.",
            "Check that api_url is a Prefect API of a supported version.",
        )

    def optional_text(self, name: str) -> str | None:
        value = self._data.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(name)

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise self._wrong(name)
        return value

    def state_type(self, name: str) -> str:
        """One of Prefect's: what another one would mean for a run cannot be guessed."""
        value = self.text(name)
        if value in STATE_TYPES:
            return value
        raise ApiError(
            f"The Prefect API's answer has a {self._what} of the unknown type {printable(value, 40)!r}.",
            "Use a supported version of the Prefect server.",
        )

    def label(self, name: str) -> str:
        """Text for people; empty where there is none."""
        return printable(self.optional_text(name) or "", 2000)

    def optional_uuid(self, name: str) -> str | None:
        return None if self._data.get(name) is None else self.uuid(name)

    def uuid(self, name: str) -> str:
        value = canonical_uuid(self._data.get(name))
        if value is None:
            raise self._wrong(name)
        return value

    def optional_moment(self, name: str) -> float | None:
        return None if self._data.get(name) is None else self.moment(name)

    def moment(self, name: str) -> float:
        value = parse_moment(self._data.get(name))
        if value is None:
            raise self._wrong(name)
        return value

    def mapping(self, name: str) -> dict[str, t.Any]:
        """An object; absent and null are the empty one."""
        value = self._data.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(name)
        return value

    def sub(self, name: str) -> Fields:
        return Fields(self.mapping(name), f"{self._what} {name}")

    def number(self, name: str, default: float) -> float:
        value = self._data.get(name)
        if value is None:
            return default
        number = finite(value)
        if number is None:
            raise self._wrong(name)
        return number

    def flag(self, name: str, default: bool) -> bool:
        value = self._data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name)
        return value

    def items(self, name: str) -> list[t.Any]:
        """A list; absent and null are the empty one."""
        value = self._data.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._data.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name)
        return tuple(value)


def code_of(deployment: Fields) -> dict[str, t.Any]:
    """What a deployment says of the place of its flow's code, in the server's words."""
    return {
        "path": deployment.optional_text("path"),
        "entrypoint": deployment.optional_text("entrypoint"),
        "pull_steps": deployment.items("pull_steps"),
        "storage_document_id": deployment.optional_uuid("storage_document_id"),
    }
