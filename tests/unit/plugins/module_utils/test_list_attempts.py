# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything of ours at a place is found without being asked for by name, and tells whose flow run it is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_attempts import Attempts

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker import DockerInfrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_look import listed
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_spec import labels
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_job import API_ANNOTATION
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_look import (
    gathered,
    observed,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process import ProcessInfrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Presence

URL = "http://prefect.example.com/api"
RUN = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"


@pytest.fixture
def attempts(tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(str(tmp_path))
    yield made
    made.end()


def test_processes_of_all_runs(attempts: Attempts) -> None:
    first, second = (attempts.start("pass", api_url=URL) for _time in range(2))
    for launch in (first, second):
        attempts.wait(launch, Presence.FINISHED)
    found = attempts.another_infrastructure().list_attempts()
    assert {key: seen.api_url for key, seen in found.items()} == {first.key: URL, second.key: URL}


def test_a_place_where_nothing_was_launched(tmp_path: Path) -> None:
    assert ProcessInfrastructure(str(tmp_path / "state"), look_only=True).list_attempts() == {}
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("identifier", "answer"),
    [(f"{socket.gethostname()}:4242", True), ("another-host:4242", False), ("4242", False)],
)
def test_a_process_of_another_host_is_not_here(tmp_path: Path, identifier: str, answer: bool) -> None:
    assert ProcessInfrastructure(str(tmp_path), look_only=True).may_hold(identifier) is answer


@pytest.mark.parametrize(
    ("identifier", "answer"),
    [(f"http+docker://localhost:{'a1' * 32}", True), (f"tcp://other:2376:{'a1' * 32}", True), ("web-1:4242", False)],
)
def test_a_container_may_be_known_by_another_address_of_its_engine(identifier: str, answer: bool) -> None:
    infrastructure = DockerInfrastructure.__new__(DockerInfrastructure)
    assert infrastructure.may_hold(identifier) is answer


def test_a_container_tells_its_api() -> None:
    key = AttemptKey(RUN, 1)
    launch = Launch(key, "token", "", {}, {}, (), {}, {}, "hash", 1, None, 1, None, api_url=URL)
    entry = {"Id": "x", "State": "running", "Labels": labels(launch, "3.9.1")}
    assert listed(entry, key, "tcp://engine", "engine").api_url == URL


def test_jobs_of_all_runs() -> None:
    ours = {"flowops.prefect/flow-run-id": RUN, "flowops.prefect/attempt": "1", "flowops.prefect/token": "t"}
    pod = {"metadata": {"name": "pod", "labels": ours, "annotations": {API_ANNOTATION: URL}}}
    strange = {"metadata": {"name": "strange", "labels": {}}}
    found = gathered([], [pod, strange], None)
    assert list(found) == [AttemptKey(RUN, 1)]
    assert observed(found[AttemptKey(RUN, 1)], "", 0, stopped=False).api_url == URL
    assert gathered([], [pod], {"another"}) == {}
