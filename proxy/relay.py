"""The ways a response's body takes: one short coroutine a plan, between a `BodyStream` and an `Answer`."""

from collections.abc import Sequence
from time import monotonic

from proxy.admission import Lease
from proxy.core.errors import ClientGoneError
from proxy.core.events import Event, Items
from proxy.core.joiner import join
from proxy.core.splitter import Splitter
from proxy.downstream.answer import Answer
from proxy.http1 import Piece, Source, memory_of
from proxy.metrics import Metrics
from proxy.pages.sequence import Pages
from proxy.progress import Progress


class Relay:
    """One response on its way: where it comes from, where it goes, and the account that is kept of it."""

    def __init__(self, source: Source, answer: Answer, lease: Lease, progress: Progress, metrics: Metrics) -> None:
        self._source = source
        self._answer = answer
        self._lease = lease
        self._progress = progress
        self._metrics = metrics
        self._largest = 0  # of the items so far, in bytes

    async def raw(self) -> None:
        """Copy the body as it comes; its head has been sent.

        What may take for ever (a watch, a log) comes in little pieces that somebody waits for. They leave from within
        the parser's call: a coroutine would get its turn behind all the Lists that are being cut (p50 of an event
        beside ten of them: 8 instead of 14 ms).
        """
        self._progress.held = lambda: self._source.held + self._answer.held
        if self._source.timeout is None:
            self._source.offer_to(self._pass_on)
        while pieces := await self._source.read():
            await self._write(pieces)

    async def look(self, splitter: Splitter) -> list[Event]:
        """Read until it is known whether the body is a List, or too long to be held; return the first events."""
        self._progress.held = lambda: self._source.held + splitter.held
        while True:
            events = await self._next(splitter)
            if events or self._source.is_over:
                return events

    async def streamed(self, splitter: Splitter, events: list[Event]) -> None:
        """Pass on a List item by item, beginning with `events`; its head has been sent.

        What has arrived together is cut and sent together: the first bytes leave at once, a fast upstream's
        are coalesced to what one read brings.
        """
        self._progress.held = lambda: self._source.held + splitter.held + self._answer.held
        await self._write_events(events)
        while not self._source.is_over:
            self._lease.settle(self._held, self._largest)
            await self._write_events(await self._next(splitter))

    async def paged(self, pages: Pages, events: list[Event]) -> None:
        """Pass on a List page by page, beginning with `events`; its head has been sent."""
        while events:
            await self._write_events(events)
            events = await pages.take()

    async def buffered(self, splitter: Splitter, events: list[Event]) -> list[Piece]:
        """Hold a whole List, beginning with `events`, and return its body in pieces.

        They are copies: windows have more in them than what was cut.
        """
        whole: list[Piece] = []
        held = 0

        def hold(events: list[Event]) -> None:
            nonlocal held
            self._count(events)
            whole.append(b"".join(join(events)))
            held += memory_of(whole[-1:])
            self._progress.note_held()

        self._progress.held = lambda: self._source.held + splitter.held + held
        hold(events)
        while not self._source.is_over:
            hold(await self._next(splitter))
        return whole

    async def write_whole(self, whole: list[Piece]) -> None:
        """Send a held body with one write."""
        await self._write(whole)

    @property
    def _held(self) -> int:
        """Return what is held in bytes besides what waits to be read."""
        return self._progress.held() - self._source.held

    async def _next(self, splitter: Splitter) -> list[Event]:
        """Wait for more and cut it; the end, where it has come too, is judged before the last byte can leave.

        With a Content-Length that byte completes the response: there would be no chance to abort it. What was read is
        in nobody's hands but the splitter's: a name for it would keep it while the client is waited for.
        """
        await self._lease.read_on(self._held, self._largest)
        events = splitter.feed(*await self._source.read())
        if self._source.is_over:
            events += splitter.finish()
        return events

    def _pass_on(self, pieces: Sequence[Piece]) -> bool:
        try:
            is_sent = self._answer.write_at_once(pieces)
        except ClientGoneError:
            return False  # for the coroutine to find out
        if is_sent:
            self._note_sent()
        return is_sent

    async def _write(self, pieces: Sequence[Piece]) -> None:
        self._answer.write(pieces)
        self._note_sent()
        if self._answer.is_full:
            began = monotonic()
            try:
                with self._lease.stalled():
                    await self._answer.drain()
            finally:
                self._metrics.note_stall(self._progress, monotonic() - began)

    def _note_sent(self) -> None:
        progress = self._progress
        if progress.first_byte is None:
            progress.first_byte = monotonic()
        progress.bytes_sent = self._answer.sent
        progress.note_held()

    async def _write_events(self, events: list[Event]) -> None:
        """Write events, and empty their list: what was sent should not stay in memory while a client is waited for."""
        if events:
            self._count(events)
            pieces = join(events)
            events.clear()
            await self._write(pieces)

    def _count(self, events: list[Event]) -> None:
        progress = self._progress
        for event in events:
            if isinstance(event, Items):
                progress.items += len(event.sizes)
                progress.item_bytes += len(event.data)
                self._largest = max(self._largest, *event.sizes)
                self._metrics.item_sizes.count(progress.mode, event.sizes)
                if progress.count_items:
                    progress.count_items(len(event.sizes))
