# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images that an engine pulls from a real registry: progress, policies, credentials, and what a registry refuses."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
import docker_image
import pytest
from ansible_play import RunPlaybook, StartPlaybook
from containers import containers_of, docker, docker_task, hosts, make_run
from prefect_rest import PrefectRest
from registry import Image, Registry
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("docker_engine_up")

CREDENTIALS = ("somebody", "CANARY-registry-1")
#: No container keeps an image that is to be forgotten.
WITH_FLOWS: dict[str, Any] = {"volumes": [f"{docker_image.FLOWS}:{docker_image.FLOWS_INSIDE}:ro"], "auto_remove": True}


@pytest.fixture(scope="module")
def image(docker_engine_up: None, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The base of the tests' image, which has Prefect and no flows."""
    folder = tmp_path_factory.mktemp("image")
    return Image.read(docker_image.archive(folder), folder, random=20_000_000)


@contextlib.contextmanager
def serving(image: Image, **options: Any) -> Iterator[Registry]:
    """A registry; the engine forgets its images afterwards."""
    with Registry(image, **options) as registry:
        try:
            yield registry
        finally:
            forget(registry)


def forget(registry: Registry) -> None:
    """Remove the names that the engine has for a registry's image, and with the last one the image."""
    for name in (registry.image, f"{registry.repository}:latest", f"{registry.repository}@{registry.served.digest}"):
        with contextlib.suppress(docker_engine.NoEngine):
            docker("rmi", "--force", name)


def test_a_pull_is_shown_while_it_goes_on_and_counted(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, image: Image
) -> None:
    """Without a tag the latest is pulled, whatever the engine has."""
    run_id = make_run(rest, "hello")
    with serving(image, rate=2_000_000) as registry:
        task = docker_task(api_url, flow_run_id=run_id, image=registry.repository, **WITH_FLOWS)
        play = start_playbook(task, hosts=hosts())
        play.wait_for_output(r"queued: image \S+ is being pulled: \d of 2 layers, [1-9]\S* of \S+ MB")
        assert rest.state_type(run_id) == "SCHEDULED"
        end = play.wait(300).check()
    run = end.last["run"]
    assert (run["phase"], run["action"], end.last["changed"]) == ("succeeded", "launched", True)
    assert run["durations"]["pull"] > 2
    shown = re.findall(r"is being pulled", end.stdout)
    assert 1 <= len(shown) <= 3 + run["durations"]["pull"] / 2, "progress, not noise"
    assert registry.asked[0] == "latest"


def test_a_pull_goes_on_when_its_play_is_killed(
    start_playbook: StartPlaybook, run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, image: Image
) -> None:
    run_id = make_run(rest, "hello")
    with serving(image, rate=2_000_000) as registry:
        task = docker_task(api_url, flow_run_id=run_id, image=registry.image, **WITH_FLOWS)
        play = start_playbook(task, hosts=hosts())
        play.wait_for_output("is being pulled")
        play.kill()
        wait_until(lambda: docker_image.is_there(registry.image), "the image", 120)
        end = run_playbook(task, hosts=hosts()).check()
    assert (end.last["run"]["phase"], end.last["run"]["attempt"]) == ("succeeded", 1)


def test_policies(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, image: Image) -> None:
    with serving(image) as registry:

        def asked(**options: Any) -> int:
            """How often the registry was asked for the image by a task that succeeds."""
            before = len(registry.asked)
            task = docker_task(api_url, flow_run_id=make_run(rest, "hello"), **WITH_FLOWS, **options)
            assert run_playbook(task, hosts=hosts()).check().last["run"]["phase"] == "succeeded"
            return len(registry.asked) - before

        by_digest = f"{registry.repository}@{image.digest}"
        assert asked(image=by_digest) > 0, "what the engine does not have"
        assert asked(image=by_digest) == 0
        assert asked(image=registry.image) > 0, "a tag that the engine does not have"
        assert asked(image=registry.image, image_pull_policy="IF_NOT_PRESENT") == 0
        assert asked(image=registry.image, image_pull_policy="NEVER") == 0
        assert asked(image=registry.image, image_pull_policy="Always") > 0
        assert asked(image=registry.image, image_pull_policy="IfPossible") > 0
        assert set(registry.asked) <= {"1.0", image.digest}


def test_content_with_what_there_is_when_the_registry_is_gone(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str
) -> None:
    docker("tag", docker_image.name(), "127.0.0.1:1/flows/hello:1.0")
    try:
        run_id = make_run(rest, "hello")
        gone = {"image": "127.0.0.1:1/flows/hello:1.0", "flow_run_id": run_id}
        refused = run_playbook(docker_task(api_url, **gone, image_pull_policy="Always"), hosts=hosts())
        assert (refused.rc != 0, refused.last["category"]) == (True, "registry_unreachable")
        assert rest.state_type(run_id) == "SCHEDULED"
        run_playbook(docker_task(api_url, **gone, image_pull_policy="IfPossible"), hosts=hosts()).check()
    finally:
        docker("rmi", "127.0.0.1:1/flows/hello:1.0")


@pytest.mark.parametrize(
    ("options", "category"),
    [
        ({}, "pull_denied"),
        ({"registry_username": "somebody", "registry_password": "CANARY-wrong"}, "pull_denied"),
        ({"registry_username": CREDENTIALS[0], "registry_password": CREDENTIALS[1], "tag": "2.0"}, "image_missing"),
    ],
)
def test_what_a_registry_refuses_leaves_the_run_scheduled(
    run_playbook: RunPlaybook,
    rest: PrefectRest,
    api_url: str,
    image: Image,
    options: dict[str, Any],
    category: str,
) -> None:
    run_id = make_run(rest, "hello")
    with serving(image, credentials=CREDENTIALS) as registry:
        settings = {name: value for name, value in options.items() if name != "tag"}
        name = f"{registry.repository}:{options.get('tag', '1.0')}"
        play = run_playbook(docker_task(api_url, flow_run_id=run_id, image=name, **settings), hosts=hosts())
    assert (play.rc != 0, play.last["category"]) == (True, category), play.last["msg"]
    assert name in play.last["msg"]
    assert "CANARY" not in play.output
    assert rest.state_type(run_id) == "SCHEDULED"
    assert not containers_of(run_id)


def test_credentials_are_those_of_the_task(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, image: Image, tmp_path: Path
) -> None:
    """Right ones work, and are not remembered for the next task."""
    username, password = CREDENTIALS
    with serving(image, credentials=CREDENTIALS) as registry:
        wanted = {"image": registry.image, "image_pull_policy": "Always", **WITH_FLOWS}
        given = {"registry_username": username, "registry_password": password}
        first = run_playbook(
            docker_task(api_url, flow_run_id=make_run(rest, "hello"), **wanted, **given), hosts=hosts()
        )
        first.check()
        assert password not in first.output
        second = run_playbook(docker_task(api_url, flow_run_id=make_run(rest, "hello"), **wanted), hosts=hosts())
        assert second.last["category"] == "pull_denied"


def test_a_pull_that_takes_too_long(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, image: Image) -> None:
    run_id = make_run(rest, "hello")
    with serving(image, rate=1_000_000) as registry:
        task = docker_task(api_url, flow_run_id=run_id, image=registry.image, pull_timeout=3)
        play = run_playbook(task, hosts=hosts())
        registry.rate = 0
    assert (play.rc != 0, play.last["category"]) == (True, "pull_timeout")
    assert rest.state_type(run_id) == "SCHEDULED"
