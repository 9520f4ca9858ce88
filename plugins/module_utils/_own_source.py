# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Sources of this collection that other interpreters execute."""

from __future__ import annotations

import types
import typing as t


def source_of(module: types.ModuleType) -> str:
    """The text of a module. On a managed host there is no file: it lies in Ansible's zip."""
    loader: t.Any = module.__loader__
    source = loader.get_source(module.__name__)
    return source.decode() if isinstance(source, bytes) else str(source)  # Ansible's loader on the controller: bytes
