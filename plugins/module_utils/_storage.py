# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Whether a flow's code can be where its runs are: the storage rule of Prefect's first flow runners."""

from __future__ import annotations

import re
import typing as t

#: The only step that fetches nothing.
SET_DIRECTORY = "set_working_directory"

#: What to do about code that cannot be there.
REMEDY = (
    "Use an image that holds the code, mount it with volumes, or fetch it with a pull step such as git_clone. "
    "storage_check: warn or off lets it pass."
)

_STOCK_IMAGE = re.compile(r"(docker\.io/)?prefecthq/prefect(:|@|$)")
#: Settings that can put code into a container or a pod in ways that cannot be judged here.
_UNJUDGED = ("container_create_kwargs", "job", "pod_overrides", "customizations")


def local_directory(deployment: t.Mapping[str, t.Any]) -> str | None:
    """The directory of one machine that the code lies in; None where it is fetched or cannot be told."""
    if deployment.get("storage_document_id"):
        return None  # the path is one of that block's
    steps = deployment.get("pull_steps") or []
    directory = None
    for step in steps:
        if not isinstance(step, dict):
            return None
        for name, arguments in step.items():
            if name.rpartition(".")[2] != SET_DIRECTORY:
                return None
            directory = arguments.get("directory") if isinstance(arguments, dict) else None
    path = directory if steps else deployment.get("path")
    if not path and str(deployment.get("entrypoint") or "").startswith("/"):
        path = str(deployment["entrypoint"]).rpartition("/")[0] or "/"
    return path if isinstance(path, str) and path.startswith(("/", "~")) and "{{" not in path else None


def unreachable_code(deployment: t.Mapping[str, t.Any]) -> str | None:
    """Why containers or pods of this deployment cannot have its code; None unless that is certain.

    An image of the user's own may hold the code, and so may a volume: only a stock image without either proves it.
    """
    flow_runner = deployment.get("flow_runner") or {}
    if flow_runner.get("type") not in ("docker", "kubernetes"):
        return None
    directory = local_directory(deployment)
    image = flow_runner.get("image")
    if directory is None or (image and not _STOCK_IMAGE.match(image)):
        return None
    if any(flow_runner.get(name) for name in _UNJUDGED) or _mounted(flow_runner):
        return None
    return (
        f"the code lies in {directory} of one machine, and a {flow_runner['type']} flow runner with Prefect's own "
        "image requires remote storage"
    )


def _mounted(flow_runner: t.Mapping[str, t.Any]) -> bool:
    """Whether anything is mounted: where, is the container's affair."""
    return bool(flow_runner.get("volumes") or flow_runner.get("volume_mounts"))
