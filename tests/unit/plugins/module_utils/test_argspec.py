# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument spec, as Ansible itself uses it."""

from __future__ import annotations

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec

ID = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"


def validate(task: dict):
    spec = argument_spec("subprocess")
    spec.pop("supports_check_mode")
    return ArgumentSpecValidator(**spec).validate(task)


def test_nothing_has_a_default():
    spec = argument_spec("subprocess")["argument_spec"]
    options = [*spec.values(), *spec["runs"]["options"].values()]
    assert not any("default" in option or "required" in option for option in options)


def test_a_good_task_passes():
    task = {
        "deployment": "a/b",
        "runs": [{"parameters": {"a": 1}, "env": {"A": "1"}, "secret_env": {"B": "2"}, "virtualenv": "/v"}],
        "api_validate_certs": "no",
        "rerun": 2,
        "wait_timeout": "2.5",
        "fail_on": ["failed"],
    }
    result = validate(task)
    assert result.error_messages == []
    assert result.validated_parameters["api_validate_certs"] is False
    assert result.validated_parameters["rerun"] == "2"
    assert result.validated_parameters["wait_timeout"] == 2.5


def test_values_in_env_keep_their_type_for_our_own_check():
    assert validate({"flow_run_id": ID, "env": {"A": True}}).validated_parameters["env"] == {"A": True}


def test_sources_exclude_each_other():
    assert "mutually exclusive" in str(validate({"flow_run_id": ID, "flow_run_ids": [ID]}).error_messages)
    assert "mutually exclusive" in str(validate({"flow_run_id": ID, "runs": [{"flow_run_id": ID}]}).error_messages)
    assert validate({"deployment": "a/b", "runs": [{}]}).error_messages == []


def test_interpreters_exclude_each_other():
    assert "mutually exclusive" in str(validate({"flow_run_id": ID, "python": "/p", "condaenv": "c"}).error_messages)
    entry = {"deployment": "a/b", "python": "/p", "condaenv": "c"}
    assert "mutually exclusive" in str(validate({"runs": [entry]}).error_messages)


def test_secrets_of_entries_are_known_to_ansible():
    result = validate({"runs": [{"deployment": "a/b", "secret_env": {"A": "CANARY"}}]})
    assert "CANARY" in result._no_log_values


def test_check_mode_is_supported():
    assert argument_spec("subprocess")["supports_check_mode"] is True
