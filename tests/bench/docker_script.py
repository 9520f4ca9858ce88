# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The least that starts containers with the Docker SDK: five threads, no look at what is there, nothing remembered.

The floor that a task with containers is measured against. ``docker_script.py IMAGE LABEL NUMBER``
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import docker

THREADS = 5


def main() -> None:
    """The command line."""
    image, label, number = sys.argv[1:]
    name, _equals, value = label.partition("=")
    client = docker.from_env()
    with ThreadPoolExecutor(THREADS) as pool:
        list(
            pool.map(
                lambda index: client.containers.run(
                    image, ["python"], name=f"flowops-bench-script-{index}", labels={name: value}, detach=True
                ),
                range(int(number)),
            )
        )


if __name__ == "__main__":
    main()
