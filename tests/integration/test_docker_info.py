# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a Docker Engine that tests share, how it stands, and how it is mended: only what is of one server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_play import RunPlaybook
from containers import MODULE, container_of, containers_of, docker, docker_task, hosts, is_running, make_run
from place_reports import EVERYTHING, INFO, told_of
from prefect_rest import PrefectRest
from prefect_server import PrefectServer
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("docker_engine_up")


def test_everything_is_told_and_mended(run_playbook: RunPlaybook, new_server: Callable[..., PrefectServer]) -> None:
    """A server of its own: to what other tests have in the engine nothing may be done, and it is told so."""
    rest = PrefectRest(new_server().api_url)
    ids = {"finished": make_run(rest, "hello")}
    ids |= {word: make_run(rest, "sleeper", {"seconds": 900}) for word in ("orphaned", "zombie", "cancelled")}
    start = docker_task(rest.api_url, flow_run_ids=list(ids.values()), wait=False)
    run_playbook(start, hosts=hosts(), timeout=300).check()
    rest.wait_for_state(ids["finished"], "COMPLETED", timeout=120)
    wait_until(lambda: not is_running(ids["finished"]), "the end of the container")
    for word in ("orphaned", "zombie", "cancelled"):
        rest.wait_for_state(ids[word], "RUNNING", timeout=120)
    rest.request("DELETE", f"/flow_runs/{ids['orphaned']}")
    docker("rm", "--force", container_of(ids["zombie"])["Id"])

    def task(name: str, module: str = MODULE, **options: Any) -> dict[str, Any]:
        return {"name": name, module: {"api_url": rest.api_url, **options}}

    look, foretell = task("Look", INFO, type="docker"), task("Foretell", state="reconciled")
    play = run_playbook([look, {**foretell, "check_mode": True}], hosts=hosts()).check()
    report = play.of("Look").result
    standings = {"finished": "finished", "orphaned": "orphaned", "zombie": "zombie", "cancelled": "live"}
    assert told_of(report, ids, "standing") == standings
    assert {one["standing"] for one in report["attempts"] if one["flow_run_id"] not in ids.values()} <= {"foreign"}
    assert told_of(play.of("Foretell").result, ids, "actions")["zombie"] == ["reported"]
    assert rest.state_type(ids["zombie"]) == "RUNNING"

    rest.set_state(ids["cancelled"], "CANCELLING")
    mend = {"state": "reconciled", "stop_grace": 5, **EVERYTHING}
    play = run_playbook([task("Mend", **mend), task("Again", **mend)], hosts=hosts(), timeout=300).check()
    actions = told_of(play.of("Mend").result, ids, "actions")
    assert actions["finished"][-1:] == ["removed"]
    assert {word: actions[word] for word in ("orphaned", "zombie", "cancelled")} == {
        "orphaned": ["stopped", "removed"],
        "zombie": ["reported"],
        "cancelled": ["stopped", "reported", "removed"],
    }
    assert [rest.state_type(ids[word]) for word in ("zombie", "cancelled")] == ["CRASHED", "CANCELLED"]
    assert not any(containers_of(run_id) for run_id in ids.values())
    assert not play.of("Again").changed
    assert not told_of(play.of("Again").result, ids, "standing")
