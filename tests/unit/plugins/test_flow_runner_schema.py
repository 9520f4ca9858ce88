# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of our work pools says about a flow runner what the collection's own checks say.

Apart from the checks' tests, since managed nodes have no library for schemas.
"""

from __future__ import annotations

import jsonschema
import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _flow_runner as flow_runner
from ansible_collections.flowops.prefect.tests.unit.plugins.module_utils.test_flow_runner import GOOD

BAD_CONFIGS = [
    {"type": "podman"},
    {"type": "docker", "config": {"virtualenv": "/v"}},
    {"type": "docker", "config": {"env": {"A": 1}}},
    {"type": "kubernetes", "config": {"finished_job_ttl": -1}},
    {"type": "kubernetes", "config": {"restart_policy": "Always"}},
    {"type": "subprocess", "config": {"output_limit": "much"}},
    {"type": "docker", "config": {}, "more": 1},
    {"config": {}},
]


@pytest.fixture
def refuses():
    """Whether a server's validation of job variables with our template refuses a flow runner."""
    validator = jsonschema.Draft202012Validator(flow_runner.base_job_template()["variables"])
    return lambda value: not validator.is_valid({flow_runner.JOB_VARIABLE: value})


@pytest.mark.parametrize("runner", flow_runner.TYPES)
def test_the_schema_accepts_what_is_stored(runner, refuses):
    assert not refuses(flow_runner.stored(flow_runner.checked({"type": runner, **GOOD[runner]})))


@pytest.mark.parametrize("value", BAD_CONFIGS)
def test_the_schema_refuses_what_is_wrong(value, refuses):
    assert refuses(value)
