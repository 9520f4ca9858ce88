# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Why a run did not succeed and what to do about it, in the same words for every infrastructure.

The verdict (did it succeed?) is the server's and the ledger's; nothing here changes it. A diagnosis explains it from
proven facts first (what the supervisor, the engine's exit and the bootstrap say) and from the server's own message
last. Output of the engine is never parsed for a decision: it only chooses between explanations of a failure.
"""

from __future__ import annotations

import dataclasses
import re
import signal as signals
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._observation import Observation, Presence
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import FlowRun

#: So many of the last lines of output are looked at: an engine that cannot load its flow prints two long tracebacks.
LINES = 200

#: What a state's message begins with when this collection reported the state: then it repeats an earlier diagnosis.
OWN_REPORT = "flowops.prefect: "


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Category, reason, remedy, and whether the same launch may well succeed if it is repeated."""

    category: str
    reason: str
    remedy: str
    retryable: bool

    def as_dict(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a diagnosis may look at.

    :arg state_type: of the run, as the server has it.
    :arg output: the last lines of the engine's output.
    :arg started: the ledger says that the engine passed its gate.
    """

    state_type: str
    state_message: str
    observation: Observation | None
    output: t.Sequence[str] = ()
    started: bool = False

    @property
    def evidence(self) -> dict[str, t.Any]:
        return self.observation.evidence if self.observation is not None else {}

    @property
    def bootstrap(self) -> dict[str, t.Any]:
        told = self.evidence.get("bootstrap")
        return told if isinstance(told, dict) else {}

    @property
    def passed_gate(self) -> bool:
        return self.started or self.bootstrap.get("event") == "gate_passed"

    @property
    def text(self) -> str:
        return "\n".join([self.state_message, *self.output])


_OPEN = frozenset({"SCHEDULED", "PENDING", "RUNNING", "PAUSED"})


#: Its infrastructure is not there any more, and nobody of us removed it.
INFRASTRUCTURE_GONE = Diagnosis(
    "infrastructure_gone",
    "what the engine ran in was removed while the run was live",
    "Find out who removed it (an operator, a clean-up job), then run it again (rerun: failed).",
    True,
)

NEVER_STARTED = Diagnosis(
    "never_started",
    "the run was claimed and never started: its launcher ended before that",
    "Run it again (rerun: failed).",
    True,
)


def diagnose(
    run: FlowRun | None, observation: Observation | None, output: t.Sequence[str] = (), started: bool = False
) -> Diagnosis | None:
    """Explain a run that did not succeed; ``None`` where there is nothing to explain."""
    if run is None:
        return Diagnosis("not_found", "the server does not know this flow run", "Check flow_run_id and api_url.", False)
    if run.state_type == "COMPLETED" or (run.state_type in _OPEN and not _broken(observation)):
        return None
    facts = Facts(run.state_type, run.state_message, observation, output, started)
    for explain in _EXPLANATIONS:
        found = explain(facts)
        if found is not None:
            return found
    return None


def _broken(observation: Observation | None) -> bool:
    """True where the infrastructure is over or unclear although the server does not say so."""
    if observation is None:
        return False
    overdue = observation.evidence.get("timed_out") is not None
    return overdue or observation.presence in (Presence.FINISHED, Presence.UNKNOWN)


def _cancelled(facts: Facts) -> Diagnosis | None:
    if facts.state_type not in ("CANCELLED", "CANCELLING"):
        return None
    return Diagnosis("cancelled", facts.state_message or "the flow run was cancelled", "", False)


def waiting_problem(observation: Observation) -> Diagnosis | None:
    """What the infrastructure itself found out, such as an image that cannot be pulled."""
    problem = observation.evidence.get("problem")
    return Diagnosis(**problem) if isinstance(problem, dict) else None


def _problem(facts: Facts) -> Diagnosis | None:
    if facts.observation is None or facts.evidence.get("stopped") or _cancelled(facts) is not None:
        return None
    return waiting_problem(facts.observation)


def _start_timeout(facts: Facts) -> Diagnosis | None:
    if facts.evidence.get("timed_out") != "start":
        return None
    return Diagnosis(
        "start_timeout",
        "the engine did not get to the flow within start_timeout",
        "Look at the output; raise start_timeout when the host is just slow.",
        True,
    )


def _run_timeout(facts: Facts) -> Diagnosis | None:
    if facts.evidence.get("timed_out") != "run":
        return None
    return Diagnosis(
        "run_timeout", "the run was stopped after run_timeout", "Raise run_timeout or shorten the flow.", False
    )


def _out_of_memory(facts: Facts) -> Diagnosis | None:
    if facts.evidence.get("oom") is not True:
        return None
    return Diagnosis(
        "out_of_memory",
        "the kernel killed it for memory",
        f"Raise {facts.evidence['memory_limit']}, or let the flow use less."
        if facts.evidence.get("memory_limit")
        else "Give the host or its control group more memory, or let the flow use less.",
        False,
    )


def _lost(facts: Facts) -> Diagnosis | None:
    lost = facts.evidence.get("lost")
    if not lost:
        return None
    if lost == "host rebooted":
        return Diagnosis(
            "host_rebooted", "the host was rebooted while the run was live", "Run it again (rerun: failed).", True
        )
    return Diagnosis(
        "supervisor_lost",
        f"nobody saw how the engine ended ({lost})",
        "Find out who killed the supervisor (out of memory? logout?), then run it again (rerun: failed).",
        True,
    )


_REFUSALS: dict[str, tuple[str, str, bool]] = {
    "prefect_missing": (
        "the interpreter cannot import Prefect",
        "Install Prefect there, or choose another environment with virtualenv, condaenv or python, or another image.",
        False,
    ),
    "prefect_unfit": (
        "the engine is of another generation of Prefect than the server",
        "Give an environment or an image with the server's Prefect.",
        False,
    ),
    "api_unreachable": (
        "the engine cannot reach the Prefect API",
        "Set engine_api_url to an address that works from where the engine runs.",
        True,
    ),
    "credentials_refused": (
        "the Prefect API refuses the engine's credentials",
        "Check api_key or api_auth_string, and PREFECT_API_KEY or PREFECT_API_AUTH_STRING in env.",
        False,
    ),
    "api_error": (
        "the Prefect API answered the engine with an error",
        "Look at the server's log; then run it again (rerun: failed).",
        True,
    ),
    "not_found": ("the server does not know this flow run any more", "Make a new flow run.", False),
    "records_failed": (
        "the records of the attempt cannot be kept on the host",
        "See what is wrong with the state directory (state_dir), then make a new flow run.",
        False,
    ),
    "claimed_elsewhere": ("another launcher has claimed this run", "Nothing to do: follow that launcher.", False),
    "foreign": ("another launcher owns this attempt", "Nothing to do: follow that launcher.", False),
    "cancelled": ("the run was cancelled before its engine started", "", False),
}

_BOOTSTRAP_EXITS = {87: "prefect_missing", 88: "api_unreachable", 89: "credentials_refused"}


def _refused(facts: Facts) -> Diagnosis | None:
    """What stopped the bootstrap before the flow, by its own word or by its exit code."""
    if facts.passed_gate or facts.observation is None:
        return None
    category = str(facts.bootstrap.get("category", "")) or _BOOTSTRAP_EXITS.get(facts.observation.exit_code or 0, "")
    if category not in _REFUSALS:
        return None
    reason, remedy, retryable = _REFUSALS[category]
    detail = str(facts.bootstrap.get("detail", ""))
    return Diagnosis(category, f"{reason}: {detail}" if detail else reason, remedy, retryable)


_DISK_FULL = re.compile(r"No space left on device|ENOSPC|database or disk is full")


def _disk_full(facts: Facts) -> Diagnosis | None:
    if not (facts.evidence.get("disk_full") or _DISK_FULL.search(facts.text)):
        return None
    return Diagnosis("disk_full", "a file system is full", "Free some space on the host, then run it again.", True)


#: Said by engines that did not get as far as the flow, today and in earlier versions; a traceback follows.
_NOT_LOADED = re.compile(
    r"Unexpected exception encountered when trying to load flow|Flow could not be retrieved from deployment"
)
_RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception)): ([^\n]{1,200})", re.MULTILINE)

_NO_FUNCTION = re.compile(r"(?:Flow f|F)unction with name .* not found")


def _flow_not_loaded(facts: Facts) -> Diagnosis | None:
    """The engine started and could not get at the flow: its code is missing or does not import."""
    marks = list(_NOT_LOADED.finditer(facts.text))
    if not marks:
        return None
    raised = _RAISED.findall(facts.text, marks[-1].end())
    # The first exception of a chain is the cause, those after it say what Prefect was doing.
    kind, message = raised[0] if raised else ("", "")
    nameless = next((text for _kind, text in raised if _NO_FUNCTION.match(text)), "")
    pulling = any(wrapper == "StepExecutionError" for wrapper, _message in raised)
    if not raised or nameless or pulling or kind in ("FileNotFoundError", "NotADirectoryError"):
        message = nameless or message
        return Diagnosis(
            "flow_code_missing",
            f"the flow's code is not there: {message.strip()}" if message else "the flow's code is not there",
            "Check the deployment's path, entrypoint and pull steps: they must work on the host of the run.",
            False,
        )
    plain = kind in ("ModuleNotFoundError", "ImportError")
    return Diagnosis(
        "flow_import_error",
        f"the flow's code does not import: {message.strip() if plain else f'{kind}: {message.strip()}'}",
        "Install what it imports into the environment of the run, or correct the code.",
        False,
    )


def _interpreter_missing(facts: Facts) -> Diagnosis | None:
    if facts.evidence.get("exec_failed") is None:
        return None
    return Diagnosis(
        "interpreter_missing",
        f"the interpreter could not be started: {facts.evidence['exec_failed']}",
        "Check virtualenv, condaenv or python.",
        False,
    )


def _killed(facts: Facts) -> Diagnosis | None:
    if facts.observation is None or not facts.observation.signal or facts.evidence.get("stopped"):
        return None
    number = facts.observation.signal
    unproven = " (out of memory? not proven)" if number == signals.SIGKILL else ""
    return Diagnosis(
        "killed_by_signal",
        f"the engine was ended by {_signal_name(number)}{unproven}",
        "Find out who sent it (the kernel's log, an operator, a logout), then run it again (rerun: failed).",
        True,
    )


_ASKED_TO_END = "aborted by a termination signal"


def _asked_to_end(facts: Facts) -> Diagnosis | None:
    """An engine that gets SIGTERM says Crashed itself, in these words, before its infrastructure is gone."""
    if facts.state_type != "CRASHED" or _ASKED_TO_END not in facts.state_message or facts.evidence.get("stopped"):
        return None
    return Diagnosis(
        "killed_by_signal",
        "somebody asked the engine to end (SIGTERM)",
        "Find out who did (an operator, a drained node, a logout), then run it again (rerun: failed).",
        True,
    )


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _exit_code(facts: Facts) -> Diagnosis | None:
    if facts.observation is None or not facts.observation.exit_code:
        return None
    where = "" if facts.passed_gate else " before the flow started"
    return Diagnosis(
        "exit_code",
        f"the engine exited with code {facts.observation.exit_code}{where}",
        "Look at the last lines of its output.",
        False,
    )


def _no_terminal_state(facts: Facts) -> Diagnosis | None:
    """The engine left without a word: the state is still open, or closed by what we reported then."""
    if facts.observation is None or facts.observation.presence is not Presence.FINISHED:
        return None
    if facts.state_type not in _OPEN and not facts.state_message.startswith(OWN_REPORT):
        return None
    return Diagnosis(
        "no_terminal_state",
        "the engine ended without a final state",
        "Look at the last lines of its output.",
        True,
    )


def _flow_failed(facts: Facts) -> Diagnosis | None:
    """The engine did its work and the flow itself failed: the server's message is the reason."""
    if facts.state_type not in ("FAILED", "CRASHED"):
        return None
    category = "flow_failed" if facts.state_type == "FAILED" else "crashed"
    message = facts.state_message.strip() or "no reason was given"
    return Diagnosis(category, message[:500], "Look at the run's logs; the flow itself has to be mended.", False)


_EXPLANATIONS: tuple[t.Callable[[Facts], Diagnosis | None], ...] = (
    _problem,
    _start_timeout,
    _run_timeout,
    _cancelled,
    _out_of_memory,
    _lost,
    _interpreter_missing,
    _refused,
    _flow_not_loaded,
    _disk_full,
    _killed,
    _exit_code,
    _no_terminal_state,
    _asked_to_end,
    _flow_failed,
)
