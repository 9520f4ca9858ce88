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
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_image import (
    ALWAYS,
    IF_POSSIBLE,
    NEVER,
    ImageName,
    pull_policy,
)
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._docker_client import Connection, refusal

_MISSING = (404, 500)


class Images:
    """Images for the containers of one task.

    :arg options: the task's connection options: credentials of a registry and ``pull_timeout``.
    """

    def __init__(self, connection: Connection, options: t.Mapping[str, t.Any]) -> None:
        self._connection = connection
        self._options = options
        self._locks: dict[str, threading.Lock] = {}
        self._outcomes: dict[str, FlowopsError | None] = {}
        self._details: dict[str, dict[str, t.Any]] = {}

    def _inspect(self, image: str) -> dict[str, t.Any] | None:
        with self._connection.explained(f"image {image}"):
            try:
                return t.cast("dict[str, t.Any]", self._connection.client.inspect_image(image))
            except Exception as error:
                if self._connection.is_missing(error):
                    return None
                raise

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
        if image not in self._details:
            found = self._inspect(image)
            if found is None:
                return True
            self._details[image] = found
        user = str((self._details[image].get("Config") or {}).get("User") or "root")
        return user.partition(":")[0] in ("root", "0")

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

    def provide(self, image: str, policy: str | None) -> None:
        """Have the image; of several callers one does the work, and all get its outcome.

        :raises InfrastructureError: it cannot be had.
        """
        with self._locks.setdefault(image, threading.Lock()):
            if image not in self._outcomes:
                try:
                    self._provide(image, pull_policy(policy, image))
                    self._outcomes[image] = None
                except InfrastructureUnreachable:
                    raise
                except FlowopsError as error:
                    self._outcomes[image] = error
        outcome = self._outcomes[image]
        if outcome is not None:
            raise outcome

    def _provide(self, image: str, policy: str) -> None:
        if policy == NEVER:
            self.require(image)
            return
        present = policy != ALWAYS and self._inspect(image) is not None
        if present and policy != IF_POSSIBLE:
            return
        try:
            self._pull(image)
        except InfrastructureError:
            if not present:
                raise

    def _pull(self, image: str) -> None:
        """Follow the pull to its end or to the end of patience; the engine gives up when nobody listens any more."""
        events: queue.Queue[t.Any] = queue.Queue()
        thread = threading.Thread(target=self._listen, args=(image, events), name="flowops-pull", daemon=True)
        thread.start()
        limit = float(self._options.get("pull_timeout") or 900.0)
        deadline = time.monotonic() + limit
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

    def _listen(self, image: str, events: queue.Queue[t.Any]) -> None:
        """In a thread of its own: the SDK waits for the next word for ever."""
        name = ImageName.parse(image)
        try:
            with self._connection.explained(f"image {image}"):
                client = self._connection.client
                words = client.pull(
                    name.repository, tag=name.version, stream=True, decode=True, auth_config=self._credentials()
                )
                for event in words:
                    events.put(event)
            events.put(None)
        except InfrastructureUnreachable as error:
            events.put(error)
        except FlowopsError as error:
            events.put(_pull_error(image, error.message, 404) if error.category == "infrastructure" else error)
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
