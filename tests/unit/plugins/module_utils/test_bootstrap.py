# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bootstrap as far as it goes without Prefect."""

from __future__ import annotations

import ast
import json
import os
import pathlib
import subprocess
import sys

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils import _bootstrap
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._container_engine import engine_command

DOCUMENT = {
    "flow_run_id": "979b4e7b-c5f1-4546-8e24-8a038e182219",
    "number": 1,
    "token": "ecdd48f0-1c31-4cbd-b9c5-de49451a9e73",
    "claims": False,
    "record": None,
    "inheritable": [],
    "infrastructure_pid_prefix": "h:",
    "progress": None,
}


def run(document, as_file, tmp_path, **environment):
    source = pathlib.Path(_bootstrap.__file__)
    program = [str(source)] if as_file else ["-c", source.read_text()]
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment}
    if document is not None:
        variables["FLOWOPS_BOOTSTRAP"] = document
    return subprocess.run(
        [sys.executable, "-I", *program], env=variables, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("as_file", [True, False])
def test_without_prefect_it_says_so(as_file, tmp_path):
    progress = tmp_path / "progress"
    document = json.dumps({**DOCUMENT, "progress": str(progress)})
    done = run(document, as_file, tmp_path)
    assert done.returncode == _bootstrap.EXIT_NO_PREFECT
    event = json.loads(progress.read_text())
    assert (event["event"], event["category"]) == ("refused", "prefect_missing")
    assert progress.stat().st_mode & 0o777 == 0o600
    assert "Traceback" not in done.stderr


def test_containers_get_the_same_program_without_its_explanations():
    source = pathlib.Path(_bootstrap.__file__).read_text()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            del node.body[0]
    bare = engine_command()[-1]
    assert ast.dump(ast.parse(bare)) == ast.dump(tree)
    assert len(bare) < 0.75 * len(source)


class OrionServer(_bootstrap.OrionApi):
    """Takes everybody's claim."""

    def __init__(self, records):
        self._flow_run_id, self._records = DOCUMENT["flow_run_id"], str(records)
        self.now = {"type": "SCHEDULED", "name": "Scheduled", "message": None}

    def _ask(self, method, path, body=None):
        if path.endswith("/set_state"):
            self.now = body["state"]
        return 200, {"status": "ACCEPT", "state": self.now}


@pytest.mark.parametrize("other", [None, {"type": "PENDING", "name": "Pending", "message": None}])
def test_a_claim_that_comes_right_after_ours_has_the_run_of_orion(other, tmp_path, monkeypatch):
    server = OrionServer(tmp_path)
    attempt = _bootstrap.Attempt({**DOCUMENT, "claims": True, "record": {}}, server, _bootstrap.Progress(None))
    monkeypatch.setattr(_bootstrap.time, "sleep", lambda _seconds: setattr(server, "now", other or server.now))
    if other is None:
        attempt.start()
        assert server.inputs(1)["flowops-1-gate"]["go"] == DOCUMENT["token"]
        return
    with pytest.raises(_bootstrap.Stop) as stopped:
        attempt.start()
    assert (stopped.value.code, stopped.value.category) == (_bootstrap.EXIT_REFUSED, "claimed_elsewhere")
    assert "void" in server.inputs(1)["flowops-1-gate"]
    assert server.now is other


@pytest.mark.parametrize(
    "document",
    [
        None,
        "",
        "[]",
        "{}",
        json.dumps({**DOCUMENT, "flow_run_id": "../x"}),
        json.dumps({**DOCUMENT, "token": 1}),
        json.dumps({**DOCUMENT, "number": None}),
        json.dumps({**DOCUMENT, "claims": True}),
    ],
)
def test_damaged_orders_are_refused(document, tmp_path):
    done = run(document, True, tmp_path)
    assert done.returncode == _bootstrap.EXIT_REFUSED
    assert "bad_document" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("version", "code", "category"),
    [("3.9.1", _bootstrap.EXIT_NO_PREFECT, "prefect_missing"), ("2.20.26", _bootstrap.EXIT_REFUSED, "prefect_unfit")],
)
def test_a_prefect_of_another_generation_than_the_server_is_refused(tmp_path, version, code, category):
    metadata = tmp_path / f"prefect-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: prefect\nVersion: {version}\n")
    program = (
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
        f"runpy.run_path({_bootstrap.__file__!r}, run_name='__main__')"
    )
    variables = {"HOME": str(tmp_path), "FLOWOPS_BOOTSTRAP": json.dumps({**DOCUMENT, "prefect": r"3(\.|$)"})}
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert f"{category} " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_progress_file_does_not_matter(tmp_path):
    done = run(json.dumps({**DOCUMENT, "progress": str(tmp_path / "no" / "folder")}), True, tmp_path)
    assert done.returncode == _bootstrap.EXIT_NO_PREFECT
