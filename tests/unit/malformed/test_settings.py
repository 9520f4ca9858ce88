# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every malformed task of ``settings.yml`` gives an error that names field and remedy, on the host and before."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from malformed_settings import CASES, CONTROLLER_ONLY, check, task_of

from ansible_collections.flowops.prefect.plugins.module_utils._argspec import argument_spec
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import accept_results
from ansible_collections.flowops.prefect.plugins.module_utils._redact import masked_params
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task
from ansible_collections.flowops.prefect.plugins.plugin_utils._models import HAS_PYDANTIC, validate_on_controller


def errors_on_host(task: dict[str, t.Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_task(task, "subprocess")
    return caught.value.message.splitlines()


def ids(case: dict[str, t.Any]) -> str:
    return str(case["case"])


def test_the_corpus_is_large_and_its_cases_differ():
    assert len(CASES) >= 200
    assert len({case["case"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_host(case):
    check(case, errors_on_host(task_of(case)))


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_controller(case):
    """With pydantic where it is installed (the controller's environment), by the checks alone elsewhere."""
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
    if case["case"] in CONTROLLER_ONLY:
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
