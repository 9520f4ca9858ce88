# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine on the host gets of the environment of the module that launches it."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_interpreter import (
    Interpreter,
    base_environment,
)

HOST = {
    "PATH": "/usr/bin",
    "HOME": "/home/ada",
    "LC_ALL": "C.UTF-8",
    "PREFECT_API_URL": "http://elsewhere/api",
    "PREFECT_PROFILE": "other",
    "PYTHONHOME": "/opt/python",
    "PYTHONPATH": "/opt/lib",
}


def test_settings_of_prefect_on_the_host_do_not_reach_the_engine():
    assert base_environment(HOST) == {"PATH": "/usr/bin", "HOME": "/home/ada", "LC_ALL": "C.UTF-8"}


def test_what_a_virtual_environment_changes():
    environment = dict(HOST)
    Interpreter("virtualenv", ("/srv/venv/bin/python",), "/srv/venv").activate(environment)
    assert (environment["PATH"], environment["VIRTUAL_ENV"]) == ("/srv/venv/bin:/usr/bin", "/srv/venv")
    assert "PYTHONHOME" not in environment


def test_other_interpreters_change_nothing():
    environment = dict(HOST)
    Interpreter("python", ("/usr/bin/python3",)).activate(environment)
    assert environment == HOST
