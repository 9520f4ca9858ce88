# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Kubernetes cluster of one node for tests: the given one, else ``kind``, else one built and started here.

``FLOWOPS_TEST_KUBECONFIG`` names a cluster that tests may use; it needs an image that the tests know then
(``FLOWOPS_TEST_KUBERNETES_IMAGE``). A cluster that was started here keeps nothing: ``down`` removes its data, its
network, its containers, and what the daemons made outside of their folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import docker_engine
import docker_image
import environments
import kubernetes_build
import kubernetes_certificates as certificates
from docker_engine import NoEngine

GIVEN, GIVEN_IMAGE = "FLOWOPS_TEST_KUBECONFIG", "FLOWOPS_TEST_KUBERNETES_IMAGE"
KIND_NAME = "flowops-test"
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "openssl": "openssl",
    "kubectl": "kubernetes-client",
}
CNI_PLUGINS = Path("/usr/lib/cni")
FOLDER = environments.CACHE / "kubernetes" / "cluster"
RUNTIME = Path("/run/flowops-kubernetes")
SOCKET = RUNTIME / "containerd.sock"
BRIDGE, NODE, NODE_ADDRESS, SUBNET = "flowops0", "flowops-node", "10.231.0.1", "10.231.0.0/24"
SERVICES, SERVICE_ADDRESS = "10.232.0.0/24", "10.232.0.1"
PAUSE_IMAGE = "flowops.invalid/pause:1"
API_PORT, ETCD_PORT, ETCD_PEER_PORT = 16443, 16379, 16380
API_URL = f"https://127.0.0.1:{API_PORT}"
START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0
#: Changed by the kubelet at its start, for the whole machine.
KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
#: Made by the daemons outside of their folder.
STRAY_FOLDERS = ("/var/log/containers", "/var/lib/kubelet", "/var/lib/cni")
#: In the order of their start.
DAEMONS = ("containerd", *kubernetes_build.DAEMONS)
_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def find_program(name: str) -> str:
    """A program's path. :raises NoEngine: it is missing."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise NoEngine(f"{name} is not installed")
    return found


def run(*words: str | Path, check: bool = True) -> str:
    """Run a command and return what it printed. :raises NoEngine: it failed."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise NoEngine(f"{' '.join(map(str, words))[:300]}: {done.stderr.strip()[-2000:]}")
    return done.stdout


# --- for tests -------------------------------------------------------------------------------------------------------


def kubeconfig() -> Path:
    """The kubeconfig of the cluster that tests use."""
    given = os.environ.get(GIVEN)
    return Path(given) if given else FOLDER / "admin.kubeconfig"


def powerless_kubeconfig() -> Path:
    """A valid user without any right; only in a cluster that was started here."""
    return FOLDER / "nobody.kubeconfig"


def is_ours() -> bool:
    """Whether the cluster was started here, so that tests may stop its daemons."""
    return not os.environ.get(GIVEN) and (FOLDER / "started").exists()


def image() -> str:
    """The image with Prefect and the sample flows, as pods name it."""
    return os.environ.get(GIVEN_IMAGE) or f"docker.io/{docker_image.name()}"


def kubectl(*words: str) -> str:
    """Run kubectl as somebody who may do everything."""
    return run(find_program("kubectl"), "--kubeconfig", kubeconfig(), *words)


def apply(manifest: str) -> None:
    """Create or change what a manifest says. :raises NoEngine: it is refused."""
    _feed(manifest, "apply", "--filename", "-")


def post(path: str, body: str) -> None:
    """Send a body to a path of the API. :raises NoEngine: it is refused."""
    _feed(body, "create", "--raw", path, "--filename", "-")


