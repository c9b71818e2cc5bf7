"""One client's HTTP/1.1 connection: one request at a time, in order, until it ends or becomes a tunnel."""

import asyncio
import logging
import socket
import ssl
from collections import deque
from typing import cast

from proxy.core.errors import ClientGoneError, ClientStalledError, RestreamError
from proxy.core.status import phrase
from proxy.downstream.answer import Answer, Request
from proxy.downstream.arrival import Arrival
from proxy.downstream.parser import Parser
from proxy.downstream.peer import Peer
from proxy.downstream.service import Service
from proxy.downstream.stream import ClientStream
from proxy.http1 import BodyStream, render_head
from proxy.metrics import ClientRefusal
from proxy.sockets import Handover, probe

logger = logging.getLogger("kube-restream")

MAX_PIPELINED = 16
LINGER_SECONDS = 2.0
"""How long an answered request may go on sending its body before the connection is closed under it."""

FAREWELL_SECONDS = 1.0
"""How long a connection is idle before a drain closes it: the next request may be on its way already, and a client that
is closed upon cannot know whether it was read (nginx has keepalive_min_timeout for this)."""

REFUSALS: dict[int, ClientRefusal] = {
    400: "malformed",
    408: "head_slow",
    414: "target_long",
    431: "head_large",
    501: "malformed",
    503: "heads_full",
}
"""What is counted for a refusal with a status."""


