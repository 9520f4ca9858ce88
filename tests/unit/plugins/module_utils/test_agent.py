# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which runs an agent takes up."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._agent import SPREAD, Agent
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._open_polls import open_polls
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Answer
from ansible_collections.flowops.prefect.tests.unit.plugins.module_utils.test_prefect_api_objects import api

QUEUE, URGENT = (str(uuid.uuid4()) for _number in range(2))
A, B, C, D, E = sorted(str(uuid.uuid4()) for _number in range(5))


def due(*run_ids, queue=QUEUE):
    return Answer(200, [{"flow_run": {"id": run_id}, "work_queue_id": queue} for run_id in run_ids])


def found(*run_ids):
    return Answer(200, [{"id": run_id} for run_id in run_ids])


def agent(limit, *answers):
    """One that has looked at the pool as far as there are answers to its first look: due, under way, resting."""
    server = api(*answers)
    made = Agent(server, open_polls(server, "local", []), limit, [])
    if answers:
        made.first_look()
    return made


def test_the_first_look_sees_everything_once():
    server = api(due(A, B), found(C, D), found(E, B))
    one = Agent(server, open_polls(server, "local", []), 1, [])
    assert one.first_look() == [C, D, E, A, B]


@pytest.mark.parametrize(
    ("limit", "here", "live", "admitted"),
    [
        (None, [], 0, [A, B, C]),
        (2, [], 0, [A, B]),
        (2, [], 1, [A]),
        (2, [C], 0, [A, C]),  # what waits here for its place counts before what would come
        (2, [B, C], 0, [B, C]),
        (1, [B, C], 3, [B, C]),  # what lives here is watched, however much it is
        (2, [], 5, []),
    ],
)
def test_what_is_live_counts_against_the_limit(limit, here, live, admitted):
    assert agent(limit).admitted([A, B, C], here, live) == set(admitted)


def test_what_somebody_has_claimed_is_looked_at_and_counts_only_where_it_lives():
    one = agent(1, due(A), found(C), found())
    assert one.admitted([C, A], [], 0) == {C, A}
    assert one.admitted([C, A], [C], 0) == {C}


def test_what_rests_elsewhere_is_left_alone():
    one = agent(5, due(A), found(), found(D, A))
    assert one.admitted([D, A], [], 0) == {A}
    assert one.admitted([D, A], [D], 0) == {D, A}


def test_a_later_look_finds_what_is_new_and_what_there_was_no_room_for():
    one = agent(2, due(A, B, C), found(), found())
    assert one.admitted([A, B, C], [], 0) == {A, B}
    one.polls._transport.answers = [due(C, D, E)]
    assert one.next_look(live=2) == []
    assert one.next_look(live=0) == [C, D]
    assert one.polls._transport.sent[-1][2]["limit"] == 2 * SPREAD + 2


def many(number):
    return [str(uuid.uuid4()) for _number in range(number)]


@pytest.mark.parametrize("others", [False, True])
def test_where_others_look_too_not_all_go_for_the_same(others):
    runs = many(3 * SPREAD)
    first = set()
    for _number in range(50):
        one = agent(1, due(*runs), found(), found())
        one.others = others
        first |= one.admitted(runs, [], 0)
    assert first <= set(runs[:SPREAD])
    assert (len(first) > 1) == others


def test_others_are_seen_by_what_they_have_claimed():
    one = agent(1, due(A), found(B), found())
    one.admitted([B, A], [B], 0)
    assert not one.others
    one.admitted([B, A], [], 0)
    assert one.others


def test_priority_goes_before_chance():
    urgent, normal = many(2), many(20)
    both = Answer(200, [*due(*urgent, queue=URGENT).data, *due(*normal).data])
    for _number in range(20):
        one = agent(2, both, found(), found())
        one.others = True
        assert one.admitted([*urgent, *normal], [], 0) == set(urgent)
        assert one.admitted([*urgent, *normal], [], 1) < set(urgent)
