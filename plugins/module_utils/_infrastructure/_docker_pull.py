# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Images of a Docker Engine: whether one is there, and getting it by the user's policy, once a task."""

from __future__ import annotations

import queue
import threading
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import (
    FlowopsError,
    InfrastructureError,
    InfrastructureUnreachable,
    SettingsError,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._background import follow
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_image import (
    ALWAYS,
    IF_POSSIBLE,
    NEVER,
    ImageName,
    pull_policy,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_client import (
    Connection,
    refusal,
    words,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_progress import PullProgress
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_spec import is_root

#: How long an execution of the module waits for a pull that goes on without it.
_LOOK = 2.0


class Images:
    """Images for the containers of one task.

    :arg options: the task's connection options: credentials of a registry and ``pull_timeout``.
    :arg patient: wait for the end of a pull; else it goes on by itself, and whoever asks is told how far it is.
    """

    def __init__(self, connection: Connection, options: t.Mapping[str, t.Any], patient: bool = True) -> None:
        self._connection = connection
        self._options = options
        self._patient = patient
        #: How long each image was waited for.
        self.seconds: dict[str, float] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._outcomes: dict[str, FlowopsError | None] = {}
        self._configs: dict[str, dict[str, t.Any]] = {}

    def _inspect(self, image: str) -> dict[str, t.Any] | None:
        with self._connection.explained(f"image {image}"):
            try:
                return t.cast("dict[str, t.Any]", self._connection.client.inspect_image(image))
            except Exception as error:
                if self._connection.is_missing(error):
                    return None
                raise

    def check_credentials(self) -> None:
        """:raises SettingsError: half of them."""
        if self._options.get("registry_password") and not self._options.get("registry_username"):
            raise SettingsError("registry_password: it comes without a user.", "Give registry_username too.")
        if self._options.get("registry_username") and not self._options.get("registry_password"):
            raise SettingsError("registry_username: it comes without a password.", "Give registry_password too.")

    def require(self, image: str) -> None:
        """:raises InfrastructureError: the engine has no such image, and is not to get it."""
        if self._inspect(image) is None:
            raise InfrastructureError(
                f"image: the engine has no image {image}, and image_pull_policy is {NEVER}.",
                "Bring the image to the engine, or let it be pulled.",
                "image_missing",
            )

    def runs_as_root(self, image: str) -> bool:
        """Whether a container of this image is root's unless told otherwise; an image that is not there is taken so."""
        return is_root(str(self._config(image).get("User") or "root"))

    def labels(self, image: str) -> dict[str, str]:
        """What its containers have as labels without being given them; none of an image that is not there."""
        return self._config(image).get("Labels") or {}

    def _config(self, image: str) -> dict[str, t.Any]:
        if image not in self._configs:
            found = self._inspect(image)
            if found is None:
                return {}
            self._configs[image] = found.get("Config") or {}
        return self._configs[image]

    def decision(self, image: str, policy: str | None) -> str:
        """In words, for previews."""
        chosen = pull_policy(policy, image)
        if chosen == ALWAYS:
            return "always"
        if chosen == IF_POSSIBLE:
            return "if the registry has it"
        if self._inspect(image) is not None:
            return "no, the engine has the image"
        return "never, and the engine has no such image" if chosen == NEVER else "yes, the engine has no such image"

    def provide(self, image: str, policy: str | None) -> str | None:
        """Have the image; of several callers one does the work, and all get its outcome.

        :returns: how far the pull is that goes on; ``None`` when the image is there.
        :raises InfrastructureError: it cannot be had.
        """
        with self._locks.setdefault(image, threading.Lock()):
            if image not in self._outcomes:
                try:
                    under_way = self._provide(image, pull_policy(policy, image))
                    if under_way:
                        return under_way
                    self._outcomes[image] = None
                except InfrastructureUnreachable:
                    raise
                except FlowopsError as error:
                    self._outcomes[image] = error
        outcome = self._outcomes[image]
        if outcome is not None:
            raise outcome
        return None

    def _provide(self, image: str, policy: str) -> str | None:
        if policy == NEVER:
            self.require(image)
            return None
        present = policy != ALWAYS and self._inspect(image) is not None
        if present and policy != IF_POSSIBLE:
            return None
        try:
            return self._pull(image)
        except InfrastructureError:
            if not present:
                raise
            return None

    def _pull(self, image: str) -> str | None:
        """Here, or in a process of its own that is asked how far it is."""
        state = None if self._patient else follow(self._name(image), lambda tell: self._work(image, tell), _LOOK)
        if state is None:
            begun = time.monotonic()
            self._pull_here(image, self._connection, lambda _text: None)
            self.seconds[image] = time.monotonic() - begun
            return None
        if not state.done:
            return state.text or PullProgress(image).text
        self.seconds[image] = state.seconds
        if state.error is not None:
            raise InfrastructureError(**state.error)
        return None

    def _name(self, image: str) -> str:
        return "\0".join((self._connection.host, image, str(self._options.get("registry_username") or "")))

    def _work(self, image: str, tell: t.Callable[[str], None]) -> dict[str, str] | None:
        """Runs in the other process. :returns: the error's arguments."""
        try:
            self._pull_here(image, self._connection.again(), tell)
        except FlowopsError as error:
            return {"message": error.message, "remedy": error.remedy, "category": error.category}
        except Exception as error:  # noqa: BLE001 - told to who asks
            return {"message": f"image {image}: the pull failed: {words(error)}."}
        return None

    def _pull_here(self, image: str, connection: Connection, tell: t.Callable[[str], None]) -> None:
        """Follow the pull to its end or to the end of patience; the engine gives up when nobody listens any more."""
        events: queue.Queue[t.Any] = queue.Queue()
        thread = threading.Thread(
            target=self._listen, args=(image, connection, events), name="flowops-pull", daemon=True
        )
        thread.start()
        limit = float(self._options.get("pull_timeout") or 900.0)
        deadline = time.monotonic() + limit
        progress = PullProgress(image)
        while True:
            try:
                event = events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise InfrastructureError(
                    f"image {image}: it was not pulled within pull_timeout ({limit:g} s).",
                    "Raise pull_timeout, or bring the image to the engine beforehand.",
                    "pull_timeout",
                ) from None
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            if event.get("error"):
                raise _pull_error(image, str(event["error"]), 500)
            progress.add(event)
            tell(progress.text)

    def _listen(self, image: str, connection: Connection, events: queue.Queue[t.Any]) -> None:
        """In a thread of its own: the SDK waits for the next word for ever."""
        name = ImageName.parse(image)
        try:
            with connection.explained(f"image {image}"):
                told = connection.client.pull(
                    name.repository, tag=name.version, stream=True, decode=True, auth_config=self._credentials()
                )
                for event in told:
                    events.put(event)
            events.put(None)
        except InfrastructureUnreachable as error:
            events.put(error)
        except FlowopsError as error:
            said = words(error.__cause__ or error)
            events.put(_pull_error(image, said, 404) if error.category == "infrastructure" else error)
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            events.put(error)

    def _credentials(self) -> dict[str, str] | None:
        """Sent with the request, never kept; without them the SDK looks into the user's own Docker configuration."""
        username, password = (self._options.get(f"registry_{name}") for name in ("username", "password"))
        if not username and not password:
            return None
        credentials = {"username": username or "", "password": password or ""}
        if self._options.get("registry_url"):
            credentials["serveraddress"] = self._options["registry_url"]
        return credentials


def _pull_error(image: str, said: str, status: int) -> InfrastructureError:
    """Why a pull failed. A registry says "denied" too for what does not exist."""
    lowered = said.lower()
    if any(word in lowered for word in ("denied", "unauthorized", "authentication", "no basic auth")):
        return InfrastructureError(
            f"image {image}: the registry refuses it: {said}.",
            "Check the name; for a private image give registry_username and registry_password.",
            "pull_denied",
        )
    if "not found" in lowered or "manifest unknown" in lowered or "does not exist" in lowered:
        return InfrastructureError(
            f"image {image}: the registry has no such image: {said}.",
            "Correct the name or the tag, or push the image.",
            "image_missing",
        )
    if any(word in lowered for word in ("no such host", "timeout", "connection refused", "dial tcp", "lookup", "eof")):
        return InfrastructureError(
            f"image {image}: the engine cannot reach the registry: {said}.",
            "Check the registry's name and the engine's network; image_pull_policy: IfNotPresent uses a local image.",
            "registry_unreachable",
        )
    return refusal(f"image {image}", said, status)
