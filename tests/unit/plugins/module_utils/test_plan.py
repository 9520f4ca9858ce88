# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment that a launch gives to its engine, whatever the infrastructure."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey
from ansible_collections.flowops.prefect.plugins.module_utils._plan import plan_launch
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import PREFECT3
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task

RUN = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
URL = "http://prefect.example.com/api"


def planned(**options):
    task = parse_task({"api_url": URL, "flow_run_id": RUN, **options}, "subprocess")
    return plan_launch(
        "subprocess",
        task,
        task.requests[0],
        flow_run_name="lively-hornet",
        key=AttemptKey(RUN, 1),
        token="t",
        inheritable=(),
        owner={},
        rerun=False,
        claims=True,
        concurrency=None,
        generation=PREFECT3,
    )


def test_prefects_own_settings_are_those_that_were_given():
    launch = planned(env={"A": "1"})
    assert launch.environment == {"PREFECT_API_URL": URL, "A": "1"}
    assert launch.secret_environment == {}
    launch = planned(api_key="pnu_canary", api_validate_certs=False)
    assert launch.environment == {"PREFECT_API_URL": URL, "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"}
    assert launch.secret_environment == {"PREFECT_API_KEY": "pnu_canary"}


def test_what_the_user_says_in_env_wins():
    launch = planned(api_key="pnu_canary", env={"PREFECT_API_URL": "http://inside/api", "PREFECT_API_KEY": "other"})
    assert launch.environment["PREFECT_API_URL"] == "http://inside/api"
    assert launch.secret_environment == {"PREFECT_API_KEY": "other"}
    assert launch.api_url_chosen


def test_null_in_env_takes_a_setting_away():
    launch = planned(api_key="pnu_canary", env={"PREFECT_API_KEY": None})
    assert launch.secret_environment == {}
    assert launch.unset_environment == ("PREFECT_API_KEY",)
