"""The pages of one List in order, ahead of the client within bounds, stitched on the way.

While one page is being sent the next is fetched, and no more: two pages are held. Only when the continue token is about
to die the rest is fetched as well, as far as there is room for it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from proxy.admission import Lease
from proxy.core.errors import (
    ExpiredError,
    PageRefusedError,
    RestreamError,
    TokenRefusedError,
    UnstitchableError,
)
from proxy.core.events import Event
from proxy.core.paging import Page, Stitcher
from proxy.core.weights import Weights
from proxy.metrics import Metrics
from proxy.pages.fetcher import Errand, Fetched, Fetcher, Turn
from proxy.pages.shelf import Shelf
from proxy.progress import Progress
from proxy.settings import Settings
from proxy.upstream.connection import Response

REFUSED = (400, 422)
"""What an apiserver says to parameters; those that it may mean are ours."""

MAX_RESTARTS = 2
"""How often a List whose token has expired begins anew, while the client has seen nothing of it."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A page that has been asked for before its turn, by the token that the page before it seemed to end with."""

    token: str
    task: asyncio.Task[Fetched | RestreamError]


class Pages:
    """One List's pages. `open` fetches page 1; in `reading_ahead` the others follow, and `take` returns what came."""

    def __init__(
        self,
        errand: Errand,
        settings: Settings,
        weights: Weights,
        lease: Lease,
        metrics: Metrics,
        progress: Progress,
    ) -> None:
        self._request = errand.request
        self._paging = settings.paging
        self._weights = weights
        self._lease = lease
        self._reads_rest = False  # without the client
        self._metrics = metrics
        self._progress = progress
        self._fetcher = Fetcher(errand, settings, weights, progress, self._make_room, self._ask_ahead)
        self._stitcher = Stitcher()
        self._shelf = Shelf()
        self._first: Fetched | None = None
        self._last: Fetched | None = None  # the page that was handed on last
        self._second: Fetched | None = None  # page 2, where it came before page 1 was passed on
        self._restarts = 0
        self._group: asyncio.TaskGroup | None = None
        self._next: Ahead | None = None  # the page after the one that is being cut

    @property
    def held(self) -> int:
        """Bytes read and not taken yet."""
        return self._shelf.size + self._fetcher.held

    @property
    def head(self) -> Response:
        """Return the response whose head is the List's: page 1's, of the last beginning."""
        assert self._first is not None  # noqa: S101 (`open` has returned it)
        return self._first.response

    @property
    def length(self) -> int | None:
        """Return the size of the List's body where page 1 has announced it, and is all of it."""
        return self.head.length if self._shelf.is_finished and self._stitcher.is_verbatim else None

    async def open(self) -> Response:
        """Fetch page 1 and return its response; one of 400 and above has not been read further than its head.

        Raises UpstreamErrors, ListErrors, and UnstitchableError where paging is no way to get this List: what answers
        to our limit is no answer to a client that has set none.
        """
        while True:
            fetched = await self._fetcher.fetch(Turn(is_fresh=self._restarts > 0, is_early=not self._may_be_old))
            page, status = fetched.page, fetched.response.status
            if page is not None and page.is_list:
                is_gone = not await self._fetch_second(fetched, page)
            elif status < 400 or status in REFUSED:
                raise UnstitchableError(f"page 1 is not a List in plain JSON, but {status}")
            else:
                is_gone = status == 410 and not self._request.options.is_exact
            if is_gone and self._can_restart:
                self._restart()
                continue
            if page is not None:
                self._hand_on(fetched, page)
            return fetched.response

    @asynccontextmanager
    async def reading_ahead(self) -> AsyncIterator[None]:
        """Fetch the pages after the first beside the caller, who is interrupted where one cannot be had."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._read_on())
                yield
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def take(self) -> list[Event]:
        """Return what of the List can be sent now, at least something, or nothing at the end."""
        return await self._shelf.take()

    def close(self) -> None:
        """Give back the connections of what is under way."""
        self._fetcher.close()

    async def _read_on(self) -> None:
        await self._read_rest()
        while not self._shelf.is_finished:
            fetched = await self._turn()
            if fetched.page is not None and fetched.page.is_list:
                self._hand_on(fetched, fetched.page)
                await self._read_rest()
            elif fetched.response.status != 410:
                raise self._refusal(fetched.response.status)
            elif self._can_restart:
                self._restart()
            else:
                raise ExpiredError("the continue token has expired")
        self._forget_next()

    def _forget_next(self) -> None:
        """Drop a page that was asked for ahead: the one before it had to be asked for again, and came back another."""
        ahead, self._next = self._next, None
        if ahead is None:
            return
        ahead.task.cancel()
        if ahead.task.done() and isinstance(outcome := ahead.task.result(), Fetched):
            self._fetcher.drop(outcome)

    @property
    def _may_be_old(self) -> bool:
        """Whether page 1 may show a state that is about to be forgotten.

        What need not be new comes from the watch cache, whose state of an idle resource can be ten minutes old (etcd's
        progress notifications); page 2 comes from etcd up to 1.33, which remembers five (compaction).
        """
        options = self._request.options
        return bool(options.version) and not options.is_exact and not self._restarts

    async def _fetch_second(self, first: Fetched, page: Page) -> bool:
        """Fetch page 2 before page 1 is passed on, where that may be old; False where it is too old already."""
        metadata = page.metadata()
        if not self._may_be_old or not page.is_complete or metadata is None or not metadata.token:
            return True
        self._second = await self._fetcher.fetch(Turn(metadata.token, first.limit, page.mean))
        return self._second.response.status != 410

    async def _turn(self) -> Fetched:
        """Return the next page: the one that has been asked for already, or ask when there is room for it."""
        ahead = self._next
        if ahead is not None and ahead.token == self._stitcher.token:
            self._next = None
            outcome = await ahead.task
            if isinstance(outcome, RestreamError):
                raise outcome
            return outcome
        self._forget_next()
        second, self._second = self._second, None
        if second is not None:
            return second
        await self._wait_for_room()
        last = self._last
        if last is None or last.page is None:
            return await self._fetcher.fetch(Turn(is_fresh=self._restarts > 0))
        return await self._fetcher.fetch(Turn(self._stitcher.token, last.limit, last.page.mean))

    @property
    def _can_restart(self) -> bool:
        """Whether the client has seen nothing yet, so that a 410 may be forgotten and everything begin anew.

        Its own token would continue at another resourceVersion: a blend of two snapshots.
        """
        return not self._stitcher.is_told and self._restarts < MAX_RESTARTS

    def _restart(self) -> None:
        self._restarts += 1
        self._stitcher, self._last, self._second = Stitcher(), None, None
        self._forget_next()
        self.close()

    def _refusal(self, status: int) -> PageRefusedError:
        message = f"page {self._stitcher.pages + 1} was answered with {status}, or not in plain JSON"
        return TokenRefusedError(message) if status in REFUSED else PageRefusedError(message)

    async def _wait_for_room(self) -> None:
        """Wait until the client has taken the last page, or until the token will soon be too old to wait.

        From then on the rest is fetched without the client, as far as `page_limit_bytes` reach. Tokens live for five
        minutes at least: k8s.io/apiserver/pkg/storage/etcd3/compact.go.
        """
        while self._shelf.size:
            age = monotonic() - self._first.asked_at if self._first is not None else 0.0
            if age < self._paging.token_seconds:
                await self._shelf.wait_empty(self._paging.token_seconds - age)
            elif self._shelf.size < self._paging.page_limit_bytes and self._has_room_for_rest:
                return
            else:
                raise ExpiredError("the client reads too slowly for the life of a continue token")
        self._reads_rest = False

    @property
    def _has_room_for_rest(self) -> bool:
        """Whether nobody else needs the memory that the rest may take."""
        self._reads_rest = self._lease.hold_now(self._lease.ticket.window + self._paging.page_limit_bytes)
        return self._reads_rest

    async def _make_room(self, coming: int) -> None:
        """Have the right to so many bytes beside what is held; under pressure the client has to take that first.

        Raises TooManyRequestsErrors.
        """
        if not self._reads_rest:
            self._lease.settle(self._progress.held() + coming)
        if not self._lease.hold_now(self._progress.held() + coming):
            await self._shelf.wait_empty(None)
            await self._lease.hold(self._progress.held() + coming)

    async def _read_rest(self) -> None:
        """Read what an incomplete page still has, eagerly as well; an oversized one only as the client takes it."""
        last = self._last
        while last is not None and last.page is not None and not last.page.is_complete:
            if self._fetcher.is_oversize(self._shelf.size):
                await self._shelf.wait_empty(None)
            await self._make_room(2 * self._lease.read_bytes)
            await self._fetcher.read_more(last, last.page)
            self._hand_on(last, last.page)

    def _hand_on(self, fetched: Fetched, page: Page) -> None:
        """Stitch what has been read of a page, and put it on the shelf."""
        self._last = fetched
        if not self._stitcher.pages:
            self._first = fetched
        self._shelf.put(self._stitcher.take(page))
        if not page.is_complete:
            return
        self._fetcher.drop(fetched)
        self._weights.learn_items(self._request.key, self._request.media.form, page.count, page.weight)
        self._metrics.learn(self._progress)
        self._metrics.note_page(self._progress)
        if not self._stitcher.token:
            self._shelf.finish()

    def _ask_ahead(self, fetched: Fetched, page: Page, item_bytes: float) -> bool:
        """Ask for the page after one that arrives, or is still to be cut, so that upstream and proxy work at once.

        Only where the client keeps up: then these two are the pages that are held.
        """
        if self._group is None or self._next is not None or not self._shelf.is_awaited:
            return False
        token = self._stitcher.foresee(page)
        if not token:
            return False
        turn = Turn(token, fetched.limit, item_bytes)
        self._next = Ahead(turn.token, self._group.create_task(self._fetch_ahead(turn)))
        return True

    async def _fetch_ahead(self, turn: Turn) -> Fetched | RestreamError:
        """Fetch a page whose turn may never come, so that a failure decides nothing yet."""
        try:
            return await self._fetcher.fetch(turn)
        except RestreamError as error:
            return error
