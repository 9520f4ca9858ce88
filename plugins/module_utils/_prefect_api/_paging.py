# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What requests of all dialects have in common: names in paths, and lists that come page by page."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import TOO_LARGE, Transport

#: The server's own upper limit for one page.
PAGE = 200


def quoted(segment: str) -> str:
    """A name as one segment of a path."""
    return urllib.parse.quote(segment, safe="")


def pages_of(ids: list[str]) -> t.Iterator[list[str]]:
    """Ids of objects, as many at once as may be asked for."""
    return (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))


def read_pages(
    transport: Transport, path: str, body: dict[str, t.Any], limit: int | None = None, offset: int = 0
) -> list[t.Any]:
    """All that a filter finds, up to the limit."""
    return list(each_found(transport, path, body, limit, offset))


def each_found(
    transport: Transport, path: str, body: dict[str, t.Any], limit: int | None = None, offset: int = 0
) -> t.Iterator[t.Any]:
    """The same one by one, for callers that keep few of many. A page above the size limit is read in parts."""
    told, most = 0, PAGE
    while limit is None or told < limit:
        size = most if limit is None else min(most, limit - told)
        asked = {**body, "limit": size, "offset": offset + told}
        try:
            page = transport.request("POST", path, asked, repeatable=True, shape=list).data
        except ApiError as error:
            if error.category != TOO_LARGE or size == 1:
                raise
            most = size // 2
            continue
        yield from page
        told += len(page)
        if len(page) < size:
            break
