# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pool, deployment and flow run say together. No server is asked: nothing here refers to a block."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._server_says import Pool, ServerSays

NOBODY: t.Any = None


class Empty:
    """A server that has nothing."""

    def variable(self, name: str) -> t.Any:
        raise ApiNotFound(f"There is no variable {name}.")


PROCESS = {
    "job_configuration": {"env": "{{ env }}", "working_dir": "{{ working_dir }}"},
    "variables": {"properties": {"working_dir": {"default": "/pool"}, "env": {"default": {"A": "pool", "B": "pool"}}}},
}


def says(pool: Pool, deployment: dict[str, t.Any], run: dict[str, t.Any] | None = None) -> ServerSays:
    return ServerSays(pool, (("deployment f/d", deployment), ("flow run", run or {})))


def told(server_says: ServerSays, kind: str) -> list[tuple[str, dict[str, t.Any], dict[str, t.Any]]]:
    """Who says which settings and which environment, the silent ones left out."""
    levels, _warnings = server_says.levels(kind, NOBODY)
    return [(one.source, one.settings, one.env) for one in levels if one.settings or one.env]


def test_each_level_says_what_it_changes():
    pool = Pool("local", "process", PROCESS)
    assert told(says(pool, {"env": {"A": "dep"}}, {"working_dir": "/run", "env": {"C": "run"}}), "subprocess") == [
        ("work pool local", {"working_dir": "/pool"}, {"A": "pool", "B": "pool"}),
        ("deployment f/d", {}, {"A": "dep"}),
        ("flow run", {"working_dir": "/run"}, {"C": "run"}),
    ]


def test_null_takes_back_what_the_pool_said():
    pool = Pool("local", "process", PROCESS)
    assert ("deployment f/d", {"working_dir": None}, {}) in told(says(pool, {"working_dir": None}), "subprocess")


def test_of_another_type_only_the_environment_counts():
    pool = Pool("local", "process", PROCESS)
    attached = {"type": "kubernetes", "config": {"image": "flows:1", "env": {"A": "dep"}}}
    server_says = says(pool, {"flow_runner": attached})
    assert server_says.runner_type() == ("kubernetes", "deployment f/d")
    assert told(server_says, "docker") == [
        ("work pool local", {}, {"A": "pool", "B": "pool"}),
        ("deployment f/d", {}, {"A": "dep"}),
    ]


def test_a_universal_flow_runner_leaves_the_type_open_and_keeps_its_environment():
    server_says = says(Pool(), {"flow_runner": {"type": "universal", "config": {"env": {"A": "1"}}}})
    assert server_says.runner_type() == ("", "")
    assert told(server_says, "subprocess") == [("deployment f/d", {}, {"A": "1"})]


def test_the_flow_runner_of_the_run_replaces_that_of_the_deployment():
    of_deployment = {"type": "docker", "config": {"image": "flows:1", "mem_limit": "1g"}}
    of_run = {"type": "docker", "config": {"image": "flows:2"}}
    server_says = says(Pool(), {"flow_runner": of_deployment}, {"flow_runner": of_run})
    assert told(server_says, "docker") == [("flow run", {"image": "flows:2"}, {})]


def test_the_default_of_a_pool_of_ours():
    default = {"type": "docker", "config": {"image": "flows:1"}}
    template = {
        "job_configuration": {"flow_runner": "{{ flow_runner }}"},
        "variables": {"properties": {"flow_runner": {"default": default}}},
    }
    server_says = says(Pool("ours", "ansible", template), {})
    assert server_says.runner_type() == ("docker", "work pool ours")
    assert told(server_says, "docker") == [("work pool ours", {"image": "flows:1"}, {})]


@pytest.mark.parametrize("pool", [Pool(), Pool("ours", "ansible", {}), Pool("old", "prefect-agent", {})])
def test_nobody_says_a_type(pool):
    assert says(pool, {}).runner_type() == ("", "")
    assert says(pool, {"flow_runner": {"type": "universal", "config": {}}}).runner_type() == ("", "")


def test_types_of_stock_pools():
    found = [says(Pool("p", kind, {}), {}).runner_type()[0] for kind in ("process", "docker", "kubernetes")]
    assert found == ["subprocess", "docker", "kubernetes"]
    with pytest.raises(ProblemsError, match="work pool p is of type 'ecs'"):
        says(Pool("p", "ecs", {}), {}).runner_type()


def test_what_the_pool_says_wrongly_counts_only_in_the_end():
    """A deployment mends what its pool alone could not launch."""
    broken = {
        "job_configuration": {"command": "{{ command }}", "working_dir": "{{ working_dir }}"},
        "variables": {"properties": {"command": {"default": "sleep 5"}, "working_dir": {"default": "/pool"}}},
    }
    pool = Pool("local", "process", broken)
    with pytest.raises(ProblemsError, match=r"work pool local.*command would start"):
        says(pool, {}).levels("subprocess", NOBODY)
    mended = told(says(pool, {"command": "python -m prefect.engine"}), "subprocess")
    assert mended == [("deployment f/d", {"working_dir": "/pool"}, {})]


def test_problems_say_where_they_are():
    with pytest.raises(ProblemsError, match=r"^flow_runner of the flow run: pyhton is no option"):
        says(Pool(), {}, {"flow_runner": {"type": "subprocess", "config": {"pyhton": "/p"}}}).levels(
            "subprocess", NOBODY
        )


@pytest.mark.parametrize(
    ("kind", "variables"),
    [
        ("process", {"working_dir": "/srv"}),
        ("docker", {"image": "flows:1", "mem_limit": "1g", "networks": ["a"]}),
        ("kubernetes", {"image": "flows:1", "service_account_name": "flows", "namespace": "n", "finished_job_ttl": 60}),
    ],
)
def test_a_pool_without_a_template_is_what_a_worker_makes_of_it(kind, variables):
    runner = "subprocess" if kind == "process" else kind
    given = {**variables, "env": {"A": "1"}, "name": "x"}
    levels, warnings = says(Pool("new", kind, {}), given).levels(runner, NOBODY)
    assert [(one.settings, one.env) for one in levels if one.source == "deployment f/d"] == [(variables, {"A": "1"})]
    assert warnings == []


def test_whatever_the_type_of_a_pool_without_a_template_the_environment_counts():
    assert told(says(Pool("new", "ecs", {}), {"env": {"A": "1"}}), "docker") == [("deployment f/d", {}, {"A": "1"})]


def test_what_is_not_there_is_told_with_who_asks_for_it():
    server: t.Any = Empty()
    with pytest.raises(ApiNotFound, match=r"job variables \(work pool local, deployment f/d\): There is no variable x"):
        says(Pool("local", "process", PROCESS), {"env": {"A": "{{ prefect.variables.x }}"}}).levels(
            "subprocess", server
        )
