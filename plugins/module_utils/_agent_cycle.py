# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""One execution of an agent: what is due in a work pool or in work queues is taken up, what is live here is watched.

The trouble of one run is not that of the others. An agent that is told to end, or whose controller is gone, takes up
nothing more and ends where nothing is half done: what it has launched needs nobody.
"""

from __future__ import annotations

import dataclasses
import random
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._agent import Agent
from ansible_collections.flowops.prefect.plugins.module_utils._caller import Caller
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    ApiUnreachable,
    FlowopsError,
    InfrastructureUnreachable,
)
from ansible_collections.flowops.prefect.plugins.module_utils._reconcile import Tracked
from ansible_collections.flowops.prefect.plugins.module_utils._task import RunRequest, Task
from ansible_collections.flowops.prefect.plugins.module_utils._together import (
    LONGEST_PAUSE,
    RunnerOf,
    answer,
    prediction,
)

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._runner_module import TaskRunner

#: The pause between two looks at the server, as shares of what it is on average: agents that were started together do
#: not ask together for ever.
JITTER = (0.75, 1.25)


@dataclasses.dataclass(frozen=True)
class PoolWork:
    """What the options of an agent come down to.

    :arg choose: from ids of flow runs to a task for each infrastructure, with the type of its flow runner, by what runs
        on the same infrastructure have in common.
    :arg serves: it goes on looking for what becomes due, until ``wait_timeout`` is over.
    :arg poll_interval: seconds between two looks at the server.
    """

    agent: Agent
    choose: t.Callable[[t.Sequence[str]], dict[str, tuple[str, Task]]]
    serves: bool
    wait: bool
    wait_timeout: float | None
    poll_interval: float


def agent_of(work: PoolWork) -> t.Callable[[RunnerOf, bool, bool], dict[str, t.Any]]:
    """What does the work of an agent, see ``_together.Work``."""
    return lambda runner_of, check_mode, diff_mode: AgentCycle(work, runner_of, check_mode).run(diff_mode)


class AgentCycle:
    """See above.

    :arg runner_of: makes what deals with the runs on one infrastructure.
    """

    def __init__(self, work: PoolWork, runner_of: RunnerOf, check_mode: bool) -> None:
        self._work = work
        self._agent = work.agent
        self._agent.check_mode = check_mode
        self._runner_of = runner_of
        self._check_mode = check_mode
        self._runners: dict[str, TaskRunner] = {}
        self._caller = Caller()

    def run(self, diff_mode: bool) -> dict[str, t.Any]:
        """Do it, and say what came of it."""
        begun = time.monotonic()
        timed_out = False
        with self._caller.heard():
            self._agent.show_up()
            self._take_up(self._agent.first_look())
            if self._work.wait and not self._check_mode:
                timed_out = self._watch(begun)
        runners = [runner for runner in self._runners.values() if runner.planned]
        result = prediction(runners, diff_mode) if self._check_mode else answer(runners, timed_out)
        result["changed"] = result["changed"] or self._agent.changed
        result["task_warnings"] = list(dict.fromkeys((*result["task_warnings"], *self._agent.warnings)))
        return result

    # --- taking up -------------------------------------------------------------------------------------------

    def _take_up(self, flow_run_ids: t.Sequence[str]) -> None:
        """Everything up to the launch. What lives here is found before anything is asked about single runs."""
        groups: list[tuple[TaskRunner, list[RunRequest]]] = []
        here: set[str] = set()
        for group, (kind, task) in self._work.choose(flow_run_ids).items():
            try:
                runner = self._runners.get(group) or self._new_runner(kind, task)
                here.update(_living(runner, task.requests))
            except FlowopsError as error:
                self._agent.leave(kind, error)
                continue
            self._runners[group] = runner
            groups.append((runner, task.requests))
        requests = sorted((one for _runner, some in groups for one in some), key=lambda request: request.position)
        admitted = self._agent.admitted([_id(one) for one in requests], here, len(self._live))
        for runner, some in groups:
            self._begin(runner, [one for one in some if _id(one) in admitted])
        self._drop_troubles()

    def _new_runner(self, kind: str, task: Task) -> TaskRunner:
        runner = self._runner_of(kind, task)
        runner.before_launch, runner.alone = self._refuse_if_nobody_waits, False
        return runner

    def _refuse_if_nobody_waits(self) -> None:
        if self._caller.gone:
            raise InfrastructureUnreachable("The agent is ending.")

    def _begin(self, runner: TaskRunner, requests: t.Sequence[RunRequest]) -> None:
        try:
            more = runner.join(requests)
        except FlowopsError as error:
            self._agent.leave(runner.infrastructure.type, error)
            return
        if not self._check_mode:
            runner.reconciler.settle([one.tracked for one in more])
            return
        for one in more:
            try:
                runner.predict(one)
            except FlowopsError as error:
                one.tracked.error = error

    def _drop_troubles(self) -> None:
        """What others launched is theirs to watch, and what cannot be launched is told to the server."""
        for runner in self._runners.values():
            for one in list(runner.planned):
                tracked = one.tracked
                if tracked.error is not None:
                    self._agent.drop(tracked.flow_run_id, tracked.error)
                if tracked.action == "followed":
                    self._agent.others = True
                if tracked.error is not None or tracked.action == "followed":
                    runner.planned.remove(one)
        self._agent.report()

    # --- watching --------------------------------------------------------------------------------------------

    @property
    def _live(self) -> list[Tracked]:
        return [tracked for runner in self._runners.values() for tracked in runner.runs if not tracked.settled]

    def _watch(self, begun: float) -> bool:
        """Until there is nothing to do and nothing to come, or patience is over, or nobody waits.

        :returns: whether there was something left to wait for.
        """
        next_look = self._after_a_pause()
        while not self._caller.gone and (self._work.serves or self._live):
            remaining = self._remaining(begun)
            if remaining <= 0:
                for runner in self._runners.values():
                    runner.reconciler.refresh(runner.runs)
                return not self._work.serves
            self._agent.show_up()
            self._listen(max(0.0, min(remaining, next_look - time.monotonic())))
            self._drop_troubles()
            if time.monotonic() >= next_look:
                if self._work.serves and not self._caller.gone:
                    self._look_again()
                next_look = self._after_a_pause()
        return False

    def _remaining(self, begun: float) -> float:
        patience = self._work.wait_timeout
        return LONGEST_PAUSE if patience is None else begun + patience - time.monotonic()

    def _after_a_pause(self) -> float:
        share = random.uniform(*JITTER)  # noqa: S311 - chance, no secret
        return time.monotonic() + self._work.poll_interval * share

    def _listen(self, pause: float) -> None:
        """Several infrastructures cannot be listened to at once: each has its share of the pause."""
        listening = [runner for runner in self._runners.values() if not all(one.settled for one in runner.runs)]
        if not listening:
            time.sleep(pause)
        for runner in listening:
            runner.reconciler.wait_once(runner.runs, pause / len(listening), output=False)

    def _look_again(self) -> None:
        """A server that does not answer is asked again later; what lives here is watched meanwhile."""
        found = []
        try:
            found = self._agent.next_look(len(self._live))
            if found:
                self._take_up(found)
        except ApiUnreachable as error:
            self._agent.put_back(found)
            self._agent.leave(self._agent.polls.what, error)


def _living(runner: TaskRunner, requests: t.Sequence[RunRequest]) -> set[str]:
    found = runner.infrastructure.find([_id(request) for request in requests])
    return {key.flow_run_id for key, seen in found.items() if seen.may_run}


def _id(request: RunRequest) -> str:
    """What a server hands out exists: all of it has one."""
    return request.flow_run_id or ""
