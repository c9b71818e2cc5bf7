"""The user's kubectl, kept away from the user's own configuration."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from proxy.bench.children import Child, Children

VERSIONED = re.compile(r"kubectl\.(\d+)\.(\d+)$")
GET_SECONDS = 20.0
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: backend, cluster: {{server: "{server}"}}}}]
contexts: [{{name: backend, context: {{cluster: backend, user: nobody}}}}]
users: [{{name: nobody, user: {{}}}}]
current-context: backend
"""


def find() -> Path | None:
    """Return kubectl itself: where a dispatcher is installed (as by gcloud), the newest that it could run."""
    found = shutil.which("kubectl")
    if found is None:
        return None
    path = Path(found).resolve()
    versions = {
        (int(match[1]), int(match[2])): file
        for file in path.parent.glob("kubectl.*")
        if (match := VERSIONED.match(file.name))
    }
    return versions[max(versions)] if versions else path


def write_kubeconfig(directory: Path, server: str) -> Path:
    """Write a kubeconfig that points to `server`, without a credential."""
    path = directory / "kubeconfig"
    path.write_text(KUBECONFIG.format(server=server), encoding="utf-8")
    return path


def start(children: Children, kubectl: Path, *arguments: str, kubeconfig: Path | None = None) -> Child:
    """Start kubectl with `kubeconfig` or an empty one, and a discovery cache that goes when we go."""
    if kubeconfig is None:
        kubeconfig = children.directory / "empty-kubeconfig"
        kubeconfig.touch()
    cache = children.directory / "kubectl-cache"
    return children.start("kubectl", str(kubectl), f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}", *arguments)


async def output(children: Children, kubectl: Path, *arguments: str) -> list[str]:
    """Run kubectl to its end and return the lines that it prints. Raises ChildError."""
    child = start(children, kubectl, *arguments)
    if await child.finished(GET_SECONDS):
        child.check()
    children.stop(child)
    return child.output().splitlines()
