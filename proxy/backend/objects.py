"""Objects that exist without being held: a population renders any of its members from its index."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from proxy.backend import gojson, podspec
from proxy.backend.resources import CONFIG_MAPS, NAMESPACES, NODES, PODS, SECRETS, WIDGETS, Resource
from proxy.backend.shapes import DataPool, DataShape, Piece, PlainShape, PodShape, Shape, uid_template

KIB = 1024
WIDGET_TEMPLATES = 64
NODE_TEMPLATES = 16
SMALLEST_OWNED = 512
FIRST_NAMESPACES = ("default", "kube-system", "a", "a-b")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many objects there are, and how large."""

    pods: int = 1000
    pod_size: int = 2500
    secrets: int = 10
    secret_size: int = 4 * KIB
    configmaps: int = 10
    configmap_size: int = 4 * KIB
    namespaces: int = 4
    nodes: int = 10
    widgets: int = 10
    seed: int = 0


class Population:
    """The generated objects of one resource, in storage-key order."""

    def __init__(
        self, resource: Resource, shape: Shape, names: Sequence[str] | str, count: int, namespaces: Sequence[str]
    ) -> None:
        self.resource = resource
        self.shape = shape
        self.names = names
        self.count = count
        self.first_version = 0
        # The order is that of the bytes "namespace/name", so `a-b` comes before `a`.
        self.namespaces = sorted(namespaces, key=lambda namespace: namespace + "/") if resource.namespaced else [""]
        self.starts = [number * count // len(self.namespaces) for number in range(len(self.namespaces))]
        self.encoded = [namespace.encode() for namespace in self.namespaces]

    @cached_property
    def pattern(self) -> bytes:
        """How an index becomes a name, zero-padded so that names sort as indexes do."""
        return f"{self.names}-%0{max(5, len(str(self.count)))}d".encode()

    @cached_property
    def item_bytes(self) -> int:
        """Return about how large a member is: as the first one."""
        return len(self.chunk(0, 1))

    def name(self, index: int) -> bytes:
        """Return the name of one member."""
        return self.pattern % index if isinstance(self.names, str) else self.names[index].encode()

    def key(self, index: int) -> str:
        """Return the storage key of one member."""
        namespace = self.namespaces[bisect_right(self.starts, index) - 1]
        name = self.name(index).decode()
        return f"{namespace}/{name}" if namespace else name

    def find(self, key: str) -> tuple[int, bool]:
        """Where a key stands or would stand, and whether it is there."""
        position = bisect_left(range(self.count), key, key=self.key)
        return position, position < self.count and self.key(position) == key

    def named(self, name: str) -> list[int]:
        """Return the members of that name, in order."""
        found = (self.find(f"{namespace}/{name}" if namespace else name) for namespace in self.namespaces)
        return [position for position, exact in found if exact]

    def labels(self, index: int) -> Mapping[str, str]:
        """Return the labels of one member."""
        return self.shape.labels(index)

    def chunk(self, start: int, stop: int) -> bytes:
        """Return the items start..stop as they stand in a List, joined by commas."""
        out: list[Piece] = []
        number = bisect_right(self.starts, start) - 1
        while start < stop:
            end = min(stop, self.starts[number + 1]) if number + 1 < len(self.starts) else stop
            self.append_run(out, self.encoded[number], start, end)
            start = end
            number += 1
        out.pop()
        return b"".join(out)

    def append_run(self, out: list[Piece], namespace: bytes, start: int, stop: int) -> None:
        """Append items of one namespace, each with the comma that follows it."""
        append, first = self.shape.append, self.first_version
        if isinstance(self.names, str):
            pattern = self.pattern
            for index in range(start, stop):
                append(out, pattern % index, namespace, index, first + index)
                out.append(b",")
            return
        for index in range(start, stop):
            append(out, self.names[index].encode(), namespace, index, first + index)
            out.append(b",")

    def item(self, index: int, version: int) -> bytes:
        """One item at another resourceVersion than its first."""
        out: list[Piece] = []
        namespace = self.encoded[bisect_right(self.starts, index) - 1]
        self.shape.append(out, self.name(index), namespace, index, version)
        return b"".join(out)


@dataclass(frozen=True, slots=True)
class Generated:
    """A member of a population at some resourceVersion."""

    population: Population
    index: int
    version: int

    @property
    def key(self) -> str:
        """Its storage key."""
        return self.population.key(self.index)

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.population.labels(self.index)

    @property
    def weight(self) -> int:
        """Bytes held by the history for it."""
        return 0

    def item(self) -> bytes:
        """Its bytes as a list item."""
        return self.population.item(self.index, self.version)


@dataclass(frozen=True, slots=True)
class Written:
    """An object that came through the API."""

    key: str
    version: int
    labels: Mapping[str, str]
    data: bytes

    @property
    def weight(self) -> int:
        """Bytes held by the history for it."""
        return len(self.data)

    def item(self) -> bytes:
        """Its bytes as a list item."""
        return self.data


StoredObject = Generated | Written


def populate(sizes: Sizes) -> list[Population]:
    """Make every population and give each member its own resourceVersion."""
    namespaces = namespace_names(sizes.namespaces)
    source = random.Random(f"{sizes.seed}-objects")
    populations = [
        Population(NAMESPACES, namespace_shape(source, namespaces), namespaces, len(namespaces), [""]),
        Population(NODES, node_shape(source), "node", sizes.nodes, [""]),
        Population(PODS, PodShape(sizes.seed, sizes.pod_size, sizes.pods, sizes.nodes), "web", sizes.pods, namespaces),
        Population(SECRETS, secret_shape(source, sizes), "secret", sizes.secrets, namespaces),
        Population(CONFIG_MAPS, configmap_shape(source, sizes), "config", sizes.configmaps, namespaces),
        Population(WIDGETS, widget_shape(source), "w", sizes.widgets, namespaces),
    ]
    version = 1
    for population in populations:
        population.first_version = version + 1
        version += population.count
    return populations


def namespace_names(count: int) -> list[str]:
    """Return the first `count` namespaces, sorted as storage keys are."""
    names = [*FIRST_NAMESPACES, *(f"ns-{number:05d}" for number in range(count - len(FIRST_NAMESPACES)))]
    return sorted(names[:count])


def namespace_shape(source: random.Random, names: Sequence[str]) -> Shape:
    """One template for each namespace, because a label repeats its name."""
    texts = [gojson.print_in_order(podspec.namespace_document(uid_template(source), name)) for name in names]
    return PlainShape(texts, [{"kubernetes.io/metadata.name": name} for name in names])


def node_shape(source: random.Random) -> Shape:
    """Return a few kinds of Node."""
    texts = [
        gojson.print_in_order(podspec.node_document(number, uid_template(source))) for number in range(NODE_TEMPLATES)
    ]
    return PlainShape(texts, [{"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}])


def widget_shape(source: random.Random) -> Shape:
    """Return a few kinds of widget."""
    texts = [
        gojson.print_in_order(podspec.widget_document(number, uid_template(source)))
        for number in range(WIDGET_TEMPLATES)
    ]
    return PlainShape(texts, [{}])


def secret_shape(source: random.Random, sizes: Sizes) -> Shape:
    """Secrets with one large base64 value."""
    fields: podspec.Document = {"f:data": {".": {}, "f:blob": {}}, "f:type": {}}
    document = podspec.data_document(uid_template(source), fields, {"blob": "@DATA@"}, "Secret")
    return DataShape(document, DataPool.base64(sizes.seed, sizes.secret_size), sizes.secret_size)


def configmap_shape(source: random.Random, sizes: Sizes) -> Shape:
    """ConfigMaps with one large text; small ones without the owners of their fields, which would be most of them."""
    if sizes.configmap_size < SMALLEST_OWNED:
        return PlainShape(
            [gojson.print_in_order(podspec.bare_document(source, uid_template(source), sizes.configmap_size))], [{}]
        )
    fields: podspec.Document = {"f:data": {".": {}, "f:text": {}}}
    document = podspec.data_document(uid_template(source), fields, {"text": "@DATA@"}, "ConfigMap")
    return DataShape(document, DataPool.text(sizes.seed, sizes.configmap_size), sizes.configmap_size)
