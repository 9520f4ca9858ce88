# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds the documentation of the collection's plugins as HTML into ``.build/docs``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
from scratch import scratch

OUTPUT = environments.CHECKOUT / ".build" / "docs"


def build() -> None:
    """Let antsibull-docs write the pages and Sphinx render them."""
    tools = environments.ensure("docs") / "bin"
    with scratch() as root, tempfile.TemporaryDirectory(prefix="flowops-docs-") as temporary:
        env = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(root.parents[2]),
            "ANSIBLE_HOME": str(environments.CACHE / "caches" / "ansible"),
        }
        init = [str(tools / "antsibull-docs"), "sphinx-init", "--use-current", "--squash-hierarchy", "--lenient"]
        subprocess.run([*init, "--dest-dir", temporary, "flowops.prefect"], env=env, check=True)
        subprocess.run(["bash", str(Path(temporary) / "build.sh")], cwd=temporary, env=env, check=True)
        shutil.rmtree(OUTPUT, ignore_errors=True)
        shutil.copytree(Path(temporary) / "build" / "html", OUTPUT)
    print(f"{OUTPUT.relative_to(environments.CHECKOUT)}/index.html")


def main() -> int:
    """The command line."""
    try:
        build()
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
