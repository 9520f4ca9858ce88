# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.
"""The attempt ledger: write-once records on the Prefect server that make a flow's body run at most once an attempt.

Three records per attempt N, each won by the first writer:

* ``flowops-N`` says who owns the attempt;
* ``flowops-N-gate`` says whether its engine may start: the engine itself writes "go", anybody else writes "void";
* ``flowops-N-end`` says how it ended and who reports that to the server.

State names on the server are no lock (a claim alone ran bodies twice in 32 of 35 rounds); these records are.
"""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import FlowopsError
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._numbers import finite
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import INPUT_PREFIX
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import RunInput

_KEY = re.compile(re.escape(INPUT_PREFIX) + r"([1-9]\d{0,5})(?:-(gate|end))?")


class LedgerError(FlowopsError):
    """The records on the server cannot be understood; launching on a guess could run a flow twice."""

    category = "ledger"


@dataclasses.dataclass(frozen=True)
class Owner:
    """Who owns an attempt.

    :arg locus: the one place where the attempt's infrastructure can exist.
    :arg token: random UUID of the attempt.
    :arg start_within: seconds within which the owner promised to pass or void the gate.
    :arg created: when the record was written, by the server's clock; not part of what is written.
    """

    locus: str
    token: str
    controller: str
    spec_hash: str
    start_within: float
    created: float = 0.0

    def value(self) -> dict[str, t.Any]:
        """What is written; the bootstrap writes the same where it claims (``record`` of its document)."""
        content = dataclasses.asdict(self)
        del content["created"]
        return content


@dataclasses.dataclass(frozen=True)
class Gate:
    """The closed gate: either an engine's ``token`` passed it with its ``nonce``, or it is void for a ``reason``."""

    token: str = ""
    nonce: str = ""
    void: str = ""


@dataclasses.dataclass(frozen=True)
class End:
    """How an attempt ended.

    :arg verdict: the phase of the result: succeeded, failed, cancelled, suspended…
    :arg state: the terminal state type that the server had or was told; empty for a run that was left to be resumed.
    :arg reporter: who tells the server.
    :arg over: id of the state that the run had then. As long as it has it, the server was told nothing.
    """

    verdict: str
    state: str
    reporter: str
    over: str = ""


@dataclasses.dataclass(frozen=True)
class Entry:
    """Everything recorded of one attempt.

    :arg owner: ``None`` for an attempt that was voided before anybody owned it.
    """

    number: int
    owner: Owner | None
    gate: Gate | None = None
    end: End | None = None

    @property
    def locus(self) -> str:
        return self.owner.locus if self.owner is not None else ""

    @property
    def token(self) -> str:
        return self.owner.token if self.owner is not None else ""

    @property
    def void_kind(self) -> str:
        """The first word of the reason: details may follow it behind a colon."""
        return self.gate.void.partition(":")[0] if self.gate is not None else ""

    @property
    def end_state(self) -> str:
        """The terminal state that the server had or was told; empty for a run that was left to be resumed."""
        return self.end.state if self.end is not None else ""

    @property
    def voided(self) -> bool:
        """It can never start."""
        return self.gate is not None and bool(self.gate.void)

    @property
    def started(self) -> bool:
        """Its engine passed the gate: the body may have run, whatever became of it."""
        return self.gate is not None and not self.gate.void

    @property
    def ended(self) -> bool:
        return self.end is not None

    @property
    def closed(self) -> bool:
        """Nothing of it can run any more as far as the records say; a next attempt also needs proof that it is gone."""
        return self.voided or self.ended

    def takeover_due(self, server_now: float) -> bool:
        """The owner's promise is over and the gate still open: somebody else may void it.

        A wrong clock makes this early or late, never unsafe: safety comes from the gate being written once.
        """
        if self.gate is not None or self.owner is None:
            return False
        return server_now > self.owner.created + self.owner.start_within


def tokens_of_voided(entries: t.Iterable[Entry]) -> list[str]:
    """A Pending state with one of these tokens may be inherited: its owner can never start."""
    return [entry.token for entry in entries if entry.voided and entry.token]


def parse_entries(inputs: t.Iterable[RunInput]) -> list[Entry]:
    """The attempts in order; keys that are not the ledger's are ignored, damaged records of the ledger are not.

    Numbers may be missing: a run that others launched before us counts as their first attempt.

    :raises LedgerError: a record is damaged or missing.
    """
    found: dict[int, dict[str, RunInput]] = {}
    for item in inputs:
        match = _KEY.fullmatch(item.key)
        if match:
            found.setdefault(int(match.group(1)), {})[match.group(2) or "owner"] = item
    return [_entry(number, found[number]) for number in sorted(found)]


