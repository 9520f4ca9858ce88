# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a state directory, how it stands, and how it is mended; with real runs in every such standing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import pytest
import yaml
from ansible_play import COLLECTION_ROOT, RunPlaybook
from module_docs import documented
from place_reports import EVERYTHING, INFO, told_of
from prefect_rest import PrefectRest
from process_host import Host, mentioning
from runner import MODULE, runner_task
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

STANDINGS = ("live", "finished", "orphaned", "zombie", "vanished", "drifted")


@dataclass(frozen=True)
class Runs:
    """A run in each standing; one that vanished is a zombie of which nothing is left here."""

    ids: dict[str, str]
    pids: dict[str, int]
    host: Host
    release: Path

    def attempt(self, name: str) -> Path:
        """The folder of a run's attempt."""
        return self.host.state_dir / "runs" / f"{self.ids[name]}-1"

    def is_alive(self, name: str) -> bool:
        """Whether a run's engine lives."""
        return any(process.pid == self.pids[name] for process in processes.living())


@pytest.fixture
def runs(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> Runs:
    """Launched by one play, then brought into their standings."""
    host, release = Host(tmp_path / "state"), tmp_path / "release"
    sleeper = rest.create_deployment("sleeper")
    ids = {"finished": rest.create_flow_run(rest.create_deployment("hello")["id"])["id"]}
    for name in set(STANDINGS) - {"finished"}:
        files = {"pid_file": str(tmp_path / f"{name}.pid"), "until_file": str(release)}
        ids[name] = rest.create_flow_run(sleeper["id"], {"seconds": 900, **files})["id"]
    sleeping = [run for name, run in ids.items() if name != "finished"]
    start = runner_task(api_url, host.state_dir, flow_run_ids=sleeping, concurrency=9, wait=False)
    run_playbook([start, runner_task(api_url, host.state_dir, flow_run_id=ids["finished"])]).check()
    pids = {}
    for name in set(STANDINGS) - {"finished"}:
        file = tmp_path / f"{name}.pid"
        wait_until(lambda file=file: file.exists() and file.read_text(), f"the body of {name}", 120)
        pids[name] = int(file.read_text())
    made = Runs(ids, pids, host, release)

    rest.request("DELETE", f"/flow_runs/{ids['orphaned']}")
    for name in ("zombie", "vanished"):
        for supervisor in mentioning(made.attempt(name).name):
            os.kill(supervisor.pid, signal.SIGKILL)
        os.kill(pids[name], signal.SIGKILL)
        wait_until(lambda name=name: not mentioning(made.attempt(name).name) and not made.is_alive(name), "the end")
    shutil.rmtree(made.attempt("vanished"))
    spec = json.loads((made.attempt("drifted") / "spec.json").read_text())
    (made.attempt("drifted") / "spec.json").write_text(json.dumps({**spec, "spec_hash": "another"}))
    return made


def test_everything_is_told_and_mended(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, runs: Runs) -> None:
    def task(name: str, module: str = MODULE, check: bool = False, **options: Any) -> dict[str, Any]:
        place = {"api_url": api_url, "state_dir": str(runs.host.state_dir)}
        return {"name": name, module: {**place, **options}, "check_mode": check}

    def told(report: dict[str, Any], name: str) -> dict[str, Any]:
        return told_of(report, runs.ids, name)

    def reconcile(name: str, **options: Any) -> dict[str, Any]:
        return task(name, state="reconciled", **options)

    by_another_name = api_url.replace("127.0.0.1", "localhost")
    looks = run_playbook(
        [
            task("Look", INFO),
            task("Look at another server", INFO, api_url=by_another_name),
            task("Look at few runs", INFO, zombie_limit=0),
            reconcile("Foretell", check=True),
            reconcile("Foretell everything", check=True, **EVERYTHING),
        ]
    ).check()
    look = looks.of("Look").result
    standings = {**{name: name for name in STANDINGS}, "vanished": "zombie"}
    assert told(look, "standing") == standings
    assert told(look, "presence") == {
        **dict.fromkeys(STANDINGS, "live"),
        "finished": "finished",
        "zombie": "finished",
        "vanished": "absent",
    }
    assert told(look, "drift") == {**{name: [] for name in STANDINGS}, "drifted": ["spec_hash"]}
    assert (look["summary"]["zombie"], look["complete"], look["changed"]) == (2, True, False)
    described = yaml.safe_load(documented(COLLECTION_ROOT / "plugins" / "modules" / "flow_runner_info.py", "RETURN"))
    assert {key for one in look["attempts"] for key in one} == set(described["attempts"]["contains"])
    assert set(look["summary"]) == set(described["summary"]["sample"])

    elsewhere = looks.of("Look at another server").result
    assert told(elsewhere, "standing") == {**standings, "orphaned": "foreign"}
    few = looks.of("Look at few runs").result
    assert not few["complete"]
    assert set(told(few, "standing")) == set(STANDINGS) - {"vanished"}

    actions = told(looks.of("Foretell").result, "actions")
    # Whether somebody has recorded the end of the run that is over depends on who looked when it ended.
    actions["finished"] = [word for word in actions["finished"] if word != "recorded"]
    reported = {**{name: [] for name in STANDINGS}, "zombie": ["reported"], "vanished": ["reported"]}
    assert actions == reported
    for name in ("zombie", "vanished"):
        assert rest.state_type(runs.ids[name]) == "RUNNING"
        assert "flowops-1-end" not in rest.inputs(runs.ids[name])
    foretold = told(looks.of("Foretell everything").result, "actions")
    assert (foretold["zombie"], foretold["orphaned"]) == (["reported", "removed"], ["stopped", "removed"])

    mended = run_playbook(
        [
            reconcile("Mend"),
            reconcile("Mend again"),
            reconcile("Clear", **EVERYTHING),
            reconcile("Clear again", **EVERYTHING),
            task("Look", INFO),
        ]
    ).check()
    assert [one.changed for one in mended.results] == [True, False, True, False, False]
    result = mended.of("Mend").result
    for name in ("zombie", "vanished"):
        assert told(result, "actions")[name] == ["reported"]
        run = rest.flow_run(runs.ids[name])
        assert run["state"]["type"] == "CRASHED"
        assert told(result, "diagnosis")[name]["reason"] in run["state"]["message"]
    cleared = told(mended.of("Clear").result, "actions")
    assert {name for name, words in cleared.items() if "removed" in words} == {"finished", "orphaned", "zombie"}
    assert told(mended.of("Look").result, "standing") == {"live": "live", "drifted": "drifted"}
    assert not runs.is_alive("orphaned")
    for name in ("live", "drifted"):
        assert runs.is_alive(name)
        assert rest.state_type(runs.ids[name]) == "RUNNING"
    runs.release.touch()


BAD = {
    "runs": ({"state": "reconciled", "deployment": "a/b"}, "deployment names flow runs, and state reconciled is about"),
    "age": ({"state": "reconciled", "older_than": -1}, "older_than is -1, less than 0 seconds"),
    "orphans": ({"state": "reconciled", "orphans": "kill"}, "orphans is the text 'kill', which is none of"),
    "state": (
        {"flow_run_id": "0f6e2d3c5a414c8e9b7d1e2f3a4b5c6d", "older_than": 1},
        "older_than is for state reconciled",
    ),
    "type": ({"module": "flowops.prefect.flow_runner", "state": "reconciled"}, "about one place of one type"),
    "place": ({"module": INFO, "type": "podman"}, "type is the text 'podman', which is none of"),
    "limit": ({"module": INFO, "zombie_limit": -1}, "zombie_limit is -1, less than 0 runs"),
}


def test_bad_input(run_playbook: RunPlaybook, api_url: str, tmp_path: Path) -> None:
    tasks = []
    for name, (given, _words) in BAD.items():
        options = {"api_url": api_url, "state_dir": str(tmp_path / "state"), **given}
        tasks.append({"name": name, options.pop("module", MODULE): options, "ignore_errors": True})
    play = run_playbook(tasks).check()
    for name, (_given, words) in BAD.items():
        one = play.of(name)
        assert one.failed, name
        assert words in one.result["msg"], name
    assert not (tmp_path / "state").exists()
