"""The objects of one resource: a generated population under an overlay of everything written since.

Versions of a written key are kept as long as the history reaches, so that a List can be answered as of any
resourceVersion in it, and a page continues in the snapshot that its first page has seen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

from proxy.backend.objects import Generated, Population, StoredObject
from proxy.backend.resources import Resource
from proxy.backend.selectors import Selection


@dataclass(frozen=True, slots=True)
class Span:
    """Members start..stop of the population, none of them ever written."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Scope:
    """The keys that a request ranges over: those from `start` up to, not including, `stop`."""

    start: str = ""
    stop: str = ""

    def contains(self, key: str) -> bool:
        """Whether a key lies inside."""
        return key >= self.start and (not self.stop or key < self.stop)


Segment = Span | StoredObject

# A scan that selects little must give other requests a turn: spans are filtered in steps of this many.
SCAN_STEP = 1000


def namespace_scope(namespace: str | None) -> Scope:
    """All keys of a namespace, or all keys; `0` is the character after `/`."""
    return Scope(f"{namespace}/", f"{namespace}0") if namespace else Scope()


def after(scope: Scope, key: str) -> Scope:
    """Return what is left of a scope behind a key."""
    return Scope(max(f"{key}\0", scope.start), scope.stop)


@dataclass(slots=True)
class WrittenKey:
    """A key that has been written: where it stands in the population, and what it has been."""

    position: int
    generated: bool
    history: list[tuple[int, StoredObject | None]]

    def as_of(self, version: int | None) -> StoredObject | None:
        """Return the last object not newer than a resourceVersion."""
        if version is None:
            return self.history[-1][1]
        position = bisect_right(self.history, version, key=lambda entry: entry[0]) - 1
        return self.history[max(position, 0)][1]

    def compact(self, version: int) -> None:
        """Forget everything before the last object not newer than a resourceVersion."""
        keep = bisect_right(self.history, version, key=lambda entry: entry[0]) - 1
        del self.history[: max(keep, 0)]

    @property
    def vanished(self) -> bool:
        """Return whether nothing is left to remember."""
        return not self.generated and len(self.history) == 1 and self.history[0][1] is None


class Collection:
    """Current and past objects of one resource."""

    def __init__(self, resource: Resource, population: Population) -> None:
        self.resource = resource
        self.population = population
        self.written: dict[str, WrittenKey] = {}
        self.keys: list[str] = []

    def get(self, key: str, version: int | None = None) -> StoredObject | None:
        """One object, now or as of a resourceVersion."""
        if key in self.written:
            return self.written[key].as_of(version)
        position, exact = self.population.find(key)
        return self.generated(position) if exact else None

    def generated(self, position: int) -> Generated:
        """Return a member of the population as it was made."""
        return Generated(self.population, position, self.population.first_version + position)

    def put(self, key: str, value: StoredObject | None, version: int) -> None:
        """Write or delete a key."""
        if key not in self.written:
            position, exact = self.population.find(key)
            self.written[key] = WrittenKey(position, exact, [(0, self.generated(position) if exact else None)])
            insort(self.keys, key)
        self.written[key].history.append((version, value))

    def compact(self, key: str, version: int) -> None:
        """Forget what a key was before the last version not newer than the given one."""
        written = self.written.get(key)
        if written is None:
            return
        written.compact(version)
        if written.vanished:
            del self.written[key]
            self.keys.pop(bisect_left(self.keys, key))

    def segments(self, scope: Scope, version: int) -> list[Segment]:
        """Everything in a scope as of a resourceVersion, in storage-key order."""
        found: list[Segment] = []
        position = self.population.find(scope.start)[0]
        end = self.population.find(scope.stop)[0] if scope.stop else self.population.count
        first = bisect_left(self.keys, scope.start)
        last = bisect_left(self.keys, scope.stop) if scope.stop else len(self.keys)
        for key in self.keys[first:last]:
            written = self.written[key]
            if written.position > position:
                found.append(Span(position, written.position))
            if (value := written.as_of(version)) is not None:
                found.append(value)
            position = written.position + written.generated
        if end > position:
            found.append(Span(position, end))
        return found

    def select(self, segments: list[Segment], selection: Selection) -> Iterator[Segment]:
        """Only what is selected; an empty span now and then marks the progress of a long scan."""
        if selection.everything:
            yield from segments
            return
        for segment in segments:
            if isinstance(segment, Span):
                yield from self.select_span(segment, selection)
            elif selection.matches(segment):
                yield segment

    def select_span(self, span: Span, selection: Selection) -> Iterator[Span]:
        """Return the selected members of a span, neighbours together."""
        if selection.name is not None:
            for position in self.population.named(selection.name):
                if span.start <= position < span.stop and self.selects(selection, position):
                    yield Span(position, position + 1)
            return
        for start in range(span.start, span.stop, SCAN_STEP):
            yield from self.select_step(range(start, min(start + SCAN_STEP, span.stop)), selection)
            yield Span(0, 0)

    def select_step(self, positions: range, selection: Selection) -> Iterator[Span]:
        """Return the selected members of a short range."""
        begin: int | None = None
        for position in positions:
            if self.selects(selection, position):
                begin = position if begin is None else begin
            elif begin is not None:
                yield Span(begin, position)
                begin = None
        if begin is not None:
            yield Span(begin, positions.stop)

    def selects(self, selection: Selection, position: int) -> bool:
        """Whether a member of the population is selected."""
        if not selection.matches_labels(self.population.labels(position)):
            return False
        if not (selection.by_labels_only or selection.matches_key(self.population.key(position))):
            return False
        return not selection.contents or selection.matches_content(self.generated(position).item)

    def last_key(self, segment: Segment) -> str:
        """Return the storage key that a segment ends with."""
        return self.population.key(segment.stop - 1) if isinstance(segment, Span) else segment.key


def size(segment: Segment) -> int:
    """How many objects a segment stands for."""
    return len(segment) if isinstance(segment, Span) else 1
