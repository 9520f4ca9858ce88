# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings up the real engines that tests of containers need, or takes down what it brought up, and says what it did.

``up_down.py up|down|status [ENGINE…]``; without names all of them. ``status`` fails where one does not answer.
Another engine is a file beside this one and a row here.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import docker_engine
import docker_image
import kubernetes_cluster


@dataclass(frozen=True)
class Engine:
    """What can be done with an engine; each returns the lines to print, or raises NoEngine."""

    up: Callable[[], list[str]]
    down: Callable[[], list[str]]
    status: Callable[[], list[str]]


ENGINES = {
    "docker": Engine(
        up=lambda: [docker_engine.up(), docker_image.ensure()],
        down=lambda: [docker_engine.down()],
        status=lambda: [docker_engine.status()],
    ),
    "kubernetes": Engine(
        up=lambda: [kubernetes_cluster.up()],
        down=lambda: [kubernetes_cluster.down()],
        status=lambda: [kubernetes_cluster.status()],
    ),
}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("direction", choices=["up", "down", "status"])
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=", ".join(ENGINES))
    arguments = parser.parse_args()
    names = arguments.engines or list(ENGINES)
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        parser.error(f"no such engine: {', '.join(unknown)}")
    failed = 0
    for name in names:
        started = time.monotonic()
        try:
            lines = getattr(ENGINES[name], arguments.direction)()
        except docker_engine.NoEngine as error:
            failed, lines = 1, [f"{name}: {error}"]
        print("\n".join(lines), f"({time.monotonic() - started:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
