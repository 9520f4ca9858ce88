# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this plugin_util may change or vanish without notice.

"""Controller side of the management modules: early validation and environment fallbacks."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fields import TABLES
from ansible_collections.flowops.prefect.plugins.module_utils._collector import spare_collector
from ansible_collections.flowops.prefect.plugins.module_utils._fields import fallbacks_of
from ansible_collections.flowops.prefect.plugins.module_utils._management import masked_params, problems_of


class ManagementAction(ActionBase):
    """Base of the action plugins; a subclass names its ``module``."""

    module: t.ClassVar[str]
    _supports_check_mode = True
    _supports_async = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate and execute."""
        spare_collector()
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        args.update(fallbacks_of(TABLES[self.module].fields, args, os.environ))
        problems = problems_of(self.module, args)
        if problems:
            return {
                "failed": True,
                "changed": False,
                "msg": "\n".join(problems),
                "category": "bad_settings",
                "invocation": {"module_args": masked_params(self.module, args)},
            }
        result: dict[str, t.Any] = self._execute_module(
            module_name=f"flowops.prefect.{self.module}",
            module_args={name: value for name, value in args.items() if value is not None},
            # The module's parameters may hold values of environments: they must not reach the host's syslog.
            task_vars=dict(task_vars or {}, ansible_no_target_syslog=True),
            wrap_async=self._task.async_val,
        )
        return result
