# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Waits for Jobs and pods to change. Only wakes: what a watch says is never a verdict.

A watch that breaks off, expires (410) or cannot be opened says nothing either; then the time runs out, and the next
look finds what there is.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_client import KubernetesClient

#: How soon a watch that broke off is opened again, in seconds. It begins where it began before, so nothing is missed.
_RETRY = 1.0
#: Of a version that the server does not have any more.
_EXPIRED = 410


class Watches:
    """Watches of several lists at once.

    :arg is_news: whether an event may change what a look says.
    """

    def __init__(self, client: KubernetesClient, is_news: t.Callable[[str, dict[str, t.Any]], bool]) -> None:
        self._client = client
        self._is_news = is_news
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._open: list[t.Any] = []
        self._closed = False

    def wait(self, lists: t.Sequence[tuple[str, dict[str, t.Any]]], timeout: float) -> bool:
        """:returns: whether something changed before the time was over."""
        deadline = time.monotonic() + timeout
        for path, query in lists:
            threading.Thread(target=self._watch, args=(path, query, deadline), daemon=True).start()
        try:
            self._woken.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return False
        finally:
            self._closed = True
            for answer in list(self._open):
                _end(answer)
        return True

    def _watch(self, path: str, query: dict[str, t.Any], deadline: float) -> None:
        while not self._closed and (left := deadline - time.monotonic()) > 0:
            try:
                self._read(self._client.events(path, left, **query))
            except InfrastructureError:
                time.sleep(min(_RETRY, max(0.0, left)))

    def _read(self, answer: t.Any) -> None:
        self._open.append(answer)
        if self._closed:
            answer.close()
            return
        if answer.status == _EXPIRED:
            self._woken.put(None)
        if answer.status >= 400:
            raise InfrastructureError("the watch is refused")
        try:
            for line in _lines(answer):
                event = json.loads(line)
                kind, found = str(event.get("type")), event.get("object") or {}
                if kind == "ERROR" or (kind != "BOOKMARK" and self._is_news(kind, found)):
                    self._woken.put(None)
                    return
        except Exception:  # noqa: BLE001 - whatever breaks a stream, closing it from the other thread included
            if not self._closed:
                raise InfrastructureError("the watch broke off") from None
        finally:
            answer.close()


def _end(answer: t.Any) -> None:
    """To close a connection does not wake the thread that reads from it; to shut it down does."""
    with contextlib.suppress(Exception):
        answer.connection.sock.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(Exception):
        answer.close()


def _lines(answer: t.Any) -> t.Iterator[bytes]:
    """Whole lines as they come."""
    rest = b""
    for chunk in answer.stream(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)
