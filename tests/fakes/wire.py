"""One end of a TCP connection with its bytes in plain sight, and a client made of it."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, cast

PATIENCE = 20.0
"""How long anything may take before a test gives up; never a measure of speed."""

Lines = list[tuple[bytes, bytes]]


class WireEndedError(Exception):
    """The other side ended, or reset, the connection before what was waited for."""


class Wire(asyncio.Protocol):
    """One end of a connection: what came in, what went out, and how it ended."""

    def __init__(self) -> None:
        self.total = 0
        self.has_eof = False
        self.is_lost = False
        self.was_reset = False
        self._received = bytearray()
        self._at = 0
        self._written = 0
        self._is_full = False
        self._transport: asyncio.Transport | None = None
        self._waiters: list[asyncio.Future[None]] = []

    # --- asyncio.Protocol -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = stream = cast("asyncio.Transport", transport)
        # With TLS, 0 would be "full" for both loops though nothing waits, and nothing would tell when it is no longer.
        stream.set_write_buffer_limits(high=0 if transport.get_extra_info("ssl_object") is None else 1)

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._received += data
        self.total += len(data)
        self._wake()

    def eof_received(self) -> bool:  # noqa: D102
        self.has_eof = True
        self._wake()
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self.is_lost = True
        self.was_reset = isinstance(exc, ConnectionError)
        self._wake()

    def pause_writing(self) -> None:  # noqa: D102
        self._is_full = True

    def resume_writing(self) -> None:  # noqa: D102
        self._is_full = False
        self._wake()

    # --- waiting ----------------------------------------------------------------------------------------------------

    @property
    def is_made(self) -> bool:
        """Whether there was a connection at all."""
        return self._transport is not None

    @property
    def peer_name(self) -> str:
        """Return the common name in the other side's certificate, empty without one."""
        certificate = self._transport.get_extra_info("peercert") if self._transport is not None else None
        subject = dict(pair for group in (certificate or {}).get("subject", ()) for pair in group)
        return str(subject.get("commonName", ""))

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.has_eof or self.is_lost

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, which is looked at again after every event of this wire."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # --- sending ----------------------------------------------------------------------------------------------------

    @property
    def sent(self) -> int:
        """Bytes that the kernel has taken."""
        waiting = self._transport.get_write_buffer_size() if self._transport is not None and not self.is_lost else 0
        return self._written - waiting

    async def send(self, *pieces: bytes) -> None:
        """Send each of `pieces` with a write of its own, and wait until the kernel has taken everything.

        The loop turns once between two pieces, so that the other side has the chance to read each alone.
        """
        for piece in pieces:
            if self.is_lost or self._transport is None:
                raise WireEndedError("nobody reads any more")
            self._transport.write(piece)
            self._written += len(piece)
            if self._is_full:
                await self.until(lambda: not self._is_full or self.is_lost)
            await asyncio.sleep(0)

    def finish(self) -> None:
        """Send a FIN and go on reading."""
        if self._transport is not None and not self.is_lost:
            self._transport.write_eof()

    def close(self) -> None:
        """Send what waits, then a FIN."""
        if self._transport is not None and not self._transport.is_closing():  # twice breaks TLS on Python 3.11.2
            self._transport.close()

    def reset(self) -> None:
        """Send an RST, as a process that dies with unread data does."""
        if self._transport is None or self.is_lost:
            return
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # --- receiving --------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop to read: what comes fills the kernel's buffers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None:
            self._transport.resume_reading()

    @property
    def unread(self) -> bytes:
        """What has come and was not taken by a `read_`."""
        return bytes(self._received[self._at :])

    @property
    def seen(self) -> bytes:
        """Everything of the last megabyte that has come, read or not."""
        return bytes(self._received)

    async def read_until(self, end: bytes) -> bytes:
        """Return everything up to and including `end`."""
        while (found := self._received.find(end, self._at)) < 0:
            await self._more(len(self._received) + 1)
        return self._take(found + len(end) - self._at)

    async def read_exactly(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        await self._more(self._at + size)
        return self._take(size)

    async def read_rest(self) -> bytes:
        """Return everything to the end of the connection, however it comes."""
        await self.until(lambda: self.has_ended)
        return self._take(len(self._received) - self._at)

    async def _more(self, size: int) -> None:
        await self.until(lambda: len(self._received) >= size or self.has_ended)
        if len(self._received) < size:
            raise WireEndedError("the connection ended")

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[self._at : self._at + size])
        self._at += size
        if self._at > 1 << 20:
            del self._received[: self._at]
            self._at = 0
        return taken


