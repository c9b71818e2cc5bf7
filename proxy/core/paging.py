"""Many pages in, the one List out that an unpaged response would have been, byte for byte.

Two layouts (k8s.io/apimachinery, collections.go and unstructured_list.go):

* Typed Lists, Tables and PartialObjectMetadataLists have their metadata before the items. The stitched head is page
  1's without ``continue`` and ``remainingItemCount``.
* Custom resources have it behind them, with ``"continue":""`` when nothing follows: the last page's tail as it is.

A `Page` is one response as it is read, a `Stitcher` puts pages together. Neither knows where they come from.
"""

from proxy.core.envelope import Envelope, Metadata, Shape
from proxy.core.errors import ItemTooLargeError, PagesDisagreeError, TokenLoopError, UnstitchableError
from proxy.core.events import Event, Items, Skeleton
from proxy.core.splitter import Splitter

NO_ITEMS = b"[]}"
"""What makes a document of everything before the items."""

MAX_EMPTY_PAGES = 1000
"""Empty pages with a token, one after the other. A kube-apiserver gives one at most, others may filter late."""


class Page:
    """One page while it arrives: feed it the body in any chunks; errors are those of `proxy.core.splitter`.

    `before` is everything up to the value of the items, `after` everything from ``]`` on; `opening` is ``[`` or, where
    there is no array, ``null`` (empty where that cannot be told apart). `count` and `weight` are the items read so far
    and their bytes. What the items of the page before begin with is a hint for those of this one.
    """

    def __init__(self, max_item_bytes: int, beginning: bytes = b"") -> None:
        self.before, self.after = bytearray(), bytearray()
        self.opening = b""
        self.count = self.weight = 0
        self.is_complete = False
        self._max_bytes = max_item_bytes
        self._splitter = Splitter(max_item_bytes, beginning)
        self._items: list[Items] = []
        self._waiting = 0
        self._head: Envelope | None = None

    @property
    def is_list(self) -> bool:
        """Whether an array of items (or its ``null``) has been seen yet."""
        return self._splitter.is_list

    @property
    def has_item(self) -> bool:
        """Whether an item has been read, or has begun."""
        return self._splitter.has_item

    @property
    def beginning(self) -> bytes:
        """Return what its items begin with, as far as they are alike: a hint for the next page."""
        return self._splitter.beginning

    @property
    def mean(self) -> float:
        """Return what an item weighs so far, 0 without any."""
        return self.weight / self.count if self.count else 0.0

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

    def head(self) -> Envelope:
        """Return the envelope as far as it stands before the items. Raises UnstitchableError."""
        if not self.opening:
            return self.envelope()
        if self._head is None:
            self._head = Envelope.parse(bytes(self.before) + NO_ITEMS)
        return self._head

    def envelope(self) -> Envelope:
        """Return the envelope of a complete page. Raises UnstitchableError."""
        if self.opening == b"[":
            is_all = self.after.rstrip() == NO_ITEMS[1:]  # nothing but the metadata of custom resources ever follows
            return self.head() if is_all else Envelope.parse(bytes(self.before) + b"[" + self.after)
        return Envelope.parse(bytes(self.before) + self.opening + self.after[1:])

    def metadata(self) -> Metadata | None:
        """Return the List's metadata, None while it has not been read. Raises UnstitchableError."""
        if self.is_complete:
            return self.envelope().metadata
        return self.head().metadata if self.opening else None

    def _keep(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Items):
                self._items.append(event)
                self._waiting += len(event.lead) + len(event.data)
                self.count += len(event.sizes)
                self.weight += sum(event.sizes)
            elif self.opening:
                self.after += event.data
            elif event.opens:
                self.before += event.data[:-1]
                self.opening = b"["
            else:
                self.before += event.data
        if len(self.after) > self._max_bytes:
            raise ItemTooLargeError(f"what follows the items is over {self._max_bytes} bytes")

    def _find_null(self) -> None:
        """Divide a page without an array as if there had been one; what is not compact stays in one piece."""
        whole = self.before
        before = Envelope.parse(bytes(whole)).before(self._splitter.items_key or "items")
        if whole.startswith(before + b"null"):
            self.before, self.opening = bytearray(before), b"null"
            self.after = bytearray(b"]") + whole[len(before) + len(b"null") :]


