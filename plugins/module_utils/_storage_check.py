# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Before a launch: whether the flow's code can be where the run is going to be."""

from __future__ import annotations

import threading
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Deployment
from ansible_collections.flowops.prefect.plugins.module_utils._storage import REMEDY, unreachable_code


class StorageCheck:
    """Of the runs of one task. The server is asked once for all their deployments, when the first of them is launched.

    :arg mode: ``strict`` refuses, ``warn`` warns, ``off`` does not look.
    """

    def __init__(self, api: PrefectApi, runner_type: str, mode: str) -> None:
        self._api = api
        self._runner_type = runner_type
        self._mode = mode
        self._known: dict[str, tuple[str, dict[str, t.Any]]] = {}
        self._lock = threading.Lock()
        self.warnings: list[str] = []

    def check_new(self, deployment: Deployment, settings: t.Mapping[str, t.Any]) -> None:
        """A run that is to be created. :raises SettingsError: its code certainly is not there."""
        self._known[deployment.id] = (deployment.full_name, deployment.code)
        self.check(deployment.id, settings, ())

    def check(self, deployment_id: str | None, settings: t.Mapping[str, t.Any], others: t.Iterable[str]) -> None:
        """A run that is about to be launched; from several threads.

        :arg others: deployments of other runs, whose turn may come.
        :raises SettingsError: its code certainly is not there.
        """
        if self._mode == "off" or deployment_id is None:
            return
        with self._lock:
            if deployment_id not in self._known:
                self._read({deployment_id, *others}.difference(self._known))
        name, code = self._known[deployment_id]
        reason = unreachable_code({**code, "flow_runner": {**settings, "type": self._runner_type}})
        if reason is None:
            return
        if self._mode == "strict":
            raise SettingsError(f"deployment {name}: {reason}.", REMEDY)
        self.warnings.append(f"deployment {name}: {reason}. {REMEDY}")

    def _read(self, deployment_ids: t.Collection[str]) -> None:
        """Of a deployment that is gone nothing is certain."""
        self._known.update({**dict.fromkeys(deployment_ids, ("", {})), **self._api.read_code(deployment_ids)})
