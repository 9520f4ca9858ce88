# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the integration tests: a Prefect server for all of them, and real ansible-playbook processes."""

from __future__ import annotations

import ipaddress
import itertools
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker_engine
import docker_image
import jobs
import kubernetes_cluster
import prefect_server
import processes
import pytest
from ansible_play import PlayResult, RunningPlay, RunPlaybook, StartPlaybook, start_playbook
from containers import remove_containers
from lossy_proxy import LossyProxy
from older_servers import OlderServer
from orion_rest import OrionRest
from places import Stage
from prefect_rest import PrefectRest
from prefect_server import ORION, PrefectServer
from process_host import HostPlace, mentioning
from scenarios import wait_until

# Asserts in there say what they saw, as those of tests do.
pytest.register_assert_rewrite("fault_scenarios")

SERVER = pytest.StashKey[PrefectServer]()
SERVER_FOLDER = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is a process of xdist that only runs tests."""
    return hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the server in the process that all workers have in common; it comes up while tests are collected."""
    config = session.config
    if _is_worker(config) or config.option.collectonly:
        return
    folder = tempfile.TemporaryDirectory(prefix="flowops-server-")
    config.stash[SERVER_FOLDER] = folder
    config.stash[SERVER] = PrefectServer(Path(folder.name) / "home").start()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker which server is there."""
    node.workerinput["prefect_server"] = (str(node.config.stash[SERVER].home), node.config.stash[SERVER].port)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the server."""
    if SERVER in session.config.stash:
        session.config.stash[SERVER].stop()
        session.config.stash[SERVER_FOLDER].cleanup()


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> PrefectServer:
    """The server that all tests share: never stop or pause it, see ``new_server``."""
    if not _is_worker(pytestconfig):
        return pytestconfig.stash[SERVER].wait_until_ready()
    home, port = pytestconfig.workerinput["prefect_server"]  # type: ignore[attr-defined]
    return PrefectServer(Path(home), port).wait_until_ready()


@pytest.fixture(scope="session")
def api_url(server: PrefectServer) -> str:
    """The API of the shared server."""
    return server.api_url


@pytest.fixture(scope="session")
def rest(api_url: str) -> PrefectRest:
    """Requests to the shared server."""
    return PrefectRest(api_url)


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., PrefectServer]]:
    """Makes servers that belong to one test, which may do to them what it likes; takes the options of PrefectServer."""
    made: list[PrefectServer] = []

    def make(env: dict[str, str] | None = None, **options: Any) -> PrefectServer:
        made.append(PrefectServer(tmp_path / f"server-{len(made)}", env=env, **options))
        return made[-1].start().wait_until_ready()

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def orion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OlderServer]:
    """A server of Orion 2.0b6 for all tests of a file."""
    with PrefectServer(tmp_path_factory.mktemp("orion") / "server", generation=ORION) as server:
        yield OlderServer(server, OrionRest(server.api_url))


