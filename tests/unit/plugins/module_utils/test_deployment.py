# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pure rules of deployments: what differs, how schedules are compared, where code may lie, what a file says."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._deployment import (
    described,
    differences,
    planned,
    request,
)
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_yaml import entries_of
from ansible_collections.flowops.prefect.plugins.module_utils._schedules import completed, flat, nested, steps
from ansible_collections.flowops.prefect.plugins.module_utils._storage import unreachable_code

ID = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
RUNNER = {"type": "docker", "config": {"image": "x"}}
FOUND = {
    "id": ID,
    "name": "one",
    "tags": ["b", "a"],
    "path": None,
    "paused": True,
    "parameters": {"n": 1},
    "concurrency_limit": None,
    "global_concurrency_limit": {"limit": 2},
    "job_variables": {"x": 1, "flow_runner": RUNNER},
    "work_pool_name": "pool",
    "work_queue_name": "urgent",
    "schedules": [],
}


def changes(**wanted):
    before = described(FOUND)
    after = planned(before, wanted)
    names = differences(before, after)
    return names, request(after, names)


class TestDifferences:
    def test_nothing_given_is_nothing_to_do(self):
        assert changes() == ([], {})

    def test_the_same_is_nothing_to_do(self):
        same = {
            "tags": ["a", "b"],
            "path": "",
            "paused": True,
            "parameters": {"n": 1},
            "concurrency_limit": 2,
            "job_variables": {"x": 1},
            "flow_runner": {"type": "docker", "image": "x"},
        }
        assert changes(**same) == ([], {})

    def test_empty_values_remove(self):
        names, body = changes(tags=[], parameters={}, concurrency_limit=0)
        assert names == ["parameters", "tags", "concurrency_limit"]
        assert body == {"parameters": {}, "tags": [], "concurrency_limit": None}

    def test_job_variables_leave_the_flow_runner_alone(self):
        body = changes(job_variables={"y": 2})[1]
        assert body["job_variables"] == {"y": 2, "flow_runner": RUNNER}

    def test_an_empty_flow_runner_takes_it_away(self):
        names, body = changes(flow_runner={})
        assert (names, body["job_variables"]) == (["flow_runner"], {"x": 1})

    @pytest.mark.parametrize(("given", "changed"), [(1, []), (1.0, []), (True, ["parameters"])])
    def test_true_is_not_1(self, given, changed):
        assert changes(parameters={"n": given})[0] == changed

    @pytest.mark.parametrize("given", [{}, {"type": "object", "properties": {}}])
    def test_an_empty_schema_is_what_the_server_makes_of_it(self, given):
        found = described({**FOUND, "parameter_openapi_schema": {"type": "object", "properties": {}}})
        assert differences(found, planned(found, {"parameter_openapi_schema": given})) == []

    def test_the_flow_runner_leaves_job_variables_alone(self):
        body = changes(flow_runner={"type": "universal"})[1]
        assert body["job_variables"] == {"x": 1, "flow_runner": {"type": "universal", "config": {}}}

    def test_variables_go_with_pool_and_queue_so_that_the_server_checks_them_and_keeps_the_queue(self):
        body = changes(job_variables={})[1]
        assert (body["work_pool_name"], body["work_queue_name"]) == ("pool", "urgent")

    @pytest.mark.parametrize(("pool", "queue"), [("other", "default"), ("", None)])
    def test_another_pool_has_other_queues(self, pool, queue):
        assert changes(work_pool_name=pool) == (
            ["work_pool_name", "work_queue_name"],
            {"work_pool_name": pool or None, "work_queue_name": queue},
        )


def raw(schedule_id="i", slug=None, **rule):
    return {
        "id": schedule_id,
        "schedule": rule,
        "active": True,
        "max_scheduled_runs": None,
        "parameters": {},
        "slug": slug,
    }


CRON = raw("1", cron="0 5 * * *", timezone=None, day_or=True)
INTERVAL = raw("2", interval=60.0, timezone="UTC", anchor_date="2026-11-23T13:38:37.618560Z")
RRULE = raw("3", rrule="DTSTART:20200101T000000\nFREQ=DAILY", timezone="UTC")
DAILY = raw("4", slug="daily", cron="0 5 * * *", timezone=None, day_or=True)


def schedule_steps(found, *wanted):
    return steps(found, completed(wanted, [flat(one) for one in found]))


