# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Chooses the dialect by the server's version."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_orion import PrefectApiOrion
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v2 import PrefectApiV2
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._dialect_v3 import PrefectApiV3
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import SUPPORTED, generation_of
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import (
    ApiSettings,
    Transport,
    printable,
)

_DIALECTS: tuple[type[PrefectApi], ...] = (PrefectApiV3, PrefectApiV2, PrefectApiOrion)


def connect(settings: ApiSettings) -> PrefectApi:
    """The API at ``settings.url``, in its dialect; one request.

    ``/version`` says 0.8.4 on 2.20 and on 3, so only ``/admin/version`` tells.
    """
    transport = Transport(settings)
    try:
        version: t.Any = transport.request("GET", "/admin/version", repeatable=True, shape=str).data
    except ApiNotFound:
        raise ApiError(
            f"What answers at {transport.url} seems not to be a Prefect API.",
            "Set api_url to the API's address: append /api to it.",
            status=404,
        ) from None
    generation = generation_of(version)
    for dialect in _DIALECTS:
        if dialect.generation is generation:
            return dialect(transport, version)
    raise ApiError(
        f"The server at {transport.url} is Prefect {printable(version, 40)}, which is not supported.",
        f"Use a server of {SUPPORTED}.",
        "unsupported_server",
    )
