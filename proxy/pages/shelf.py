"""Where what has been read waits to be sent: one coroutine puts, another takes."""

import asyncio

from proxy.core.events import Event


class Shelf:
    """Events in order. `size` is theirs in bytes, `is_awaited` says that nothing is left and more could be sent."""

    def __init__(self) -> None:
        self.size = 0
        self.is_finished = False
        self.is_awaited = False
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
            self.is_awaited = True
            await self._filled.wait()
            self.is_awaited = False
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
