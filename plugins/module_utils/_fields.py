# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""The field table: every option that users can type, said once.

Argument specs (``_argspec``), the host's validation (``_checks``, ``_task``), the controller's pydantic models
(``plugin_utils/_models``) and redaction (``_redact``) are all made from it, so they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

#: 366 days; nothing here is meant to be longer, and a typo in milliseconds is caught.
_LONGEST = 31_622_400

#: The runner types and the scopes of options that each of them takes.
RUNNER_SCOPES: dict[str, tuple[str, ...]] = {
    "subprocess": ("runs", "lifecycle", "api", "engine", "universal", "subprocess"),
    "docker": ("runs", "lifecycle", "storage", "api", "engine", "universal", "docker", "docker_api"),
    "kubernetes": ("runs", "lifecycle", "storage", "api", "engine", "universal", "kubernetes", "kubernetes_api"),
}

#: The runner type that leaves it to run, deployment and pool which of the others it is.
UNIVERSAL = "universal"

#: Scopes whose options describe the infrastructure: they make up ``RunRequest.settings``.
SETTINGS_SCOPES = ("subprocess", "docker", "kubernetes")

#: Scopes whose options say how the infrastructure is reached: ``Task.connection``. They do not describe an attempt.
CONNECTION_SCOPES = ("docker_api", "kubernetes_api")

#: Effective defaults that differ from the table's for one runner type: images take their time.
_RUNNER_DEFAULTS: dict[str, dict[str, t.Any]] = {
    "docker": {"start_timeout": 900.0},
    "kubernetes": {"start_timeout": 900.0},
    UNIVERSAL: {"start_timeout": None},
}

#: Names that options have for one runner type only: the two watch timeouts of Orion are two of our clocks.
_RUNNER_ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "kubernetes": {
        "start_timeout": ("pod_watch_timeout_seconds",),
        "wait_timeout": ("job_watch_timeout_seconds",),
    }
}