class Connection(ClientStream):
    """One client connection. Requests are handled one after the other; pipelined ones wait in order."""

    def __init__(self, service: Service, address: str) -> None:
        super().__init__(service.limits, self._drop_stalled)
        self.address = address
        self.keeps_alive = True
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._peer: Peer
        self._parser = Parser(self, service.limits, service.uploads)
        self._arrival = Arrival(self._parser, service.heads, service.limits.header_seconds, lambda: self._is_paused)
        self._queue: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._refusal: tuple[int, str] | None = None
        self._current: Request | None = None
        self._is_handed_over = False
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._requests = 0
        self._waiting = 0  # to be sent when the timer last looked

    # --- the beginning ----------------------------------------------------------------------------------------------

    def open(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Serve a connection that has been accepted, or close it where there are too many."""
        if self._service.admit(self):
            self._opening = self._loop.create_task(self._open(sock, tls))
        else:
            sock.close()

    async def _open(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        seconds = self._limits.header_seconds if tls else None
        try:
            await self._loop.connect_accepted_socket(lambda: self, sock, ssl=tls, ssl_handshake_timeout=seconds)
        except OSError:  # a handshake that failed, or took too long
            self._service.count_refusal("handshake")
        finally:
            self._opening = None
            if self._transport is None:
                self._service.forget(self)

    # --- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = stream = cast("asyncio.Transport", transport)  # uvloop's are not of its class
        stream.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        probe(stream)
        self._peer = self._service.introductions.introduce(transport)
        self._idle_since = self._loop.time()
        self._timer = self._loop.call_later(self._limits.idle_seconds, self._close_if_idle)
        if self.is_draining:  # accepted before the drain began, made after it has looked at the connections
            self.leave()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._parser.feed(data)
        self._arrival.look()

    def eof_received(self) -> None:
        """Close: a client that has closed its side is gone, as for nginx; half-closed clients are not served."""
        if self._current is not None:
            self._current.answer.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport = None
        self._patience.end()
        if self._timer:
            self._timer.cancel()
        self._arrival.end()
        if self._task is not None and self._is_handed_over:
            # The tunnel knows. It is under way, so that a drain waits for it, until the other side has ended as well.
            self._task.add_done_callback(lambda _: self._service.forget(self))
            return
        self._service.forget(self)
        self._parser.fail(ClientGoneError("the client closed the connection"))
        for request in self._queue:
            if request.body is not None:
                request.body.drop()
        if self._task is not None:
            self._task.cancel()

    def _drop_stalled(self) -> None:
        """Drop a client that does not read, whoever is waiting for it."""
        if self._current is None:
            self.abort(reset=True)
        else:
            self.give_up(ClientStalledError("the client does not read"))

    # --- what the parser finds ----------------------------------------------------------------------------------------

    def take(self, request: Request) -> None:
        """Put a request in the queue."""
        request.answer, request.peer = Answer(self, request), self._peer
        self._queue.append(request)
        self._arrival.hold(request.head_size)
        if len(self._queue) > MAX_PIPELINED or self._arrival.held > self._limits.read_buffer_bytes:
            self.pause()
        if self._task is None:
            self._service.begin(self)
            self._task = self._loop.create_task(self._serve())

    def refuse(self, status: int, message: str) -> None:
        """Answer what is not HTTP after everything before it, then close: its end cannot be known."""
        self._service.count_refusal(REFUSALS[status])
        self._refusal = (status, message)
        if self._task is None:
            self._answer_refusal()

    # --- requests ---------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Handle what waits in the queue; a connection without a request has no task."""
        while self._queue and self._transport is not None:
            await self.drain()  # answers without a body do not wait themselves
            request = self._current = self._queue.popleft()
            self._requests += 1
            self._resume_where_there_is_room()
            self.keeps_alive = request.keep_alive
            may_go_on = await self._handle(request)
            if request.body is not None:
                request.body.drop()
            self._arrival.hold(-request.head_size)
            if not may_go_on:
                break
            if request.is_handshake:
                self._parser.go_on()
                self._resume_where_there_is_room()
        self._task = None
        self._idle_since = self._loop.time()
        self._service.wait(self)
        if self._refusal is not None:
            self._answer_refusal()
        elif self.is_draining:
            self.leave()

    async def _handle(self, request: Request) -> bool:
        """Have a request answered; False where the connection carries no other one."""
        try:
            await self._service.handler(request)
        except Exception:
            logger.exception("a bug: the handler failed")
            request.answer.abort()
        if not request.answer.ended:
            return False
        self._current = None
        if not self.keeps_alive or not await self._swallow(request.body):
            self._close()
            return False
        return True

    def _resume_where_there_is_room(self) -> None:
        if not self._queue and not self._parser.is_full:
            self.resume()

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
    def is_leaving(self) -> bool:
        """Whether the listener is going down, so that clients should come back on another connection."""
        return self._service.is_leaving

    @property
    def is_last(self) -> bool:
        """Whether the connection has carried as many requests as it may."""
        most = self._limits.connection_requests
        return self.is_leaving or bool(most and self._requests >= most)

    @property
    def is_draining(self) -> bool:
        """Whether the listener accepts no more connections."""
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
    def held_behind(self) -> int:
        """Return how many bytes have come behind a handshake that is not answered."""
        return self._parser.held_behind

    def hand_over(self) -> Handover:
        """Give the connection up to a tunnel; the request that has asked for it is its last."""
        self._is_handed_over = True
        early = self._parser.give_up()
        self._parser.forget()
        return Handover(self._transport, early, self.connection_lost)

    def drop(self) -> "asyncio.Task[None] | None":
        """Cancel the request under way, whose handler aborts its answer, or close; return what is to be awaited."""
        if self._opening is not None:
            self._opening.cancel()
            return self._opening
        if self._task is None and self._write_buffer_size:
            self.abort(reset=True)
        elif self._task is None:
            self._close()
        else:
            self._task.cancel()
        return self._task

    @property
    def is_endless(self) -> bool:
        """Whether what is under way is a response that goes on until `end_early`."""
        return self._current is not None and self._current.answer.is_endless

    def end_early(self) -> None:
        """End such a response."""
        if self._current is not None:
            self._current.answer.end_early()

    def make_room(self) -> bool:
        """End a handshake, or a connection that has no request under way and nothing to send."""
        if self._opening is not None:
            self._opening.cancel()
            return True
        if not self.is_idle or not self._is_open or self._write_buffer_size:
            return False
        self._close()
        return True

    def leave(self) -> None:
        """Close as soon as no request is under way, and none can be on its way that the client takes to be welcome."""
        if self._opening is not None:
            self._loop.call_later(FAREWELL_SECONDS, self.make_room)
        if not (self.is_idle and self._is_open):
            return
        left = self._idle_since + FAREWELL_SECONDS - self._loop.time()
        if left <= 0:
            self._close()
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(left, self.leave)

    def _close_if_idle(self) -> None:
        """Close after `idle_seconds` without a request; one that does not finish its head counts as idle.

        A client that does not even take the rest of what was sent is dropped.
        """
        due = self._idle_since + self._limits.idle_seconds
        waiting = self._write_buffer_size
        if self._transport is not None and self._transport.is_closing() and waiting == self._waiting:
            self.abort(reset=True)
            return
        self._waiting = waiting
        if self.is_idle and self._loop.time() >= due:
            self._close()
            due = self._loop.time() + self._limits.idle_seconds
        delay = self._limits.idle_seconds if not self.is_idle else due - self._loop.time()
        self._timer = self._loop.call_later(max(delay, 1.0), self._close_if_idle)

    def _answer_refusal(self) -> None:
        status, message = self._refusal or (400, "")
        body = f"{status} {phrase(status)}: {message}\n".encode()
        lines = [
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Connection", b"close"),
        ]
        if self._is_open:
            self.write([render_head(b"HTTP/1.1 %d %s" % (status, phrase(status).encode()), lines), body])
            self._close()
