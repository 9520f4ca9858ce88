# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""How far the pull of an image is, from what the engine says of its layers."""

from __future__ import annotations

import typing as t

_MEGABYTE = 1_000_000
_READY = ("Pull complete", "Already exists")


class PullProgress:
    """One line about a pull, renewed by every event of the engine's answer."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._ready: dict[str, bool] = {}
        self._bytes: dict[str, tuple[int, int]] = {}

    def add(self, event: t.Mapping[str, t.Any]) -> None:
        """Take note of an event; those that are about no layer are ignored."""
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        if not layer or status.startswith("Pulling from"):
            return
        self._ready[layer] = self._ready.get(layer, False) or status in _READY
        detail = event.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._bytes[layer] = (int(detail.get("current") or 0), int(detail["total"]))
        elif layer in self._bytes and status != "Downloading":
            self._bytes[layer] = (self._bytes[layer][1],) * 2

    @property
    def text(self) -> str:
        """For people."""
        if not self._ready:
            return f"image {self._image} is being pulled"
        layers = f"{sum(self._ready.values())} of {len(self._ready)} layers"
        got, total = (sum(numbers) / _MEGABYTE for numbers in zip(*self._bytes.values())) if self._bytes else (0, 0)
        amount = f", {got:.1f} of {total:.1f} MB" if total else ""
        return f"image {self._image} is being pulled: {layers}{amount}"
