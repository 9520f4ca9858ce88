# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What a job template and its placeholders refer to: work pools, blocks and variables of the server, each read once."""

from __future__ import annotations

import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields, canonical_uuid
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._paging import quoted
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import Transport, printable


class JobSources:
    """Read over the transport of an API; Prefect 2.20 and 3 answer the same."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._read: dict[str, dict[str, t.Any]] = {}
        #: Texts of blocks that must not be shown.
        self.secrets: list[str] = []

    def pool(self, name: str) -> tuple[str, dict[str, t.Any]]:
        """Type and base job template of a work pool."""
        pool = Fields(self._get(f"/work_pools/{quoted(name)}", f"work pool {name}"), "work pool")
        return pool.text("type"), pool.mapping("base_job_template")

    def block(self, slug: str, name: str) -> t.Any:
        """The content of a block."""
        path = f"/block_types/slug/{quoted(slug)}/block_documents/name/{quoted(name)}"
        return self._content(self._get(f"{path}?include_secrets=true", f"block {slug}/{name}"))

    def block_by_id(self, block_id: t.Any) -> t.Any:
        """The same by the block's id."""
        canonical = canonical_uuid(block_id)
        if canonical is None:
            raise ApiNotFound("A job variable refers to a block by something that is no UUID.", "Mend the deployment.")
        return self._content(self._get(f"/block_documents/{canonical}?include_secrets=true", f"block {canonical}"))

    def variable(self, name: str) -> t.Any:
        """The value of a variable."""
        return self._get(f"/variables/name/{quoted(name)}", f"variable {name}").get("value")

    def _get(self, path: str, what: str) -> dict[str, t.Any]:
        if path not in self._read:
            try:
                answer = self._transport.request("GET", path, repeatable=True, shape=dict)
            except ApiNotFound:
                raise ApiNotFound(
                    f"There is no {printable(what, 200)}.",
                    "Something that the flow run is launched with refers to it: make it, or mend the reference.",
                    status=404,
                ) from None
            self._read[path] = answer.data
        return self._read[path]

    def _content(self, block: dict[str, t.Any]) -> t.Any:
        content = Fields(block, "block").mapping("data")
        self.secrets.extend(_texts(content))
        return content


def _texts(value: t.Any) -> list[str]:
    """Blocks say nothing reliable about which of their values are secret: all of them count."""
    if isinstance(value, dict):
        return [text for entry in value.values() for text in _texts(entry)]
    if isinstance(value, list):
        return [text for entry in value for text in _texts(entry)]
    return [value] if isinstance(value, str) else []
