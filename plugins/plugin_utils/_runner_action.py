# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""Controller side of all runner modules: early validation, environment fallbacks, polls with live output.

Verdicts, merging and masking belong to the module, since ``async_status`` hands out the module's result as it is. What
happens here may be interrupted at any moment: the next execution of the task adopts.
"""

from __future__ import annotations

import collections
import contextlib
import os
import time
import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.flowops.prefect.plugins.module_utils._collector import resume_collector, spare_collector
from ansible_collections.flowops.prefect.plugins.module_utils._fields import (
    accept_results,
    environment_fallbacks,
    fields_of,
    per_run_fields_of,
)
from ansible_collections.flowops.prefect.plugins.module_utils._redact import masked_params
from ansible_collections.flowops.prefect.plugins.plugin_utils._booleans import is_true
from ansible_collections.flowops.prefect.plugins.plugin_utils._direct import executed_here, runs_here
from ansible_collections.flowops.prefect.plugins.plugin_utils._interrupts import interrupts_raise
from ansible_collections.flowops.prefect.plugins.plugin_utils._live_output import OPEN_PHASES, LiveOutput, is_open
from ansible_collections.flowops.prefect.plugins.plugin_utils._models import by_name, validate_on_controller
from ansible_collections.flowops.prefect.plugins.plugin_utils._parent_watch import ends_with_parent

#: One module execution holds at most so long, in seconds: a lost connection is noticed, AWX sees progress.
LONGEST_HOLD = 30.0

#: New output is collected for this long before it is shown: from, to, in seconds. The last value keeps the polls of
#: a chatty run below 6 % of one core, at 0.3 CPU seconds for a module execution (measured).
FIRST_INTERVAL, LAST_INTERVAL, GROWTH = 1.0, 8.0, 1.4

#: How often many runs are told of in one line, in seconds; their end is told at once.
SUMMARY_INTERVAL = 10.0

#: While runs are watched, connection or API may be out of reach for so many seconds.
PATIENCE = 300.0

#: A task's own timeout cuts without a result; the wait ends this much earlier, in seconds.
TIMEOUT_MARGIN = 5.0

#: Categories that say nothing about the runs, and may be over in a moment.
PASSING = ("api_unreachable", "infrastructure_unreachable")

_SOURCES = ("flow_run_id", "flow_run_ids", "deployment", "runs", "parameters", "flow_run_name", "tags")
_FIRST_CALL_ONLY = (*_SOURCES, "idempotency_key", "per_host", "rerun", "log_cursor")


class RunnerAction(ActionBase):
    """Base of the action plugins; a subclass names its ``runner_type``."""

    runner_type: t.ClassVar[str]
    #: Whether the module only talks to others, so that it does not matter which process does that.
    may_run_here: t.ClassVar[bool] = False
    _supports_check_mode = True
    _supports_async = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate, execute, watch."""
        spare_collector()
        super().run(tmp, task_vars)
        self._started = time.monotonic()
        # The module's parameters hold plain environment values: they must not reach the host's syslog.
        self._vars = dict(task_vars or {}, ansible_no_target_syslog=True)
        args = accept_results(dict(self._task.args))
        args.update(environment_fallbacks(args, os.environ, self.runner_type))
        problems = self._problems(args)
        if problems:
            return self._refusal(args, problems)
        args = self._per_host(by_name(fields_of(self.runner_type), args))
        if self._task.async_val or self._task.check_mode or not self._watches(args):
            return self._execute(args, wrap_async=self._task.async_val)
        return self._perform(args)

    def _perform(self, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """Execute the module for as long as there is something to watch."""
        with ends_with_parent() as let_go, interrupts_raise(args.get("on_abort") == "cancel"):
            return self._watch(args, let_go)

    # --- arguments ---------------------------------------------------------------------------------------------------

    def _problems(self, args: dict[str, t.Any]) -> list[str]:
        """What is wrong with the arguments themselves, and only then with where they are used."""
        return validate_on_controller(args, self.runner_type) or self._misplacements(args)

    def _misplacements(self, args: dict[str, t.Any]) -> list[str]:
        """What is wrong with this task in this play."""
        problems = []
        once = self._task.run_once or self._task.delegate_to or args.get("per_host")
        if _creates_runs(args) and not once and len(self._vars.get("ansible_play_hosts_all") or ()) > 1:
            problems.append(
                "deployment: the play has several hosts and each of them would make a flow run. "
                "Say run_once: true or delegate_to for one run, or per_host: true for one on each host."
            )
        if self._in_awx_container(args) and args.get("wait") is not None and not is_true(args.get("wait")):
            problems.append(
                "wait: false cannot work on localhost in AWX: its container ends with the job and so would the run. "
                "Run the task on a host of its own, or wait."
            )
        return problems

    def _in_awx_container(self, args: dict[str, t.Any]) -> bool:
        in_awx = "awx_job_id" in self._vars or "tower_job_id" in self._vars
        return args.get("type", self.runner_type) == "subprocess" and in_awx and self._connection.transport == "local"

    def _refusal(self, args: dict[str, t.Any], problems: list[str]) -> dict[str, t.Any]:
        return {
            "failed": True,
            "changed": False,
            "msg": "\n".join(problems),
            "category": "bad_settings",
            "runs": [],
            "flow_run_ids": [],
            "failed_runs": [],
            "timed_out": False,
            "invocation": {"module_args": masked_params(args, self.runner_type)},
        }

    def _per_host(self, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """One run on each host: the host belongs to the key."""
        if args.get("per_host") and args.get("idempotency_key"):
            args["idempotency_key"] = f"{args['idempotency_key']}@{self._vars.get('inventory_hostname', '')}"
        return args

    def _watches(self, args: dict[str, t.Any]) -> bool:
        """Who polls by itself (log_cursor), does not wait or cancels gets one plain execution."""
        waits = args.get("wait") is None or is_true(args["wait"])
        return waits and (args.get("state") or "launched") == "launched" and args.get("log_cursor") is None

    # --- executing ---------------------------------------------------------------------------------------------------

    def _execute(self, args: dict[str, t.Any], wrap_async: bool | int = False) -> dict[str, t.Any]:
        given = {name: value for name, value in args.items() if value is not None}
        if self.may_run_here and runs_here(self, self._vars):
            here = executed_here(given, self.runner_type, self._task.check_mode, self._task.diff)
            if here is not None:
                return here
        result: dict[str, t.Any] = self._execute_module(
            module_name=f"flowops.prefect.{self._task.action.rsplit('.', 1)[-1]}",
            module_args=given,
            task_vars=self._vars,
            wrap_async=wrap_async,
        )
        return result

    def _watch(self, args: dict[str, t.Any], let_go: t.Callable[[], None]) -> dict[str, t.Any]:
        live = LiveOutput(self._show, self._prefix(), _optional_bool(args.get("stream_output")), self._log_lines(args))
        first = None
        try:
            first = self._execute({**args, "wait": False, **self._leaves_waiting(args)})
            if not is_open(first):
                return first
            last = self._poll(args, first, live)
        except BaseException:
            if args.get("on_abort") == "cancel":
                let_go()
                self._cancel(args, first)
            raise
        return _merged(first, last, live)

    def _leaves_waiting(self, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """The polls wait for what takes long before a launch and show it."""
        return {"log_cursor": {}} if args.get("stream_output") is None or is_true(args["stream_output"]) else {}

    def _cancel(self, args: dict[str, t.Any], first: dict[str, t.Any] | None) -> None:
        """The play was interrupted: nobody listens any more, and a message to nobody would be an error.

        :arg first: the first answer; ``None`` where the interrupt came before it. Then only runs that the task names
            are known: what it was about to make cannot be told.
        """
        self._display.verbosity = 0
        if first is not None:
            self._execute({**self._follow_up(args, first), "state": "cancelled"})
        elif _names_runs(args):
            self._execute({**args, "state": "cancelled"})

    def _follow_up(self, args: dict[str, t.Any], first: dict[str, t.Any]) -> dict[str, t.Any]:
        """The same task for the runs that the first call found or made, by their ids."""
        rest = {name: value for name, value in args.items() if name not in _FIRST_CALL_ONLY}
        entries = args.get("runs")
        found = [{**_attempt_of(args, run), **self._found(run)} for run in first["runs"]]
        if not entries and not any(found):
            return {**rest, "flow_run_ids": first["flow_run_ids"]}
        names = {name for field in per_run_fields_of(self.runner_type) for name in field.names}.difference(
            _FIRST_CALL_ONLY
        )
        settings = [{name: value for name, value in entry.items() if name in names} for entry in entries or found]
        own = [{**one, **more} for one, more in zip(settings, found)]
        return {**rest, "runs": [{**one, "flow_run_id": run_id} for one, run_id in zip(own, first["flow_run_ids"])]}

    def _found(self, _run: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the first call found out about a run, as options for the polls: it is to stay so while they last."""
        return {}

    def _poll(self, args: dict[str, t.Any], first: dict[str, t.Any], live: LiveOutput) -> dict[str, t.Any]:
        """Execute the module again and again until every run is at its end or patience is over."""
        resume_collector()
        deadline = self._deadline(args)
        follow_up = self._follow_up(args, first)
        interval, trouble_since = FIRST_INTERVAL, None
        last = first
        live.update(first["runs"])
        while is_open(last):
            remaining = deadline - time.monotonic() if deadline is not None else LONGEST_HOLD
            hold = max(0.1, min(LONGEST_HOLD, remaining))
            poll = {**follow_up, "wait": True, "wait_timeout": hold}
            if live.streams(last["runs"]):
                poll |= {"log_cursor": dict(live.cursors), "poll_interval": min(interval, hold)}
            elif not live.silent:
                poll |= {"log_cursor": {}, "stream_output": False, "wait_timeout": min(hold, SUMMARY_INTERVAL)}
            answer = self._try(poll)
            if answer.get("category") in PASSING:
                trouble_since = trouble_since or time.monotonic()
                if not self._lost_patience(trouble_since, deadline):
                    time.sleep(min(interval, 5.0))
                    continue
            if not answer.get("runs"):
                return _unknown(last, answer, timed_out=deadline is not None and time.monotonic() > deadline)
            trouble_since, last = None, _continued(last, answer)
            live.update(answer["runs"])
            if remaining <= 0 and answer["timed_out"]:
                return answer
            interval = min(LAST_INTERVAL, interval * GROWTH)
        return last

    def _deadline(self, args: dict[str, t.Any]) -> float | None:
        """wait_timeout or the task's own timeout, whichever is sooner, on the monotonic clock."""
        limits = []
        if args.get("wait_timeout") is not None:
            limits.append(time.monotonic() + float(args["wait_timeout"]))
        if self._task.timeout:
            limits.append(self._started + max(1.0, self._task.timeout - TIMEOUT_MARGIN))
        return min(limits, default=None)

    def _try(self, poll: dict[str, t.Any]) -> dict[str, t.Any]:
        """One poll; a lost connection is an answer too."""
        try:
            return self._execute(poll)
        except AnsibleConnectionFailure:
            self._connection.reset()
            return {"category": "infrastructure_unreachable", "msg": "The host cannot be reached."}

    def _lost_patience(self, since: float, deadline: float | None) -> bool:
        now = time.monotonic()
        return now - since > PATIENCE if deadline is None else now > deadline

    def cleanup(self, force: bool = False) -> None:
        """A host that is out of reach keeps its temporary files: that must not cost the task its result."""
        with contextlib.suppress(AnsibleConnectionFailure):
            super().cleanup(force)

    # --- showing -----------------------------------------------------------------------------------------------------

    def _show(self, text: str) -> None:
        """Live output is for people: under a machine-readable callback it goes to stderr, with no_log nowhere."""
        if not self._task.no_log:
            callback = str(constants.DEFAULT_STDOUT_CALLBACK).removeprefix("ansible.builtin.")
            self._display.display(text, stderr=callback != "default")

    def _prefix(self) -> str:
        several = len(self._vars.get("ansible_play_hosts_all") or ()) > 1
        return f"{self._vars.get('inventory_hostname', '')} | " if several else ""

    def _log_lines(self, args: dict[str, t.Any]) -> int:
        return int(args["log_lines"]) if args.get("log_lines") is not None else 20


def _continued(before: dict[str, t.Any], answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """The answer, with what earlier calls did: each call only knows of itself.

    A later call has the last word where it launched (it took over) or only follows (what was begun here lost its race).
    """
    done = {run["flow_run_id"]: run["action"] for run in before["runs"]}
    for run in answer["runs"]:
        earlier = done.get(run["flow_run_id"], "none")
        if earlier != "none" and run["action"] not in ("launched", "followed"):
            run["action"] = earlier
    answer["changed"] = bool(before.get("changed") or answer.get("changed"))
    return answer


def _merged(first: dict[str, t.Any], last: dict[str, t.Any], live: LiveOutput) -> dict[str, t.Any]:
    """How it ended comes from the last call, which knows what was done by then; the rest from the first one."""
    done = {run["flow_run_id"]: run for run in first["runs"]}
    for run in last.get("runs", ()):
        run["deployment"] = done.get(run["flow_run_id"], run)["deployment"] or run["deployment"]
    live.put_tails(last.get("runs", ()))
    if len(last.get("runs", ())) == 1:
        last["run"] = last["runs"][0]
    for word in ("launched", "adopted", "followed"):
        if "summary" in last:
            last["summary"][word] = sum(1 for run in last["runs"] if run["action"] == word)
    last["invocation"] = first.get("invocation", {})
    if "diff" in first:
        last["diff"] = first["diff"]
    # Of what is launched the first call warns, of what is watched each.
    warnings = [*first.get("warnings", ()), *last.get("warnings", ())]
    if warnings:
        last["warnings"] = [one for number, one in enumerate(warnings) if one not in warnings[:number]]
    return last


def _unknown(last: dict[str, t.Any], answer: dict[str, t.Any], timed_out: bool) -> dict[str, t.Any]:
    """Watching ended before the runs did: what was seen last, what went wrong, and that nobody knows more."""
    lost = [run for run in last["runs"] if run["phase"] in OPEN_PHASES]
    for run in lost:
        run["phase"] = "unknown"
    ids = [run["flow_run_id"] for run in lost]
    counted = collections.Counter(run["phase"] for run in last["runs"])
    return {
        **answer,
        **last,
        "failed": True,
        "failed_runs": list(dict.fromkeys([*last["failed_runs"], *ids])),
        "timed_out": timed_out,
        "summary": {**last["summary"], **{phase: counted[phase] for phase in OPEN_PHASES}},
        "category": answer.get("category", "internal"),
        "msg": f"{answer.get('msg')} The flow runs may go on. Run the task again for: {', '.join(ids)}",
    }


def _attempt_of(args: dict[str, t.Any], run: dict[str, t.Any]) -> dict[str, t.Any]:
    """What ``rerun`` came to for a run: its number, since the word would mean another attempt at each poll."""
    entries = args.get("runs") or []
    asked = args.get("rerun") or any(isinstance(entry, dict) and entry.get("rerun") for entry in entries)
    return {"rerun": str(run["attempt"])} if asked and run["attempt"] > 1 else {}


def _creates_runs(args: dict[str, t.Any]) -> bool:
    """Arguments that nobody has validated yet, where pydantic is missing, may be anything."""
    runs = args.get("runs")
    entries = runs if isinstance(runs, list) else []
    return bool(args.get("deployment")) or any(isinstance(one, dict) and one.get("deployment") for one in entries)


def _names_runs(args: dict[str, t.Any]) -> bool:
    """Whether the task says by id which runs it is about."""
    entries = args.get("runs")
    named = isinstance(entries, list) and all(isinstance(one, dict) and one.get("flow_run_id") for one in entries)
    return bool(args.get("flow_run_id") or args.get("flow_run_ids") or named)


def _optional_bool(value: t.Any) -> bool | None:
    return None if value is None else is_true(value)
