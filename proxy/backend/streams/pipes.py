"""Bytes on their way to a reader: bounded, with an end, and dropped once nobody reads them any more."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

# Twice what a Kubernetes client writes at once.
PIPE_BYTES = 64 * 1024


class Source(Protocol):
    """Something to read from."""

    async def read(self) -> bytes:
        """Return what there is, nothing at the end."""


class Sink(Protocol):
    """Something to write to."""

    async def __call__(self, data: bytes, /) -> None:
        """Write, and wait while the reader is behind."""


class Pipe:
    """One direction between two coroutines."""

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self.size = 0
        self.ended = False
        self.dropping = False
        self.changed = asyncio.Condition()

    async def feed(self, data: bytes) -> None:
        """Add bytes, and wait while the reader is behind."""
        if not data or self.ended or self.dropping:
            return
        self.parts.append(data)
        self.size += len(data)
        async with self.changed:
            self.changed.notify_all()
            await self.changed.wait_for(lambda: self.size < PIPE_BYTES or self.ended or self.dropping)

    async def end(self) -> None:
        """No more bytes will come."""
        self.ended = True
        async with self.changed:
            self.changed.notify_all()

    async def drop(self) -> None:
        """Nobody reads any more."""
        self.dropping = True
        self.parts.clear()
        self.size = 0
        async with self.changed:
            self.changed.notify_all()

    async def read(self) -> bytes:
        """Return what there is, nothing at the end."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.parts or self.ended or self.dropping)
            data = b"".join(self.parts)
            self.parts.clear()
            self.size = 0
            self.changed.notify_all()
        return data
