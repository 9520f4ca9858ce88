# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Where Prefect 2.20 speaks differently from Prefect 3."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v3 import PrefectApiV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import PREFECT2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields


class PrefectApiV2(PrefectApiV3):
    """Prefect 2.20, the last release before 3 (measured with 2.20.26): pools and inputs are there."""

    generation = PREFECT2
    _page_of_run = "flow-runs/flow-run"

    def _job_variables(self, fields: Fields) -> dict[str, t.Any]:
        return fields.mapping("infra_overrides")