def _entry(number: int, records: dict[str, RunInput]) -> Entry:
    owner = _parse_owner(records["owner"]) if "owner" in records else None
    gate = _parse_gate(records["gate"]) if "gate" in records else None
    if owner is None and (gate is None or not gate.void):
        raise _damaged(f"{INPUT_PREFIX}{number}", "it is missing although the attempt has other records")
    if owner is not None and gate is not None and not gate.void and gate.token != owner.token:
        raise _damaged(records["gate"].key, "its token is not the attempt's")
    return Entry(number, owner, gate, _parse_end(records["end"]) if "end" in records else None)


def _damaged(key: str, problem: str) -> LedgerError:
    return LedgerError(
        f"The record {key} among the flow run's inputs is damaged: {problem}.",
        "Nobody but this collection may write these inputs; make a new flow run.",
    )


def _load(item: RunInput) -> dict[str, t.Any]:
    try:
        data = json.loads(item.value)
    except (ValueError, RecursionError):
        raise _damaged(item.key, "it is not JSON") from None
    if not isinstance(data, dict):
        raise _damaged(item.key, "it is not a JSON object")
    return data


def _text(item: RunInput, data: dict[str, t.Any], name: str, needed: bool = True) -> str:
    value = data.get(name)
    if not isinstance(value, str) or (needed and not value):
        raise _damaged(item.key, f"{name} is missing or no text")
    return value


def _parse_owner(item: RunInput) -> Owner:
    data = _load(item)
    start_within = finite(data.get("start_within"))
    if start_within is None or start_within < 0:
        raise _damaged(item.key, "start_within is no usable number of seconds")
    return Owner(
        locus=_text(item, data, "locus"),
        token=_text(item, data, "token"),
        controller=_text(item, data, "controller", needed=False),
        spec_hash=_text(item, data, "spec_hash", needed=False),
        start_within=start_within,
        created=item.created,
    )


def _parse_gate(item: RunInput) -> Gate:
    data = _load(item)
    if ("go" in data) == ("void" in data):
        raise _damaged(item.key, "it says neither just go nor just void")
    if "void" in data:
        return Gate(void=_text(item, data, "void"))
    return Gate(token=_text(item, data, "go"), nonce=_text(item, data, "nonce"))


def _parse_end(item: RunInput) -> End:
    data = {"over": "", **_load(item)}
    return End(*(_text(item, data, field.name, needed=False) for field in dataclasses.fields(End)))


class Records(t.Protocol):
    """Where write-once records of flow runs are kept: a Prefect API, or a place of ours for servers that keep none."""

    def read_inputs(self, flow_run_id: str) -> list[RunInput]:
        """See :meth:`PrefectApi.read_inputs`."""

    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:
        """See :meth:`PrefectApi.write_input`."""


class Ledger:
    """The attempt ledger of flow runs."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def read(self, flow_run_id: str) -> list[Entry]:
        """All attempts of a run in order; empty where this collection never launched it."""
        return parse_entries(self._records.read_inputs(flow_run_id))

    def record(self, key: AttemptKey, owner: Owner) -> bool:
        """Become the owner of an attempt. :returns: False if somebody else is; read again then."""
        return self._write(key, "", owner.value())

    def void(self, key: AttemptKey, reason: str) -> bool:
        """Close the gate for good. :returns: True: it can never start, False: its engine passed before.

        Who voided does not matter, so a gate that was void already is a True as well.
        """
        if self._write(key, "-gate", {"void": reason or "no reason given", "nonce": secrets.token_hex(16)}):
            return True
        entries = {entry.number: entry for entry in self.read(key.flow_run_id)}
        if key.number not in entries or entries[key.number].gate is None:
            raise _damaged(f"{INPUT_PREFIX}{key.number}", "its gate can be neither written nor read")
        return entries[key.number].voided

    def end(self, key: AttemptKey, end: End) -> bool:
        """Record how an attempt ended. :returns: True makes the caller the one who reports it to the server."""
        return self._write(key, "-end", {**dataclasses.asdict(end), "nonce": secrets.token_hex(16)})

    def _write(self, key: AttemptKey, suffix: str, content: dict[str, t.Any]) -> bool:
        value = json.dumps(content, sort_keys=True)
        return self._records.write_input(key.flow_run_id, f"{INPUT_PREFIX}{key.number}{suffix}", value)