class TestSchedules:
    @pytest.mark.parametrize(
        ("found", "wanted"),
        [
            (CRON, {"cron": "0 5 * * *"}),
            (INTERVAL, {"interval": 60.0}),
            (INTERVAL, {"interval": 60.0, "anchor_date": "2026-11-23T13:38:37.618560Z", "timezone": "UTC"}),
            (RRULE, {"rrule": "FREQ=DAILY"}),
            (RRULE, {"rrule": "DTSTART:20200101T000000\nFREQ=DAILY"}),
        ],
    )
    def test_what_the_server_fills_in_is_no_difference(self, found, wanted):
        plan = schedule_steps([found], wanted)
        assert (plan.create, plan.update, plan.delete) == ([], {}, [])

    @pytest.mark.parametrize(
        "wanted",
        [
            {"cron": "0 6 * * *"},
            {"cron": "0 5 * * *", "timezone": "UTC"},
            {"cron": "0 5 * * *", "active": False},
            {"cron": "0 5 * * *", "parameters": {"a": 1}},
            {"cron": "0 5 * * *", "max_scheduled_runs": 1},
        ],
    )
    def test_without_a_slug_a_change_is_another_schedule(self, wanted):
        plan = schedule_steps([CRON], wanted)
        assert (len(plan.create), plan.update, plan.delete) == (1, {}, ["1"])

    def test_with_a_slug_it_is_a_change(self):
        plan = schedule_steps([CRON, DAILY], {"cron": "0 5 * * *"}, {"interval": 5.0, "slug": "daily"})
        assert (plan.create, plan.delete) == ([], [])
        assert plan.update["4"]["schedule"] == {"interval": 5.0, "timezone": "UTC"}

    def test_twice_the_same_is_twice(self):
        assert len(schedule_steps([CRON], {"cron": "0 5 * * *"}, {"cron": "0 5 * * *"}).create) == 1

    @pytest.mark.parametrize(
        ("chosen", "of_server", "without"),
        [
            ({"interval": 60.0, "anchor_date": "2026-01-01T00:00:00Z"}, INTERVAL, {"interval": 60.0}),
            ({"rrule": "DTSTART:20260101T000000\nFREQ=DAILY"}, RRULE, {"rrule": "FREQ=DAILY"}),
        ],
    )
    def test_what_has_no_start_takes_none_from_what_has_one(self, chosen, of_server, without):
        found = [raw("5", **{"timezone": "UTC", **chosen}), of_server]
        plan = schedule_steps(found, without, chosen)
        assert (plan.create, plan.update, plan.delete) == ([], {}, [])

    def test_true_is_not_1(self):
        found = {**CRON, "parameters": {"n": 1}}
        assert schedule_steps([found], {"cron": "0 5 * * *", "parameters": {"n": True}}).delete == ["1"]

    def test_an_anchor_moves_only_when_asked(self):
        moved = schedule_steps([INTERVAL], {"interval": 60.0, "anchor_date": "2026-01-01T00:00:00Z"})
        assert moved.delete == ["2"]

    def test_requests_say_everything_but_an_empty_slug(self):
        (full,) = completed([{"cron": "0 5 * * *"}], [])
        assert nested(full) == {
            "schedule": {"cron": "0 5 * * *", "day_or": True},
            "active": True,
            "max_scheduled_runs": None,
            "parameters": {},
        }


LOCAL = {"path": "/srv/flows", "entrypoint": "a.py:b"}
STEP = {"prefect.deployments.steps.set_working_directory": {"directory": "/srv/flows"}}
CLONE = {"prefect.deployments.steps.git_clone": {"repository": "https://git.example.com/flows.git"}}


class TestStorage:
    @pytest.mark.parametrize("runner", ["docker", "kubernetes"])
    @pytest.mark.parametrize(
        "more",
        [
            LOCAL,
            {"pull_steps": [STEP]},
            {"entrypoint": "/srv/flows/a.py:b"},
            {**LOCAL, "image": "prefecthq/prefect:3-latest"},
            {**LOCAL, "image": "docker.io/prefecthq/prefect"},
        ],
    )
    def test_code_of_one_machine(self, runner, more):
        settings = {"image": more["image"]} if "image" in more else {}
        reason = unreachable_code({**more, "flow_runner": {"type": runner, **settings}})
        assert "/srv/flows" in reason
        assert "requires remote storage" in reason

    @pytest.mark.parametrize(
        ("deployment", "settings"),
        [
            ({}, {}),
            ({"entrypoint": "package.module.flow"}, {}),
            ({"path": "s3://bucket/flows"}, {}),
            ({"path": "{{ prefect.variables.path }}", "entrypoint": "a.py:b"}, {}),
            ({**LOCAL, "pull_steps": [CLONE]}, {}),
            ({"pull_steps": [CLONE, STEP]}, {}),
            (LOCAL, {"image": "registry.example.com/flows:1"}),
            (LOCAL, {"image": "registry.example.com/prefecthq/prefect:1"}),
            (LOCAL, {"volumes": ["/srv/flows:/srv/flows"]}),
            (LOCAL, {"pod_overrides": {"spec": {}}}),
            (LOCAL, {"container_create_kwargs": {"volumes_from": ["flows"]}}),
            ({**LOCAL, "storage_document_id": "1511342e-40c2-432a-a483-d9d2b3326314"}, {}),
            ({**LOCAL, "pull_steps": ["what is this"]}, {}),
        ],
    )
    def test_what_is_not_certain_is_not_said(self, deployment, settings):
        assert unreachable_code({**deployment, "flow_runner": {"type": "kubernetes", **settings}}) is None

    def test_processes_are_where_they_are(self):
        assert unreachable_code({**LOCAL, "flow_runner": {"type": "subprocess"}}) is None
        assert unreachable_code(LOCAL) is None


