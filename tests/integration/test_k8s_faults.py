# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the cluster go away while runs are live."""

from __future__ import annotations

import time

import kubernetes_cluster
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from jobs import Namespace, hosts
from lossy_proxy import LossyProxy
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


def test_a_lost_node_proves_nothing(run_playbook: RunPlaybook, namespace_alone: Namespace) -> None:
    """Nobody saw the engines end: a run is not called dead, not launched again, and not called cancelled.

    Unless its engine was still before its gate, which it never passes any more.
    """
    run_id, early = (namespace_alone.make_run("sleeper", {"seconds": 600}) for _number in range(2))
    silent = LossyProxy(namespace_alone.rest.api_url, limit=0, host=kubernetes_cluster.NODE_ADDRESS)
    launch = namespace_alone.task(
        runs=[{"flow_run_id": run_id}, {"flow_run_id": early, "env": {"PREFECT_API_URL": silent.api_url}}], wait=False
    )
    run_playbook(launch, hosts=hosts()).check()
    namespace_alone.rest.wait_for_state(run_id, "RUNNING", timeout=120)
    silent.wait_for_client()
    with kubernetes_cluster.stopped("kubelet"):
        kubernetes_cluster.kubectl("delete", "node", kubernetes_cluster.NODE)
        for each in (run_id, early):
            wait_until(lambda each=each: namespace_alone.has_given_up(each), "the controllers to give the pod up", 180)

        again = run_playbook(namespace_alone.task(flow_run_id=run_id, rerun="failed", wait_timeout=2), hosts=hosts())
        run = again.last["run"]
        assert (run["phase"], run["attempt"], run["diagnosis"]["category"]) == ("unknown", 1, "node_lost"), again.last
        assert "the engine may live" in run["diagnosis"]["reason"]
        assert run["diagnosis"]["retryable"] is False

        stop = run_playbook(namespace_alone.task(flow_run_id=run_id, state="cancelled", stop_grace=1), hosts=hosts())
        assert stop.rc
        assert stop.last["category"] == "node_lost", stop.last["msg"]
        assert namespace_alone.rest.state_type(run_id) not in ("CRASHED", "CANCELLED")
        assert len(namespace_alone.objects("jobs", run_id)) == 1

        run = run_playbook(namespace_alone.task(flow_run_id=early), hosts=hosts()).last["run"]
        assert (run["phase"], run["diagnosis"]["category"]) == ("failed", "node_lost"), run
        assert namespace_alone.rest.state_type(early) == "CRASHED"
        assert "void" in namespace_alone.rest.inputs(early)["flowops-1-gate"]
    wait_until(_node_is_ready, "the node to be back")


def _node_is_ready() -> bool:
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    words = ["get", "nodes", kubernetes_cluster.NODE, "--ignore-not-found", "--output", path]
    return kubernetes_cluster.kubectl(*words) == "True"
