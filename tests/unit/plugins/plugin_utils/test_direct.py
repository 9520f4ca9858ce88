# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a worker may do what a module does; that it comes to the same is tested with a Docker Engine."""

from __future__ import annotations

import datetime
import logging
import sys
import types
from typing import Any

import pytest
from ansible import constants

from ansible_collections.flowops.prefect.plugins.module_utils import _runner_module
from ansible_collections.flowops.prefect.plugins.plugin_utils._direct import executed_here, runs_here

PYTHON = {"ansible_python_interpreter": sys.executable}


def action(**changes: Any) -> Any:
    """An action plugin as :func:`runs_here` sees one, of a task on the controller itself."""
    task = {"environment": [{}, None], "async_val": 0, "delegate_to": None}
    connection = {"transport": "local", "become": None}
    for members in (task, connection):
        members.update({name: value for name, value in changes.items() if name in members})
    templar = types.SimpleNamespace(template=lambda value: changes.get("templates", {}).get(value, value))
    return types.SimpleNamespace(
        _task=types.SimpleNamespace(**task), _connection=types.SimpleNamespace(**connection), _templar=templar
    )


@pytest.mark.parametrize(
    ("changes", "task_vars", "here"),
    [
        ({}, PYTHON, True),
        (
            {"templates": {"{{ playbook_python }}": sys.executable}},
            {"ansible_python_interpreter": "{{ playbook_python }}"},
            True,
        ),
        ({}, {**PYTHON, "flowops_prefect_direct": True}, True),
        ({}, {**PYTHON, "flowops_prefect_direct": False}, False),
        ({}, {**PYTHON, "flowops_prefect_direct": "no"}, False),
        ({}, {}, False),
        ({}, {"ansible_python_interpreter": "auto"}, False),
        ({}, {"ansible_python_interpreter": f"{sys.executable}-other"}, False),
        ({"transport": "ssh"}, PYTHON, False),
        ({"become": object()}, PYTHON, False),
        ({"environment": [{}, {"NO_PROXY": "*"}]}, PYTHON, False),
        ({"async_val": 60}, PYTHON, False),
        ({"delegate_to": "other"}, PYTHON, False),
        ({"delegate_to": "other"}, {"ansible_delegated_vars": {"other": PYTHON}}, True),
        ({"delegate_to": "other"}, {**PYTHON, "ansible_delegated_vars": {"other": {}}}, False),
    ],
)
def test_where_it_comes_to_the_same(changes: dict[str, Any], task_vars: dict[str, Any], here: bool) -> None:
    """The same Python, user and environment, on the host that the task is about."""
    assert runs_here(action(**changes), task_vars) is here


def test_who_wants_to_keep_the_files_of_modules_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """ANSIBLE_KEEP_REMOTE_FILES is for people who look into modules."""
    monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", True)
    assert not runs_here(action(), PYTHON)


@pytest.mark.parametrize(
    "args",
    [
        {"flow_run_id": datetime.datetime(2026, 12, 1, tzinfo=datetime.timezone.utc)},
        {"flow_run_id": "a", "flow_run_ids": ["b"]},
        {"no_such_option": 1},
        {"wait_timeout": "soon"},
    ],
)
def test_what_only_a_module_has_words_for(args: dict[str, Any]) -> None:
    """Such arguments are left to it."""
    assert executed_here(args, "docker", check_mode=False, diff_mode=False) is None


def test_what_is_refused_before_anything_is_asked() -> None:
    """A result as a module's, with secrets masked."""
    args = {"flow_run_id": "nonsense", "api_key": "never-shown", "secret_env": {"A": "never-shown-either"}}
    result = executed_here(args, "docker", check_mode=False, diff_mode=False)
    assert result is not None
    assert (result["failed"], result["category"], result["runs"]) == (True, "bad_settings", [])
    assert "flow_run_id" in result["msg"]
    assert "never-shown" not in str(result)
    assert result["invocation"]["module_args"]["flow_run_id"] == "nonsense"
    assert "warnings" not in result


def test_nothing_reaches_the_terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """What libraries print and log belongs to a module's output, which nobody sees; nor can they ask anybody."""
    seen = []

    def chatty(*_args: Any) -> dict[str, Any]:
        print("printed")
        logging.getLogger("flowops-test").error("logged")
        seen.append(sys.stdout.isatty())
        return {"changed": False}

    monkeypatch.setattr(_runner_module, "result_of", chatty)
    args = {"flow_run_id": "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"}
    assert executed_here(args, "docker", check_mode=False, diff_mode=False) == {"changed": False}
    assert seen == [False]
    assert capfd.readouterr() == ("", "")
    print("afterwards")
    assert capfd.readouterr().out == "afterwards\n"
