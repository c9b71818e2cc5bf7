"""Pages as servers print them, and the way through a `Stitcher` that a connection would take them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.core.events import Event, Items
from proxy.core.joiner import join
from proxy.core.paging import Page, Stitcher
from tests.core.feeding import MAX_ITEM_BYTES, WHOLE, cut

VERSION = "304"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a server prints before and behind the items; ``%s`` is where the metadata goes.

    `metadata_last` is that of a custom resource's List, whose keys are sorted and whose ``continue`` is always there.
    `empty` is how it prints no items.
    """

    before: str
    behind: str
    empty: str = "[]"
    metadata_last: bool = False

    def metadata(self, token: str, remaining: int | None, version: str, link: str, shard: str) -> str:
        """Print ListMeta; `token` is the inside of a JSON string, `link` and `shard` are values or nothing."""
        count = "" if remaining is None else f'"remainingItemCount":{remaining}'
        number = f'"resourceVersion":"{version}"' if version else ""
        follows = f'"continue":"{token}"' if token or self.metadata_last else ""
        linked, sharded = link and f'"selfLink":{link}', shard and f'"shardInfo":{shard}'
        fields = [follows, count, number, linked] if self.metadata_last else [linked, number, follows, count, sharded]
        return "{" + ",".join(filter(None, fields)) + "}"

    def body(
        self,
        items: Sequence[str],
        token: str = "",
        *,
        remaining: int | None = None,
        version: str = VERSION,
        link: str = "",
        shard: str = "",
        empty: str | None = None,
    ) -> bytes:
        """Print one page, or the unpaged List where there is no token and nothing remaining."""
        array = f"[{','.join(items)}]" if items else (self.empty if empty is None else empty)
        return self.around(array, self.metadata(token, remaining, version, link, shard))

    def around(self, array: str, metadata: str) -> bytes:
        """Print a List of any array and any metadata."""
        before, behind = self.before.replace("%s", metadata), self.behind.replace("%s", metadata)
        return f"{before}{array}{behind}\n".encode()


TYPED = Layout('{"kind":"PodList","apiVersion":"v1","metadata":%s,"items":', "}")
CUSTOM = Layout(
    '{"apiVersion":"example.com/v1","items":', ',"kind":"WidgetList","metadata":%s}', metadata_last=True
)  # fmt: skip
TABLE = Layout(
    (
        '{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":%s,"columnDefinitions":[{"name":"Name","type":"string",'
        '"format":"name","description":"\\"items\\":[ ]}","priority":0}],"rows":'
    ),
    "}",
)
NO_ROWS = Layout(TABLE.before, TABLE.behind, empty="null")
"""A Table of a resource without a printer of its own."""

PARTIAL = Layout(
    '{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":%s,"items":', "}", empty="null"
)
LAYOUTS = {"typed": TYPED, "custom": CUSTOM, "Table": TABLE, "Table without rows": NO_ROWS, "partial": PARTIAL}


@dataclass(frozen=True, slots=True)
class Stitched:
    """What came of some pages. `tokens` are those under which each next page would have been asked for."""

    body: bytes
    items: int
    tokens: list[str]
    pages: list[Page]
    stitcher: Stitcher


def read(body: bytes, size: int = WHOLE, max_item_bytes: int = MAX_ITEM_BYTES) -> Page:
    """Read a whole page in chunks of `size` bytes."""
    page = Page(max_item_bytes)
    for chunk in cut(body, size):
        page.feed(chunk)
    page.finish()
    return page


def stitch(bodies: Iterable[bytes], size: int = WHOLE, *, eager: bool = False) -> Stitched:
    """Stitch whole pages, each read in chunks of `size` bytes.

    `eager` takes what there is after every chunk, as is done with oversized pages; else a page is taken when it is
    complete. Events are joined only at the end: later ones must not change earlier ones.
    """
    stitcher = Stitcher()
    events: list[Event] = []
    tokens: list[str] = []
    pages: list[Page] = []

    def take(page: Page) -> None:
        told = stitcher.take(page)
        assert bool(events or told) == bool(stitcher.is_told or (page.is_complete and not stitcher.token))
        assert stitcher.is_told == any(page.has_item for page in pages)
        events.extend(told)

    for body in bodies:
        assert bool(pages) == bool(stitcher.token)
        page = Page(MAX_ITEM_BYTES)
        pages.append(page)
        for chunk in cut(body, size):
            page.feed(chunk)
            if eager:
                take(page)
        page.finish()
        take(page)
        tokens.append(stitcher.token)
    told_items = sum(len(event.sizes) for event in events if isinstance(event, Items))
    assert stitcher.items == told_items == sum(page.count for page in pages)
    assert stitcher.pages == len(pages)
    return Stitched(b"".join(join(events)), told_items, tokens, pages, stitcher)