@dataclasses.dataclass(frozen=True)
class Field:
    """One option.

    :arg type: as in an argument spec: ``str``, ``int``, ``float``, ``bool``, ``path``, ``dict`` or ``list``.
    :arg scope: which documentation fragment and which part of a task it belongs to.
    :arg kind: name of the check in ``_checks`` that knows what its values mean; empty for the bare type.
    :arg no_log: True for secrets; False where the name looks like one and is none; None for the rest.
    :arg default: what the core uses when nobody says anything. Never in the argument spec, where it could not be told
        from a user's value and would beat the deployment.
    :arg minimum: the smallest value that makes sense, ``above`` the bound that a value must exceed.
    :arg longest: of texts: characters; of lists and mappings: entries.
    :arg may_be_empty: whether an empty text, list or mapping says something.
    :arg per_run: allowed in an entry of ``runs`` too.
    :arg env: variables of the controller that stand in for it, first one wins.
    :arg unit: for messages.
    """

    name: str
    type: str
    scope: str
    kind: str = ""
    elements: str = ""
    choices: tuple[str, ...] = ()
    no_log: bool | None = None
    default: t.Any = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    longest: int = 4096
    may_be_empty: bool = False
    per_run: bool = False
    aliases: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    unit: str = ""

    @property
    def secret(self) -> bool:
        """Values are never shown."""
        return self.no_log is True

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it may be called."""
        return (self.name, *self.aliases)


def _seconds(name: str, scope: str = "lifecycle", **more: t.Any) -> Field:
    """A duration; zero is refused unless ``minimum`` is given."""
    if "minimum" not in more:
        more["above"] = 0
    return Field(name, "float", scope, maximum=_LONGEST, unit="seconds", **more)


_RUNS = (
    Field("flow_run_id", "str", "runs", kind="uuid", per_run=True),
    Field("flow_run_ids", "list", "runs", kind="uuids", elements="str", longest=10_000),
    Field("deployment", "str", "runs", kind="deployment", longest=1024, per_run=True),
    Field("parameters", "dict", "runs", kind="parameters", longest=10_000, may_be_empty=True, per_run=True),
    Field("flow_run_name", "str", "runs", kind="flow_run_name", longest=1024, per_run=True),
    Field("tags", "list", "runs", kind="tags", elements="str", longest=200, may_be_empty=True, per_run=True),
    Field("idempotency_key", "str", "runs", kind="text", no_log=False, longest=1024, per_run=True),
    Field("runs", "list", "runs", kind="runs", elements="dict", longest=10_000),
    Field("per_host", "bool", "runs", default=False),
)

#: The state that is about everything of ours at a place, in the place of given runs, and the options that go with it.
RECONCILED = "reconciled"
RECONCILED_ONLY = ("older_than", "orphans", "zombie_limit")

_LIFECYCLE = (
    Field("state", "str", "lifecycle", choices=("launched", "cancelled", "absent", RECONCILED), default="launched"),
    Field("wait", "bool", "lifecycle", default=True),
    Field("rerun", "str", "lifecycle", kind="rerun", default="never", per_run=True),
    Field(
        "fail_on",
        "list",
        "lifecycle",
        elements="str",
        choices=("failed", "crashed", "cancelled", "infrastructure", "wait_timeout"),
        default=("failed", "crashed", "cancelled", "infrastructure", "wait_timeout"),
        may_be_empty=True,
    ),
    Field("on_abort", "str", "lifecycle", choices=("leave", "cancel"), default="leave"),
    _seconds("start_timeout", default=120.0),
    _seconds("run_timeout"),
    _seconds("wait_timeout"),
    _seconds("stop_grace", default=30.0, minimum=0),
    Field("concurrency", "int", "lifecycle", minimum=1, maximum=10_000, unit="runs"),
    Field("stream_output", "bool", "lifecycle"),
    Field("log_lines", "int", "lifecycle", default=20, minimum=0, maximum=10_000, unit="lines"),
    Field("artifacts", "list", "lifecycle", kind="artifact_keys", elements="str", longest=100, may_be_empty=True),
    Field("log_cursor", "dict", "lifecycle", kind="log_cursor", longest=10_000, may_be_empty=True),
    _seconds("poll_interval", default=2.0),
    _seconds("older_than", default=604_800.0, minimum=0),
    Field("orphans", "str", "lifecycle", choices=("keep", "remove"), default="keep"),
    Field("zombie_limit", "int", "lifecycle", default=2000, minimum=0, maximum=1_000_000, unit="runs"),
)

_STORAGE = (Field("storage_check", "str", "storage", choices=("strict", "warn", "off"), default="strict"),)

_API = (
    Field("api_url", "str", "api", kind="url", env=("PREFECT_API_URL",)),
    Field("api_key", "str", "api", kind="credential", no_log=True, env=("PREFECT_API_KEY",)),
    Field("api_auth_string", "str", "api", kind="auth_string", no_log=True, env=("PREFECT_API_AUTH_STRING",)),
    Field(
        "api_headers", "dict", "api", kind="headers", no_log=True, longest=100, env=("PREFECT_CLIENT_CUSTOM_HEADERS",)
    ),
    Field("api_ca_path", "path", "api", kind="path"),
    Field("api_client_cert", "path", "api", kind="path"),
    Field("api_client_key", "path", "api", kind="path", no_log=False),
    Field("api_validate_certs", "bool", "api", default=True),
    _seconds("api_timeout", "api", default=30.0, env=("PREFECT_API_REQUEST_TIMEOUT",)),
)

_ENGINE = (Field("engine_api_url", "str", "engine", kind="url"),)

_UNIVERSAL = (
    Field("env", "dict", "universal", kind="env", no_log=False, longest=1000, may_be_empty=True, per_run=True),
    Field(
        "secret_env", "dict", "universal", kind="secret_env", no_log=True, longest=1000, may_be_empty=True, per_run=True
    ),
)

_FLOW_RUNNER = (
    Field("type", "str", "flow_runner", choices=(UNIVERSAL, *RUNNER_SCOPES), per_run=True),
    Field("default_type", "str", "flow_runner", choices=tuple(RUNNER_SCOPES), default="subprocess"),
    Field("work_pool", "str", "flow_runner", kind="text", longest=255),
    Field("work_queues", "list", "flow_runner", kind="words", elements="str", longest=100),
    Field("limit", "int", "flow_runner", minimum=1, maximum=1000, unit="runs"),
    Field("serve", "bool", "flow_runner", default=False),
)

_SUBPROCESS = (
    Field("python", "path", "subprocess", kind="path", per_run=True),
    Field("virtualenv", "path", "subprocess", kind="path", per_run=True),
    Field("condaenv", "str", "subprocess", kind="condaenv", per_run=True),
    Field("working_dir", "path", "subprocess", kind="path", per_run=True),
    Field("state_dir", "path", "subprocess", kind="path"),
    Field(
        "output_limit",
        "int",
        "subprocess",
        default=16 * 1024 * 1024,
        minimum=4096,
        maximum=1024**4,
        unit="bytes",
        per_run=True,
    ),
)

_DOCKER = (
    Field("image", "str", "docker", kind="image", longest=512, per_run=True),
    Field(
        "image_pull_policy",
        "str",
        "docker",
        kind="pull_policy",
        choices=("IfNotPresent", "Always", "IfPossible", "Never", "IF_NOT_PRESENT", "ALWAYS", "NEVER"),
        per_run=True,
    ),
    Field("networks", "list", "docker", kind="networks", elements="str", longest=100, may_be_empty=True, per_run=True),
    Field("network_mode", "str", "docker", kind="network_mode", longest=256, per_run=True),
    Field("labels", "dict", "docker", kind="labels", longest=200, may_be_empty=True, per_run=True),
    Field("auto_remove", "bool", "docker", default=False, per_run=True),
    Field("volumes", "list", "docker", kind="volumes", elements="str", longest=200, may_be_empty=True, per_run=True),
    Field("mem_limit", "str", "docker", kind="memory", longest=40, per_run=True),
    Field("memswap_limit", "str", "docker", kind="swap", longest=40, per_run=True),
    Field("shm_size", "str", "docker", kind="memory", longest=40, per_run=True),
    Field("device_requests", "list", "docker", kind="device_requests", elements="dict", longest=50, per_run=True),
    Field("privileged", "bool", "docker", default=False, per_run=True),
    Field("user", "str", "docker", kind="container_user", longest=128, per_run=True),
    Field(
        "security_profile",
        "str",
        "docker",
        choices=("baseline", "restricted", "none"),
        default="baseline",
        per_run=True,
    ),
    Field(
        "container_create_kwargs",
        "dict",
        "docker",
        kind="create_kwargs",
        longest=100,
        may_be_empty=True,
        per_run=True,
    ),
)

# Names, aliases and meaning are those of community.docker. Its environment variables count where the module runs, so
# they are no fallbacks of the controller (see ``_docker_client``).
_DOCKER_API = (
    Field("docker_host", "str", "docker_api", kind="docker_host", longest=1024, aliases=("docker_url",)),
    Field("tls", "bool", "docker_api"),
    Field("validate_certs", "bool", "docker_api", aliases=("tls_verify",)),
    Field("tls_hostname", "str", "docker_api", kind="text", longest=256),
    Field("ca_path", "path", "docker_api", kind="path", aliases=("ca_cert", "tls_ca_cert", "cacert_path")),
    Field("client_cert", "path", "docker_api", kind="path", aliases=("tls_client_cert", "cert_path")),
    Field("client_key", "path", "docker_api", kind="path", no_log=False, aliases=("tls_client_key", "key_path")),
    Field("api_version", "str", "docker_api", kind="api_version", longest=20, aliases=("docker_api_version",)),
    _seconds("timeout", "docker_api"),
    Field("use_ssh_client", "bool", "docker_api", default=False),
    _seconds("pull_timeout", "docker_api", default=900.0),
    Field("registry_url", "str", "docker_api", kind="text", longest=512),
    Field("registry_username", "str", "docker_api", kind="text", longest=512),
    Field("registry_password", "str", "docker_api", kind="credential", no_log=True),
)

_KUBERNETES = (
    Field("image", "str", "kubernetes", kind="image", longest=512, per_run=True),
    Field("labels", "dict", "kubernetes", kind="kube_labels", longest=200, may_be_empty=True, per_run=True),
    Field("annotations", "dict", "kubernetes", kind="kube_annotations", longest=200, may_be_empty=True, per_run=True),
    Field("image_pull_policy", "str", "kubernetes", choices=("IfNotPresent", "Always", "Never"), per_run=True),
    Field(
        "image_pull_secrets",
        "list",
        "kubernetes",
        kind="kube_names",
        elements="str",
        no_log=False,
        longest=50,
        may_be_empty=True,
        per_run=True,
    ),
    Field("restart_policy", "str", "kubernetes", choices=("Never", "OnFailure"), per_run=True),
    Field("may_run_again", "bool", "kubernetes", default=False, per_run=True),
    Field("node_selector", "dict", "kubernetes", kind="kube_labels", longest=100, may_be_empty=True, per_run=True),
    Field(
        "tolerations",
        "list",
        "kubernetes",
        kind="kube_objects",
        elements="dict",
        longest=100,
        may_be_empty=True,
        per_run=True,
    ),
    Field("service_account_name", "str", "kubernetes", kind="kube_name", longest=253, per_run=True),
    Field("resources", "dict", "kubernetes", kind="kube_resources", longest=20, may_be_empty=True, per_run=True),
    Field(
        "volumes",
        "list",
        "kubernetes",
        kind="kube_objects",
        elements="dict",
        longest=100,
        may_be_empty=True,
        per_run=True,
    ),
    Field(
        "volume_mounts",
        "list",
        "kubernetes",
        kind="kube_objects",
        elements="dict",
        longest=100,
        may_be_empty=True,
        per_run=True,
    ),
    Field(
        "env_from_secret",
        "list",
        "kubernetes",
        kind="kube_names",
        elements="str",
        no_log=False,
        longest=50,
        may_be_empty=True,
        per_run=True,
    ),
    Field("api_key_secret", "dict", "kubernetes", kind="kube_secret_key", no_log=False, longest=2, per_run=True),
    Field("finished_job_ttl", "int", "kubernetes", minimum=0, maximum=_LONGEST, unit="seconds", per_run=True),
    Field("backoff_limit", "int", "kubernetes", minimum=0, maximum=1000, unit="pods", per_run=True),
    Field(
        "security_profile",
        "str",
        "kubernetes",
        choices=("baseline", "restricted", "none"),
        default="baseline",
        per_run=True,
    ),
    Field("job", "dict", "kubernetes", kind="kube_object", longest=50, per_run=True),
    Field("pod_overrides", "dict", "kubernetes", kind="pod_overrides", longest=50, may_be_empty=True, per_run=True),
    Field(
        "customizations",
        "list",
        "kubernetes",
        kind="customizations",
        elements="dict",
        longest=200,
        may_be_empty=True,
        per_run=True,
    ),
)

# The variables are those of kubernetes.core; they are fallbacks of the controller, as for that collection.
_KUBERNETES_API = (
    Field("namespace", "str", "kubernetes_api", kind="kube_namespace", longest=63, default="default"),
    Field("kubeconfig", "path", "kubernetes_api", kind="path", env=("K8S_AUTH_KUBECONFIG",)),
    Field("context", "str", "kubernetes_api", kind="text", longest=512, env=("K8S_AUTH_CONTEXT",)),
    Field("kube_host", "str", "kubernetes_api", kind="url", env=("K8S_AUTH_HOST",)),
    Field(
        "kube_token", "str", "kubernetes_api", kind="credential", no_log=True, longest=65_536, env=("K8S_AUTH_API_KEY",)
    ),
    Field("kube_ca_cert", "path", "kubernetes_api", kind="path", env=("K8S_AUTH_SSL_CA_CERT",)),
    Field("kube_validate_certs", "bool", "kubernetes_api", env=("K8S_AUTH_VERIFY_SSL",)),
)

ALL_FIELDS = (
    *(*_RUNS, *_LIFECYCLE, *_STORAGE, *_API, *_ENGINE, *_FLOW_RUNNER, *_UNIVERSAL, *_SUBPROCESS),
    *(*_DOCKER, *_DOCKER_API, *_KUBERNETES, *_KUBERNETES_API),
)

#: The options that say which runs a task is about; each set holds those that cannot stand together.
SOURCES = ("flow_run_id", "flow_run_ids", "deployment", "runs")
SOURCES_EXCLUSIVE = (("flow_run_id", "flow_run_ids", "deployment"), ("flow_run_id", "flow_run_ids", "runs"))
#: The options that make a task an agent, which takes what is due there; they may stand together.
AGENT_SOURCES = ("work_pool", "work_queues")


def sources_of(runner_type: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The same for one runner type: only the universal one can be an agent."""
    if runner_type != UNIVERSAL:
        return SOURCES, SOURCES_EXCLUSIVE
    exclusive = tuple((*group, source) for group in SOURCES_EXCLUSIVE for source in AGENT_SOURCES)
    return (*SOURCES, *AGENT_SOURCES), exclusive