@dataclass(frozen=True, slots=True)
class Answer:
    """One response as it stood on the wire. `complete` tells whether its framing says that it ended well."""

    status: int
    reason: bytes
    lines: Lines
    body: bytes
    complete: bool
    was_reset: bool
    chunks: list[int] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    trailers: Lines = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all header lines called `name`."""
        return [value for key, value in self.lines if key.lower() == name.lower()]

    def first(self, name: bytes) -> bytes:
        """Return the value of the first header line called `name`, empty without one."""
        return next(iter(self.values(name)), b"")

    @property
    def mode(self) -> str:
        """What X-Restream-Mode says."""
        return self.first(b"x-restream-mode").decode()


def parse_head(head: bytes) -> tuple[bytes, Lines]:
    """Split a head into its first line and its header lines, nothing trimmed but the one space after the colon."""
    first_line, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    lines = []
    for line in rest:
        name, _, value = line.partition(b":")
        lines.append((name, value.removeprefix(b" ")))
    return first_line, lines


class Client(Wire):
    """An HTTP/1 client that says what it is told and reports what it gets."""

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        source: str | None = None,
    ) -> Self:
        """Open a connection, from another address of this machine where `source` is one."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            if source:
                sock.bind((source, 0))
            await loop.sock_connect(sock, (host, port))
        except OSError:
            sock.close()
            raise
        _, client = await loop.create_connection(cls, sock=sock, ssl=tls, server_hostname=host if tls else None)
        return client

    async def __aenter__(self) -> Self:
        """Use as a context manager: closed at the end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        self.close()
        if self._transport is not None:
            self._transport.abort()
            await self.until(lambda: self.is_lost)

    async def ask(self, request: bytes, *, method: str = "GET") -> Answer:
        """Send a request and return the answer to it."""
        await self.send(request)
        return await self.answer(method)

    async def answer(self, method: str = "GET") -> Answer:
        """Read one response, interim ones aside. Status 0 stands for a connection that ended before its head."""
        interim: list[int] = []
        while True:
            try:
                head = await self.read_until(b"\r\n\r\n")
            except WireEndedError:
                await self._settle()
                return Answer(0, b"", [], self.unread, complete=False, was_reset=self.was_reset, interim=interim)
            first_line, lines = parse_head(head)
            status, reason = _parse_status(first_line)
            if status >= 200:
                break
            interim.append(status)
        chunks: list[int] = []
        body = bytearray()
        trailers: Lines = []
        try:
            if method == "HEAD" or status in (204, 304):
                complete = True
            elif any(name.lower() == b"transfer-encoding" for name, _ in lines):
                trailers = await self._chunked(body, chunks)
                complete = True
            elif length := [value for name, value in lines if name.lower() == b"content-length"]:
                await self._counted(body, int(length[0]))
                complete = True
            else:
                body += await self.read_rest()
                await self._settle()
                complete = not self.was_reset
        except WireEndedError:
            await self._settle()
            complete = False
        return Answer(status, reason, lines, bytes(body), complete, self.was_reset, chunks, interim, trailers)

    async def _settle(self) -> None:
        """After the end, close as well, so that what kind of an end it was is known."""
        self.close()
        await self.until(lambda: self.is_lost)

    async def _counted(self, body: bytearray, size: int) -> None:
        try:
            body += await self.read_exactly(size)
        except WireEndedError:
            body += self.unread
            raise

    async def _chunked(self, body: bytearray, chunks: list[int]) -> Lines:
        while True:
            size = int((await self.read_until(b"\r\n"))[:-2], 16)
            if size == 0:
                trailers = bytearray()
                while (line := await self.read_until(b"\r\n")) != b"\r\n":
                    trailers += line
                return parse_head(b"\r\n" + bytes(trailers) + b"\r\n")[1] if trailers else []
            await self._counted(body, size)
            chunks.append(size)
            if await self.read_exactly(2) != b"\r\n":
                raise AssertionError("a chunk does not end with CRLF")


def _parse_status(line: bytes) -> tuple[int, bytes]:
    version, code, *reason = line.split(b" ", 2)
    assert version == b"HTTP/1.1", line
    return int(code), reason[0] if reason else b""


def request(
    target: bytes | str = b"/api/v1/pods",
    *lines: bytes,
    method: str = "GET",
    version: str = "1.1",
    host: bytes | None = b"127.0.0.1",
    body: bytes = b"",
) -> bytes:
    """Write a request: the first line, Host, `lines` as they are, the body."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    head = [method.encode() + b" " + raw + b" HTTP/" + version.encode()]
    if host is not None:
        head.append(b"Host: " + host)
    return b"\r\n".join([*head, *lines, b"", b""]) + body
