# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Requests to one Kubernetes API server, as plain JSON.

The ``kubernetes`` package says how the server is reached (kubeconfig with its exec plugins, service account of a pod)
and holds the connections. Its typed models stay unused: reading 500 Jobs through them costs many times what their JSON
costs, and a newer server's fields would be lost in an older package.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import json
import os
import random
import re
import time
import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._collector import uncollected
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    InfrastructureError,
    InfrastructureUnreachable,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_package import (
    kubernetes_package,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_trouble import event_trouble
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise

#: More than any answer of ours: 500 Jobs or pods are about 10 MB.
LARGEST_ANSWER = 256 * 1024 * 1024

#: How many objects one list call may bring.
PAGE = 500

#: The package talks to the server over this many connections at once.
CONNECTIONS = 16

_TRIES = 4
_TRANSIENT = frozenset((429, 500, 502, 503, 504))
_LONGEST_MESSAGE = 600
#: A right is missing; policies of a cluster and of a namespace refuse with the same status, and in other words.
_NO_RIGHT = re.compile(r"cannot \S+ resource")
#: Of the request itself. Others are of a moment, of the name, or of the server.
_VERDICTS = frozenset((400, 401, 403, 404, 413, 422))
_NOT_TRIED = re.compile(r"dry.?run", re.IGNORECASE)
_REMARK = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


class KubernetesRefused(InfrastructureError):
    """The server answered, and not with what was asked for.

    :arg status: the HTTP status.
    :arg reason: Kubernetes' one word for it, such as ``AlreadyExists``.
    """

    def __init__(self, message: str, remedy: str, category: str, status: int, reason: str) -> None:
        super().__init__(message, remedy, category)
        self.status = status
        self.reason = reason

    @property
    def is_verdict(self) -> bool:
        """Whether a dry run that ends so says that the real request would be refused too.

        A webhook that supports no dry run refuses only that.
        """
        return self.status in _VERDICTS and not _NOT_TRIED.search(self.message)


@dataclasses.dataclass(frozen=True)
class Connection:
    """How the API server is reached; what is left open comes from the kubeconfig or from the pod that this runs in."""

    kubeconfig: str | None = None
    context: str | None = None
    host: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    ca_cert: str | None = None
    validate_certs: bool | None = None


class KubernetesClient:
    """Requests to one server.

    :arg configuration: of the ``kubernetes`` package.
    :arg pools: its connections, a ``urllib3.PoolManager``.
    """

    def __init__(self, configuration: t.Any, pools: t.Any, timeout: float = 30.0) -> None:
        self._configuration = configuration
        self._pools = pools
        self._timeout = timeout
        self._ahead = 0.0
        self.host = str(configuration.host).rstrip("/")
        #: What the server remarked about requests that it granted, such as fields that it does not know.
        self.warnings: list[str] = []

    def now(self) -> float:
        """The server's clock, seconds since the epoch: the times in its objects are by that one."""
        return time.time() + self._ahead

    @property
    def is_unverified(self) -> bool:
        """Whether the server's certificate goes unchecked, or there is none."""
        return not self._configuration.verify_ssl or self.host.startswith("http://")

    def get(self, path: str, **query: t.Any) -> dict[str, t.Any]:
        """One object."""
        return self._json("GET", path, query)

    def lines(self, path: str, **query: t.Any) -> t.Iterator[bytes]:
        """The lines of a log with their ends, while they come in; nothing where there is no log, or not yet."""
        import urllib3

        answer = self._exchange("GET", self._url(path, query), None, self._timeout, stream=True)
        try:
            if answer.status in (400, 404):
                return
            if answer.status >= 400:
                raise _refusal("GET", path, answer.status, answer.data)
            rest = b""
            for chunk in answer.stream(65536):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line + b"\n" for line in whole)
            if rest:
                yield rest
        except KubernetesRefused:
            raise
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._unreachable(error) from None
        finally:
            answer.close()

    def post(self, path: str, body: t.Any, **query: t.Any) -> dict[str, t.Any]:
        """Create an object. A repeated one is answered 409, so a lost answer is asked for again."""
        return self._json("POST", path, query, body)

    def delete(self, path: str, options: dict[str, t.Any]) -> bool:
        """Delete an object. :returns: whether it was there."""
        try:
            self._json("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        except KubernetesRefused as error:
            if error.status == 404:
                return False
            raise
        return True

    def items(
        self, path: str, seen: t.Callable[[str], None] | None = None, **query: t.Any
    ) -> t.Iterator[dict[str, t.Any]]:
        """Everything that a list holds, in pages; a page that expired (410) begins the list anew.

        :arg seen: told the version that the list shows; a watch from there on misses nothing.
        """
        started_anew = False
        token = ""
        while True:
            page_query = {**query, "limit": PAGE, **({"continue": token} if token else {})}
            try:
                page = self.get(path, **page_query)
            except KubernetesRefused as error:
                if error.status != 410 or started_anew:
                    raise
                started_anew, token = True, ""
                continue
            metadata = page.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            if seen is not None:
                seen(str(metadata.get("resourceVersion") or ""))
            if "items" not in page:
                raise self._no_kubernetes()  # a list that is empty says that something is gone
            items = page["items"] or []
            items.reverse()  # so that each can be let go when it is handed out
            while items:
                yield items.pop()
            if not token:
                return

    def events(self, path: str, timeout: float, **query: t.Any) -> t.Any:
        """An open watch: an object to iterate raw lines from, and to close."""
        seconds = max(1, int(timeout))
        query = {**query, "watch": "true", "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        return self._exchange("GET", self._url(path, query), None, timeout=seconds + 5.0, stream=True)

    # --- one request ---------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, query: dict[str, t.Any], body: t.Any = None) -> dict[str, t.Any]:
        try:
            # As text, and nothing else of the reply: a page of Jobs is large, and it is needed once.
            answer = json.loads(self._send(method, path, query, body).data.decode())
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._no_kubernetes()
        return answer

    def _no_kubernetes(self) -> InfrastructureUnreachable:
        return InfrastructureUnreachable(
            f"What answers at {self.host} is no Kubernetes API.", "Check the kubeconfig's server or kube_host."
        )

    def _url(self, path: str, query: dict[str, t.Any]) -> str:
        words = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        return f"{self.host}{path}" + (f"?{words}" if words else "")

    def _send(self, method: str, path: str, query: dict[str, t.Any], body: t.Any = None) -> t.Any:
        """One request, repeated while the server is busy or gone for a moment: all of ours may be sent twice."""
        url = self._url(path, query)
        payload = None if body is None else json.dumps(body).encode()
        for attempt in range(1, _TRIES + 1):
            try:
                reply = self._exchange(method, url, payload, self._timeout)
            except InfrastructureUnreachable:
                if attempt == _TRIES:
                    raise
            else:
                if reply.status < 400:
                    self.warnings += remarks(reply.headers.getlist("Warning"))
                    return reply
                if reply.status not in _TRANSIENT or attempt == _TRIES or _is_final(reply.data):
                    raise _refusal(method, path, reply.status, reply.data)
            time.sleep(random.uniform(0.1, 0.4) * 2**attempt)  # noqa: S311 - jitter
        raise AssertionError("unreachable")  # the last try returns or raises

    def _exchange(self, method: str, url: str, payload: bytes | None, timeout: float, stream: bool = False) -> t.Any:
        import urllib3

        headers = {"Accept": "application/json, */*", "User-Agent": "flowops.prefect", **self._credentials()}
        if not stream:
            headers["Accept-Encoding"] = "gzip"  # Jobs resemble each other: a page of 500 shrinks to a fiftieth
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            reply = self._pools.request(
                method,
                url,
                body=payload,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(10.0, timeout), read=timeout),
                retries=False,
                redirect=False,
                preload_content=not stream,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._unreachable(error) from None
        with contextlib.suppress(TypeError, ValueError):
            self._ahead = email.utils.parsedate_to_datetime(reply.headers.get("Date")).timestamp() - time.time()
        return reply

    def _credentials(self) -> dict[str, str]:
        """The headers that the package would send; it renews what has come to its end."""
        settings = self._configuration.auth_settings().values()
        return {str(one["key"]): str(one["value"]) for one in settings if one.get("in") == "header" and one["value"]}

    def _unreachable(self, error: BaseException) -> InfrastructureUnreachable:
        text = neutralise(str(getattr(error, "reason", None) or error))[:_LONGEST_MESSAGE]
        remedy = "Check the kubeconfig's server (or kube_host), the network and whether the API server runs."
        if "No such file" in text or "X509" in text:
            remedy = "Check the certificates that the kubeconfig or kube_ca_cert names."
        if "CERTIFICATE_VERIFY_FAILED" in text:
            remedy = "Give the authority that signed the server's certificate as kube_ca_cert or in the kubeconfig."
        return InfrastructureUnreachable(f"The Kubernetes API at {self.host} cannot be reached: {text}.", remedy)


def remarks(headers: t.Iterable[str]) -> list[str]:
    """The texts of headers such as ``299 - "unknown field"``."""
    texts = [text for header in headers for text in _REMARK.findall(header)]
    plain = [re.sub(r"\\(.)", r"\1", neutralise(text)) for text in texts]
    return [f"The Kubernetes API remarks: {text[:_LONGEST_MESSAGE]}" for text in plain]


def _is_final(body: bytes) -> bool:
    """500 is used for verdicts too, for instance of an admission webhook that cannot be called; those say so."""
    return b'"reason":"InternalError"' in body and b"webhook" in body


def _one_line(text: str) -> str:
    return neutralise(" ".join(text.split()))[:_LONGEST_MESSAGE].rstrip(".")


def _status_of(body: bytes) -> dict[str, t.Any]:
    try:
        status = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}


def _refusal(method: str, path: str, status: int, body: bytes) -> KubernetesRefused:
    """What the server said, with the remedy for it."""
    told = _status_of(body)
    message = _one_line(str(told.get("message") or body[:200].decode("utf-8", "replace")))
    reason = str(told.get("reason") or "")
    category, remedy = explained(method, path, status, message)
    if told.get("kind") != "Status" and category in ("bad_settings", "infrastructure"):
        category, remedy = (
            "infrastructure",
            "Check the kubeconfig's server or kube_host: that may be no Kubernetes API.",
        )
    return KubernetesRefused(
        f"Kubernetes refused {method} {path} (HTTP {status}): {message}.", remedy, category, status, reason
    )


def explained(method: str, path: str, status: int, message: str) -> tuple[str, str]:
    """Category and remedy of a refusal."""
    if status == 401:
        return "credentials_refused", "Renew the credentials in the kubeconfig or kube_token."
    if status == 403 and "system:anonymous" in message:
        return "credentials_refused", (
            "No credentials were sent: give kube_token, or see that the kubeconfig's user is there, and that a program "
            "that it names for credentials works."
        )
    if status == 403 and "unable to create new content in namespace" in message:
        return "namespace_terminating", "Wait until the namespace is gone, then create it again, or use another."
    policy = event_trouble(message) if status in (400, 403, 422) and not _NO_RIGHT.search(message) else None
    if policy is not None:
        return policy.category, policy.remedy
    if status == 403:
        verb, resource = needed_right(method, path)
        return "forbidden", f"Have the verb {verb} on {resource} allowed to this user by a Role in the namespace."
    if status == 404 and "namespaces" in message:
        return "namespace_missing", "Create the namespace, or give another one as namespace."
    if status in (400, 422):
        return (
            "bad_settings",
            "Correct what says the field that it names: an option, job, pod_overrides, customizations.",
        )
    return "infrastructure", ""


def needed_right(method: str, path: str) -> tuple[str, str]:
    """Verb and resource of a request, in the words of a Role."""
    parts = path.split("/")
    below = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[3:]
    if not below:
        return "get", "namespaces"
    named = len(below) > 1
    resource = "/".join([below[0], *below[2:]])
    verb = {"POST": "create", "DELETE": "delete", "GET": "get" if named else "list"}[method]
    return verb, resource


# --- setting up ------------------------------------------------------------------------------------------------------


def connect(connection: Connection) -> KubernetesClient:
    """Set the client up. Nothing is sent yet, but an exec plugin of the kubeconfig runs.

    :raises SettingsError: the package is missing, or what was given leads nowhere.
    """
    try:
        with uncollected():
            package = kubernetes_package()
    except ImportError as error:
        raise _library_missing(error) from None
    configuration = package.Configuration()
    try:
        _configure(configuration, connection, package.config)
    except Exception as error:  # noqa: BLE001 - whatever the package makes of a file that is no kubeconfig
        raise SettingsError(
            f"kubeconfig: it cannot be used: {_one_line(str(error))}.",
            "Give kubeconfig and context, or kube_host and kube_token; 'kubectl config view' shows what there is.",
        ) from None
    if connection.token:
        configuration.api_key["authorization"] = f"Bearer {connection.token}"
    if connection.ca_cert:
        if not os.path.isfile(connection.ca_cert):
            raise SettingsError(f"kube_ca_cert: there is no file {connection.ca_cert}.", "Give the authority's file.")
        configuration.ssl_ca_cert = connection.ca_cert
    if connection.validate_certs is not None:
        configuration.verify_ssl = connection.validate_certs
    configuration.connection_pool_maxsize = CONNECTIONS
    try:
        pools = package.RESTClientObject(configuration).pool_manager
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"kube_ca_cert: the TLS files cannot be used: {neutralise(str(error))[:200]}.",
            "Check the certificates that the kubeconfig or the options name.",
        ) from None
    if connection.validate_certs is False:
        _silence_urllib3()
    return KubernetesClient(configuration, pools)


def _silence_urllib3() -> None:
    """The module says it once, in its result; urllib3 would say it at each request, to nobody."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def _library_missing(error: ImportError) -> SettingsError:
    from ansible.module_utils.basic import missing_required_lib

    return SettingsError(missing_required_lib("kubernetes"), f"({error})", "library_missing")


def _configure(configuration: t.Any, connection: Connection, config: t.Any) -> None:
    """Options, else the kubeconfig that they name, else the pod that this runs in, else the user's kubeconfig."""
    if connection.host:
        configuration.host = connection.host
        return
    if connection.kubeconfig or connection.context or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_kube_config(
            config_file=connection.kubeconfig,
            context=connection.context,
            client_configuration=configuration,
            persist_config=False,
        )
    else:
        config.load_incluster_config(client_configuration=configuration)
