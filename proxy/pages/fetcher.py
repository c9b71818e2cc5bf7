"""One page of a List: asked for, and again where that is safe; read into memory as a whole, then cut.

Reading is eager, so that a slow client never holds the apiserver's handler, whose deadline of 60 s includes writing.
The beginning of a large page 1 is passed on at once, so that the first byte does not wait for its last. Only what is
more than twice `page_bytes` (an upstream may ignore the limit) is left to be read as if it were streamed, as fast as
the client takes it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from proxy.core import listoptions
from proxy.core.errors import (
    RestreamError,
    TruncatedListError,
    UpstreamClosedError,
    UpstreamError,
    UpstreamTimeoutError,
)
from proxy.core.headers import first
from proxy.core.listoptions import ListOptions
from proxy.core.paging import Page
from proxy.core.planning import ListRequest, Paged, Raw, judge_response
from proxy.core.retries import Retries, is_retryable
from proxy.core.weights import Weights, usual_bytes
from proxy.http1 import Source
from proxy.progress import Progress
from proxy.settings import Settings
from proxy.upstream.connection import Response

OVERSIZE = 2
"""Times `page_bytes`: what is larger is not held as a whole."""


EARLY_BYTES = 64 << 10
"""What is read of a page that may leave before it is complete: one read, so that the first byte does not wait."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be fetched, and how. `ask` takes a page's query, `release` what `ask` returned.

    `may_retry` takes from the retries that there are for all requests; False where these are used up.
    """

    request: ListRequest
    plan: Paged
    query: str
    ask: Callable[[str], Awaitable[Response]]
    release: Callable[[Response], None]
    may_retry: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page is due: the one at `token`, page 1 without.

    `before` is how many items the page before was asked for, `item_bytes` what each of them seemed to weigh. `is_fresh`
    asks for the newest state, where the client takes any; `is_early` does without all of a page before it is passed on.
    """

    token: str = ""
    before: int = 0
    item_bytes: float = 0.0
    is_fresh: bool = False
    is_early: bool = False


@dataclass(slots=True, eq=False)
class Fetched:
    """The answer to a request for `limit` items. `page` is None where it is no List, and may be incomplete.

    `asked_at` is a reading of `time.monotonic`.
    """

    response: Response
    source: Source
    limit: int
    asked_at: float
    page: Page | None = None
    is_released: bool = False

    @property
    def held(self) -> int:
        """Bytes read and not taken."""
        return self.source.held + (self.page.held if self.page is not None else 0)


