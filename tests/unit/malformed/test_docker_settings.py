# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every malformed task of ``docker.yml`` gives an error that names field and remedy, on the host and before."""

from __future__ import annotations

import typing as t

import pytest
from malformed_settings import DOCKER_CASES, check, task_of

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._redact import masked_params
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task
from ansible_collections.flowops.prefect.plugins.plugin_utils._models import validate_on_controller

every_case = pytest.mark.parametrize("case", DOCKER_CASES, ids=lambda case: case["case"])


def test_the_corpus_is_large_and_its_cases_differ():
    assert len({case["case"] for case in DOCKER_CASES}) == len(DOCKER_CASES) >= 60


@every_case
def test_host(case: dict[str, t.Any]):
    with pytest.raises(SettingsError) as caught:
        parse_task(task_of(case), "docker")
    check(case, caught.value.message.splitlines())


@every_case
def test_controller(case: dict[str, t.Any]):
    check(case, validate_on_controller(task_of(case), "docker"))


@every_case
def test_the_invocation_is_masked(case: dict[str, t.Any]):
    assert "CANARY" not in str(masked_params(task_of(case), "docker"))
