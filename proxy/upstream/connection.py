"""One HTTP/1.1 connection to the upstream: one request, then one response, again and again.

A response is handed out as soon as its head is in; its body is a `BodyStream` whose reader paces the upstream.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast

import httptools

from proxy.core.errors import RestreamError, UpstreamClosedError, UpstreamProtocolError, UpstreamTimeoutError
from proxy.core.headers import Lines, first, values
from proxy.http1 import LAST_CHUNK, NO_BODY_STATUSES, BodyStream, Piece, chunk
from proxy.settings import Limits
from proxy.sockets import Handover, Paced, probe

RECEIVED = memoryview(bytearray(256 << 10))
"""Where every connection's bytes arrive, as they are parsed before the next ones can: one copy less than a bytes object
for each read (0.40 instead of 0.50 CPU s/GB raw), and no buffer for idle connections."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose head has arrived. `length` is the announced size of the body, None where there is none."""

    status: int
    reason: bytes
    lines: Lines
    length: int | None
    body: BodyStream
    connection: "Connection"


class Connection(Paced, asyncio.BufferedProtocol):
    """One connection to the upstream: one request, then one response, again and again."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.is_fresh = self.is_silent = True
        self.idle_since = 0.0
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._head: asyncio.Future[Response] | None = None
        self._body: BodyStream | None = None
        # A List comes in chunks of 2 KiB: a method of ours for each would cost a fifth of copying it.
        self._found: list[bytes] = []
        self.on_body = self._found.append
        self._left: int | None = None  # of a body framed by Content-Length, which needs no parser
        self._until_close = False
        self._is_answered = self._is_reusable = False
        self._method = ""
        self._reason = b""
        self._lines: Lines = []
        self._unparsed = 0  # bytes since the parser last had something to tell
        self._may_switch = self._has_switched = False
        self._early = b""  # behind the head of a 101
        self._lost_by: Exception | None = None
        self._sender: asyncio.Task[None] | None = None
        self._timeout: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- requests ---------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        head: bytes,
        timeout: float | None,  # noqa: ASYNC109
        *,
        may_switch: bool = False,
    ) -> Response:
        """Send a request's head and wait for the response's, which may be a 101 only where it `may_switch`.

        Raises UpstreamClosedError, UpstreamProtocolError and UpstreamTimeoutError.
        """
        if self._transport is None:
            raise UpstreamClosedError("the upstream closed the connection")
        self._parser = httptools.HttpResponseParser(self)
        self._method, self._reason, self._lines, self._unparsed = method, b"", [], 0
        self._left, self._until_close = None, False
        self._is_answered = self._is_reusable = False
        self.is_silent, self._may_switch = True, may_switch
        self._head = self._loop.create_future()
        self._transport.write(head)
        self._timeout = timeout
        self._restart_timer()
        try:
            return await self._head
        finally:
            self._head = self._timeout = None
            self._restart_timer()

    def _restart_timer(self) -> None:
        """Give the upstream its full time from now: it cannot answer before it has the request's body."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._timeout, self._expire) if self._timeout else None

    def send_body(self, body: BodyStream, *, is_chunked: bool) -> None:
        """Send a request's body as it comes, beside waiting for the response; failures surface there.

        Nothing of it is written behind what waits: the kernel has buffers of its own, and a batch of which one byte
        waits is in memory as a whole.
        """
        body.still_to_send = self._waiting
        self._sender = self._loop.create_task(self._send_body(body, is_chunked=is_chunked))

    def _waiting(self) -> int:
        """Return how many bytes the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def _send_body(self, body: BodyStream, *, is_chunked: bool) -> None:
        try:
            while pieces := await body.read():
                if self._transport is None:
                    return
                self._transport.set_write_buffer_limits(high=0)
                self._transport.writelines(chunk(pieces) if is_chunked else pieces)
                self._restart_timer()
                await self.drain()
            if self._transport is not None:
                self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
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

    def hand_over(self) -> Handover:
        """Give a connection that has switched protocols up to a tunnel."""
        return Handover(self._transport, self._early, self.connection_lost, self._lost_by)

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
        probe(stream)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: D102
        return RECEIVED

    def buffer_updated(self, nbytes: int) -> None:  # noqa: D102
        self._take(RECEIVED[:nbytes])

    def _take(self, data: memoryview) -> None:
        self.is_silent = False
        if self._left is not None:
            self._take_counted(data)
        elif self._until_close and self._body is not None:
            self._body.push(bytes(data))
        elif self._has_switched:
            self._early += bytes(data)
        elif self._parser is None:
            self._is_reusable = False  # bytes that nobody asked for
            self.close()
        else:
            self._parse(data)

    def eof_received(self) -> None:
        """Close; `connection_lost` tells a response that ends here from one that is cut."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport, self._lost_by = None, exc
        self._is_reusable = False
        if self._until_close and self._body is not None and exc is None:
            self._end_body()
        self._fail(UpstreamClosedError("the upstream closed the connection before the response was complete"))
        self.resume_writing()  # whoever waits looks at the transport next

    # --- the response -------------------------------------------------------------------------------------------------

    def _parse(self, data: memoryview) -> None:
        self._unparsed += len(data)
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]  # the caller has looked
        except httptools.HttpParserUpgrade as upgrade:
            self._early = bytes(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._push_found()
            self._fail(UpstreamProtocolError("the upstream does not speak HTTP/1.1"))
            self.close()
            return
        self._push_found()
        if self._unparsed > self._limits.header_bytes:
            self._fail(UpstreamProtocolError(f"head or trailer over {self._limits.header_bytes} bytes"))
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
        self._unparsed = 0
        status = parser.get_status_code()
        if status == 101:
            self._switch()
            return
        if status < 200 or self._head is None or self._head.done():
            return
        codings = [coding.lower() for coding in values(self._lines, b"transfer-encoding")]
        if codings not in ([], ["chunked"]):
            self._fail(UpstreamProtocolError("the upstream uses a transfer coding other than chunked"))
            self.close()
            return
        length_text = first(self._lines, b"content-length")
        length = int(length_text) if length_text else None
        body = BodyStream(self._limits.read_buffer_bytes, self._pause, self._resume)
        self._body = body
        self._is_reusable = parser.should_keep_alive() and not self._may_switch  # a refusal often ends the connection
        if self._method == "HEAD" or status in NO_BODY_STATUSES:
            self._left = 0
            self._end_body()
        elif not first(self._lines, b"transfer-encoding"):
            self._left, self._until_close = length, length is None
            if length == 0:
                self._end_body()
        self._head.set_result(Response(status, self._reason, self._lines, length, body, self))

    def _switch(self) -> None:
        """Hand out a 101, and stop to read: what follows is no HTTP, and is for the tunnel to carry."""
        parser, self._parser = self._parser, None
        if not (self._may_switch and parser is not None and parser.should_upgrade()) or self._head is None:
            self._fail(UpstreamProtocolError("the upstream switches protocols, which nobody has asked it for"))
            self.close()
            return
        self._pause()
        self._has_switched = True
        body = BodyStream(0, self._pause, self._resume)
        body.end()
        if not self._head.done():
            self._head.set_result(Response(101, self._reason, self._lines, None, body, self))

    def _push_found(self) -> None:
        """Pass on what the parser has found of the body."""
        if not self._found:
            return
        self._unparsed = 0
        found = self._found.copy()
        self._found.clear()
        if self._left is not None:
            self._take_counted(b"".join(found))
        elif self._body is not None:
            self._body.push(*found)

    def on_message_complete(self) -> None:  # noqa: D102
        self._push_found()
        self._unparsed = 0
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
