# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide of generations says what the code says of them."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import GENERATIONS

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "generations.md"


def test_what_a_generation_lacks_and_the_other_way():
    table = GUIDE.read_text(encoding="utf-8").partition("## What a generation lacks")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    lacks = [
        [generation.name, ability.value, other_way]
        for generation in GENERATIONS
        for ability, other_way in generation.lacks.items()
    ]
    assert rows == lacks
