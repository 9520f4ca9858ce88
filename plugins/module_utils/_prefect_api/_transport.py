# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""HTTP to one Prefect API: credentials, CSRF, TLS, repeats, and nothing of what the requests mean.

Importing this file costs nothing: the HTTP library is loaded by the first request, so a poll that only looks at files
never pays for it. It is the standard library's, with proxies from the environment as everywhere. From
``ansible.module_utils.urls``, which takes longer to load than all else together (50 ms of CPU, measured), comes what
this collection could not do as well: where a host keeps the certificates that it trusts.
"""

from __future__ import annotations

import base64
import dataclasses
import email.utils
import json
import random
import time
import typing as t
import urllib.parse
import uuid

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    ApiError,
    ApiNotFound,
    ApiRefused,
    ApiUnreachable,
    SettingsError,
)

if t.TYPE_CHECKING:
    import urllib.request

#: No answer of ours is legitimately larger; a hostile or wrong server must not fill the host's memory.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
#: Category of the error for an answer above the limit: a caller can ask for less.
TOO_LARGE = "answer_too_large"
#: A busy SQLite server answers 503 without Retry-After about once per 30 writes (measured), proxies the others.
TRANSIENT_STATUSES = frozenset((408, 429, 502, 503, 504))
MAX_TRIES = 5
MAX_PAUSES = 20.0
MAX_REDIRECTS = 3
#: The Date header is cut to seconds and uvicorn renews it late: the server's clock is up to 2 s ahead (measured 1.8).
DATE_LAG = 2.0

_NOT_AN_API = "Set api_url to the API's address, not the web page's: append /api to it."


@dataclasses.dataclass(frozen=True)
class ApiSettings:
    """How to reach one Prefect API; the names are those of the modules' options without ``api_``."""

    url: str
    key: str | None = dataclasses.field(default=None, repr=False)
    auth_string: str | None = dataclasses.field(default=None, repr=False)
    headers: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    validate_certs: bool = True
    timeout: float = 60.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """A success: the HTTP status and the parsed JSON (``None`` where the caller did not ask for it)."""

    status: int
    data: t.Any


@dataclasses.dataclass(frozen=True)
class _Reply:
    """What came back, unread meaning."""

    status: int
    headers: t.Mapping[str, str]
    body: bytes


def printable(text: str, limit: int = 500) -> str:
    """Text of a server made fit for a terminal and a log line: no control characters, not endless."""
    clean = "".join(char if char.isprintable() else " " for char in text[: 2 * limit])
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def pause_before(repeat: int, retry_after: float | None, chance: float) -> float:
    """Seconds to wait before the n-th repeat: full jitter, so that many hosts do not come back together.

    :arg retry_after: what the server asked for; honoured, but capped: a hostile one must not stall the task.
    :arg chance: a random number from 0 to 1.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), MAX_PAUSES / 2) + chance * 0.25
    return chance * float(min(0.5 * 2**repeat, 8.0))


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date."""
    if not value:
        return None
    try:
        return float(int(value))
    except ValueError:
        moment = _parse_date(value)
        return None if moment is None else moment - now


def _parse_date(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _split_url(url: str) -> tuple[str, str | None]:
    """The API's address without userinfo, and the userinfo, which must never reach an error text."""
    remedy = "Give an address such as http://prefect.example.com:4200/api."
    try:
        parts = urllib.parse.urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("api_url is not a valid URL.", remedy) from None
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError("api_url needs http:// or https:// and a host.", remedy)
    if parts.query or parts.fragment:
        raise SettingsError("api_url must not have a query or a fragment.", remedy)
    if any(not char.isprintable() or char.isspace() for char in parts.netloc + parts.path) or not url.isascii():
        raise SettingsError("api_url has characters that no URL may hold.", remedy)
    netloc = f"[{host}]" if ":" in host else host
    netloc = netloc if port is None else f"{netloc}:{port}"
    userinfo = None
    if parts.username is not None:
        userinfo = urllib.parse.unquote(parts.username) + ":" + urllib.parse.unquote(parts.password or "")
    return urllib.parse.urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), userinfo


