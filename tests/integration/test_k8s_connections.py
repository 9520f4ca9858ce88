# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to the API server, as a user with the documented rights and no other."""

from __future__ import annotations

import base64
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible
import environments
import kubernetes_cluster
import pytest
from ansible_play import COLLECTION_ROOT, RunPlaybook
from jobs import ROLE, Namespace, hosts
from scenarios import wait_until

WRONG_SERVER = "https://127.0.0.1:9"
CONNECT = """
import json, sys
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import _kubernetes_client as ours
client = ours.connect(ours.Connection(kubeconfig=sys.argv[1], context="good"))
print(json.dumps({"headers": client._credentials(), "models": "kubernetes.client.models" in sys.modules}))
"""

WATCH = """
import json, sys, threading, time
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure import _kubernetes_client as ours
from ansible_collections.flowops.prefect.plugins.module_utils._infrastructure._kubernetes_watch import Watches
client, lists = ours.connect(ours.Connection(kubeconfig=sys.argv[1])), []
for path in sys.argv[3:]:
    versions = []
    list(client.items(path, versions.append))
    lists.append((path, {"resourceVersion": versions[-1]}))
print("listening", flush=True)
begun = time.monotonic()
woken = Watches(client, lambda kind, found: True).wait(lists, float(sys.argv[2]))
seconds, deadline = time.monotonic() - begun, time.monotonic() + 5
while threading.active_count() > 1 and time.monotonic() < deadline:
    time.sleep(0.05)
print(json.dumps({"woken": woken, "seconds": seconds, "threads": threading.active_count()}))
"""


@dataclass(frozen=True)
class Access:
    """How an account of a test's namespace reaches the server."""

    host: str
    token: str
    ca_cert: Path

    def kubeconfig(self, path: Path, user: Mapping[str, Any]) -> str:
        """A kubeconfig with two contexts: the current one leads nowhere, ``good`` to the server."""
        clusters = {"nowhere": {"server": WRONG_SERVER}, "real": {"server": self.host, **self._authority}}
        contexts = {"bad": {"cluster": "nowhere", "user": "me"}, "good": {"cluster": "real", "user": "me"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster} for name, cluster in clusters.items()],
            "contexts": [{"name": name, "context": context} for name, context in contexts.items()],
            "users": [{"name": "me", "user": user}],
            "current-context": "bad",
        }
        path.write_text(json.dumps(config))
        return str(path)

    @property
    def _authority(self) -> dict[str, str]:
        return {"certificate-authority": str(self.ca_cert)}


@pytest.fixture
def access(namespace: Namespace, tmp_path: Path) -> Access:
    """An account that may do what the documentation asks for, and nothing else."""
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "runner"}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "runner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": namespace.name}],
    }
    namespace.apply(account, ROLE, binding)
    told = json.loads(kubernetes_cluster.kubectl("config", "view", "--raw", "--minify", "--output", "json"))
    cluster = told["clusters"][0]["cluster"]
    authority = tmp_path / "ca.crt"
    if "certificate-authority-data" in cluster:
        authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    else:
        authority.write_bytes(Path(cluster["certificate-authority"]).read_bytes())
    return Access(cluster["server"], namespace.kubectl("create", "token", "runner").strip(), authority)