class Fetcher:
    """Fetches the pages of one List, and knows which are under way.

    `make_room` is awaited before so many bytes more may be read into memory. `on_arrival` is called with a page and
    what its items seem to weigh in bytes: when its first ones have arrived, and when all of it has, before the time is
    spent to cut it. What it returns says whether it has started something that should get a turn first.
    """

    def __init__(
        self,
        errand: Errand,
        settings: Settings,
        weights: Weights,
        progress: Progress,
        make_room: Callable[[int], Awaitable[None]],
        on_arrival: Callable[[Fetched, Page, float], bool],
    ) -> None:
        self._errand = errand
        self._timeout = settings.limits.between_bytes_seconds
        self._max_item_bytes = settings.max_item_bytes
        self._page_bytes = settings.paging.page_bytes
        self._weights = weights
        self._progress = progress
        self._make_room = make_room
        self._on_arrival = on_arrival
        self._beginning = b""  # of the items so far
        self._under_way: list[Fetched] = []

    @property
    def held(self) -> int:
        """Bytes of pages that have not been taken yet."""
        return sum(fetched.held for fetched in self._under_way)

    def is_oversize(self, size: int) -> bool:
        """Whether so many bytes are more than is held of one page."""
        return size > OVERSIZE * self._page_bytes

    async def fetch(self, turn: Turn) -> Fetched:
        """Fetch a page, or the beginning of a large one; while nothing of it has left, what fails may be tried again.

        An answer that is no JSON List is returned as it is. Raises UpstreamErrors and ListErrors.
        """
        retries = Retries()
        request = self._errand.request
        limit = self._weights.page_items(request.key, request.media.form, turn.before, turn.item_bytes)
        while True:
            outcome = await self._try(turn, limit)
            retry_after = ""
            if isinstance(outcome, Fetched):
                retry_after = first(outcome.response.lines, b"retry-after")
                # On page 1 a trouble that may pass is the client's to see, unless the server says when to come back.
                if not (is_retryable(outcome.response.status) and (turn.token or retry_after)):
                    return outcome
            wait = retries.next_wait(retry_after, random.random())  # noqa: S311 (jitter)
            if wait is None or not self._errand.may_retry():
                if isinstance(outcome, Fetched):
                    return outcome
                raise outcome
            if isinstance(outcome, Fetched):
                self.drop(outcome)
            await asyncio.sleep(wait)

    async def read_more(self, fetched: Fetched, page: Page) -> None:
        """Read on in a page that is not complete. Raises UpstreamErrors and ListErrors."""
        self._feed(page, fetched.source, await fetched.source.read())

    def drop(self, fetched: Fetched) -> None:
        """Give back the connection of a page, and count nothing of it as held any more."""
        self._release(fetched)
        if fetched in self._under_way:
            self._under_way.remove(fetched)

    def close(self) -> None:
        """Drop everything that is under way."""
        for fetched in self._under_way.copy():
            self.drop(fetched)

    async def _try(self, turn: Turn, limit: int) -> Fetched | RestreamError:
        """Ask once; return the answer, or what has failed and may be tried again."""
        errand, now = self._errand, monotonic()
        if turn.token:
            query = listoptions.next_page(errand.query, turn.token, limit)
        else:
            options = errand.request.options
            if turn.is_fresh and not options.is_exact:
                options = ListOptions()
            query = listoptions.first_page(errand.query, options, limit)
        fetched = None
        try:
            response = await errand.ask(query)
            self._progress.note_upstream_first_byte()
            fetched = Fetched(response, Source(response.body, self._timeout), limit, now)
            self._under_way.append(fetched)
            await self._receive(fetched, is_early=turn.is_early)
        except BaseException as error:
            if fetched is not None:
                self.drop(fetched)
            if not isinstance(error, (UpstreamError, TruncatedListError)) or isinstance(error, UpstreamTimeoutError):
                raise
            # The client can judge for itself whether to ask for page 1 again, but for what broke on the way.
            if not turn.token and not isinstance(error, (UpstreamClosedError, TruncatedListError)):
                raise
            return error
        return fetched

    async def _receive(self, fetched: Fetched, *, is_early: bool) -> None:
        """Read and cut a page, as far as it is to be held; of what is no answer to a List no more than the head.

        Cutting waits until the whole page is there: one look at much costs less than many looks at little.
        """
        response, source = fetched.response, fetched.source
        if isinstance(judge_response(self._errand.plan, response.status, response.lines), Raw):
            return
        page = fetched.page = Page(self._max_item_bytes, self._beginning)
        rest = self._feed_head(page, await source.read())
        if source.is_over:
            self._release(fetched)
        # Of large items nothing is known yet.
        if page.count and self._on_arrival(fetched, page, page.mean):
            await asyncio.sleep(0)
        if rest or source.is_over:
            self._feed(page, source, rest)
        # Only a page that has its metadata before its items can be judged before it is complete.
        is_early = is_early and page.metadata() is not None
        most = min(EARLY_BYTES, self._page_bytes) if is_early else OVERSIZE * self._page_bytes
        usual = usual_bytes(self._page_bytes)
        while not page.is_complete and page.held <= most:
            await self._make_room(usual)
            pieces = await source.read(min(most, usual))
            if source.is_over:
                self._release(fetched)
                if self._on_arrival(fetched, page, (page.held + sum(map(len, pieces))) / fetched.limit):
                    await asyncio.sleep(0)
            self._feed(page, source, pieces)
        self._beginning = page.beginning

    def _feed_head(self, page: Page, pieces: list[bytes]) -> list[bytes]:
        """Feed no more than shows where the next page continues and what items weigh; return the rest."""
        fed = 0
        for number, piece in enumerate(pieces):
            if page.count or fed >= EARLY_BYTES:
                return pieces[number:]
            page.feed(piece)
            fed += len(piece)
            self._progress.note_held()
        return []

    def _feed(self, page: Page, source: Source, pieces: list[bytes]) -> None:
        """Feed what was read, and empty the list of it: it should not stay in memory beside the window."""
        if pieces:
            page.feed(*pieces)
            self._progress.note_held()
        if not pieces or source.is_over:
            page.finish()
        pieces.clear()

    def _release(self, fetched: Fetched) -> None:
        if not fetched.is_released:
            fetched.is_released = True
            self._errand.release(fetched.response)
