"""Backends to test against: the recorded clusters, and generated ones."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from proxy.backend import resources
from proxy.backend.objects import Sizes, Written, populate
from proxy.backend.server import Backend
from proxy.backend.store import Store
from proxy.backend.verbs import Behaviour

RECORDINGS = Path(__file__).parent / "recordings"
CONTENT = {
    resources.PODS: "pods.json",
    resources.WIDGETS: "widgets.json",
    resources.NAMESPACES: "namespaces.json",
    resources.EVENTS: "events.json",
    resources.SECRETS: "secrets.json",
    resources.CONFIG_MAPS: "configmaps.json.gz",
}
# The recorded watch from resourceVersion 1 was told that 42 is the oldest.
RECORDED_COMPACTION = 42

Client = TestClient[Request, Application]


class ListMeta(msgspec.Struct):
    """A List's metadata."""

    resourceVersion: str  # noqa: N815


class RecordedList(msgspec.Struct):
    """A recorded List, its items as bytes."""

    metadata: ListMeta
    items: list[msgspec.Raw]


class ItemMeta(msgspec.Struct):
    """An item's metadata."""

    name: str
    resourceVersion: str  # noqa: N815
    namespace: str = ""
    labels: dict[str, str] = {}


class Item(msgspec.Struct):
    """An item."""

    metadata: ItemMeta


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    status: int
    response_headers: list[list[str]]
    body: str | None = None
    length: int = 0
    sha256: str = ""


@dataclass
class Options:
    """How a test wants its generated cluster."""

    sizes: Sizes = field(default_factory=lambda: Sizes(pods=40, secrets=8, configmaps=8, nodes=3, widgets=9))
    behaviour: Behaviour = field(default_factory=Behaviour)
    token_lifetime: float = 300.0


def exchanges(version: str) -> list[Exchange]:
    """Return the recorded exchanges of one server."""
    return [Exchange(**entry) for entry in json.loads((RECORDINGS / version / "exchanges.json").read_text())]


def read(version: str, name: str) -> bytes:
    """Return a recorded List."""
    body = (RECORDINGS / version / name).read_bytes()
    return gzip.decompress(body) if name.endswith(".gz") else body


def recorded_store(version: str) -> Store:
    """Rebuild the cluster that was recorded."""
    store = Store([], token_lifetime=300, etcd_tokens=version == "v1.32")
    for resource, name in CONTENT.items():
        content = msgspec.json.decode(read(version, name), type=RecordedList)
        for raw in content.items:
            metadata = msgspec.json.decode(raw, type=Item).metadata
            key = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
            number = int(metadata.resourceVersion)
            store.collections[resource].put(key, Written(key, number, metadata.labels, bytes(raw)), number)
        store.version = int(content.metadata.resourceVersion)
    store.history.compacted = RECORDED_COMPACTION
    return store


def generated_backend(options: Options) -> Backend:
    """Build a generated cluster."""
    streaming = options.behaviour.streaming
    store = Store(populate(options.sizes), token_lifetime=options.token_lifetime, etcd_tokens=not streaming)
    return Backend(store, options.behaviour)


def client_of(backend: Backend) -> Client:
    """Return a client that is not connected yet; bodies stay as they are on the wire."""
    return TestClient(TestServer(backend.application()), auto_decompress=False)
