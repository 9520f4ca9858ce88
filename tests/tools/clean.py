# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes what `make` built: in the checkout what no commit holds, in the cache the scratch copies."""

from __future__ import annotations

import argparse
import shutil
import sys

from environments import CACHE, CHECKOUT

BUILT = (".build", "tests/output", ".mypy_cache", ".pytest_cache", ".ruff_cache", "changelogs/.plugin-cache.yaml")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="remove the environments and every cache as well")
    everything = parser.parse_args().all
    targets = [CHECKOUT / name for name in BUILT]
    targets += [path for path in CHECKOUT.rglob("__pycache__") if ".git" not in path.parts]
    targets += CHECKOUT.glob("*.tar.gz")
    targets.append(CACHE if everything else CACHE / "scratch")
    for target in targets:
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
