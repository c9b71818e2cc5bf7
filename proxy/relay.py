"""The ways a response's body takes: one short coroutine a plan, between a `BodyStream` and an `Answer`."""

from collections.abc import Sequence
from time import monotonic

from proxy.core.events import Event, Items
from proxy.core.joiner import join
from proxy.core.splitter import Splitter
from proxy.downstream.answer import Answer
from proxy.http1 import Piece, Source
from proxy.metrics import Metrics
from proxy.pages.sequence import Pages
from proxy.progress import Progress


class Relay:
    """One response on its way: where it comes from, where it goes, and the account that is kept of it."""

    def __init__(self, source: Source, answer: Answer, progress: Progress, metrics: Metrics) -> None:
        self._source = source
        self._answer = answer
        self._progress = progress
        self._metrics = metrics

    async def raw(self) -> None:
        """Copy the body as it comes; its head has been sent."""
        self._progress.held = lambda: self._source.body.size + self._answer.waiting
        while pieces := await self._source.read():
            await self._write(pieces)

    async def look(self, splitter: Splitter) -> list[Event]:
        """Read until it is known whether the body is a List, or too long to be held; return the first events."""
        self._progress.held = lambda: self._source.body.size + splitter.held
        while pieces := await self._source.read():
            if events := self._cut(splitter, pieces):
                return events
        return splitter.finish()

    async def streamed(self, splitter: Splitter, events: list[Event]) -> None:
        """Pass on a List item by item, beginning with `events`; its head has been sent.

        What has arrived together is cut and sent together: the first bytes leave at once, a fast upstream's
        are coalesced to what one read brings.
        """
        self._progress.held = lambda: self._source.body.size + splitter.held + self._answer.waiting
        await self._write_events(events)
        while pieces := await self._source.read():
            await self._write_events(self._cut(splitter, pieces))
        await self._write_events(splitter.finish())

    async def paged(self, pages: Pages, events: list[Event]) -> None:
        """Pass on a List page by page, beginning with `events`; its head has been sent."""
        while events:
            await self._write_events(events)
            events.clear()  # a page that has been sent should not stay in memory until the next one is there
            events = await pages.take()

    async def buffered(self, splitter: Splitter, events: list[Event]) -> list[Piece]:
        """Hold a whole List, beginning with `events`, and return its body in pieces."""
        whole: list[Piece] = []
        size = 0

        def hold(events: list[Event]) -> None:
            nonlocal size
            self._count(events)
            pieces = join(events)
            whole.extend(pieces)
            size += sum(map(len, pieces))
            self._progress.note_held()

        self._progress.held = lambda: self._source.body.size + splitter.held + size
        hold(events)
        while pieces := await self._source.read():
            hold(self._cut(splitter, pieces))
        hold(splitter.finish())
        return whole

    async def write_whole(self, whole: list[Piece]) -> None:
        """Send a held body with one write."""
        await self._write(whole)

    def _cut(self, splitter: Splitter, pieces: list[bytes]) -> list[Event]:
        """Cut what has arrived; the end, where it has too, is judged before the last byte can leave.

        With a Content-Length that byte completes the response: there would be no chance to abort it.
        """
        events = splitter.feed(*pieces)
        if self._source.body.is_over:
            events += splitter.finish()
        return events

    async def _write(self, pieces: Sequence[Piece]) -> None:
        progress, answer = self._progress, self._answer
        if progress.first_byte is None:
            progress.first_byte = monotonic()
        stalled = await answer.write(pieces)
        progress.bytes_sent = answer.sent
        progress.note_held()
        if stalled:
            self._metrics.note_stall(progress, stalled)

    async def _write_events(self, events: list[Event]) -> None:
        if events:
            self._count(events)
            await self._write(join(events))

    def _count(self, events: list[Event]) -> None:
        progress = self._progress
        for event in events:
            if isinstance(event, Items):
                progress.items += len(event.sizes)
                progress.item_bytes += len(event.data)
                self._metrics.item_sizes.count(progress.mode, event.sizes)
                if progress.count_items:
                    progress.count_items(len(event.sizes))