#: The options of a run that is still to be created; senseless for one that exists.
NEW_RUN_ONLY = ("parameters", "flow_run_name", "tags", "idempotency_key")

#: Options of which at most one may be given, with the reason. A more specific level replaces the whole group.
EXCLUSIVE_GROUPS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("python", "virtualenv", "condaenv"), "each of them names the interpreter of the engine"),
    (("api_key", "api_auth_string"), "both are sent as the Authorization header"),
    (("networks", "network_mode"), "a network mode is what takes the place of networks"),
    (("kube_host", "kubeconfig"), "both name the cluster"),
    (("kube_host", "context"), "both name the cluster"),
)

#: Keys of an entry of ``runs`` in a task's result, so that such an entry can be handed to the next task as it is.
RESULT_KEYS = frozenset(
    (
        "flow_run_id",
        "name",
        "url",
        "deployment",
        "state",
        "state_type",
        "state_message",
        "phase",
        "action",
        "attempt",
        "infrastructure",
        "exit_code",
        "signal",
        "diagnosis",
        "created_at",
        "started_at",
        "finished_at",
        "durations",
        "log",
        "artifacts",
        "warnings",
        "debug",
    )
)

#: No user writes these into an entry of ``runs``: they tell a result's entry from a user's.
_RESULT_MARKS = frozenset(("phase", "action", "infrastructure", "diagnosis"))


