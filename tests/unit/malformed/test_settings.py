# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every malformed task of ``settings.yml`` gives an error that names field and remedy, on the host and before."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import accept_results
from ansible_collections.flowops.prefect.plugins.module_utils._redact import masked_params
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task
from ansible_collections.flowops.prefect.plugins.plugin_utils._models import HAS_PYDANTIC, validate_on_controller

_API = {"api_url": "http://prefect.example.com:4200/api"}
_BASES: dict[str, dict[str, t.Any]] = {
    "bare": _API,
    "id": {**_API, "flow_run_id": "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"},
    "deployment": {**_API, "deployment": "hello/quickstart"},
}
_REPEAT = re.compile(r"<(.) \* (\d+)>")

CASES: list[dict[str, t.Any]] = yaml.safe_load(pathlib.Path(__file__).with_name("settings.yml").read_text("utf-8"))

#: What cannot reach a host as it is: JSON carries neither bytes nor lone surrogates nor names that are no texts; dates
#: arrive as texts, and Ansible makes texts of numbers before a module sees them.
_CONTROLLER_ONLY = {
    "a tag that is a mapping",
    "a tag that is null",
    "a tag that YAML changed",
    "a key that YAML changed",
    "a key that is a date",
    "a date in env",
    "a conda name that YAML changed",
    "a name that YAML changed",
    "a name that is a number",
    "a parameter's name that is a number",
    "a parameter's name that is a boolean",
    "a key that is a list",
    "bytes",
    "run_timeout as boolean",
    "an API key that is a mapping",
    "an API key that is a list",
}


def expanded(value: t.Any) -> t.Any:
    """What YAML cannot say in a line."""
    if isinstance(value, dict):
        return {expanded(key): expanded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [expanded(entry) for entry in value]
    if value == "<huge>":
        return 10**400
    if isinstance(value, str):
        text = value.replace("<surrogate>", "\ud800")
        return _REPEAT.sub(lambda found: found[1] * int(found[2]), text)
    return value


def task_of(case: dict[str, t.Any]) -> dict[str, t.Any]:
    """The task that a case stands for."""
    return {**_BASES[case.get("base", "id")], **expanded(case["with"])}


def errors_on_host(task: dict[str, t.Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_task(task, "subprocess")
    return caught.value.message.splitlines()


def check(case: dict[str, t.Any], errors: list[str]) -> None:
    """The error says where, what and what to do, and no more."""
    whole = "\n".join(errors)
    lines = [line.removeprefix("- ") for line in errors]
    named = [line for line in lines if line.startswith(case["field"] + " ")]
    assert named, whole
    for line in named:
        assert re.search(r"\. \S.*[.?]$", line), f"no remedy: {line}"
    for text in case.get("says", ()):
        assert text in whole
    assert "CANARY" not in whole
    assert "Traceback" not in whole
    assert whole.isprintable() or "\n" in whole
    assert all(line.isprintable() for line in lines), whole
    assert all(len(line) < 700 for line in lines), whole


def ids(case: dict[str, t.Any]) -> str:
    return str(case["case"])


def test_the_corpus_is_large_and_its_cases_differ():
    assert len(CASES) >= 200
    assert len({case["case"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_host(case):
    check(case, errors_on_host(task_of(case)))


@pytest.mark.skipif(not HAS_PYDANTIC, reason="pydantic is not installed here")
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_controller(case):
    task = task_of(case)
    errors = validate_on_controller(accept_results(task), "subprocess")
    check({**case, "says": [text for text in case.get("says", ()) if not text.endswith(" problems")]}, errors)


@pytest.mark.skipif(not HAS_PYDANTIC, reason="pydantic is not installed here")
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_both_say_the_same_words(case):
    task = task_of(case)
    on_host = [line.removeprefix("- ") for line in errors_on_host(task)]
    assert sorted(validate_on_controller(task, "subprocess")) == sorted(
        line for line in on_host if not line.endswith("problems with what the task says:")
    )


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_after_ansible_s_own_argument_spec(case):
    """The way of a host without the controller's validation: Ansible converts first, then the module looks."""
    if case["case"] in _CONTROLLER_ONLY:
        return
    task = task_of(case)
    try:
        task = json.loads(json.dumps(task, default=str))
    except (TypeError, ValueError):
        return
    spec = argument_spec("subprocess")
    spec.pop("supports_check_mode")
    result = ArgumentSpecValidator(**spec).validate(accept_results(task))
    if result.error_messages:
        return  # Ansible's own words; AnsibleModule masks the values of secret options in them.
    whole = "\n".join(errors_on_host(result.validated_parameters))
    assert re.search(rf"^(- )?{re.escape(case['field'].partition('[')[0].partition('.')[0])}", whole, re.MULTILINE), (
        whole
    )
    assert "CANARY" not in whole


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_invocation_of_a_malformed_task_is_masked(case):
    task = task_of(case)
    shown = str(masked_params(task, "subprocess"))
    secret = any(name.startswith(("secret_env", "api_key", "api_auth", "api_headers")) for name in case["with"])
    if secret and "CANARY" in str(task) and case["case"] != "a secret in a name":
        assert "CANARY" not in shown