class Stitcher:
    """Put pages together: `take` a page as often as there is more of it, then the next one.

    `token` is where the next page continues, empty before the first page and after the last. `version` is page 1's
    resourceVersion, which every page has to report: only then do they show one snapshot. `is_told` says that something
    of the List has been told, `is_verbatim` that it is page 1 as it stands.
    """

    def __init__(self) -> None:
        self.token = self.version = ""
        self.pages = self.items = 0
        self.is_verbatim = True
        self.is_told = False
        self._head = self._opening = b""
        self._shapes: tuple[Shape, Shape] = [], []  # of the head and of the whole envelope
        self._page: Page | None = None
        self._at_start = True  # of the page
        self._tokens: set[str] = set()
        self._empty_pages = 0

    def take(self, page: Page) -> list[Event]:
        """Return what can be told of the List with what has been read of `page` since the last time.

        Nothing is told before the first item begins or the end, so that until then everything may begin anew. Raises
        PagesDisagreeError, TokenLoopError, and UnstitchableError for pages that cannot be some of many.
        """
        if not (page.opening or page.is_complete):
            return []
        if page is not self._page:
            self._begin(page)
        events: list[Event] = []
        if page.has_item and not self.is_told:
            self.is_told = True
            events.append(Skeleton(self._head + b"["))
        events += self._take_items(page)
        if page.is_complete:
            events += self._end(page)
        return events

    def foresee(self, page: Page) -> str:
        """Return where the page after this next one will continue; empty where that is not known, or it does not fit.

        It has not been taken yet: what its head tells may still turn out to be wrong. Raises UnstitchableError.
        """
        if not page.opening:
            return ""
        head = page.head()
        metadata = head.metadata or Metadata()
        fits = not self.pages or (metadata.version == self.version and head.shape == self._shapes[0])
        return metadata.token if fits and metadata.token not in self._tokens else ""

    def _begin(self, page: Page) -> None:
        """Take what stands before a page's items; of a custom resource's List that says little."""
        self._page, self._at_start = page, True
        head = page.head()
        if self.pages:
            if head.metadata is not None:
                self._check_version(head.metadata)
            self._check_shape(head.shape, self._shapes[0])
            return
        self._check_remaining(head.metadata or Metadata())
        self._head, self._opening = bytes(page.before), page.opening
        self._shapes = head.shape, []
        if head.metadata is not None and head.metadata.is_paged:
            if not (head.is_compact and page.opening and head.metadata.version):
                raise UnstitchableError("page 1 has no resourceVersion, or is not compact JSON")
            self._head = head.unpaged().removesuffix(NO_ITEMS)
            self.is_verbatim = False

    def _take_items(self, page: Page) -> list[Event]:
        told: list[Event] = []
        for items in page.take_items():
            told.append(Items(b",", items.data, items.sizes) if self.items and self._at_start else items)
            self._at_start = False
            self.items += len(items.sizes)
        return told

    def _end(self, page: Page) -> list[Event]:
        envelope = page.envelope()
        metadata = envelope.metadata or Metadata()
        self.pages += 1
        self._check_remaining(metadata)
        if self.pages == 1:
            self.version, self._shapes = metadata.version, (self._shapes[0], envelope.shape)
        else:
            self.is_verbatim = False
            self._check_version(metadata)
            self._check_shape(envelope.shape, self._shapes[1])
        if metadata.token or not self.is_verbatim:
            self._check_form(page, envelope)
        self.token = metadata.token
        if metadata.token:
            self._check_token(page, metadata.token)
            return []
        return [Skeleton(self._tail(page))]

    def _tail(self, page: Page) -> bytes:
        """Return the end of the List, with its beginning where it has no items."""
        if self.is_told:
            return bytes(page.after)
        return self._head + self._opening + (page.after if self._opening == b"[" else page.after[1:])

    def _check_remaining(self, metadata: Metadata) -> None:
        if metadata.lacks_items:
            raise UnstitchableError("items remain, but there is no token")

    def _check_form(self, page: Page, envelope: Envelope) -> None:
        """Refuse a page of which no byte may be left out, or no other one follow, without a look at each."""
        if not (envelope.is_compact and self.version and page.opening and page.after.startswith(b"]")):
            raise UnstitchableError("a page has no resourceVersion, or is not compact JSON")

    def _check_shape(self, shape: Shape, first: Shape) -> None:
        if shape != first:
            raise PagesDisagreeError("a page is of another shape than page 1")

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