def fields_of(runner_type: str) -> tuple[Field, ...]:
    """All options of a runner type."""
    if runner_type == UNIVERSAL:
        return _universal_fields()
    scopes = RUNNER_SCOPES[runner_type]
    return tuple(_adapted(field, runner_type) for field in ALL_FIELDS if field.scope in scopes)


def _adapted(field: Field, runner_type: str) -> Field:
    """The option as one runner type has it."""
    default = _RUNNER_DEFAULTS.get(runner_type, {}).get(field.name, field.default)
    aliases = _RUNNER_ALIASES.get(runner_type, {}).get(field.name, field.aliases)
    if (default, aliases) == (field.default, field.aliases):
        return field
    return dataclasses.replace(field, default=default, aliases=aliases)


#: Beside those of Kubernetes and of the API these names would say too little.
_PREFIXED = frozenset(
    (
        *("tls", "validate_certs", "tls_hostname", "ca_path", "client_cert", "client_key"),
        *("api_version", "timeout", "use_ssh_client"),
    )
)


def universal_name(field: Field) -> str:
    """What an option of one runner type is called where there are those of all."""
    return f"docker_{field.name}" if field.scope == "docker_api" and field.name in _PREFIXED else field.name


@functools.cache
def _universal_fields() -> tuple[Field, ...]:
    """The options of all runner types; what several of them have is checked again when the type is known."""
    fields: dict[str, Field] = {}
    for field in ALL_FIELDS:
        name = universal_name(field)
        one = field if name == field.name else dataclasses.replace(field, name=name, aliases=())
        one = _adapted(one, UNIVERSAL)
        fields[name] = _common(fields[name], one) if name in fields else one
    return tuple(fields.values())


