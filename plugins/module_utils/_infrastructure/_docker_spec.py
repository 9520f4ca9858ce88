# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From a launch to the body of the request that creates its container."""

from __future__ import annotations

import dataclasses
import os
import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._container_kinds import LABEL_PREFIX
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_engine import (
    BOOTSTRAP_VARIABLE,
    engine_command,
    engine_orders,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._problems import did_you_mean

RUN_LABEL = "io.prefect.flow-run-id"
RUN_NAME_LABEL = "io.prefect.flow-run-name"
VERSION_LABEL = "io.prefect.version"
ATTEMPT_LABEL = LABEL_PREFIX + "attempt"
TOKEN_LABEL = LABEL_PREFIX + "token"
SPEC_LABEL = LABEL_PREFIX + "spec-hash"
PULL_LABEL = LABEL_PREFIX + "pull-seconds"
API_LABEL = LABEL_PREFIX + "api-url"
RUN_TIMEOUT_LABEL = LABEL_PREFIX + "run-timeout"

CA_VARIABLE = "PREFECT_API_SSL_CERT_FILE"
GATEWAY = "host.docker.internal"

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_GATEWAY_SINCE = (20, 10)
#: Whoever the image runs as, this one is nobody of importance; its home is a place that anybody may write to.
_PLAIN_USER, _PLAIN_HOME = "1000:1000", "/tmp"  # noqa: S108 - inside the container


@dataclasses.dataclass(frozen=True)
class EngineFacts:
    """What of an engine decides how a container is made.

    :arg local: it is on this machine, so the loopback interface of one is that of the other.
    :arg desktop: it runs in a virtual machine of its own, whatever it says of itself.
    """

    version: str
    system: str
    local: bool
    desktop: bool = False

    @classmethod
    def of(cls, info: t.Mapping[str, t.Any], local: bool) -> EngineFacts:
        """From the answer of ``docker info``."""
        desktop = "desktop" in str(info.get("OperatingSystem", "")).lower()
        return cls(str(info.get("ServerVersion", "")), str(info.get("OSType", "linux")), local, desktop)

    @property
    def on_linux(self) -> bool:
        return self.system == "linux" and not self.desktop

    @property
    def knows_gateway(self) -> bool:
        """Whether it resolves ``host-gateway`` (20.10)."""
        numbers = tuple(int(part) for part in self.version.split("-")[0].split(".")[:2] if part.isdigit())
        return not numbers or numbers >= _GATEWAY_SINCE


@dataclasses.dataclass(frozen=True)
class ContainerSpec:
    """What is created.

    :arg arguments: for the SDK's ``create_container_config``, without the host's part.
    :arg host: for its ``create_host_config``.
    :arg networks: joined by the container: the first when it is created, the rest before it starts.
    :arg secret_names: variables whose values are never shown.
    """

    name: str
    image: str
    arguments: dict[str, t.Any]
    host: dict[str, t.Any]
    networks: tuple[str, ...]
    secret_names: frozenset[str]
    warnings: tuple[str, ...] = ()


def container_name(key: AttemptKey) -> str:
    """Deterministic: two launches of one attempt want the same name, and the engine gives it to one."""
    return f"flowops-{key.name}"


def network_mode(settings: t.Mapping[str, t.Any], api_url: str, engine: EngineFacts) -> str | None:
    """The given one; else the host's network where the API is on the loopback interface of the engine's host."""
    if settings.get("network_mode"):
        return str(settings["network_mode"])
    if settings.get("networks") or not engine.on_linux or not engine.local:
        return None
    return "host" if _hostname(api_url) in _LOOPBACK else None


def _hostname(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or ""


def inside_url(url: str) -> str:
    """An address on this machine as a container with a network of its own sees it."""
    parts = urllib.parse.urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    port = f":{parts.port}" if parts.port else ""
    return urllib.parse.urlunsplit(parts._replace(netloc=GATEWAY + port))


def container_spec(
    launch: Launch,
    image: str,
    server_version: str,
    engine: EngineFacts,
    as_root: bool,
    pull_seconds: float | None = None,
) -> ContainerSpec:
    """Everything that is asked of the engine.

    :arg as_root: the image runs as root unless told otherwise.
    :arg pull_seconds: how long the image was waited for, if it was.
    """
    settings = launch.settings
    environment = dict(launch.environment)
    mode = network_mode(settings, environment.get("PREFECT_API_URL", ""), engine)
    if "PREFECT_API_URL" in environment and not launch.api_url_chosen and mode != "host":
        environment["PREFECT_API_URL"] = inside_url(environment["PREFECT_API_URL"])
    host: dict[str, t.Any] = {"extra_hosts": {}}
    if mode:
        host["network_mode"] = mode
    elif settings.get("networks"):
        host["network_mode"] = settings["networks"][0]
    warnings = _gateway(host, environment.get("PREFECT_API_URL", ""), mode, engine) + _elsewhere(mode, engine)
    host.update(_limits(settings))
    arguments: dict[str, t.Any] = {"image": image, "command": list(engine_command()), "detach": True}
    user = _harden(settings, host, environment, as_root)
    if user:
        arguments["user"] = user
    arguments["labels"] = labels(launch, server_version)
    if pull_seconds is not None:
        arguments["labels"][PULL_LABEL] = f"{pull_seconds:.3f}"
    _add_volumes(settings, host, arguments)
    _add_kwargs(settings, host, arguments)
    secrets = {**launch.secret_environment, BOOTSTRAP_VARIABLE: engine_orders(launch)}
    arguments["environment"] = _environment(launch, environment, secrets)
    return ContainerSpec(
        name=container_name(launch.key),
        image=image,
        arguments=arguments,
        host={name: value for name, value in host.items() if value not in (None, {}, [])},
        networks=tuple(settings.get("networks") or ()),
        secret_names=frozenset(secrets),
        warnings=tuple(warnings),
    )


def labels(launch: Launch, server_version: str) -> dict[str, str]:
    """Prefect's may be complemented by the user's, ours tell whose the container is."""
    given = launch.settings.get("labels") or {}
    ours = {
        RUN_LABEL: launch.key.flow_run_id,
        ATTEMPT_LABEL: str(launch.key.number),
        TOKEN_LABEL: launch.token,
        SPEC_LABEL: launch.spec_hash,
        API_LABEL: launch.api_url,
    }
    if launch.run_timeout is not None:
        ours[RUN_TIMEOUT_LABEL] = f"{launch.run_timeout:g}"
    return {VERSION_LABEL: server_version, RUN_NAME_LABEL: launch.flow_run_name, **given, **ours}


def _environment(launch: Launch, plain: dict[str, str], secrets: dict[str, str]) -> list[str]:
    """``NAME=value`` sets a variable, a bare ``NAME`` removes one that the image sets."""
    values = {"PYTHONUNBUFFERED": "1", **plain, **secrets}
    for name in launch.unset_environment:
        values.pop(name, None)
    return sorted([*(f"{name}={value}" for name, value in values.items()), *launch.unset_environment])


def _gateway(host: dict[str, t.Any], api_url: str, mode: str | None, engine: EngineFacts) -> list[str]:
    """Let the container resolve the name that stands for the engine's host."""
    if _hostname(api_url) != GATEWAY or not engine.on_linux or mode == "host":
        return []
    if (mode or "").startswith("container:"):
        told = f"network_mode: in the network of another container, {GATEWAY} has to be known to that one already. "
        return [told + "Give an engine_api_url that works from there."]
    if not engine.knows_gateway:
        return [
            (
                f"Docker Engine {engine.version} does not resolve {GATEWAY}, 20.10 does: give an engine_api_url that "
                "the container reaches."
            )
        ]
    host["extra_hosts"][GATEWAY] = "host-gateway"
    return []


def _elsewhere(mode: str | None, engine: EngineFacts) -> list[str]:
    """On an engine in a virtual machine the host's network is not the one that the user means."""
    if mode != "host" or engine.on_linux:
        return []
    return [
        (
            "network_mode: host means the virtual machine that this Docker Engine runs in, not the computer around "
            "it: leave network_mode out, or give an engine_api_url that the container reaches."
        )
    ]


def _limits(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    names = ("mem_limit", "memswap_limit", "shm_size")
    host: dict[str, t.Any] = {name: int(settings[name]) for name in names if settings.get(name) is not None}
    if 0 < host.get("memswap_limit", 0) < host.get("mem_limit", 0):
        raise SettingsError(
            "memswap_limit: it is less than mem_limit, and it counts memory and swap together.",
            "Give at least as much as mem_limit, or -1 for any amount of swap.",
        )
    if "memswap_limit" in host and "mem_limit" not in host:
        raise SettingsError("memswap_limit: it comes without mem_limit.", "Give mem_limit too.")
    if settings.get("device_requests"):
        host["device_requests"] = settings["device_requests"]
    if settings.get("privileged"):
        host["privileged"] = True
    return host


def is_root(user: str) -> bool:
    """Whether a container's user is, by name or number."""
    name = user.partition(":")[0]
    return name == "root" or (name.isdecimal() and int(name) == 0)


def _harden(
    settings: t.Mapping[str, t.Any], host: dict[str, t.Any], environment: dict[str, str], as_root: bool
) -> str | None:
    """What the security profile asks for. :returns: the user of the container; ``None`` for the image's."""
    profile, user = settings.get("security_profile") or "baseline", settings.get("user")
    if profile == "none":
        return user
    host["security_opt"] = ["no-new-privileges:true"]
    if profile == "baseline":
        return user
    if settings.get("privileged"):
        raise SettingsError("privileged: it contradicts security_profile: restricted.", "Keep one of them.")
    if user is not None and is_root(user):
        raise SettingsError("user: root contradicts security_profile: restricted.", "Give another user.")
    host["cap_drop"] = ["ALL"]
    if user is None and as_root:
        environment.setdefault("HOME", _PLAIN_HOME)
        return _PLAIN_USER
    return user


def _add_volumes(settings: t.Mapping[str, t.Any], host: dict[str, t.Any], arguments: dict[str, t.Any]) -> None:
    """``~`` and variables mean those of the host where the module runs, as in all paths of options."""
    volumes = [_expanded(volume) for volume in settings.get("volumes") or ()]
    if volumes:
        host["binds"] = volumes
        arguments["volumes"] = [volume.split(":")[1] for volume in volumes]


def _expanded(volume: str) -> str:
    source, _dummy, rest = volume.partition(":")
    if source[0] in "/~$":
        source = os.path.expanduser(os.path.expandvars(source))
        if not os.path.isabs(source):
            raise SettingsError(
                f"volumes: {volume} has a variable or a user that this host does not know.", "Give the full path."
            )
    return f"{source}:{rest}"


def mounts(settings: t.Mapping[str, t.Any], path: str | None) -> bool:
    """Whether a volume brings a path into the container; nothing has to be brought for none."""
    targets = [volume.split(":")[1] for volume in settings.get("volumes") or ()]
    return path is None or any(path == target or path.startswith(target.rstrip("/") + "/") for target in targets)


def _add_kwargs(settings: t.Mapping[str, t.Any], host: dict[str, t.Any], arguments: dict[str, t.Any]) -> None:
    """The SDK's own names, told apart by whom they are for; lists are added to what is there."""
    given = settings.get("container_create_kwargs") or {}
    if not given:
        return
    _check_profile(settings.get("security_profile") or "baseline", given)
    from docker.models.containers import RUN_CREATE_KWARGS, RUN_HOST_CONFIG_KWARGS

    known = {*RUN_CREATE_KWARGS, *RUN_HOST_CONFIG_KWARGS, "ports"}
    for name, value in given.items():
        if name not in known:
            raise SettingsError(
                f"container_create_kwargs.{name} is no argument of the Docker SDK.", did_you_mean(name, known)
            )
        if name == "ports":
            arguments["ports"] = [tuple(port.split("/", 1)) if "/" in str(port) else port for port in value]
            host["port_bindings"] = value
        elif name in RUN_HOST_CONFIG_KWARGS:
            host[name] = _combined(host.get(name), value)
        else:
            arguments[name] = value


def _check_profile(profile: str, given: t.Mapping[str, t.Any]) -> None:
    """What the profile gives is not to be taken back by another door."""
    if profile == "none":
        return
    options = [str(option).replace("=", ":") for option in given.get("security_opt") or ()]
    loosened = [f"security_opt ({option})" for option in options if option == "no-new-privileges:false"]
    if profile == "restricted":
        loosened += [f"security_opt ({option})" for option in options if option.endswith(":unconfined")]
        loosened += [name for name in ("pid_mode", "ipc_mode") if given.get(name) == "host"]
        loosened += ["cap_add"] if given.get("cap_add") else []
    if loosened:
        raise SettingsError(
            f"container_create_kwargs: {', '.join(loosened)} contradicts security_profile: {profile}.",
            "Leave that out, or say security_profile: none.",
        )


def _combined(ours: t.Any, given: t.Any) -> t.Any:
    if isinstance(ours, list) and isinstance(given, (list, tuple)):
        return [*ours, *given]
    if isinstance(ours, dict) and isinstance(given, dict):
        return {**ours, **given}
    return given
