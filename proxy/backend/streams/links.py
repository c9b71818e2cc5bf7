"""What SPDY runs over: a socket of its own, or the messages of a WebSocket (KEP-4006)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aiohttp import WSMsgType, web

READ_BYTES = 64 * 1024
# For a client to take what was sent to it last: a close with unread bytes would take it away again.
LINGER_SECONDS = 1.0


class Link(Protocol):
    """Bytes in both directions."""

    async def read(self) -> bytes:
        """Return what has arrived, nothing at the end."""

    async def write(self, data: bytes) -> None:
        """Write, and wait while the other side is behind."""

    async def close(self) -> None:
        """Close, when what was written has arrived."""


@dataclass(frozen=True, slots=True)
class SocketLink:
    """An upgraded socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> bytes:
        """Return what has arrived, nothing at the end."""
        return await self.reader.read(READ_BYTES)

    async def write(self, data: bytes) -> None:
        """Write, and wait while the other side is behind."""
        self.writer.write(data)
        await self.writer.drain()

    async def close(self) -> None:
        """End the own direction, wait for the other one's end, close."""
        try:
            with suppress(OSError):
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                async with asyncio.timeout(LINGER_SECONDS):
                    while await self.read():
                        pass
        finally:
            self.writer.close()


@dataclass(frozen=True, slots=True)
class TunnelLink:
    """A WebSocket whose binary messages are pieces of one stream."""

    websocket: web.WebSocketResponse

    async def read(self) -> bytes:
        """Return what has arrived, nothing at the end; empty messages aren't one."""
        while True:
            message = await self.websocket.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                return bytes(message.data)

    async def write(self, data: bytes) -> None:
        """Write one message."""
        await self.websocket.send_bytes(data)

    async def close(self) -> None:
        """Say goodbye."""
        await self.websocket.close()
