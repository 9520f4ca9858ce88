# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios of every infrastructure, as Jobs of a Kubernetes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import fault_scenarios
import kubernetes_cluster
import pytest
from ansible_play import StartPlaybook
from jobs import KubernetesPlace, Namespace
from places import Stage
from prefect_server import PrefectServer

MOMENTS = 4


#: The Python of a host executes modules, that of a controller has its workers do so.
both_ways = pytest.mark.parametrize(
    "stage",
    [pytest.param("host-kubernetes", id="module"), pytest.param("controller", id="worker")],
    indirect=True,
)


@pytest.fixture
def stage(request: pytest.FixtureRequest, namespace: Namespace, start_playbook: StartPlaybook, tmp_path: Path) -> Stage:
    """Each place is a label; what flows write is seen only where the cluster's node is this machine."""
    if not kubernetes_cluster.is_ours():
        pytest.skip("the nodes of this cluster do not share a folder with the tests")

    python = getattr(request, "param", "host-kubernetes")

    def new_place(at: PrefectServer = namespace.server) -> KubernetesPlace:
        return KubernetesPlace(dataclasses.replace(namespace, server=at), tmp_path, python)

    own = python == "controller"
    return Stage(new_place, functools.partial(start_playbook, core=python) if own else start_playbook)


def test_a_play_that_was_killed_at_any_moment_is_continued_by_the_next(stage: Stage) -> None:
    fault_scenarios.killed_plays_are_continued(stage, MOMENTS)


@both_ways
def test_one_of_eight_playbooks_executes_the_run(stage: Stage) -> None:
    fault_scenarios.one_of_eight_plays_executes_the_run(stage)


@both_ways
def test_launch_first_and_wait_later(stage: Stage) -> None:
    fault_scenarios.launched_and_adopted(stage)


@both_ways
def test_nothing_survives_a_cancel_not_even_what_hides(stage: Stage) -> None:
    fault_scenarios.nothing_survives_a_cancel(stage)


def test_a_cancel_that_the_engine_calls_a_crash(stage: Stage) -> None:
    fault_scenarios.a_cancel_that_the_engine_calls_a_crash(stage)


def test_a_cancel_before_the_gate(stage: Stage) -> None:
    fault_scenarios.a_cancel_before_the_gate(stage)


def test_an_engine_that_comes_second_follows(stage: Stage) -> None:
    fault_scenarios.an_engine_that_comes_second_follows(stage)


@both_ways
def test_no_sighting(stage: Stage) -> None:
    fault_scenarios.secrets_are_seen_by_the_flow_alone(stage)


def test_a_server_that_comes_back_hears_how_the_runs_ended(
    stage: Stage, new_server: Callable[..., PrefectServer]
) -> None:
    fault_scenarios.a_server_that_comes_back_hears_how_the_runs_ended(stage, new_server(listen="0.0.0.0"))
