"""Objects, Lists, Tables and PartialObjectMetadata as bytes, in pieces that can be written as they come."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from proxy.backend import cells, columns, gojson
from proxy.backend.collection import Collection, Segment, Span
from proxy.backend.metadata import partial
from proxy.backend.negotiation import Accepted, Form
from proxy.backend.resources import Resource
from proxy.backend.store import Page, flatten

# Items are rendered in runs of about this many bytes: small enough for the cache, large enough for one write.
RUN_BYTES = 64 * 1024
# Rows cost some 20 us each; other requests get a turn after so many.
ROW_RUN = 100


@dataclass(frozen=True, slots=True)
class Printer:
    """How a request wants its objects printed."""

    resource: Resource
    accepted: Accepted
    include_object: str
    now: float

    def single(self, item: bytes) -> bytes:
        """One object that stands alone: the answer to a get or a write, or in a watch event."""
        if self.accepted.form is Form.PARTIAL:
            return partial(item, self.accepted.version, custom=self.resource.custom)
        return complete(self.resource, item)

    def row(self, item: bytes) -> bytes:
        """One Table row."""
        values = gojson.encode(cells.cells(self.resource, item, self.now))
        if self.include_object == "None":
            return b'{"cells":%b,"object":null}' % values
        if self.include_object == "Object":
            return b'{"cells":%b,"object":%b}' % (values, complete(self.resource, item))
        return b'{"cells":%b,"object":%b}' % (values, partial(item, self.accepted.version, custom=self.resource.custom))

    def table_head(self, metadata: bytes, *, definitions: bool = True) -> bytes:
        """Return a Table up to its first row."""
        defined = gojson.encode(columns.columns(self.resource)) if definitions else b"null"
        head = b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":%b,"columnDefinitions":%b,"rows":['
        return head % (self.accepted.version.encode(), metadata, defined)

    def answer(self, item: bytes, version: int) -> bytes:
        """Return the body of a get or a write, without its final newline."""
        if self.accepted.form is not Form.TABLE:
            return self.single(item)
        return self.table_head(b'{"resourceVersion":"%d"}' % version) + self.row(item) + b"]}"

    def blueprint(self) -> str:
        """Return an empty List in base64, as servers up to 1.33 put it into the bookmark of a WatchList."""
        resource = self.resource
        if resource.custom:
            text = f'{{"apiVersion":"{resource.api_version}","items":[],"kind":"{resource.list_kind}"}}\n'
        else:
            head = f'{{"kind":"{resource.list_kind}","apiVersion":"{resource.api_version}"'
            text = f'{head},"metadata":{{}},"items":null}}\n'
        return base64.b64encode(text.encode()).decode()

    def pages(self, page: Page) -> Iterator[bytes]:
        """Return a List in pieces, with its final newline."""
        match self.accepted.form:
            case Form.TABLE:
                yield self.table_head(typed_metadata(page))
                yield from joined(self.each(page, self.row))
                yield b"]}\n"
            case Form.PARTIAL:
                yield from self.partial_list(page)
            case Form.OBJECT:
                yield from object_list(self.resource, page)

    def each(self, page: Page, print_one: Callable[[bytes], bytes]) -> Iterator[bytes]:
        """Every object printed, in runs."""
        run: list[bytes] = []
        for value in flatten(page.collection, page.segments):
            run.append(print_one(value.item()))
            if len(run) == ROW_RUN:
                yield b",".join(run)
                run.clear()
        if run:
            yield b",".join(run)

    def partial_list(self, page: Page) -> Iterator[bytes]:
        """Return a PartialObjectMetadataList, whose items are null where there are none."""
        version = self.accepted.version.encode()
        head = b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%b","metadata":%b,"items":'
        yield head % (version, typed_metadata(page))
        empty = True
        for piece in joined(self.each(page, self.single)):
            if empty:
                yield b"["
            empty = False
            yield piece
        yield b"null}\n" if empty else b"]}\n"


def complete(resource: Resource, item: bytes) -> bytes:
    """Return an item with its kind and apiVersion, which typed lists leave out."""
    return item if resource.custom else b"{" + resource.type_meta + item[1:]


def typed_metadata(page: Page) -> bytes:
    """ListMeta in Go's struct order."""
    token = b',"continue":"%b"' % page.token.encode() if page.token else b""
    remaining = b"" if page.remaining is None else b',"remainingItemCount":%d' % page.remaining
    return b'{"resourceVersion":"%d"%b%b}' % (page.version, token, remaining)


def sorted_metadata(page: Page) -> bytes:
    """ListMeta of a custom resource: sorted, and `continue` is always there."""
    remaining = b"" if page.remaining is None else b',"remainingItemCount":%d' % page.remaining
    return b'{"continue":"%b"%b,"resourceVersion":"%d"}' % (page.token.encode(), remaining, page.version)


def object_list(resource: Resource, page: Page) -> Iterator[bytes]:
    """Return a List of whole objects."""
    kind, api_version = resource.list_kind.encode(), resource.api_version.encode()
    items = joined(runs(page.collection, page.segments))
    if resource.custom:
        yield b'{"apiVersion":"%b","items":[' % api_version
        yield from items
        yield b'],"kind":"%b","metadata":%b}\n' % (kind, sorted_metadata(page))
        return
    yield b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (kind, api_version, typed_metadata(page))
    yield from items
    yield b"]}\n"


def runs(collection: Collection, segments: Iterable[Segment]) -> Iterator[bytes]:
    """Return the items of some segments, those of a span in comma-joined runs."""
    population = collection.population
    for segment in segments:
        if not isinstance(segment, Span):
            yield segment.item()
            continue
        if not len(segment):
            yield b""
            continue
        step = max(RUN_BYTES // population.item_bytes, 1)
        for start in range(segment.start, segment.stop, step):
            yield population.chunk(start, min(start + step, segment.stop))


def joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Commas between parts; empty parts pass as they are, they only mark progress."""
    first = True
    for part in parts:
        if part and not first:
            yield b","
        first = first and not part
        yield part
