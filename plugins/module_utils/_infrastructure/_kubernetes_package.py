# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What is used of the package ``kubernetes``: how it reads configurations, and its connections. Not its models.

Up to version 36 whoever imports anything of the package gets a class for each kind of object that there is, since 37
what renews tokens of OpenID Connect, with pydantic and requests below it. All that comes in with the code of a few
packages themselves, while what is used here needs only their submodules. Without that code the import takes 0.14 s of
CPU time and no longer 0.41 s (36.0) or 0.31 s (37.0): at every execution of a module, so at each poll of a watched run.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import typing as t

#: Packages whose own code is not run, and which classes are imported from them, with their submodules: those that renew
#: a token of OpenID Connect.
_SHELLS: dict[str, dict[str, str]] = {
    "kubernetes": {},
    "kubernetes.client": {"ApiClient": "api_client"},
    "requests_oauthlib": {"OAuth2Session": "oauth2_session"},
}


class Package(t.NamedTuple):
    """The used parts, by their names there."""

    config: t.Any
    Configuration: t.Any
    RESTClientObject: t.Any


@functools.cache
def kubernetes_package() -> Package:
    """Import it; afterwards it is as if nobody had. :raises ImportError: it is not installed, or what it needs."""
    if any(name in sys.modules for name in _SHELLS):
        return _imported()
    try:
        for name, parts in _SHELLS.items():
            _set_up_shell(name, parts)
        vars(sys.modules["kubernetes.client"])["Configuration"] = _configuration()
        return _imported()
    except (ImportError, AttributeError):
        # A version that is built in another way.
        _forget()
        return _imported()
    finally:
        _forget()


def _forget() -> None:
    """Who else imports these packages in this process is to get all of them."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _SHELLS]:
        del sys.modules[name]


def _imported() -> Package:
    config = importlib.import_module("kubernetes.config")
    return Package(config, _configuration(), importlib.import_module("kubernetes.client.rest").RESTClientObject)


def _configuration() -> t.Any:
    return importlib.import_module("kubernetes.client.configuration").Configuration


def _set_up_shell(name: str, parts: t.Mapping[str, str]) -> None:
    """A package whose submodules can be imported, with what is imported from itself."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(f"No module named {name!r}", name=name)
    sys.modules[name] = shell = importlib.util.module_from_spec(spec)
    for part, submodule in parts.items():
        setattr(shell, part, _late(f"{name}.{submodule}", part))


def _late(module: str, name: str) -> t.Any:
    """A class that is imported when it is called."""

    def made(*args: t.Any, **options: t.Any) -> t.Any:
        return getattr(importlib.import_module(module), name)(*args, **options)

    return made
