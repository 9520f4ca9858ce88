# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Chooses the dialect in which a server's catalog is read and written."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Catalog
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_v3 import CatalogV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable

#: Generation by the beginning of the server's version.
CATALOGS: dict[str, type[Catalog]] = {"3": CatalogV3}


def open_catalog(api: PrefectApi) -> Catalog:
    """The catalog of a server that we are connected to, over the same transport."""
    catalog = CATALOGS.get(api.server_version.partition(".")[0])
    if catalog is None:
        raise ApiError(
            f"The server is Prefect {printable(api.server_version, 40)}, whose deployments and pools this collection "
            "does not manage yet.",
            "Use a Prefect 3 server, or Prefect's own commands.",
            "unsupported_server",
        )
    return catalog(api.transport)
