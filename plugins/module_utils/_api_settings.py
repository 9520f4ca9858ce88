# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From a task's ``api_`` options to what the transport needs."""

from __future__ import annotations

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import ApiSettings
from ansible_collections.flowops.prefect.plugins.module_utils._task import ApiOptions


def api_settings(api: ApiOptions) -> ApiSettings:
    """The same values under the transport's names."""
    return ApiSettings(
        url=api.url,
        key=api.key,
        auth_string=api.auth_string,
        headers=dict(api.headers),
        ca_path=api.ca_path,
        client_cert=api.client_cert,
        client_key=api.client_key,
        validate_certs=api.validate_certs,
        timeout=api.timeout,
    )
