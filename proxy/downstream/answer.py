"""A request as it stood on the wire, and the response to it as it comes into being.

A response that cannot be completed is aborted: the connection ends without a last chunk, and with a TCP reset where a
plain close would look like the end of the body (HTTP/1.0 clients).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proxy.core import forwarding, upgrades
from proxy.core.headers import Lines, first, without_length
from proxy.downstream.peer import Peer
from proxy.downstream.upload import Upload
from proxy.http1 import LAST_CHUNK, NO_BODY_STATUSES, Piece, chunk, render_head
from proxy.sockets import Handover

SMALL_BYTES = 64 << 10


@dataclass(slots=True)
class Request:
    """One request as it stood on the wire; `body` is None where there cannot be one."""

    method: str
    target: bytes
    lines: Lines
    is_http10: bool
    keep_alive: bool
    body: Upload | None
    is_chunked: bool = False
    is_handshake: bool = False
    """Whether the connection is given up for another protocol if the upstream grants it (RFC 9110, section 7.8)."""
    head_size: int = 0
    """What its head takes in memory, in bytes, at most."""
    answer: "Answer" = field(init=False)
    peer: Peer = field(init=False)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits to be told before it sends its body (RFC 9110, 10.1.1: not with HTTP/1.0)."""
        return self.body is not None and not self.is_http10 and first(self.lines, b"expect").lower() == "100-continue"

    def held(self) -> int:
        """Return the memory in bytes of what has come behind its head and has not left for the upstream."""
        body = self.body
        return self.answer.held_behind + (body.held + body.still_to_send() if body is not None else 0)

    @property
    def client(self) -> str:
        """Return whose turn it is when this request's is: a verified user, else the address it came from.

        Nothing that a client could change to get more turns.
        """
        peer = self.peer
        if peer.user is not None:
            return f"user {peer.user.name}"
        return f"address {forwarding.origin(self.lines, peer.hop).decode('latin-1')}"

    @property
    def wants_upgrade(self) -> bool:
        """Whether the client asks for another protocol on this connection, be it in a handshake that goes on or not."""
        return upgrades.is_wanted(self.lines)


class Wire(Protocol):
    """What an answer needs of its connection."""

    keeps_alive: bool

    @property
    def is_last(self) -> bool:
        """Whether the client should come back on another connection: this one has served, or the proxy goes down."""

    @property
    def is_draining(self) -> bool:
        """Whether it accepts no more connections."""

    @property
    def is_dropped(self) -> bool:
        """Whether the listener has dropped what outlived the drain."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that writing should wait."""

    @property
    def held(self) -> int:
        """Return the memory in bytes of what was written and that the kernel has not taken yet."""

    @property
    def held_behind(self) -> int:
        """Return how many bytes have come behind a handshake that is not answered."""

    def write(self, pieces: Sequence[Piece]) -> None:
        """Hand bytes to the transport. Raises ClientGoneError without one."""

    async def drain(self) -> None:
        """Wait until the client has caught up. Raises what was given up for."""

    def give_up(self, error: Exception) -> None:
        """Wait no more for the client to catch up: whoever writes gets `error`."""

    def buffer(self, on: bool) -> None:
        """Let more be written while something waits to be sent, or nothing."""

    def reset_on_close(self, on: bool) -> None:
        """Let the kernel end the connection with a reset, however it comes to end, until told otherwise."""

    def hand_over(self) -> Handover:
        """Give the connection up to a tunnel."""

    def abort(self, *, reset: bool = False) -> None:
        """Drop the connection and what waits to be sent."""


