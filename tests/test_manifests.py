"""The image and the manifests: a proxy that is broken into can do as little as possible."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object in deploy/, with a name for the test's id."""
    for path in sorted((ROOT / "deploy").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield f"{path.name}-{document['kind']}", document


def pod_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the spec of the Pod that an object makes, if it makes one."""
    spec = document["spec"] if document["kind"] == "Pod" else document.get("spec", {}).get("template", {}).get("spec")
    return spec if isinstance(spec, dict) and "containers" in spec else None


PODS = {name: pod for name, document in documents() if (pod := pod_of(document)) is not None}


@pytest.mark.parametrize("name", PODS)
def test_pods_are_restricted(name: str) -> None:
    """Pods keep to the restricted Pod Security Standard, and beyond it: read-only root, no token, bounded memory."""
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert min(context["runAsUser"], context["runAsGroup"]) > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any("hostPath" in volume for volume in pod.get("volumes", []))
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not {"privileged", "runAsUser", "seccompProfile"} & set(own)
        assert not any("hostPort" in port for port in container.get("ports", []))
        assert "memory" in container["resources"]["limits"]
        assert all(mount["readOnly"] for mount in container.get("volumeMounts", []))


def test_admin_listener_is_not_open_to_all() -> None:
    """Where Pods open the admin listener to their network, a NetworkPolicy says who may connect to it."""
    policies = [document for _, document in documents() if document["kind"] == "NetworkPolicy"]
    assert PODS
    for rule in (rule for policy in policies for rule in policy["spec"]["ingress"]):
        if {"port": "admin"} in rule["ports"]:
            assert rule["from"]
            assert rule["ports"] == [{"port": "admin"}]
    assert policies


def test_image_runs_as_nobody() -> None:
    """The last stage runs as a user that has a number and no rights, and installs nothing itself."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert len(user) == 1
    assert all(int(number) > 0 for number in user[0])
    assert not re.search(r"^(RUN|ADD|VOLUME)\b", last, re.MULTILINE)
    assert "-c constraints.txt" in DOCKERFILE
