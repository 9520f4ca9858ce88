# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of the documentation that name tests: the tests are there, and no feature is without one or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`((?:unit|integration)/test_\w+\.py::test_\w+)`")


def text_of(document: str) -> str:
    return (ROOT / "docs" / document).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tests() -> list[str]:
    """Every test as tables name it, once for each place where there is one."""
    found = []
    for kind in ("unit", "integration"):
        for path in (ROOT / "tests" / kind).rglob("test_*.py"):
            names = re.findall(r"^ *(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
            found.extend(f"{kind}/{path.name}::{name}" for name in names)
    return found


@pytest.mark.parametrize("document", ["parity.md", "settings.md"])
def test_named_tests_exist(document, tests):
    named = NAMED.findall(text_of(document))
    assert len(named) == len(re.findall(r"test_\w+\.py", text_of(document))) > 10, "not named as folder/file::name"
    assert [name for name in named if tests.count(name) != 1] == []


def test_every_feature_has_a_test_or_a_reason():
    rows = [line.split(" | ") for line in text_of("parity.md").splitlines() if re.match(r"\| \d", line)]
    assert [int(row[0].strip("| ")) for row in rows] == list(range(1, 71))
    for number, _feature, here, named in rows:
        assert NAMED.search(named) or here.startswith("left out"), number
