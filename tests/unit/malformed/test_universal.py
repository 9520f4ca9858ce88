# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Malformed tasks of ``flow_runner``: its own options, and those that it has in common with the others."""

from __future__ import annotations

import typing as t

import pytest
from malformed_settings import CASES, UNIVERSAL_CASES, check, task_of

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._fields import UNIVERSAL, accept_results
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_options
from ansible_collections.flowops.prefect.plugins.plugin_utils._models import validate_on_controller

#: An option that flow_runner has.
OTHER = {"an option of another module"}


def ids(case: dict[str, t.Any]) -> str:
    return str(case["case"])


@pytest.mark.parametrize("case", [case for case in (*CASES, *UNIVERSAL_CASES) if case["case"] not in OTHER], ids=ids)
def test_host_and_controller(case):
    task = task_of(case)
    with pytest.raises(SettingsError) as caught:
        parse_options(task, UNIVERSAL)
    lines = caught.value.message.splitlines()
    check(case, lines)
    on_host = [line.removeprefix("- ") for line in lines if not line.endswith("problems with what the task says:")]
    assert sorted(validate_on_controller(accept_results(task), UNIVERSAL)) == sorted(on_host)
