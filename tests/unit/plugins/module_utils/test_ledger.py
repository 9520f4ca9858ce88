# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of the attempt ledger, without a server."""

from __future__ import annotations

import json

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _ledger
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import (
    End,
    Ledger,
    LedgerError,
    Owner,
    parse_entries,
    tokens_of_voided,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import RunInput

KEY = AttemptKey("979b4e7b-c5f1-4546-8e24-8a038e182219", 1)


def owner(token="t1"):  # noqa: S107
    return Owner("process:host:0:/state", token, "ctl", "hash", 60.0)


class Store:
    """Inputs of one run, write-once like the server's."""

    def __init__(self):
        self.values = {}

    def read_inputs(self, flow_run_id):
        return [RunInput(key, value, 1000.0) for key, value in self.values.items()]

    def write_input(self, flow_run_id, key, value):
        return self.values.setdefault(key, value) is value


@pytest.fixture
def store():
    return Store()


def test_the_first_owner_stays(store):
    ledger = Ledger(store)
    assert ledger.read(KEY.flow_run_id) == []
    assert ledger.record(KEY, owner("t1"))
    assert not ledger.record(KEY, owner("t2"))
    (entry,) = ledger.read(KEY.flow_run_id)
    assert (entry.number, entry.owner.token, entry.owner.created) == (1, "t1", 1000.0)
    assert [entry.voided, entry.started, entry.ended, entry.closed] == [False] * 4


def test_a_takeover_is_due_when_the_promise_is_over(store):
    ledger = Ledger(store)
    ledger.record(KEY, owner())
    (entry,) = ledger.read(KEY.flow_run_id)
    assert not entry.takeover_due(1060.0)
    assert entry.takeover_due(1060.1)
    ledger.void(KEY, "takeover")
    assert not ledger.read(KEY.flow_run_id)[0].takeover_due(9999.0)


def test_void_wins_against_an_engine_or_learns_that_it_started(store):
    ledger = Ledger(store)
    ledger.record(KEY, owner())
    assert ledger.void(KEY, "cancelled")
    assert ledger.void(KEY, "again")
    (entry,) = ledger.read(KEY.flow_run_id)
    assert entry.voided
    assert entry.gate.void == "cancelled"
    assert tokens_of_voided([entry]) == ["t1"]

    store.values["flowops-1-gate"] = '{"go": "t1", "nonce": "n"}'
    assert not ledger.void(KEY, "cancelled")
    (entry,) = ledger.read(KEY.flow_run_id)
    assert entry.started
    assert not entry.voided
    assert tokens_of_voided([entry]) == []


def test_one_reporter(store):
    ledger = Ledger(store)
    ledger.record(KEY, owner())
    assert ledger.end(KEY, End("failed", "CRASHED", "ctl"))
    assert not ledger.end(KEY, End("failed", "CRASHED", "ctl"))
    (entry,) = ledger.read(KEY.flow_run_id)
    assert entry.ended
    assert entry.end == End("failed", "CRASHED", "ctl")


def test_attempts_are_ordered_by_number(store):
    ledger = Ledger(store)
    for number in range(12, 0, -1):
        ledger.record(AttemptKey(KEY.flow_run_id, number), owner(f"t{number}"))
    store.values["flowops-note"] = "not ours to read"
    store.values["flowops-1-future"] = "a later version's"
    entries = ledger.read(KEY.flow_run_id)
    assert [entry.number for entry in entries] == list(range(1, 13))
    assert entries[-1].owner.token == "t12"


GOOD = json.dumps(owner().value())


@pytest.mark.parametrize(
    "values",
    [
        {"flowops-1": ""},
        {"flowops-1": "[]"},
        {"flowops-1": "[" * 100000},
        {"flowops-1": GOOD.replace('"t1"', "1")},
        {"flowops-1": GOOD.replace('"t1"', '""')},
        {"flowops-1": GOOD.replace("60.0", "true")},
        {"flowops-1": GOOD.replace("60.0", "1e999")},
        {"flowops-1": GOOD.replace("60.0", "-1")},
        {"flowops-1-gate": '{"go": "t1", "nonce": "n"}'},
        {"flowops-1-end": '{"verdict": "", "state": "", "reporter": ""}'},
        {"flowops-1": GOOD, "flowops-1-gate": "{}"},
        {"flowops-1": GOOD, "flowops-1-gate": '{"void": ""}'},
        {"flowops-1": GOOD, "flowops-1-gate": '{"go": "other", "nonce": "n"}'},
        {"flowops-1": GOOD, "flowops-1-gate": '{"go": "t1"}'},
        {"flowops-1": GOOD, "flowops-1-gate": '{"go": "t1", "void": "x", "nonce": "n"}'},
        {"flowops-1": GOOD, "flowops-1-end": '{"verdict": 1}'},
        {"flowops-1": GOOD, "flowops-1-end": '{"verdict": "", "state": "", "reporter": "", "over": 1}'},
    ],
)
def test_damaged_records_are_named(values):
    with pytest.raises(LedgerError, match=r"flowops-\d") as caught:
        parse_entries(RunInput(key, value, 0.0) for key, value in values.items())
    assert caught.value.remedy


def test_an_attempt_may_be_voided_before_anybody_owns_it(store):
    """A run that others launched first has no attempt 1; a cancel may come before any record."""
    Ledger(store).void(AttemptKey(KEY.flow_run_id, 2), "cancelled: by the user")
    (entry,) = Ledger(store).read(KEY.flow_run_id)
    assert (entry.number, entry.token, entry.locus, entry.void_kind) == (2, "", "", "cancelled")
    assert entry.voided
    assert not entry.takeover_due(9999.0)
    assert tokens_of_voided([entry]) == []


def test_a_gate_that_can_be_neither_written_nor_read_is_no_void(store, monkeypatch):
    monkeypatch.setattr(store, "write_input", lambda *args: False)
    with pytest.raises(_ledger.LedgerError, match="gate"):
        Ledger(store).void(KEY, "x")
