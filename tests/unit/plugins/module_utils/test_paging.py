# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists that come page by page, of servers that may have more than one answer can hold."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_orion import PrefectApiOrion
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v3 import PrefectApiV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import PAGE, each_found, read_pages
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import TOO_LARGE, Answer

from .in_memory import make_run


class Server:
    """A transport with so many objects, of which one answer holds no more than a few."""

    url = "http://h/api"

    def __init__(self, objects: t.Sequence[t.Any], holds: int = PAGE) -> None:
        self.objects = objects
        self.holds = holds
        self.asked: list[tuple[int, int]] = []
        self.body: dict[str, t.Any] = {}

    def request(self, _method: str, _path: str, body: dict[str, t.Any], **_more: t.Any) -> Answer:
        self.body = body
        self.asked.append((body["offset"], body["limit"]))
        if body["limit"] > self.holds:
            raise ApiError("too large", "", TOO_LARGE)
        return Answer(200, self.objects[body["offset"] : body["offset"] + body["limit"]])


def read(server: Server, **more: t.Any) -> list[t.Any]:
    return read_pages(server, "/things/filter", {}, **more)


def test_all_pages_are_read_once() -> None:
    server = Server(range(PAGE + 5))
    assert read(server) == list(range(PAGE + 5))
    assert server.asked == [(0, PAGE), (PAGE, PAGE)]


def test_limit_and_offset() -> None:
    server = Server(range(1000))
    assert read(server, limit=PAGE + 1, offset=3) == list(range(3, PAGE + 4))
    assert server.asked == [(3, PAGE), (PAGE + 3, 1)]


def test_a_page_that_is_too_large_is_read_in_parts() -> None:
    server = Server(range(120), holds=60)
    assert read(server) == list(range(120))
    assert server.asked == [(0, 200), (0, 100), (0, 50), (50, 50), (100, 50)]


def test_one_object_that_is_too_large_is_an_error() -> None:
    with pytest.raises(ApiError):
        read(Server(range(3), holds=0))


def test_who_stops_early_asks_for_no_more() -> None:
    server = Server(range(1000))
    found = each_found(server, "/things/filter", {})
    assert [next(found) for _time in range(3)] == [0, 1, 2]
    assert server.asked == [(0, PAGE)]


def test_runs_under_way_are_asked_for_by_their_states() -> None:
    run = make_run(state="RUNNING")
    state = {"type": "RUNNING", "name": "Running"}
    server = Server([{"id": run.id, "name": "a", "state": state, "infrastructure_pid": "web-1:7"}])
    (found,) = PrefectApiV3(server, "3.9.1").open_runs()
    assert (found.id, found.infrastructure_pid) == (run.id, "web-1:7")
    assert server.body["flow_runs"]["state"]["type"]["any_"] == ["PENDING", "RUNNING", "CANCELLING"]


def test_a_server_that_does_not_know_where_runs_are_is_not_asked() -> None:
    server = Server([])
    assert list(PrefectApiOrion(server, "2.0b6").open_runs()) == []
    assert server.asked == []