def _common(one: Field, other: Field) -> Field:
    """What is right for either of two options of one name."""
    return dataclasses.replace(
        one,
        kind=one.kind if one.kind == other.kind else "",
        elements=one.elements if one.elements == other.elements else "raw",
        choices=tuple(dict.fromkeys((*one.choices, *other.choices))),
    )


def per_run_fields_of(runner_type: str) -> tuple[Field, ...]:
    """The options that an entry of ``runs`` may have."""
    return tuple(field for field in fields_of(runner_type) if field.per_run)


def settings_fields_of(runner_type: str) -> tuple[Field, ...]:
    """The options that describe the infrastructure."""
    return tuple(field for field in fields_of(runner_type) if field.scope in SETTINGS_SCOPES)


def connection_fields_of(runner_type: str) -> tuple[Field, ...]:
    """The options that say how the infrastructure is reached."""
    return tuple(field for field in fields_of(runner_type) if field.scope in CONNECTION_SCOPES)


def exclusive_groups_of(fields: t.Iterable[Field]) -> list[tuple[tuple[str, ...], str]]:
    """The groups of which all members are among these fields."""
    names = {field.name for field in fields}
    return [(group, reason) for group, reason in EXCLUSIVE_GROUPS if names.issuperset(group)]


def without_result_keys(entry: t.Any) -> t.Any:
    """An entry of ``runs``, less what an earlier result put there; anything else comes back as it is."""
    if not isinstance(entry, dict) or "flow_run_id" not in entry or not _RESULT_MARKS.intersection(entry):
        return entry
    return {key: value for key, value in entry.items() if key == "flow_run_id" or key not in RESULT_KEYS}


