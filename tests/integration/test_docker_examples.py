# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example of flow_runner_docker is executed as it stands; so is the playbook of the quick start."""

from __future__ import annotations

import contextlib
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
import docker_image
import pytest
import yaml
from ansible_play import COLLECTION_ROOT, RunPlaybook
from containers import LABELS, MODULE, PULL_STEPS, containers_of, docker, hosts, remove_containers
from engine_tls import TlsEngine, make_certificates
from module_docs import documented, split
from prefect_rest import PrefectRest
from prefect_server import PrefectServer

pytestmark = pytest.mark.usefixtures("docker_engine_up")

EXAMPLES = split(documented(COLLECTION_ROOT / "plugins" / "modules" / "flow_runner_docker.py", "EXAMPLES"))
#: Needs a graphics card.
GRAPHICS = "A graphics card, and what has no option of its own"
NETWORKS = ("prefect", "warehouse")
VOLUME = "warehouse-data"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that containers with a network of their own reach."""
    with PrefectServer(tmp_path_factory.mktemp("open") / "server", listen="0.0.0.0") as server:
        yield server


@pytest.fixture
def what_examples_name(open_server: PrefectServer, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Images, networks and an engine of the names that the examples have; yields the variables of the play."""
    if docker_engine.host() != docker_engine.DEFAULT_HOST:
        pytest.skip("the engine has no socket here that TLS could be put in front of")
    rest = PrefectRest(open_server.api_url)
    version = rest.get("/admin/version")
    names = [f"prefecthq/prefect:{version}-python3.{minor}" for minor in range(10, 14)]
    names.append("registry.example.com:5000/flows/hello:1.4")
    rest.create_deployment("hello", "quickstart", pull_steps=PULL_STEPS)
    rest.post("/deployments/", {"name": "nightly", "flow_id": rest.create_flow("train")})
    # What somebody has under these names stays his.
    images = [name for name in names if not docker_image.is_there(name)]
    networks = [name for name in NETWORKS if name not in docker("network", "ls", "--format", "{{.Name}}").split()]
    try:
        for image in images:
            docker("tag", docker_image.name(), image)
        for network in networks:
            docker("network", "create", network)
        with TlsEngine(make_certificates(tmp_path / "certificates")) as engine:
            yield {
                "prefect_api_url": open_server.api_url,
                "batch_id": uuid.uuid4().hex,
                "greeting_token": "canary-5d2c",
                "registry_password": "canary-9e1a",
                "engine": engine.host,
                "engine_certificates": str(tmp_path / "certificates"),
            }
    finally:
        remove_containers()
        for image in images:
            docker("rmi", image)
        for network in networks:
            docker("network", "rm", network)
        with contextlib.suppress(docker_engine.NoEngine):
            docker("volume", "rm", VOLUME)


def play_of(*names: str) -> str:
    # Here what has the name of Prefect's own image holds the flows.
    defaults = {"labels": LABELS, "storage_check": "off"}
    head = {"name": "Examples", "hosts": "all", "gather_facts": False, "module_defaults": {MODULE: defaults}}
    text = yaml.safe_dump([head], sort_keys=False) + "  tasks:\n"
    return text + "\n".join(textwrap.indent(EXAMPLES[name], "    ") for name in names) + "\n"


def test_every_example(run_playbook: RunPlaybook, what_examples_name: dict[str, Any]) -> None:
    """One after the other, since they build on each other's results."""
    names = [name for name in EXAMPLES if name != GRAPHICS]
    play = run_playbook(play_of(*names), hosts=hosts(), extra_vars=what_examples_name, timeout=400).check()
    assert "canary-" not in play.output
    assert "+pip install pandas s3fs" in play.stdout
    assert [one.task for one in play.results if one.status != "skipped"] == [
        name for name in names if not name.startswith("Launch again")
    ]
    rest = PrefectRest(what_examples_name["prefect_api_url"])
    batch = next(one for one in play.results if one.task.startswith("Several runs")).result
    assert not any(containers_of(run_id) for run_id in batch["flow_run_ids"])
    background = next(one for one in play.results if one.task.startswith("Start a run")).result
    assert rest.state_type(background["run"]["flow_run_id"]) == "CANCELLED"

    run_id = rest.create_flow_run(rest.get("/deployments/name/hello/quickstart")["id"])["id"]
    rest.set_state(run_id, "FAILED", force=True)
    variables = {**what_examples_name, "batch": {"flow_run_ids": [run_id], "failed_runs": [run_id]}}
    again = run_playbook(
        play_of("Launch again what failed, until there were two attempts"), hosts=hosts(), extra_vars=variables
    )
    assert (again.check().last["run"]["attempt"], again.last["run"]["phase"]) == (2, "succeeded")


def test_the_example_that_needs_a_graphics_card(run_playbook: RunPlaybook, what_examples_name: dict[str, Any]) -> None:
    """Without one it is looked at."""
    play = run_playbook(play_of(GRAPHICS), hosts=hosts(), extra_vars=what_examples_name, check=True).check()
    (preview,) = play.last["would_launch"]
    host = preview["body"]["HostConfig"]
    assert host["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
    assert (host["CpuShares"], host["IpcMode"]) == (512, "host")


def test_the_playbook_of_the_quick_start(run_playbook: RunPlaybook, open_server: PrefectServer) -> None:
    """Twice: the second time nothing changes."""
    rest = PrefectRest(open_server.api_url)
    rest.create_deployment("hello", "quickstart-docker", pull_steps=PULL_STEPS)
    variables = {
        "prefect_api_url": open_server.api_url,
        "prefect_deployment": "hello/quickstart-docker",
        "prefect_image": docker_image.name(),
        "prefect_labels": LABELS,
    }
    text = "- name: Quick start\n  ansible.builtin.import_playbook: flowops.prefect.quickstart_docker\n"
    plays = [run_playbook(text, hosts=hosts(), extra_vars=variables).check() for _time in range(2)]
    assert [[one.result["changed"] for one in play.results] for play in plays] == [[True, True, False], [False] * 3]
    assert "succeeded" in plays[1].last["msg"][-1]
