# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Chooses the words in which a server's catalog is read and written."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Catalog
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_orion import CatalogOrion
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_v2 import CatalogV2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog_v3 import CatalogV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi

CATALOGS: tuple[type[Catalog], ...] = (CatalogV3, CatalogV2, CatalogOrion)


def open_catalog(api: PrefectApi) -> Catalog:
    """The catalog of a server that we are connected to, over the same transport."""
    (catalog,) = (one for one in CATALOGS if one.generation is api.generation)
    return catalog(api.transport)
