# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE: this module_util may change or vanish without notice.

"""Which interpreter runs the engine of a subprocess run, in which environment, and whether that can work."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import typing as t

from ansible_collections.flowops.prefect.plugins.module_utils._errors import SettingsError
from ansible_collections.flowops.prefect.plugins.module_utils._prefect_api._generation import Generation, generation_of
from ansible_collections.flowops.prefect.plugins.module_utils._text import neutralise, shorten

CHECK_TIMEOUT = 120.0
#: Linux refuses to execute with a longer ``NAME=value`` (MAX_ARG_STRLEN).
LONGEST_VARIABLE = 128 * 1024 - 1

# What an engine needs of the module's environment to work like anything else on this host. All else stays out: it
# may hold secrets of the controller or of AWX.
_INHERITED = frozenset(
    {
        *("PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL", "XDG_RUNTIME_DIR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    }
)
# Without newlines: older conda refuses them in arguments.
_CHECK = "exec({!r})".format(
    "import json, sys\n"
    "try:\n"
    "    from importlib.metadata import version\n"
    "except ImportError:\n"
    "    from importlib_metadata import version\n"
    "try:\n"
    "    found = version('prefect')\n"
    "except Exception:\n"
    "    found = None\n"
    "print('FLOWOPS ' + json.dumps({'prefect': found, 'python': list(sys.version_info[:3])}))\n"
)


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """How the engine's Python is started.

    :arg field: the setting that chose it, for messages.
    :arg command: what a script's path is appended to.
    :arg virtualenv: the virtual environment to act as if it were activated; empty for none.
    """

    field: str
    command: tuple[str, ...]
    virtualenv: str = ""

    def activate(self, environment: dict[str, str]) -> None:
        """What the ``activate`` script would change."""
        if self.virtualenv:
            environment["PATH"] = os.path.join(self.virtualenv, "bin") + os.pathsep + environment["PATH"]
            environment["VIRTUAL_ENV"] = self.virtualenv
            environment.pop("PYTHONHOME", None)


def resolve_interpreter(settings: t.Mapping[str, t.Any]) -> Interpreter:
    """The interpreter that the settings ask for. :raises SettingsError: there is none."""
    if settings.get("virtualenv"):
        return _virtualenv(settings["virtualenv"])
    if settings.get("condaenv"):
        return _condaenv(settings["condaenv"])
    if settings.get("python"):
        return Interpreter("python", (_python(settings["python"]),))
    return Interpreter("python", (sys.executable,))


def _virtualenv(value: str) -> Interpreter:
    path = os.path.realpath(absolute_path("virtualenv", value))
    if not os.path.isdir(path):
        raise SettingsError(f"virtualenv: {path} is not a directory.", f"Create it with: python3 -m venv {path}")
    python = os.path.join(path, "bin", "python")
    _require_executable("virtualenv", python, "Give the directory that holds bin/python.")
    return Interpreter("virtualenv", (python,), path)


def _condaenv(value: str) -> Interpreter:
    if value.startswith(("/", "~")):
        path = os.path.realpath(absolute_path("condaenv", value))
        if not os.path.isdir(path):
            raise SettingsError(f"condaenv: {path} is not a directory.", "Give the path of a conda environment.")
        where = ("--prefix", path)
    elif re.search(r"[/\\:\s#\0]", value) or value.startswith("-"):
        raise SettingsError(
            f"condaenv: {value!r} is neither the name of an environment nor an absolute path.",
            "Give a name, or a path that starts with / or with ~.",
        )
    else:
        where = ("--name", value)
    return Interpreter("condaenv", (_conda(), "run", "--no-capture-output", *where, "python"))


def _conda() -> str:
    conda = shutil.which("conda") or shutil.which(os.environ.get("CONDA_EXE", ""))
    if not conda:
        raise SettingsError(
            "condaenv: there is no conda on this host's PATH, and CONDA_EXE does not name one.",
            "Install conda, or add its bin directory to the PATH of the task with environment:.",
        )
    return os.path.abspath(conda)


def _python(value: str) -> str:
    if os.sep not in value and not value.startswith("~"):
        found = shutil.which(value)
        if not found:
            raise SettingsError(f"python: there is no {value!r} on this host's PATH.", "Give an absolute path.")
        return os.path.abspath(found)
    path = absolute_path("python", value)
    _require_executable("python", path, "Give the path of a Python interpreter.")
    return path


def absolute_path(field: str, value: str) -> str:
    """A path of the user's. :raises SettingsError: relative ones mean something else each time."""
    path = os.path.expanduser(value)
    if not os.path.isabs(path) or "\0" in path:
        raise SettingsError(f"{field}: {value!r} is not an absolute path.", "Start it with / or with ~.")
    return os.path.normpath(path)


