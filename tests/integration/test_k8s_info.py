# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a namespace, how it stands, and how it is mended."""

from __future__ import annotations

from typing import Any

import kubernetes_cluster
from ansible_play import RunPlaybook
from jobs import MODULE, Namespace, hosts
from place_reports import EVERYTHING, INFO, told_of
from scenarios import wait_until


def is_over(namespace: Namespace, flow_run_id: str) -> bool:
    """Whether the Job of a run says so, which comes after the end of its pod."""
    (job,) = namespace.objects("jobs", flow_run_id)
    conditions = job["status"].get("conditions", [])
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def test_everything_is_told_and_mended(run_playbook: RunPlaybook, namespace: Namespace) -> None:
    rest = namespace.rest
    ids = {"finished": namespace.make_run("hello"), "zombie": namespace.make_run("exit_code")}
    ids |= {word: namespace.make_run("sleeper", {"seconds": 900}) for word in ("orphaned", "live")}
    start = namespace.task(flow_run_ids=list(ids.values()), wait=False)
    run_playbook(start, hosts=hosts(), timeout=300).check()
    for word in ("finished", "zombie"):
        wait_until(lambda word=word: is_over(namespace, ids[word]), f"the end of the Job: {word}", 180, 1)
    for word in ("orphaned", "live"):
        rest.wait_for_state(ids[word], "RUNNING", timeout=180)
    rest.request("DELETE", f"/flow_runs/{ids['orphaned']}")

    def task(name: str, module: str = MODULE, **options: Any) -> dict[str, Any]:
        place = {"kubeconfig": str(kubernetes_cluster.kubeconfig()), "namespace": namespace.name}
        return {"name": name, module: {"api_url": rest.api_url, **place, **options}}

    mend = {"state": "reconciled", "stop_grace": 5, **EVERYTHING}
    play = run_playbook(
        [
            task("Look", INFO, type="kubernetes"),
            task("Mend what is lost", state="reconciled"),
            task("Mend", **mend),
            task("Again", **mend),
        ],
        hosts=hosts(),
        timeout=300,
    ).check()
    report = play.of("Look").result
    assert told_of(report, ids, "standing") == {word: word for word in ids}
    assert report["complete"]
    assert told_of(play.of("Mend what is lost").result, ids, "actions")["zombie"] == ["reported"]
    assert rest.state_type(ids["zombie"]) == "CRASHED"
    actions = told_of(play.of("Mend").result, ids, "actions")
    assert {word for word, words in actions.items() if "removed" in words} == {"finished", "zombie", "orphaned"}
    assert actions["orphaned"] == ["stopped", "removed"]
    assert not play.of("Again").changed
    assert told_of(play.of("Again").result, ids, "standing") == {"live": "live"}
    assert not namespace.objects("pods", ids["orphaned"])
    assert rest.state_type(ids["live"]) == "RUNNING"