@pytest.fixture
def flow() -> str:
    """The name of a flow that no other test knows."""
    return f"flow-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def engine_python() -> Path:
    """The interpreter that has Prefect; its environment is ``engine_python.parent.parent``."""
    return prefect_server.engine_python()


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Fails a test of which a process lives on: plays, modules, supervisors and engines all name its folder.

    For ``usefixtures``, so that it looks after all other fixtures have ended what is theirs to end.
    """
    yield
    try:
        wait_until(lambda: not mentioning(str(tmp_path)), "the end of every process of the test", 15)
    finally:
        left = mentioning(str(tmp_path))
        for process in left:
            processes.kill_tree(process.pid)
        print(f"processes left behind: {[process.command for process in left]}")


@pytest.fixture(name="start_playbook")
def start_playbook_fixture(tmp_path: Path) -> Iterator[StartPlaybook]:
    """Starts ansible-playbook, see ``ansible_play.start_playbook``; what still runs at the end is killed."""
    numbers = itertools.count(1)
    started: list[RunningPlay] = []

    def start(play: Any, **options: Any) -> RunningPlay:
        started.append(start_playbook(play, tmp_path / f"play-{next(numbers)}", **options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def run_playbook(start_playbook: StartPlaybook) -> RunPlaybook:
    """Runs ansible-playbook to its end and returns a PlayResult.

    Takes the text of a playbook, a list of plays, a list of tasks or one task, and the keyword arguments
    ``extra_vars``, ``env`` (None removes a variable), ``hosts`` ({name: variables}, all of them this machine),
    ``check``, ``diff``, ``arguments`` (more words for the command line), ``timeout`` (seconds).
    """

    def run(play: Any, *, timeout: float = 180, **options: Any) -> PlayResult:
        return start_playbook(play, **options).wait(timeout)

    return run


@pytest.fixture
def stage(server: PrefectServer, start_playbook: StartPlaybook, tmp_path: Path) -> Stage:
    """For scenarios with runs in subprocesses; each place is a host of its own."""
    numbers = itertools.count(1)

    def new_place(at: PrefectServer = server) -> HostPlace:
        return HostPlace(PrefectRest(at.api_url), tmp_path, tmp_path / f"host-{next(numbers)}")

    return Stage(new_place, start_playbook)


@pytest.fixture(scope="session")
def docker_engine_up() -> Iterator[None]:
    """A Docker Engine with the test image; where none can be had, the test is skipped and says why."""
    try:
        docker_engine.up()
        docker_image.ensure()
    except docker_engine.NoEngine as error:
        pytest.skip(f"no Docker Engine: {error}")
    yield
    remove_containers()


@pytest.fixture
def bridge_proxy(api_url: str) -> Iterator[str]:
    """The API as containers with a network of their own reach it: at the address of the engine's bridge."""
    subnet = docker_engine.docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    address = ipaddress.ip_network(subnet.stdout.strip(), strict=False)[1]
    with LossyProxy(api_url, limit=0, host=str(address)) as proxy:
        yield proxy.api_url


@pytest.fixture
def two_networks() -> Iterator[list[str]]:
    """Two networks for one test."""
    names = [f"flowops-test-{uuid.uuid4().hex[:8]}" for _dummy in range(2)]
    for name in names:
        docker_engine.docker("network", "create", name)
    yield names
    for name in names:
        for container in docker_engine.docker("ps", "-aq", "--filter", f"network={name}").stdout.split():
            docker_engine.docker("rm", "--force", container)
        docker_engine.docker("network", "rm", name)


@pytest.fixture(scope="session")
def cluster_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that pods reach, beside a Kubernetes cluster; where none can be had, tests are skipped and say why."""
    try:
        kubernetes_cluster.up()
    except docker_engine.NoEngine as error:
        pytest.skip(f"no Kubernetes: {error}")
    with PrefectServer(tmp_path_factory.mktemp("cluster") / "server", listen="0.0.0.0") as server:
        yield server


@pytest.fixture
def namespace(cluster_server: PrefectServer) -> Iterator[jobs.Namespace]:
    """A namespace of the test's own, removed afterwards with everything in it."""
    with kubernetes_cluster.used_with_others():
        made = jobs.make_namespace(cluster_server)
        yield made
        kubernetes_cluster.kubectl("delete", "namespace", made.name, "--wait=false")


@pytest.fixture
def namespace_alone(cluster_server: PrefectServer) -> Iterator[jobs.Namespace]:
    """The same, while no other test uses the cluster: for those that stop its daemons."""
    if not kubernetes_cluster.is_ours():
        pytest.skip("the daemons of a cluster that was given are not the tests' to stop")
    with kubernetes_cluster.used_alone():
        made = jobs.make_namespace(cluster_server)
        yield made
        kubernetes_cluster.kubectl("delete", "namespace", made.name, "--wait=false")


@pytest.fixture(autouse=True)
def _no_developer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own Prefect settings out of what tests start."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
