# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes that all modules have, and what they mean here."""

from __future__ import annotations


class ModuleDocFragment:
    """The module itself says how far it supports each of them."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check_mode and say what it would do, without changing the server or the host.
  diff_mode:
    description: Says in diff mode what exactly would be or was started.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
  async:
    description: Supports being used with the C(async) keyword.
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/flowops.prefect.prefect) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - flowops.prefect.prefect
"""
