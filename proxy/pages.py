"""The pages of one List: asked for one after the other, read ahead of the client within bounds, stitched on the way.

A page is read eagerly into memory, so that a slow client never holds the apiserver's handler, whose deadline of 60 s
includes writing. While one page is being sent the next is fetched, and no more: two pages are held. A page of more than
twice `page_bytes` (of an upstream that ignores the limit) goes on as if it were streamed, as fast as the client reads.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from proxy.core import listoptions
from proxy.core.errors import (
    ExpiredError,
    PageRefusedError,
    RestreamError,
    TruncatedListError,
    UnstitchableError,
    UpstreamClosedError,
    UpstreamError,
)
from proxy.core.events import Event, Skeleton
from proxy.core.headers import first
from proxy.core.paging import Page, Stitcher
from proxy.core.planning import ListRequest, Paged, Raw, judge_response
from proxy.core.retries import Retries, is_retryable
from proxy.core.weights import Weights
from proxy.http1 import Source
from proxy.metrics import Metrics
from proxy.progress import Progress
from proxy.settings import Settings
from proxy.upstream.connection import Response

OVERSIZE = 2
"""Times `page_bytes`: what is larger is not held as a whole."""

MAX_RESTARTS = 2
"""How often a List whose token has expired begins anew, while the client has seen nothing of it."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be fetched, and how. `ask` takes a page's query, `release` what `ask` returned."""

    request: ListRequest
    plan: Paged
    query: str
    ask: Callable[[str], Awaitable[Response]]
    release: Callable[[Response], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer to a page request. `page` is None where it is no List, and incomplete where it is oversized."""

    response: Response
    page: Page | None
    source: Source


class Pages:
    """One List's pages. `open` fetches page 1; in `reading_ahead` the others follow, and `take` returns what came."""

    def __init__(
        self, errand: Errand, settings: Settings, weights: Weights, metrics: Metrics, progress: Progress
    ) -> None:
        self.is_list = True  # so is page 1, as far as it has been read
        self._errand = errand
        self._paging = settings.paging
        self._max_item_bytes = settings.max_item_bytes
        self._timeout = settings.limits.between_bytes_seconds
        self._weights = weights
        self._metrics = metrics
        self._progress = progress
        self._stitcher = Stitcher()
        self._shelf = Shelf()
        self._limit = 0  # of the page that was asked for last
        self._born = 0.0  # when page 1 was answered
        self._restarts = 0
        self._length: int | None = None
        self._response: Response | None = None  # under way
        self._current: Fetched | None = None  # the page that is being read

    @property
    def held(self) -> int:
        """Bytes read and not taken yet."""
        current = self._current
        return self._shelf.size + (current.source.body.size + current.page.held if current and current.page else 0)

    @property
    def length(self) -> int | None:
        """Return the size of the List's body where page 1 has announced it, and is all of it."""
        return self._length if self._stitcher.is_verbatim else None

    async def open(self) -> Response:
        """Fetch page 1 and return its response. What is no answer to a List has not been read further than its head.

        Raises UpstreamErrors, ListErrors, and UnstitchableError where paging is no way to get this List.
        """
        fetched = await self._fetch()
        while fetched.response.status == 410 and self._may_restart():
            fetched = await self._fetch()
        page = fetched.page
        if page is not None and page.is_list:
            self._hand_on(fetched)
        elif page is not None:
            if not page.is_complete:
                raise UnstitchableError("page 1 is large, and not a List so far")
            self.is_list = False
            self._shelf.put([Skeleton(page.before)])
            self._finish(fetched)
        return fetched.response

    @asynccontextmanager
    async def reading_ahead(self) -> AsyncIterator[None]:
        """Fetch the pages after the first beside the caller, who is interrupted where one cannot be had."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_on())
                yield
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def take(self) -> list[Event]:
        """Return what of the List can be sent now, at least something, or nothing at the end."""
        return await self._shelf.take()

    def close(self) -> None:
        """Give back the connection of a page that is under way."""
        response, self._response = self._response, None
        if response is not None:
            self._errand.release(response)

    # --- from page to page --------------------------------------------------------------------------------------------

    async def _read_on(self) -> None:
        await self._read_rest()
        while not self._shelf.is_finished:
            await self._wait_for_room()
            fetched = await self._fetch()
            if fetched.page is not None and fetched.page.is_list:
                self._hand_on(fetched)
                await self._read_rest()
            elif fetched.response.status != 410:
                raise PageRefusedError(f"page {self._stitcher.pages + 1} was answered with {fetched.response.status}")
            elif not self._may_restart():
                raise ExpiredError("the continue token has expired")

    def _may_restart(self) -> bool:
        """Forget everything and begin anew after a 410, as long as the client has seen nothing.

        Its own token would continue at another resourceVersion: a blend of two snapshots.
        """
        if self._stitcher.items or self._restarts >= MAX_RESTARTS:
            return False
        self._restarts += 1
        self._stitcher, self._limit = Stitcher(), 0
        self.close()
        return True

    async def _wait_for_room(self) -> None:
        """Wait until the client has taken the last page, or until the token will soon be too old to wait.

        From then on the rest is fetched without the client, as far as `page_limit_bytes` reach. Tokens live for five
        minutes at least: k8s.io/apiserver/pkg/storage/etcd3/compact.go.
        """
        while self._shelf.size:
            left = self._born + self._paging.token_seconds - monotonic()
            if left > 0:
                await self._shelf.wait_empty(left)
            elif self._shelf.size < self._paging.page_limit_bytes:
                return
            else:
                raise ExpiredError("the client reads too slowly for the life of a continue token")

    async def _read_rest(self) -> None:
        """Pass on what an oversized page still has, no faster than the client takes it."""
        current = self._current
        if current is None or current.page is None:
            return
        while not current.page.is_complete:
            await self._shelf.wait_empty(None)
            await self._read(current.page, current.source)
            self._hand_on(current)

    def _hand_on(self, fetched: Fetched) -> None:
        """Stitch what has been read of a page; with the page the connection is done."""
        page = fetched.page
        assert page is not None  # noqa: S101 (the callers have looked)
        self._current = fetched
        self._shelf.put(self._stitcher.take(page))
        if not page.is_complete:
            return
        self._current = None
        self.close()
        request = self._errand.request
        self._weights.learn_items(request.key, request.media.form, page.count, page.weight)
        self._metrics.learn(self._progress)
        self._metrics.note_page(self._progress)
        if not self._stitcher.token:
            self._finish(fetched)

    def _finish(self, last: Fetched) -> None:
        self._length = last.response.length
        self._shelf.finish()

    # --- one page -----------------------------------------------------------------------------------------------------

    async def _fetch(self) -> Fetched:
        """Fetch the next page, again where that is safe: nothing of it has been passed on yet."""
        retries = Retries()
        while True:
            outcome = await self._try()
            retry_after = ""
            if isinstance(outcome, Fetched):
                if not self._is_passing(outcome.response):
                    return outcome
                retry_after = first(outcome.response.lines, b"retry-after")
            wait = retries.next_wait(retry_after, random.random())  # noqa: S311 (jitter)
            if wait is None:
                if isinstance(outcome, Fetched):
                    return outcome
                raise outcome
            self.close()
            await asyncio.sleep(wait)

    async def _try(self) -> Fetched | RestreamError:
        """Ask once; return the answer, or what has failed and may be tried again."""
        try:
            return await self._ask()
        except (UpstreamError, TruncatedListError) as error:
            # The client can judge for itself whether to ask for page 1 again, but for what broke on the way.
            if not self._stitcher.pages and not isinstance(error, (UpstreamClosedError, TruncatedListError)):
                raise
            return error

    def _is_passing(self, response: Response) -> bool:
        """Whether an answer tells of a trouble that may pass.

        On page 1 that is the client's to see, unless the server says when to come back.
        """
        invited = self._stitcher.pages > 0 or bool(first(response.lines, b"retry-after"))
        return invited and is_retryable(response.status)

    async def _ask(self) -> Fetched:
        errand, token = self._errand, self._stitcher.token
        self._limit = self._weights.page_items(errand.request.key, self._limit)
        if token:
            query = listoptions.next_page(errand.query, token, self._limit)
        else:
            query = listoptions.first_page(errand.query, errand.request.options, self._limit)
        response = self._response = await errand.ask(query)
        if not token:
            self._born = monotonic()
        source = Source(response.body, self._timeout)
        content_type, encoding = first(response.lines, b"content-type"), first(response.lines, b"content-encoding")
        if isinstance(judge_response(errand.plan, response.status, content_type, encoding), Raw):
            return Fetched(response, None, source)
        page = Page(self._max_item_bytes)
        fetched = self._current = Fetched(response, page, source)
        while not page.is_complete and page.held <= OVERSIZE * self._paging.page_bytes:
            await self._read(page, source)
        return fetched

    async def _read(self, page: Page, source: Source) -> None:
        pieces = await source.read()
        if pieces:
            page.feed(*pieces)
            self._progress.note_held()
        if not pieces or source.body.is_over:
            page.finish()


class Shelf:
    """What has been read and not been taken yet: one coroutine puts, another takes."""

    def __init__(self) -> None:
        self.size = 0
        self.is_finished = False
        self._events: list[Event] = []
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    def put(self, events: list[Event]) -> None:
        """Take events from the reader."""
        if not events:
            return
        self._events += events
        self.size += sum(len(event.data) for event in events)
        self._emptied.clear()
        self._filled.set()

    def finish(self) -> None:
        """Take the end from the reader."""
        self.is_finished = True
        self._filled.set()

    async def take(self) -> list[Event]:
        """Return everything, at least something, or nothing at the end."""
        if not (self._events or self.is_finished):
            await self._filled.wait()
        events, self._events, self.size = self._events, [], 0
        self._filled.clear()
        self._emptied.set()
        return events

    async def wait_empty(self, seconds: float | None) -> None:
        """Wait until everything has been taken, or for so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                if self.size:
                    await self._emptied.wait()
        except TimeoutError:
            return
