"""A client that can read slowly, stop reading, or vanish; it tells how each response ended."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Self, cast

import httptools

READ_BYTES = 1 << 20
SLOW_READ_BYTES = 16 << 10
PATIENCE_SECONDS = 90.0
"""How long a response may show no sign of life. Above every deadline that the soak gives the proxy."""

USUAL = {"Host": "127.0.0.1", "Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "soak"}


Lines = Mapping[str, str]


class HangError(Exception):
    """Nothing came for so long that a user would call it hung."""


@dataclass(slots=True)
class Answer:
    """One response. Without a `status` there was none; without `complete` it has no end, which every client notices."""

    status: int = 0
    lines: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    was_reset: bool = False
    is_first: bool = True
    """Whether its connection had carried nothing before."""

    @property
    def trouble(self) -> str:
        """Return what its client would call it, nothing where it is a success."""
        if self.status >= 400:
            return f"status {self.status}" if self.complete else f"status {self.status}, unfinished"
        if self.complete:
            return ""
        if not self.status:
            return "no answer" if self.is_first else "no answer on a kept connection"
        return "reset" if self.was_reset else "unfinished"


class Connection(asyncio.BufferedProtocol):
    """One connection with a request at a time. `rate` is in bytes a second."""

    def __init__(self, rate: float = 0.0) -> None:
        self._rate = rate
        self._buffer = memoryview(bytearray(SLOW_READ_BYTES if rate else READ_BYTES))
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._done: asyncio.Future[None] | None = None
        self._last = 0.0
        self._count = 0
        self._is_frozen = False
        self._freezes_at: int | None = None
        self.on_body_part: Callable[[bytes], None] | None = None

    @classmethod
    async def open(cls, address: tuple[str, int], *, rate: float = 0.0, receive_buffer: int = 0) -> Self:
        """Connect. Raises OSError."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        _, connection = await loop.create_connection(lambda: cls(rate), sock=sock)
        return connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether it can take another request."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def seen(self) -> Answer:
        """Return what has come so far."""
        return self._answer

    def send(self, data: bytes) -> None:
        """Send bytes as they are; nothing where the connection has ended."""
        if self._transport is not None and self.is_open:
            self._transport.write(data)

    async def ask(self, method: str, target: str, lines: Lines | None = None, body: bytes = b"") -> Answer:
        """Send a request and wait for the end of its response, whatever that is. Raises HangError."""
        self.begin(method, target, lines, body)
        return await self.answer()

    def begin(self, method: str, target: str, lines: Lines | None = None, body: bytes = b"") -> None:
        """Send a request."""
        named = USUAL | dict(lines or {})
        if body:
            named["Content-Length"] = str(len(body))
        self.expect()
        head = "\r\n".join(
            [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in named.items()), "", ""]
        )
        self.send(head.encode() + body)

    def expect(self) -> None:
        """Take what comes from here on for a response."""
        self._answer = Answer(is_first=not self._count)
        self._count += 1
        self._done = asyncio.get_running_loop().create_future()
        self._last = monotonic()
        if not self.is_open:
            self._end()

    async def answer(self, patience: float = PATIENCE_SECONDS) -> Answer:
        """Wait for the end of a response, whatever that is. Raises HangError."""
        assert self._done is not None
        while not self._done.done():
            rest = self._last + patience - monotonic()
            if rest <= 0:
                raise HangError(f"nothing for {patience:g} s behind {len(self._answer.body):,} bytes")
            await asyncio.wait([self._done], timeout=rest)
        return self._answer

    async def until(self, size: int) -> bool:
        """Wait until so many bytes of the body are there; False where the response has ended before."""
        assert self._done is not None
        while len(self._answer.body) < size and not self._done.done():  # noqa: ASYNC110 (cheap enough)
            await asyncio.sleep(0.02)
        return not self._done.done()

    # --- ways to be a bad client ------------------------------------------------------------------------------------

    def freeze_at(self, size: int) -> None:
        """Stop reading as soon as so many bytes of the body are there."""
        self._freezes_at = size

    def freeze(self) -> None:
        """Stop reading."""
        self._is_frozen = True
        if self.is_open and self._transport is not None:
            self._transport.pause_reading()

    def thaw(self) -> None:
        """Go on reading."""
        self._is_frozen = False
        self._last = monotonic()
        if self.is_open and self._transport is not None:
            self._transport.resume_reading()

    def reset(self) -> None:
        """Vanish with an RST."""
        if self._transport is not None and self.is_open:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: D102
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:  # noqa: D102
        self._last = monotonic()
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserError:
            self._end()
            self.close()
        if self._freezes_at is not None and len(self._answer.body) >= self._freezes_at:
            self._freezes_at = None
            self.freeze()
        if self._rate and self.is_open and self._transport is not None:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(nbytes / self._rate, self._go_on)

    def _go_on(self) -> None:
        if self.is_open and not self._is_frozen and self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._answer.was_reset = exc is not None
        self._end()

    def _end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    # --- llhttp's side ----------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        self._answer.lines[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:  # noqa: D102
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:  # noqa: D102
        if self.on_body_part is None or self._answer.status >= 400:
            self._answer.body += body
        else:
            self.on_body_part(body)

    def on_message_complete(self) -> None:  # noqa: D102
        self._answer.complete = True
        self._end()
