# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say how a Docker Engine and a registry are reached."""

from __future__ import annotations


class ModuleDocFragment:
    """Names, aliases and meaning are those of community.docker."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Address of the Docker Engine, such as V(unix:///var/run/docker.sock), V(tcp://engine.example.com:2376) or
        V(ssh://user@engine.example.com).
      - When left out, the environment variable E(DOCKER_HOST) of the host where the module runs is used, and the
        default socket where that is not set either.
    type: str
    aliases: [docker_url]
  tls:
    description:
      - Whether the connection is encrypted, without a look at the engine's certificate. See O(validate_certs).
      - When left out, the environment variable E(DOCKER_TLS) of the host where the module runs is used.
    type: bool
  validate_certs:
    description:
      - Whether the connection is encrypted and the engine's certificate checked.
      - When left out, the environment variable E(DOCKER_TLS_VERIFY) of the host where the module runs is used. A
        connection to another machine that is not checked gives a warning in the result.
      - For the Prefect API there is O(api_validate_certs).
    type: bool
    aliases: [tls_verify]
  tls_hostname:
    description:
      - Name that the engine's certificate is checked against, where it is another than that in O(docker_host). Versions
        of the Docker SDK from 7.0 on know no other name.
      - When left out, the environment variable E(DOCKER_TLS_HOSTNAME) of the host where the module runs is used.
    type: str
  ca_path:
    description:
      - File with the certificate of the authority that the engine's certificate is checked against.
      - When left out, C(ca.pem) in the directory that E(DOCKER_CERT_PATH) names on the host where the module runs.
    type: path
    aliases: [ca_cert, tls_ca_cert, cacert_path]
  client_cert:
    description:
      - File with the client certificate.
      - When left out, C(cert.pem) in the directory that E(DOCKER_CERT_PATH) names on the host where the module runs.
    type: path
    aliases: [tls_client_cert, cert_path]
  client_key:
    description:
      - File with the key of the client certificate.
      - When left out, C(key.pem) in the directory that E(DOCKER_CERT_PATH) names on the host where the module runs.
    type: path
    aliases: [tls_client_key, key_path]
  api_version:
    description:
      - Version of Docker's API, such as V("1.41"). The newest that both sides know when left out, or what the
        environment variable E(DOCKER_API_VERSION) of the host where the module runs says.
    type: str
    aliases: [docker_api_version]
  timeout:
    description:
      - Seconds that the engine may take for an answer. When left out, the environment variable E(DOCKER_TIMEOUT) of the
        host where the module runs is used, and 60 where that is not set either.
      - It has nothing to do with the keyword C(timeout) of a task.
    type: float
  use_ssh_client:
    description:
      - Whether the program C(ssh) is used for C(ssh://) addresses, in place of the Python package paramiko. V(false)
        when left out. The package has to be there all the same, since the Docker SDK imports it.
    type: bool
  pull_timeout:
    description:
      - Seconds that the pull of an image may take, V(900) when left out.
    type: float
  registry_url:
    description:
      - Address of the registry that the credentials are for. Taken from the image's name when left out.
    type: str
  registry_username:
    description:
      - User at the registry that images are pulled from. Sent with the request for the pull and kept nowhere.
      - When this and O(registry_password) are left out, the Docker configuration of the user of the module is used.
    type: str
  registry_password:
    description:
      - Password or token of O(registry_username). Neither goes without the other.
    type: str
"""
