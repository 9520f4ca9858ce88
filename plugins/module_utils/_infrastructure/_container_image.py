# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Names of images: taken apart, the default one, and whether one is to be pulled. For all that runs containers."""

from __future__ import annotations

import dataclasses
import re
import sys

ALWAYS, IF_NOT_PRESENT, IF_POSSIBLE, NEVER = "Always", "IfNotPresent", "IfPossible", "Never"

_LONGEST_TAG = 128
_NOT_IN_TAG = re.compile(r"[^a-zA-Z0-9_.-]")

#: The oldest and the newest Python that the images of a Prefect generation were made with.
_PYTHONS = {"2": ((3, 8), (3, 12)), "3": ((3, 10), (3, 13))}


@dataclasses.dataclass(frozen=True)
class ImageName:
    """A reference to an image.

    :arg repository: with the registry, which may have a port.
    :arg tag: empty where there is none.
    :arg digest: ``sha256:…``, empty where there is none.
    """

    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, name: str) -> ImageName:
        """Only what follows the last slash can be a tag: a colon before it belongs to the registry's port."""
        rest, _dummy, digest = name.partition("@")
        path, slash, last = rest.rpartition("/")
        bare, _dummy, tag = last.partition(":")
        return cls(f"{path}{slash}{bare}", tag, digest)

    @property
    def version(self) -> str:
        """What a pull asks for beside the repository; without a tag an engine would pull all of them."""
        return self.digest or self.tag or "latest"

    @property
    def registry(self) -> str:
        """The host of the registry, empty for the default one."""
        first, slash, _rest = self.repository.partition("/")
        return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def default_image(server_version: str, python: tuple[int, int] = sys.version_info[:2]) -> str:
    """Prefect's own image of the server's version."""
    release, plus, _local = server_version.partition("+")
    generation = release.partition(".")[0]
    if plus and generation not in ("0", "1", "2"):
        return f"prefecthq/prefect:{generation}-latest"
    oldest, newest = _PYTHONS.get(generation, _PYTHONS["3"])
    major, minor = min(max(python, oldest), newest)
    return f"prefecthq/prefect:{_slug('dev' if plus else release)}-python{major}.{minor}"


def _slug(text: str) -> str:
    return _NOT_IN_TAG.sub("-", text)[:_LONGEST_TAG]


def pull_policy(chosen: str | None, image: str) -> str:
    """The given policy, or the one that Docker and Kubernetes users know: what may change under its name is pulled."""
    if chosen:
        return chosen
    name = ImageName.parse(image)
    return ALWAYS if not name.digest and name.tag in ("", "latest") else IF_NOT_PRESENT
