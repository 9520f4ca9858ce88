# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what users type to a Task: merging, defaults, warnings, and that all problems are told at once."""

from __future__ import annotations

import datetime
import os

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task, spec_hash

ID = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
OTHER = "1f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
URL = "http://127.0.0.1:4200/api"


def parse(**options):
    return parse_task({"api_url": URL, **options}, "subprocess")


def refused(**options) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(**options)
    return caught.value.message


class TestRequests:
    def test_one_id(self):
        task = parse(flow_run_id=ID.replace("-", "").upper())
        assert [(r.position, r.label, r.flow_run_id, r.deployment) for r in task.requests] == [
            (0, "flow_run_id", ID, None)
        ]

    def test_ids_keep_their_order(self):
        task = parse(flow_run_ids=[OTHER, ID])
        assert [(r.position, r.label, r.flow_run_id) for r in task.requests] == [
            (0, "flow_run_ids[0]", OTHER),
            (1, "flow_run_ids[1]", ID),
        ]

    def test_a_deployment(self):
        request = parse(deployment="a/b", parameters={"x": [1, {"y": None}]}, tags=["t"], idempotency_key=42).requests[
            0
        ]
        assert (request.label, request.flow_run_id, request.deployment) == ("deployment", None, "a/b")
        assert request.parameters == {"x": [1, {"y": None}]}
        assert (request.tags, request.idempotency_key) == (["t"], "42")

    def test_a_deployment_by_uuid(self):
        assert parse(deployment=ID.upper()).requests[0].deployment == ID

    def test_entries_take_from_the_task_and_win_over_it(self):
        task = parse(
            deployment="a/b",
            parameters={"x": 1, "y": 1},
            tags=["task"],
            idempotency_key="k",
            flow_run_name="n-{x}",
            runs=[{}, {"deployment": "c/d", "parameters": {"x": 2}, "tags": [], "flow_run_name": "own {y}"}],
        )
        first, second = task.requests
        assert (first.deployment, first.parameters, first.tags) == ("a/b", {"x": 1, "y": 1}, ["task"])
        assert (second.deployment, second.parameters, second.tags) == ("c/d", {"x": 2, "y": 1}, [])
        assert (first.flow_run_name, second.flow_run_name) == ("n-1", "own 1")
        assert (first.idempotency_key, second.idempotency_key) == ("k", "k")
        assert (first.label, second.label) == ("runs[0]", "runs[1]")

    def test_one_key_serves_entries_that_differ(self):
        assert (
            len(parse(deployment="a/b", idempotency_key="k", runs=[{"parameters": {"x": n}} for n in (1, 2)]).requests)
            == 2
        )

    def test_the_same_entry_twice_without_a_key_makes_two_runs(self):
        assert len(parse(deployment="a/b", runs=[{}, {}]).requests) == 2

    def test_entries_of_a_result(self):
        entry = {
            "flow_run_id": ID,
            "deployment": "a/b",
            "phase": "failed",
            "action": "launched",
            "name": "x",
            "log": {},
        }
        request = parse(runs=[{**entry, "env": {"A": "1"}}]).requests[0]
        assert (request.flow_run_id, request.deployment, request.env) == (ID, None, {"A": "1"})

    def test_nulls_of_ansible_s_argument_spec_mean_nothing(self):
        entry = {"flow_run_id": ID, "deployment": None, "parameters": None, "env": None, "python": None}
        assert parse(runs=[entry], flow_run_id=None, deployment=None, tags=None).requests[0].flow_run_id == ID

    def test_braces_in_names(self):
        assert parse(deployment="a/b", flow_run_name="{{x}}").requests[0].flow_run_name == "{x}"

    def test_a_parameter_cannot_inject_a_template(self):
        request = parse(deployment="a/b", parameters={"x": "{y.__class__}", "y": 1}, flow_run_name="{x}").requests[0]
        assert request.flow_run_name == "{y.__class__}"

    def test_dates_in_parameters_are_left_to_json(self):
        assert parse(deployment="a/b", parameters={"day": datetime.date(2026, 11, 23)}).requests[0].parameters


