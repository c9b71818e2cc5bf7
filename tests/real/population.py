"""What the tests list: two namespaces whose names sort against their keys, and objects of every kind in both."""

import time
from dataclasses import dataclass
from typing import Any

from tests.real.server import MERGE_PATCH, Caller, Server

NAMESPACES = {"a": 25, "a-b": 17}
"""How many objects of each kind; every key of `a-b` comes before those of `a`, as `-` does before `/`."""
COUNT = sum(NAMESPACES.values())
EVENTS = 7
SECRET_BYTES = 16 << 10

CUSTOM = "/apis/example.com/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com", "labels": {"tier": "even"}},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }
        ],
    },
}

SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.1
PASSING = (403, 404, 409, 429, 500, 503, 504)
"""Answers of a server that is still coming up: a new resource is not served everywhere at once."""


@dataclass(frozen=True)
class Collection:
    """Something to list: its path, a field selector that some objects fit, and how many items there are at least."""

    path: str
    field: str
    least: int = COUNT
    objects: str = ""
    """The namespaced path of the object called `object-03`, where there is one."""


COLLECTIONS = {
    "pods": Collection(
        "/api/v1/pods", "status.phase=Pending,metadata.namespace=a", objects="/api/v1/namespaces/a/pods"
    ),
    "pods-in-a": Collection("/api/v1/namespaces/a/pods", "metadata.name=object-03", NAMESPACES["a"]),
    "configmaps": Collection("/api/v1/configmaps", "metadata.namespace!=a", objects="/api/v1/namespaces/a/configmaps"),
    "configmaps-in-a-b": Collection("/api/v1/namespaces/a-b/configmaps", "metadata.name=object-03", NAMESPACES["a-b"]),
    "secrets": Collection(
        "/api/v1/secrets", "type=Opaque,metadata.namespace=a-b", objects="/api/v1/namespaces/a/secrets"
    ),
    "widgets": Collection(f"{CUSTOM}/widgets", "metadata.name=object-03", objects=f"{CUSTOM}/namespaces/a/widgets"),
    "widgets-in-a": Collection(f"{CUSTOM}/namespaces/a/widgets", "metadata.name=object-03", NAMESPACES["a"]),
    "events": Collection("/api/v1/events", "involvedObject.name=object-03", EVENTS),
    "namespaces": Collection("/api/v1/namespaces", "metadata.name=a-b", len(NAMESPACES)),
    "clusterroles": Collection("/apis/rbac.authorization.k8s.io/v1/clusterroles", "metadata.name=view", 10),
    "definitions": Collection(DEFINITIONS, "metadata.name=widgets.example.com", 1),
}
"""Typed and custom, namespaced and not, kept in the watch cache and (events) not, of each server in the chain."""


def populate(server: Server) -> None:
    """Create everything, and wait until every collection is served from etcd and from the cache."""
    with server.caller() as caller:
        for namespace in NAMESPACES:
            _until_done(caller, "POST", "/api/v1/namespaces", _object("v1", "Namespace", namespace, 2))
        _until_done(caller, "POST", DEFINITIONS, WIDGETS)
        _wait_until_served(caller)
        for namespace, count in NAMESPACES.items():
            for index in range(count):
                for path, body in _objects(namespace, index):
                    _until_done(caller, "POST", path, body)
        for collection in COLLECTIONS.values():
            for options in ("", "?resourceVersion=0"):
                _until_done(caller, "GET", collection.path + options)


def _wait_until_served(caller: Caller) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    name = f"{DEFINITIONS}/widgets.example.com"
    while True:
        body = _until_done(caller, "GET", name)
        if b'"type":"Established"' in body and caller.call("GET", f"{CUSTOM}/widgets")[0] == 200:
            return
        assert time.monotonic() < deadline, f"custom resources were not served in time: {body!r}"
        time.sleep(POLL_SECONDS)


def _until_done(caller: Caller, method: str, target: str, body: object = None) -> bytes:
    """Call until the server has done it. A second POST finds what the first has made."""
    deadline = time.monotonic() + SETTLE_SECONDS
    content_type = MERGE_PATCH if method == "PATCH" else "application/json"
    while True:
        status, answer = caller.call(method, target, body, content_type)
        if status in (200, 201) or (status == 409 and b'"AlreadyExists"' in answer):
            return answer
        assert status in PASSING, f"{method} {target}: {status} {answer!r}"
        assert time.monotonic() < deadline, f"{method} {target} did not succeed in time: {status} {answer!r}"
        time.sleep(POLL_SECONDS)


def _objects(namespace: str, index: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects that are created under one number, each with the path to post it to."""
    name = f"object-{index:02}"
    core = f"/api/v1/namespaces/{namespace}"
    pod = _object("v1", "Pod", name, index)
    pod["spec"] = {"containers": [{"name": "main", "image": "example.com/none:1", "args": ["<&>", "ü", '"']}]}
    secret = _object("v1", "Secret", name, index)
    secret["stringData"] = {"key": "s" * SECRET_BYTES}
    objects = [
        (f"{core}/pods", pod),
        (f"{core}/configmaps", config_map(name, index)),
        (f"{core}/secrets", secret),
        (f"{CUSTOM}/namespaces/{namespace}/widgets", widget(name, index)),
    ]
    if namespace == "a" and index < EVENTS:
        event = _object("v1", "Event", name, index)
        event |= {"involvedObject": {"kind": "Pod", "namespace": namespace, "name": name}, "reason": "Tested"}
        event |= {"type": "Normal", "message": "nothing <happened> & nobody minded"}
        objects.append((f"{core}/events", event))
    return objects


def config_map(name: str, index: int) -> dict[str, Any]:
    """Return a ConfigMap with text that Go escapes its own way."""
    return _object("v1", "ConfigMap", name, index) | {"data": {"text": 'a<b & "c" \u2028 ü 日本\n', "key": "v" * index}}


def widget(name: str, index: int) -> dict[str, Any]:
    """Return a Widget with the numbers and strings that are easily changed by decoding them."""
    spec = {"size": index, "ratio": 0.1, "large": 1e21, "small": 1e-7, "text": "<ü> \u2029", "none": [], "map": {}}
    return _object("example.com/v1", "Widget", name, index) | {"spec": spec}


def _object(api_version: str, kind: str, name: str, index: int) -> dict[str, Any]:
    labels = {"tier": "odd" if index % 2 else "even", "index": str(index)}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}}
