# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say how the Prefect API is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """The same for every module that talks to Prefect."""

    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - Address of the Prefect API as seen from the host where the module runs, such as
        V(http://prefect.example.com:4200/api). It begins with V(http://) or V(https://) and has no credentials in it.
      - When left out, the environment variable E(PREFECT_API_URL) of the controller is used. In AWX that includes what
        credentials inject. The environment of the managed host does not count.
    type: str
  api_key:
    description:
      - API key of Prefect Cloud, sent as a bearer token.
      - When left out, the environment variable E(PREFECT_API_KEY) of the controller is used, unless the task gives
        O(api_auth_string).
      - Runner modules hand it to the engine, as a secret.
    type: str
  api_auth_string:
    description:
      - User and password of a server with basic authentication, as C(user:password).
      - When left out, the environment variable E(PREFECT_API_AUTH_STRING) of the controller is used, unless there is an
        O(api_key).
      - Runner modules hand it to the engine, as a secret.
    type: str
  api_headers:
    description:
      - More HTTP headers for every request, for example for an authenticating proxy. All values count as secrets.
      - When left out, the environment variable E(PREFECT_CLIENT_CUSTOM_HEADERS) of the controller is used, which holds
        JSON.
    type: dict
  api_ca_path:
    description:
      - File with the certificates of the authorities that the API's certificate is checked against, on the host where
        the module runs.
    type: path
  api_client_cert:
    description:
      - File with the client certificate, and its key unless O(api_client_key) is given, on the host where the module
        runs.
    type: path
  api_client_key:
    description:
      - File with the key of O(api_client_cert), on the host where the module runs.
    type: path
  api_validate_certs:
    description:
      - Whether the API's certificate is checked. V(true) when left out.
      - V(false) together with credentials gives a warning in the result.
    type: bool
  api_timeout:
    description:
      - Seconds that one request may take.
      - When left out, the environment variable E(PREFECT_API_REQUEST_TIMEOUT) of the controller is used, and V(30)
        where that is not set either.
    type: float
"""

    ENGINE = r"""
options:
  engine_api_url:
    description:
      - Address of the same API as seen by the engine of a run. O(api_url) when left out.
    type: str
"""
