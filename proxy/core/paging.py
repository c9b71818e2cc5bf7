"""Many pages in, the one List out that an unpaged response would have been, byte for byte.

Two layouts (k8s.io/apimachinery, collections.go and unstructured_list.go):

* Typed Lists, Tables and PartialObjectMetadataLists have their metadata before the items. The stitched head is page
  1's without ``continue`` and ``remainingItemCount``.
* Custom resources have it behind them, with ``"continue":""`` when nothing follows: the last page's tail as it is.

A `Page` is one response as it is read, a `Stitcher` puts pages together. Neither knows where they come from.
"""

from proxy.core.envelope import Envelope, Metadata
from proxy.core.errors import (
    PagesDisagreeError,
    TokenLoopError,
    UnstitchableError,
)
from proxy.core.events import Event, Items, Skeleton
from proxy.core.splitter import Splitter

NO_ITEMS = b"[]}"
"""What makes a document of everything before the items."""

MAX_EMPTY_PAGES = 1000
"""Empty pages with a token, one after the other. A kube-apiserver gives one at most, others may filter late."""


class Page:
    """One page while it arrives: feed it the body in any chunks; errors are those of `proxy.core.splitter`.

    `before` is everything up to the value of the items, `after` everything from ``]`` on; `opening` is ``[`` or, where
    there is no array, ``null``. `count` and `weight` are the items read so far and their bytes.
    """

    def __init__(self, max_item_bytes: int) -> None:
        self.before = self.opening = self.after = b""
        self.count = self.weight = 0
        self.is_complete = False
        self._splitter = Splitter(max_item_bytes)
        self._items: list[Items] = []
        self._waiting = 0
        self._envelope: Envelope | None = None

    @property
    def is_list(self) -> bool:
        """Whether an array of items (or its ``null``) has been seen yet."""
        return self._splitter.is_list

    @property
    def held(self) -> int:
        """Bytes that were fed and not taken yet."""
        return self._splitter.held + self._waiting + len(self.before) + len(self.after)

    def feed(self, *pieces: bytes) -> None:
        """Take the next bytes of the body."""
        self._keep(self._splitter.feed(*pieces))

    def finish(self) -> None:
        """Take the end of the body. Raises TruncatedListError inside anything."""
        self._keep(self._splitter.finish())
        self.is_complete = True
        if self.is_list and not self.opening:
            self._find_null()

    def take_items(self) -> list[Items]:
        """Return the items that have been read since the last time."""
        items, self._items, self._waiting = self._items, [], 0
        return items

    def envelope(self) -> Envelope:
        """Return the List without its items, of what has been read. Raises UnstitchableError."""
        if self._envelope is None or self.is_complete:
            self._envelope = Envelope.parse(self._document())
        return self._envelope

    def head(self) -> Envelope:
        """Return the part of the envelope that stands before the items, as a document of its own."""
        return Envelope.parse(self.before + NO_ITEMS)

    def _document(self) -> bytes:
        if self.opening == b"[":
            return self.before + b"[" + (self.after or b"]}")
        return self.before + self.opening + self.after[1:]

    def _keep(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Items):
                self._items.append(event)
                self._waiting += len(event.lead) + len(event.data)
                self.count += len(event.sizes)
                self.weight += sum(event.sizes)
            elif event.opens:
                self.before += event.data[:-1]
                self.opening = b"["
            elif self.opening:
                self.after += event.data
            else:
                self.before += event.data

    def _find_null(self) -> None:
        """Divide a page without an array as if there had been one."""
        before = Envelope.parse(self.before).before(self._splitter.items_key or "items")
        if self.before.startswith(before + b"null"):
            self.before, self.opening, self.after = before, b"null", b"]" + self.before[len(before) + 4 :]


class Stitcher:
    """Put pages together: `take` a page as often as there is more of it, then the next one.

    `token` is where the next page continues, empty before the first page and after the last. `version` is page 1's
    resourceVersion, which every page has to report: only then do they show one snapshot.
    """

    def __init__(self) -> None:
        self.token = self.version = ""
        self.pages = self.items = 0
        self.is_verbatim = True
        self._head = self._opening = b""
        self._identity = (b"", b"")
        self._page: Page | None = None
        self._at_start = True  # of the page
        self._tokens: set[str] = set()
        self._empty_pages = 0

    def take(self, page: Page) -> list[Event]:
        """Return what can be told of the List with what has been read of `page` since the last time.

        Nothing is told before the first item or the end, so that until then everything may begin anew. Raises
        PagesDisagreeError, TokenLoopError, and UnstitchableError for a page 1 that cannot be the first of many.
        """
        if page is not self._page:
            self._begin(page)
        events: list[Event] = list(self._take_items(page))
        if page.is_complete:
            events += self._end(page)
        return events

    def _begin(self, page: Page) -> None:
        """Take what stands before a page's items; of a custom resource's List that says little."""
        self._page, self._at_start = page, True
        metadata = page.envelope().metadata
        if self.pages:
            if metadata is not None:
                self._check_version(metadata)
            return
        self._head, self._opening = page.before, page.opening
        head = page.head() if page.opening else page.envelope()
        if head.metadata is not None and head.metadata.is_paged:
            self._head = head.unpaged().removesuffix(NO_ITEMS)
            self.is_verbatim = False

    def _take_items(self, page: Page) -> list[Event]:
        told: list[Event] = []
        for items in page.take_items():
            if not self.items:
                told.append(Skeleton(self._head + b"["))
            told.append(Items(b",", items.data, items.sizes) if self.items and self._at_start else items)
            self._at_start = False
            self.items += len(items.sizes)
        return told

    def _end(self, page: Page) -> list[Event]:
        envelope = page.envelope()
        metadata = envelope.metadata or Metadata()
        self.pages += 1
        if self.pages == 1:
            self.version, self._identity = metadata.version, envelope.identity
            if metadata.token and not (metadata.version and envelope.is_compact):
                raise UnstitchableError("page 1 has no resourceVersion, or is not compact JSON")
        else:
            self.is_verbatim = False
            self._check_version(metadata)
            if envelope.identity != self._identity:
                raise PagesDisagreeError("a page is of another kind than page 1")
        self.token = metadata.token
        if metadata.token:
            self._check_token(page, metadata.token)
            return []
        return [Skeleton(self._tail(page))]

    def _tail(self, page: Page) -> bytes:
        """Return the end of the List, with its beginning where it has no items."""
        if self.items:
            return page.after
        return self._head + self._opening + (page.after if self._opening == b"[" else page.after[1:])

    def _check_version(self, metadata: Metadata) -> None:
        if metadata.version != self.version:
            raise PagesDisagreeError("a page is of another resourceVersion than page 1")

    def _check_token(self, page: Page, token: str) -> None:
        if token in self._tokens:
            raise TokenLoopError("the upstream gave the same continue token twice")
        self._tokens.add(token)
        self._empty_pages = 0 if page.count else self._empty_pages + 1
        if self._empty_pages > MAX_EMPTY_PAGES:
            raise TokenLoopError(f"more than {MAX_EMPTY_PAGES} empty pages in a row")
