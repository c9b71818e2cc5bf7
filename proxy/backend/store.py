"""Every object, its history and the rules of Lists, without any IO: the clock comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from proxy.backend import tokens
from proxy.backend.collection import Collection, Segment, Span, after, namespace_scope, size
from proxy.backend.history import Change, History
from proxy.backend.listoptions import ListOptions, parse_version
from proxy.backend.objects import Population, StoredObject
from proxy.backend.resources import RESOURCES, Resource
from proxy.backend.shapes import PlainShape
from proxy.backend.status import bad_request, expired_continue, expired_list, version_too_large


@dataclass(frozen=True, slots=True)
class Page:
    """What a List answers: one snapshot's segments, and where the next page starts."""

    collection: Collection
    version: int
    segments: Iterable[Segment]
    token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which state a List is answered from."""

    version: int
    first: bool = True
    last_key: str = ""
    limited: bool = True


class Store:
    """The state of the simulated cluster."""

    def __init__(self, populations: Sequence[Population], *, token_lifetime: float, etcd_tokens: bool) -> None:
        by_resource = {population.resource: population for population in populations}
        self.collections = {
            resource: Collection(resource, by_resource.get(resource) or vacant(resource)) for resource in RESOURCES
        }
        self.version = max((p.first_version + p.count for p in populations), default=1)
        self.history = History(self.version)
        self.token_lifetime = token_lifetime
        self.etcd_tokens = etcd_tokens
        self.pins: dict[int, float] = {}
        self.listeners: set[Callable[[], None]] = set()

    def put(self, resource: Resource, key: str, make: Callable[[int], StoredObject | None], now: float) -> Change:
        """Write one object, made for the next resourceVersion; None deletes it."""
        collection = self.collections[resource]
        before = collection.get(key)
        self.version += 1
        value = make(self.version)
        collection.put(key, value, self.version)
        change = Change(self.version, now, resource, key, before, value)
        self.history.append(change)
        for old in self.history.compact(now - self.token_lifetime):
            self.collections[old.resource].compact(old.key, self.history.compacted)
        for listener in tuple(self.listeners):
            listener()
        return change

    def list(self, resource: Resource, namespace: str | None, options: ListOptions, now: float) -> Page:
        """Answer a List from the snapshot that its options ask for."""
        snapshot = self.snapshot(resource, options, now)
        scope = namespace_scope(namespace)
        prefix = scope.start
        if snapshot.last_key:
            scope = after(scope, prefix + snapshot.last_key)
        collection = self.collections[resource]
        segments = collection.segments(scope, snapshot.version)
        limit = options.limit if snapshot.limited else 0
        page, last = cut(collection, segments, options, limit)
        if last is None:
            return Page(collection, snapshot.version, page)
        if snapshot.first:
            self.pin(snapshot.version, now)
        position = tokens.Position(snapshot.version, last.removeprefix(prefix))
        from_cache = resource.cached and (snapshot.first or not self.etcd_tokens)
        token = tokens.encode(position, slash=from_cache)
        remaining = sum(map(size, segments)) - limit if options.selection.everything else None
        return Page(collection, snapshot.version, page, token, remaining)

    def pin(self, version: int, now: float) -> None:
        """Remember when a snapshot was last handed out in pages; expired ones, which come first, are forgotten."""
        self.pins.pop(version, None)
        self.pins[version] = now
        while now - self.pins[oldest := next(iter(self.pins))] > self.token_lifetime:
            del self.pins[oldest]

    def snapshot(self, resource: Resource, options: ListOptions, now: float) -> Snapshot:
        """Choose the resourceVersion (the rules are those of 1.31 and later)."""
        if options.token:
            return self.continued(options, now)
        if options.version in {"", "0"}:
            # From the cache at resourceVersion=0 the limit is ignored, but events aren't cached.
            return Snapshot(self.version, limited=options.version == "" or not resource.cached)
        wanted = parse_version(options.version)
        if wanted > self.version:
            raise version_too_large(wanted, self.version)
        exact = options.match == "Exact" or (options.match == "" and options.limit > 0)
        if not exact:
            return Snapshot(self.version)
        if wanted < self.history.compacted:
            raise expired_list()
        return Snapshot(wanted)

    def continued(self, options: ListOptions, now: float) -> Snapshot:
        """Take up the snapshot of a continue token, unless it has expired."""
        position = tokens.decode(options.token)
        if options.version not in {"", "0"}:
            raise bad_request("specifying resource version is not allowed when using continue")
        if position.version == tokens.LATEST:
            return Snapshot(self.version, first=False, last_key=position.last)
        if position.version > self.version:
            raise version_too_large(position.version, self.version)
        issued = self.pins.get(position.version)
        if issued is None or now - issued > self.token_lifetime or position.version < self.history.compacted:
            self.pins.pop(position.version, None)
            latest = tokens.Position(tokens.LATEST, position.last)
            raise expired_continue(tokens.encode(latest, slash=False))
        return Snapshot(position.version, first=False, last_key=position.last)


def vacant(resource: Resource) -> Population:
    """Return a population without members."""
    return Population(resource, PlainShape([], []), resource.singular, 0, [""])


def cut(
    collection: Collection, segments: list[Segment], options: ListOptions, limit: int
) -> tuple[Iterable[Segment], str | None]:
    """Return the selected segments up to the limit, and the last key of a page that others follow."""
    selected = collection.select(segments, options.selection)
    if not limit:
        return selected, None
    page: list[Segment] = []
    missing = limit
    for segment in selected:
        if size(segment) >= missing:
            page.append(Span(segment.start, segment.start + missing) if isinstance(segment, Span) else segment)
            break
        missing -= size(segment)
        if size(segment):
            page.append(segment)
    else:
        return page, None
    # Whether more follows is known before anything is filtered, so the next page can turn out empty.
    last = collection.last_key(page[-1])
    more = collection.last_key(segments[-1]) != last
    return page, last if more else None


def flatten(collection: Collection, segments: Iterable[Segment]) -> Iterable[StoredObject]:
    """Every object of some segments, one by one."""
    return chain.from_iterable(
        map(collection.generated, range(segment.start, segment.stop)) if isinstance(segment, Span) else (segment,)
        for segment in segments
    )
