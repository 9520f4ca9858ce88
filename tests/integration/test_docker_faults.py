# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker Engine goes away while runs are live: one body, and the truth about its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import docker_engine
import docker_image
import pytest
from ansible_play import StartPlaybook
from containers import counted_runs, docker_task, hosts, volume
from prefect_rest import PrefectRest
from scenarios import wait_until

pytestmark = pytest.mark.usefixtures("docker_engine_up")


class Daemon:
    """An engine that belongs to one test."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        # The bridge of the other engine is shared: "none" would remove it.
        self._words = ("--iptables=false", "--ip-masq=false", *words)

    def start(self) -> None:
        """Start it, or start it again with the same data."""
        docker_engine.start(self.folder / "root", self.host, self.folder / "pid", self.folder / "log", *self._words)

    def stop(self) -> None:
        """End it in good order; what it ran ends with it, unless it was told otherwise."""
        docker_engine.stop(self.folder / "pid")

    def clean_up(self) -> None:
        """Remove what it leaves outside of its folder."""
        docker_engine.remove_runtime(self.folder / "root")


@pytest.fixture(params=["containers end with it", "containers live on"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With the image's base, which has no flows: they come as a volume."""
    words = ["--live-restore"] if request.param == "containers live on" else []
    made = Daemon(tmp_path_factory.mktemp("daemon"), *words)
    try:
        made.start()
        docker_image.load_base(made.host)
        yield made
    finally:
        for container in docker_engine.docker("ps", "-aq", host=made.host).stdout.split():
            docker_engine.docker("rm", "--force", container, host=made.host)
        made.stop()
        made.clean_up()


def test_an_engine_restarted_in_mid_run(
    start_playbook: StartPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, daemon: Daemon
) -> None:
    survives = "--live-restore" in daemon._words
    (run,) = counted_runs(rest, tmp_path, 1, sleep=25)
    task = docker_task(
        api_url,
        flow_run_id=run.id,
        image=docker_image.base(),
        docker_host=daemon.host,
        volumes=[*volume(tmp_path), f"{docker_image.FLOWS}:{docker_image.FLOWS_INSIDE}:ro"],
    )
    play = start_playbook(task, hosts=hosts())
    wait_until(lambda: run.executions, "the flow's body", 120)
    daemon.stop()
    time.sleep(3)  # the module has to meet an engine that is not there
    daemon.start()
    end = play.wait(300)
    assert run.executions == 1
    if survives:
        assert (end.check().last["run"]["phase"], rest.state_type(run.id)) == ("succeeded", "COMPLETED")
    else:
        assert end.rc != 0
        assert (end.last["run"]["phase"], rest.state_type(run.id)) == ("failed", "CRASHED")
        assert end.last["run"]["diagnosis"]["category"] in ("killed_by_signal", "crashed", "exit_code")
