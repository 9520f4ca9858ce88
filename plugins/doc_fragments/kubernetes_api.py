# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that say which namespace of which Kubernetes cluster is meant, and how it is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """The environment variables are those of kubernetes.core."""

    DOCUMENTATION = r"""
options:
  namespace:
    description:
      - The namespace that the Jobs are created in. V(default) when left out. It must exist.
      - A run belongs to the namespace that it was launched in. The same task with another namespace only follows it.
    type: str
  kubeconfig:
    description:
      - File that says how the cluster is reached, on the host where the module runs. Programs that it names for getting
        credentials (C(exec)) are executed there.
      - When left out, the environment variable E(K8S_AUTH_KUBECONFIG) of the controller is used. Without that, a module
        that runs in a pod uses the pod's service account, and otherwise the file that E(KUBECONFIG) of the host names,
        or C(~/.kube/config).
    type: path
  context:
    description:
      - The context of the kubeconfig. Its current one when left out, and when the environment variable
        E(K8S_AUTH_CONTEXT) of the controller is not set either.
    type: str
  kube_host:
    description:
      - Address of the API server, such as V(https://kubernetes.example.com:6443), in place of a kubeconfig.
      - When left out, the environment variable E(K8S_AUTH_HOST) of the controller is used.
    type: str
  kube_token:
    description:
      - Token to log in with, in place of what the kubeconfig says.
      - When left out, the environment variable E(K8S_AUTH_API_KEY) of the controller is used.
    type: str
  kube_ca_cert:
    description:
      - File with the certificate of the authority that the API server's certificate is checked against, on the host
        where the module runs.
      - When left out, the environment variable E(K8S_AUTH_SSL_CA_CERT) of the controller is used.
    type: path
  kube_validate_certs:
    description:
      - Whether the API server's certificate is checked. A connection that is not checked gives a warning in the result.
      - When left out, the environment variable E(K8S_AUTH_VERIFY_SSL) of the controller is used. It is checked when
        that is not set either and the kubeconfig does not say otherwise.
    type: bool
"""