def _require_executable(field: str, path: str, remedy: str) -> None:
    if not os.path.exists(path):
        raise SettingsError(f"{field}: there is no {path} on this host.", remedy)
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise SettingsError(f"{field}: {path} cannot be executed by the user of the task.", remedy)


def base_environment(inherited: t.Mapping[str, str]) -> dict[str, str]:
    """What an engine gets of the module's own environment."""
    environment = {name: value for name, value in inherited.items() if name in _INHERITED or name.startswith("LC_")}
    environment.setdefault("PATH", os.defpath)
    if not environment.get("HOME"):
        try:
            environment["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            pass  # a user without a passwd entry has no home
    return environment


def check_environment(environment: t.Mapping[str, str]) -> None:
    """Raise :class:`SettingsError` for what no process can be given. Values are never shown."""
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise SettingsError(
                f"env: variable {name!r} cannot be given to a process.",
                "Names must not be empty nor hold '=', and neither names nor values may hold NUL characters.",
            )
        if len(os.fsencode(name)) + len(os.fsencode(value)) + 1 > LONGEST_VARIABLE:
            raise SettingsError(
                f"env: the value of {name} is too long for a process ({LONGEST_VARIABLE} bytes with its name).",
                "Put it into a file and give the file's path.",
            )


def check_interpreter(
    interpreter: Interpreter, inherited: t.Mapping[str, str], extra: t.Mapping[str, str], server_version: str
) -> None:
    """Run it once, without importing Prefect, and compare Prefect's generation with the server's."""
    environment = base_environment(inherited)
    interpreter.activate(environment)
    environment.update(extra)
    version = _prefect_version(interpreter, environment)
    wanted, found = generation_of(server_version), generation_of(version or "")
    install = _install_hint(interpreter, wanted)
    if version is None:
        raise SettingsError(f"{interpreter.field}: no Prefect in {_name(interpreter)}.", install)
    if wanted is not None and found is not wanted:
        raise SettingsError(
            f"{interpreter.field}: {_name(interpreter)} has Prefect {shorten(version, 40)}, "
            f"the server has {server_version}.",
            install,
        )


def _name(interpreter: Interpreter) -> str:
    if interpreter.field == "condaenv":
        return interpreter.command[4]
    return interpreter.virtualenv or interpreter.command[0]


def _install_hint(interpreter: Interpreter, wanted: Generation | None) -> str:
    requirement = f"'{wanted.requirement}'" if wanted else "prefect"
    return f"Install it with: {' '.join(interpreter.command)} -m pip install {requirement}"


def _prefect_version(interpreter: Interpreter, environment: dict[str, str]) -> str | None:
    shown = " ".join(interpreter.command)
    try:
        output, code = _run((*interpreter.command, "-c", _CHECK), environment)
    except subprocess.TimeoutExpired:
        raise SettingsError(
            f"{interpreter.field}: {shown} did not answer within {CHECK_TIMEOUT:.0f} s.", "Try it by hand on this host."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{interpreter.field}: {shown}: {error.strerror}.", "Try it by hand on this host."
        ) from error
    answers = [line for line in output.splitlines() if line.startswith("FLOWOPS ")]
    try:
        version = json.loads(answers[-1][len("FLOWOPS ") :])["prefect"]
    except (IndexError, ValueError, KeyError, TypeError):
        said = neutralise(" | ".join(output.strip().splitlines()[-5:]))
        raise SettingsError(
            f"{interpreter.field}: {shown} does not work (exit code {code}): {shorten(said, 500)}",
            "Try it by hand on this host.",
        ) from None
    return version if isinstance(version, str) else None


def _run(argv: t.Sequence[str], environment: dict[str, str]) -> tuple[str, int]:
    """Output and exit code; whatever it starts ends with it."""
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function  # no module here to run it
        argv,
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output = process.communicate(timeout=CHECK_TIMEOUT)[0]
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return output.decode("utf-8", "replace"), process.returncode
