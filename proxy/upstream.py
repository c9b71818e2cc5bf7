"""The way to the upstream: a pool of HTTP/1.1 connections, and the one place that translates its failures.

A response is handed out as soon as its head is in; its body is a `BodyStream` whose reader paces the upstream.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import cast

import httptools

from proxy.core.errors import (
    RestreamError,
    UpstreamClosedError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from proxy.core.headers import Lines, first
from proxy.http1 import LAST_CHUNK, BodyStream, Piece, chunk, render_head
from proxy.settings import Limits

REPLAYABLE = frozenset({"GET", "HEAD", "OPTIONS"})
IDLE_SECONDS = 75.0
"""Idle connections are not used again after this: a kube-apiserver closes them at 90 s, and both would race."""

IDLE_SECONDS_TO_WRITE = 5.0
"""The same for requests that must not be sent twice: there the race would be an error."""

MAX_IDLE = 256

RECEIVED = memoryview(bytearray(256 << 10))
"""Where every connection's bytes arrive, as they are parsed before the next ones can: one copy less than a bytes object
for each read (0.40 instead of 0.50 CPU s/GB raw), and no buffer for idle connections."""
NO_BODY_STATUSES = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is. `prefix` is put before every target (a kubeconfig's server may have a path)."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    prefix: bytes = b""

    @property
    def authority(self) -> bytes:
        """Return the value of the Host line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.tls else 80
        return host.encode() if self.port == default else f"{host}:{self.port}".encode()


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask the upstream: `target` and `lines` go out as they stand, a `body` as it comes."""

    method: str
    target: bytes
    lines: Lines
    body: BodyStream | None = None
    is_chunked: bool = False
    is_long_running: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose head has arrived. `length` is the announced size of the body, None where there is none."""

    status: int
    reason: bytes
    lines: Lines
    length: int | None
    body: BodyStream
    connection: "Connection"


