"""The client: HTTP/1.1 below aiohttp, with one buffer for all, as it shares the cores with what it measures."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Self, cast
from urllib.parse import urlsplit

import httptools

from proxy.bench.errors import LoadError

# Where the bytes of every connection arrive, as they are parsed before the next ones can: a thousand have no more.
RECEIVED = memoryview(bytearray(1 << 20))
PACED_READ_BYTES = 64 * 1024
MODE_HEADER = b"x-restream-mode"
JSON = "application/json"
USUAL = ("User-Agent: kube-restream-bench", "Accept-Encoding: identity")

Sink = Callable[[bytes], object]


@dataclass(slots=True)
class Transfer:
    """One response: what it was, how long it took."""

    status: int = 0
    mode: str = ""
    size: int = 0
    first_byte: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Door:
    """An address that takes more than its URL to enter; `prefix` stands before every target."""

    url: str
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    prefix: str = ""
    authorization: str = field(default="", repr=False)


class Connection(asyncio.BufferedProtocol):
    """One keep-alive connection with one request at a time.

    With `rate` (bytes a second) it is a slow client: it stops reading until what it has read is paid for.
    """

    def __init__(self, door: Door, rate: float | None = None) -> None:
        self._door = door
        self._buffer = RECEIVED[:PACED_READ_BYTES] if rate else RECEIVED
        self._rate = rate
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._started = 0.0
        self.transfer = Transfer()

    @classmethod
    async def open(cls, where: str | Door, rate: float | None = None) -> Self:
        """Connect. Raises LoadError."""
        door = Door(where) if isinstance(where, str) else where
        parts = urlsplit(door.url)
        port = parts.port or (443 if door.tls else 80)
        name = (door.server_name or parts.hostname) if door.tls else None
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: cls(door, rate), parts.hostname or "", port, ssl=door.tls, server_hostname=name
            )
        except OSError as error:
            raise LoadError(f"cannot connect to {door.url}: {error.strerror or error}") from None
        return connection

    @property
    def url(self) -> str:
        """Return where it goes."""
        return self._door.url

    async def get(self, target: str, sink: Sink | None = None, *, accept: str = JSON) -> Transfer:
        """Fetch `target`, hand its body to `sink` as it comes. Raises LoadError where it does not come whole."""
        if self._transport is None or self._transport.is_closing():
            raise LoadError("the connection is closed")
        self.transfer, self._sink = Transfer(), sink
        self._done = asyncio.get_running_loop().create_future()
        self._started = perf_counter()
        self._transport.write(self._request(target, accept))
        await self._done
        return self.transfer

    def _request(self, target: str, accept: str) -> bytes:
        door = self._door
        lines = [
            f"GET {door.prefix}{target} HTTP/1.1",
            f"Host: {urlsplit(door.url).netloc}",
            *USUAL,
            f"Accept: {accept}",
        ]
        if door.authorization:
            lines.append(f"Authorization: {door.authorization}")
        return "\r\n".join([*lines, "", ""]).encode()

    def close(self) -> None:
        """Leave, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer the same buffer again and again."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has come."""
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserError as error:
            self._end(LoadError(f"not HTTP: {error}"))
            self.close()
        if self._rate and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(nbytes / self._rate, self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail a response that is not complete."""
        self._end(LoadError(f"the connection broke after {self.transfer.size:,} bytes of the body"))

    def _end(self, error: LoadError | None) -> None:
        if self._done is None or self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)

    # --- llhttp's side --------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Pick out the header that tells how a List travelled."""
        if name.lower() == MODE_HEADER:
            self.transfer.mode = value.decode("latin-1").partition(";")[0]

    def on_headers_complete(self) -> None:
        """Note the status."""
        self.transfer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Count, and pass on."""
        transfer = self.transfer
        if not transfer.size:
            transfer.first_byte = perf_counter() - self._started
        transfer.size += len(body)
        if self._sink is not None:
            self._sink(body)

    def on_message_complete(self) -> None:
        """Finish the response."""
        self.transfer.seconds = perf_counter() - self._started
        self._end(None)


async def fetch(where: str | Door, target: str, sink: Sink | None = None, *, accept: str = JSON) -> Transfer:
    """Fetch `target` over a connection of its own; anything but a 200 is an error. Raises LoadError."""
    connection = await Connection.open(where)
    try:
        transfer = await connection.get(target, sink, accept=accept)
    finally:
        connection.close()
    if transfer.status != 200:
        raise LoadError(f"{connection.url}{target} answered {transfer.status}")
    return transfer


async def fetch_text(where: str | Door, target: str) -> str:
    """Fetch a small document. Raises LoadError."""
    parts: list[bytes] = []
    await fetch(where, target, parts.append)
    return b"".join(parts).decode()
