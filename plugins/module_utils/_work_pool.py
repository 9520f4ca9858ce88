# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""A work pool with its queues as it is to be: what differs from what the server has, and the requests that mend it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._catalog_fit import kept
from ansible_collections.flowops.prefect.plugins.module_utils._errors import ApiError, SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._flow_runner import base_job_template
from ansible_collections.flowops.prefect.plugins.module_utils._management import Result, Session
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._catalog import Document
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._objects import Fields
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._transport import printable
from ansible_collections.flowops.prefect.plugins.module_utils._same import same

View = dict[str, t.Any]

#: The type of pools whose runs this collection launches.
OUR_TYPE = "ansible"
#: Options and the server's names of them.
_NAMES = {
    "type": "type",
    "description": "description",
    "concurrency_limit": "concurrency_limit",
    "paused": "is_paused",
    "base_job_template": "base_job_template",
    "priority": "priority",
    "filter": "filter",
}
_FILTER_NAMES = {"deployments": "deployment_ids", "tags": "tags", "flow_runner_types": "flow_runner_types"}
_POOL = ("type", "description", "concurrency_limit", "paused", "base_job_template", "filter")
_QUEUE = ("description", "concurrency_limit", "paused", "priority")


@dataclasses.dataclass
class _Planned:
    """The pool or one queue of it."""

    name: str
    before: View | None
    after: View | None

    @property
    def changes(self) -> View:
        """The options that differ."""
        before, after = self.before or {}, self.after or {}
        return {name: value for name, value in after.items() if name not in before or not same(before[name], value)}

    @property
    def changed(self) -> bool:
        return bool(self.changes) if self.after is not None else self.before is not None


# What it looks like


def described(found: Document, names: t.Iterable[str]) -> View:
    """A pool or a queue of the server in the words of the options; -1 says that there is no limit."""
    fields = Fields(found, "work pool")
    readers: dict[str, t.Callable[[str], t.Any]] = {
        "type": fields.text,
        "description": lambda name: fields.optional_text(name) or "",
        "concurrency_limit": lambda name: int(fields.number(name, -1)),
        "paused": lambda name: fields.flag(name, False),
        "base_job_template": fields.mapping,
        "priority": lambda name: int(fields.number(name, 1)),
        "filter": lambda name: _told_filter(fields.sub(name)),
    }
    return {name: readers[name](_NAMES[name]) for name in names}


def _told_filter(fields: Fields) -> View:
    told = {name: sorted(fields.texts(theirs)) for name, theirs in _FILTER_NAMES.items()}
    return {name: values for name, values in told.items() if values}


def planned_pool(before: View | None, options: t.Mapping[str, t.Any], names: t.Collection[str]) -> View:
    """What the pool will look like. The type ``ansible``, said or meant, comes with our template.

    :arg names: options that the server knows anything about.
    """
    wanted = {name: options[name] for name in names if name in options}
    if before is None and "type" in names:
        wanted.setdefault("type", OUR_TYPE)
    if wanted.get("type") == OUR_TYPE:
        wanted.setdefault("base_job_template", base_job_template())
    return {**(before or {}), **wanted}


def request(changes: View) -> Document:
    """The body of a request."""
    body = {_NAMES[name]: value for name, value in changes.items()}
    if body.get("concurrency_limit") == -1:
        body["concurrency_limit"] = None
    if "filter" in body:
        body["filter"] = {_FILTER_NAMES[name]: values for name, values in body["filter"].items()}
    return body


# The module


def manage(session: Session) -> Result:
    """Look, refuse what cannot work, then begin."""
    options, name = dict(session.options), session.options["name"]
    found = session.catalog.find_pool(name)
    names = list(kept(session.api.generation, "work_pool", dict.fromkeys(_POOL)))
    before = None if found is None else described(found, names)
    absent = options.get("state") == "absent"
    if "filter" in options:
        options["filter"] = _resolved_filter(session, options["filter"])
    pool = _Planned(name, before, None if absent else planned_pool(before, options, names))
    if not absent:
        _check(session, pool)
    queues = [] if absent else _plan_queues(session, pool)
    if not session.check_mode:
        _perform(session, pool, queues)
    return _result(session, pool, queues)


