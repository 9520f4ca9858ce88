# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every malformed task of ``kubernetes.yml`` gives an error that names field and remedy, on the host and before."""

from __future__ import annotations

import typing as t

import pytest
from malformed_settings import KUBERNETES_CASES, check, task_of

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._redact import masked_params
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task
from ansible_collections.flowops.prefect.plugins.plugin_utils._models import validate_on_controller


def errors_on_host(task: dict[str, t.Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_task(task, "kubernetes")
    return caught.value.message.splitlines()


def ids(case: dict[str, t.Any]) -> str:
    return str(case["case"])


def test_the_corpus_is_large_and_its_cases_differ():
    assert len({case["case"] for case in KUBERNETES_CASES}) == len(KUBERNETES_CASES) >= 60


@pytest.mark.parametrize("case", KUBERNETES_CASES, ids=ids)
def test_host(case):
    check(case, errors_on_host(task_of(case)))


@pytest.mark.parametrize("case", KUBERNETES_CASES, ids=ids)
def test_controller(case):
    check(case, validate_on_controller(task_of(case), "kubernetes"))


@pytest.mark.parametrize("case", [case for case in KUBERNETES_CASES if "CANARY" in str(case["with"])], ids=ids)
def test_the_invocation_is_masked(case):
    assert "CANARY" not in str(masked_params(task_of(case), "kubernetes"))
