# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What a flow's own source says about it: asked of the environment that runs the flow, never imported here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils import _flow_reader
from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._process_interpreter import (
    CHECK_TIMEOUT,
    Interpreter,
    base_environment,
    resolve_interpreter,
)
from ansible_collections.flowops.prefect.plugins.module_utils._own_source import source_of
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise, shorten


def read_prefect_yaml(settings: t.Mapping[str, t.Any], path: str) -> dict[str, t.Any]:
    """The document of a ``prefect.yaml``. :arg settings: name the interpreter."""
    answer = _ask(resolve_interpreter(settings), {"file": path}, "/", {})
    if not isinstance(answer, dict) or isinstance(answer.get("error"), str):
        said = answer.get("error") if isinstance(answer, dict) else "it is no mapping"
        raise SettingsError(f"from_file: {path} cannot be used: {_shown(said)}.", "Give the path of a prefect.yaml.")
    return answer


def read_flows(
    settings: t.Mapping[str, t.Any], directory: str, entrypoints: t.Sequence[str], extra: t.Mapping[str, str]
) -> dict[str, dict[str, t.Any]]:
    """Name and parameter schema of flows, by entrypoint; one start of the interpreter for all of them.

    :arg directory: what relative entrypoints are relative to.
    :arg extra: variables for the interpreter, such as the API's address, which flows may need while they are imported.
    """
    if not os.path.isdir(directory):
        raise SettingsError(
            f"source_dir: {directory} is not a directory of this host.", "Give the one that holds the flow's code."
        )
    interpreter = resolve_interpreter(settings)
    answers = _ask(interpreter, {"entrypoints": list(entrypoints)}, directory, extra)
    found: dict[str, dict[str, t.Any]] = {}
    for entrypoint, answer in zip(entrypoints, answers if isinstance(answers, list) else []):
        if not isinstance(answer, dict) or not isinstance(answer.get("name"), str):
            said = answer.get("error") if isinstance(answer, dict) else ""
            raise SettingsError(
                f"entrypoint: {entrypoint} cannot be read in {directory}: {_shown(said)}.",
                "Correct entrypoint or source_dir, or give flow and parameter_openapi_schema.",
            )
        found[entrypoint] = answer
    return found


def _shown(text: t.Any) -> str:
    return shorten(neutralise(" ".join(str(text).split())), 500).rstrip(".")


def _ask(interpreter: Interpreter, request: t.Any, directory: str, extra: t.Mapping[str, str]) -> t.Any:
    """Start the reader and return its answer."""
    environment = base_environment(os.environ)
    interpreter.activate(environment)
    environment.update(extra)
    source = source_of(_flow_reader)
    shown = " ".join(interpreter.command)
    try:
        # In one line, since older conda refuses line breaks in arguments.
        command = (*interpreter.command, "-c", f"exec({source!r})")
        output = _run(command, json.dumps(request).encode(), environment, directory)
    except subprocess.TimeoutExpired:
        raise SettingsError(
            f"{interpreter.field}: {shown} did not answer within {CHECK_TIMEOUT:.0f} s.", "Try it by hand on this host."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{interpreter.field}: {shown}: {error.strerror}.", "Try it by hand on this host."
        ) from None
    lines = [line for line in output.splitlines() if line.startswith(_flow_reader.MARK)]
    try:
        return json.loads(lines[-1][len(_flow_reader.MARK) :])
    except (IndexError, ValueError):
        raise SettingsError(
            f"{interpreter.field}: {shown} does not work: {_shown(output[-2000:])}.", "Try it by hand on this host."
        ) from None


def _run(command: t.Sequence[str], given: bytes, environment: dict[str, str], directory: str) -> str:
    """The output; whatever it starts ends with it."""
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # no module here to run it
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output = process.communicate(given, timeout=CHECK_TIMEOUT)[0]
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return output.decode("utf-8", "replace")
