"""kubectl, as a user types it. The binary is named by $MATRIX_KUBECTL."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.matrix.clients.cells import COMMAND, HTTP, LISTED, OBJECTS, Cell, Json, Operations

OPERATIONS = Operations(str)
SECONDS = 30
FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)")
LIST_VERSION = re.compile(r'"resourceVersion":"\d+"')
"""Where it comes first, it is the List's own, which grows with every write."""


class Failed(Exception):  # noqa: N818 (kubectl has, we have not)
    """kubectl's exit code and what it has to say."""


def command(cell: Cell, *arguments: str) -> list[str]:
    """Return a whole command line."""
    flags = ["--server", cell.server, "--cache-dir", str(cell.scratch / "cache"), "--namespace", cell.namespace]
    return [os.environ["MATRIX_KUBECTL"], *flags, *arguments]


def environment(cell: Cell) -> dict[str, str]:
    """Return an environment without the user's kubeconfig and kuberc."""
    return {"PATH": os.environ["PATH"], "HOME": str(cell.scratch), "KUBECONFIG": os.devnull}


def run(cell: Cell, *arguments: str, stdin: str = "", code: int = 0) -> Json:
    """Run to the end; return both streams. Raises Failed where the exit code is another."""
    done = subprocess.run(
        command(cell, *arguments), input=stdin, capture_output=True, text=True, timeout=SECONDS,
        env=environment(cell), check=False,
    )  # fmt: skip
    if done.returncode != code:
        raise Failed(f"exit code {done.returncode}: {done.stdout}{done.stderr}".strip())
    return {"stdout": done.stdout, "stderr": done.stderr}


