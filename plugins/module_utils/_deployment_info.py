# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What is known about deployments."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fit import kept
from ansible_collections.flowops.prefect.plugins.module_utils._deployment import View
from ansible_collections.flowops.prefect.plugins.module_utils._deployment import described as described_deployment
from ansible_collections.flowops.prefect.plugins.module_utils._management import Result, Session
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields


def inform(session: Session) -> Result:
    """Look, and change nothing. A deployment that is named and not there is an error."""
    options = session.options
    ids = [session.api.read_deployment(name).id for name in options.get("deployments", [])]
    found = session.catalog.list_deployments(ids, options.get("flows", []), options.get("tags", []))
    listed = [_view(session, one) for one in found]
    result: Result = {"changed": False, "msg": f"{len(listed)} deployments", "deployments": listed}
    if len(listed) == 1:
        result["deployment"] = listed[0]
    return result


def _view(session: Session, found: Document) -> View:
    fields = Fields(found, "deployment")
    deployment_id = fields.uuid("id")
    return {
        "deployment": f"{found['flow_name']}/{fields.text('name')}",
        "deployment_id": deployment_id,
        "url": session.catalog.deployment_url(deployment_id),
        "status": fields.label("status"),
        "created_at": fields.optional_text("created"),
        "updated_at": fields.optional_text("updated"),
        **kept(session.api.generation, "deployment", described_deployment(found)),
    }
