# Copyright (c) 2026, The flowops.prefect authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster of our own needs to be trusted, made with openssl: one authority, certificates, kubeconfigs."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from docker_engine import NoEngine

DAYS = "30"


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoEngine(f"openssl {words[0]}: {done.stderr.strip()[-500:]}")


def make(folder: Path, api_url: str, addresses: Sequence[str], node: str) -> None:
    """Keys, certificates and kubeconfigs of all daemons and of two users: one who may do all, one who may nothing."""
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "ca.key")
    _openssl(
        "req",
        "-x509",
        "-new",
        "-key",
        folder / "ca.key",
        "-days",
        DAYS,
        "-subj",
        "/CN=flowops-test",
        "-out",
        folder / "ca.crt",
    )
    _openssl("genrsa", "-out", folder / "accounts.key", "2048")
    names = [f"IP:{address}" for address in addresses] + ["DNS:kubernetes.default.svc"]
    _certificate(folder, "apiserver", "/CN=kube-apiserver", names)
    users = {
        "admin": "/O=system:masters/CN=admin",
        "nobody": "/CN=nobody",
        "controller-manager": "/CN=system:kube-controller-manager",
        "scheduler": "/CN=system:kube-scheduler",
        "kubelet": f"/O=system:nodes/CN=system:node:{node}",
    }
    for name, subject in users.items():
        _certificate(folder, name, subject, [])
        (folder / f"{name}.kubeconfig").write_text(json.dumps(_kubeconfig(folder, name, api_url)))


def _certificate(folder: Path, name: str, subject: str, alternatives: Sequence[str]) -> None:
    key, request, made = (folder / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    _openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
    extension = folder / f"{name}.ext"
    usage = "extendedKeyUsage=serverAuth,clientAuth\n"
    extension.write_text(usage + (f"subjectAltName={','.join(alternatives)}\n" if alternatives else ""))
    authority: list[str | Path] = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial"]
    _openssl("x509", "-req", "-in", request, *authority, "-days", DAYS, "-extfile", extension, "-out", made)


def _kubeconfig(folder: Path, user: str, api_url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": api_url, "certificate-authority": f"{folder}/ca.crt"}}],
        "users": [
            {"name": user, "user": {"client-certificate": f"{folder}/{user}.crt", "client-key": f"{folder}/{user}.key"}}
        ],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    }


def write_image(archive: Path, program: Path, name: str) -> None:
    """An image of one file, as ``docker save`` writes it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo(program.name)
        entry.mode, entry.size = 0o755, program.stat().st_size
        with program.open("rb") as file:
            tar.addfile(entry, file)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    settings = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    files = {
        "config.json": json.dumps(settings).encode(),
        f"{digest}/layer.tar": layer.getvalue(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(archive, "w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _architecture() -> str:
    """Go's name of this machine's."""
    done = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True)
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(done.stdout.strip(), done.stdout.strip())
