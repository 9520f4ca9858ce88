# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Reads flows and ``prefect.yaml`` where their libraries are: under the interpreter that will run them.

Stands alone: ``python -c SOURCE`` with Prefect's interpreter, one JSON document on standard input, the answer as the
last line of the output. Importing it does nothing.

``{"file": path}`` answers the document in a YAML file; ``{"entrypoints": [...]}`` answers, for each, the flow's name
and the schema of its parameters, both by Prefect's own functions, or ``{"error": text}``.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t

MARK = "FLOWOPS "


def read_file(path: str) -> t.Any:
    """The document, with what YAML makes of dates as text."""
    import yaml

    with open(path, encoding="utf-8") as file:
        return json.loads(json.dumps(yaml.safe_load(file), default=str))


def read_flow(entrypoint: str) -> dict[str, t.Any]:
    """What Prefect's own deployment of this flow would say about it."""
    from prefect.flows import load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    flow = load_flow_from_entrypoint(entrypoint)
    schema = parameter_schema(flow)
    if hasattr(schema, "model_dump"):
        document = schema.model_dump(mode="json")
    else:
        document = json.loads(schema.json(exclude_none=True))  # Prefect 2's server takes no empty entries
    return {"name": flow.name, "schema": document}


def attempt(read: t.Callable[[str], t.Any], argument: str) -> t.Any:
    """The answer, or why there is none; a flow's file may raise and exit as it likes."""
    try:
        return read(argument)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the flow's file does is an answer
        return {"error": f"{type(error).__name__}: {error}"[:2000]}


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    sys.path.insert(0, os.getcwd())
    if "file" in request:
        answer = attempt(read_file, request["file"])
    else:
        answer = [attempt(read_flow, entrypoint) for entrypoint in request["entrypoints"]]
    sys.stdout.write("\n" + MARK + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
