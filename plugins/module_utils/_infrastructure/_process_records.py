# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The attempt ledger of servers that keep no records, in the state directory of the host that runs the attempts.

Each flow run has a folder, and each record a folder in it: see ``write_record`` of the bootstrap, which writes here
too. The records stay when the attempts are removed: they say that a run was launched.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._bootstrap import read_records, write_record
from ansible_collections.flowops.prefect.plugins.module_utils._errors import InfrastructureError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import RunInput
from ansible_collections.flowops.prefect.plugins.module_utils._state_dir import (
    DamagedError,
    StateDirectory,
    explained,
    open_directory,
)

_FOLDER = "records"


def records_path(state_path: str, flow_run_id: str) -> str:
    """The folder of a run's records."""
    return os.path.join(state_path, _FOLDER, flow_run_id)


class LocalRecords:
    """Write-once records on this host.

    :arg state: opens the state directory; ``None`` where there is none yet and none is to be made.
    """

    def __init__(self, state: t.Callable[[], StateDirectory | None]) -> None:
        self._state = state

    def prepare(self, flow_run_id: str) -> None:
        """Make the folder that a run's bootstrap writes into."""
        with self._open(flow_run_id):
            pass

    def read_inputs(self, flow_run_id: str) -> list[RunInput]:
        with self._open(flow_run_id) as folder:
            found = read_records(folder) if folder is not None else {}
        return [RunInput(key, text, written) for key, (text, written) in found.items()]

    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:
        with self._open(flow_run_id) as folder:
            return folder is not None and write_record(folder, key, value)

    @contextlib.contextmanager
    def _open(self, flow_run_id: str) -> t.Iterator[int | None]:
        state = self._state()
        if state is None:
            yield None
            return
        path = records_path(state.path, flow_run_id)
        with explained(path):
            parent = state.folder(_FOLDER)
            with contextlib.suppress(FileExistsError):
                os.mkdir(flow_run_id, 0o700, dir_fd=parent)
            try:
                folder = open_directory(flow_run_id, parent)
            except DamagedError as problem:
                raise InfrastructureError(f"state_dir: {path} cannot be trusted: {problem}.", "Move it away.") from None
            try:
                yield folder
            finally:
                os.close(folder)
