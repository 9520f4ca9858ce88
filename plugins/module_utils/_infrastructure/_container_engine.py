# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""How the engine is started in a container, whatever runs the container: the bootstrap as ``python -c SOURCE``.

Its orders come in an environment variable. They hold the time limits as well: the bootstrap's first process keeps them
with nobody watching.
"""

from __future__ import annotations

import functools
import json
import re

from ansible_collections.flowops.prefect.plugins.module_utils import _bootstrap
from ansible_collections.flowops.prefect.plugins.module_utils._launch import Launch
from ansible_collections.flowops.prefect.plugins.module_utils._own_source import source_of

BOOTSTRAP_VARIABLE = _bootstrap.VARIABLE

#: For whoever reads a manifest.
_HEAD = "# flowops.prefect starts the engine. With comments: plugins/module_utils/_bootstrap.py. GPL-3.0-or-later.\n"
#: Lines that are nothing but a comment, and texts that are a statement by themselves.
_EXPLANATIONS = re.compile(r'^ *(?:#.*|"""(?:.|\n)*?""")\n+', re.MULTILINE)


@functools.cache
def engine_command() -> tuple[str, ...]:
    """The command of the container.

    A cluster keeps each Job and each pod several times, so what explains the bootstrap stays at home: a third of it.
    """
    return ("python", "-c", _HEAD + _EXPLANATIONS.sub("", source_of(_bootstrap)))


def engine_orders(launch: Launch) -> str:
    """The document for the bootstrap."""
    limits = {"start": launch.start_timeout, "run": launch.run_timeout, "grace": launch.stop_grace}
    return json.dumps({**launch.bootstrap, "progress": None, "limits": limits}, sort_keys=True)
