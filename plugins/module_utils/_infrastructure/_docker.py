# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Runs attempts as containers of a Docker Engine.

The engine's name for a container is the lock: it gives one name to one container, and the labels say whose it is. A
container is started only if it never was; that it cannot run a flow's body twice all the same, whoever starts it again,
is the gate's doing (see ``_bootstrap``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import Guard
from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    InfrastructureError,
    InfrastructureUnreachable,
    NameCollision,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._base import Infrastructure
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_image import (
    NEVER,
    default_image,
    pull_policy,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_output import (
    Cursor,
    Piece,
    pieces,
    read_on,
    safe_lines,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_client import (
    OUTPUT_ELSEWHERE,
    Connection,
    sdk,
    status_of,
    words,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_look import (
    identifier,
    inspected,
    key_of,
    listed,
    moment,
    presence_of,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_pull import Images
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_spec import (
    ATTEMPT_LABEL,
    CA_VARIABLE,
    RUN_LABEL,
    TOKEN_LABEL,
    ContainerSpec,
    EngineFacts,
    container_name,
    container_spec,
    mounts,
)
from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._observation import LogChunk, Observation, Presence

if t.TYPE_CHECKING:
    from ansible_collections.flowops.prefect.plugins.module_utils._task import Task

MASK = "********"

#: How long an inspect may say 404 for a container whose name is taken: 38 of 42 losers of a race heard it (measured).
_NAME_PATIENCE = 10.0
_STOP_PATIENCE = 30.0
#: Seconds between two looks while waiting; one list of containers costs an engine a few milliseconds.
_WAIT_FIRST, _WAIT_LAST, _WAIT_GROWTH = 0.25, 1.0, 1.2
#: Status of a start; 304 says that it ran already.
_STARTED = 204
#: What it answers about a container that is gone, or on its way out.
_GONE = (404, 409)
_REMOVAL_UNDER_WAY = "is already in progress"
_CONTAINER_ID = re.compile("[0-9a-f]{64}")
_READ = 64 * 1024
#: Nobody asks for the output of a finished container again: so often it is read when the engine breaks off.
_LAST_READS = 5


def docker_infrastructure(task: Task, _look_only: bool) -> DockerInfrastructure:
    """Set up from a task's options; check mode needs nothing else, since looking changes nothing."""
    made = DockerInfrastructure(Connection(task.connection), task.connection, patient=not task.is_followed)
    made.api_ca_path = task.api.ca_path
    return made


class DockerInfrastructure(Infrastructure):
    """Attempts as containers of one engine.

    :arg options: the task's connection options, for what is about registries.
    :arg patient: wait for images; else the caller comes again.
    """

    type: t.ClassVar[str] = "docker"
    bootstrap_claims: t.ClassVar[bool] = False
    parallel: t.ClassVar[int] = 5

    def __init__(self, connection: Connection, options: t.Mapping[str, t.Any], patient: bool = True) -> None:
        self._connection = connection
        self._images = Images(connection, options, patient)
        self._server_version = ""
        #: A file of this host, which the engine in the container is told to use as well.
        self.api_ca_path: str | None = None
        self._prepared: dict[AttemptKey, str] = {}
        self._over: dict[str, Observation] = {}
        self._stopped: set[AttemptKey] = set()
        self._states: dict[str, t.Any] = {}
        self._output: dict[AttemptKey, bytes] = {}
        self._warnings: list[str] = []

    @property
    def _client(self) -> t.Any:
        return self._connection.client

    def warnings(self) -> list[str]:
        """See :meth:`Infrastructure.warnings`."""
        return [*self._connection.warnings, *dict.fromkeys(self._warnings)]

    @property
    def locus(self) -> str:
        """The engine's own id: the same by whichever address it is reached."""
        return f"docker/{self._connection.info.get('ID') or self._connection.info.get('Name')}"

    @property
    def _host(self) -> str:
        return str(self._connection.info.get("Name", ""))

    @property
    def _base_url(self) -> str:
        return str(self._client.base_url)

    # --- looking -------------------------------------------------------------------------------------------------

    def find(self, flow_run_ids: t.Sequence[str]) -> dict[AttemptKey, Observation]:
        """One list, and a closer look at each container that is over, once."""
        wanted = set(flow_run_ids)
        return self._look_at((key, entry) for key, entry in self._list(flow_run_ids) if key.flow_run_id in wanted)

    def list_attempts(self) -> dict[AttemptKey, Observation]:
        """See :meth:`Infrastructure.list_attempts`."""
        return self._look_at(self._list([]))

    def may_hold(self, identifier: str) -> bool:
        """See :meth:`Infrastructure.may_hold`. An engine has several addresses, so only the id's form tells."""
        return _CONTAINER_ID.fullmatch(identifier.rpartition(":")[2]) is not None

    def _look_at(self, entries: t.Iterable[tuple[AttemptKey, dict[str, t.Any]]]) -> dict[AttemptKey, Observation]:
        looks = ((key, self._observed(key, entry)) for key, entry in entries)
        return {key: seen for key, seen in looks if seen is not None}

    def _list(self, flow_run_ids: t.Sequence[str]) -> list[tuple[AttemptKey, dict[str, t.Any]]]:
        """A look, with which the next ones are compared."""
        own = self._entries(flow_run_ids)
        self._states = {entry["Id"]: entry["State"] for _key, entry in own}
        return own

    def _entries(self, flow_run_ids: t.Sequence[str]) -> list[tuple[AttemptKey, dict[str, t.Any]]]:
        """All of our containers, or those of one run: an engine cannot be asked for one label or another."""
        one = f"={flow_run_ids[0]}" if len(flow_run_ids) == 1 else ""
        with self._connection.explained("containers"):
            entries = self._client.containers(all=True, filters={"label": [f"{RUN_LABEL}{one}", ATTEMPT_LABEL]})
        pairs = [(key_of(entry.get("Labels") or {}), entry) for entry in entries]
        labelled = [(key, entry) for key, entry in pairs if key is not None]
        named = {key for key, entry in labelled if _has_our_name(key, entry)}
        return [
            (key, entry)
            for key, entry in labelled
            if _has_our_name(key, entry) or (key not in named and self._was_renamed(entry))
        ]

    def _was_renamed(self, entry: t.Mapping[str, t.Any]) -> bool:
        """A container with our labels and another name is ours, unless it has the labels from its image.

        Whoever commits a container copies its labels into the image, and so into all containers of that image.
        """
        from_image = self._images.labels(str(entry.get("ImageID")))
        return from_image.get(TOKEN_LABEL) != str(entry["Labels"][TOKEN_LABEL])

    def _observed(self, key: AttemptKey, entry: dict[str, t.Any]) -> Observation | None:
        seen = listed(entry, key, self._base_url, self._host)
        if seen.presence is not Presence.FINISHED:
            self._over.pop(entry["Id"], None)
            return seen
        if entry["Id"] not in self._over:
            details = self._inspect(entry["Id"])
            if details is None:
                return None
            stopped = key in self._stopped
            over = self._over[entry["Id"]] = inspected(details, key, self._base_url, self._host, stopped)
            if _restarts(details):
                self._warn_of_restarts(over.name)
        return self._over[entry["Id"]]

    def _inspect(self, container: str) -> dict[str, t.Any] | None:
        """What the engine knows of a container, by id or name; ``None`` where there is none."""
        with self._connection.explained(container):
            try:
                return t.cast("dict[str, t.Any]", self._client.inspect_container(container))
            except Exception as error:
                if self._connection.is_missing(error):
                    return None
                raise

    def _own(self, key: AttemptKey) -> dict[str, t.Any] | None:
        """The attempt's container, which has its labels, and its name unless somebody renamed it."""
        found = self._inspect(container_name(key))
        if found is not None and key_of((found.get("Config") or {}).get("Labels") or {}) == key:
            return found
        renamed = [entry["Id"] for other, entry in self._entries([key.flow_run_id]) if other == key]
        return self._inspect(renamed[0]) if renamed else None

    def _warn_of_restarts(self, name: str) -> None:
        self._warnings.append(
            f"{name}: somebody gave this container a restart policy. No start of it runs the flow again, but the"
            f" engine goes on starting it; end that with 'docker update --restart no {name}'."
        )

    # --- creating ------------------------------------------------------------------------------------------------

    def preflight(self, settings: dict[str, t.Any], server_version: str) -> None:
        """See :meth:`Infrastructure.preflight`."""
        self._server_version = server_version
        if self._connection.info.get("OSType", "linux") != "linux":
            raise SettingsError("docker_host: the engine runs Windows containers.", "Give one for Linux containers.")
        self._images.check_credentials()
        image = self._image(settings)
        policy = pull_policy(settings.get("image_pull_policy"), image)
        if policy == NEVER:
            self._images.require(image)
        for network in settings.get("networks") or ():
            with self._connection.explained("networks"):
                self._client.inspect_network(network)
        mode = str(settings.get("network_mode") or "")
        if mode and mode not in ("bridge", "host", "none", "default") and not mode.startswith("container:"):
            with self._connection.explained("network_mode"):
                self._client.inspect_network(mode)
        other = mode.partition("container:")[2]
        if other and self._inspect(other) is None:
            raise SettingsError(
                f"network_mode: the engine has no container {other}.",
                "Start it first, or correct the name ('docker ps' lists what there is).",
                "network_missing",
            )

    def _image(self, settings: t.Mapping[str, t.Any]) -> str:
        return str(settings.get("image") or default_image(self._server_version))

    def preview(self, launch: Launch) -> dict[str, t.Any]:
        """See :meth:`Infrastructure.preview`."""
        image = self._image(launch.settings)
        spec = self._spec(launch, image)
        body = self._body(spec)
        body["Env"] = [_masked_variable(entry, spec.secret_names) for entry in body["Env"]]
        body["Cmd"] = [*body["Cmd"][:-1], "(the bootstrap, which starts the engine)"]
        return {
            "name": spec.name,
            "image": image,
            "pull": self._images.decision(image, launch.settings.get("image_pull_policy")),
            "networks": list(spec.networks),
            "body": body,
        }

    def provide(self, launch: Launch) -> str | None:
        """See :meth:`Infrastructure.provide`. What cannot be asked of an engine is found here, before the claim."""
        self._body(self._spec(launch, self._image(launch.settings)))
        return self._images.provide(self._image(launch.settings), launch.settings.get("image_pull_policy"))

    def _spec(self, launch: Launch, image: str) -> ContainerSpec:
        engine = EngineFacts.of(self._connection.info, self._connection.is_local)
        as_root, pull_seconds = self._images.runs_as_root(image), self._images.seconds.get(image)
        return container_spec(launch, image, self._server_version, engine, as_root, pull_seconds)

    def _body(self, spec: ContainerSpec) -> dict[str, t.Any]:
        """The body of the request. The SDK makes no difference between what it cannot read and what is wrong."""
        client = self._client
        try:
            host = client.create_host_config(**spec.host)
            more = {}
            if spec.networks:
                endpoint = client.create_endpoint_config()
                more["networking_config"] = client.create_networking_config({spec.networks[0]: endpoint})
            return dict(client.create_container_config(**spec.arguments, host_config=host, **more))
        except (TypeError, ValueError, AttributeError, KeyError, sdk().errors.DockerException) as error:
            remedy = "See the SDK's containers.create."
            if "network_mode is incompatible" in str(error):
                remedy = "Ports are published from a network of the container's own: give network_mode: bridge."
            raise SettingsError(
                f"container_create_kwargs: the Docker SDK cannot use it: {words(error)}.", remedy
            ) from None

    def prepare(self, launch: Launch) -> str:
        """See :meth:`Infrastructure.prepare`."""
        spec = self._spec(launch, self._image(launch.settings))
        self._warnings.extend(spec.warnings)
        if launch.environment.get(CA_VARIABLE) == self.api_ca_path and not mounts(launch.settings, self.api_ca_path):
            self._warnings.append(
                f"api_ca_path: the engine looks for {self.api_ca_path} in its container. Unless the image has it,"
                f" mount it with volumes, or say in env with {CA_VARIABLE} which file to use."
            )
        container = self._create(spec) or self._adopt(launch)
        self._join(container, spec.networks[1:])
        self._prepared[launch.key] = container
        return identifier(self._base_url, container)

    def _create(self, spec: ContainerSpec) -> str | None:
        """Make the container. :returns: its id; ``None`` where its name is taken."""
        with self._connection.explained(spec.name):
            try:
                made = self._client.create_container_from_config(self._body(spec), spec.name)
            except Exception as error:
                if status_of(error) == 409:
                    return None
                raise
        return str(made["Id"])

    def _adopt(self, launch: Launch) -> str:
        """The container that has our name, if it is ours.

        The engine reserves a name before the container can be looked at.
        """
        name = container_name(launch.key)
        deadline = time.monotonic() + _NAME_PATIENCE
        while (found := self._inspect(name)) is None:
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"{name}: the name is taken and the engine shows no such container.", "Restart the engine."
                )
            time.sleep(0.05)
        labels = (found.get("Config") or {}).get("Labels") or {}
        if key_of(labels) != launch.key or labels.get(TOKEN_LABEL) != launch.token:
            raise NameCollision(
                f"{name}: a container of that name exists that is not this attempt's; it stays as it is.",
                "Rename or remove it, if it is yours.",
            )
        return str(found["Id"])

    def _join(self, container: str, networks: t.Sequence[str]) -> None:
        """The networks beyond the first, unless it is in them already."""
        if not networks:
            return
        details = self._inspect(container) or {}
        joined = (details.get("NetworkSettings") or {}).get("Networks") or {}
        for network in networks:
            if network not in joined:
                with self._connection.explained(f"networks: {network}"):
                    self._client.connect_container_to_network(container, network)

    def create(self, launch: Launch) -> bool:
        """See :meth:`Infrastructure.create`. Only what never ran is started."""
        container = self._prepared.get(launch.key)
        if container is None:
            self.prepare(launch)
            container = self._prepared[launch.key]
        details = self._inspect(container)
        if details is None:
            raise InfrastructureError(
                f"{container_name(launch.key)}: the container was removed before it could start.",
                "Find out who removes containers here, then run the task again.",
                "infrastructure_gone",
            )
        if moment((details.get("State") or {}).get("StartedAt")) is not None:
            return False
        return self._start(container_name(launch.key), container)

    def _start(self, name: str, container: str) -> bool:
        """Start it. The SDK's own method does not tell whether somebody else's call did."""
        with self._connection.explained(name):
            answer = self._connection.request("post", f"/containers/{container}/start")
        return bool(answer.status_code == _STARTED)

    # --- ending --------------------------------------------------------------------------------------------------

    def stop(self, key: AttemptKey, grace: float) -> None:
        """See :meth:`Infrastructure.stop`. What ends a container ends everything in it."""
        found = self._own(key)
        if found is None:
            return
        self._stopped.add(key)
        self._over.pop(found["Id"], None)
        self._end_restarts(found)
        if not _is_over(found):
            self._signal(found["Id"], Guard.STOP.name)
            if not self._ended(found["Id"], grace):
                self._signal(found["Id"], "SIGKILL")
            if not self._ended(found["Id"], _STOP_PATIENCE):
                raise InfrastructureError(
                    f"{container_name(key)} does not end although it was told to and then killed.",
                    "Look at the engine's log, and at processes of the container that hang in the kernel.",
                )

    def _end_restarts(self, found: t.Mapping[str, t.Any]) -> None:
        """Else what is stopped starts again, and what waits for its next start cannot be removed."""
        if not _restarts(found):
            return
        with self._connection.explained(found["Id"]):
            self._client.update_container(found["Id"], restart_policy={"Name": "no"})
            if _is_over(found):
                self._client.stop(found["Id"], timeout=0)

    def _signal(self, container: str, name: str) -> None:
        """A paused container hears a signal when it goes on; one that has ended hears none."""
        with self._connection.explained(container):
            details = self._inspect(container) or {}
            try:
                if (details.get("State") or {}).get("Paused"):
                    self._client.unpause(container)
                self._client.kill(container, name)
            except Exception as error:
                if status_of(error) not in _GONE:
                    raise

    def _ended(self, container: str, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while True:
            found = self._inspect(container)
            if found is None or _is_over(found):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)

    def remove(self, key: AttemptKey) -> bool:
        """See :meth:`Infrastructure.remove`. With the volumes that were made for it alone."""
        found = self._own(key)
        if found is None:
            return False
        if not _is_over(found):
            raise InfrastructureError(f"{container_name(key)} is not finished.", "Stop it first (state: cancelled).")
        self._end_restarts(found)
        with self._connection.explained(container_name(key)):
            try:
                self._client.remove_container(found["Id"], v=True)
            except Exception as error:
                if not (self._connection.is_missing(error) or _REMOVAL_UNDER_WAY in words(error)):
                    raise
        return True

    # --- output --------------------------------------------------------------------------------------------------

    def read_log(self, key: AttemptKey, cursor: str) -> LogChunk:
        """See :meth:`Infrastructure.read_log`."""
        position = Cursor.parse(cursor)
        found = self._own(key)
        if found is None:
            return LogChunk([], cursor)
        self._output[key] = self._last_piece(found["Id"])
        for _time in range(_LAST_READS):
            chunk, broken = self._read_on(found, position)
            if not (broken and _is_over(found)):
                return chunk
        return dataclasses.replace(chunk, truncated=True)

    def _read_on(self, found: t.Mapping[str, t.Any], position: Cursor) -> tuple[LogChunk, bool]:
        """What is new, and whether the engine broke off."""
        broken: list[InfrastructureUnreachable] = []
        found_pieces = self._pieces(found["Id"], position, broken.append)
        chunk = read_on(found_pieces, position, lambda: _is_over(found) and not broken)
        return chunk, bool(broken)

    def _pieces(
        self, container: str, position: Cursor, on_break: t.Callable[[InfrastructureUnreachable], None]
    ) -> t.Iterator[Piece]:
        """Until the engine breaks off: what was read so far is as good as before, and the rest comes the next time."""
        wanted = {"stdout": 1, "stderr": 1, "timestamps": 1, "since": position.since}
        answer = None
        with self._reading(container):
            answer = self._connection.request("get", f"/containers/{container}/logs", params=wanted, stream=True)
        if answer is None:
            return
        try:
            with contextlib.closing(answer), self._reading(container):
                yield from pieces(answer.iter_content(_READ))
        except InfrastructureUnreachable as error:
            on_break(error)

    def _last_piece(self, container: str) -> bytes:
        last: t.Any = b""
        with self._reading(container):
            last = self._client.logs(container, tail=1, timestamps=True)
        return bytes(last)

    @contextlib.contextmanager
    def _reading(self, container: str) -> t.Iterator[None]:
        """Output may be gone with its container, or the engine sends it elsewhere; that says nothing about the run."""
        try:
            with self._connection.explained(f"{container[:12]}: output"):
                yield
        except InfrastructureError as error:
            if error.category == OUTPUT_ELSEWHERE:
                self._warnings.append(f"{error.message} {error.remedy}")
            elif status_of(error.__cause__) not in _GONE:
                raise

    def read_log_tail(self, key: AttemptKey, lines: int) -> LogChunk:
        """See :meth:`Infrastructure.read_log_tail`."""
        found = self._own(key)
        if found is None or lines <= 0:
            return LogChunk([], "")
        tail: list[str] = []
        with self._reading(found["Id"]):
            tail = safe_lines(bytes(self._client.logs(found["Id"], tail=lines)))
        return LogChunk(tail[-lines:], "", truncated=len(tail) >= lines)

    # --- waiting -------------------------------------------------------------------------------------------------

    def wait_for_change(self, keys: t.Sequence[AttemptKey], timeout: float, output: bool) -> None:
        """One list at a time, compared with what the last ``find`` saw; an engine that is gone is no change."""
        deadline = time.monotonic() + timeout
        pause = _WAIT_FIRST
        before = dict(self._states)
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(_WAIT_LAST, pause * _WAIT_GROWTH)
            with contextlib.suppress(InfrastructureUnreachable):
                found = self._list(sorted({key.flow_run_id for key in keys})) if keys else []
                if keys and self._states != before:
                    return
                if output and any(self._has_output(key, entry) for key, entry in found if key in keys):
                    return

    def _has_output(self, key: AttemptKey, entry: dict[str, t.Any]) -> bool:
        if entry["State"] == "created":
            return False
        last = self._last_piece(entry["Id"])
        return last != self._output.setdefault(key, b"")


def _has_our_name(key: AttemptKey, entry: t.Mapping[str, t.Any]) -> bool:
    """An entry's names begin with a slash."""
    return f"/{container_name(key)}" in (entry.get("Names") or ())


def _is_over(details: t.Mapping[str, t.Any]) -> bool:
    """Nothing of it runs; one that never started counts."""
    state = details.get("State") or {}
    return presence_of(str(state.get("Status"))) in (Presence.PREPARED, Presence.FINISHED)


def _restarts(details: t.Mapping[str, t.Any]) -> bool:
    """Ours are created without a restart policy."""
    policy = (details.get("HostConfig") or {}).get("RestartPolicy") or {}
    return policy.get("Name") not in (None, "", "no")


def _masked_variable(entry: str, secret_names: t.Collection[str]) -> str:
    name, equals, _value = entry.partition("=")
    return f"{name}={MASK}" if equals and name in secret_names else entry
