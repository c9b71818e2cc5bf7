"""What kubectl's oldest and newest version at hand write, directly against the backend."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.cluster import Client

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: a}
spec:
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec: {containers: [{name: c, image: "x:1", ports: [{containerPort: 80}]}]}
"""


def binaries() -> list[Path | None]:
    """Return the oldest and the newest kubectl."""
    found = shutil.which("kubectl")
    if found is None:
        return [None]
    versions = sorted(Path(found).resolve().parent.glob("kubectl.1.*"), key=lambda path: int(path.suffix[1:]))
    return [versions[0], versions[-1]] if len(versions) > 1 else [Path(found)]


@dataclass(frozen=True)
class Kubectl:
    """One kubectl, and the backend that it talks to."""

    binary: Path
    server: str
    home: Path

    async def __call__(self, line: str, stdin: str = "", *, code: int = 0) -> str:
        """Run a command line and return what it prints."""
        arguments = [str(self.binary), "--server", self.server, "--cache-dir", str(self.home / "cache"), "-n", "a"]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": os.devnull,
            "EDITOR": "sed -i s/x:2/x:3/",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *arguments, *line.split(), env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate(stdin.encode())
        assert process.returncode == code, f"{line}: {out.decode()}"
        return out.decode()


@pytest.fixture(params=binaries(), ids=lambda path: path.name if path else "none")
def kubectl(request: pytest.FixtureRequest, client: Client, tmp_path: Path) -> Kubectl:
    """Each of the two in turn."""
    if request.param is None:
        pytest.skip("kubectl is not installed")
    return Kubectl(request.param, str(client.make_url("/")).rstrip("/"), tmp_path)


async def test_a_deployment_from_end_to_end(kubectl: Kubectl) -> None:
    """Apply twice, edit, scale, roll back, delete."""
    assert "created" in await kubectl("apply -f -", MANIFEST)
    assert "configured" in await kubectl("apply -f -", MANIFEST.replace("x:1", "x:2"))
    assert "unchanged" in await kubectl("apply -f -", MANIFEST.replace("x:1", "x:2"))
    assert "edited" in await kubectl("edit deployment d")
    assert "x:3" in await kubectl("get deployment d -o wide")
    assert "scaled" in await kubectl("scale deployment d --replicas=3")
    assert "3/3" in await kubectl("get deployment d")
    assert "restarted" in await kubectl("rollout restart deployment d")
    assert "successfully rolled out" in await kubectl("rollout status deployment d")
    assert "rolled back" in await kubectl("rollout undo deployment d --to-revision=1")
    assert "x:1" in await kubectl("get deployment d -o wide")
    assert "exposed" in await kubectl("expose deployment d --port=80")
    assert "deleted" in await kubectl("delete deployment/d service/d")
    assert "No resources found" in await kubectl("get replicasets")


async def test_server_side_apply(kubectl: Kubectl) -> None:
    """Taking over from client-side apply, a conflict, force."""
    await kubectl("apply -f -", MANIFEST)
    assert "serverside-applied" in await kubectl("apply --server-side -f -", MANIFEST.replace("x:1", "x:2"))
    other = "apply --server-side --field-manager=other -f -"
    conflict = await kubectl(other, MANIFEST, code=1)
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="c"].image' in conflict
    assert "serverside-applied" in await kubectl(f"{other} --force-conflicts", MANIFEST)
    owners = await kubectl("get deployment d -o jsonpath={.metadata.managedFields[*].manager}")
    assert {"kubectl", "other"} <= set(owners.split())


async def test_small_things(kubectl: Kubectl) -> None:
    """Created by typed clients, which write protobuf from 1.33 on; labelled, annotated, patched, replaced."""
    assert "created" in await kubectl("create configmap m --from-literal=k=1")
    assert "created" in await kubectl("create secret generic s --from-literal=k=1")
    assert "created" in await kubectl("create serviceaccount sa")
    assert "created" in await kubectl("run p --image=x --port=80 --env=A=b")
    assert "labeled" in await kubectl("label configmap m l=1")
    assert "annotate" in await kubectl("annotate configmap m n=1")
    assert "patched" in await kubectl('patch configmap m --type=json -p [{"op":"add","path":"/data/j","value":"2"}]')
    assert await kubectl("get configmap m -o jsonpath={.data}") == '{"j":"2","k":"1"}'
    assert "replaced" in await kubectl("replace -f -", await kubectl("get configmap m -o yaml"))
    assert 'unknown field "dta"' in await kubectl(
        "create -f -", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"dta":{}}', code=1
    )
    for what in ("configmap m", "secret s", "serviceaccount sa", "pod p"):
        assert "deleted" in await kubectl(f"delete {what}")


async def test_questions(kubectl: Kubectl) -> None:
    """May I, what is there, what is it; describe and drain select pods by their node."""
    assert await kubectl("auth can-i create pods") == "yes\n"
    assert "*.*" in await kubectl("auth can-i --list")
    assert "apps/v1" in await kubectl("api-versions")
    assert "replicasets" in await kubectl("api-resources")
    assert "<[]Container> -required-" in await kubectl("explain pod.spec")
    assert "Non-terminated Pods:" in await kubectl("describe node node-00000")
    drained = await kubectl("drain node-00001 --force --delete-emptydir-data")
    assert "evicting pod" in drained
    assert "SchedulingDisabled" in await kubectl("get node node-00001")