class Answer:
    """The response to one request, written as it comes into being."""

    def __init__(self, connection: Wire, request: Request) -> None:
        self.started = False
        self.ended = False
        self.sent = 0
        self._connection = connection
        self._request = request
        self._chunked = False
        self._has_body = False
        self._until_close = False
        self._buffers = True
        self._end_early: Callable[[], None] | None = None

    @property
    def is_endless(self) -> bool:
        """Whether it goes on until it is told to end."""
        return self._end_early is not None and not self.ended

    def ends_with(self, end: Callable[[], None]) -> None:
        """Take what brings about the end of a response that would go on for ever; too late a one ends at once."""
        self._end_early = end
        if self._connection.is_draining:
            self.end_early()

    def end_early(self) -> None:
        """Bring about the end, and that of the connection: the client would be back on it at once."""
        if self._end_early is not None:
            self._connection.keeps_alive = False
            self._end_early()

    @property
    def is_dropped(self) -> bool:
        """Whether the listener, going down, has dropped the connection, rather than the client."""
        return self._connection.is_dropped

    @property
    def held(self) -> int:
        """Return the memory in bytes of what was written and that the kernel has not taken yet."""
        return self._connection.held

    @property
    def held_behind(self) -> int:
        """Return how many bytes have come behind a handshake that is not answered."""
        return self._connection.held_behind

    def start(self, status: int, reason: bytes, lines: Lines, length: int | None) -> None:
        """Send the head. `length` is the body's size in bytes where it is known; it frames the body."""
        connection, request = self._connection, self._request
        has_body = request.method != "HEAD" and status not in NO_BODY_STATUSES
        self.started = True
        self._has_body = has_body
        self._until_close = has_body and length is None and request.is_http10
        self._chunked = has_body and length is None and not request.is_http10
        if self._chunked:
            lines = [*lines, (b"Transfer-Encoding", b"chunked")]
        connection.keeps_alive = request.keep_alive and not connection.is_last
        connection.keeps_alive &= not self._until_close
        if not connection.keeps_alive:
            lines = [*lines, (b"Connection", b"close")]
        elif request.is_http10:
            lines = [*lines, (b"Connection", b"keep-alive")]
        if self._until_close:
            connection.reset_on_close(True)  # even if the process dies, no half body looks whole
        if status == 204:
            lines = without_length(lines)  # RFC 9110, section 8.6
        connection.write([render_head(b"HTTP/1.1 %d %s" % (status, reason), lines)])

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that writing should wait."""
        return self._connection.is_full

    def write(self, pieces: Sequence[Piece]) -> None:
        """Send a part of the body, in one piece.

        What is small leaves with its head and its end, in one packet. Of what is large nothing is written behind what
        waits: a window of which one byte waits is in memory as a whole, and the kernel has buffers of its own.
        """
        if self._buffers and self.sent > SMALL_BYTES:
            self._buffers = False
            self._connection.buffer(False)
        self.sent += sum(map(len, pieces))
        self._connection.write(chunk(pieces) if self._chunked else pieces)

    async def drain(self) -> None:
        """Wait until the client has caught up. Raises what was given up for."""
        await self._connection.drain()

    def give_up(self, error: Exception) -> None:
        """Wait no more for the client to catch up: whoever writes gets `error`."""
        self._connection.give_up(error)

    def write_at_once(self, pieces: Sequence[Piece]) -> bool:
        """Send a part of the body, in one piece, unless the client does not keep up; return whether it was sent."""
        if self._connection.is_full:
            return False
        self.write(pieces)
        return True

    def write_now(self, body: bytes) -> None:
        """Send a short body of announced length, without waiting."""
        if self._has_body:
            self.sent += len(body)
            self._connection.write([body])

    def send_continue(self) -> None:
        """Tell a client that waits for it to send its body (RFC 9110, section 10.1.1)."""
        self._connection.write([b"HTTP/1.1 100 Continue\r\n\r\n"])

    async def switch(self, reason: bytes, lines: Lines) -> None:
        """Send the head of a 101, and wait until there is room behind it; the connection's next step is `hand_over`."""
        self.started = True
        self._connection.keeps_alive = False
        self._connection.write([render_head(b"HTTP/1.1 101 " + reason, lines)])
        await self._connection.drain()

    def hand_over(self) -> Handover:
        """Give the connection up to a tunnel."""
        return self._connection.hand_over()

    def end(self) -> None:
        """Complete the response."""
        self.ended = True
        if not self._buffers:
            self._connection.buffer(True)
        if self._chunked:
            self._connection.write([LAST_CHUNK])
        if self._until_close:
            self._connection.reset_on_close(False)

    def abort(self) -> None:
        """End the connection so that nobody can take what was sent for a complete response."""
        self._connection.abort(reset=self._until_close)
