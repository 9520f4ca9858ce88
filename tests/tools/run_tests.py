# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the parts of the test suite and says what passed, failed and was skipped.

``run_tests.py`` runs everything; ``run_tests.py PART…`` runs those parts (``--list`` shows them), and words after
``--`` go to pytest. The last line is always ``N passed, N failed, N skipped``.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import environments
import processes
import sanity_home
import system_packages
from environments import CACHE, CHECKOUT
from scratch import scratch

# Tests at the same time: as many as there are processors, but they are heavy, so not more than a few.
WORKERS = max(1, min(os.cpu_count() or 1, 4))
# Folders of programs, which import what lies beside them by its bare name.
SCRIPT_FOLDERS = ("tools", "fixtures", "engines", "bench")
TARGET = os.environ.get("FLOWOPS_TEST_TARGET")
INTEGRATION = f"tests/integration/test_{TARGET}.py" if TARGET else "tests/integration"
DOCKER_TESTS = "tests/integration/test_docker_*.py"
KUBERNETES_TESTS = "tests/integration/test_k8s_*.py"
OLDER_TESTS = "tests/integration/test_older_*.py"
PARTS_OF_THEIR_OWN = (DOCKER_TESTS, KUBERNETES_TESTS, OLDER_TESTS)
OTHERS = () if TARGET else tuple(f"--ignore-glob=*/{Path(pattern).name}" for pattern in PARTS_OF_THEIR_OWN)


@dataclass
class Outcome:
    """What a part found."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    output: str = ""

    def add(self, other: Outcome) -> None:
        """Count another outcome in."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.output += other.output


@dataclass(frozen=True)
class Part:
    """Something that can be run by its name.

    :arg alone: it starts many processes itself or looks at time, so nothing else may run beside it.
    :arg usual: it belongs to a run without names.
    """

    name: str
    run: Callable[[Sequence[str]], Outcome]
    alone: bool = False
    usual: bool = True


def execute(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with its output captured, so that parts that run at the same time do not mix theirs."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def check(name: str, command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> Outcome:
    """One command that counts as one test."""
    done = execute(command, cwd, env)
    if done.returncode == 0:
        return Outcome(passed=1)
    shown = shlex.join([Path(command[0]).name, *(str(word) for word in command[1:])])
    return Outcome(failed=[name], output=f"$ {shown}\n{done.stdout}\n")


def _collections_of(root: Path) -> Path:
    """The folder that holds ``ansible_collections``."""
    return root.parents[2]


def lint(_words: Sequence[str]) -> Outcome:
    """Every static check but those of ansible-test."""
    tools = environments.ensure("dev") / "bin"
    caches = CACHE / "caches"
    outcome = Outcome()
    with scratch() as root:
        env = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(_collections_of(root)),
            "ANSIBLE_HOME": str(caches / "ansible"),
            "RUFF_CACHE_DIR": str(caches / "ruff"),
            "MYPYPATH": ":".join([str(_collections_of(root)), *(f"{root}/tests/{name}" for name in SCRIPT_FOLDERS)]),
        }
        # From the folder above ansible_collections: mypy would take a nearer one for a second root of module names.
        typed = [root / path for path in ("plugins", "tests", "extensions") if (root / path).is_dir()]
        mypy: list[str | Path] = [
            "--config-file",
            root / "pyproject.toml",
            "--cache-dir",
            caches / "mypy" / root.parents[2].name,
        ]
        docs = ["--plugin-docs", "--validate-collection-refs=self"]
        # The checkout itself for reuse and yamllint: they ask git what is ignored.
        commands: list[tuple[str, list[str | Path], Path]] = [
            ("ruff check", [tools / "ruff", "check", "--output-format", "concise", "."], root),
            ("ruff format", [tools / "ruff", "format", "--check", "--diff", "."], root),
            ("mypy", [tools / "mypy", *mypy, *typed], _collections_of(root)),
            ("yamllint", [tools / "yamllint", "--strict", "."], CHECKOUT),
            ("reuse", [tools / "reuse", "lint", "--lines"], CHECKOUT),
            ("ansible-lint", [tools / "ansible-lint", "--offline", "--profile", "production", "--strict", "-q"], root),
            ("antsibull-docs", [tools / "antsibull-docs", "lint-collection-docs", ".", *docs], root),
            ("antsibull-changelog", [tools / "antsibull-changelog", "lint"], root),
        ]
        for name, command, cwd in commands:
            outcome.add(check(name, command, cwd, env))
    return outcome


SANITY_STARTED = re.compile(r'^Running sanity test "(.+)"', re.MULTILINE)
SANITY_FAILED = re.compile(r"^FATAL: The \d+ sanity test\(s\) listed below .*\n((?:.+\n?)+)", re.MULTILINE)
SANITY_SKIPPED = re.compile(r"^WARNING: (Skipping sanity test .+|Skipping .*sanity .+)$", re.MULTILINE)