def test_every_way_to_the_server(
    run_playbook: RunPlaybook, namespace: Namespace, access: Access, tmp_path: Path
) -> None:
    """One run, launched with token and authority; found again by all the other ways."""
    program = tmp_path / "credentials"
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": access.token},
    }
    program.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(told))})\n")
    program.chmod(0o700)
    plugin = {
        "exec": {"apiVersion": told["apiVersion"], "command": str(program), "interactiveMode": "Never"},
    }
    failing = {"exec": {**plugin["exec"], "command": "false"}}
    damaged = tmp_path / "damaged.yml"
    damaged.write_text("clusters: [unfinished\n")
    by_program = access.kubeconfig(tmp_path / "exec.yml", plugin)
    by_token = access.kubeconfig(tmp_path / "token.yml", {"token": access.token})
    ways: dict[str, dict[str, Any]] = {
        "token and authority": {
            "kube_host": access.host,
            "kube_token": access.token,
            "kube_ca_cert": str(access.ca_cert),
        },
        "exec plugin": {"kubeconfig": by_program, "context": "good"},
        "another context": {"kubeconfig": by_token, "context": "good"},
        "unchecked": {"kube_host": access.host, "kube_token": access.token, "kube_validate_certs": False},
        "unknown authority": {"kube_host": access.host, "kube_token": access.token, "wait": False},
        "bad token": {"kube_host": access.host, "kube_token": "wrong", "kube_ca_cert": str(access.ca_cert)},
        "no such context": {"kubeconfig": by_token, "context": "nowhere"},
        "program that fails": {"kubeconfig": access.kubeconfig(tmp_path / "fails.yml", failing), "context": "good"},
        "damaged kubeconfig": {"kubeconfig": str(damaged)},
        "no kubernetes": {"kube_host": namespace.server.url, "kube_token": access.token},
        "missing authority": {"kube_host": access.host, "kube_token": access.token, "kube_ca_cert": "/nowhere.crt"},
    }
    run_id = namespace.make_run("hello", {"name": "Ada"})
    tasks = [
        {**namespace.task(flow_run_id=run_id, **{"kubeconfig": None, **options}), "name": name, "ignore_errors": True}
        for name, options in ways.items()
    ]
    play = run_playbook(tasks, hosts=hosts()).check()
    found = {name: one.result for name, one in zip(ways, play.results)}
    assert (found["token and authority"]["run"]["action"], found["token and authority"]["run"]["phase"]) == (
        "launched",
        "succeeded",
    ), found["token and authority"]["msg"]
    for name in ("exec plugin", "another context", "unchecked"):
        assert found[name]["run"]["infrastructure"]["name"] == f"flowops-{run_id}-1", (name, found[name]["msg"])
    assert "certificate is not verified" in str(found["unchecked"]["warnings"])
    assert "kube_ca_cert" in found["unknown authority"]["msg"]
    assert found["bad token"]["category"] == "credentials_refused", found["bad token"]["msg"]
    assert "nowhere" in found["no such context"]["msg"]
    assert found["program that fails"]["category"] == "credentials_refused", found["program that fails"]["msg"]
    for name in ("damaged kubeconfig", "missing authority"):
        assert found[name]["category"] == "bad_settings", found[name]["msg"]
    assert "may be no Kubernetes API" in found["no kubernetes"]["msg"]
    assert access.token not in play.output


def test_the_environment_of_the_controller(run_playbook: RunPlaybook, namespace: Namespace, access: Access) -> None:
    """As AWX gives it to a job that has a credential of a cluster."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    env = {
        "K8S_AUTH_HOST": access.host,
        "K8S_AUTH_API_KEY": access.token,
        "K8S_AUTH_SSL_CA_CERT": str(access.ca_cert),
        "K8S_AUTH_VERIFY_SSL": "true",
    }
    play = run_playbook(namespace.task(flow_run_id=run_id, kubeconfig=None), hosts=hosts(), env=env).check()
    assert play.last["run"]["phase"] == "succeeded"
    assert access.token not in play.output


def test_the_oldest_client(run_playbook: RunPlaybook, namespace: Namespace, access: Access, tmp_path: Path) -> None:
    """The oldest supported version of the package, on the oldest supported Python."""
    run_id = namespace.make_run("hello", {"name": "Ada"})
    kubeconfig = access.kubeconfig(tmp_path / "token.yml", {"token": access.token})
    task = namespace.task(flow_run_id=run_id, kubeconfig=kubeconfig, context="good")
    play = run_playbook([task, task], hosts=hosts("host-kubernetes-oldest")).check()
    first, second = (one.result for one in play.results)
    assert (first["run"]["action"], first["run"]["phase"]) == ("launched", "succeeded"), first["msg"]
    assert not second["changed"]
    assert second["run"]["infrastructure"]["name"] == f"flowops-{run_id}-1"


@pytest.mark.parametrize("environment", ["host-kubernetes", "host-kubernetes-oldest"])
def test_a_token_that_is_renewed(environment: str, tmp_path: Path) -> None:
    """OpenID Connect needs more of the package than everything else, which does without its models."""
    expired = ".".join(base64.urlsafe_b64encode(part).decode().strip("=") for part in (b"{}", b'{"exp": 1}', b"-"))
    with _Issuer() as issuer:
        provider = {
            "client-id": "flowops",
            "client-secret": "unused",
            "id-token": expired,
            "refresh-token": "refresh",
            "idp-issuer-url": issuer.url,
        }
        users = {"renewed": {"auth-provider": {"name": "oidc", "config": provider}}, "plain": {"token": "as it is"}}
        access = Access("https://127.0.0.1:9", "", tmp_path / "ca.crt")
        shutil.copy(kubernetes_cluster.kubeconfig(), tmp_path / "ca.crt")
        found = {
            name: _connected(environment, access.kubeconfig(tmp_path / f"{name}.yml", user))
            for name, user in users.items()
        }
    assert found["plain"] == {"headers": {"authorization": "Bearer as it is"}, "models": False}
    assert found["renewed"]["headers"] == {"authorization": f"Bearer {_Issuer.TOKEN}"}


def _connected(environment: str, kubeconfig: str) -> dict[str, Any]:
    """What a client of an environment sends with its requests, and whether it has read the package's models."""
    python = environments.ensure(environment) / "bin" / "python"
    # oauthlib wants https of everybody else.
    env = {"PYTHONPATH": str(COLLECTION_ROOT.parents[2]), "OAUTHLIB_INSECURE_TRANSPORT": "1"}
    done = subprocess.run([python, "-c", CONNECT, kubeconfig], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


class _Issuer(http.server.ThreadingHTTPServer):
    """Of tokens by OpenID Connect, while it is a context."""

    TOKEN = "renewed"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _IssuerAnswers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_exception: object) -> None:
        self.shutdown()
        self.server_close()


