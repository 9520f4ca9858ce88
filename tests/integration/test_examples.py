# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the documentation of the modules shows is what they do: every example is executed, every result compared."""

from __future__ import annotations

import textwrap
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_play import COLLECTION_ROOT, PlayResult, RunPlaybook
from module_docs import documented, split, tasks_of
from prefect_rest import FLOWS, PrefectRest
from prefect_server import engine_python
from runner import runner_task

#: Their examples are executed by tests with their engines.
NEED_AN_ENGINE = ("flow_runner_docker", "flow_runner_k8s")
MODULES = sorted(
    path for path in (COLLECTION_ROOT / "plugins" / "modules").glob("*.py") if path.stem not in NEED_AN_ENGINE
)
#: What Ansible itself adds to the result of any module.
OF_ANSIBLE = {"changed", "failed", "invocation", "diff", "warnings", "exception"}

#: What the example of an import reads.
PROJECT = """
pull:
  - prefect.deployments.steps.set_working_directory: {{directory: "{directory}"}}
deployments:
  - {{name: imported, entrypoint: "{directory}/hello.py:hello"}}
"""

HEAD = """
- name: Examples
  hosts: all
  gather_facts: false
  module_defaults:
    flowops.prefect.flow_runner_subprocess:
      state_dir: "{{ test_state_dir }}"
    flowops.prefect.flow_runner:
      state_dir: "{{ test_state_dir }}"
    flowops.prefect.flow_runner_info:
      state_dir: "{{ test_state_dir }}"
  tasks:
"""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_example(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path, module: Path
) -> None:
    """As they stand, one after the other, since they build on each other's results."""
    deployment = rest.create_deployment("hello", name="quickstart")
    examples = documented(module, "EXAMPLES")
    names = [task["name"] for task in tasks_of(examples)]
    variables = {
        "prefect_api_url": api_url,
        "prefect_virtualenv": str(engine_python().parent.parent),
        "batch_id": uuid.uuid4().hex,
        "greeting_token": "canary-3f1b",
        "prefect_pool": f"pool-{uuid.uuid4().hex[:8]}",
        "test_state_dir": str(tmp_path / "state"),
        "flows_dir": str(FLOWS),
        "project_dir": str(tmp_path),
    }
    (tmp_path / "prefect.yaml").write_text(PROJECT.format(directory=FLOWS))
    if module.stem == "flow_runner_info":
        _leave_an_orphan(run_playbook, rest, api_url, tmp_path / "state", deployment["id"])
    play = run_playbook(HEAD + textwrap.indent(examples, "    "), extra_vars=variables, timeout=300).check()
    assert "canary-3f1b" not in play.output
    skipped = [one.task for one in play.results if one.status == "skipped"]
    assert set(names) == {one.task for one in play.results}
    for name in skipped:
        _execute_with_a_failed_run(run_playbook, rest, examples, name, variables)


def _leave_an_orphan(
    run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, state_dir: Path, deployment_id: str
) -> None:
    """A report of a place where nothing needs attention would skip what it shows."""
    run_id = rest.create_flow_run(deployment_id)["id"]
    run_playbook(runner_task(api_url, state_dir, flow_run_id=run_id)).check()
    rest.request("DELETE", f"/flow_runs/{run_id}")


def _execute_with_a_failed_run(
    run_playbook: RunPlaybook, rest: PrefectRest, examples: str, name: str, variables: dict[str, Any]
) -> None:
    """An example for when something failed, once more, now that something has."""
    deployment = rest.get("/deployments/name/hello/quickstart")
    run_id = rest.create_flow_run(deployment["id"])["id"]
    rest.set_state(run_id, "FAILED", force=True)
    batch = {"flow_run_ids": [run_id], "failed_runs": [run_id]}
    play = run_playbook(
        HEAD + textwrap.indent(split(examples)[name], "    "), extra_vars={**variables, "batch": batch}
    ).check()
    assert (play.last["run"]["attempt"], play.last["run"]["phase"]) == (2, "succeeded")


@pytest.fixture
def results(run_playbook: RunPlaybook, rest: PrefectRest, api_url: str, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Results of one kind each."""
    hello, fail = rest.create_deployment("hello"), rest.create_deployment("fail")

    def result(**options: Any) -> dict[str, Any]:
        check = bool(options.pop("check", False))
        play: PlayResult = run_playbook(runner_task(api_url, tmp_path / "state", **options), check=check)
        return play.last

    return {
        "check": result(deployment=hello["full_name"], check=True),
        "success": result(deployment=hello["full_name"]),
        "failure": result(flow_run_id=rest.create_flow_run(fail["id"])["id"]),
        "error": result(flow_run_id=rest.create_flow_run(fail["id"])["id"], virtualenv="/nonexistent", python=None),
        "two": result(flow_run_ids=[rest.create_flow_run(fail["id"])["id"] for _time in range(2)], check=True),
    }


def compare(place: str, described: dict[str, Any], real: dict[str, Any], ignored: set[str]) -> list[str]:
    """Where a result and its documentation differ."""
    found = [f"{place}{name} is not documented" for name in real if name not in described and name not in ignored]
    for name, entry in described.items():
        if name not in real:
            if entry["returned"] == "always":
                found.append(f"{place}{name} is missing")
            continue
        inner = real[name] if entry["type"] == "list" else [real[name]]
        for one in inner if "contains" in entry else ():
            if one is not None:
                found += compare(f"{place}{name}.", entry["contains"], one, set())
    return found


def test_results_are_as_documented(results: dict[str, dict[str, Any]]) -> None:
    (module,) = [path for path in MODULES if path.stem == "flow_runner_subprocess"]
    described = yaml.safe_load(documented(module, "RETURN"))
    for kind, result in results.items():
        own = {name: value for name, value in result.items() if not name.startswith("_ansible_")}
        assert not compare(f"{kind}: ", described, own, OF_ANSIBLE)
    runs = described["runs"]["contains"]
    assert set(described["run"]["sample"]) == set(runs) == set(results["success"]["run"])
    assert set(described["summary"]["sample"]) == set(results["success"]["summary"])
    assert set(described["would_launch"]["sample"][0]) == set(results["check"]["would_launch"][0])
    assert results["success"]["run"]["phase"] == "succeeded"
    assert results["failure"]["run"]["diagnosis"]["category"] == "flow_failed"
