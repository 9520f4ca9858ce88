# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The field table, and that what is made from it and what is written about it agree."""

from __future__ import annotations

import importlib

import pytest
import yaml

from ansible_collections.flowops.prefect.plugins.module_utils import _fields as fields
from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_kinds import CATALOG_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._checks import RUNNER_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._container_kinds import CONTAINER_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._kinds import KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._kubernetes_kinds import KUBERNETES_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._result import run_result
from ansible_collections.flowops.prefect.plugins.modules import (
    flow_runner,
    flow_runner_docker,
    flow_runner_k8s,
    flow_runner_subprocess,
)

MODULES = {
    "subprocess": flow_runner_subprocess,
    "docker": flow_runner_docker,
    "kubernetes": flow_runner_k8s,
    "universal": flow_runner,
}
FRAGMENTS = {
    "subprocess": ("runs", "lifecycle", "api", "api.engine", "subprocess"),
    "docker": ("runs", "lifecycle", "storage", "api", "api.engine", "docker", "docker_api"),
    "kubernetes": ("runs", "lifecycle", "storage", "api", "api.engine", "kubernetes", "kubernetes_api"),
    "universal": ("runs", "lifecycle", "storage", "api", "api.engine", "flow_runner", "connections"),
}
every_runner = pytest.mark.parametrize("runner", sorted(MODULES))


def documented_options(runner: str) -> dict:
    """The options of the module's fragments; none of them may be in two."""
    options: dict = {}
    for name in FRAGMENTS[runner]:
        file, _dot, part = name.partition(".")
        fragment = importlib.import_module(f"ansible_collections.flowops.prefect.plugins.doc_fragments.{file}")
        found = yaml.safe_load(getattr(fragment.ModuleDocFragment, (part or "documentation").upper()))["options"]
        assert not set(found).intersection(options)
        options.update(found)
    own = yaml.safe_load(MODULES[runner].DOCUMENTATION).get("options", {})
    return {name: {**option, **own.get(name, {})} for name, option in options.items()}


def essence(option: dict) -> dict:
    """What documentation and argument spec both say."""
    return {
        key: option[key] for key in ("type", "elements", "choices", "aliases", "default", "required") if key in option
    }


@every_runner
def test_the_module_uses_all_fragments(runner):
    used = yaml.safe_load(MODULES[runner].DOCUMENTATION)["extends_documentation_fragment"]
    assert {f"flowops.prefect.{name}" for name in FRAGMENTS[runner]} <= set(used)


@every_runner
def test_documentation_argument_spec_and_table_agree(runner):
    documented = documented_options(runner)
    spec = argument_spec(runner)["argument_spec"]
    assert set(documented) == set(spec) == {field.name for field in fields.fields_of(runner)}
    assert {name: essence(option) for name, option in documented.items()} == {
        name: essence(option) for name, option in spec.items()
    }


@every_runner
def test_documentation_of_an_entry_agrees_with_its_argument_spec(runner):
    documented = documented_options(runner)["runs"]["suboptions"]
    spec = argument_spec(runner)["argument_spec"]["runs"]["options"]
    assert set(documented) == set(spec)
    assert {name: essence(option) for name, option in documented.items()} == {
        name: essence(option) for name, option in spec.items()
    }


@pytest.mark.parametrize(
    ("runner", "field"),
    [
        pytest.param(runner, field, id=f"{runner}-{field.name}")
        for runner in sorted(fields.RUNNER_SCOPES)
        for field in fields.fields_of(runner)
        if isinstance(field.default, (int, float, str))
    ],
)
def test_effective_defaults_are_said_in_prose(runner, field):
    text = " ".join(documented_options(runner)[field.name]["description"])
    word = (
        str(field.default).lower()
        if isinstance(field.default, bool)
        else f"{field.default:.12g}"
        if not isinstance(field.default, str)
        else field.default
    )
    assert f"V({word})" in text


@pytest.mark.parametrize("field", [f for f in fields.ALL_FIELDS if f.env])
def test_fallbacks_are_said_in_prose(field):
    documented = next(found for runner in MODULES if field.name in (found := documented_options(runner)))
    text = " ".join(documented[field.name]["description"])
    assert all(f"E({name})" in text for name in field.env)