class TestPrefectYaml:
    def test_pull_steps_of_the_project_and_of_a_deployment(self):
        document = {
            "pull": [STEP],
            "deployments": [{"name": "a"}, {"name": "b", "pull": CLONE}, {"name": "c", "pull": []}],
        }
        assert [one["pull_steps"] for one in entries_of(document)[0]] == [[STEP], [CLONE], []]

    def test_a_work_pool_and_an_old_schedule(self):
        pool = {"name": "p", "work_queue_name": "q", "job_variables": {"image": "x"}}
        document = {"deployments": [{"name": "a", "work_pool": pool, "schedule": {"cron": "0 5 * * *"}}]}
        assert entries_of(document) == (
            [
                {
                    "name": "a",
                    "schedules": [{"cron": "0 5 * * *"}],
                    "work_pool_name": "p",
                    "work_queue_name": "q",
                    "job_variables": {"image": "x"},
                }
            ],
            [],
        )

    def test_a_flow_runner_among_the_job_variables(self):
        variables = {"flow_runner": {"type": "docker", "config": {"image": "x"}}, "a": 1}
        (entry,), _warnings = entries_of({"deployments": [{"name": "a", "work_pool": {"job_variables": variables}}]})
        assert (entry["flow_runner"], entry["job_variables"]) == ({"type": "docker", "image": "x"}, {"a": 1})

    def test_what_is_not_done_is_said(self):
        document = {"build": [{"x": {}}], "deployments": [{"name": "a", "sla": [{}]}]}
        assert [warning.split()[1] for warning in entries_of(document)[1]] == ["build", "sla"]

    def test_a_limit_with_a_strategy(self):
        limit = {"limit": 3, "collision_strategy": "ENQUEUE"}
        entries, warnings = entries_of({"deployments": [{"name": "a", "concurrency_limit": limit}]})
        assert (entries[0]["concurrency_limit"], warnings) == (3, [])
        limit["collision_strategy"] = "CANCEL_NEW"
        assert "concurrency_limit" in entries_of({"deployments": [{"name": "a", "concurrency_limit": limit}]})[1][0]

    @pytest.mark.parametrize("text", ["{{ $HOME }}", "x-{{ build-image.tag }}", "{{image}}"])
    def test_placeholders_of_the_command_are_refused(self, text):
        with pytest.raises(SettingsError, match=r"deployments\[0\].job_variables.image"):
            entries_of({"deployments": [{"name": "a", "work_pool": {"job_variables": {"image": text}}}]})

    @pytest.mark.parametrize("name", ["parameters", "tags", "version", "entrypoint"])
    def test_what_the_command_resolves_at_once_is_refused_too(self, name):
        with pytest.raises(SettingsError, match=r"deployments\[0\]." + name):
            entries_of({"deployments": [{"name": "a", name: ["{{ prefect.variables.x }}"]}]})

    @pytest.mark.parametrize("text", ["{{ prefect.blocks.secret.y }}", "{{ ctx.flow_run.name }}"])
    def test_what_is_filled_in_when_a_run_starts_stays_in_job_variables(self, text):
        document = {"deployments": [{"name": "a", "work_pool": {"job_variables": {"name": text}}}]}
        assert entries_of(document)[0][0]["job_variables"] == {"name": text}

    @pytest.mark.parametrize("text", ["{{ prefect.blocks.secret.y }}", "{{ clone.directory }}", "{{ $TOKEN }}"])
    def test_and_in_pull_steps(self, text):
        steps = [{"a.git_clone": {"id": "clone", "token": text}}]
        assert entries_of({"pull": steps, "deployments": [{"name": "a"}]})[0][0]["pull_steps"] == steps

    def test_unless_it_comes_from_a_step_of_the_command(self):
        document = {"build": [{"a.build": {"id": "image"}}], "deployments": [{"name": "a", "pull": [STEP]}]}
        assert entries_of(document)[0]
        document["deployments"][0]["pull"] = [{"a.step": {"x": "{{ image.tag }}"}}]
        with pytest.raises(SettingsError, match=r"image\.tag"):
            entries_of(document)

    @pytest.mark.parametrize("document", [{}, {"deployments": []}, {"deployments": ["a"]}, {"deployments": {}}])
    def test_a_file_without_deployments(self, document):
        with pytest.raises(SettingsError, match="no deployments"):
            entries_of(document)
