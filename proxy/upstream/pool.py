"""The way to the upstream: which of its addresses a request goes to, and where it goes instead if that fails."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import cast

from proxy.core.balance import Standing, rank
from proxy.core.breaker import Ticket
from proxy.core.errors import UpstreamClosedError, UpstreamError, UpstreamTimeoutError, UpstreamUnavailableError
from proxy.core.retrybudget import RetryBudget
from proxy.metrics import Metrics, RetryKind
from proxy.settings import Limits
from proxy.upstream.connection import Connection, Response
from proxy.upstream.place import Address, Place, Request

HEDGE_SECONDS = 0.25
"""How long one address has to connect before another one is tried beside it (RFC 8305, section 5)."""


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """A request that has got as far as a connection."""

    place: Place
    connection: Connection
    ticket: Ticket


class Upstream:
    """The addresses of one upstream, which are taken to be equals."""

    def __init__(self, addresses: Sequence[Address], limits: Limits, metrics: Metrics) -> None:
        self._metrics = metrics
        self.places = [Place(address, limits, metrics, is_checked=len(addresses) > 1) for address in addresses]
        self._budget = RetryBudget()
        self._turn = random.randrange(len(addresses))  # noqa: S311 (so that workers do not begin alike)

    async def send(self, request: Request) -> Response:
        """Send a request and wait for the head of its response, which goes back to `release`.

        Connections are tried until one can be had, as nothing has been sent by then. A request that may be sent twice
        is sent once more where a connection ends without a byte of a response: one that was idle, or, where there is
        another address to go to, any.
        Raises `proxy.core.errors.UpstreamError`s, and what the request's body fails with.
        """
        self._budget.note_request(monotonic())
        visit = await self._reach(request)
        try:
            return await self._carry(visit, request)
        except UpstreamClosedError:
            if not self._may_repeat(request, visit) or not self.may_retry("connection"):
                raise
        return await self._carry(await self._reach(request, is_fresh=True), request)

    def may_retry(self, kind: RetryKind) -> bool:
        """Take a retry from what there is for all requests; False where that is used up."""
        is_granted = self._budget.take(monotonic())
        self._metrics.note_retry(kind, is_granted=is_granted)
        return is_granted

    def place_of(self, response: Response) -> Place:
        """Return where a response comes from that has not been released."""
        return next(place for place in self.places if place.has(response.connection))

    def release(self, response: Response) -> None:
        """Take a response back: its connection carries the next request if it is complete, else it is closed."""
        self.place_of(response).release(response)

    def close(self) -> None:
        """Drop every connection."""
        for place in self.places:
            place.close()

    async def _carry(self, visit: Visit, request: Request) -> Response:
        return await visit.place.carry(visit.connection, request, visit.ticket)

    def _may_repeat(self, request: Request, visit: Visit) -> bool:
        """Whether a request is sent once more whose connection has ended."""
        has_elsewhere = any(place.is_up for place in self.places if place is not visit.place)
        is_stale = not visit.connection.is_fresh
        return request.is_repeatable and visit.connection.is_silent and (is_stale or has_elsewhere)

    # --- a connection somewhere ---------------------------------------------------------------------------------------

    async def _reach(self, request: Request, *, is_fresh: bool = False) -> Visit:
        """Get as far as a connection. Raises UpstreamErrors, the last one where there are many."""
        failure: UpstreamError | None = None
        tried: list[Place] = []
        for group in self._groups(request):
            try:
                visit = await self._reach_one(group, request, tried, is_fresh=is_fresh or request.is_handshake)
            except UpstreamError as error:
                if failure is None or not isinstance(error, UpstreamUnavailableError):
                    failure = error
                continue
            for place in tried:
                if place is not visit.place:
                    self._metrics.upstream_failovers.labels(place.address.label).inc()
            return visit
        assert failure is not None  # noqa: S101 (there is a group, and it has failed)
        raise failure

    def _groups(self, request: Request) -> list[list[Place]]:
        places = self.places
        if len(places) == 1:
            return [places]
        self._turn += 1
        home = places.index(request.home) if request.home is not None else None
        standings = [Standing(place.is_up, place.load(lasting=request.lasts)) for place in places]
        return [[places[number] for number in group] for group in rank(standings, self._turn, home)]

    async def _reach_one(
        self, group: Sequence[Place], request: Request, tried: list[Place], *, is_fresh: bool
    ) -> Visit:
        """Get a connection to the first that can be had: the next is tried where one fails, or beside a slow one."""
        failure: UpstreamError = UpstreamUnavailableError("the upstream has not answered for a while")
        racing: set[asyncio.Task[Visit]] = set()
        left = list(group)
        try:
            while left or racing:
                place = left.pop(0) if left else None
                ticket = place.breaker.admit(monotonic()) if place is not None else None
                if place is not None and ticket is not None:
                    tried.append(place)
                    connection = None if is_fresh else place.take_idle(request.method)
                    if connection is not None:
                        return Visit(place, connection, ticket)
                    if not (left or racing):
                        return await _open(place, ticket)
                    racing.add(asyncio.get_running_loop().create_task(_open(place, ticket)))
                if racing:
                    done, racing = await asyncio.wait(
                        racing, timeout=HEDGE_SECONDS if left else None, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        if task.exception() is None:
                            racing |= done - {task}
                            return task.result()
                        failure = cast("UpstreamError", task.exception())
        finally:
            for task in racing:
                task.cancel()
                task.add_done_callback(_drop)
        raise failure


async def _open(place: Place, ticket: Ticket) -> Visit:
    """Connect, and give the ticket up where that fails."""
    place.connecting += 1
    try:
        return Visit(place, await place.open(), ticket)
    except UpstreamTimeoutError:
        ticket.time_out(monotonic())
        raise
    except BaseException:
        ticket.leave()
        raise
    finally:
        place.connecting -= 1
        place.show_breaker()


def _drop(task: asyncio.Task[Visit]) -> None:
    """Drop a connection that came too late."""
    if not task.cancelled() and task.exception() is None:
        visit = task.result()
        visit.ticket.leave()
        visit.connection.close()
