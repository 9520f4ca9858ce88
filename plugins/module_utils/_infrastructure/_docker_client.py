# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The connection to a Docker Engine: options as in community.docker, and errors in words with a remedy.

The Docker SDK is loaded at the first use: hosts that run nothing in Docker need not have it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import typing as t
import urllib.parse

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.flowops.prefect.plugins.module_utils._collector import uncollected
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    FlowopsError,
    InfrastructureError,
    InfrastructureUnreachable,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise

DEFAULT_HOST = "unix:///var/run/docker.sock"
DEFAULT_TIMEOUT = 60.0

_TRUE = ("1", "true", "yes", "on", "y", "t")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_WORDS = 400

#: Category of an engine that cannot show what it was told to send away.
OUTPUT_ELSEWHERE = "output_elsewhere"

#: What an engine's refusals mean: pattern, category, remedy. The first that fits counts.
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    (r"port is already allocated|address already in use", "port_conflict", "Free the port, or publish another."),
    (
        r"network \S+ not found|No such network|could not find (a )?network|network .* is ambiguous",
        "network_missing",
        "Create the network, or correct networks or network_mode ('docker network ls' lists what there is).",
    ),
    (
        r"executable file not found|no such file or directory: unknown|exec format error",
        "command_missing",
        "Use an image that has Prefect and finds it with the command python.",
    ),
    (
        (
            r"bind source path does not exist|invalid mount config|invalid volume specification|invalid mount path"
            r"|error while creating mount source|mountpoint|Duplicate mount point|mount denied"
        ),
        "volume_conflict",
        "Check volumes: each source must exist on the engine's host, each place in the container may be used once.",
    ),
    (
        r"could not select device driver|nvidia|error gathering device information",
        "device_missing",
        "Check device_requests; for cards of NVIDIA the engine's host needs the NVIDIA Container Toolkit.",
    ),
    (
        r"Unknown runtime|Invalid isolation|OCI runtime create failed",
        "bad_settings",
        "Correct what it names: mostly something of container_create_kwargs, or privileged.",
    ),
    (
        r"does not support reading",
        OUTPUT_ELSEWHERE,
        "Output of flow runs is shown where the engine's logging driver can be read, such as json-file or local.",
    ),
    (r"no space left on device", "disk_full", "Free some space where the engine keeps its data."),
    (r"unauthorized|authentication required|denied|no basic auth", "pull_denied", "Check the registry's credentials."),
    (r"Minimum memory|memory limit|memoryswap", "bad_settings", "Check mem_limit, memswap_limit and shm_size."),
    (
        r"unable to find user|no matching entries in passwd",
        "bad_settings",
        "Give a user that the image has, or numbers.",
    ),
)


def sdk() -> t.Any:
    """The ``docker`` package.

    :raises SettingsError: it is not installed where the module runs.
    """
    try:
        with uncollected():
            import docker
            import docker.models.containers
    except ImportError:
        raise SettingsError(
            missing_required_lib("docker", reason="for flow runs in Docker containers") + ".",
            "Install the package docker from PyPI (python3-docker in Debian) for that interpreter.",
            "library_missing",
        ) from None
    return docker


def _require_paramiko() -> None:
    """The SDK has no ssh without it, not even with the program."""
    try:
        importlib.import_module("paramiko")
    except ImportError:
        raise SettingsError(
            missing_required_lib("paramiko", reason="for a docker_host behind ssh, with use_ssh_client too") + ".",
            "Install docker[ssh] from PyPI (python3-paramiko in Debian) for that interpreter.",
            "library_missing",
        ) from None