def _resolved_filter(session: Session, given: View) -> View:
    """The filter with the ids of its deployments, all of which must exist."""
    ids = [session.api.read_deployment(name).id for name in given.get("deployments", ())]
    resolved = {**given, "deployments": ids}
    return {name: sorted(values) for name, values in resolved.items() if values}


def _check(session: Session, pool: _Planned) -> None:
    after = pool.after or {}
    if after.get("concurrency_limit") == 0 and not session.api.generation.can(Ability.WORK_POOLS):
        what = f"concurrency_limit: for {session.api.generation.name} a limit of 0 is none."
        raise SettingsError(what, "Give paused: true, or -1.")
    if pool.before is not None and after.get("type") != pool.before.get("type"):
        raise SettingsError(
            f"The work pool {printable(pool.name, 100)} has the type {printable(pool.before['type'], 100)}, "
            "which cannot be changed.",
            "Give another name, or delete the pool first.",
        )


def _plan_queues(session: Session, pool: _Planned) -> list[_Planned]:
    """The queues of the task, the most urgent one first: the server moves others down when one is inserted."""
    found = {} if pool.before is None else {one["name"]: one for one in session.catalog.list_queues(pool.name)}
    planned = []
    for options in session.options.get("queues", []):
        name = options["name"]
        before = described(found[name], _QUEUE) if name in found else None
        wanted = {key: options[key] for key in _QUEUE if key in options}
        absent = options.get("state") == "absent"
        planned.append(_Planned(name, before, None if absent else {**(before or {}), **wanted}))
    return sorted(planned, key=lambda queue: (queue.after or {}).get("priority", 0))


def _perform(session: Session, pool: _Planned, queues: t.Sequence[_Planned]) -> None:
    catalog = session.catalog
    if pool.after is None:
        if pool.before is not None:
            catalog.delete_pool(pool.name)
        return
    try:
        if pool.before is None:
            catalog.create_pool({"name": pool.name, **request(pool.after)})
        elif pool.changes:
            catalog.update_pool(pool.name, request(pool.changes))
        session.changed = pool.changed
        for queue in queues:
            _perform_queue(session, pool.name, queue)
            session.changed = session.changed or queue.changed
    except ApiError as error:
        if error.status not in (403, 409, 422):
            raise
        raise SettingsError(f"work pool {printable(pool.name, 100)}: {error.message}", error.remedy) from None


def _perform_queue(session: Session, pool: str, queue: _Planned) -> None:
    catalog = session.catalog
    if queue.after is None:
        if queue.before is not None:
            catalog.delete_queue(pool, queue.name)
    elif queue.before is not None:
        if queue.changes:
            catalog.update_queue(pool, queue.name, request(queue.changes))
    elif queue.name == "default" or queue.name in {one["name"] for one in catalog.list_queues(pool)}:
        catalog.update_queue(pool, queue.name, request(queue.after))  # a new pool has it already
    else:
        catalog.create_queue(pool, {"name": queue.name, **request(queue.after)})


# The answer


def _result(session: Session, pool: _Planned, queues: t.Sequence[_Planned]) -> Result:
    changed = [one for one in (pool, *queues) if one.changed]
    action = "none"
    if changed:
        action = "removed" if pool.after is None else "created" if pool.before is None else "changed"
    before, after = _side(pool, queues, "before"), _side(pool, queues, "after")
    view = {"name": pool.name, "action": action, "queues": [], **(after or before)}
    if not session.check_mode and pool.after is not None:
        found = session.catalog.list_queues(pool.name)
        view["queues"] = [{"name": one["name"], **described(one, _QUEUE)} for one in found]
    return {
        "changed": bool(changed),
        "msg": f"work pool {pool.name}: {action if action != 'none' else 'nothing to change'}",
        "work_pool": view,
        "diff": {"before": before, "after": after} if changed else {"before": {}, "after": {}},
    }


def _side(pool: _Planned, queues: t.Sequence[_Planned], side: str) -> View:
    own: View | None = getattr(pool, side)
    if own is None:
        return {}
    listed = [{"name": queue.name, **getattr(queue, side)} for queue in queues if getattr(queue, side) is not None]
    return {**own, "queues": listed}
