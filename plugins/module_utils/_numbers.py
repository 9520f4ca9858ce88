# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Numbers that somebody else wrote: a server, a record on a disk."""

from __future__ import annotations

import math
import typing as t


def finite(value: t.Any) -> float | None:
    """A number out of JSON; ``None`` for what is none, not finite, or an integer beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
