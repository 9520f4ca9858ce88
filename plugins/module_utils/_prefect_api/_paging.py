# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What requests of all dialects have in common: names in paths, and lists that come page by page."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport

#: The server's own upper limit for one page.
PAGE = 200


def quoted(segment: str) -> str:
    """A name as one segment of a path."""
    return urllib.parse.quote(segment, safe="")


def read_pages(
    transport: Transport, path: str, body: dict[str, t.Any], limit: int | None = None, offset: int = 0
) -> list[t.Any]:
    """All that a filter finds, up to the limit."""
    found: list[t.Any] = []
    while limit is None or len(found) < limit:
        size = PAGE if limit is None else min(PAGE, limit - len(found))
        asked = {**body, "limit": size, "offset": offset + len(found)}
        page = transport.request("POST", path, asked, repeatable=True, shape=list).data
        found.extend(page)
        if len(page) < size:
            break
    return found
