"""Watches: which events a request sees, as bytes. The server waits for changes and writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy.backend import gojson, manifest, status
from proxy.backend.collection import namespace_scope
from proxy.backend.encoding import Printer, complete
from proxy.backend.history import Change
from proxy.backend.listoptions import ListOptions, parse_version
from proxy.backend.negotiation import Form
from proxy.backend.objects import StoredObject
from proxy.backend.status import ApiError
from proxy.backend.store import Store, flatten

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
INITIAL_END = "k8s.io/initial-events-end"
BLUEPRINT = "kubernetes.io/initial-events-list-blueprint"


def with_defaults(options: ListOptions) -> ListOptions:
    """Promote a watch from nowhere in particular: it starts with the current state."""
    if options.initial_events is None and options.version in {"", "0"}:
        return replace(options, initial_events=True)
    return options


class Watcher:
    """One watch: what it has seen, and how it prints what comes."""

    def __init__(
        self, store: Store, printer: Printer, namespace: str, options: ListOptions, *, streaming: bool
    ) -> None:
        self.store = store
        self.printer = printer
        self.scope = namespace_scope(namespace or None)
        self.options = options
        self.streaming = streaming
        self.wanted = parse_version(options.version or "0")
        self.position = store.version
        self.first = True

    def start(self) -> Iterator[bytes]:
        """Yield the initial events, and the bookmark that ends them; an error event ends the watch."""
        if self.options.initial_events:
            if self.wanted > self.store.version:
                raise status.version_too_large(self.wanted, self.store.version)
            yield from self.initial()
        elif self.wanted:
            self.position = self.wanted
            self.check()

    def initial(self) -> Iterator[bytes]:
        """Yield everything as it is now."""
        collection = self.store.collections[self.printer.resource]
        segments = collection.select(collection.segments(self.scope, self.position), self.options.selection)
        for value in flatten(collection, segments):
            yield self.event(ADDED, value)
        if self.options.bookmarks:
            yield self.bookmark(end=True)

    def check(self) -> None:
        """Fail where changes that this watch hasn't seen are forgotten."""
        oldest = self.store.history.compacted
        if self.position < oldest:
            raise ApiError(410, "Expired", f"too old resource version: {self.position} ({oldest})")

    def poll(self) -> Iterator[bytes]:
        """Yield what has happened since the last call."""
        self.check()
        for change in self.store.history.since(self.position):
            self.position = change.version
            if change.resource is self.printer.resource and self.scope.contains(change.key):
                yield from self.observe(change)

    def observe(self, change: Change) -> Iterator[bytes]:
        """Yield the event that a change is to this watch's selection."""
        was, is_now = self.selects(change.before), self.selects(change.after)
        if is_now and change.after:
            yield self.event(MODIFIED if was else ADDED, change.after)
        elif was and change.before:
            yield self.event(DELETED, manifest.restamp(change.resource, change.before, change.version))

    def selects(self, value: StoredObject | None) -> bool:
        """Return whether an object is selected."""
        return value is not None and self.options.selection.matches(value)

    def event(self, kind: str, value: StoredObject) -> bytes:
        """Print one event."""
        item = value.item()
        if self.printer.accepted.form is Form.TABLE:
            return self.line(kind, self.table(self.printer.row(item), value.version))
        return self.line(kind, self.printer.single(item))

    def line(self, kind: str, body: bytes) -> bytes:
        """Print one line of the stream."""
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), body)

    def table(self, row: bytes, version: int) -> bytes:
        """Print a Table of one row; only the first has column definitions."""
        head = self.printer.table_head(b'{"resourceVersion":"%d"}' % version, definitions=self.first)
        self.first = False
        return head + row + b"]}"

    def bookmark(self, *, end: bool = False) -> bytes:
        """Print a bookmark: an empty object with the resourceVersion that the watch has reached."""
        item = self.empty_item(self.annotations(end=end))
        match self.printer.accepted.form:
            case Form.TABLE:
                return self.line("BOOKMARK", self.table(self.printer.row(item), self.position))
            case Form.PARTIAL:
                return self.line("BOOKMARK", self.printer.single(item))
            case Form.OBJECT:
                return self.line("BOOKMARK", complete(self.printer.resource, item))

    def annotations(self, *, end: bool) -> dict[str, str]:
        """Return what marks the end of the initial events; up to 1.33 it carries an empty list, too."""
        if not end:
            return {}
        marks = {INITIAL_END: "true"}
        if not self.streaming:
            marks[BLUEPRINT] = self.printer.blueprint()
        return marks

    def empty_item(self, annotations: dict[str, str]) -> bytes:
        """Print the zero value of the resource's type."""
        resource = self.printer.resource
        marks = b',"annotations":%b' % gojson.encode(annotations) if annotations else b""
        if resource.custom:
            metadata = b'{%b"resourceVersion":"%d"}' % (marks[1:] + b"," if marks else b"", self.position)
            names = (resource.api_version.encode(), resource.kind.encode(), metadata)
            return b'{"apiVersion":"%b","kind":"%b","metadata":%b}' % names
        created = b"" if self.streaming else b',"creationTimestamp":null'
        metadata = b'{"resourceVersion":"%d"%b%b}' % (self.position, created, marks)
        return b'{"metadata":%b%b}' % (metadata, resource.zero_value.encode())


def error_event(error: ApiError) -> bytes:
    """Print the event that ends a watch."""
    return b'{"type":"ERROR","object":%b}\n' % error.body()
