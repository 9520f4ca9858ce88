# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""Controller side of the module that may be an agent: execution after execution, with a line for what is new."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._collector import resume_collector
from ansible_collections.flowops.prefect.plugins.module_utils._fields import AGENT_SOURCES
from ansible_collections.flowops.prefect.plugins.plugin_utils._booleans import is_true
from ansible_collections.flowops.prefect.plugins.plugin_utils._drain import drains
from ansible_collections.flowops.prefect.plugins.plugin_utils._runner_action import (
    LONGEST_HOLD,
    PASSING,
    RunnerAction,
)

#: How soon a server or a host that did not answer is asked again, in seconds.
RETRY = 5.0


class AgentAction(RunnerAction):
    """Base of the action plugin; with a pool or queues its module is an agent, with ``serve`` one that goes on."""

    def _perform(self, args: dict[str, t.Any]) -> dict[str, t.Any]:
        if all(args.get(name) is None for name in AGENT_SOURCES):
            return super()._perform(args)
        with drains():
            return self._serve(args) if _serves(args) else self._execute(args)

    def _serve(self, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """Until its time is over, or for ever. What does not answer is asked again; what is wrong ends it."""
        resume_collector()
        deadline = self._deadline(args)
        news = _News()
        changed = False
        while True:
            hold = LONGEST_HOLD if deadline is None else max(0.1, min(LONGEST_HOLD, deadline - time.monotonic()))
            answer = self._try({**args, "wait_timeout": hold})
            over = deadline is not None and time.monotonic() >= deadline
            changed = changed or bool(answer.get("changed"))
            passing = answer.get("category") in PASSING
            if over or (answer.get("failed") and not passing):
                return {**answer, "changed": changed}
            self._tell(news.lines(answer))
            if passing:
                time.sleep(RETRY)

    def _tell(self, lines: t.Sequence[str]) -> None:
        if lines:
            prefix = self._prefix()
            self._show("\n".join(prefix + line for line in lines))


class _News:
    """What was not told before."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}
        self._warnings: set[str] = set()

    def lines(self, answer: dict[str, t.Any]) -> list[str]:
        """For people; of an answer without runs what kept the module from its work."""
        told = self._phases
        runs = answer.get("runs", ())
        self._phases = {run["flow_run_id"]: run["phase"] for run in runs}
        lines = [_line(run) for run in runs if told.get(run["flow_run_id"]) != run["phase"]]
        warnings = [answer["msg"]] if answer.get("failed") else [_text(one) for one in answer.get("warnings", ())]
        lines += [warning for warning in warnings if warning not in self._warnings]
        self._warnings = set(warnings)
        return lines


def _line(run: dict[str, t.Any]) -> str:
    reason = f": {run['diagnosis']['reason']}" if run["diagnosis"] else ""
    return f"[{run['name']}] {run['phase']}{reason}  {run['url']}"


def _text(warning: t.Any) -> str:
    """Since ansible-core 2.19 a warning is an object."""
    event = getattr(warning, "event", None)
    return str(warning if event is None else event.msg)


def _serves(args: dict[str, t.Any]) -> bool:
    return args.get("serve") is not None and is_true(args["serve"])
