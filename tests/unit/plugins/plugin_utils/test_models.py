# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pydantic on the controller: what it accepts, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._fields import fields_of, per_run_fields_of
from ansible_collections.flowops.prefect.plugins.plugin_utils import _models as models

ID = "0f6e2d3c-5a41-4c8e-9b7d-1e2f3a4b5c6d"
API = {"api_url": "http://127.0.0.1:4200/api"}

needs_pydantic = pytest.mark.skipif(not models.HAS_PYDANTIC, reason="pydantic is not installed here")


def problems(**args) -> list[str]:
    return models.validate_on_controller({**API, **args}, "subprocess")


class LazyMapping(dict):
    """Like ansible-core's lazy templates: the real values come by item access only."""

    def __getitem__(self, key):
        return super().__getitem__(key)()


@needs_pydantic
class TestAccepts:
    @pytest.mark.parametrize(
        "args",
        [
            {"flow_run_id": ID},
            {"flow_run_ids": f"{ID}, {ID.replace('0f', '1f')}"},
            {"deployment": "a/b", "runs": [{"parameters": {"a": 1}}, {"env": {"A": None}}]},
            {"runs": [{"flow_run_id": ID, "deployment": "a/b", "phase": "failed", "action": "none", "name": "x"}]},
            {"flow_run_id": ID, "wait": None, "env": None},
            {"flow_run_id": ID, "api_validate_certs": "no", "virtualenv": "$HOME/venv", "python": None},
            {"flow_run_id": ID, "_ansible_check_mode": True},
        ],
    )
    def test_what_users_write(self, args):
        assert problems(**args) == []

    def test_texts_of_templates_on_old_ansible_core(self):
        args = {
            "wait": "False",
            "wait_timeout": "60",
            "concurrency": "4",
            "log_lines": "5",
            "rerun": "2",
            "stop_grace": "1.5",
        }
        assert problems(flow_run_id=ID, **args) == []

    def test_lazy_templates(self):
        env = LazyMapping(A=lambda: "text", B=lambda: 5)
        assert [text.split()[0] for text in problems(flow_run_id=ID, env=env)] == ["env.B"]


@needs_pydantic
class TestValidator:
    def test_knows_every_option(self):
        examples = {"str": "x", "path": "x", "int": 1, "float": 1, "bool": True, "dict": {}, "list": ["x"]}
        for fields, put in (
            (fields_of("subprocess"), lambda options: options),
            (per_run_fields_of("subprocess"), lambda options: {"runs": [options]}),
        ):
            for field in fields:
                found = problems(**put({field.name: examples[field.type]}))
                assert not [text for text in found if "is no option" in text], field.name

    def test_converts(self):
        task = models.task_validator("subprocess").validate_python(
            {"flow_run_id": ID.upper(), "wait": "no", "wait_timeout": "5", "runs": [{"rerun": 2}]}
        )
        assert task == {"flow_run_id": ID, "wait": False, "wait_timeout": 5.0, "runs": [{"rerun": "2"}]}

    def test_what_a_check_returns_is_of_the_option_s_type(self, monkeypatch):
        monkeypatch.setattr(models, "task_validator", models.task_validator.__wrapped__)  # not the cached one
        monkeypatch.setattr(models, "clean", lambda field, value: {"not": "a number"})
        assert any("log_lines" in text for text in problems(log_lines=5))

    def test_never_repeats_its_input(self):
        import pydantic_core

        with pytest.raises(pydantic_core.ValidationError) as caught:
            models.task_validator("subprocess").validate_python(
                {"api_key": ["CANARY"], "CANARY": 1, "secret_env": "CANARY"}
            )
        assert "input_value" not in str(caught.value)


@needs_pydantic
def test_without_pydantic_the_words_are_the_same(monkeypatch):
    with_models = problems(flow_run_id="nonsense")
    monkeypatch.setattr(models, "HAS_PYDANTIC", False)
    assert problems(flow_run_id="nonsense") == with_models != []


@needs_pydantic
def test_the_import_adds_little_to_pydantic_s_own():
    name = "ansible_collections.flowops.prefect.plugins.plugin_utils._models"
    heavy = "{'asyncio', 'http.client', 'ssl', 'requests', 'jinja2', 'yaml', 'pydantic'}"
    code = f"""
import sys, pydantic_core
before = set(sys.modules)
import {name}
print(({heavy} & set(sys.modules)) - before)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment()
    )
    assert answer.stdout.strip() == "set()"


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@needs_pydantic
def test_a_large_task_is_checked_quickly():
    args = {"deployment": "a/b", "runs": [{"parameters": {"n": n}, "env": {"A": "b"}} for n in range(1000)]}
    problems(flow_run_id=ID)
    begun = time.process_time()
    assert problems(**args) == []
    assert time.process_time() - begun < 2


@needs_pydantic
def test_lists_of_mappings_are_accepted():
    patch = [{"op": "remove", "path": "/metadata/labels/x"}]
    assert models.validate_on_controller({**API, "flow_run_id": ID, "customizations": patch}, "kubernetes") == []
