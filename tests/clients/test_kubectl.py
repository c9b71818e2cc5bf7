"""kubectl, each version at hand, through the proxy in both credential modes."""

import json
import subprocess

from tests.clients.conftest import Kubectl

CONFIG_MAP = json.dumps(
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "from-kubectl"}, "data": {"key": "a<b & ü"}}
)


def test_lists_pods_as_a_table(kubectl: Kubectl) -> None:
    """`get pods` prints the server's Table."""
    lines = kubectl.run("get", "pods").splitlines()
    assert lines[0].split()[:3] == ["NAME", "READY", "STATUS"]
    assert len(lines) > 1


def test_lists_all_namespaces_wide(kubectl: Kubectl) -> None:
    """`get -A -o wide` shows every pod with its node."""
    lines = kubectl.run("get", "pods", "-A", "-o", "wide").splitlines()
    assert "NODE" in lines[0]
    assert len(lines) == 1 + 30


def test_lists_as_json_and_yaml(kubectl: Kubectl) -> None:
    """`-o json` has every item, `-o yaml` too."""
    listed = json.loads(kubectl.run("get", "pods", "-A", "-o", "json"))
    assert len(listed["items"]) == 30
    assert kubectl.run("get", "pods", "-A", "-o", "yaml").count("\n- apiVersion:") == 30


def test_sorts(kubectl: Kubectl) -> None:
    """`--sort-by`, for which kubectl asks whole objects in Table rows."""
    names = kubectl.run("get", "pods", "-A", "--sort-by=.metadata.name", "--no-headers").splitlines()
    found = [line.split()[1] for line in names]
    assert found == sorted(found)
    assert len(found) == 30


def test_reads_raw_bytes(kubectl: Kubectl) -> None:
    """`get --raw` prints the body as it is."""
    body = kubectl.run("get", "--raw", "/api/v1/namespaces/default/pods?limit=2")
    assert body.startswith('{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":')
    assert body.endswith("]}\n")


def test_creates_watches_and_deletes(kubectl: Kubectl) -> None:
    """`create -f`, `get -w` until the object is seen, `delete`."""
    assert "created" in kubectl.run("create", "-f", "-", stdin=CONFIG_MAP)
    watch = subprocess.Popen(
        kubectl.command("get", "configmaps", "from-kubectl", "-w", "-o", "name"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=kubectl.env,
    )
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline().strip() == "configmap/from-kubectl"
        assert "deleted" in kubectl.run("delete", "configmap", "from-kubectl")
        assert watch.stdout.readline().strip() == "configmap/from-kubectl"
    finally:
        watch.terminate()
        watch.communicate(timeout=20)
