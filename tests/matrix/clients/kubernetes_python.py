"""The official Python client, from 31 on."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import closing

import kubernetes
from kubernetes import client, dynamic, stream
from kubernetes import watch as watching
from kubernetes.dynamic.discovery import EagerDiscoverer

try:
    from kubernetes.informer import SharedInformer
except ImportError:  # before 36
    SharedInformer = None

from tests.matrix.clients.cells import (
    COMMAND,
    CONTAINER,
    HTTP,
    LABELS,
    LISTED,
    MANAGER,
    OBJECTS,
    PAGE,
    Cell,
    Json,
    Operations,
    changes,
    digest,
)


def described(error: Exception) -> str:
    """Return what an error says, without the headers of its response."""
    body = getattr(error, "body", None)
    # What refuses a WebSocket is printed as a dictionary of headers.
    text = re.sub(r"-\+-\+- .* -\+-\+-", "", str(body or error))
    return f"{type(error).__name__} {getattr(error, 'status', '')} {text}"


OPERATIONS = Operations(described)


def connect(cell: Cell) -> client.ApiClient:
    """Return a client, of which each has its own connections."""
    configuration = client.Configuration(host=cell.server)
    return client.ApiClient(configuration)


def core(cell: Cell) -> client.CoreV1Api:
    """Return the API of the core group."""
    return client.CoreV1Api(connect(cell))


def plain(cell: Cell, item: object) -> Json:
    """Return an object of the client's as JSON."""
    found: Json = connect(cell).sanitize_for_serialization(item)
    return found


@OPERATIONS.add
def get(cell: Cell) -> object:
    """Get an object."""
    return plain(cell, core(cell).read_namespaced_config_map("settings", cell.namespace))


@OPERATIONS.add
def missing(cell: Cell) -> object:
    """Get an object that is not there."""
    try:
        core(cell).read_namespaced_config_map("nope", cell.namespace)
    except client.ApiException as error:
        return [error.status, error.reason, json.loads(error.body)]
    raise AssertionError("found")


@OPERATIONS.add
def whole_list(cell: Cell) -> object:
    """List without a limit."""
    return digest(map(connect(cell).sanitize_for_serialization, core(cell).list_namespaced_pod(LISTED).items))


@OPERATIONS.add
def pages(cell: Cell) -> object:
    """List page by page."""
    api, items, sizes, token = core(cell), [], [], None
    while token != "":
        page = api.list_namespaced_pod(LISTED, limit=PAGE, _continue=token)
        items += page.items
        sizes.append([len(page.items), page.metadata.remaining_item_count])
        token = page.metadata._continue or ""
    return [sizes, digest(map(connect(cell).sanitize_for_serialization, items))]


@OPERATIONS.add
def custom(cell: Cell) -> object:
    """List custom resources of all namespaces."""
    api = client.CustomObjectsApi(connect(cell))
    return digest(api.list_cluster_custom_object("example.com", "v1", "widgets")["items"])


@OPERATIONS.add
def watch(cell: Cell) -> object:
    """See an object come, change and go while watching."""
    api, seen = core(cell), []
    version = api.list_namespaced_config_map(cell.namespace).metadata.resource_version
    writer = core(cell)
    writer.create_namespaced_config_map(cell.namespace, OBJECTS["created"])
    watcher = watching.Watch()
    for event in watcher.stream(
        api.list_namespaced_config_map, cell.namespace, resource_version=version, timeout_seconds=20
    ):
        seen.append(changes(event["type"], event["raw_object"]))
        if event["type"] == "ADDED":
            writer.patch_namespaced_config_map("created", cell.namespace, OBJECTS["ready_patch"])
        elif event["type"] == "MODIFIED":
            writer.delete_namespaced_config_map("created", cell.namespace)
        else:
            watcher.stop()
    return seen


def informer(cell: Cell) -> object:
    """Let an informer fill its cache and see a change."""
    api, added, changed = core(cell), threading.Event(), threading.Event()
    cached = SharedInformer(api.list_namespaced_config_map, namespace=cell.namespace)
    names: set[str] = set()

    def arrived(name: str) -> None:
        names.add(name)
        if len(names) == 2:
            added.set()

    cached.add_event_handler("ADDED", lambda item: arrived(item.metadata.name))
    cached.add_event_handler("MODIFIED", lambda _: changed.set())
    cached.start()
    try:
        assert added.wait(20)
        core(cell).patch_namespaced_config_map("settings", cell.namespace, OBJECTS["ready_patch"])
        assert changed.wait(20)
        return {item.metadata.name: item.data for item in cached.cache.list()}
    finally:
        cached.stop()


if SharedInformer is not None:
    OPERATIONS.add(informer)


@OPERATIONS.add
def create(cell: Cell) -> object:
    """Create an object."""
    return plain(cell, core(cell).create_namespaced_config_map(cell.namespace, OBJECTS["created"]))


@OPERATIONS.add
def replace(cell: Cell) -> object:
    """Replace an object."""
    return plain(cell, core(cell).replace_namespaced_config_map("settings", cell.namespace, OBJECTS["replacement"]))


def patched(cell: Cell, kind: str, name: str, body: object, form: str, **more: object) -> object:
    """Patch an object with the dynamic client, which can be told how."""
    resource = dynamics(cell).resources.get(api_version="v1", kind=kind)
    return resource.patch(body=body, name=name, namespace=cell.namespace, content_type=form, **more).to_dict()