def _checked_header(field: str, name: str, value: t.Any) -> str:
    """A header value that the HTTP library accepts; its own complaint would show the secret."""
    if not isinstance(value, str) or not value.isprintable() or not value.isascii() or not name.isascii():
        raise SettingsError(f"{field} has characters that an HTTP header cannot hold.", "Look for line ends in it.")
    if not name or any(not char.isprintable() or char in " :" for char in name):
        raise SettingsError(f"{field} has a header without a usable name.", "Give names such as X-Token.")
    return value


class Transport:
    """Requests to one Prefect API."""

    def __init__(self, settings: ApiSettings) -> None:
        self.url, userinfo = _split_url(settings.url)
        self._settings = settings
        self._headers = self._base_headers(settings, userinfo)
        # Asking again for the same client id invalidates its earlier token, so each process is a client of its own.
        self._csrf_client = str(uuid.uuid4())
        self._csrf_token: str | None = None
        self._opener: urllib.request.OpenerDirector | None = None
        self._server_date: tuple[float, float] | None = None

    @staticmethod
    def _base_headers(settings: ApiSettings, userinfo: str | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "flowops.prefect"}
        # Prefect's own client prefers the auth string too: engine and controller must not differ.
        basic = settings.auth_string or (None if settings.key else userinfo)
        if basic:
            headers["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
        elif settings.key:
            headers["Authorization"] = "Bearer " + _checked_header("api_key", "Authorization", settings.key)
        for name, value in settings.headers.items():
            _checked_header("api_headers", name, value)
            headers = {key: old for key, old in headers.items() if key.lower() != name.lower()}
            headers[name] = value
        return headers

    def server_now(self) -> float:
        """The server's clock, seconds since the epoch: deadlines in the ledger are the server's, not this host's."""
        if self._server_date is None:
            return time.time()
        date, seen = self._server_date
        return date + time.monotonic() - seen

    def request(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        *,
        repeatable: bool,
        shape: type | None = None,
    ) -> Answer:
        """Send one request and return its answer; every answer but a success is an error.

        :arg path: below the API's address, with a leading slash; variable parts quoted by the caller.
        :arg repeatable: sending it twice does no harm, so lost answers are asked for again.
        :arg shape: ``dict``, ``list`` or ``str`` that the JSON answer must be; ``None`` where nobody reads it.
        :raises ApiUnreachable: no usable answer.
        :raises ApiRefused: the credentials were not accepted.
        """
        data = None if body is None else json.dumps(body).encode()
        repeats, paused = 0, 0.0
        while True:
            retry_after: float | None = None
            failure: ApiError
            try:
                reply = self._send_with_csrf(method, path, data)
            except ApiUnreachable as unreachable:
                if unreachable.category != ApiUnreachable.category:
                    raise
                failure = unreachable
            else:
                if reply.status not in TRANSIENT_STATUSES:
                    return self._judge(reply, path, shape)
                failure = self._overloaded(reply)
                retry_after = parse_retry_after(reply.headers.get("Retry-After"), self.server_now())
            repeats += 1
            pause = pause_before(repeats, retry_after, random.random())  # noqa: S311 - jitter
            if not repeatable or repeats >= MAX_TRIES or paused + pause > MAX_PAUSES:
                raise failure
            paused += pause
            time.sleep(pause)

    def _overloaded(self, reply: _Reply) -> ApiUnreachable:
        return ApiUnreachable(
            f"The Prefect API at {self.url} answered HTTP {reply.status}: {_reason(reply) or 'overloaded'}.",
            "Try again when the server is less busy.",
            status=reply.status,
        )

    def _send_with_csrf(self, method: str, path: str, data: bytes | None) -> _Reply:
        """Most servers have CSRF protection off: a token is only fetched when a write was refused for want of it.

        A write refused so had no effect: sending it again is always safe.
        """
        reply = self._send(method, path, data)
        if method == "GET" or not _is_csrf_refusal(reply):
            return reply
        self._csrf_token = self._fetch_csrf_token()
        return reply if self._csrf_token is None else self._send(method, path, data)

    def _fetch_csrf_token(self) -> str | None:
        reply = self._send("GET", f"/csrf-token?client={self._csrf_client}", None)
        if reply.status == 422:  # the server says that its protection is off
            return None
        data = self._judge(reply, "/csrf-token", dict).data
        return _checked_header("The CSRF token of the server", "Prefect-Csrf-Token", data.get("token"))

    def _send(self, method: str, path: str, data: bytes | None) -> _Reply:
        """One exchange; redirects are followed by hand, since credentials may only go to the configured origin."""
        url = self.url + path
        headers = dict(self._headers)
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self._csrf_token is not None and method != "GET":
            headers["Prefect-Csrf-Token"] = self._csrf_token
            headers["Prefect-Csrf-Client"] = self._csrf_client
        for _hop in range(MAX_REDIRECTS + 1):
            reply = self._exchange(method, url, data, headers)
            if not 300 <= reply.status < 400:
                return reply
            url = self._redirected(url, reply, method)
        raise ApiError(f"The Prefect API at {self.url} redirects in circles.", "Check api_url.", status=reply.status)

    def _redirected(self, url: str, reply: _Reply, method: str) -> str:
        target = urllib.parse.urljoin(url, reply.headers.get("Location") or "")
        try:
            old, new = urllib.parse.urlsplit(url), urllib.parse.urlsplit(target)
            origin = f"{new.scheme}://{new.hostname}" + (f":{new.port}" if new.port else "")
            same = (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port) and new.username is None
        except ValueError:
            origin, same = "an invalid address", False
        if same and (reply.status in (307, 308) or method == "GET"):
            return target
        raise ApiError(
            f"The Prefect API at {self.url} redirects to {printable(origin, 200)}; credentials are not sent there.",
            "Set api_url to the address that the server redirects to.",
            status=reply.status,
        )

    def _exchange(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> _Reply:
        opener = self._opener or self._open_session()
        import http.client
        import urllib.error
        import urllib.request

        deadline = time.monotonic() + self._settings.timeout
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - _split_url saw to the scheme
        try:
            try:
                response = opener.open(request, timeout=self._settings.timeout)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                body = self._read(response, deadline)
                if len(body) < int(response.headers.get("Content-Length") or 0):
                    raise ConnectionResetError("the answer was cut short")
                reply = _Reply(response.getcode(), response.headers, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from None
        date = _parse_date(reply.headers.get("Date") or "")
        if date is not None:
            # This host's clock where it can be right, since it is finer: a run made just now must read as due.
            self._server_date = (min(max(time.time(), date), date + DATE_LAG), time.monotonic())
        return reply

    def _read(self, response: t.Any, deadline: float) -> bytes:
        """The body, bounded in size and time: the socket's timeout alone lets a server drip for ever."""
        chunks: list[bytes] = []
        size = 0
        while True:
            chunk = response.read1(65536) if hasattr(response, "read1") else response.read(65536)
            if not chunk:
                return b"".join(chunks)
            size += len(chunk)
            chunks.append(chunk)
            if size > MAX_ANSWER_BYTES:
                raise ApiError(
                    f"The Prefect API at {self.url} sent an answer of more than {MAX_ANSWER_BYTES // 2**20} MiB.",
                    "Ask for less at once, and check api_url.",
                    TOO_LARGE,
                )
            if time.monotonic() > deadline:
                raise TimeoutError("the answer took too long")

    def _unreachable(self, error: BaseException) -> ApiUnreachable:
        import ssl

        reason = getattr(error, "reason", None)
        cause = reason if isinstance(reason, BaseException) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ApiUnreachable(
                f"The certificate of {self.url} is not trusted: {printable(cause.verify_message, 200)}.",
                "Give the authority that signed it as api_ca_path.",
                "certificate_refused",
            )
        text = printable(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__, 200)
        return ApiUnreachable(
            f"The Prefect API at {self.url} cannot be reached: {text}.",
            "Check api_url, the network and the server.",
        )

    def _open_session(self) -> urllib.request.OpenerDirector:
        """The HTTP library, loaded at the first request, with one TLS context for all requests."""
        import urllib.request

        class Unredirected(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_redirect: t.Any) -> None:
                """See ``_send``, which follows them."""

        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            Unredirected(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            opener.add_handler(handler)
        if self.url.startswith("https:"):
            opener.add_handler(urllib.request.HTTPSHandler(context=self._tls_context()))
        self._opener = opener
        return opener

    def _tls_context(self) -> t.Any:
        from ansible.module_utils import urls

        settings = self._settings
        try:
            return urls.make_context(
                cafile=settings.ca_path,
                validate_certs=settings.validate_certs,
                client_cert=settings.client_cert,
                client_key=settings.client_key,
            )
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"The TLS files cannot be used: {printable(str(error), 200)}.",
                "Check api_ca_path, api_client_cert and api_client_key.",
            ) from None

    def _judge(self, reply: _Reply, path: str, shape: type | None) -> Answer:
        """A success as an :class:`Answer`, everything else as the error that says what to do."""
        if 200 <= reply.status < 300:
            return Answer(reply.status, self._parse(reply, shape))
        reason = _reason(reply)
        if reply.status in (401, 403) and not _is_csrf_refusal(reply):
            raise ApiRefused(
                f"The Prefect API at {self.url} does not accept the credentials (HTTP {reply.status}).",
                "Check api_key or api_auth_string.",
                status=reply.status,
            )
        if reason is None:
            raise self._not_an_api(reply.status)
        if reply.status == 404:
            raise ApiNotFound(f"The Prefect API at {self.url} knows no such object: {reason}.", status=404)
        raise ApiError(
            f"The Prefect API refused {path.partition('?')[0]} (HTTP {reply.status}): {reason}.",
            "See the server's log." if reply.status >= 500 else "Correct what the server names.",
            status=reply.status,
        )

    def _parse(self, reply: _Reply, shape: type | None) -> t.Any:
        if shape is None:
            return None
        try:
            data = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise self._not_an_api(reply.status) from None
        if not isinstance(data, shape):
            raise self._not_an_api(reply.status)
        return data

    def _not_an_api(self, status: int) -> ApiError:
        return ApiError(
            f"What answers at {self.url} (HTTP {status}) seems not to be a Prefect API.", _NOT_AN_API, status=status
        )


def _is_csrf_refusal(reply: _Reply) -> bool:
    """CSRF is checked before credentials: such a 403 is no verdict on them."""
    return reply.status == 403 and b"csrf" in reply.body[:4096].lower()


def _reason(reply: _Reply) -> str | None:
    """The server's own words of an error; ``None`` if it does not speak as a Prefect API does."""
    try:
        data = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    for name in ("detail", "exception_detail", "exception_message"):
        if data.get(name):
            return printable(_words(data[name]))
    return "no reason given"


def _words(detail: t.Any) -> str:
    """FastAPI tells validation errors as a list of {loc, msg}; ``input`` in it may be a secret and is left out."""
    if isinstance(detail, str):
        return detail.rstrip(".")
    if isinstance(detail, list):
        parts = []
        for item in detail[:5]:
            if isinstance(item, dict):
                place = item.get("loc") if isinstance(item.get("loc"), list) else []
                parts.append(".".join(str(step) for step in place or []) + ": " + str(item.get("msg", "")))
        return "; ".join(parts)
    return "no reason given"
