# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the server says about the infrastructure of a run: of which type it is, and what counts for it."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._server_says import Pool, ServerSays


class Server:
    """Nothing has to be asked of it here."""


def says(*flow_runners, pool: Pool | None = None) -> ServerSays:
    stages = [(f"stage {n}", {"flow_runner": one}) for n, one in enumerate(flow_runners)]
    return ServerSays(pool or Pool(), tuple(stages))


def test_a_universal_flow_runner_leaves_the_type_open_and_keeps_its_environment():
    said = says({"type": "universal", "config": {"env": {"A": "1"}}})
    assert said.runner_type() == ("", "")
    levels, warnings = said.levels("subprocess", Server())
    assert (levels[-1].env, levels[-1].source, warnings) == ({"A": "1"}, "stage 0", [])


def test_nobody_says_anything():
    assert says().runner_type() == ("", "")


def test_the_flow_runner_of_the_run_replaces_that_of_the_deployment():
    deployment = {"type": "docker", "config": {"image": "flows:1", "env": {"A": "1"}}}
    run = {"type": "docker", "config": {"networks": ["a"]}}
    said = says(deployment, run)
    assert said.runner_type() == ("docker", "stage 1")
    levels, _warnings = said.levels("docker", Server())
    assert {name for level in levels for name in level.settings} == {"networks"}
    assert not any(level.env for level in levels)


def test_a_pool_that_nothing_corresponds_to_is_named():
    with pytest.raises(ProblemsError, match="'ecs', which is unknown here"):
        says(pool=Pool("cloud", "ecs", {})).runner_type()
