# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What the values of options of containers mean: checks as in ``_kinds``, for what only containers have."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._kinds import as_text, each, indexed, named_entries
from ansible_collections.flowops.prefect.plugins.module_utils._problems import (
    described,
    did_you_mean,
    fail,
    no_control,
    shown,
)

#: Ours: what tells whose a container is. Nobody else may write them.
LABEL_PREFIX = "flowops.prefect."

#: As engines read it: what comes before the first slash is a registry if it looks like a host.
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REGISTRY = r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:)|\[[0-9a-f:]+\])(?::[0-9]+)?"
_IMAGE = re.compile(
    rf"(?:{_REGISTRY}/)?(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::[a-z0-9_][a-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_VERSION = re.compile(r"auto|[0-9]+\.[0-9]+")
_HOST = re.compile(r"(unix|npipe|tcp|https?|ssh)://\S+")
_VOLUME_MODES = frozenset(
    (
        *("ro", "rw", "z", "Z", "nocopy", "cached", "consistent", "delegated"),
        *("private", "rprivate", "shared", "rshared", "slave", "rslave"),
    )
)


def _are_texts(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


#: The parts of a device request: whether a value is of the right kind, and what to do about one that is not.
_DEVICE_KEYS: dict[str, tuple[t.Callable[[t.Any], bool], str]] = {
    "driver": (lambda value: isinstance(value, str), "Give a name, such as nvidia."),
    "count": (lambda value: isinstance(value, int) and not isinstance(value, bool), "Give a number; -1 means all."),
    "device_ids": (_are_texts, "Give a list of texts, such as ['0', '1']."),
    "capabilities": (
        lambda value: isinstance(value, list) and all(map(_are_texts, value)),
        "Give a list of lists, such as [[gpu]].",
    ),
    "options": (
        lambda value: isinstance(value, dict) and _are_texts([*value, *value.values()]),
        "Give names and values as texts, in quotes.",
    ),
}

#: The engine refuses less.
_LEAST_MEMORY = 6 * 1024 * 1024

#: What ``container_create_kwargs`` may not say, and what says it instead.
REFUSED_KWARGS = {
    **dict.fromkeys(("image", "name", "command", "detach", "remove", "stdin_open"), "the launch itself"),
    **dict.fromkeys(("environment", "env"), "the options env and secret_env"),
    **dict.fromkeys(("network", "networking_config"), "the option networks"),
    **{name: f"the option {name}" for name in ("network_mode", "labels", "auto_remove", "volumes", "mem_limit")},
    **{name: f"the option {name}" for name in ("memswap_limit", "shm_size", "device_requests", "privileged", "user")},
    "tty": "nothing: a terminal would mix and change the output",
    "platform": "nothing: images are pulled for the engine's own platform",
    "use_config_proxy": "the options env and secret_env, which say what a flow needs of proxies",
    "restart_policy": "nothing: an engine that is started again could run its flow twice",
}


def _image(value: str) -> str:
    name = value.strip()
    found = _IMAGE.fullmatch(name)
    if found is None:
        fail(f"is {described(value)}, not the name of an image", "Write [registry/]name[:tag] or name@sha256:digest.")
    if found["repository"] != found["repository"].lower():
        fail(f"is {shown(name)}, and the name of an image is in lower case", "Write it in lower case; tags may differ.")
    return name


def _pull_policy(value: str) -> str:
    """One spelling for both."""
    return {"IF_NOT_PRESENT": "IfNotPresent", "ALWAYS": "Always", "NEVER": "Never"}.get(value, value)


def _networks(values: list[t.Any]) -> list[str]:
    def one(path: str, value: t.Any) -> str:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            fail(f"is {described(value)}, not the name of a network", "Give a name of 'docker network ls'.", path)
        return value

    return each(indexed(values), one)


def _network_mode(value: str) -> str:
    name = value.removeprefix("container:")
    if not _NAME.fullmatch(name):
        fail(
            f"is {described(value)}, not a network mode",
            "Give bridge, host, none, container:name, or a network's name.",
        )
    return value


def _labels(value: dict[t.Any, t.Any]) -> dict[str, str]:
    def one(path: str, pair: tuple[t.Any, t.Any]) -> tuple[str, str]:
        key, entry = pair
        text = as_text(entry)
        if not isinstance(key, str) or not key.strip():
            fail(f"has {described(key)} as a name", "Put the name in quotes; it must not be empty.")
        if key.startswith(LABEL_PREFIX):
            fail("is reserved", f"Choose a name that does not begin with {LABEL_PREFIX}.", path)
        if text is None:
            fail(f"is {described(entry)}, not a text", "Put the value in quotes.", path)
        no_control(key)
        no_control(text, path=path)
        return key, text

    return dict(each(named_entries(value), one))


def _volumes(values: list[t.Any]) -> list[str]:
    taken: dict[str, str] = {}

    def one(path: str, value: t.Any) -> str:
        target = _volume(path, value).split(":")[1]
        first = taken.setdefault(target.rstrip("/"), path)
        if first != path:
            fail(f"has {shown(target)} as its place in the container, as {first} has", "Keep one of them.", path)
        return str(value)

    return each(indexed(values), one)


def _volume(path: str, value: t.Any) -> str:
    """``source:target[:mode]``; a source is a full path or the name of a volume."""
    if not isinstance(value, str):
        fail(f"is {described(value)}, not a volume", "Write /path/on/the/host:/path/in/the/container.", path)
    no_control(value, path=path)
    if _DRIVE.match(value):
        remedy = "Give it as the engine's host has it, such as /mnt/c/data."
        fail(f"is {shown(value)}, which begins with a path of Windows", remedy, path)
    source, _dummy, rest = value.partition(":")
    target, _dummy, modes = rest.partition(":")
    if not source or not target:
        fail(f"is {shown(value)}, expected format path:container_path", "Write /on/the/host:/in/the/container.", path)
    if not target.startswith("/") or not target.strip("/") or ".." in target.split("/"):
        fail(f"has {shown(target)} as its place in the container", "Give a full path below /, without '..'.", path)
    if source[0] not in "/~$" and not _VOLUME.fullmatch(source):
        remedy = "Give the full path on the host, for example with {{ playbook_dir }}, or the name of a volume."
        fail(f"has the source {shown(source)}, neither a full path nor the name of a volume", remedy, path)
    given = modes.split(",") if modes else []
    unknown = [mode for mode in given if mode not in _VOLUME_MODES]
    if {"ro", "rw"} <= {*given}:
        fail("is both ro and rw", "Keep one of them.", path)
    if unknown:
        fail(f"has the mode {shown(unknown[0])}", did_you_mean(unknown[0], _VOLUME_MODES), path)
    return value


def _size(value: str) -> int:
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        fail(f"is {described(value)}, not an amount of memory", "Write bytes, or a number with a unit: 512m, 2g.")
    number = float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " ")
    if not number < 2**62:
        fail(f"is {described(value)}, more than any machine has", "Check the unit: k, m, g or t.")
    return int(number)


def _memory(value: str) -> str:
    """In bytes."""
    size = _size(value)
    if size < _LEAST_MEMORY:
        fail(
            f"is {described(value)}, less than the 6m that an engine allows", "Check the unit: without one it is bytes."
        )
    return str(size)


def _swap(value: str) -> str:
    """Memory and swap together; -1 for as much swap as there is."""
    return "-1" if value.strip() == "-1" else _memory(value)


def _device_requests(values: list[t.Any]) -> list[dict[str, t.Any]]:
    def one(path: str, value: t.Any) -> dict[str, t.Any]:
        if not isinstance(value, dict):
            fail(f"is {described(value)}, not a mapping", "Write '- capabilities: [[gpu]]'.", path)
        for key, entry in value.items():
            if key not in _DEVICE_KEYS:
                fail(f"has {described(key)}", did_you_mean(str(key), _DEVICE_KEYS), path)
            holds, remedy = _DEVICE_KEYS[key]
            if entry is not None and not holds(entry):
                fail(f"is {described(entry)}", remedy, f"{path}.{key}")
        if value.get("count") is not None and value.get("device_ids"):
            fail("has both count and device_ids", "Keep one of them.", path)
        return {key: entry for key, entry in value.items() if entry is not None}

    return each(indexed(values), one)


def _container_user(value: str) -> str:
    if not _USER.fullmatch(value.strip()):
        fail(f"is {described(value)}, not a user", "Write name, name:group, or numbers such as 1000:1000.")
    return value.strip()


def _create_kwargs(value: dict[t.Any, t.Any]) -> dict[str, t.Any]:
    for key in value:
        if not isinstance(key, str) or not key.isidentifier():
            fail(f"has {described(key)} as a name", "Use the names of the Docker SDK's containers.create.")
        if key in REFUSED_KWARGS:
            fail("is refused here", f"It is for {REFUSED_KWARGS[key]}.", key)
    return value


def _docker_host(value: str) -> str:
    if not _HOST.fullmatch(value.strip()):
        remedy = "Begin with unix://, tcp://, ssh:// or npipe://, such as unix:///var/run/docker.sock."
        fail(f"is {described(value)}, not the address of a Docker Engine", remedy)
    return value.strip()


def _api_version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        fail(f"is {described(value)}, not a version of the API", "Give auto, or a version in quotes, such as '1.41'.")
    return value


CONTAINER_KINDS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "image": _image,
    "pull_policy": _pull_policy,
    "networks": _networks,
    "network_mode": _network_mode,
    "labels": _labels,
    "volumes": _volumes,
    "memory": _memory,
    "swap": _swap,
    "device_requests": _device_requests,
    "container_user": _container_user,
    "create_kwargs": _create_kwargs,
    "docker_host": _docker_host,
    "api_version": _api_version,
}
