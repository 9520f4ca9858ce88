# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redaction against somebody who tries: other encodings, overlaps, neighbours, shapes."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._redact import (
    MASK,
    Redactor,
    looks_secret,
    masked_params,
    secret_values,
)

SECRET = "pnu_Zx9/+Q=é'\"\\&k"


def encodings(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "plain": secret,
        "base64": base64.b64encode(raw).decode(),
        "base64 without padding": base64.b64encode(raw).decode().rstrip("="),
        "base64 for addresses": base64.urlsafe_b64encode(raw).decode(),
        "quoted for addresses": urllib.parse.quote(secret, safe=""),
        "quoted with slashes": urllib.parse.quote(secret),
        "form": urllib.parse.quote_plus(secret),
        "small hexadecimal escapes": urllib.parse.quote(secret, safe="")
        .replace("%2F", "%2f")
        .replace("%C3", "%c3")
        .replace("%3D", "%3d")
        .replace("%2B", "%2b")
        .replace("%A9", "%a9")
        .replace("%5C", "%5c"),
        "JSON": json.dumps(secret)[1:-1],
        "JSON with letters": json.dumps(secret, ensure_ascii=False)[1:-1],
        "repr": repr(secret)[1:-1],
        "shell": shlex.quote(secret),
        "userinfo": f"https://user:{urllib.parse.quote(secret, safe='')}@host/",
    }


@pytest.mark.parametrize("form", encodings(SECRET))
def test_every_form_is_masked(form):
    text = f"before {encodings(SECRET)[form]} after"
    masked = Redactor([SECRET]).text(text)
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert MASK in masked
    assert encodings(SECRET)[form] not in masked


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "admin:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_inside_a_longer_base64_text(before, after):
    secret = "correct-horse-battery"
    encoded = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    masked = Redactor([secret]).text(f"Authorization: Basic {encoded}")
    assert MASK in masked
    left = masked.removeprefix("Authorization: Basic ").replace(MASK, "")
    assert len(left) <= len(encoded) - len(secret)


def test_overlapping_secrets_leave_nothing():
    assert Redactor(["abcdef", "defghi"]).text("x abcdefghi y") == f"x {MASK} y"
    assert Redactor(["aaaa"]).text("aaaaaaa") == MASK
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh") == MASK


def test_touching_secrets_become_one_mask():
    assert Redactor(["abcd", "efgh"]).text("-abcdefgh-") == f"-{MASK}-"


@pytest.mark.parametrize("short", ["", "a", "no", "007"])
def test_short_values_do_not_mangle(short):
    text = "a normal sentence with 007 and no end"
    assert Redactor([short]).text(text) == text


def test_every_line_of_a_key_file():
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEA\n-----END PRIVATE KEY-----\n"
    redactor = Redactor([key])
    assert redactor.text("line MIIEvQIBADANBgkqhkiG9w0 end") == f"line {MASK} end"
    assert redactor.text(json.dumps({"key": key})) == f'{{"key": "{MASK}"}}'
    assert "-----BEGIN" in redactor.text("-----BEGIN CERTIFICATE-----")


def test_a_secret_read_with_its_line_break_is_found_without():
    assert Redactor(["CANARY-1\n"]).text("got CANARY-1.") == f"got {MASK}."


def test_the_password_of_a_dsn_is_a_secret_by_itself():
    redactor = Redactor(["postgresql://app:s3cr%40t-pw@db/flows"])
    assert redactor.text("password s3cr@t-pw or s3cr%40t-pw") == f"password {MASK} or {MASK}"


def test_the_token_of_a_header_is_a_secret_by_itself():
    assert Redactor(["Bearer CANARY-token"]).text("token CANARY-token") == f"token {MASK}"


def test_passwords_in_addresses_are_masked_unasked():
    assert Redactor([]).text("git clone https://bot:hunter2@host/x and http://h:80/p@q") == (
        f"git clone https://bot:{MASK}@host/x and http://h:80/p@q"
    )


def test_masking_twice_changes_nothing():
    redactor = Redactor([SECRET])
    once = redactor.text(f"https://a:{SECRET}@h {SECRET}")
    assert redactor.text(once) == once


def test_regular_expressions_in_secrets_mean_nothing():
    assert Redactor([r".*(\w+)[a-z]{3}"]).text(r"plain text, .*(\w+)[a-z]{3}!") == f"plain text, {MASK}!"


