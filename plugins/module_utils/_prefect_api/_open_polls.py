# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Chooses what an agent polls: a work pool where the server has pools, else work queues."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._client import PrefectApi
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._polls import Polls
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._work_pool_polls import WorkPoolPolls
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._work_queue_polls import WorkQueuePolls


def open_polls(api: PrefectApi, pool: str | None, queues: t.Sequence[str]) -> Polls:
    """:raises ApiError: the server lacks what was named, or there is no such queue."""
    if pool is not None:
        if not api.generation.can(Ability.WORK_POOLS):
            raise api.generation.refusal(Ability.WORK_POOLS, "work_pool")
        return WorkPoolPolls(api.transport, pool, queues)
    if not api.generation.can(Ability.LONE_QUEUES):
        raise api.generation.refusal(Ability.LONE_QUEUES, "work_queues")
    return WorkQueuePolls(api.transport, queues)