def dynamics(cell: Cell) -> dynamic.DynamicClient:
    """Return a dynamic client that discovers at once."""
    return dynamic.DynamicClient(
        connect(cell), cache_file=str(cell.scratch / cell.namespace), discoverer=EagerDiscoverer
    )


@OPERATIONS.add
def json_patch(cell: Cell) -> object:
    """Patch: JSON."""
    return patched(cell, "ConfigMap", "settings", OBJECTS["json_patch"], "application/json-patch+json")


@OPERATIONS.add
def merge_patch(cell: Cell) -> object:
    """Patch: merge."""
    return patched(cell, "ConfigMap", "settings", OBJECTS["merge_patch"], "application/merge-patch+json")


@OPERATIONS.add
def strategic_patch(cell: Cell) -> object:
    """Patch: strategic."""
    return patched(cell, "Pod", "web", OBJECTS["strategic_patch"], "application/strategic-merge-patch+json")


@OPERATIONS.add
def server_side_apply(cell: Cell) -> object:
    """Apply on the server, twice."""
    found = dynamics(cell)
    resource = found.resources.get(api_version="v1", kind="ConfigMap")
    return [
        found.server_side_apply(
            resource, body=OBJECTS[name], name="applied", namespace=cell.namespace, field_manager=MANAGER
        ).to_dict()
        for name in ("applied", "applied_again")
    ]


@OPERATIONS.add
def delete(cell: Cell) -> object:
    """Delete an object."""
    return plain(cell, core(cell).delete_namespaced_config_map("settings", cell.namespace))


@OPERATIONS.add
def delete_collection(cell: Cell) -> object:
    """Delete by a selector."""
    api = core(cell)
    api.delete_collection_namespaced_config_map(cell.namespace, label_selector=LABELS)
    return [item.metadata.name for item in api.list_namespaced_config_map(cell.namespace).items]


@OPERATIONS.add
def execute(cell: Cell) -> object:
    """Run a command, with output on both streams and an exit code; another one with input."""
    call = core(cell).connect_get_namespaced_pod_exec
    where: Json = {"container": CONTAINER, "stdout": True, "stderr": True, "tty": False, "_preload_content": False}
    first = stream.stream(call, "web", cell.namespace, command=list(COMMAND), stdin=False, **where)
    first.run_forever(timeout=20)
    second = stream.stream(call, "web", cell.namespace, command=["cat"], stdin=True, **where)
    second.write_stdin("in\n")
    echoed = second.readline_stdout(timeout=20)
    second.close()
    return [first.read_stdout(), first.read_stderr(), first.returncode, echoed]


@OPERATIONS.add
def attach(cell: Cell) -> object:
    """See what is typed come back between the lines of the console."""
    console = stream.stream(
        core(cell).connect_get_namespaced_pod_attach, "web", cell.namespace, container=CONTAINER,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    console.write_stdin("typed\n")
    seen: set[str] = set()
    while not {"typed", "tick"} <= seen:
        text = console.readline_stdout(timeout=20)
        seen.add("tick" if " tick " in text else text)
    console.close()
    return sorted(seen)


@OPERATIONS.add
def logs(cell: Cell) -> object:
    """Read the last lines."""
    return core(cell).read_namespaced_pod_log("web", cell.namespace, tail_lines=3)


@OPERATIONS.add
def follow_logs(cell: Cell) -> object:
    """Follow the lines that come."""
    watcher, numbers = watching.Watch(), []
    for text in watcher.stream(core(cell).read_namespaced_pod_log, "web", cell.namespace, tail_lines=2):
        numbers.append(int(text.split(" tick ")[1]))
        if len(numbers) == 5:
            break
    return [number - numbers[0] for number in numbers]


@OPERATIONS.add
def port_forward(cell: Cell) -> object:
    """Forward two ports, and use each."""
    call = core(cell).connect_get_namespaced_pod_portforward
    forwarded = stream.portforward(call, "web", cell.namespace, ports="7,80")
    with closing(forwarded.socket(7)) as echo, closing(forwarded.socket(80)) as http:
        echo.setblocking(True)
        http.setblocking(True)
        echo.settimeout(20)
        http.settimeout(20)
        echo.sendall(b"echo")
        http.sendall(HTTP)
        return [received(echo, b"echo"), received(http, b"/hello\n")]


def received(connection: socket.socket, end: bytes) -> str:
    """Return everything up to the end that is waited for."""
    content = b""
    while not content.endswith(end):
        data = connection.recv(1 << 16)
        assert data, content
        content += data
    return content.decode()


@OPERATIONS.add
def can_i(cell: Cell) -> object:
    """Ask what is allowed."""
    api = client.AuthorizationV1Api(connect(cell))
    return plain(cell, api.create_self_subject_access_review(OBJECTS["review"]))["status"]


@OPERATIONS.add
def resources(cell: Cell) -> object:
    """List what the server serves."""
    found = dynamics(cell).resources.search()
    named = {f"{one.group_version}/{one.name}": sorted(getattr(one, "verbs", None) or []) for one in found if one.name}
    listed = core(cell).get_api_resources()
    return [sorted(named.items()), [one.name for one in listed.resources]]


@OPERATIONS.add
def raw(cell: Cell) -> object:
    """Get paths that are no resources', and a List as it comes."""
    found = dynamics(cell)
    paths = ("/version", "/api", "/apis", f"/api/v1/namespaces/{LISTED}/pods")
    *answers, listed = [json.loads(found.request("get", path, serialize=False).data) for path in paths]
    return [answers, digest(listed["items"])]


if __name__ == "__main__":
    assert kubernetes.__version__
    OPERATIONS.serve()
