# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a hand-written script does: many deployments of one flow by Prefect's own client, in one process.

``deploy_script.py FOLDER ENTRYPOINT POOL NUMBER``
"""

from __future__ import annotations

import sys

from prefect import flow

folder, entrypoint, pool, number = sys.argv[1:]
loaded = flow.from_source(folder, entrypoint)
for one in range(int(number)):
    loaded.deploy(f"script-{one}", work_pool_name=pool, build=False, push=False, print_next_steps=False)