class _IssuerAnswers(http.server.BaseHTTPRequestHandler):
    """Where tokens are to be had, and tokens."""

    def do_GET(self) -> None:
        """What the issuer says of itself."""
        assert isinstance(self.server, _Issuer)
        self._answer({"token_endpoint": f"{self.server.url}/token"})

    def do_POST(self) -> None:
        """A token for a token."""
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        assert b"refresh_token=refresh" in asked, asked
        self._answer({"token_type": "Bearer", "id_token": _Issuer.TOKEN, "refresh_token": "next", "access_token": "-"})

    def _answer(self, answer: dict[str, str]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_what: object) -> None:
        """Nobody reads it."""


@pytest.mark.parametrize("environment", ["host-kubernetes", "host-kubernetes-oldest"])
def test_one_watch_that_hears_something_is_enough(namespace: Namespace, environment: str) -> None:
    """The others end at once: neither is the news held back until their time is over, nor does a thread stay behind."""
    patience = 40
    python = environments.ensure(environment) / "bin" / "python"
    paths = [f"/api/v1/namespaces/{namespace.name}/{resource}" for resource in ("pods", "configmaps", "secrets")]
    words = [python, "-c", WATCH, kubernetes_cluster.kubeconfig(), str(patience), *paths]
    env = {"PYTHONPATH": str(COLLECTION_ROOT.parents[2])}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        namespace.kubectl("create", "configmap", "news")
        told = json.loads(listener.communicate(timeout=patience * 2)[0])
    assert (told["woken"], told["threads"]) == (True, 1)
    assert told["seconds"] < patience / 2


@pytest.mark.usefixtures("access")
def test_in_a_pod(namespace: Namespace) -> None:
    """Without any option a module in a pod acts as the service account of that pod."""
    if not kubernetes_cluster.is_ours():
        pytest.skip("only on this machine's node are the module and its libraries to be had")
    client = next((environments.ensure("host-kubernetes") / "lib").glob("python*/site-packages"))
    paths = {
        "client": client,
        "ansible": Path(ansible.__file__).parents[1],
        "collection": COLLECTION_ROOT.parents[2],
    }
    run_id = namespace.make_run("hello", {"name": "Ada"})
    module = "ansible_collections.flowops.prefect.plugins.modules.flow_runner_k8s"
    (arguments,) = (
        value for key, value in namespace.task(flow_run_id=run_id, kubeconfig=None).items() if key != "name"
    )
    arguments.update(api_url=arguments["engine_api_url"], wait=False)
    start = (
        "import json, sys; from ansible.module_utils import basic;"
        "basic._ANSIBLE_ARGS = sys.argv[1].encode(); basic._ANSIBLE_PROFILE = 'legacy';"
        f"from {module} import main; main()"
    )
    container = {
        "name": "module",
        "image": kubernetes_cluster.image(),
        "command": ["python", "-c", start, json.dumps({"ANSIBLE_MODULE_ARGS": arguments})],
        "env": [
            {"name": "PYTHONPATH", "value": ":".join(f"/{name}" for name in paths)},
            # There is no proxy for the addresses of services in this cluster.
            {"name": "KUBERNETES_SERVICE_HOST", "value": "127.0.0.1"},
            {"name": "KUBERNETES_SERVICE_PORT", "value": str(kubernetes_cluster.API_PORT)},
        ],
        "volumeMounts": [{"name": name, "mountPath": f"/{name}", "readOnly": True} for name in paths],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "module"},
        "spec": {
            "serviceAccountName": "runner",
            "hostNetwork": True,
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": name, "hostPath": {"path": str(path)}} for name, path in paths.items()],
        },
    }
    namespace.apply(pod)
    phase = ("get", "pod", "module", "--output", "jsonpath={.status.phase}")
    wait_until(lambda: namespace.kubectl(*phase) in ("Succeeded", "Failed"), "the end of the module's pod", 120)
    result = json.loads(namespace.kubectl("logs", "module").splitlines()[-1])
    assert result["run"]["action"] == "launched", result
    assert namespace.rest.wait_for_state(run_id) == "COMPLETED"