def test_text_that_cannot_be_encoded():
    assert Redactor(["abc\ud800def"]).text("x abc\ud800def") == f"x {MASK}"


def test_deep_goes_everywhere_and_keeps_the_shape():
    redactor = Redactor(["CANARY"])
    document = {"a": ["x CANARY", {"CANARY": ("CANARY", 5, None, True, 1.5)}], "n": 0}
    assert redactor.deep(document) == {"a": [f"x {MASK}", {MASK: [MASK, 5, None, True, 1.5]}], "n": 0}
    assert document["a"][0] == "x CANARY"


def test_many_secrets_and_much_text_are_quick():
    redactor = Redactor([f"secret-number-{n:04}" for n in range(200)])
    text = "an ordinary line of output, nothing to see\n" * 2500
    assert redactor.text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "github_token",
        "DB_PASSWORD",
        "PGPASSWORD",
        "PASSWD",
        "BASIC_AUTH",
        "AWS_SECRET_ACCESS_KEY",
        "SENTRY_DSN",
        "MY_CREDENTIALS",
        "DATABASE_CONNECTION_URL",
        "DATABASE_URL",
        "REDIS_URL",
        "SSH_PRIVATE",
        "MYSQL_PWD",
        "SLACK_WEBHOOK",
    ],
)
def test_names_of_secrets(name):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "PREFECT_API_URL", "LANG", "PWD", "OLDPWD", "LOG_LEVEL", "COMPASS", "PASSIVE"]
)
def test_names_of_settings(name):
    assert not looks_secret(name)


PARAMS = {
    "api_url": "http://u:CANARY-url@h/api",
    "api_key": "CANARY-key",
    "api_auth_string": "admin:CANARY-auth",
    "api_headers": {"X-Proxy": "CANARY-header"},
    "env": {"A": "plain", "B_TOKEN": "CANARY-env", "C": "holds CANARY-key too", "D_KEY": "x"},
    "secret_env": {"S": "CANARY-secret", "SHORT": "ab"},
    "parameters": {"name": "Ada", "password": "CANARY-parameter"},
    "idempotency_key": "job-42",
    "python": "/usr/bin/python3",
    "flow_run_name": "run of CANARY-secret",
    "runs": [{"env": {"E_PASSWORD": "CANARY-entry"}, "secret_env": {"T": "CANARY-entry-secret"}, "python": None}],
}


class TestInvocation:
    def test_no_secret_and_everything_else(self):
        shown = masked_params(PARAMS, "subprocess")
        assert "CANARY" not in str(shown)
        assert shown["env"] == {"A": "plain", "B_TOKEN": MASK, "C": f"holds {MASK} too", "D_KEY": MASK}
        assert shown["secret_env"] == {"S": MASK, "SHORT": MASK}
        assert shown["api_headers"] == {"X-Proxy": MASK}
        assert shown["parameters"]["name"] == "Ada"
        assert (shown["idempotency_key"], shown["python"]) == ("job-42", "/usr/bin/python3")
        assert shown["flow_run_name"] == f"run of {MASK}"
        assert shown["runs"][0] == {"env": {"E_PASSWORD": MASK}, "secret_env": {"T": MASK}, "python": None}
        assert PARAMS["api_key"] == "CANARY-key"

    @pytest.mark.parametrize("value", ["CANARY=x, B=CANARY", '{"A": "CANARY"}', ["CANARY"], 12345678, [["CANARY"]]])
    def test_malformed_secrets(self, value):
        shown = str(
            masked_params({"secret_env": value, "env": value, "runs": [{"secret_env": value}, "CANARY"]}, "subprocess")
        )
        assert "CANARY" not in shown
        assert "12345678" not in shown

    def test_alias_and_unknown_options(self):
        assert masked_params({"validate_certs": "no", "foo": "bar"}, "subprocess") == {
            "validate_certs": "no",
            "foo": "bar",
        }


class TestSecretValues:
    def test_come_from_everywhere(self):
        values = secret_values(PARAMS, "subprocess")
        for word in ("url", "key", "auth", "header", "env", "secret", "entry", "entry-secret"):
            assert f"CANARY-{word}" in values

    def test_settings_with_secret_names_are_no_secrets(self):
        env = {"AUTH_MODE": "basic", "USE_TOKEN": "true", "KEYBOARD": "None"}
        assert secret_values({"env": env}, "subprocess") == []

    def test_a_mapping_given_as_text(self):
        assert "CANARY" in secret_values({"secret_env": "A=CANARY"}, "subprocess")