def test_every_kind_has_a_check_and_every_check_is_used():
    own = {field.kind for field in fields.ALL_FIELDS if field.kind}
    entries = [field for table in TABLES.values() for group in table.entries.values() for field in group]
    managed = [*(field for table in TABLES.values() for field in table.fields), *entries]
    assert own == set(RUNNER_KINDS)
    assert {field.kind for field in managed if field.kind} | own == set(CATALOG_KINDS)
    assert len(RUNNER_KINDS) == len(KINDS) + len(CONTAINER_KINDS) + len(KUBERNETES_KINDS)


@every_runner
def test_returned_keys_are_documented_and_accepted_again(runner):
    documented = set(yaml.safe_load(MODULES[runner].RETURN)["runs"]["contains"])
    assert documented == set(fields.RESULT_KEYS)
    written = run_result.__code__.co_consts
    assert documented <= set(_flat(written))


def _flat(values) -> list:
    return [entry for value in values for entry in (value if isinstance(value, tuple) else (value,))]


def test_names_that_look_secret_are_decided():
    """Ansible warns about an option named like a secret unless the spec says whether it is one."""
    words = ("key", "secret", "token", "pass", "auth")
    for field in fields.ALL_FIELDS:
        if any(word in field.name for word in words):
            assert field.no_log is not None, field.name


def test_secrets_are_no_log():
    secret = {field.name for field in fields.ALL_FIELDS if field.no_log}
    assert secret == {"api_key", "api_auth_string", "api_headers", "secret_env", "registry_password", "kube_token"}


class TestFallbacks:
    def test_fill_in_what_is_open(self):
        environ = {"PREFECT_API_URL": "http://h/api", "PREFECT_API_KEY": "k", "HOME": "/"}
        assert fields.environment_fallbacks({}, environ, "subprocess") == {"api_url": "http://h/api", "api_key": "k"}

    def test_what_the_task_says_wins(self):
        assert (
            fields.environment_fallbacks({"api_url": "http://a/api"}, {"PREFECT_API_URL": "http://b/api"}, "subprocess")
            == {}
        )

    def test_null_is_open(self):
        environ = {"PREFECT_API_URL": "http://b/api"}
        assert fields.environment_fallbacks({"api_url": None}, environ, "subprocess") == {"api_url": "http://b/api"}

    def test_an_empty_variable_says_nothing(self):
        assert fields.environment_fallbacks({}, {"PREFECT_API_URL": ""}, "subprocess") == {}

    def test_a_credential_of_the_task_keeps_the_other_kind_out(self):
        assert fields.environment_fallbacks({"api_auth_string": "a:b"}, {"PREFECT_API_KEY": "k"}, "subprocess") == {}

    def test_two_credentials_in_the_environment_do_not_clash(self):
        environ = {"PREFECT_API_KEY": "k", "PREFECT_API_AUTH_STRING": "a:b"}
        assert fields.environment_fallbacks({}, environ, "subprocess") == {"api_key": "k"}


class TestResultsAsRuns:
    RESULT = dict.fromkeys(fields.RESULT_KEYS, "x") | {"flow_run_id": "id", "phase": "failed"}

    def test_are_reduced_to_the_id(self):
        assert fields.accept_results({"runs": [self.RESULT], "wait": True}) == {
            "runs": [{"flow_run_id": "id"}],
            "wait": True,
        }

    def test_keep_what_was_combined_with_them(self):
        assert fields.without_result_keys({**self.RESULT, "python": "/p"}) == {"flow_run_id": "id", "python": "/p"}

    def test_a_user_s_entry_stays_as_it_is(self):
        entry = {"flow_run_id": "id", "deployment": "a/b", "name": "x"}
        assert fields.without_result_keys(entry) == entry

    @pytest.mark.parametrize("odd", [None, 5, "text", {}, {"runs": 5}])
    def test_anything_else_passes(self, odd):
        args = odd if isinstance(odd, dict) else {"runs": odd}
        assert fields.accept_results(args) == args
