# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Docker runner decides by itself, without an engine and without the Docker SDK."""

from __future__ import annotations

import dataclasses
import struct
import sys

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._container_kinds import CONTAINER_KINDS
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import (
    _container_image as images,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import (
    _container_output as output,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import (
    _docker_look as look,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import (
    _docker_spec as spec,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_client import (
    Connection,
    refusal,
    sdk,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import Presence
from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError
from ansible_collections.flowops.prefect.plugins.module_utils._task import parse_task

RUN = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
KEY = AttemptKey(RUN, 2)
TOKEN = "5f0c8a52-6b52-4f0e-a5ff-0d8f3e0f2f11"
ENGINE = spec.EngineFacts("20.10.24+dfsg1", "linux", local=True)
LOOPBACK, ELSEWHERE = "http://127.0.0.1:4200/api", "http://prefect.example.com/api"


def launch(url: str = ELSEWHERE, **settings) -> Launch:
    return Launch(
        key=KEY,
        token=TOKEN,
        flow_run_name="lively-hornet",
        environment={"PREFECT_API_URL": url},
        secret_environment={"API_TOKEN": "CANARY"},
        unset_environment=("LANG",),
        settings=settings,
        bootstrap={"token": TOKEN},
        spec_hash="abc",
        start_timeout=900,
        run_timeout=60,
        stop_grace=30,
        concurrency=None,
    )


def made(url: str = ELSEWHERE, engine=ENGINE, as_root: bool = True, **settings) -> spec.ContainerSpec:
    return spec.container_spec(launch(url, **settings), "flows:1", "3.9.1", engine, as_root)


def variables(container: spec.ContainerSpec) -> dict:
    return dict(entry.partition("=")[::2] for entry in container.arguments["environment"])


class TestImageNames:
    @pytest.mark.parametrize(
        ("name", "repository", "tag", "digest", "registry"),
        [
            ("flows", "flows", "", "", ""),
            ("flows:1.4", "flows", "1.4", "", ""),
            ("prefecthq/prefect:3-latest", "prefecthq/prefect", "3-latest", "", ""),
            ("registry:5000/flows", "registry:5000/flows", "", "", "registry:5000"),
            ("registry:5000/team/flows:1", "registry:5000/team/flows", "1", "", "registry:5000"),
            ("localhost/flows:1", "localhost/flows", "1", "", "localhost"),
            ("r.example.com/flows@sha256:abc", "r.example.com/flows", "", "sha256:abc", "r.example.com"),
            ("r:5000/flows:1@sha256:abc", "r:5000/flows", "1", "sha256:abc", "r:5000"),
        ],
    )
    def test_are_taken_apart(self, name, repository, tag, digest, registry):
        parsed = images.ImageName.parse(name)
        assert (parsed.repository, parsed.tag, parsed.digest, parsed.registry) == (repository, tag, digest, registry)

    def test_what_a_pull_asks_for(self):
        assert images.ImageName.parse("flows").version == "latest"
        assert images.ImageName.parse("flows:1@sha256:abc").version == "sha256:abc"

    @pytest.mark.parametrize(
        ("version", "python", "expected"),
        [
            ("3.9.1", (3, 12), "prefecthq/prefect:3.9.1-python3.12"),
            ("3.9.1", (3, 9), "prefecthq/prefect:3.9.1-python3.10"),
            ("3.9.1", (3, 15), "prefecthq/prefect:3.9.1-python3.13"),
            ("2.0b6", (3, 8), "prefecthq/prefect:2.0b6-python3.8"),
            ("2.0a13+12.gabc", (3, 9), "prefecthq/prefect:dev-python3.9"),
            ("3.9.2.dev1+4.g12", (3, 12), "prefecthq/prefect:3-latest"),
        ],
    )
    def test_the_default_one(self, version, python, expected):
        assert images.default_image(version, python) == expected

    @pytest.mark.parametrize(
        ("chosen", "name", "policy"),
        [
            (None, "flows", "Always"),
            (None, "flows:latest", "Always"),
            (None, "r:5000/flows", "Always"),
            (None, "flows:1", "IfNotPresent"),
            (None, "flows@sha256:abc", "IfNotPresent"),
            (None, "flows:latest@sha256:abc", "IfNotPresent"),
            ("Never", "flows", "Never"),
        ],
    )
    def test_whether_they_are_pulled(self, chosen, name, policy):
        assert images.pull_policy(chosen, name) == policy


class TestKinds:
    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [
            ("image", " registry:5000/flows:1 ", "registry:5000/flows:1"),
            ("image", "flows@sha256:" + "a" * 64, "flows@sha256:" + "a" * 64),
            ("image", "sha256:" + "a" * 64, "sha256:" + "a" * 64),
            ("image", f"Registry.example.com/a-b/c__d:V_1@sha256:{'a' * 64}", None),
            ("image", "registry:5000/a", None),
            ("image", "localhost/a/b.c", None),
            ("image", "[::1]:5000/a:1", None),
            ("pull_policy", "IF_NOT_PRESENT", "IfNotPresent"),
            ("pull_policy", "Always", "Always"),
            ("volumes", ["/a:/b", "named:/c:ro,z", "~/x:/d"], ["/a:/b", "named:/c:ro,z", "~/x:/d"]),
            ("labels", {"a": "b", "n": 5}, {"a": "b", "n": "5"}),
            ("memory", "512m", str(512 * 2**20)),
            ("memory", "1.5 GiB", str(3 * 2**29)),
            ("memory", "8388608", "8388608"),
            ("swap", "-1", "-1"),
            ("network_mode", "container:db", "container:db"),
            ("container_user", "1000:1000", "1000:1000"),
            ("device_requests", [{"count": 1, "driver": None}], [{"count": 1}]),
            ("docker_host", "tcp://h:2376", "tcp://h:2376"),
            ("api_version", "1.41", "1.41"),
            ("create_kwargs", {"cpu_shares": 5}, {"cpu_shares": 5}),
        ],
    )
    def test_accept(self, kind, value, expected):
        assert CONTAINER_KINDS[kind](value) == (value if expected is None else expected)

    @pytest.mark.parametrize(
        ("kind", "value", "says"),
        [
            ("image", "Flows:1", "lower case"),
            ("image", "-flows", "not the name of an image"),
            ("image", "two words", "not the name of an image"),
            ("image", "hello:", "not the name of an image"),
            ("image", "hello:1:2", "not the name of an image"),
            ("image", "hello:" + "t" * 129, "not the name of an image"),
            ("image", "registry.example.com/Flows/hello:1", "lower case"),
            ("volumes", ["data"], "expected format path:container_path"),
            ("volumes", ["./data:/data"], "full path"),
            ("volumes", ["/data:data"], "full path"),
            ("volumes", ["/data:/data:readonly"], "ro"),
            ("volumes", ["/data:/data:ro,rw"], "both ro and rw"),
            ("volumes", ["/data:/"], "below /"),
            ("volumes", ["c:/data:/data"], "/mnt/c/data"),
            ("volumes", ["C:\\data:/data"], "/mnt/c/data"),
            ("volumes", ["d:data"], "full path"),
            ("volumes", ["/a:/data", "/b:/data/"], "as [0] has"),
            ("labels", {"flowops.prefect.token": "x"}, "reserved"),
            ("labels", {"a": True}, "quotes"),
            ("memory", "512", "6m"),
            ("memory", "much", "512m"),
            ("networks", ["a b"], "docker network ls"),
            ("network_mode", "--privileged", "not a network mode"),
            ("container_user", "a b", "1000:1000"),
            ("create_kwargs", {"restart_policy": {"Name": "always"}}, "could run its flow twice"),
            ("create_kwargs", {"tty": True}, "terminal"),
            ("create_kwargs", {"environment": {}}, "secret_env"),
            ("create_kwargs", {"platform": "linux/arm64"}, "own platform"),
            ("device_requests", [{"gpu": 1}], "gpu"),
            ("device_requests", [{"capabilities": ["gpu"]}], "[[gpu]]"),
            ("device_requests", [{"device_ids": [0]}], "'0'"),
            ("device_requests", [{"count": True}], "-1 means all"),
            ("device_requests", [{"options": {"a": 1}}], "quotes"),
            ("device_requests", [{"count": 1, "device_ids": ["0"]}], "both count and device_ids"),
            ("docker_host", "/var/run/docker.sock", "unix://"),
            ("api_version", "newest", "auto"),
        ],
    )
    def test_refuse_with_a_remedy(self, kind, value, says):
        with pytest.raises(ProblemsError) as caught:
            CONTAINER_KINDS[kind](value)
        assert says in str(caught.value)


class TestNetwork:
    @pytest.mark.parametrize(
        ("settings", "url", "engine", "mode"),
        [
            ({}, LOOPBACK, ENGINE, "host"),
            ({}, "http://localhost:4200/api", ENGINE, "host"),
            ({}, "http://[::1]:4200/api", ENGINE, "host"),
            ({}, ELSEWHERE, ENGINE, None),
            ({"networks": ["a"]}, LOOPBACK, ENGINE, None),
            ({"network_mode": "bridge"}, LOOPBACK, ENGINE, "bridge"),
            ({}, LOOPBACK, dataclasses.replace(ENGINE, local=False), None),
            ({}, LOOPBACK, dataclasses.replace(ENGINE, desktop=True), None),
        ],
    )
    def test_the_mode(self, settings, url, engine, mode):
        assert spec.network_mode(settings, url, engine) == mode

    @pytest.mark.parametrize("url", [LOOPBACK, "http://LOCALHOST:4200/api", "http://[::1]:4200/api"])
    def test_an_address_of_this_machine_becomes_the_gateway(self, url):
        container = made(url, network_mode="bridge")
        assert variables(container)["PREFECT_API_URL"] == "http://host.docker.internal:4200/api"
        assert container.host["extra_hosts"] == {"host.docker.internal": "host-gateway"}

    def test_names_in_the_network_of_another_container_are_not_ours_to_add(self):
        """An engine refuses the container otherwise."""
        container = made(LOOPBACK, network_mode="container:db")
        assert "extra_hosts" not in container.host
        assert "engine_api_url" in container.warnings[0]

    def test_with_the_host_s_network_it_stays(self):
        container = made(LOOPBACK)
        assert variables(container)["PREFECT_API_URL"] == LOOPBACK
        assert "extra_hosts" not in container.host

    def test_a_chosen_address_stays(self):
        chosen = dataclasses.replace(launch(LOOPBACK, network_mode="bridge"), api_url_chosen=True)
        container = spec.container_spec(chosen, "flows:1", "3.9.1", ENGINE, True)
        assert variables(container)["PREFECT_API_URL"] == LOOPBACK

    def test_only_the_host_is_replaced(self):
        url = "http://localhost.example.com/localhost/api"
        assert spec.inside_url(url) == url

    def test_an_old_engine_is_told_of(self):
        container = made(LOOPBACK, engine=dataclasses.replace(ENGINE, version="19.3.5"), network_mode="bridge")
        assert "extra_hosts" not in container.host
        assert "engine_api_url" in container.warnings[0]

    @pytest.mark.parametrize(
        ("engine", "told"),
        [
            (ENGINE, False),
            (dataclasses.replace(ENGINE, desktop=True), True),
            (dataclasses.replace(ENGINE, system="windows"), True),
        ],
    )
    def test_the_host_s_network_of_another_host_is_told_of(self, engine, told):
        warnings = made(engine=engine, network_mode="host").warnings
        assert [warning.startswith("network_mode: host means") for warning in warnings] == [True] * told


class TestSpec:
    def test_the_name_is_that_of_the_attempt(self):
        container = made()
        assert container.name == f"flowops-{RUN}-2"
        assert container.arguments["labels"]["io.prefect.flow-run-name"] == "lively-hornet"

    def test_removal_is_not_left_to_the_engine(self):
        """It would take exit code and output away before anybody reads them."""
        task = parse_task({"api_url": ELSEWHERE, "runs": [{"flow_run_id": RUN}]}, "docker")
        assert task.requests[0].settings["auto_remove"] is False
        container = made(auto_remove=True)
        assert "auto_remove" not in {**container.host, **container.arguments}

    def test_labels_say_whose_it_is(self):
        labels = made(labels={"team": "a", "io.prefect.flow-run-id": "x", "io.prefect.version": "mine"}).arguments[
            "labels"
        ]
        assert labels["io.prefect.flow-run-id"] == RUN
        assert (labels["io.prefect.version"], labels["team"]) == ("mine", "a")
        assert look.key_of(labels) == KEY
        assert "CANARY" not in str(labels)

    def test_variables_are_set_and_removed(self):
        entries = made().arguments["environment"]
        assert "API_TOKEN=CANARY" in entries
        assert "LANG" in entries

    def test_the_command_holds_no_secret(self):
        command = made().arguments["command"]
        assert command[:2] == ["python", "-c"]
        assert "entrypoint" not in made().arguments
        assert "FLOWOPS_BOOTSTRAP" in command[2]
        assert "CANARY" not in command[2]

    @pytest.mark.parametrize(
        ("profile", "expected"),
        [
            ("none", {}),
            ("baseline", {"security_opt": ["no-new-privileges:true"]}),
            ("restricted", {"security_opt": ["no-new-privileges:true"], "cap_drop": ["ALL"]}),
        ],
    )
    def test_profiles(self, profile, expected):
        assert made(security_profile=profile).host == expected

    def test_the_restricted_user_has_a_home(self):
        container = made(security_profile="restricted")
        assert (container.arguments["user"], variables(container)["HOME"]) == ("1000:1000", "/tmp")
        assert "user" not in made(security_profile="restricted", as_root=False).arguments

    @pytest.mark.parametrize(
        "settings",
        [
            {"privileged": True},
            {"user": "root"},
            {"user": "0:5"},
            {"user": "00"},
            {"container_create_kwargs": {"cap_add": ["NET_ADMIN"]}},
            {"container_create_kwargs": {"security_opt": ["seccomp=unconfined"]}},
            {"container_create_kwargs": {"pid_mode": "host"}},
        ],
    )
    def test_the_restricted_profile_contradicts(self, settings):
        with pytest.raises(SettingsError, match="restricted"):
            made(security_profile="restricted", **settings)

    def test_what_a_profile_gives_is_not_taken_back(self):
        with pytest.raises(SettingsError, match="baseline"):
            made(container_create_kwargs={"security_opt": ["no-new-privileges=false"]})

    @pytest.mark.parametrize("limits", [{"memswap_limit": "1"}, {"mem_limit": "2", "memswap_limit": "1"}])
    def test_memory_and_swap_that_an_engine_refuses(self, limits):
        with pytest.raises(SettingsError, match="memswap_limit"):
            made(**limits)

    def test_volumes_are_bound(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/ada")
        container = made(volumes=["~/data:/data:ro", "named:/cache"])
        assert container.host["binds"] == ["/home/ada/data:/data:ro", "named:/cache"]
        assert container.arguments["volumes"] == ["/data", "/cache"]

    @pytest.mark.parametrize(
        ("volumes", "path", "there"),
        [
            ([], None, True),
            ([], "/etc/ca.pem", False),
            (["/x:/etc/ca.pem:ro"], "/etc/ca.pem", True),
            (["/x:/etc"], "/etc/ca.pem", True),
            (["/x:/et"], "/etc/ca.pem", False),
        ],
    )
    def test_what_they_bring(self, volumes, path, there):
        assert spec.mounts({"volumes": volumes}, path) is there

    def test_an_unknown_variable_in_a_path_is_refused(self):
        with pytest.raises(SettingsError, match="volumes"):
            made(volumes=["$NO_SUCH_VARIABLE/data:/data"])


def details(status: str = "exited", code: int = 0, oom: bool = False, seconds: float = 90, **more) -> dict:
    state = {
        "Status": status,
        "ExitCode": code,
        "OOMKilled": oom,
        "StartedAt": "2026-11-23T10:00:00.123456789Z",
        "FinishedAt": f"2026-11-23T10:{int(seconds // 60):02d}:{seconds % 60:02.0f}.5Z",
    }
    labels = spec.labels(launch(), "3.9.1")
    return {
        "Id": "4f5e",
        "Name": "/flowops-x",
        "Created": "2026-11-23T09:59:59Z",
        "State": state,
        "Config": {"Labels": labels},
        "HostConfig": {"Memory": 512 * 2**20},
        **more,
    }


def inspected(stopped: bool = False, **more):
    return look.inspected(details(**more), KEY, "http+docker://localhost", "web-1", stopped)


class TestLook:
    @pytest.mark.parametrize(
        ("state", "presence"),
        [
            ("created", Presence.PREPARED),
            ("running", Presence.LIVE),
            ("paused", Presence.LIVE),
            ("restarting", Presence.FINISHED),
            ("removing", Presence.STOPPING),
            ("exited", Presence.FINISHED),
            ("dead", Presence.FINISHED),
            ("some day", Presence.UNKNOWN),
        ],
    )
    def test_states(self, state, presence):
        entry = {"Id": "4f5e", "Names": ["/flowops-x"], "State": state, "Labels": spec.labels(launch(), "3.9.1")}
        seen = look.listed(entry, KEY, "http+docker://localhost", "web-1")
        assert (seen.presence, seen.token, seen.identifier) == (presence, TOKEN, "http+docker://localhost:4f5e")

    def test_an_end(self):
        seen = inspected(code=3)
        assert (seen.exit_code, seen.signal, seen.evidence["oom"]) == (3, None, None)
        assert seen.finished_at - seen.started_at == pytest.approx(90.376544, abs=1e-3)

    def test_a_signal(self):
        seen = inspected(code=137)
        assert (seen.exit_code, seen.signal) == (None, 9)

    def test_memory_is_to_blame_only_where_the_engine_says_so(self):
        assert inspected(code=137, oom=True).evidence["oom"] is True
        assert inspected(code=137).evidence["oom"] is None
        assert inspected(code=137, oom=True).evidence["memory_limit"] == "mem_limit (now 512m)"

    def test_limits_of_time(self):
        assert inspected(code=90).evidence["timed_out"] == "start"
        assert inspected(code=91).evidence["timed_out"] == "run"
        assert "timed_out" not in inspected(code=91, seconds=30).evidence, "a flow's own exit code"

    def test_stopped(self):
        assert inspected(code=92).evidence["stopped"] is True
        assert inspected(code=137, stopped=True).evidence["stopped"] is True
        assert "stopped" not in inspected(code=143).evidence

    @pytest.mark.parametrize(
        "change",
        [
            {spec.RUN_LABEL: "no uuid"},
            {spec.ATTEMPT_LABEL: "0"},
            {spec.ATTEMPT_LABEL: "²"},
            {spec.ATTEMPT_LABEL: ""},
            {spec.TOKEN_LABEL: ""},
        ],
    )
    def test_labels_that_are_not_ours(self, change):
        assert look.key_of({**spec.labels(launch(), "3.9.1"), **change}) is None

    @pytest.mark.parametrize("text", [None, "", "0001-01-01T00:00:00Z", "yesterday", 5])
    def test_never(self, text):
        assert look.moment(text) is None


def frame(stream: int, second: int, text: str) -> bytes:
    raw = f"2026-11-23T10:00:{second:02d}.000000001Z {text}".encode()
    return struct.pack(">BxxxL", stream, len(raw)) + raw


def read(data: bytes, cursor: str = "", finished: bool = False, step: int = 7):
    position = output.Cursor.parse(cursor)
    chunks = [data[place : place + step] for place in range(0, len(data), step)]
    found = [piece for piece in output.pieces(chunks) if piece.at >= position.since]
    return output.read_on(found, position, lambda: finished)


class TestOutput:
    def test_reads_on_without_losing_or_repeating(self):
        everything = b"".join(frame(1 + number % 2, number // 3, f"line {number}\n") for number in range(40))
        lines, cursor = [], ""
        for end in range(0, len(everything) + 1, 131):
            chunk = read(everything[:end], cursor)
            lines += chunk.lines
            cursor = chunk.cursor
        lines += read(everything, cursor).lines
        assert lines == [f"line {number}" for number in range(40)]

    def test_a_line_in_parts_waits_for_its_end(self):
        data = frame(1, 1, "be") + frame(2, 1, "other\n")
        first = read(data)
        assert "begin" not in first.lines
        whole = read(data + frame(1, 2, "gin\n"), first.cursor)
        assert sorted([*first.lines, *whole.lines]) == ["begin", "other"]

    def test_what_is_left_at_the_end_is_a_line(self):
        assert read(frame(1, 1, "no end"), finished=True).lines == ["no end"]

    def test_rotated_output_goes_on_and_says_so(self):
        cursor = read(frame(1, 1, "a\n") + frame(1, 2, "b\n")).cursor
        chunk = read(frame(1, 5, "c\n"), cursor)
        assert (chunk.lines, chunk.truncated) == (["c"], True)

    def test_control_characters_are_neutralised(self):
        assert read(frame(1, 1, "\x1b[31mred\x1b[0m\x07\n")).lines == ["red\ufffd"]

    @pytest.mark.parametrize("cursor", ["x", "1/2", "-1/2/3", "1/2/" + "9" * 50])
    def test_a_cursor_that_is_none(self, cursor):
        with pytest.raises(SettingsError):
            output.Cursor.parse(cursor)


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ("driver failed: Bind for 0.0.0.0:80 failed: port is already allocated", "port_conflict"),
        ("network nowhere not found", "network_missing"),
        ('exec: "python": executable file not found in $PATH: unknown', "command_missing"),
        ("bind source path does not exist: /x", "volume_conflict"),
        ("could not select device driver with capabilities: [[gpu]]", "device_missing"),
        ("something new", "infrastructure"),
    ],
)
def test_refusals_have_a_category_and_a_remedy(said, category):
    error = refusal("x", said, 500)
    assert (error.category, bool(error.remedy)) == (category, True)


def test_a_missing_sdk_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(SettingsError, match="docker") as caught:
        sdk()
    assert (caught.value.category, "PyPI" in caught.value.remedy) == ("library_missing", True)


def test_a_package_that_the_sdk_needs_for_ssh_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    for program in (True, False):
        connection = Connection({"docker_host": "ssh://engine.example.com", "use_ssh_client": program}, {})
        with pytest.raises(SettingsError, match="paramiko") as caught:
            connection.client  # noqa: B018 - connects
        assert (caught.value.category, "docker[ssh]" in caught.value.remedy) == ("library_missing", True)
