# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all management modules share: options, documentation that agrees with them, and secrets that stay so."""

from __future__ import annotations

import importlib

import pytest
import yaml

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._catalog_rules import check_options
from ansible_collections.flowops.prefect.plugins.module_utils._management import (
    argument_spec,
    masked_params,
    problems_of,
)

every_module = pytest.mark.parametrize("name", sorted(TABLES))
API = {"api_url": "http://127.0.0.1:4200/api"}


def documented(name):
    """The options of a module and of its fragments."""
    document = yaml.safe_load(
        importlib.import_module(f"ansible_collections.flowops.prefect.plugins.modules.{name}").DOCUMENTATION
    )
    options = dict(document.get("options", {}))
    for reference in document["extends_documentation_fragment"]:
        file, _dot, part = reference.removeprefix("flowops.prefect.").partition(".")
        fragment = importlib.import_module(f"ansible_collections.flowops.prefect.plugins.doc_fragments.{file}")
        text = getattr(fragment.ModuleDocFragment, (part or "documentation").upper())
        options.update(yaml.safe_load(text).get("options", {}))
    return options


def essence(option):
    """What documentation and argument spec both say."""
    keys = ("type", "elements", "choices")
    return {key: option[key] for key in keys if option.get(key)}


def compare(described, spec):
    assert set(described) == set(spec)
    for name, option in spec.items():
        assert essence(described[name]) == essence(option), name
        assert "default" not in option
        if "options" in option:
            compare(described[name]["suboptions"], option["options"])


@every_module
def test_documentation_and_argument_spec_agree(name):
    compare(documented(name), argument_spec(name)["argument_spec"])


@every_module
def test_the_address_is_needed(name):
    assert any(text.startswith("api_url is missing") for text in problems_of(name, {}))


def test_an_entry_replaces_the_interpreter_of_the_task():
    entries = [{"name": "a", "python": "/p"}, {"name": "b"}]
    options, problems = check_options(
        "deployment", {**API, "flow": "f", "virtualenv": "/v", "deployments": entries, "entrypoint": "a.py:b"}
    )
    assert problems == []
    assert options["deployments"] == entries


SECRETS = {
    "job_variables": {"env": {"DB_PASSWORD": "canary-a", "STYLE": "plain"}, "image_pull_secrets": ["regcred"]},
    "flow_runner": {"type": "docker", "env": {"API_TOKEN": "canary-b"}, "secret_env": {"A": "canary-f"}},
    "parameters": {"api_key": "canary-c", "text": "canary-c again"},
    "pull_steps": [
        {"git_clone": {"access_token": "canary-d"}},
        {"git_clone": {"access_token": "{{ prefect.blocks.x }}"}},
    ],
}


@pytest.mark.parametrize("wrap", [lambda options: options, lambda options: {"deployments": [options]}])
def test_secrets_are_masked_wherever_they_stand(wrap):
    shown = str(masked_params("deployment", {**API, "api_key": "canary-e", **wrap({"name": "x", **SECRETS})}))
    assert "canary" not in shown
    for harmless in ("plain", "regcred", "prefect.blocks.x", "DB_PASSWORD", "again"):
        assert harmless in shown


def test_problems_show_no_secret():
    texts = problems_of("deployment", {**API, **SECRETS, "name": "canary-a/x", "flow": "f"})
    assert texts
    assert "canary" not in str(texts)
