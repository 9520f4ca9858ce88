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

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*(@[a-z0-9]+:[0-9a-f]{32,})?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
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
_DEVICE_KEYS = {"driver": str, "count": int, "device_ids": list, "capabilities": list, "options": dict}

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
    "restart_policy": "nothing: an engine that is started again could run its flow twice",
}


def _image(value: str) -> str:
    name = value.strip()
    if not _IMAGE.fullmatch(name) or "//" in name:
        fail(f"is {described(value)}, not the name of an image", "Write [registry/]name[:tag] or name@sha256:digest.")
    last = name.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if last != last.lower():
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
    return each(indexed(values), _volume)


def _volume(path: str, value: t.Any) -> str:
    """``source:target[:mode]``; a source is a full path or the name of a volume."""
    if not isinstance(value, str):
        fail(f"is {described(value)}, not a volume", "Write /path/on/the/host:/path/in/the/container.", path)
    no_control(value, path=path)
    source, _dummy, rest = value.partition(":")
    target, _dummy, modes = rest.partition(":")
    if not source or not target:
        fail(f"is {shown(value)}, expected format path:container_path", "Write /on/the/host:/in/the/container.", path)
    if not target.startswith("/") or ".." in target.split("/"):
        fail(f"has {shown(target)} as its place in the container", "Give a full path, without '..'.", path)
    if source[0] not in "/~$" and not _NAME.fullmatch(source):
        remedy = "Give the full path on the host, for example with {{ playbook_dir }}, or the name of a volume."
        fail(f"has the source {shown(source)}, neither a full path nor the name of a volume", remedy, path)
    unknown = [mode for mode in modes.split(",") if mode not in _VOLUME_MODES] if modes else []
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
            if entry is not None and (not isinstance(entry, _DEVICE_KEYS[key]) or isinstance(entry, bool)):
                fail(f"is {described(entry)}", "See the option's description for its type.", f"{path}.{key}")
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
