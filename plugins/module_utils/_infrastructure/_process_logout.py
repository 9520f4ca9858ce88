# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Whether this host ends what a user started when the user logs out, which would take runs with it.

systemd-logind does so with ``KillUserProcesses=yes`` (logind.conf(5)), unless the user lingers or is excluded.
"""

from __future__ import annotations

import configparser
import os
import pwd

#: Later files win, drop-ins over main files, as systemd reads them.
_FOLDERS = ("usr/lib/systemd", "run/systemd", "etc/systemd")


def logout_warning(root: str = "/", uid: int | None = None) -> str:
    """What the user should know; empty where runs survive a logout.

    :arg root: where the file system begins, for tests.
    """
    user = _user_name(os.geteuid() if uid is None else uid)
    settings = _logind_settings(root)
    excluded = settings.get("killexcludeusers", "root").split()
    ends = settings.get("killuserprocesses", "").lower() in ("yes", "true", "1", "on")
    lingers = os.path.exists(os.path.join(root, "var/lib/systemd/linger", user))
    if not ends or lingers or user in excluded or not os.path.isdir(os.path.join(root, "run/systemd/sessions")):
        return ""
    return (
        f"systemd-logind ends everything of {user} at logout (KillUserProcesses=yes), flow runs included. "
        f"Let the user linger: loginctl enable-linger {user}"
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _logind_settings(root: str) -> dict[str, str]:
    """The section ``Login`` of all configuration files, keys in lower case; unreadable files say nothing."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    main = [os.path.join(root, folder, "logind.conf") for folder in _FOLDERS]
    for path in main + _drop_ins(root):
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
    section = parser["Login"] if parser.has_section("Login") else {}
    return {key: value for key, value in section.items() if value is not None}


def _drop_ins(root: str) -> list[str]:
    """Drop-ins in the order in which they count: by name, whatever folder they lie in."""
    found: dict[str, str] = {}
    for folder in _FOLDERS:
        path = os.path.join(root, folder, "logind.conf.d")
        names = os.listdir(path) if os.path.isdir(path) else []
        found.update({name: os.path.join(path, name) for name in names if name.endswith(".conf")})
    return [found[name] for name in sorted(found)]