def _feed(text: str, *words: str) -> None:
    """Run kubectl with a text as its input."""
    command = [find_program("kubectl"), "--kubeconfig", str(kubeconfig()), *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoEngine(f"kubectl {words[0]}: {done.stderr.strip()}")


def answers() -> bool:
    """Whether the API server does."""
    try:
        kubectl("get", "--raw", "/readyz", "--request-timeout", "5s")
    except NoEngine:
        return False
    return True


@contextlib.contextmanager
def _used(how: int) -> Iterator[None]:
    with (environments.CACHE / "kubernetes" / "use.lock").open("w") as file:
        fcntl.flock(file, how)
        yield


def used_with_others() -> contextlib.AbstractContextManager[None]:
    """While inside, nobody stops a daemon."""
    return _used(fcntl.LOCK_SH)


def used_alone() -> contextlib.AbstractContextManager[None]:
    """While inside, nobody else uses the cluster."""
    return _used(fcntl.LOCK_EX)


@contextlib.contextmanager
def stopped(daemon: str) -> Iterator[None]:
    """A daemon of the cluster is gone while inside, and back and at work afterwards."""
    _stop(daemon, signal.SIGKILL)
    try:
        yield
    finally:
        _start(daemon)
        wait_until(answers, f"{daemon} to be back")


# --- up and down -----------------------------------------------------------------------------------------------------


def up() -> str:
    """Have a cluster with the test image and say what was done for it.

    :raises NoEngine: there is none and none can be had.
    """
    if os.environ.get(GIVEN):
        if not answers():
            raise NoEngine(f"{GIVEN} is {kubeconfig()}, and no Kubernetes answers there")
        return f"Kubernetes: the one of {GIVEN}"
    with environments.locked(environments.CACHE / "kubernetes" / "lock"):
        if FOLDER.exists() and answers():
            return f"Kubernetes: runs already ({kubeconfig()})\n{_load_image()}"
        if shutil.which("kind"):
            return _up_with_kind()
        installed, built = _install(), kubernetes_build.ensure()
        _remove()
        try:
            _bring_up()
        except BaseException:
            _keep_logs()
            _remove()
            raise
        return f"Kubernetes: {installed}{built}started {kubernetes_build.VERSION} ({kubeconfig()})\n{_load_image()}"


def status() -> str:
    """Where a cluster for tests answers. :raises NoEngine: nowhere."""
    if not kubeconfig().exists() or not answers():
        raise NoEngine("no Kubernetes for tests answers")
    return f"Kubernetes: {kubeconfig()}"


def down() -> str:
    """Take down what :func:`up` started and say so."""
    with environments.locked(environments.CACHE / "kubernetes" / "lock"):
        if (FOLDER / "kind").exists():
            run("kind", "delete", "cluster", "--name", KIND_NAME)
            shutil.rmtree(FOLDER)
            return "Kubernetes: deleted the kind cluster"
        there = FOLDER.exists()
        _remove()
    return f"Kubernetes: {'stopped and removed' if there else 'nothing of ours was running'}"


def _up_with_kind() -> str:
    FOLDER.mkdir(parents=True, exist_ok=True)
    run("kind", "create", "cluster", "--name", KIND_NAME, "--kubeconfig", kubeconfig(), "--wait", "120s")
    (FOLDER / "kind").touch()
    docker_image.ensure()
    run("kind", "load", "docker-image", docker_image.name(), "--name", KIND_NAME)
    return f"Kubernetes: created a cluster with kind ({kubeconfig()})"


def _install() -> str:
    """Debian's packages where programs are missing; only on a machine for tests, never where systemd runs."""
    missing = sorted(package for program, package in PACKAGES.items() if shutil.which(program, path=_PATH) is None)
    if not (CNI_PLUGINS / "bridge").exists():
        missing.append("containernetworking-plugins")
    if os.geteuid() != 0:
        raise NoEngine("no Kubernetes answers, and only root can start one")
    if not missing:
        return ""
    if shutil.which("apt-get") is None or Path("/run/systemd/system").exists():
        raise NoEngine(f"no Kubernetes answers, and to start one these are missing: {', '.join(missing)}")
    # Run level 1 keeps invoke-rc.d from starting what it installs.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", "-qq", *words], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoEngine(f"apt-get {' '.join(words)}: {done.stderr.strip()}")
    return f"installed {', '.join(missing)}, "


def _bring_up() -> None:
    """Everything in its order; the node is Ready at the end."""
    FOLDER.mkdir(mode=0o700, parents=True)
    absent = [folder for folder in STRAY_FOLDERS if not Path(folder).exists()]
    (FOLDER / "strays.json").write_text(json.dumps(absent))
    (FOLDER / "namespaces.json").write_text(json.dumps(_network_namespaces()))
    RUNTIME.mkdir(mode=0o700)
    _save_kernel_settings()
    _make_bridge()
    certificates.make(FOLDER, API_URL, [NODE_ADDRESS, SERVICE_ADDRESS, "127.0.0.1"], NODE)
    _write_settings()
    _start("containerd")
    wait_until(lambda: SOCKET.exists() and run_ctr("version", check=False), "containerd")
    _load_pause()
    _start("etcd")
    _start("kube-apiserver")
    wait_until(answers, "the API server")
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet"):
        _start(name)
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    wait_until(lambda: kubectl("get", "nodes", NODE, "--ignore-not-found", "-o", ready).strip() == "True", "the node")
    wait_until(lambda: kubectl("get", "serviceaccounts", "default", "--ignore-not-found"), "the namespace default")
    _restore_kernel_settings()
    (FOLDER / "started").touch()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Until it holds; a daemon that ended cannot make it hold any more."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        with contextlib.suppress(NoEngine):
            if condition():
                return
        dead = [name for name in DAEMONS if (FOLDER / f"{name}.pid").exists() and _running(name) is None]
        if dead or time.monotonic() > deadline:
            logs = "\n".join((FOLDER / f"{name}.log").read_text(errors="replace")[-1500:] for name in dead)
            raise NoEngine(f"waiting for {what}: {', '.join(dead) or 'nothing'} ended\n{logs}")
        time.sleep(0.2)


# --- daemons ---------------------------------------------------------------------------------------------------------


def _commands() -> dict[str, list[str]]:
    """The command line of every daemon."""
    programs, here = kubernetes_build.folder(), str(FOLDER)
    etcd = f"http://127.0.0.1:{ETCD_PORT}"
    peer = f"http://127.0.0.1:{ETCD_PEER_PORT}"
    commands = {
        "containerd": [find_program("containerd"), "--config", f"{here}/containerd.toml"],
        "etcd": [
            *(f"--data-dir={here}/etcd", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            *(f"--initial-cluster=default={peer}", "--unsafe-no-fsync"),
        ],
        "kube-apiserver": [
            *(f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={API_PORT}"),
            *(f"--advertise-address={NODE_ADDRESS}", f"--service-cluster-ip-range={SERVICES}"),
            *(f"--client-ca-file={here}/ca.crt", f"--tls-cert-file={here}/apiserver.crt"),
            *(f"--tls-private-key-file={here}/apiserver.key", f"--service-account-key-file={here}/accounts.key"),
            *(f"--service-account-signing-key-file={here}/accounts.key", f"--service-account-issuer={API_URL}"),
            *(f"--kubelet-client-certificate={here}/admin.crt", f"--kubelet-client-key={here}/admin.key"),
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
            *("--allow-privileged=true", "--endpoint-reconciler-type=none"),
            "--kubelet-preferred-address-types=InternalIP",
        ],
        "kube-controller-manager": [
            *(f"--kubeconfig={here}/controller-manager.kubeconfig", "--leader-elect=false", "--secure-port=0"),
            *(f"--service-account-private-key-file={here}/accounts.key", f"--root-ca-file={here}/ca.crt"),
            *("--use-service-account-credentials=true", "--node-monitor-grace-period=20s"),
            *("--kube-api-qps=500", "--kube-api-burst=1000"),
        ],
        "kube-scheduler": [
            *(f"--kubeconfig={here}/scheduler.kubeconfig", "--leader-elect=false", "--secure-port=0"),
            *("--kube-api-qps=500", "--kube-api-burst=1000"),
        ],
        "kubelet": [
            *(f"--config={here}/kubelet.json", f"--kubeconfig={here}/kubelet.kubeconfig"),
            *(f"--root-dir={here}/kubelet", f"--cert-dir={here}/kubelet-certificates"),
            *(f"--hostname-override={NODE}", f"--node-ip={NODE_ADDRESS}"),
        ],
    }
    own = {name: [str(programs / name), *words] for name, words in commands.items() if name != "containerd"}
    return {"containerd": commands["containerd"], **own}


def _start(name: str) -> None:
    """Start a daemon in a session of its own, without what marks processes of a test."""
    with (FOLDER / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            _commands()[name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=FOLDER,
            start_new_session=True,
            env={"PATH": _PATH, "HOME": str(FOLDER), "KUBE_CACHE_MUTATION_DETECTOR": "false"},
        )
    (FOLDER / f"{name}.pid").write_text(f"{process.pid} {_started_at(process.pid)}")


def _stop(name: str, number: signal.Signals = signal.SIGTERM) -> None:
    """End a daemon and wait until it is gone."""
    deadline = time.monotonic() + STOP_TIMEOUT
    pid = _running(name)
    while pid is not None and _running(name) == pid:
        os.kill(pid, signal.SIGKILL if time.monotonic() > deadline else number)
        time.sleep(0.1)
    (FOLDER / f"{name}.pid").unlink(missing_ok=True)


def _running(name: str) -> int | None:
    """A daemon's process id, if it is still the process that was started."""
    try:
        pid, started = (FOLDER / f"{name}.pid").read_text().split()
        return int(pid) if _started_at(int(pid)) == started else None
    except (OSError, ValueError):
        return None


def _started_at(pid: int) -> str:
    """What tells a process from a later one of the same id; nothing for one that only waits to be reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ValueError(f"process {pid} has ended")
    return fields[19]


# --- settings --------------------------------------------------------------------------------------------------------


def _write_settings() -> None:
    (FOLDER / "cni").mkdir()
    network = {
        "cniVersion": "0.4.0",
        "name": "flowops",
        "type": "bridge",
        "bridge": BRIDGE,
        "ipam": {
            "type": "host-local",
            "dataDir": str(FOLDER / "addresses"),
            "ranges": [[{"subnet": SUBNET, "rangeStart": SUBNET.replace(".0/24", ".10"), "gateway": NODE_ADDRESS}]],
        },
    }
    (FOLDER / "cni" / "10-flowops.conf").write_text(json.dumps(network))
    (FOLDER / "containerd.toml").write_text(_containerd_settings())
    (FOLDER / "kubelet.json").write_text(json.dumps(_kubelet_settings()))


def _containerd_settings() -> str:
    plugin = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{FOLDER}/containerd"
state = "{RUNTIME}/containerd"
[grpc]
address = "{SOCKET}"
[{plugin}]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
stream_server_address = "127.0.0.1"
[{plugin}.cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{FOLDER}/cni"
[{plugin}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{plugin}.containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _kubelet_settings() -> dict[str, object]:
    nothing = {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%"}
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{FOLDER}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "evictionHard": nothing,
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "makeIPTablesUtilChains": False,
        "nodeStatusUpdateFrequency": "4s",
        "podLogsDir": f"{FOLDER}/logs",
        "resolvConf": "/etc/resolv.conf",
        "readOnlyPort": 0,
    }


def _save_kernel_settings() -> None:
    saved = {name: Path("/proc/sys", name).read_text() for name in KERNEL_SETTINGS if Path("/proc/sys", name).exists()}
    (FOLDER / "kernel.json").write_text(json.dumps(saved))


def _restore_kernel_settings() -> None:
    for name, value in _saved("kernel.json", {}).items():
        if Path("/proc/sys", name).read_text() != value:
            Path("/proc/sys", name).write_text(value)


def _make_bridge() -> None:
    """Its address is the node's: the kubelet refuses a loopback address."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


# --- images ----------------------------------------------------------------------------------------------------------


def run_ctr(*words: str | Path, check: bool = True) -> str:
    """containerd's own command, for the images and containers of Kubernetes."""
    return run(find_program("ctr"), "--address", SOCKET, "--namespace", "k8s.io", *words, check=check)


def _load_pause() -> None:
    """An archive as ``docker save`` makes it, of one layer with one file."""
    with tempfile.TemporaryDirectory(prefix="flowops-pause-") as temporary:
        archive = Path(temporary) / "pause.tar"
        certificates.write_image(archive, kubernetes_build.folder() / kubernetes_build.PAUSE, PAUSE_IMAGE)
        run_ctr("images", "import", archive)


def _load_image() -> str:
    """The test image, from the Docker Engine that makes it."""
    if (FOLDER / "kind").exists():
        return f"Image: {image()}"
    name = image()
    if _has_image(name):
        return f"Image: {name} is there"
    engine, made = docker_engine.up(), docker_image.ensure()
    import_image(docker_image.name())
    return f"{engine}\n{made}\nImage: {name} imported"


def _has_image(name: str) -> bool:
    return name in run_ctr("images", "list", "--quiet").split()


def import_image(name: str) -> str:
    """Have an image of the Docker Engine in a cluster that was started here; returns its name there.

    :raises NoEngine: the cluster was given, and so are its images.
    """
    if os.environ.get(GIVEN):
        raise NoEngine("nothing is brought into a cluster that was given")
    there = f"docker.io/{name}"
    if (FOLDER / "kind").exists():
        run("kind", "load", "docker-image", name, "--name", KIND_NAME)
    elif not _has_image(there):
        with tempfile.TemporaryDirectory(prefix="flowops-image-") as temporary:
            archive = Path(temporary) / "image.tar"
            docker_engine.docker("save", "--output", str(archive), name)
            run_ctr("images", "import", archive)
    return there


# --- removing --------------------------------------------------------------------------------------------------------


def _remove() -> None:
    """End and remove everything of a cluster of ours, however far it got; nothing of anybody else's."""
    if not FOLDER.exists():
        return
    for name in reversed(DAEMONS[1:]):
        _stop(name)
    if _running("containerd") is not None:
        _end_containers()
    _stop("containerd")
    _unmount()
    run("ip", "link", "delete", BRIDGE, check=False)
    _restore_kernel_settings()
    _remove_control_groups()
    for folder in STRAY_FOLDERS:
        _remove_if_ours(Path(folder))
    for made in (RUNTIME, FOLDER):
        if made.exists():
            shutil.rmtree(made)


def _end_containers() -> None:
    """Kill what runs; containerd's helpers would outlive it."""
    for task in run_ctr("tasks", "list", "--quiet", check=False).split():
        run_ctr("tasks", "kill", "--all", "--signal", "SIGKILL", task, check=False)
    deadline = time.monotonic() + STOP_TIMEOUT
    while (tasks := run_ctr("tasks", "list", "--quiet", check=False).split()) and time.monotonic() < deadline:
        for task in tasks:
            run_ctr("tasks", "delete", "--force", task, check=False)


def _network_namespaces() -> list[str]:
    return [str(path) for path in Path("/run/netns").glob("cni-*")]


def _saved(name: str, otherwise: Any) -> Any:
    """What was noted when the cluster was started."""
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else otherwise


def _unmount() -> None:
    """Volumes, root file systems and network namespaces of pods."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    ours = [path for path in mounts if path.startswith((f"{FOLDER}/", f"{RUNTIME}/"))]
    for path in sorted(ours, key=len, reverse=True):
        run("umount", "--lazy", path, check=False)
    for namespace in set(_network_namespaces()).difference(_saved("namespaces.json", [])):
        run("umount", namespace, check=False)
        with contextlib.suppress(OSError):
            Path(namespace).unlink()


def _remove_control_groups() -> None:
    roots = [
        Path("/sys/fs/cgroup", name)
        for name in ("kubepods", *(f"{each.name}/kubepods" for each in Path("/sys/fs/cgroup").glob("*")))
    ]
    for root in roots:
        folders = sorted(
            (path for path in root.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True
        )
        for path in [*folders, root]:
            with contextlib.suppress(OSError):
                path.rmdir()


def _remove_if_ours(folder: Path) -> None:
    """What was there before the cluster is somebody else's."""
    if str(folder) in _saved("strays.json", []):
        shutil.rmtree(folder, ignore_errors=True)


def _keep_logs() -> None:
    """Of a cluster that did not come up: the folder with them is about to be removed."""
    for log in FOLDER.glob("*.log"):
        shutil.copy(log, environments.CACHE / "kubernetes" / f"failed-{log.name}")
