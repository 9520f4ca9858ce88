# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Where Prefect 2.20 keeps things differently from Prefect 3."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_common import deployment_path
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_v3 import CatalogV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import PREFECT2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields

#: What only creating a deployment anew can change.
_ONLY_ANEW = ("parameter_openapi_schema", "pull_steps")
#: What a deployment is created from; schedules apart.
_CREATED_FROM = (
    *("name", "flow_id", "entrypoint", "path", "description", "version", "tags", "paused", "parameters"),
    *("enforce_parameter_schema", "work_pool_name", "work_queue_name", "infra_overrides"),
    *("manifest_path", "storage_document_id", "infrastructure_document_id"),
    *_ONLY_ANEW,
)
#: What the server takes of the schedules of a deployment that is created anew, and what it forgets.
_REMEMBERED = ("schedule", "active")
_FORGOTTEN = ("max_active_runs", "max_scheduled_runs", "catchup")


class CatalogV2(CatalogV3):
    """Prefect 2.20 (measured with 2.20.26)."""

    generation = PREFECT2

    def _told_deployment(self, raw: Document) -> Document:
        return {**raw, "job_variables": raw.get("infra_overrides")}

    def _sent_deployment(self, body: Document) -> Document:
        if "schedules" not in body:
            return body
        return {**body, "schedules": [self._sent_schedule(schedule) for schedule in body["schedules"]]}

    def _sent_schedule(self, body: Document) -> Document:
        return {name: value for name, value in body.items() if name != "parameters"}

    def create_deployment(self, flow_name: str, body: Document) -> Document:
        # As Prefect 3 does when nothing is said; without a schema the server would refuse every later change.
        said = {"enforce_parameter_schema": True, "parameter_openapi_schema": {}, **body}
        return super().create_deployment(flow_name, said)

    def update_deployment(self, deployment_id: str, changes: Document) -> None:
        anew = {name: changes[name] for name in _ONLY_ANEW if name in changes}
        if anew:
            self._create_anew(deployment_id, anew)
        rest = {name: value for name, value in changes.items() if name not in anew}
        if rest:
            super().update_deployment(deployment_id, rest)

    def _create_anew(self, deployment_id: str, changes: Document) -> None:
        """Under the same flow and name it keeps its id and its runs, and gets everything else from this request."""
        found = self._read(deployment_path(deployment_id))
        schedules = Fields(found, "deployment").items("schedules")
        body = {**{name: found.get(name) for name in _CREATED_FROM}, **changes}
        body["schedules"] = [{name: one[name] for name in _REMEMBERED} for one in schedules]
        left = Fields(self._send("POST", "/deployments/", body, dict), "deployment").items("schedules")
        for old in schedules:
            new = next((one for one in left if all(one[name] == old[name] for name in _REMEMBERED)), None)
            if new is not None:
                left.remove(new)
                self._remind(deployment_id, old, new)

    def _remind(self, deployment_id: str, old: Document, new: Document) -> None:
        forgotten = {name: old[name] for name in _FORGOTTEN if old[name] != new[name]}
        if forgotten:
            self.change_schedules(deployment_id, (), {new["id"]: forgotten}, ())