class Connection:
    """One engine.

    :arg options: the task's connection options (``Task.connection``).
    :arg environ: where the options that were left open may be told, as for every tool of Docker.
    """

    def __init__(self, options: t.Mapping[str, t.Any], environ: t.Mapping[str, str] | None = None) -> None:
        self._options = {name: value for name, value in options.items() if value is not None}
        self._environ = os.environ if environ is None else environ
        self._client: t.Any = None
        self._info: dict[str, t.Any] = {}

    def again(self) -> Connection:
        """The same engine over a connection of its own, for another process."""
        return Connection(self._options, self._environ)

    # --- where and how -----------------------------------------------------------------------------------------------

    def _given(self, option: str, variable: str) -> str:
        return str(self._options.get(option) or self._environ.get(variable) or "")

    @property
    def host(self) -> str:
        """The address; with TLS a tcp address is one of https."""
        return self._given("docker_host", "DOCKER_HOST") or DEFAULT_HOST

    def _flag(self, option: str, variable: str) -> bool:
        if option in self._options:
            return bool(self._options[option])
        value = self._environ.get(variable, "")
        # DOCKER_TLS_VERIFY means yes by being there, whatever it says, but for what everybody reads as no.
        return value.lower() in _TRUE if variable == "DOCKER_TLS" else value.lower() not in ("", "0", "false", "no")

    def _tls(self) -> t.Any:
        """What the SDK takes as ``tls``."""
        verify = self._flag("validate_certs", "DOCKER_TLS_VERIFY")
        if not verify and not self._flag("tls", "DOCKER_TLS"):
            return None
        files = {name: self._file(name, default) for name, default in _FILES.items()}
        if bool(files["client_cert"]) != bool(files["client_key"]):
            raise SettingsError("client_cert and client_key: one is there without the other.", "Give both.")
        hostname = self._given("tls_hostname", "DOCKER_TLS_HOSTNAME")
        pair = (files["client_cert"], files["client_key"]) if files["client_cert"] else None
        try:
            return sdk().tls.TLSConfig(
                client_cert=pair,
                ca_cert=files["ca_path"] if verify else None,
                verify=verify,
                **({"assert_hostname": hostname} if hostname and _takes_hostname(sdk()) else {}),
            )
        except sdk().errors.TLSParameterError as error:
            raise SettingsError(f"The TLS options cannot be used: {words(error)}.", "Check paths and files.") from None

    def _file(self, option: str, name: str) -> str | None:
        if option in self._options:
            return str(self._options[option])
        folder = self._environ.get("DOCKER_CERT_PATH")
        path = os.path.join(folder, name) if folder else ""
        return path if path and os.path.exists(path) else None

    @property
    def _timeout(self) -> float:
        """Seconds for one request."""
        given = self._given("timeout", "DOCKER_TIMEOUT") or DEFAULT_TIMEOUT
        try:
            return float(given)
        except ValueError:
            raise SettingsError(
                f"DOCKER_TIMEOUT: {given} is no number.", "Give seconds, or the option timeout."
            ) from None

    @property
    def is_local(self) -> bool:
        """Whether the engine is on this machine: paths and the loopback interface mean the same for both."""
        parts = urllib.parse.urlsplit(self.host)
        return parts.scheme in ("unix", "npipe") or parts.hostname in _LOOPBACK

    @property
    def warnings(self) -> list[str]:
        """Whoever can listen to or stand in for an engine has the secrets of its containers."""
        if self.is_local or self.host.startswith("ssh:"):
            return []
        if not self._flag("validate_certs", "DOCKER_TLS_VERIFY"):
            how = "is not checked" if self._flag("tls", "DOCKER_TLS") else "is not encrypted"
            return [
                f"docker_host: the connection to the engine {how}, and secrets go over it. Use validate_certs: true."
            ]
        return []

    # --- talking -----------------------------------------------------------------------------------------------------

    @property
    def client(self) -> t.Any:
        """The SDK's low-level client. Its session may be used by several threads."""
        if self._client is None:
            with self.explained("docker_host"):
                self._client = self._connect()
        return self._client

    def _connect(self) -> t.Any:
        tls = self._tls()
        host = self.host
        if host.startswith("ssh://"):
            _require_paramiko()
        if tls is not None and host.startswith("tcp://"):
            host = "https://" + host[len("tcp://") :]
        return _client_class(sdk())(
            base_url=host,
            version=self._given("api_version", "DOCKER_API_VERSION") or "auto",
            timeout=self._timeout,
            tls=tls,
            use_ssh_client=bool(self._options.get("use_ssh_client")),
        )

    @property
    def info(self) -> dict[str, t.Any]:
        """What the engine says of itself; asked once."""
        if not self._info:
            with self.explained("docker_host"):
                self._info = self.client.info()
        return self._info

    def request(self, method: str, path: str, **more: t.Any) -> t.Any:
        """A request of our own over the SDK's session, for what its methods keep to themselves.

        :raises Exception: the SDK's, for an answer that is an error.
        """
        client = self.client
        url = f"{client.base_url}/v{client.api_version}{path}"
        answer = getattr(client, method)(url, timeout=client.timeout, **more)
        if answer.status_code >= 400:
            client._raise_for_status(answer)  # noqa: SLF001 - its reading of an error
        return answer

    @contextlib.contextmanager
    def explained(self, what: str) -> t.Iterator[None]:
        """Errors of the SDK and of what it stands on become ours.

        :arg what: the object that the message is about.
        """
        try:
            yield
        except FlowopsError:
            raise
        except Exception as error:
            translated = self._translated(what, error)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, what: str, error: Exception) -> Exception | None:
        errors = sdk().errors
        if isinstance(error, errors.APIError) and error.response is not None:
            return refusal(what, words(error), error.response.status_code)
        if isinstance(error, (errors.DockerException, OSError)) or type(error).__module__.partition(".")[0] in (
            "requests",
            "urllib3",
            "paramiko",
        ):
            return InfrastructureUnreachable(
                f"The Docker Engine at {self.host} cannot be reached: {words(error)}.", _remedy(self.host, words(error))
            )
        return None

    def is_missing(self, error: Exception) -> bool:
        """Whether the engine says that there is no such thing."""
        return isinstance(error, sdk().errors.NotFound)


