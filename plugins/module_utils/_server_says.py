# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""What work pool, deployment and flow run say about the infrastructure of a run, level by level."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiNotFound
from ansible_collections.flowops.prefect.plugins.module_utils._fields import UNIVERSAL
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import JOB_VARIABLE, attached, checked
from ansible_collections.flowops.prefect.plugins.module_utils._job_template import (
    Rendered,
    Server,
    default_of,
    merged_variables,
    render,
    resolved,
)
from ansible_collections.flowops.prefect.plugins.module_utils._pool_settings import (
    STOCK_POOLS,
    USUAL_TEMPLATES,
    environment_of,
    pool_settings,
)
from ansible_collections.flowops.prefect.plugins.module_utils._problems import Problem, ProblemsError, shown

Options = dict[str, t.Any]

#: Types of pools that leave it to the job variables what a run is launched with.
_SILENT_POOLS = ("ansible", "prefect-agent")

#: Settings of the first flow runners that are the play's affair here.
_ORIONS_OWN = ("stream_output",)

#: What a deployment without a pool may say, or in one whose template is empty.
_NO_POOL: Options = {"job_configuration": {"env": "{{ env }}"}}


@dataclasses.dataclass(frozen=True)
class Level:
    """What one of those who may say something says.

    :arg source: who, for people.
    :arg settings: by name, connection included; ``None`` takes back what an earlier level said.
    :arg env: ``None`` unsets a variable.
    """

    source: str
    settings: Options
    env: dict[str, str | None] = dataclasses.field(default_factory=dict)
    secret_env: dict[str, str | None] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True)
class Pool:
    """A work pool; a nameless one stands for none."""

    name: str = ""
    type: str = ""
    template: Options = dataclasses.field(default_factory=lambda: _NO_POOL)


@dataclasses.dataclass(frozen=True)
class ServerSays:
    """About one run.

    :arg stages: who, and their job variables; later ones win.
    """

    pool: Pool
    stages: tuple[tuple[str, Options], ...]

    def runner_type(self) -> tuple[str, str]:
        """The type of the flow runner and who says so; empty where nobody does.

        :raises ProblemsError: the pool is one of those that nothing here corresponds to.
        """
        source, flow_runner = self._flow_runner()
        if flow_runner.get("type", UNIVERSAL) != UNIVERSAL:
            return str(flow_runner["type"]), source
        if self.pool.type in STOCK_POOLS:
            return STOCK_POOLS[self.pool.type], self._pool_source
        if self.pool.name and self.pool.type not in _SILENT_POOLS:
            what = f"is not given, and {self._pool_source} is of type {shown(self.pool.type)}, which is unknown here"
            raise ProblemsError([Problem("type", what, "Give type to launch the run all the same.")])
        return "", ""

    def levels(self, kind: str, server: Server) -> tuple[list[Level], list[str]]:
        """What is said that counts for a flow runner of this type, and warnings.

        :raises ProblemsError: something of it cannot be used.
        """
        levels, warnings = self._pool_levels(kind, server)
        source, flow_runner = self._flow_runner()
        if flow_runner:
            levels.append(_under(f"flow_runner of the {source}", lambda: _level(source, flow_runner, kind, server)))
        return levels, warnings

    @property
    def _pool_source(self) -> str:
        return f"work pool {self.pool.name}"

    def _flow_runner(self) -> tuple[str, Options]:
        """The attached flow runner that counts: it replaces others as a whole, as job variables do."""
        pools = (self._pool_source, {JOB_VARIABLE: default_of(self.pool.template, JOB_VARIABLE)})
        for source, variables in reversed((pools, *self.stages)):
            if variables.get(JOB_VARIABLE) is not None:
                flow_runner = attached(variables)
                if flow_runner is None:
                    remedy = "Write {type: …, config: {…}}; the module deployment does so."
                    raise ProblemsError([Problem(f"{JOB_VARIABLE} of the {source}", "has no type", remedy)])
                return source, flow_runner
        return "", {}

    def _pool_levels(self, kind: str, server: Server) -> tuple[list[Level], list[str]]:
        """One level for each who adds something to the rendered template: what is another value than before."""
        sources = [self._pool_source, *(source for source, _variables in self.stages)]
        variables = [{}, *(variables for _source, variables in self.stages)]
        last = _under(f"job variables ({self._who})", lambda: self._rendered(kind, variables, server))
        levels: list[Level] = []
        before = _Said()
        for number, source in enumerate(sources, start=1):
            said = last
            if number < len(sources):
                try:
                    said = self._rendered(kind, variables[:number], server)
                except ProblemsError:
                    said = before  # what counts is what comes out in the end
            levels.append(said.level(source, before))
            before = said
        return levels, [f"{warning} ({self._who})" for warning in last.warnings]

    @property
    def _who(self) -> str:
        names = [self._pool_source] if self.pool.name else []
        return ", ".join([*names, *(source for source, variables in self.stages if variables)])

    def _rendered(self, kind: str, variables: list[Options], server: Server) -> _Said:
        same = STOCK_POOLS.get(self.pool.type) == kind
        template = self.pool.template or USUAL_TEMPLATES.get(self.pool.type, _NO_POOL)
        rendered = render(template, merged_variables(*variables), server, only="" if same else "env")
        if not same:
            return _Said({}, environment_of(rendered.configuration.get("env")), rendered.secret_env)
        found = pool_settings(self.pool.type, rendered.configuration)
        return _Said({**found.settings, **found.connection}, found.env, rendered.secret_env, tuple(found.warnings))


@dataclasses.dataclass(frozen=True)
class _Said:
    """A rendered template in our words."""

    settings: Options = dataclasses.field(default_factory=dict)
    env: dict[str, str | None] = dataclasses.field(default_factory=dict)
    secret_names: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    def level(self, source: str, before: _Said) -> Level:
        """What is new in it."""
        names = {*self.settings, *before.settings}
        return Level(
            source,
            {n: self.settings.get(n) for n in sorted(names) if self.settings.get(n) != before.settings.get(n)},
            **_environments(
                {n: value for n, value in self.env.items() if n not in before.env or before.env[n] != value},
                self.secret_names,
            ),
        )


def _level(source: str, flow_runner: Options, kind: str, server: Server) -> Level:
    """An attached flow runner; of one of another type only the environment counts."""
    config = {name: value for name, value in flow_runner.items() if name not in ("type", *_ORIONS_OWN)}
    rendered: Rendered = resolved(config, server)
    settings = checked({**rendered.configuration, "type": flow_runner["type"]})
    env = settings.pop("env", {})
    same = settings.pop("type") in (kind, UNIVERSAL)
    return Level(source, settings if same else {}, **_environments(env, rendered.secret_env))


def _environments(env: t.Mapping[str, str | None], secret: t.Collection[str]) -> dict[str, dict[str, str | None]]:
    return {
        "env": {name: value for name, value in env.items() if name not in secret},
        "secret_env": {name: value for name, value in env.items() if name in secret},
    }


_T = t.TypeVar("_T")


def _under(place: str, work: t.Callable[[], _T]) -> _T:
    """The same, with problems that say where they are."""
    try:
        return work()
    except ProblemsError as error:
        raise ProblemsError([dataclasses.replace(one, path=f"{place}: {one.path}") for one in error.problems]) from None
    except ApiNotFound as error:
        raise ApiNotFound(f"{place}: {error.message}", error.remedy, status=error.status) from None
