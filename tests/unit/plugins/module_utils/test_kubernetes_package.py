# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of other shapes than today's; the real ones are imported in the tests with a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_package import (
    kubernetes_package,
)

NOT_NEEDED = "import os\nif 'WHOLE' not in os.environ: raise AssertionError('not needed')"
#: What the files of a package say.
TODAY = {
    "__init__.py": NOT_NEEDED,
    "client/__init__.py": NOT_NEEDED,
    "../requests_oauthlib/__init__.py": NOT_NEEDED,
    "../requests_oauthlib/oauth2_session.py": "class OAuth2Session: pass",
    "client/configuration.py": "class Configuration: pass",
    "client/rest.py": "class RESTClientObject: pass",
    "client/api_client.py": "class ApiClient:\n    def __init__(self, configuration): self.given = configuration",
    "config/__init__.py": (
        "from kubernetes.client import ApiClient, Configuration\nfrom requests_oauthlib import OAuth2Session"
    ),
}
OURS = ("kubernetes", "requests_oauthlib")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for one, which is forgotten afterwards."""
    for name in _loaded():
        monkeypatch.delitem(sys.modules, name)
    kubernetes_package.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "kubernetes"
    kubernetes_package.cache_clear()
    for name in _loaded():
        del sys.modules[name]


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in OURS]


def _write(package: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")


def test_only_what_is_used(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the packages themselves is not run before a token is renewed, and nobody else gets half of them."""
    _write(package, TODAY)
    found = kubernetes_package()
    assert found.Configuration is found.config.Configuration
    assert found.RESTClientObject.__module__ == "kubernetes.client.rest"
    assert kubernetes_package() is found
    assert not _loaded()
    monkeypatch.setenv("WHOLE", "1")
    assert found.config.ApiClient(configuration=1).given == 1
    assert type(found.config.OAuth2Session()).__module__ == "requests_oauthlib.oauth2_session"


def test_a_package_of_another_shape(package: Path) -> None:
    """One that takes more from its own packages is imported as a whole."""
    other = {
        **TODAY,
        "__init__.py": "from . import client, config",
        "../requests_oauthlib/__init__.py": "from .oauth2_session import OAuth2Session",
        "client/__init__.py": "from .configuration import Configuration\nMORE = 1",
        "config/__init__.py": "from kubernetes.client import MORE, Configuration",
    }
    _write(package, other)
    found = kubernetes_package()
    assert found.config.MORE == 1
    assert not _loaded()


def test_a_package_that_somebody_has_imported(package: Path) -> None:
    """It is not imported again."""
    _write(package, {**TODAY, "__init__.py": "", "client/__init__.py": "", "config/__init__.py": "MINE = object()"})
    import kubernetes.config

    assert kubernetes_package().config.MINE is kubernetes.config.MINE


@pytest.mark.parametrize("files", [{}, {**TODAY, "client/rest.py": "import flowops_nothing_of_that_name"}])
def test_a_package_that_is_missing_or_broken(package: Path, files: dict[str, str]) -> None:
    """Whoever asked says what to do about it."""
    _write(package, files)
    whole = {"__init__.py": "", "client/__init__.py": "", "config/__init__.py": ""} if files else {}
    _write(package, whole)
    with pytest.raises(ImportError, match="flowops_nothing_of_that_name" if files else "kubernetes"):
        kubernetes_package()