def _client_class(docker: t.Any) -> t.Any:
    """The SDK's client, which believes the task about certificates and not ``REQUESTS_CA_BUNDLE``."""

    class Client(docker.APIClient):
        def merge_environment_settings(
            self, url: str, proxies: t.Any, stream: t.Any, verify: t.Any, cert: t.Any
        ) -> t.Any:
            settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
            return {**settings, "verify": self.verify if verify is None else verify}

    return Client


_FILES = {"ca_path": "ca.pem", "client_cert": "cert.pem", "client_key": "key.pem"}


def _takes_hostname(docker: t.Any) -> bool:
    """SDKs since version 7 know no other name than the host's."""
    return "assert_hostname" in docker.tls.TLSConfig.__init__.__code__.co_varnames


def status_of(error: BaseException | None) -> int:
    """The HTTP status that an engine refused with; 0 for an error of another kind."""
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def words(error: BaseException) -> str:
    """What an engine or a library says, on one short line."""
    text = str(getattr(error, "explanation", None) or error) or type(error).__name__
    text = re.sub(r"^Error while fetching server API version: ", "", text)
    return neutralise(" ".join(text.split()))[:_LONGEST_WORDS].rstrip(". ")


def refusal(what: str, said: str, status: int) -> InfrastructureError:
    """An engine's refusal as an error with category and remedy."""
    for pattern, category, remedy in _REFUSALS:
        if re.search(pattern, said, re.IGNORECASE):
            return InfrastructureError(f"{what}: the Docker Engine says: {said}.", remedy, category)
    remedy = "Look at the engine's log." if status >= 500 else "Correct what it names."
    return InfrastructureError(f"{what}: the Docker Engine says (HTTP {status}): {said}.", remedy)


def _remedy(host: str, said: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in said or "doesn't match" in said:
        return "Give the authority of the engine's certificate as ca_path, and check tls_hostname."
    if "alert" in said.lower() or "certificate" in said.lower():
        return "The engine wants a certificate that it trusts: give client_cert and client_key."
    if "API version" in said:
        return "Give another api_version (DOCKER_API_VERSION), or leave it out."
    if "wrong version number" in said.lower() or "HTTPS client" in said or "HTTPS server" in said:
        return "The engine wants TLS, or does not: check tls and validate_certs."
    if "ermission denied" in said:
        return "Use become, or add the user to the group that owns the socket (mostly docker)."
    if host.startswith("unix:"):
        return "Start the engine on that host, or say in docker_host where it listens."
    if host.startswith("ssh:"):
        return "Correct docker_host until 'ssh …' with 'docker version' as its command answers and asks for nothing."
    return "Check docker_host, the network, and that the engine listens there."
