"""One client's HTTP/1.1 connection, parsed by llhttp: one request at a time, in order.

Requests are handed to the handler with their target and header lines as they stood on the wire.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools

from proxy.core.errors import BadRequestError, ClientGoneError, RestreamError
from proxy.core.headers import Lines, first, values
from proxy.core.status import phrase
from proxy.downstream.answer import Answer, Request
from proxy.downstream.peer import Introductions, Peer
from proxy.http1 import BodyStream, Piece, render_head
from proxy.settings import Limits

logger = logging.getLogger("kube-restream")

MAX_PIPELINED = 16
LINGER_SECONDS = 2.0
"""How long an answered request may go on sending its body before the connection is closed under it."""

Handler = Callable[[Request], Awaitable[None]]


@dataclass(slots=True)
class Service:
    """What the connections of a listener share: who handles requests, and whether any more are taken."""

    handler: Handler
    limits: Limits
    introductions: Introductions
    connections: set["Connection"] = field(default_factory=set)
    is_draining: bool = False
    is_dropping: bool = False
    tell_loss: Callable[[], None] | None = None


class Connection(asyncio.Protocol):
    """One client connection. Requests are handled one after the other; pipelined ones wait in order."""

    def __init__(self, service: Service) -> None:
        self.keeps_alive = True
        self._service = service
        self._limits = service.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer: Peer
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._refusal: tuple[int, str] | None = None
        self._target = b""
        self._lines: Lines = []
        self._incoming: BodyStream | None = None
        self._unparsed = 0  # bytes since the parser last had something to tell
        self._framing = b""  # of a body whose request the parser takes to have ended
        self._is_primed = False
        self._current: Request | None = None
        self._in_head = False
        self._is_paused = False
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0  # to be sent when the timer last looked

    # --- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = stream = cast("asyncio.Transport", transport)  # uvloop's are not of its class
        stream.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self._peer = self._service.introductions.introduce(transport)
        self._service.connections.add(self)
        self._timer = self._loop.call_later(self._limits.idle_seconds, self._close_if_idle)
        if self.is_draining:  # accepted before the drain began, made after it has looked at the connections
            self._close()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._unparsed += len(data)
        while data and self._refusal is None:
            data = self._parse(data)
        if self._unparsed > self._limits.header_bytes:
            self._refuse(431, f"head or trailer over {self._limits.header_bytes} bytes")

    def _parse(self, data: bytes) -> bytes:
        """Feed the parser; return what stands behind a request that asked for an upgrade, which ends it."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._renew_parser()
            return data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse(400, "malformed HTTP request")
        return b""

    def _renew_parser(self) -> None:
        """Go on after a request that asked for an upgrade: it was not granted, so HTTP/1.1 it remains.

        llhttp takes such a request to end with its head. One with a body goes on in a parser that has been shown the
        framing: read as requests of their own, its bytes would pass our rules by.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self._framing:
            framing, self._framing = self._framing, b""
            self._is_primed = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
            self._is_primed = False

    def eof_received(self) -> None:
        """Close: a client that has closed its side is gone, as for nginx; half-closed clients are not served."""
        if self._current is not None:
            self._current.answer.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport = None
        self._service.connections.discard(self)
        if self._service.tell_loss:
            self._service.tell_loss()
        if self._timer:
            self._timer.cancel()
        if self._incoming is not None:
            self._incoming.fail(ClientGoneError("the client closed the connection"))
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:  # noqa: D102
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:  # noqa: D102
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # --- httptools callbacks ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:  # noqa: D102
        if self._is_primed:
            return
        self._target, self._lines, self._in_head = b"", [], True

    def on_url(self, url: bytes) -> None:  # noqa: D102
        if self._in_head:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: D102
        if self._in_head:  # not a trailer, which could smuggle a credential past the rules
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:  # noqa: D102
        if self._is_primed:
            return
        parser, lines = self._parser, self._lines
        self._in_head, self._unparsed = False, 0
        version, method = parser.get_http_version(), parser.get_method().decode("ascii")
        if problem := _find_problem(method, version, lines):
            self._refuse(400, problem)
            raise BadRequestError(problem)  # stops the parser: what follows must not be taken for a request
        is_http10 = version == "1.0"
        is_chunked = bool(first(lines, b"transfer-encoding"))
        has_body = is_chunked or first(lines, b"content-length") not in ("", "0")
        body = BodyStream(self._limits.read_buffer_bytes, self._pause, self._resume) if has_body else None
        if has_body and parser.should_upgrade():
            name = b"transfer-encoding" if is_chunked else b"content-length"
            self._framing = name + b": " + first(lines, name).encode("latin-1")
        keep_alive = parser.should_keep_alive()
        request = Request(method, self._target, lines, is_http10, keep_alive, body, is_chunked)
        request.answer, request.peer = Answer(self, request), self._peer
        self._incoming = body
        self._queue.append(request)
        if len(self._queue) > MAX_PIPELINED:
            self._pause()
        if self._task is None:
            self._task = self._loop.create_task(self._serve())

    def on_body(self, data: bytes) -> None:  # noqa: D102
        self._unparsed = 0
        if self._incoming is not None:
            self._incoming.push(data)

    def on_message_complete(self) -> None:  # noqa: D102
        self._unparsed = 0
        if self._incoming is not None and not self._framing:
            self._incoming.end()
            self._incoming = None

    # --- requests ---------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Handle what waits in the queue; a connection without a request has no task."""
        while self._queue and self._transport is not None:
            await self.drain()  # answers without a body do not wait themselves
            request = self._current = self._queue.popleft()
            if not self._queue and not (self._incoming is not None and self._incoming.is_paused):
                self._resume()
            self.keeps_alive = request.keep_alive
            try:
                await self._service.handler(request)
            except Exception:
                logger.exception("a bug: the handler failed")
                request.answer.abort()
            if not request.answer.ended:
                break
            self._current = None
            if not self.keeps_alive or not await self._swallow(request.body):
                self._close()
                break
        self._task = None
        self._idle_since = self._loop.time()
        if self._refusal is not None:
            self._answer_refusal()
        elif self.is_draining:
            self._close()

    async def _swallow(self, body: BodyStream | None) -> bool:
        """Read what is left of an answered request; False where it takes too long to keep the connection."""
        deadline = self._loop.time() + LINGER_SECONDS
        try:
            while body is not None and not (body.ended and body.size == 0):
                await body.read(max(0.001, deadline - self._loop.time()))
                if self._loop.time() > deadline:
                    return False
        except (TimeoutError, RestreamError):
            return False
        return True

    # --- the socket -------------------------------------------------------------------------------------------------

    @property
    def is_draining(self) -> bool:
        """Whether the listener is going down, so that this connection takes no more requests."""
        return self._service.is_draining

    @property
    def is_dropped(self) -> bool:
        """Whether the listener has dropped what outlived the drain."""
        return self._service.is_dropping

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._task is None

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that writing should wait."""
        return self._drained is not None

    @property
    def write_buffer_size(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, pieces: Sequence[Piece]) -> None:
        """Hand bytes to the transport. Raises ClientGoneError without one."""
        if self._transport is None or self._transport.is_closing():
            raise ClientGoneError("the client closed the connection")
        self._transport.writelines(pieces)

    async def drain(self) -> float:
        """Wait until the client has caught up; return the seconds that took."""
        if self._drained is None:
            return 0.0
        since = self._loop.time()
        await self._drained
        return self._loop.time() - since

    def reset_on_close(self, on: bool) -> None:
        """Let the kernel end the connection with a reset, however it comes to end, until told otherwise."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(on), 0))

    def abort(self, *, reset: bool = False) -> None:
        """Drop the connection and what waits to be sent; with `reset` the client sees ECONNRESET, not an end."""
        if self._transport is None:
            return
        if reset:
            self.reset_on_close(True)
        self._transport.abort()

    def drop(self) -> "asyncio.Task[None] | None":
        """Cancel the request under way, whose handler aborts its answer, or close; return what is to be awaited."""
        if self._task is None and self.write_buffer_size:
            self.abort(reset=True)
        elif self._task is None:
            self._close()
        else:
            self._task.cancel()
        return self._task

    def close_if_idle(self) -> None:
        """Close now where no request is under way."""
        if self.is_idle:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _close_if_idle(self) -> None:
        """Close after `idle_seconds` without a request; one that does not finish its head counts as idle.

        A client that does not even take the rest of what was sent is dropped.
        """
        due = self._idle_since + self._limits.idle_seconds
        waiting = self.write_buffer_size
        if self._transport is not None and self._transport.is_closing() and waiting == self._waiting:
            self.abort(reset=True)
            return
        self._waiting = waiting
        if self.is_idle and self._loop.time() >= due:
            self._close()
            due = self._loop.time() + self._limits.idle_seconds
        delay = self._limits.idle_seconds if not self.is_idle else due - self._loop.time()
        self._timer = self._loop.call_later(max(delay, 1.0), self._close_if_idle)

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    # --- refusals ---------------------------------------------------------------------------------------------------

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is not HTTP after everything before it, then close: its end cannot be known."""
        if self._refusal is not None:
            return
        self._refusal = (status, message)
        if self._incoming is not None:
            self._incoming.fail(BadRequestError(message))
        if self._task is None:
            self._answer_refusal()

    def _answer_refusal(self) -> None:
        status, message = self._refusal or (400, "")
        body = f"{status} {phrase(status)}: {message}\n".encode()
        lines = [
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Connection", b"close"),
        ]
        if self._transport is not None and not self._transport.is_closing():
            self.write([render_head(b"HTTP/1.1 %d %s" % (status, phrase(status).encode()), lines), body])
            self._close()


def _find_problem(method: str, version: str, lines: Lines) -> str:
    """Return what is wrong with a head that llhttp lets pass, nothing if all is well.

    Where two parsers could read the framing differently, requests can be smuggled (RFC 9112, section 11.2).
    """
    if method == "CONNECT":
        return "no tunnels here"
    if version not in ("1.0", "1.1"):
        return "HTTP/1.1 is spoken here"
    if version == "1.1" and len(values(lines, b"host")) != 1:
        return "exactly one Host is required"
    codings = values(lines, b"transfer-encoding")
    if codings and (version == "1.0" or [coding.strip().lower() for coding in codings] != ["chunked"]):
        return "chunked is the only transfer coding, and not of HTTP/1.0"
    return ""