def sanity(environment_name: str) -> Callable[[Sequence[str]], Outcome]:
    """All sanity tests of one ansible-core; they have no ignore file, so every finding fails."""

    def run(_words: Sequence[str]) -> Outcome:
        environment = environments.ensure(environment_name)
        python = environments.find_python(environments.ENVIRONMENTS[environment_name].pythons)[1]
        version = python.rpartition(".")[0]
        env = {"HOME": str(sanity_home.prepare(environment)), "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
        ansible_test = environment / "bin" / "ansible-test"
        command = [str(ansible_test), "sanity", "--local", "--color", "no", "--python", version]
        with scratch() as root:
            done = execute(command, root, env)
        found = SANITY_FAILED.search(done.stdout)
        failed = found.group(1).split("\n") if found else ["ansible-test"] * bool(done.returncode)
        failed = [f"{name} on {environment_name}" for name in failed if name.strip()]
        skipped = [f"{reason} ({environment_name})" for reason in SANITY_SKIPPED.findall(done.stdout)]
        passed = max(0, len(SANITY_STARTED.findall(done.stdout)) - len(failed))
        return Outcome(passed, failed, skipped, done.stdout if failed else "")

    return run


def _count(report: Path) -> Outcome:
    """Read pytest's report; a test that failed and then failed in its teardown counts once."""
    outcome = Outcome()
    names: set[str] = set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314 (our own file)
        name = f"{case.get('classname')}::{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            names.add(name)
        elif skip is not None:
            outcome.skipped.append(f"{name}: {skip.get('message')}")
        else:
            outcome.passed += 1
    outcome.failed += sorted(names)
    return outcome


def _left_behind(run_id: str, temporary: Path) -> Outcome:
    """A failure for each process that the tests started and did not end; ends it, since it would disturb others.

    :arg run_id: marks what the tests start, :arg temporary: is what supervisors and engines, unmarked, are known by.
    """
    outcome = Outcome()
    deadline = time.monotonic() + 10
    while (left := [*processes.marked(run_id), *processes.below(temporary)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in {process.pid: process for process in left}.values():
        outcome.failed.append(f"process left behind: {process.pid} {process.command[:200]}")
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return outcome


def pytest(
    environment: Path, root: Path, paths: Sequence[str], words: Sequence[str], env: Mapping[str, str]
) -> Outcome:
    """Run pytest and count its tests; an exit code without a failed test is a failure too.

    :arg words: what the user gave; with any, the output is wanted also when all is well.
    """
    present = [path for path in paths if path.startswith("-") or (root / path).exists()]
    if not present:
        return Outcome(skipped=[f"{' '.join(paths)}: there are no tests"])
    run_id = uuid.uuid4().hex
    # What a test could not clear away must not cost the counts of all the others.
    with tempfile.TemporaryDirectory(prefix="flowops-tests-", ignore_cleanup_errors=True) as temporary:
        report = Path(temporary) / "report.xml"
        parallel = [] if "-n" in words else ["-n", str(WORKERS), "--dist", "worksteal"]
        options = [*parallel, "-p", "no:cacheprovider", f"--basetemp={temporary}/tmp", f"--junitxml={report}", "-q"]
        command: list[str | Path] = [environment / "bin" / "python", "-m", "pytest", *options, *words, *present]
        done = execute(command, root, {**env, processes.MARKER: run_id})
        outcome = _count(report) if report.exists() else Outcome()
        outcome.add(_left_behind(run_id, Path(temporary)))
    if done.returncode not in (0, 5) and not outcome.failed:
        outcome.failed.append(f"pytest ended with {done.returncode}")
    if outcome.failed or words:
        outcome.output = done.stdout
    return outcome


def units(words: Sequence[str]) -> Outcome:
    """Unit tests on the controller's Python."""
    environment = environments.ensure("dev")
    with scratch() as root:
        env = {"PYTHONPATH": str(_collections_of(root))}
        return pytest(environment, root, ["tests/unit"], words, env)


def units_host(words: Sequence[str]) -> Outcome:
    """Unit tests of what runs on managed nodes, on the oldest Python that these may have.

    The managed node gets ``ansible.module_utils`` from the controller's ansible-core, which itself does not run on
    that Python; so that one package is all that the tests see of it.
    """
    environment = environments.ensure("host-units")
    core = environments.ensure("core-default")
    package = next(core.glob("lib/python*/site-packages/ansible"))
    with scratch() as root, tempfile.TemporaryDirectory(prefix="flowops-ansible-") as temporary:
        (Path(temporary) / "ansible").symlink_to(package)
        env = {"PYTHONPATH": f"{_collections_of(root)}:{temporary}"}
        return pytest(environment, root, ["tests/unit/plugins/module_utils"], words, env)


def real_servers(*paths: str, options: Sequence[str] = ()) -> Callable[[Sequence[str]], Outcome]:
    """Tests with real servers and engines, none of which may outlive them.

    :arg options: more words for pytest.
    """

    def run(words: Sequence[str]) -> Outcome:
        environment = environments.ensure(os.environ.get("FLOWOPS_TEST_CORE", "dev"))
        dev = environments.ensure("dev")
        environments.ensure("prefect3")
        system_packages.ensure()
        with scratch() as root:
            env = {
                "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(_collections_of(root)),
            }
            return pytest(dev, root, [*options, *paths], words, env)

    return run


def older_servers(words: Sequence[str]) -> Outcome:
    """Tests with servers and engines of older generations; each worker takes the tests of one server."""
    for name in ("prefect2", "orion"):
        if not environments.folder_of(name).exists():
            announce(f"{name}: its packages are fetched once")
        environments.ensure(name)
    tests = sorted(str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob(OLDER_TESTS))
    return real_servers(*tests, options=["--dist=loadfile"])(words)


def with_engine(engine: str, pattern: str, helpers: Sequence[str] = ()) -> Callable[[Sequence[str]], Outcome]:
    """Tests that need an engine; one that is not there is brought up for them, and taken down again.

    :arg helpers: engines that may be brought up on the way.
    """

    def run(words: Sequence[str]) -> Outcome:
        command: list[str | Path] = [sys.executable, CHECKOUT / "tests" / "engines" / "up_down.py"]
        missing = [one for one in (engine, *helpers) if execute([*command, "status", one], CHECKOUT).returncode]
        try:
            up = execute([*command, "up", engine], CHECKOUT)
            announce(up.stdout.rstrip())
            if up.returncode:
                return Outcome(skipped=[f"tests of the {engine} runner: {up.stdout.strip()}"])
            tests = sorted(str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob(pattern))
            return real_servers(*tests)(words)
        finally:
            if missing:
                announce(execute([*command, "down", *missing], CHECKOUT).stdout.rstrip())

    return run


PARTS = {
    part.name: part
    for part in (
        Part("sanity-default", sanity("core-default")),
        Part("sanity-oldest", sanity("core-oldest")),
        Part("sanity-newest", sanity("core-newest")),
        Part("lint", lint),
        Part("units", units),
        Part("units-host", units_host),
        Part("integration", real_servers(INTEGRATION, options=OTHERS), alone=True),
        Part("generations", older_servers, alone=True),
        Part("docker", with_engine("docker", DOCKER_TESTS), alone=True),
        # The Docker Engine makes the image of the pods.
        Part("kubernetes", with_engine("kubernetes", KUBERNETES_TESTS, helpers=["docker"]), alone=True),
    )
}
GROUPS = {"sanity": [name for name in PARTS if name.startswith("sanity-")], "unit": ["units", "units-host"]}


def announce(text: str) -> None:
    """Print lines as one piece: parts that run at the same time print too."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_part(part: Part, words: Sequence[str]) -> Outcome:
    """Run a part and print how it went; whatever goes wrong in it is a failure, and the others go on."""
    announce(f"--- {part.name} …")
    started = time.monotonic()
    try:
        outcome = part.run(words)
    except environments.NoInterpreter as error:
        outcome = Outcome(skipped=[f"{part.name}: {error}"])
    except Exception as error:  # noqa: BLE001
        outcome = Outcome(failed=[f"{part.name}: {error}"], output=traceback.format_exc())
    verdict = "FAILED" if outcome.failed else "passed" if outcome.passed else "skipped"
    counts = f"{outcome.passed} passed, {len(outcome.failed)} failed, {len(outcome.skipped)} skipped"
    head = f"--- {part.name} {verdict} in {time.monotonic() - started:.0f} s ({counts})"
    announce("\n".join(filter(None, [head, outcome.output.rstrip()])))
    return outcome


def summarise(outcomes: Mapping[str, Outcome]) -> int:
    """Print what failed and what was skipped, then the line that counts; return the exit code."""
    total = Outcome()
    for outcome in outcomes.values():
        total.add(outcome)
    for title, kind in (("Skipped", "skipped"), ("Failed", "failed")):
        lines = [f"  {name}: {line}" for name, outcome in outcomes.items() for line in getattr(outcome, kind)]
        if lines:
            print("\n".join([f"\n{title}:", *lines]))
    print(f"\n{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped", flush=True)
    return 1 if total.failed else 0


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what stands after ``--``."""
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to run")
    parser.add_argument("--list", action="store_true", help="print the parts")
    ours, words = _split(sys.argv[1:])
    arguments = parser.parse_args(ours)
    if arguments.list:
        print("\n".join([*PARTS, *GROUPS]))
        return 0
    names = [name for given in arguments.parts for name in GROUPS.get(given, [given])]
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    chosen = [PARTS[name] for name in names] or [part for part in PARTS.values() if part.usual]
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(max_workers=min(WORKERS, 2)) as pool:
        together = [part for part in chosen if not part.alone]
        for part, outcome in zip(together, pool.map(lambda part: run_part(part, words), together)):
            outcomes[part.name] = outcome
    for part in chosen:
        if part.alone:
            outcomes[part.name] = run_part(part, words)
    return summarise(outcomes)


if __name__ == "__main__":
    sys.exit(main())
