# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server is gone for a while: nobody takes that for the end of a run, and everything arrives afterwards."""

from __future__ import annotations

from collections.abc import Callable

import fault_scenarios
import pytest
from places import Stage
from prefect_server import PrefectServer

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("hangs", [False, True], ids=["vanished", "hanging"])
def test_a_server_that_comes_back_hears_how_the_runs_ended(
    stage: Stage, new_server: Callable[..., PrefectServer], hangs: bool
) -> None:
    fault_scenarios.a_server_that_comes_back_hears_how_the_runs_ended(stage, new_server(), hangs)
