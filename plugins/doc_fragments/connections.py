# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that reach a Docker Engine or a cluster, where a module knows both."""

from __future__ import annotations


class ModuleDocFragment:
    """The names are those of the module flow_runner."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:docker_host).
    type: str
    aliases: [docker_url]
  docker_tls:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:tls).
    type: bool
  docker_validate_certs:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:validate_certs).
    type: bool
  docker_tls_hostname:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:tls_hostname).
    type: str
  docker_ca_path:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:ca_path).
    type: path
  docker_client_cert:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:client_cert).
    type: path
  docker_client_key:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:client_key).
    type: path
  docker_api_version:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:api_version).
    type: str
  docker_timeout:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:timeout).
    type: float
  docker_use_ssh_client:
    description:
      - For V(docker), see O(flowops.prefect.flow_runner_docker#module:use_ssh_client).
    type: bool
  kubeconfig:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:kubeconfig).
    type: path
  context:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:context).
    type: str
  kube_host:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:kube_host).
    type: str
  kube_token:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:kube_token).
      - It is masked wherever it turns up.
    type: str
  kube_ca_cert:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:kube_ca_cert).
    type: path
  kube_validate_certs:
    description:
      - For V(kubernetes), see O(flowops.prefect.flow_runner_k8s#module:kube_validate_certs).
    type: bool
"""