class TestSettings:
    def test_every_setting_is_there(self):
        assert parse(flow_run_id=ID).requests[0].settings == {
            "python": None,
            "virtualenv": None,
            "condaenv": None,
            "working_dir": None,
            "state_dir": None,
            "output_limit": 16 * 1024 * 1024,
        }

    def test_default_task_entry(self):
        task = parse(deployment="a/b", working_dir="/task", output_limit=5000, runs=[{}, {"working_dir": "/entry"}])
        assert [r.settings["working_dir"] for r in task.requests] == ["/task", "/entry"]
        assert [r.settings["output_limit"] for r in task.requests] == [5000, 5000]

    def test_an_entry_s_interpreter_replaces_the_task_s_choice(self):
        settings = parse(deployment="a/b", virtualenv="/v", runs=[{"condaenv": "c"}]).requests[0].settings
        assert (settings["virtualenv"], settings["condaenv"]) == (None, "c")

    def test_home_and_variables_are_expanded(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/ada")
        monkeypatch.setenv("PROJECT", "/srv/p")
        task = parse(flow_run_id=ID, virtualenv="~/venv", working_dir="$PROJECT/flows", api_ca_path="~/ca.pem")
        settings = task.requests[0].settings
        assert (settings["virtualenv"], settings["working_dir"]) == ("/home/ada/venv", "/srv/p/flows")
        assert task.api.ca_path == "/home/ada/ca.pem"

    @pytest.mark.parametrize("given", ["~/envs/flows", "/opt/conda/envs/flows"])
    def test_conda_by_path(self, given):
        assert parse(flow_run_id=ID, condaenv=given).requests[0].settings["condaenv"] == os.path.expanduser(given)

    @pytest.mark.parametrize("given", ["flows", "flows-3.11", "base", "FLOWS_1"])
    def test_conda_by_name(self, given):
        assert parse(flow_run_id=ID, condaenv=given).requests[0].settings["condaenv"] == given

    @pytest.mark.parametrize("path", ["$NOT_SET_ANYWHERE/venv", "~no-such-user/venv"])
    def test_what_the_host_does_not_know_is_refused(self, path):
        assert refused(flow_run_id=ID, virtualenv=path).startswith("virtualenv is '" + path)
        assert refused(deployment="a/b", runs=[{"python": path}]).startswith("runs[0].python is ")


class TestEnvironment:
    def test_entries_win_and_null_unsets(self):
        request = parse(
            deployment="a/b", env={"A": "1", "B": "1", "C": "1"}, runs=[{"env": {"A": "2", "B": None}}]
        ).requests[0]
        assert request.env == {"A": "2", "B": None, "C": "1"}

    def test_who_speaks_last_decides_whether_it_is_secret(self):
        task = parse(
            deployment="a/b",
            env={"A": "plain", "N": "x"},
            secret_env={"B": "secret", "D": "secret"},
            runs=[{"env": {"B": "plain"}, "secret_env": {"A": "secret", "N": None}}],
        )
        request = task.requests[0]
        assert (request.env, request.secret_env) == ({"B": "plain", "N": None}, {"A": "secret", "D": "secret"})

    def test_secrets_are_in_no_repr(self):
        task = parse(flow_run_id=ID, secret_env={"A": "CANARY"}, api_key="CANARY")
        assert "CANARY" not in repr(task)

    @pytest.mark.parametrize("value", ["", "a\nb\tc", "true", "0755", "ü", "=x"])
    def test_texts_pass_as_they_are(self, value):
        assert parse(flow_run_id=ID, env={"A": value}).requests[0].env == {"A": value}

    def test_a_mapping_in_short_form(self):
        assert parse(flow_run_id=ID, env="A=1, B=2").requests[0].env == {"A": "1", "B": "2"}


class TestDefaults:
    def test_are_applied_here(self):
        task = parse(flow_run_id=ID)
        assert (task.state, task.wait, task.requests[0].rerun, task.on_abort) == ("launched", True, "never", "leave")
        assert task.fail_on == ["failed", "crashed", "cancelled", "infrastructure", "wait_timeout"]
        assert (task.start_timeout, task.run_timeout, task.wait_timeout, task.stop_grace) == (120.0, None, None, 30.0)
        assert (task.concurrency, task.stream_output, task.log_lines) == (None, None, 20)
        assert (task.log_cursor, task.poll_interval, task.per_host) == (None, 2.0, False)
        assert (task.api.validate_certs, task.api.timeout, task.api.engine_url) == (True, 30.0, URL)

    def test_texts_are_converted(self):
        task = parse(
            flow_run_id=ID, wait="no", run_timeout="90", concurrency="4", log_lines="0", stop_grace=0, rerun="3"
        )
        assert (task.wait, task.run_timeout, task.concurrency, task.log_lines) == (False, 90.0, 4, 0)
        assert (task.stop_grace, task.requests[0].rerun) == (0.0, "3")

    def test_an_empty_fail_on(self):
        assert parse(flow_run_id=ID, fail_on=[]).fail_on == []

    def test_log_cursor(self):
        assert parse(flow_run_id=ID, log_cursor={}).log_cursor == {}
        assert parse(flow_run_id=ID, log_cursor={ID.upper(): "1:5", OTHER: ""}).log_cursor == {ID: "1:5", OTHER: ""}


class TestApi:
    def test_options(self):
        api = parse(
            flow_run_id=ID,
            api_auth_string="admin:pass",
            api_headers={"X-A": "b"},
            api_validate_certs=False,
            api_timeout=5,
            engine_api_url="https://inside/api/",
        ).api
        assert (api.auth_string, api.headers, api.validate_certs) == ("admin:pass", {"X-A": "b"}, False)
        assert (api.timeout, api.engine_url) == (5.0, "https://inside/api")

    @pytest.mark.parametrize("url", ["http://h/api/", "https://h:1/a/b", "http://[::1]:4200/api", "HTTP://h/api"])
    def test_addresses(self, url):
        assert parse(flow_run_id=ID, api_url=url).api.url == url.rstrip("/")

    def test_credentials_in_the_open_give_a_warning(self):
        warnings = parse(flow_run_id=ID, api_url="http://prefect.example.com/api", api_key="CANARY").warnings
        assert len(warnings) == 1
        assert warnings[0].startswith("api_url is not encrypted")
        assert "CANARY" not in warnings[0]

    def test_an_unchecked_certificate_gives_a_warning(self):
        warnings = parse(flow_run_id=ID, api_url="https://h/api", api_key="k", api_validate_certs=False).warnings
        assert [w.split()[0] for w in warnings] == ["api_validate_certs"]

    @pytest.mark.parametrize(
        "options",
        [
            {"api_key": "k"},
            {"api_url": "http://prefect.example.com/api"},
            {"api_url": "https://prefect.example.com/api", "api_key": "k"},
        ],
    )
    def test_no_warning(self, options):
        assert parse(flow_run_id=ID, **options).warnings == []


class TestProblems:
    def test_all_are_told_at_once(self):
        message = refused(flow_run_id="x", wait="maybe", env={"A": 1, "B": True}, pyhton="/p")
        assert message.startswith("5 problems")
        for field in ("flow_run_id", "wait", "env.A", "env.B", "pyhton"):
            assert f"\n- {field} " in message

    def test_a_flood_is_cut(self):
        message = refused(flow_run_id=ID, env={f"A{n}": n for n in range(500)})
        assert message.startswith("500 problems")
        assert message.endswith("… and 480 more.")
        assert len(message.splitlines()) == 22

    def test_secrets_in_other_fields_are_masked(self):
        message = refused(flow_run_id="CANARY-secret", secret_env={"A": "CANARY-secret"})
        assert "CANARY" not in message

    def test_ansible_s_own_arguments_are_none_of_ours(self):
        assert parse(flow_run_id=ID, _ansible_check_mode=True)


class TestClocksOfOrion:
    def test_are_aliases_of_ours_for_jobs(self):
        words = {"pod_watch_timeout_seconds": 90, "job_watch_timeout_seconds": 120}
        task = parse_task({"api_url": URL, "flow_run_id": ID, **words}, "kubernetes")
        assert (task.start_timeout, task.wait_timeout) == (90, 120)
        assert "job_watch_timeout_seconds" in refused(flow_run_id=ID, **words)


class TestSpecHash:
    def test_is_stable(self):
        assert spec_hash("subprocess", {"a": 1, "b": None}, {"X": "1", "Y": None}, ["S"]) == spec_hash(
            "subprocess", {"b": None, "a": 1}, {"Y": None, "X": "1"}, {"S"}
        )
        assert len(spec_hash("subprocess", {}, {}, [])) == 64

    @pytest.mark.parametrize(
        "other",
        [
            ("docker", {"a": 1}, {"X": "1"}, ["S"]),
            ("subprocess", {"a": 2}, {"X": "1"}, ["S"]),
            ("subprocess", {"a": 1}, {"X": "2"}, ["S"]),
            ("subprocess", {"a": 1}, {"X": None}, ["S"]),
            ("subprocess", {"a": 1}, {"X": "1"}, ["S", "T"]),
        ],
    )
    def test_says_what_differs(self, other):
        assert spec_hash(*other) != spec_hash("subprocess", {"a": 1}, {"X": "1"}, ["S"])

    def test_values_of_secrets_do_not_count(self):
        assert spec_hash("subprocess", {}, {"DB_PASSWORD": "a"}, []) == spec_hash(
            "subprocess", {}, {"DB_PASSWORD": "b"}, []
        )
