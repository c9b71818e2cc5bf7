"""A terminal: its size, which the client tells as JSON, and what its line discipline does to bytes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from proxy.backend.streams.pipes import Sink, Source

# A size is thirty bytes; more than this without one isn't sizes.
HELD_LIMIT = 4096
END_OF_TRANSMISSION = b"\x04"


@dataclass(frozen=True, slots=True)
class Size:
    """Columns and rows."""

    width: int = 0
    height: int = 0

    def __str__(self) -> str:
        """Print as stty does."""
        return f"{self.height} {self.width}"


class Terminal:
    """The size of a terminal, and its changes."""

    def __init__(self) -> None:
        self.size = Size()
        self.held = ""
        self.decoder = json.JSONDecoder()
        self.changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Take what came over the resize stream: JSON objects, one behind the other."""
        self.held = (self.held + data.decode(errors="replace")).lstrip()[-HELD_LIMIT:]
        while self.held:
            try:
                value, end = self.decoder.raw_decode(self.held)
                self.size = Size(int(value["Width"]), int(value["Height"]))
            except (ValueError, TypeError, KeyError):
                return
            self.held = self.held[end:].lstrip()
            self.changed.set()

    async def next_size(self) -> Size:
        """Wait for a size that nobody has seen yet."""
        await self.changed.wait()
        self.changed.clear()
        return self.size


@dataclass
class Keyboard:
    """Standard input by way of a terminal: Enter ends a line, Ctrl-D the input."""

    source: Source
    ended: bool = False

    async def read(self) -> bytes:
        """Return what was typed, nothing at the end."""
        if self.ended:
            return b""
        typed, end, _ = (await self.source.read()).replace(b"\r", b"\n").partition(END_OF_TRANSMISSION)
        self.ended = bool(end)
        return typed


def screen(sink: Sink) -> Sink:
    """Return a sink that returns the carriage with each line."""

    async def show(data: bytes) -> None:
        await sink(data.replace(b"\n", b"\r\n"))

    return show
