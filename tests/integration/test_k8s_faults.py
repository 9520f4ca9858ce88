# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the cluster go away while runs are live, and several plays want the same run."""

from __future__ import annotations

import time

import kubernetes_cluster
import pytest
from ansible_play import StartPlaybook
from jobs import Namespace, hosts
from scenarios import wait_until


@pytest.mark.parametrize("daemon", ["kube-apiserver", "kubelet"])
def test_a_daemon_is_gone_for_a_while(start_playbook: StartPlaybook, namespace_alone: Namespace, daemon: str) -> None:
    run_id = namespace_alone.make_run("sleeper", {"seconds": 10})
    play = start_playbook(namespace_alone.task(flow_run_id=run_id), hosts=hosts())
    namespace_alone.rest.wait_for_state(run_id, "RUNNING", timeout=120)
    with kubernetes_cluster.stopped(daemon):
        back = time.monotonic() + 20
        wait_until(lambda: time.monotonic() >= back, "20 seconds")
        assert play.process.poll() is None
    run = play.wait().check().last["run"]
    assert (run["phase"], run["diagnosis"]) == ("succeeded", None)


def test_several_plays_want_one_run(start_playbook: StartPlaybook, namespace: Namespace) -> None:
    run_id = namespace.make_run("sleeper", {"seconds": 3})
    plays = [start_playbook(namespace.task(flow_run_id=run_id), hosts=hosts()) for _number in range(4)]
    results = [play.wait().check().last["run"] for play in plays]
    assert {run["phase"] for run in results} == {"succeeded"}
    assert len(namespace.objects("jobs", run_id)) == len(namespace.objects("pods", run_id)) == 1
    history = [state["type"] for state in namespace.rest.state_history(run_id)]
    assert history.count("RUNNING") == 1
