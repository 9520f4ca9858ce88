# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""From what the user typed and an attempt's identity to the launch: environment, bootstrap document, spec hash."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._launch import AttemptKey, Launch
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Ability, Generation
from ansible_collections.flowops.prefect.plugins.module_utils._redact import looks_secret
from ansible_collections.flowops.prefect.plugins.module_utils._task import ApiOptions, RunRequest, Task, spec_hash


def engine_api_environment(api: ApiOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Prefect's own variables that let the engine reach the API: plain ones and secret ones.

    The names are Prefect's settings (its reference calls them by the same names in lower case).
    """
    plain = {"PREFECT_API_URL": api.engine_url or api.url}
    if api.ca_path:
        plain["PREFECT_API_SSL_CERT_FILE"] = api.ca_path
    if not api.validate_certs:
        plain["PREFECT_API_TLS_INSECURE_SKIP_VERIFY"] = "true"
    secret: dict[str, str] = {}
    if api.key:
        secret["PREFECT_API_KEY"] = api.key
    if api.auth_string:
        secret["PREFECT_API_AUTH_STRING"] = api.auth_string
    if api.headers:
        secret["PREFECT_CLIENT_CUSTOM_HEADERS"] = json.dumps(api.headers)
    return plain, secret


def plan_launch(
    runner_type: str,
    task: Task,
    request: RunRequest,
    flow_run_name: str,
    key: AttemptKey,
    token: str,
    inheritable: t.Sequence[str],
    owner: dict[str, t.Any],
    rerun: bool,
    claims: bool,
    concurrency: int | None,
    generation: Generation,
) -> Launch:
    """Put one attempt together.

    :arg inheritable: tokens of voided attempts, whose claim this attempt may take over.
    :arg owner: the ledger's record of the attempt, without token and spec hash.
    :arg rerun: the run may be terminal when it is claimed.
    :arg claims: the bootstrap writes the record and claims the run.
    :arg generation: of the server, and so of the engine.
    """
    plain, secret = engine_api_environment(task.api)
    for name, value in [*request.env.items(), *request.secret_env.items()]:
        plain.pop(name, None)
        secret.pop(name, None)
        if value is not None:
            (secret if looks_secret(name) or name in request.secret_env else plain)[name] = value
    names = (*request.env, *request.secret_env)
    hashed = spec_hash(runner_type, request.settings, {**plain, **request.env}, secret)
    return Launch(
        key=key,
        token=token,
        flow_run_name=flow_run_name,
        environment=plain,
        secret_environment=secret,
        unset_environment=tuple(name for name, value in request.env.items() if value is None),
        settings=request.settings,
        bootstrap={
            "flow_run_id": key.flow_run_id,
            "number": key.number,
            "token": token,
            "claims": claims,
            "record": {**owner, "token": token, "spec_hash": hashed},
            "inheritable": list(inheritable),
            "rerun": rerun,
            "prefect": generation.versions.pattern,
        },
        spec_hash=hashed,
        start_timeout=task.start_timeout,
        run_timeout=task.run_timeout,
        stop_grace=task.stop_grace,
        concurrency=concurrency,
        local_records=not generation.can(Ability.RECORDS),
        api_url_chosen=task.api.engine_url_chosen or "PREFECT_API_URL" in names,
        api_url=task.api.url,
    )
