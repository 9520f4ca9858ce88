# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that goes on in a process of its own, and the line that a pull shows."""

from __future__ import annotations

import os
import sys
import uuid

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import _background as background
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_progress import PullProgress

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets are Linux's")


def test_it_goes_on_and_tells_how_far_it_is(tmp_path):
    name, gate, pids = uuid.uuid4().hex, tmp_path / "gate", tmp_path / "pids"
    os.mkfifo(gate)

    def work(tell):
        with pids.open("a") as file:
            file.write(f"{os.getpid()}\n")
        tell("half of it")
        gate.open("rb").close()  # until somebody opens it for writing
        return {"message": "it failed"}

    looks = [background.follow(name, work, 0.3) for _look in range(2)]
    assert [(look.done, look.text) for look in looks] == [(False, "half of it")] * 2
    gate.open("wb").close()
    over = background.follow(name, work, 10)
    assert (over.done, over.error) == (True, {"message": "it failed"})
    assert over.seconds >= 0.6
    (pid,) = pids.read_text().split()
    assert int(pid) != os.getpid()


def test_an_outcome_is_told_once_and_then_it_begins_anew(tmp_path):
    name, log = uuid.uuid4().hex, tmp_path / "log"

    def work(_tell):
        with log.open("a") as file:
            file.write("done\n")

    assert [background.follow(name, work, 10).done for _time in range(3)] == [True] * 3
    assert log.read_text() == "done\n" * 3


def test_what_fails_in_it_is_over_too():
    def work(_tell):
        raise RuntimeError("on purpose")

    assert background.follow(uuid.uuid4().hex, work, 10).done


def test_it_keeps_nothing_open_that_somebody_waits_for(tmp_path):
    reading, writing = os.pipe()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    name = uuid.uuid4().hex
    background.follow(name, lambda _tell: gate.open("rb").close(), 0.1)
    os.close(writing)
    assert os.read(reading, 1) == b"", "the end of the pipe: nobody else has it"
    os.close(reading)
    gate.open("wb").close()
    assert background.follow(name, lambda _tell: None, 10).done


def test_somebody_else_s_answer_is_not_believed(monkeypatch):
    monkeypatch.setattr(background, "_peer", lambda _connection: os.geteuid() + 1)
    monkeypatch.setattr(background, "_LINGER", 0.0)
    assert background.follow(uuid.uuid4().hex, lambda _tell: None, 0.1) is None


def layer(name, status, current=0, total=0):
    return {"id": name, "status": status, "progressDetail": {"current": current, "total": total} if total else {}}


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([], ""),
        ([{"status": "Pulling from flows/hello", "id": "1.0"}, {"status": "Digest: sha256:1"}], ""),
        ([layer("a", "Pulling fs layer"), layer("b", "Already exists")], ": 1 of 2 layers"),
        (
            [layer("a", "Downloading", 5_000_000, 20_000_000), layer("b", "Waiting")],
            ": 0 of 2 layers, 5.0 of 20.0 MB",
        ),
        (
            [
                layer("a", "Downloading", 5_000_000, 20_000_000),
                layer("a", "Extracting", 1, 20),
                layer("b", "Downloading", 1, 2_000_000),
                layer("a", "Pull complete"),
            ],
            ": 1 of 2 layers, 20.0 of 22.0 MB",
        ),
    ],
)
def test_progress_of_a_pull(events, text):
    progress = PullProgress("hello:1")
    for event in events:
        progress.add(event)
    assert progress.text == f"image hello:1 is being pulled{text}"
