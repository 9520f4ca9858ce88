# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an engine is reached: by socket, tcp and TLS, and what is said where it cannot be."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
import pytest
import system_packages
from ansible_play import RunPlaybook
from containers import containers_of, docker_task, hosts, make_run
from engine_tls import TlsEngine, make_certificates
from prefect_rest import PrefectRest
from ssh_server import SshServer, short_folder

#: What the task says counts, whatever the SDK's library for HTTP would take from the environment.
ENVIRONMENT = {"DOCKER_CERT_PATH": None, "DOCKER_TLS_VERIFY": None, "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem"}

pytestmark = pytest.mark.usefixtures("docker_engine_up")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def engine(docker_engine_up: None, certificates: Path) -> Iterator[TlsEngine]:
    if docker_engine.host() != docker_engine.DEFAULT_HOST:
        pytest.skip("the engine has no socket here that TLS could be put in front of")
    with TlsEngine(certificates) as made:
        yield made


def trusted(folder: Path) -> dict[str, Any]:
    """The options for a client that has everything."""
    paths = {"ca_path": folder / "ca.pem", "client_cert": folder / "cert.pem", "client_key": folder / "key.pem"}
    return {"validate_certs": True, **{name: str(path) for name, path in paths.items()}}


def test_an_engine_behind_tls(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, engine: TlsEngine, certificates: Path
) -> None:
    run_id = make_run(rest, "hello")
    task = docker_task(api_url, flow_run_id=run_id, docker_host=engine.host, **trusted(certificates))
    play = run_playbook(task, hosts=hosts(), env=ENVIRONMENT).check()
    assert play.last["run"]["phase"] == "succeeded"
    assert play.last.get("warnings", []) == []
    # The same engine by another address: the attempt is known there.
    again = run_playbook(docker_task(api_url, flow_run_id=run_id), hosts=hosts()).check()
    assert (again.last["run"]["phase"], again.last["changed"]) == ("succeeded", False)


@pytest.fixture
def ssh() -> Iterator[SshServer]:
    """A way in for ssh; the folder is a user's home with what that needs."""
    missing = SshServer.missing()
    if missing:
        pytest.skip(f"{missing} is not installed")
    if docker_engine.host() != docker_engine.DEFAULT_HOST:
        pytest.skip("the engine is not where the docker command looks for it in a session")
    with short_folder() as folder, SshServer(Path(folder)) as server:
        (server.folder / ".ssh").mkdir()
        (server.folder / ".ssh" / "known_hosts").symlink_to(server.folder / "known_hosts")
        (server.folder / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {server.folder}/user_key\n")
        # The program does not ask HOME where its user is at home.
        options = f"-F {server.folder}/.ssh/config -o UserKnownHostsFile={server.folder}/known_hosts -o BatchMode=yes"
        program = server.folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {system_packages.find("ssh")} {options} "$@"\n')
        program.chmod(0o755)
        yield server


def test_an_engine_behind_ssh(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, ssh: SshServer) -> None:
    """By the program, and by the package."""
    host = f"ssh://{getpass.getuser()}@127.0.0.1:{ssh.port}"
    environment = {**ENVIRONMENT, "HOME": str(ssh.folder), "PATH": f"{ssh.folder}/bin:{os.environ['PATH']}"}
    runs = [make_run(rest, "hello") for _number in range(2)]
    tasks = [
        docker_task(api_url, flow_run_id=run_id, docker_host=host, use_ssh_client=program)
        for run_id, program in zip(runs, (True, False))
    ]
    for found in run_playbook(tasks, hosts=hosts(), env=environment).check().results:
        assert (found.result["run"]["phase"], found.result["run"]["action"]) == ("succeeded", "launched")
        assert found.result.get("warnings", []) == []


def test_connections_that_come_to_nothing(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, engine: TlsEngine, certificates: Path, tmp_path: Path
) -> None:
    """Each says where and what to do; the run stays as it was."""
    foreign = make_certificates(tmp_path / "foreign")
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"docker_host": "unix:///nowhere/docker.sock"}, "infrastructure_unreachable", "docker_host"),
        ({"docker_host": "tcp://127.0.0.1:1"}, "infrastructure_unreachable", "docker_host"),
        ({"docker_host": "tcp://no-such-engine.invalid:2376"}, "infrastructure_unreachable", "docker_host"),
        ({"docker_host": "ssh://127.0.0.1:1"}, "infrastructure_unreachable", "docker version"),
        ({"docker_host": "ssh://127.0.0.1:1", "use_ssh_client": True}, "infrastructure_unreachable", "docker version"),
        ({"docker_host": engine.host}, "infrastructure_unreachable", "docker_host"),
        ({"docker_host": engine.host, "tls": True}, "infrastructure_unreachable", "client_cert"),
        ({"docker_host": engine.host, **trusted(foreign)}, "infrastructure_unreachable", "ca_path"),
        ({"docker_host": engine.host, **trusted(certificates), "client_key": None}, "bad_settings", "client_key"),
        ({"docker_host": engine.host, **trusted(tmp_path / "nothing")}, "bad_settings", "paths"),
    ]
    run_id = make_run(rest, "hello")
    tasks = [
        {**docker_task(api_url, flow_run_id=run_id, **options), "ignore_errors": True}
        for options, _word, _text in cases
    ]
    play = run_playbook(tasks, hosts=hosts(), env=ENVIRONMENT).check()
    for (options, category, text), found in zip(cases, play.results):
        assert (found.failed, found.result["category"]) == (True, category), (options, found.result["msg"])
        assert text in found.result["msg"], (options, found.result["msg"])
        if category == "infrastructure_unreachable":
            assert options["docker_host"] in found.result["msg"]
    assert "Traceback" not in play.output
    assert rest.state_type(run_id) == "SCHEDULED"
    assert not containers_of(run_id)
