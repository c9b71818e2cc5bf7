"""The console of a container: whoever is attached sees what any of them types, and what the container prints."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NoReturn

from proxy.backend.streams.logs import Log
from proxy.backend.streams.pipes import Sink, Source


class Console:
    """Those who are attached."""

    def __init__(self) -> None:
        self.screens: set[Sink] = set()

    async def attach(self, keyboard: Source, screen: Sink, log: Log) -> NoReturn:
        """Show what is typed and printed, until the client leaves: the end of what it types ends nothing."""
        self.screens.add(screen)
        repeating = asyncio.create_task(self.repeat(keyboard))
        try:
            async for number in log.following(log.last()):
                await screen(log.line(number))
        finally:
            self.screens.discard(screen)
            repeating.cancel()
            await asyncio.gather(repeating, return_exceptions=True)
        raise AssertionError("a log never ends")

    async def repeat(self, keyboard: Source) -> None:
        """Show what is typed to all; one who is gone is no reason not to tell the others."""
        while data := await keyboard.read():
            for screen in tuple(self.screens):
                with suppress(ConnectionError):
                    await screen(data)
