# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transport against a real local HTTP server that behaves badly on purpose."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import json
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import typing as t

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    ApiError,
    ApiNotFound,
    ApiRefused,
    ApiUnreachable,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api import _transport
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._connect import connect
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import (
    ApiSettings,
    Transport,
    parse_retry_after,
    pause_before,
    printable,
)

# The environment with the oldest Python has no ansible-core: a managed node gets these files with the module.
pytest.importorskip("ansible.module_utils.urls")

SECRET = "pnu_canary_7781"


class Seen(t.NamedTuple):
    method: str
    path: str
    headers: t.Mapping[str, str]
    body: bytes


class Hostile:
    """Answers with the next of the scripted replies (the last one for ever) and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api"
        self.script: list[t.Any] = []
        self.seen: list[Seen] = []

    def next(self) -> t.Any:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def reply(
    status: int, data: t.Any = None, raw: bytes | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, json.dumps(data).encode() if raw is None else raw, names


RESET = "reset"
CUT_SHORT = "cut short"


@contextlib.contextmanager
def hostile_server(context: ssl.SSLContext | None = None) -> t.Iterator[Hostile]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hostile.seen.append(Seen(self.command, self.path, self.headers, body))
            what = hostile.next()
            if what == RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            if what == CUT_SHORT:
                self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": 1')
                return
            status, data, headers = what
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hostile = Hostile(server.server_address[1])
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        hostile.url = hostile.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hostile
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hostile():
    with hostile_server() as server:
        yield server


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(_transport.time, "sleep", slept.append)
    return slept


def transport(hostile, **settings):
    return Transport(ApiSettings(url=hostile.url, timeout=5, **settings))


def get(hostile, **settings):
    return transport(hostile, **settings).request("GET", "/flow_runs/x", repeatable=True, shape=dict)


def test_success_sends_the_key(hostile):
    hostile.script = [reply(200, {"a": 1})]
    client = transport(hostile, key=SECRET)
    assert client.request("POST", "/x", {"b": 2}, repeatable=False, shape=dict).data == {"a": 1}
    assert hostile.seen[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert json.loads(hostile.seen[0].body) == {"b": 2}


@pytest.mark.parametrize(
    ("date", "local", "expected"),
    [
        (5000, 5001.5, 5001.5),  # the header lags, this host's clock may be right
        (5000, 9000.0, 5000 + _transport.DATE_LAG),
        (5000, 1000.0, 5000.0),
    ],
)
def test_the_servers_clock(hostile, monkeypatch, date, local, expected):
    client = transport(hostile)
    assert client.server_now() == pytest.approx(time.time(), abs=5)
    hostile.script = [(200, b"{}", {"Date": email.utils.formatdate(date, usegmt=True)})]
    monkeypatch.setattr(_transport.time, "time", lambda: local)
    client.request("GET", "/x", repeatable=False)
    assert client.server_now() == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize(
    ("url", "settings", "expected"),
    [
        ("http://u:p%40ss@{host}/api", {}, "Basic dTpwQHNz"),
        ("http://{host}/api/", {"auth_string": "admin:pass", "key": SECRET}, "Basic YWRtaW46cGFzcw=="),
        ("http://{host}/api", {"key": SECRET, "headers": {"authorization": "own"}}, "own"),
    ],
)
def test_which_credentials_are_sent(hostile, url, settings, expected):
    hostile.script = [reply(200, {})]
    client = Transport(ApiSettings(url=url.format(host=hostile.url[7:-4]), **settings))
    client.request("GET", "/x", repeatable=True)
    assert hostile.seen[0].headers.get_all("Authorization") == [expected]
    assert hostile.seen[0].path == "/api/x"
    assert client.url == hostile.url


@pytest.mark.parametrize(
    "script",
    [
        [reply(503), reply(200, {})],
        [RESET, reply(200, {})],
        [CUT_SHORT, reply(200, {})],
        [reply(429), reply(502), reply(200, {})],
    ],
)
def test_a_passing_fault_is_repeated_only_where_that_is_safe(hostile, script):
    hostile.script = list(script)
    get(hostile)
    assert len(hostile.seen) == len(script)
    hostile.script = list(script)
    with pytest.raises(ApiUnreachable):
        transport(hostile).request("POST", "/x", {}, repeatable=False)
    assert len(hostile.seen) == len(script) + 1


def test_repeats_are_bounded_and_retry_after_is_honoured_but_capped(hostile, no_waiting):
    hostile.script = [reply(503, {"detail": "busy"}, Retry_After="3600")]
    with pytest.raises(ApiUnreachable, match="HTTP 503: busy") as caught:
        get(hostile)
    assert caught.value.status == 503
    assert all(pause >= 10 for pause in no_waiting)
    assert sum(no_waiting) <= _transport.MAX_PAUSES
    hostile.script, hostile.seen[:] = [RESET], []
    with pytest.raises(ApiUnreachable):
        get(hostile)
    assert len(hostile.seen) == _transport.MAX_TRIES


def test_retry_policy():
    assert pause_before(1, None, 0.0) == 0
    assert pause_before(1, None, 1.0) == 1
    assert pause_before(9, None, 1.0) == 8
    assert pause_before(1, 3.0, 0.0) == 3
    assert pause_before(1, -5.0, 0.0) == 0
    assert parse_retry_after("7", 0) == 7
    assert parse_retry_after(email.utils.formatdate(1_000_060), 1_000_000) == 60
    assert parse_retry_after("soon", 0) is None
    assert parse_retry_after("9" * 5000, 0) is None
    assert parse_retry_after(None, 0) is None


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, raw=b"<html>Prefect</html>"),
        reply(200, raw=b"\xff\xfe"),
        reply(200, [1]),
        reply(200, raw=b"[" * 100000),
        reply(405, raw=b"<html>"),
        reply(404, raw=b"no such page"),
    ],
)
def test_what_is_no_prefect_api_is_told_with_its_remedy(hostile, answer):
    hostile.script = [answer]
    with pytest.raises(ApiError, match=r"seems not to be a Prefect API.*append /api") as caught:
        get(hostile)
    assert not isinstance(caught.value, ApiNotFound)


def test_a_huge_answer_is_cut_off(hostile):
    hostile.script = [reply(200, raw=b'"' + b"a" * (_transport.MAX_ANSWER_BYTES + 1) + b'"')]
    with pytest.raises(ApiError, match="more than 8 MiB") as caught:
        get(hostile)
    assert caught.value.category == _transport.TOO_LARGE


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials(hostile, status):
    hostile.script = [reply(status, {"detail": "nope"})]
    with pytest.raises(ApiRefused) as caught:
        get(hostile, key=SECRET)
    assert SECRET not in str(caught.value)
    assert len(hostile.seen) == 1


def test_other_refusals_carry_the_servers_reason(hostile):
    hostile.script = [reply(404, {"detail": "Flow run not found"})]
    with pytest.raises(ApiNotFound, match="Flow run not found"):
        get(hostile)
    hostile.script = [reply(409, {"detail": "a\x1b[31m\n" + "x" * 5000})]
    with pytest.raises(ApiError) as caught:
        get(hostile)
    assert caught.value.status == 409
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700
    details = [{"loc": ["body", "name"], "msg": "bad", "input": SECRET}]
    hostile.script = [reply(422, {"exception_message": "Invalid request received.", "exception_detail": details})]
    with pytest.raises(ApiError, match=r"body.name: bad") as caught:
        get(hostile)
    assert SECRET not in str(caught.value)


def test_csrf_token_is_fetched_only_when_asked_for(hostile):
    missing = reply(403, {"detail": "Missing CSRF token."})
    hostile.script = [missing, reply(200, {"token": "tok"}), reply(201, {}), reply(201, {})]
    client = transport(hostile)
    client.request("POST", "/x", {}, repeatable=False)
    client.request("PATCH", "/x", {}, repeatable=False)
    assert [seen.path for seen in hostile.seen][1].startswith("/api/csrf-token?client=")
    assert [seen.headers["Prefect-Csrf-Token"] for seen in hostile.seen] == [None, None, "tok", "tok"]
    expired = reply(403, {"detail": "Invalid CSRF token or client identifier."})
    hostile.script = [expired, reply(200, {"token": "new"}), reply(201, {})]
    client.request("POST", "/x", {}, repeatable=False)
    assert hostile.seen[-1].headers["Prefect-Csrf-Token"] == "new"


def test_a_csrf_refusal_is_no_verdict_on_credentials(hostile):
    hostile.script = [reply(403, {"detail": "Missing CSRF token."}), reply(401, {"detail": "Unauthorized"})]
    with pytest.raises(ApiRefused):
        transport(hostile).request("POST", "/x", {}, repeatable=False)
    hostile.script = [
        reply(403, {"detail": "Missing CSRF token."}),
        reply(422, {"detail": "CSRF protection is disabled."}),
    ]
    with pytest.raises(ApiError, match="CSRF") as caught:
        transport(hostile).request("POST", "/x", {}, repeatable=False)
    assert not isinstance(caught.value, ApiRefused)


def test_redirects_stay_at_the_origin(hostile):
    with hostile_server() as other:
        other.script = [reply(200, {})]
        hostile.script = [reply(307, Location=other.url)]
        with pytest.raises(ApiError, match=r"redirects to http://127.0.0.1") as caught:
            get(hostile, key=SECRET)
        assert other.seen == []
        assert SECRET not in str(caught.value)
    hostile.script = [reply(307, Location="/api/y"), reply(200, {})]
    get(hostile, key=SECRET)
    assert hostile.seen[-1].path == "/api/y"
    hostile.script = [reply(302, Location="/api/y")]
    with pytest.raises(ApiError, match="redirects"):
        transport(hostile).request("POST", "/x", {}, repeatable=False)
    with pytest.raises(ApiError, match="in circles"):
        get(hostile)


def test_unreachable_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://user:{SECRET}@127.0.0.1:{free.getsockname()[1]}/api"
    with pytest.raises(ApiUnreachable, match="cannot be reached") as caught:
        connect(ApiSettings(url=url, key=SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": ""},
        {"url": "prefect:4200/api"},
        {"url": "ftp://h/api"},
        {"url": "http://h:port/api"},
        {"url": "http://[::1/api"},
        {"url": "http://h/api?x=1"},
        {"url": "http://h/a pi"},
        {"url": "http://h/a\x00pi"},
        {"url": "http://h/api", "key": SECRET + "\n"},
        {"url": "http://h/api", "headers": {"X-A": "é\r\nX"}},
        {"url": "http://h/api", "headers": {"a b": "c"}},
        {"url": "http://h/api", "headers": {"a": 1}},
    ],
)
def test_unusable_settings_name_the_field_and_hide_the_value(settings):
    with pytest.raises(SettingsError, match="api_") as caught:
        Transport(ApiSettings(**settings))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(ApiSettings(**settings))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_only_certificates_of_a_known_authority_are_trusted(tmp_path, no_waiting):
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with hostile_server(context) as hostile:
        hostile.script = [reply(200, {})]
        with pytest.raises(ApiUnreachable, match=r"is not trusted.*api_ca_path") as caught:
            get(hostile, key=SECRET)
        assert caught.value.category == "certificate_refused"
        assert no_waiting == []
        assert hostile.seen == []
        get(hostile, ca_path=certificate)
        get(hostile, validate_certs=False)
        get(hostile, ca_path=certificate, client_cert=certificate, client_key=key)
        assert len(hostile.seen) == 3


def test_unusable_tls_files(tmp_path):
    with pytest.raises(SettingsError, match="api_ca_path"):
        connect(ApiSettings(url="https://127.0.0.1:1/api", ca_path=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (reply(200, "2.19.9"), r"Prefect 2.19.9, which is not supported\. .*Orion 2.0b6"),
        (reply(200, "2.200.1"), "not supported"),
        (reply(200, "2.0b61"), "not supported"),
        (reply(200, "9.0"), "Prefect 9.0, which is not supported"),
        (reply(200, "x\x1b"), "not supported"),
        (reply(404, {"detail": "Not Found"}), "append /api"),
    ],
)
def test_servers_that_are_not_supported_are_refused_by_name(hostile, version, message):
    hostile.script = [version]
    with pytest.raises(ApiError, match=message):
        connect(ApiSettings(url=hostile.url))


def test_printable():
    assert printable("a\x00\x1b[2J\nb") == "a [2J b"
    assert printable("x" * 100, 10) == "x" * 9 + "…"