def accept_results(args: dict[str, t.Any]) -> dict[str, t.Any]:
    """A task's arguments with earlier results in ``runs`` reduced to what the argument spec knows.

    The controller calls this before it calls the module: Ansible's own validation of suboptions refuses every key that
    is not in the spec.
    """
    runs = args.get("runs")
    if not isinstance(runs, list):
        return args
    return {**args, "runs": [without_result_keys(entry) for entry in runs]}


def environment_fallbacks(
    args: t.Mapping[str, t.Any], environ: t.Mapping[str, str], runner_type: str
) -> dict[str, t.Any]:
    """What the controller's environment says about options that a runner module's task leaves open."""
    return fallbacks_of(fields_of(runner_type), args, environ)


def fallbacks_of(
    fields: t.Collection[Field], args: t.Mapping[str, t.Any], environ: t.Mapping[str, str]
) -> dict[str, t.Any]:
    """What the environment says about those of the options that are open.

    Nothing is added to an exclusive group of which the task already uses a member.
    """
    found: dict[str, t.Any] = {}
    for field in fields:
        values = [environ[name] for name in field.env if environ.get(name)]
        if values and not _settled(field, {**args, **found}, fields):
            found[field.name] = values[0]
    return found


def _settled(field: Field, args: t.Mapping[str, t.Any], fields: t.Iterable[Field]) -> bool:
    """Whether the option, or one that excludes it, already has a value."""
    names = set(field.names)
    for group, _reason in exclusive_groups_of(fields):
        if field.name in group:
            names.update(group)
    return any(args.get(name) is not None for name in names)