@contextmanager
def running(cell: Cell, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run until enough was seen."""
    child = subprocess.Popen(
        command(cell, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(cell),
    )  # fmt: skip
    try:
        yield child
    finally:
        child.terminate()
        child.communicate(timeout=SECONDS)


def line(child: subprocess.Popen[str]) -> str:
    """Return the next line. Raises Failed where there is none."""
    assert child.stdout is not None
    if text := child.stdout.readline():
        return text
    raise Failed(f"ended with exit code {child.wait(SECONDS)}")


def hashed(done: Json) -> Json:
    """Return a hash of what was printed, and how many lines it has."""
    text = done["stdout"]
    return {"lines": text.count("\n"), "sha256": hashlib.sha256(text.encode()).hexdigest(), "stderr": done["stderr"]}


@OPERATIONS.add
def get(cell: Cell) -> object:
    """Get an object as JSON, YAML and a Table."""
    return [run(cell, "get", "configmap", "settings", *form) for form in (("-o", "json"), ("-o", "yaml"), ())]


@OPERATIONS.add
def missing(cell: Cell) -> object:
    """Get an object that is not there."""
    return run(cell, "get", "configmap", "nope", code=1)


@OPERATIONS.add
def whole_list(cell: Cell) -> object:
    """List without a limit."""
    return hashed(run(cell, "get", "pods", "-n", LISTED, "-o", "json", "--chunk-size=0"))


@OPERATIONS.add
def pages(cell: Cell) -> object:
    """List as kubectl does unless told otherwise: 500 at a time."""
    return hashed(run(cell, "get", "pods", "-n", LISTED, "-o", "json"))


@OPERATIONS.add
def custom(cell: Cell) -> object:
    """List custom resources of all namespaces."""
    return hashed(run(cell, "get", "widgets", "-A", "-o", "json", "--chunk-size=0"))


@OPERATIONS.add
def table(cell: Cell) -> object:
    """List as a Table, with and without pages, sorted and wide."""
    list_pods = ("get", "pods", "-n", LISTED)
    whole = run(cell, *list_pods, "--chunk-size=0")
    assert run(cell, *list_pods) == whole
    return [whole, run(cell, *list_pods, "-o", "wide", "--sort-by=.metadata.name")]


@OPERATIONS.add
def watch(cell: Cell) -> object:
    """See an object change and go while watching."""
    name = "configmap/settings"
    with running(cell, "get", name, "-w", "-o", "name", "--output-watch-events") as child:
        seen = [line(child)]
        run(cell, "patch", name, "--type=merge", "-p", json.dumps(OBJECTS["merge_patch"]))
        seen.append(line(child))
        run(cell, "delete", name)
        seen.append(line(child))
    return seen


@OPERATIONS.add
def informer(cell: Cell) -> object:
    """Wait (a List, then a watch of one object) for a change that comes once the watch is open."""
    with running(cell, "wait", "--for=jsonpath={.data.ready}=yes", "configmap/settings", "-v=6") as child:
        while "watch=true" not in line(child):
            pass
        run(cell, "patch", "configmap", "settings", "--type=merge", "-p", json.dumps(OBJECTS["ready_patch"]))
        while "condition met" not in (last := line(child)):
            pass
        return [last, child.wait(SECONDS)]


@OPERATIONS.add
def create(cell: Cell) -> object:
    """Create from a manifest."""
    return run(cell, "create", "-f", "-", "-o", "json", stdin=json.dumps(OBJECTS["created"]))


@OPERATIONS.add
def replace(cell: Cell) -> object:
    """Replace an object."""
    return run(cell, "replace", "-f", "-", "-o", "json", stdin=json.dumps(OBJECTS["replacement"]))


def patch(cell: Cell, kind: str, name: str, resource: str) -> Json:
    """Patch an object."""
    return run(cell, "patch", resource, f"--type={kind}", "-p", json.dumps(OBJECTS[name]), "-o", "json")


@OPERATIONS.add
def json_patch(cell: Cell) -> object:
    """Patch: JSON."""
    return patch(cell, "json", "json_patch", "configmap/settings")


@OPERATIONS.add
def merge_patch(cell: Cell) -> object:
    """Patch: merge."""
    return patch(cell, "merge", "merge_patch", "configmap/settings")


@OPERATIONS.add
def strategic_patch(cell: Cell) -> object:
    """Patch: strategic."""
    return patch(cell, "strategic", "strategic_patch", "pod/web")


@OPERATIONS.add
def server_side_apply(cell: Cell) -> object:
    """Apply on the server, twice."""
    arguments = ("apply", "--server-side", "--field-manager=matrix", "-f", "-", "-o", "json", "--show-managed-fields")
    return [run(cell, *arguments, stdin=json.dumps(OBJECTS[name])) for name in ("applied", "applied_again")]


@OPERATIONS.add
def apply(cell: Cell) -> object:
    """Apply as kubectl does by itself, twice."""
    return [
        run(cell, "apply", "-f", "-", "-o", "json", stdin=json.dumps(OBJECTS[name]))
        for name in ("applied", "applied_again")
    ]


@OPERATIONS.add
def delete(cell: Cell) -> object:
    """Delete an object and wait until it is gone."""
    return run(cell, "delete", "configmap", "settings")


@OPERATIONS.add
def delete_collection(cell: Cell) -> object:
    """Delete by a selector: kubectl lists and deletes one by one, --raw sends a deletecollection."""
    run(cell, "delete", "--raw", f"/api/v1/namespaces/{cell.namespace}/configmaps?labelSelector=group%3Dmany")
    run(cell, "create", "-f", "-", stdin=json.dumps(OBJECTS["created"]))
    deleted = run(cell, "delete", "configmaps", "--all")
    return [deleted, run(cell, "get", "configmaps", "-o", "name")]


@OPERATIONS.add
def execute(cell: Cell) -> object:
    """Run a command, with output on both streams and an exit code; another one with input."""
    return [
        run(cell, "exec", "web", "--", *COMMAND, code=3),
        run(cell, "exec", "-i", "web", "--", "cat", stdin="in\n" * 10_000),
    ]


@OPERATIONS.add
def attach(cell: Cell) -> object:
    """See what is typed come back between the lines of the console."""
    with running(cell, "attach", "-i", "web") as child:
        assert child.stdin is not None
        child.stdin.write("typed\n")
        child.stdin.flush()
        seen: set[str] = set()
        while not {"typed", "tick"} <= seen:
            text = line(child)
            seen.add("tick" if " tick " in text else text.strip())
    return ["tick", "typed"]


@OPERATIONS.add
def logs(cell: Cell) -> object:
    """Print the last lines."""
    return run(cell, "logs", "web", "--tail=3")


@OPERATIONS.add
def follow_logs(cell: Cell) -> object:
    """Follow the lines that come."""
    with running(cell, "logs", "-f", "--tail=2", "web") as child:
        numbers = [int(line(child).split(" tick ")[1]) for _ in range(5)]
    return [number - numbers[0] for number in numbers]


@OPERATIONS.add
def port_forward(cell: Cell) -> object:
    """Forward two ports, and use each."""
    with running(cell, "port-forward", "--address", "127.0.0.1", "web", ":7", ":80") as child:
        ports: dict[str, int] = {}
        while len(ports) < 2:
            text = line(child)
            found = FORWARDING.match(text)
            if found is None:
                raise Failed(text)
            ports[found[2]] = int(found[1])
        return {name: exchange(ports[name], sent) for name, sent in (("7", b"echo"), ("80", HTTP))}


def exchange(port: int, sent: bytes) -> str:
    """Send to a port, end, and return everything that comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(1 << 16):
            received += data
    return received.decode()


@OPERATIONS.add
def copy(cell: Cell) -> object:
    """Copy a folder into a pod and back."""
    folder = cell.scratch / cell.namespace
    files = {"a.txt": b"one\n", "sub/b.bin": bytes(range(256)) * 4096}
    for name, content in files.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    there = run(cell, "cp", str(folder / "source"), "web:/tmp")
    back = run(cell, "cp", "web:/tmp/source", str(folder / "copy"))
    found = {name: (folder / "copy" / name).read_bytes() == content for name, content in files.items()}
    return [there["stdout"], back["stdout"], found]


@OPERATIONS.add
def can_i(cell: Cell) -> object:
    """Ask what is allowed: one thing, then all of it."""
    return [run(cell, "auth", "can-i", "list", "pods"), run(cell, "auth", "can-i", "--list")]


@OPERATIONS.add
def resources(cell: Cell) -> object:
    """List what the server serves."""
    return [run(cell, "api-resources", "-o", "wide"), run(cell, "api-versions")]


@OPERATIONS.add
def explain(cell: Cell) -> object:
    """Explain a field."""
    return [run(cell, "explain", "pods"), run(cell, "explain", "pods.spec.containers")]


@OPERATIONS.add
def raw(cell: Cell) -> object:
    """Get paths that are no resources', and a List as it comes."""
    answers = [run(cell, "get", "--raw", path) for path in ("/version", "/healthz", "/api", "/apis")]
    listed = run(cell, "get", "--raw", f"/api/v1/namespaces/{LISTED}/pods")
    listed["stdout"] = LIST_VERSION.sub("", listed["stdout"], count=1)
    return [answers, hashed(listed)]


if __name__ == "__main__":
    Path(os.environ["MATRIX_KUBECTL"]).resolve(strict=True)
    OPERATIONS.serve()
