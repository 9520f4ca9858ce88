# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each generation can keep: refused by name, or asked for in its own words."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fit import _ABILITIES, check_fit, kept
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import RunFilter
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_orion import CatalogOrion
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_v2 import CatalogV2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import (
    GENERATIONS,
    ORION,
    PREFECT2,
    PREFECT3,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._open_catalog import CATALOGS
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Answer

from .test_prefect_api_objects import DEPLOYMENT, RUN, Script


def test_every_generation_has_its_catalog():
    assert [catalog.generation for catalog in CATALOGS] == list(GENERATIONS)


def test_the_table_names_options_that_there_are():
    for module, abilities in _ABILITIES.items():
        assert set(abilities) <= {field.name for field in TABLES[module].fields}


@pytest.mark.parametrize(
    ("generation", "module", "options"),
    [
        (PREFECT3, "deployment", {"flow_data": "x"}),
        (PREFECT3, "work_pool", {"filter": {"tags": ["a"]}}),
        (PREFECT2, "deployment", {"concurrency_limit": 1}),
        (PREFECT2, "deployment", {"schedules": [{"interval": 1, "parameters": {"a": 1}}]}),
        (ORION, "deployment", {"schedules": [{"cron": "* * * * *", "active": False}]}),
        (ORION, "deployment", {"schedules": [{"cron": "* * * * *", "max_scheduled_runs": 1}]}),
        (ORION, "deployment", {"work_queue_name": "q"}),
        (ORION, "flow_run", {"job_variables": {"flow_runner": {}, "x": 1}}),
        (ORION, "flow_run", {"state": "retried"}),
        (ORION, "flow_run_info", {"filter": {"name": "a"}}),
    ],
)
def test_what_a_generation_lacks_is_refused(generation, module, options):
    with pytest.raises(ApiError, match=f"{generation.name} cannot") as caught:
        check_fit(generation, module, options)
    assert caught.value.category == "unsupported_server"


@pytest.mark.parametrize(
    ("generation", "module", "options"),
    [
        (
            PREFECT3,
            "deployment",
            {"concurrency_limit": 1, "schedules": [{"interval": 1, "slug": "s"}]},
        ),
        (PREFECT2, "deployment", {"concurrency_limit": 0, "schedules": [{"interval": 1, "timezone": "Europe/Berlin"}]}),
        (ORION, "deployment", {"enforce_parameter_schema": False, "description": "", "schedules": [{"interval": 1}]}),
        (ORION, "deployment", {"schedules": [{"interval": 1, "timezone": "UTC"}]}),
        (ORION, "deployment", {"schedules": [{"cron": "* * * * *", "timezone": "Europe/Berlin"}]}),
        (ORION, "flow_run", {"job_variables": {"flow_runner": {"type": "docker"}}}),
        (ORION, "flow_run_info", {"filter": {"states": ["FAILED"], "tags": ["a"]}}),
    ],
)
def test_what_asks_for_nothing_more_is_fine(generation, module, options):
    check_fit(generation, module, options)


def test_everything_is_refused_at_once():
    with pytest.raises(ApiError) as caught:
        check_fit(ORION, "deployment", {"path": "/srv", "entrypoint": "a:b", "version": "1"})
    assert str(caught.value) == (
        "entrypoint, path: Orion 2.0b6 cannot load code from a place that the deployment names. "
        "Give the code itself as flow_data. "
        "version: Orion 2.0b6 cannot keep description and version of a deployment. Leave it out, or give tags."
    )


def test_a_description_holds_what_the_server_knows():
    view = {"entrypoint": "", "flow_data": "x", "tags": [], "concurrency_limit": 0}
    assert set(kept(PREFECT3, "deployment", view)) == {"entrypoint", "tags", "concurrency_limit"}
    assert set(kept(PREFECT2, "deployment", view)) == {"entrypoint", "tags"}
    assert set(kept(ORION, "deployment", view)) == {"flow_data", "tags"}


def rule(**schedule):
    return {
        "id": RUN,
        "active": True,
        "max_active_runs": None,
        "max_scheduled_runs": None,
        "catchup": False,
        **schedule,
    }


def test_prefect_2_gets_a_schema_with_everything_else_and_its_schedules_back():
    every = {"interval": 60.0}
    names = ("entrypoint", "path", "description", "version", "work_pool_name", "work_queue_name", "manifest_path")
    blocks = ("storage_document_id", "infrastructure_document_id")
    found = {
        **dict.fromkeys((*names, *blocks)),
        "name": "one",
        "flow_id": RUN,
        "paused": True,
        "enforce_parameter_schema": True,
        "tags": ["a"],
        "parameters": {"n": 1},
        "infra_overrides": {"x": 1},
        "pull_steps": [],
        "parameter_openapi_schema": None,
        "schedules": [rule(schedule=every, max_scheduled_runs=2), rule(schedule=every)],
    }
    anew = [rule(id=DEPLOYMENT, schedule=every), rule(schedule=every)]
    script = Script(Answer(200, found), Answer(200, {"schedules": anew}), Answer(204, None), Answer(204, None))
    changes = {"parameter_openapi_schema": {"type": "object"}, "tags": []}
    CatalogV2(script).update_deployment(DEPLOYMENT, changes)
    (_get, create, limit, patch) = script.sent
    assert create[2] == {
        **{name: value for name, value in found.items() if name != "schedules"},
        "parameter_openapi_schema": {"type": "object"},
        "schedules": [{"schedule": every, "active": True}] * 2,
    }
    assert limit[:3] == ("PATCH", f"/deployments/{DEPLOYMENT}/schedules/{DEPLOYMENT}", {"max_scheduled_runs": 2})
    assert patch[:3] == ("PATCH", f"/deployments/{DEPLOYMENT}", {"tags": []})


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (("FAILED",), ["FAILED"]),
        (("CRASHED", "RUNNING"), ["FAILED", "RUNNING"]),
        (("SCHEDULED",), ["PENDING", "SCHEDULED"]),
        (("Late",), ["CANCELLED", "COMPLETED", "FAILED", "PENDING", "RUNNING", "SCHEDULED"]),
    ],
)
def test_orion_is_asked_for_types_that_it_has(states, asked):
    script = Script(Answer(200, []))
    assert CatalogOrion(script).list_runs(RunFilter(states=states), 5) == []
    assert script.sent[0][2]["flow_runs"]["state"] == {"type": {"any_": asked}}


def test_orion_is_not_asked_for_states_that_it_lacks():
    script = Script()
    assert CatalogOrion(script).count_runs(RunFilter(states=("PAUSED", "CANCELLING"))) == 0
    assert script.sent == []


@pytest.mark.parametrize(
    "damaged", [{"flow_data": None}, {"is_schedule_active": 1}, {"schedule": []}, {"flow_runner": 1}]
)
def test_damaged_deployments_of_orion_name_the_field(damaged):
    told = {"id": DEPLOYMENT, "flow_data": {"encoding": "text", "blob": "x"}, "is_schedule_active": True, **damaged}
    with pytest.raises(ApiError, match=next(iter(damaged))):
        CatalogOrion(Script(Answer(200, told))).find_deployment("f", "d")
