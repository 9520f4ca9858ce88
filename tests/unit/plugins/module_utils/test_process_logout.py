# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that end a user's processes at logout are recognised."""

from __future__ import annotations

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_logout import logout_warning

UID = 4_000_000
USER = str(UID)


def host(root, files, logind_runs=True):
    if logind_runs:
        (root / "run/systemd/sessions").mkdir(parents=True)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


KILLS = "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n"


@pytest.mark.parametrize(
    "files",
    [
        {"etc/systemd/logind.conf": KILLS},
        {"usr/lib/systemd/logind.conf.d/50-kill.conf": KILLS},
        {"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=no\n", "etc/systemd/logind.conf.d/1.conf": KILLS},
    ],
)
def test_a_logout_that_kills_is_told_with_its_remedy(tmp_path, files):
    assert f"loginctl enable-linger {USER}" in logout_warning(host(tmp_path, files), UID)


@pytest.mark.parametrize(
    ("files", "logind_runs"),
    [
        ({}, True),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=no\n"}, True),
        ({"etc/systemd/logind.conf": KILLS}, False),
        ({"etc/systemd/logind.conf": KILLS, f"var/lib/systemd/linger/{USER}": ""}, True),
        ({"etc/systemd/logind.conf": KILLS + f"KillExcludeUsers=root {USER}\n"}, True),
        ({"etc/systemd/logind.conf": KILLS, "etc/systemd/logind.conf.d/1.conf": "[Login]\nKillUserProcesses=no"}, True),
        ({"etc/systemd/logind.conf": "\0 not a configuration"}, True),
    ],
)
def test_other_hosts_are_left_in_peace(tmp_path, files, logind_runs):
    assert logout_warning(host(tmp_path, files, logind_runs), UID) == ""


def test_root_is_excluded_unless_said_otherwise(tmp_path):
    assert logout_warning(host(tmp_path, {"etc/systemd/logind.conf": KILLS}), 0) == ""
