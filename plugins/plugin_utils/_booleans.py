# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""What users mean by yes and no."""

from __future__ import annotations

import typing as t


def is_true(value: t.Any) -> bool:
    """Ansible's idea of a boolean, for arguments that no argument spec has converted yet."""
    return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on", "y", "t")