class Connection(asyncio.BufferedProtocol):
    """One connection to the upstream: one request, then one response, again and again."""

    def __init__(self, limits: Limits) -> None:
        self.is_fresh = True
        self.idle_since = 0.0
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._head: asyncio.Future[Response] | None = None
        self._body: BodyStream | None = None
        self._left: int | None = None  # of a body framed by Content-Length, which needs no parser
        self._until_close = False
        self._is_answered = self._is_reusable = False
        self._method = ""
        self._reason = b""
        self._lines: Lines = []
        self._head_size = 0
        self._drained: asyncio.Future[None] | None = None
        self._sender: asyncio.Task[None] | None = None

    # --- requests ---------------------------------------------------------------------------------------------------

    async def request(self, method: str, head: bytes, timeout: float | None) -> Response:  # noqa: ASYNC109
        """Send a request's head and wait for the response's.

        Raises UpstreamClosedError, UpstreamProtocolError and UpstreamTimeoutError.
        """
        if self._transport is None:
            raise UpstreamClosedError("the upstream closed the connection")
        self._parser = httptools.HttpResponseParser(self)
        self._method, self._reason, self._lines, self._head_size = method, b"", [], 0
        self._left, self._until_close = None, False
        self._is_answered = self._is_reusable = False
        self._head = self._loop.create_future()
        self._transport.write(head)
        timer = self._loop.call_later(timeout, self._expire) if timeout else None
        try:
            return await self._head
        finally:
            self._head = None
            if timer:
                timer.cancel()

    def send_body(self, body: BodyStream, *, is_chunked: bool) -> None:
        """Send a request's body as it comes, beside waiting for the response; failures surface there."""
        self._sender = self._loop.create_task(self._send_body(body, is_chunked=is_chunked))

    async def _send_body(self, body: BodyStream, *, is_chunked: bool) -> None:
        try:
            while pieces := await body.read():
                if self._transport is None:
                    return
                self._transport.writelines(chunk(pieces) if is_chunked else pieces)
                if self._drained is not None:
                    await self._drained
            if is_chunked and self._transport is not None:
                self._transport.write(LAST_CHUNK)
        except RestreamError as error:
            self._fail(error)
            self.close()

    @property
    def is_reusable(self) -> bool:
        """Whether the last response is complete and the connection may carry another."""
        is_sent = self._sender is None or self._sender.done()
        return self._is_reusable and self._body is None and self._transport is not None and is_sent

    @property
    def is_open(self) -> bool:
        """Whether the connection has not been closed by either side."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Drop the connection with whatever is under way on it."""
        if self._sender is not None:
            self._sender.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _expire(self) -> None:
        self._fail(UpstreamTimeoutError("the upstream did not answer in time"))

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = stream = cast("asyncio.Transport", transport)  # uvloop's are not of its class
        stream.set_write_buffer_limits(high=self._limits.write_buffer_bytes)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: D102
        return RECEIVED

    def buffer_updated(self, nbytes: int) -> None:  # noqa: D102
        self._take(RECEIVED[:nbytes])

    def _take(self, data: memoryview) -> None:
        if self._left is not None:
            self._take_counted(data)
        elif self._until_close and self._body is not None:
            self._body.push(bytes(data))
        elif self._parser is None:
            self._is_reusable = False  # bytes that nobody asked for
            self.close()
        else:
            self._parse(data)

    def eof_received(self) -> None:
        """Close; `connection_lost` tells a response that ends here from one that is cut."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport = None
        self._is_reusable = False
        if self._until_close and self._body is not None and exc is None:
            self._end_body()
        self._fail(UpstreamClosedError("the upstream closed the connection before the response was complete"))
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)  # whoever waits looks at the transport next

    def pause_writing(self) -> None:  # noqa: D102
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:  # noqa: D102
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # --- the response -------------------------------------------------------------------------------------------------

    def _parse(self, data: memoryview) -> None:
        if self._head is not None:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]  # the caller has looked
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(UpstreamProtocolError("the upstream does not speak HTTP/1.1"))
            self.close()
            return
        if self._head is not None and not self._head.done() and self._head_size > self._limits.header_bytes:
            self._fail(UpstreamProtocolError(f"response head over {self._limits.header_bytes} bytes"))
            self.close()

    def _take_counted(self, data: Piece) -> None:
        left = (self._left or 0) - len(data)
        if self._body is None or left < 0:
            self._is_reusable = False  # more than was announced: nothing on this connection can be trusted now
            self.close()
            data, left = data[:left], 0
        self._left = left
        if self._body is not None:
            if data:
                self._body.push(bytes(data))
            if left == 0:
                self._end_body()

    def on_message_begin(self) -> None:
        """Forget an interim response: 1xx other than 101 tell nothing that can be passed on.

        What begins behind the final one is nothing that was asked for.
        """
        if self._is_answered:
            self._is_reusable = False
        self._reason, self._lines = b"", []

    def on_status(self, reason: bytes) -> None:  # noqa: D102
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if self._body is None:  # trailers are dropped
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:  # noqa: D102
        parser = self._parser
        assert parser is not None  # noqa: S101 (it is calling)
        status = parser.get_status_code()
        if status < 200 or self._head is None or self._head.done():
            return
        length_text = first(self._lines, b"content-length")
        length = int(length_text) if length_text else None
        body = BodyStream(self._limits.read_buffer_bytes, self._pause, self._resume)
        self._body = body
        self._is_reusable = parser.should_keep_alive()
        if self._method == "HEAD" or status in NO_BODY_STATUSES:
            self._left = 0
            self._end_body()
        elif not first(self._lines, b"transfer-encoding"):
            self._left, self._until_close = length, length is None
            if length == 0:
                self._end_body()
        self._head.set_result(Response(status, self._reason, self._lines, length, body, self))

    def on_body(self, data: bytes) -> None:  # noqa: D102
        if self._left is not None:
            self._take_counted(data)
        elif self._body is not None:
            self._body.push(data)

    def on_message_complete(self) -> None:  # noqa: D102
        if self._body is not None and self._left is None:
            self._end_body()

    def _end_body(self) -> None:
        body, self._body = self._body, None
        self._parser = None
        self._is_answered = True
        if body is not None:
            body.end()

    def _fail(self, error: Exception) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
        body, self._body = self._body, None
        if body is not None:
            body.fail(error)

    def _pause(self) -> None:
        if self.is_open:
            cast("asyncio.Transport", self._transport).pause_reading()

    def _resume(self) -> None:
        if self.is_open:
            cast("asyncio.Transport", self._transport).resume_reading()


class Upstream:
    """A pool of connections to one address. Limits on their number are the client's connections."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address = address
        self._limits = limits
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()

    async def send(self, request: Request) -> Response:
        """Send a request and wait for the head of its response, which goes back to `release`.

        A request that can be replayed is sent once more where an idle connection turns out to have been closed.
        Raises `proxy.core.errors.UpstreamError`s, and what the request's body fails with.
        """
        connection = self._take_idle(request.method) or await self._open()
        try:
            return await self._send_on(connection, request)
        except UpstreamClosedError:
            if connection.is_fresh or request.body is not None or request.method not in REPLAYABLE:
                raise
        return await self._send_on(await self._open(), request)

    async def _send_on(self, connection: Connection, request: Request) -> Response:
        target = self.address.prefix + request.target
        head = render_head(b"%s %s HTTP/1.1" % (request.method.encode(), target), request.lines)
        self._busy.add(connection)
        try:
            if request.body is not None:
                connection.send_body(request.body, is_chunked=request.is_chunked)
            return await connection.request(
                request.method, head, None if request.is_long_running else self._limits.first_byte_seconds
            )
        except BaseException:
            self._busy.discard(connection)
            connection.close()
            raise

    def release(self, response: Response) -> None:
        """Take a response back: its connection carries the next request if it is complete, else it is closed."""
        connection = response.connection
        self._busy.discard(connection)
        if response.body.is_over and connection.is_reusable and len(self._idle) < MAX_IDLE:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def _take_idle(self, method: str) -> Connection | None:
        """Return the connection that was used last, unless the upstream may be about to close it."""
        oldest = asyncio.get_running_loop().time() - (IDLE_SECONDS if method in REPLAYABLE else IDLE_SECONDS_TO_WRITE)
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > oldest:
                connection.is_fresh = False
                return connection
            connection.close()
        return None

    async def _open(self) -> Connection:
        address, loop = self.address, asyncio.get_running_loop()
        name = (address.server_name or address.host) if address.tls else None
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limits), address.host, address.port, ssl=address.tls, server_hostname=name
                )
        except TimeoutError:
            raise UpstreamTimeoutError("connecting to the upstream took too long") from None
        except OSError as error:
            raise UpstreamUnreachableError(f"cannot connect to the upstream: {_describe(error)}") from error
        return connection

    def close(self) -> None:
        """Drop every connection."""
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()
        self._busy.clear()


def _describe(error: OSError) -> str:
    """Say what went wrong without the addresses' repetition that asyncio's own message has."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS handshake failed"
    return error.strerror or type(error).__name__
