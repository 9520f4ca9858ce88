# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""What a person sees while runs are watched: their output, or one line of progress."""

from __future__ import annotations

import collections
import typing as t

#: With nothing said about stream_output, so many runs show their full output.
STREAMED_RUNS = 3

OPEN_PHASES = frozenset({"pending", "queued", "running", "unknown"})


class LiveOutput:
    """Collects news and hands them to ``show`` in one piece, since each call of it is one event in AWX.

    :arg show: prints a text.
    :arg prefix: put before every line, such as the host's name.
    :arg wanted: the option ``stream_output``; ``None`` lets the number of runs decide.
    :arg keep: how many of the last lines of a run are kept for the result.
    """

    def __init__(self, show: t.Callable[[str], None], prefix: str, wanted: bool | None, keep: int) -> None:
        self._show = show
        self._prefix = prefix
        self._wanted = wanted
        self._kept: dict[str, collections.deque[str]] = {}
        self._keep = keep
        self._shown: collections.Counter[str] = collections.Counter()
        self._phases: dict[str, str] = {}
        self._progress = ""
        self.cursors: dict[str, str] = {}

    def streams(self, runs: t.Sequence[dict[str, t.Any]]) -> bool:
        """Whether full output is shown for these runs."""
        return self._wanted if self._wanted is not None else len(runs) <= STREAMED_RUNS

    @property
    def silent(self) -> bool:
        """Whether nothing is shown at all, so that nobody is helped by a look before the end."""
        return self._wanted is False

    def update(self, runs: t.Sequence[dict[str, t.Any]]) -> None:
        """Show what is new in the ``runs`` of a module's result."""
        news = self._new_lines(runs) if self.streams(runs) else self._new_progress(runs)
        if news:
            self._show("\n".join(self._prefix + line for line in news))

    def _new_lines(self, runs: t.Sequence[dict[str, t.Any]]) -> list[str]:
        news: list[str] = []
        for run in runs:
            run_id, name = run["flow_run_id"], run.get("name") or run["flow_run_id"]
            lines = run["log"]["lines"]
            turn = self._turn(run)
            begins = [turn] if turn and run["phase"] in OPEN_PHASES else []
            ends = [turn] if turn and not begins else []
            news.extend(f"[{name}] {line}" for line in [*begins, *lines, *ends])
            self._kept.setdefault(run_id, collections.deque(maxlen=self._keep)).extend(lines)
            self._shown[run_id] += len(lines)
            if run["debug"]["cursor"]:
                self.cursors[run_id] = run["debug"]["cursor"]
        return news

    def _turn(self, run: dict[str, t.Any]) -> str:
        """The run's new phase, with the link where it is first heard of and the reason where it went wrong."""
        before, now = self._phases.get(run["flow_run_id"]), _phase(run)
        self._phases[run["flow_run_id"]] = now
        if before == now:
            return ""
        reason = f": {run['diagnosis']['reason']}" if run["diagnosis"] else ""
        return now + (f"  {run['url']}" if before is None else "") + reason

    def _new_progress(self, runs: t.Sequence[dict[str, t.Any]]) -> list[str]:
        if self._wanted is False:
            return []
        counted = collections.Counter(run["phase"] for run in runs)
        text = f"{len(runs)} flow runs: " + ", ".join(f"{number} {phase}" for phase, number in sorted(counted.items()))
        pulls = {run["debug"]["reason"]: None for run in runs if _is_pulling(run)}
        text += f" ({'; '.join(pulls)})" if pulls else ""
        if text == self._progress:
            return []
        self._progress = text
        return [text]

    def put_tails(self, runs: t.Sequence[dict[str, t.Any]]) -> None:
        """The last poll of a streamed run brought only its last lines: give the result the kept tail."""
        for run in runs:
            kept = self._kept.get(run["flow_run_id"])
            if kept is not None:
                run["log"]["lines"] = list(kept)
                run["log"]["truncated"] |= self._shown[run["flow_run_id"]] > len(kept)


def _phase(run: dict[str, t.Any]) -> str:
    """With how far it is, for what takes long before a run can start."""
    return f"{run['phase']}: {run['debug']['reason']}" if _is_pulling(run) else str(run["phase"])


def _is_pulling(run: dict[str, t.Any]) -> bool:
    return run["phase"] == "queued" and str(run["debug"]["reason"]).startswith("image ")


def is_open(result: dict[str, t.Any]) -> bool:
    """Whether a module's result has a run that is not at its end."""
    return any(run["phase"] in OPEN_PHASES and not _is_broken(result, run) for run in result.get("runs", ()))


def _is_broken(result: dict[str, t.Any], run: dict[str, t.Any]) -> bool:
    """A run that the module gave up on: waiting on brings nothing."""
    return bool(result.get("failed")) and not result.get("timed_out") and run["flow_run_id"] in result["failed_runs"]
