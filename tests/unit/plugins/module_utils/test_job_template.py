# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rendering of job templates. That a real server's templates come out right is shown by the integration tests."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.flowops.prefect.plugins.module_utils._job_template import merged_variables, render
from ansible_collections.flowops.prefect.plugins.module_utils._problems import ProblemsError


class Held:
    """What the server holds, from dictionaries."""

    def __init__(self, blocks: dict[str, t.Any] | None = None, variables: dict[str, t.Any] | None = None) -> None:
        self.blocks, self.variables = blocks or {}, variables or {}

    def block(self, slug: str, name: str) -> t.Any:
        return self.blocks[f"{slug}/{name}"]

    def block_by_id(self, block_id: t.Any) -> t.Any:
        return self.blocks[block_id]

    def variable(self, name: str) -> t.Any:
        return self.variables[name]


def template(configuration: dict[str, t.Any], **defaults: t.Any) -> dict[str, t.Any]:
    properties = {name: {} if value is None else {"default": value} for name, value in defaults.items()}
    return {"job_configuration": configuration, "variables": {"type": "object", "properties": properties}}


def rendered(configuration: dict[str, t.Any], values: dict[str, t.Any], held: Held | None = None, **defaults: t.Any):
    return render(template(configuration, **defaults), merged_variables(values), held or Held()).configuration


@pytest.mark.parametrize("value", ["text", 3, True, ["a", {"b": 1}], {"c": None}])
def test_a_placeholder_alone_keeps_the_kind_of_its_value(value):
    assert rendered({"image": "{{ image }}"}, {"image": value}) == {"image": value}


def test_what_nobody_gives_disappears():
    configuration = {"image": "{{ image }}", "volumes": ["/a:/b", "{{ more }}"], "limits": {"cpu": "{{ cpu }}"}}
    assert rendered(configuration, {}, image=None) == {"volumes": ["/a:/b"], "limits": {}}


def test_within_a_text():
    assert rendered({"image": "{{host}}/flows:{{ tag }}"}, {"tag": 7}, host="r.example.com") == {
        "image": "r.example.com/flows:7"
    }
    assert rendered({"image": "flows{{ suffix }}"}, {}) == {"image": "flows"}


def test_a_path_into_a_variable():
    values = {"site": {"mounts": ["/x", "/y"], "name.with": 1}}
    assert rendered({"a": "{{ site.mounts[1] }}", "b": "{{ site.nothing }}"}, values) == {"a": "/y"}


def test_inserted_values_are_not_rendered_again():
    assert rendered({"a": "{{ x }}", "b": "-{{ x }}"}, {"x": "{{ y }}", "y": 1}) == {"a": "{{ y }}", "b": "-{{ y }}"}


def test_an_explicit_null_beats_the_default():
    assert rendered({"working_dir": "{{ working_dir }}"}, {"working_dir": None}, working_dir="/srv") == {
        "working_dir": None
    }


def test_environments_are_merged_from_pool_to_run():
    merged = merged_variables({"env": {"A": "dep", "B": "dep"}, "image": "d"}, {"env": {"B": "run"}, "env.C": "run"})
    assert merged == {"env": {"A": "dep", "B": "run", "C": "run"}, "image": "d"}
    got = render(template({"env": {"A": "fixed", "F": "{{ image }}"}}, env={"A": "pool", "D": "pool"}), merged, Held())
    assert got.configuration["env"] == {"A": "dep", "B": "run", "C": "run", "D": "pool", "F": "d"}


def test_the_environment_s_default_replaces_its_placeholder():
    assert rendered({"env": "{{ env }}"}, {"env": {"B": "2"}}, env={"A": "1"}) == {"env": {"A": "1", "B": "2"}}
    assert rendered({"env": "{{ env }}"}, {"env": {"B": "2"}}, env=None) == {"env": {"B": "2"}}
    assert rendered({"env": "{{ env }}"}, {}, env=None) == {}


def test_a_dotted_name_beside_its_mapping():
    assert merged_variables({"env.A": "dotted", "env.B": "dotted", "env": {"A": "mapping"}}) == {
        "env": {"A": "mapping", "B": "dotted"}
    }
    with pytest.raises(ProblemsError, match="says two things"):
        merged_variables({"a.b": 1, "a.b.c": 2})


def test_blocks_and_variables_of_the_server():
    held = Held(
        {
            "secret/token": {"value": "s3cret"},
            "json/site": {"value": {"host": "h"}},
            "reg/hub": {"user": "u"},
            "id": {"x": 1},
        },
        {"region": "eu", "list": [1]},
    )
    configuration = {
        "env": "{{ env }}",
        "whole": "{{ prefect.blocks.json.site }}",
        "inside": "{{ prefect.blocks.json.site.host }}/{{ prefect.variables.region }}",
        "value": "{{ prefect.blocks.secret.token.value }}",
        "part": "{{ prefect.blocks.reg.hub.user }}",
        "reference": {"$ref": {"block_document_id": "id"}},
        "list": "{{ prefect.variables.list }}",
    }
    values = {"env": {"TOKEN": "{{ prefect.blocks.secret.token }}", "OPEN": "{{ prefect.variables.region }}"}}
    got = render(template(configuration, env=None), values, held)
    assert got.configuration == {
        "env": {"TOKEN": "s3cret", "OPEN": "eu"},
        "whole": {"host": "h"},
        "inside": "h/eu",
        "value": "s3cret",
        "part": "u",
        "reference": {"x": 1},
        "list": [1],
    }
    assert got.secret_env == {"TOKEN"}


@pytest.mark.parametrize("env", ["{{ prefect.blocks.json.env }}", {"$ref": {"block_document_id": "json/env"}}])
def test_an_environment_that_is_a_block_is_secret_as_a_whole(env):
    got = render(template({"env": "{{ env }}"}, env=None), {"env": env}, Held({"json/env": {"A": "1", "B": "2"}}))
    assert got.configuration["env"] == {"A": "1", "B": "2"}
    assert got.secret_env == {"A", "B"}


def test_only_a_part():
    configuration = {"env": "{{ env }}", "broken": "{{ prefect.blocks.x }}"}
    assert render(template(configuration), {"env": {"A": "1"}}, Held(), only="env").configuration == {"env": {"A": "1"}}


@pytest.mark.parametrize(
    ("configuration", "place", "says"),
    [
        ({"image": "{{ $REGISTRY }}/flows"}, "image", r"\$REGISTRY"),
        ({"a": {"b": ["{{ prefect.blocks.secret }}"]}}, r"a\.b\[0\]", "prefect.blocks.type-of-block"),
        ({"a": "x{{ prefect.blocks.json.site }}"}, "a", "no text"),
        ({"a": "{{ prefect.blocks.json.site.nothing }}"}, "a", "nothing of that name"),
    ],
)
def test_what_cannot_be_rendered_is_named(configuration, place, says):
    held = Held({"json/site": {"value": {"host": "h"}}})
    with pytest.raises(ProblemsError, match=f"^{place} .*{says}"):
        rendered(configuration, {}, held)


@pytest.mark.parametrize("broken", [{"job_configuration": []}, {"variables": []}, {"variables": {"properties": [1]}}])
def test_a_template_that_is_none(broken):
    with pytest.raises(ProblemsError, match="Mend the pool"):
        render(broken, {}, Held())


def test_an_empty_template_says_nothing():
    assert render({}, {"env": {"A": "1"}}, Held()).configuration == {}
