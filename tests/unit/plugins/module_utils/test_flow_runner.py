# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flow runner attached to a deployment: its form and its checks."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _flow_runner as flow_runner
from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError

GOOD = {
    "universal": {"env": {"A": "1"}},
    "subprocess": {"env": {"A": "1", "B": None}, "virtualenv": "/srv/venv", "output_limit": 100_000},
    "docker": {"image": "x:1", "mem_limit": "512m", "networks": ["a"], "volumes": ["/a:/b"], "auto_remove": True},
    "kubernetes": {"image": "x:1", "namespace": "flows", "resources": {"limits": {"cpu": "1"}}, "finished_job_ttl": 5},
}
BAD = [
    ({}, "type is missing"),
    ({"type": "podman"}, "type is the text 'podman'"),
    ({"type": 5}, "type is the number 5"),
    ({"type": "docker", "virtualenv": "/v"}, "virtualenv is no option here"),
    ({"type": "universal", "image": "x"}, "image is no option here"),
    ({"type": "docker", "env": {"PORT": 80}}, "env.PORT is the number 80"),
    ({"type": "subprocess", "python": "/p", "virtualenv": "/v"}, "cannot be combined"),
    ({"type": "docker", "secret_env": {"A": "canary"}}, "secret_env would be readable"),
    ({"type": "docker", "registry_password": "canary"}, "registry_password is no option here"),
]


@pytest.mark.parametrize("runner", flow_runner.TYPES)
def test_what_is_stored_reads_back_the_same_and_is_clean_already(runner):
    cleaned = flow_runner.checked({"type": runner, **GOOD[runner]})
    document = {flow_runner.JOB_VARIABLE: flow_runner.stored(cleaned)}
    assert flow_runner.attached(document) == cleaned == flow_runner.checked(cleaned)


def test_only_what_was_given_is_stored():
    """Defaults are those of whoever launches the run, at that time: an image follows its server's version."""
    cleaned = flow_runner.checked({"type": "docker", "networks": ["a"], "auto_remove": None})
    assert flow_runner.stored(cleaned) == {"type": "docker", "config": {"networks": ["a"]}}


@pytest.mark.parametrize(("value", "words"), BAD)
def test_what_is_wrong_is_named(value, words):
    with pytest.raises(ProblemsError, match=words) as caught:
        flow_runner.checked(value)
    assert "canary" not in str(caught.value)


def test_no_secret_can_be_attached():
    for runner in flow_runner.TYPES:
        assert not any(field.secret for field in flow_runner.fields_of_type(runner))


@pytest.mark.parametrize("value", [None, "docker", {}, {"type": 5}, []])
def test_what_cannot_be_read_is_none(value):
    assert flow_runner.attached({flow_runner.JOB_VARIABLE: value}) is None
