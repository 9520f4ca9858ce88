# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say what happens to flow runs, and when."""

from __future__ import annotations


class ModuleDocFragment:
    """The same for every runner type."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - What is wanted of the flow runs.
      - V(launched), which is the effective default, sees to it that each run has been started once. What is already
        live is adopted, what is finished is reported, and neither is a change.
      - V(cancelled) stops what runs, with everything that it started, and reports the run as cancelled only when
        nothing of it is left alive. A run that is at its end stays as it is.
      - V(absent) removes what finished runs left behind on the host, such as their output. A live run is cancelled
        first. The flow run itself stays on the server.
      - V(reconciled) is about everything that the module has launched at the place (the state directory, the Docker
        Engine, the namespace), and no run is named. Runs that the server takes for live although nothing of them can
        run any more are reported as crashed with the reason, runs that were cancelled on the server are stopped, and
        ends that nobody recorded are. What is left of runs that are over is removed when it is O(older_than).
        Nothing is launched. RV(flowops.prefect.flow_runner_subprocess#module:attempts) says what was found and done,
        and in check mode what would be done. M(flowops.prefect.flow_runner_info) only looks.
      - M(flowops.prefect.flow_runner) refuses it, since it is about one place of one type.
    type: str
    choices: [launched, cancelled, absent, reconciled]
  wait:
    description:
      - Whether the task waits for the runs to end. V(true) when left out.
      - With V(false) the task returns as soon as the runs are started or queued. They go on with nobody watching, and
        the same task with O(wait=true) picks them up again.
      - A task that waits holds one of Ansible's forks. For many hosts, start with O(wait=false) first and wait
        afterwards.
    type: bool
  rerun:
    description:
      - Whether a run that is at its end is launched again. Each launch is a new attempt at the same flow run.
      - V(never), which is the effective default, only reports it.
      - V(failed) launches runs again that failed, crashed or ran into their O(run_timeout), but never cancelled ones.
      - V(always) launches every finished run again, each time the task is executed.
      - A number, V(2) or more, is the idempotent form. The run is launched again until it has had that many attempts,
        whether they failed or succeeded. To repeat only what failed, give the ids in RV(failed_runs).
    type: str
  fail_on:
    description:
      - Which ends of a run fail the task. The result is the same in full whether it fails or not.
      - All five when left out. With an empty list only errors of the task itself fail it.
      - V(failed), the flow failed. V(crashed), the run crashed. V(cancelled), somebody cancelled it.
        V(infrastructure), nobody can say how it ended. V(wait_timeout), it was still live when O(wait_timeout) was
        over.
    type: list
    elements: str
    choices: [failed, crashed, cancelled, infrastructure, wait_timeout]
  on_abort:
    description:
      - What happens to the runs when the play is interrupted while the task waits.
      - V(leave), which is the effective default, lets them go on. The same task adopts them later.
      - V(cancel) cancels them. This covers interrupts that Ansible sees, such as Ctrl-C. A controller that is killed,
        which includes a cancelled AWX job, cannot cancel anything any more.
    type: str
    choices: [leave, cancel]
  start_timeout:
    description:
      - Seconds that an engine may take from its start to the start of the flow. When left out, V(120) for a subprocess
        and V(900) for a container.
      - When they are over the engine is stopped, with everything that it started, and its attempt can never start any
        more. The run is reported as crashed.
      - Time in the queue for a free place (O(concurrency)) does not count.
    type: float
  run_timeout:
    description:
      - Seconds that the engine may run once the flow has started. No limit when left out.
      - When they are over the engine is stopped as with O(state=cancelled), and the run is reported as crashed.
      - It is enforced where the run is, so it holds with nobody watching.
    type: float
  wait_timeout:
    description:
      - Seconds that the task waits for the runs. No limit when left out.
      - When they are over the task fails with RV(timed_out=true) and the whole result, and the runs are left alone.
        Execute the task again to wait on.
      - The keyword C(timeout) of a task cuts it off without a result, therefore the wait ends a little before it too.
    type: float
  stop_grace:
    description:
      - Seconds between SIGTERM and SIGKILL when a run is stopped, by O(state) or because a time is over. V(30) when
        left out, V(0) kills at once.
      - Both signals go to everything that the engine started, also to what left its session or its parent.
    type: float
  concurrency:
    description:
      - How many runs may be live at once where the runs are, that is, with the same user and the same state directory
        of a host, whichever task or play they come from. The others wait in a queue, also with nobody watching.
      - When left out, twice the number of processors of the host for a task with several runs, and no limit for a task
        with one. A run without a limit takes no place.
      - For containers it is about the runs of the task, those in the queue are launched while the task waits, and there
        is no limit when it is left out.
    type: int
  stream_output:
    description:
      - Whether the output of the runs is shown in the play while they are running.
      - When left out, up to three runs are shown in full. For more there are a line of progress and, at the end, the
        last lines of those that failed.
      - Nothing is shown live with C(no_log), and with C(async) all output comes at the end.
      - Output is always collected, whatever is shown.
    type: bool
  log_lines:
    description:
      - How many of the last lines of the output the result of a run holds, V(20) when left out. Runs that failed have
        them, runs that were shown live, and the only run of a task.
      - All runs of a task share 100 KB.
    type: int
  artifacts:
    description:
      - Keys of the artifacts that the runs publish and that the result is to hold, in RV(runs[].artifacts), once a
        run is over.
      - Needs Prefect 2.20 or 3.
    type: list
    elements: str
  log_cursor:
    description:
      - Where to read on, by flow run id. Take the positions from RV(runs[].debug.cursor) of an earlier result, or
        give an empty text to read from the beginning.
      - With it the task returns the output after these positions in RV(runs[].log), as soon as there is something new
        or a run has come to its end. O(wait_timeout) says how long it waits for that.
      - Meant for programs. A task that shows live output uses it by itself.
    type: dict
  poll_interval:
    description:
      - With O(log_cursor), for how many seconds new output is collected before the task returns. V(2) when left out.
      - The end of a run returns at once.
    type: float
  older_than:
    description:
      - With O(state=reconciled), for how many seconds a run must be over before what is left of it is removed, with its
        output. V(604800), a week, when left out. V(0) removes all of it at once.
    type: float
  orphans:
    description:
      - With O(state=reconciled), what becomes of attempts whose flow run was deleted on the server.
      - V(keep), which is the effective default, reports them.
      - V(remove) stops what still runs of them and removes what is left. Attempts that were launched for another
        O(api_url) are never touched, since that server may know their runs well.
    type: str
    choices: [keep, remove]
  zombie_limit:
    description:
      - With O(state=reconciled), how many flow runs that are under way on the server are looked at, the oldest first,
        to find those that were launched here and of which nothing is left here. V(2000) when left out.
      - The records of a run are only read where it may be here by what the server knows of its infrastructure. If there
        are more runs RV(flowops.prefect.flow_runner_subprocess#module:complete) is false and a warning tells so.
    type: int
"""
