# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the rules would do with a run, step after step, without doing it. Pure functions."""

from __future__ import annotations

import dataclasses

from ansible_collections.flowops.prefect.plugins.module_utils._decide import Decision, Step, View, decide
from ansible_collections.flowops.prefect.plugins.module_utils._ledger import End, Entry, Gate
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Presence

#: Steps after which there is no other one.
_LAST = (Step.DONE, Step.MISSING, Step.WAIT, Step.FOLLOW, Step.LAUNCH)

#: A run needs a handful of steps; see ``_reconcile``.
_MOST_STEPS = 16


def foretold(view: View) -> list[Decision]:
    """The steps that come, each taken as done by the next one."""
    steps: list[Decision] = []
    while len(steps) < _MOST_STEPS:
        decision = decide(view)
        if decision.step in _LAST:
            break
        steps.append(decision)
        view = after(view, decision)
    return steps


def after(view: View, decision: Decision) -> View:
    """What one sees when a step is done."""
    number = decision.attempt
    if decision.step is Step.VOID:
        return _with_entry(view, number, gate=Gate(void=decision.reason))
    if decision.step is Step.STOP:
        stopped = view.seen[number]
        evidence = {**stopped.evidence, "stopped": True}
        over = dataclasses.replace(stopped, presence=Presence.FINISHED, evidence=evidence)
        return dataclasses.replace(view, seen={**view.seen, number: over})
    if decision.step is Step.REMOVE:
        return dataclasses.replace(view, seen={})
    if decision.step is Step.END:
        own = view.run.state_type if view.run is not None and view.run.terminal else ""
        view = _with_entry(view, number, end=End(decision.reason, decision.report or own, ""))
    if view.run is None or not decision.report:
        return view
    run = dataclasses.replace(view.run, state_type=decision.report, transition_id=None)
    return dataclasses.replace(view, run=run)


def _with_entry(view: View, number: int, gate: Gate | None = None, end: End | None = None) -> View:
    known = {entry.number: entry for entry in view.entries}
    entry = known.get(number, Entry(number, None))
    known[number] = dataclasses.replace(entry, gate=gate or entry.gate, end=end or entry.end)
    return dataclasses.replace(view, entries=tuple(known[each] for each in sorted(known)))
