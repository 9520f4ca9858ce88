# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What is used of the package ``kubernetes``: how it reads configurations, and its connections. Not its models.

Up to version 36 whoever imports anything of the package gets a class for each kind of object that there is, since 37
those that renew tokens of OpenID Connect, with pydantic below them. They come in with the code of ``kubernetes`` and of
``kubernetes.client`` themselves; what is used here needs only submodules. Without that code the import takes 0.17 s of
CPU time and no longer 0.41 s (36.0) or 0.32 s (37.0): at every execution of a module, so at each poll of a watched run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import typing as t

_PACKAGE = "kubernetes"
_CLIENT = f"{_PACKAGE}.client"


class Package(t.NamedTuple):
    """The used parts, by their names there."""

    config: t.Any
    Configuration: t.Any
    RESTClientObject: t.Any


def kubernetes_package() -> Package:
    """Import it. :raises ImportError: it is not installed, or something that it needs."""
    if _PACKAGE in sys.modules:
        return _imported()
    try:
        _set_up_shell(_PACKAGE)
        _set_up_shell(_CLIENT).__getattr__ = _from_client
        return _imported()
    except (ImportError, AttributeError):
        # A version that is built in another way.
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]
        return _imported()


def _imported() -> Package:
    return Package(
        importlib.import_module(f"{_PACKAGE}.config"),
        importlib.import_module(f"{_CLIENT}.configuration").Configuration,
        importlib.import_module(f"{_CLIENT}.rest").RESTClientObject,
    )


def _set_up_shell(name: str) -> t.Any:
    """A package whose submodules can be imported and whose own code was not run."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(f"No module named {name!r}", name=name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    return sys.modules[name]


def _from_client(name: str) -> t.Any:
    """What the package's own modules take from ``kubernetes.client``."""
    if name == "Configuration":
        return importlib.import_module(f"{_CLIENT}.configuration").Configuration
    if name == "ApiClient":
        return _api_client
    raise AttributeError(name)


def _api_client(*args: t.Any, **options: t.Any) -> t.Any:
    """With it a token of OpenID Connect is renewed; who has none never needs it."""
    return importlib.import_module(f"{_CLIENT}.api_client").ApiClient(*args, **options)
