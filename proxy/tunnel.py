"""What a connection becomes that has switched protocols: bytes go on verbatim, both ways, until both sides have ended.

Nothing waits here but for the end: what one side receives is written to the other one in the same callback. An end is
passed on as what it is: the end of one direction as that, a close as a close, a reset as a reset.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from proxy.core.errors import ClientGoneError, UpstreamClosedError
from proxy.sockets import Handover, reset_on_close


class Side(asyncio.Protocol):
    """One of the two connections. What it receives, the `other` one sends."""

    other: "Side"

    def __init__(self, handover: Handover, note_full: Callable[[], None], note_end: Callable[[], None]) -> None:
        self.received = 0
        self.first_byte: float | None = None
        self.stalled_seconds = 0.0
        self.is_lost = False
        self.error: Exception | None = None
        self._transport = handover.transport
        self._early = handover.early
        self._lost_by = handover.error
        self._note_loss = handover.lost
        self._note_full = note_full
        self._note_end = note_end
        self._has_ended = False
        self._left = sys.maxsize  # to be sent at the last look
        self._full_since: float | None = None

    @property
    def waiting(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    # --- the beginning ------------------------------------------------------------------------------------------------

    def take_over(self) -> None:
        """Become the protocol of the transport, which reads nothing until `begin`."""
        if self._transport is None or self._transport.is_closing():
            self._transport, self.is_lost, self.error = None, True, self._lost_by
            return
        self._transport.pause_reading()
        self._transport.set_protocol(self)

    def begin(self) -> None:
        """Pass on what came early, then what comes."""
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        if self.is_lost:
            self._end_other()
        elif not self.other.is_full:
            self._resume()

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self.first_byte is None:
            self.first_byte = monotonic()
        self.received += len(data)
        self.other.write(data)

    def eof_received(self) -> bool:
        """Pass on the end of this direction; the other one goes on where both sides can tell them apart."""
        self._has_ended = True
        self._note_end()
        other = self.other
        if other._has_ended or not other.end_writing():
            other.close()
            return False
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on how it has ended.

        A reset behind the end of what was to be received tells that nobody listens any more: what came before it is
        whole, and still goes to the other side.
        """
        self._transport, self.is_lost = None, True
        if not self._has_ended and self.error is None:
            self.error = exc
        self._note_loss(exc)
        self._end_other()

    def pause_writing(self) -> None:  # noqa: D102
        self._full_since = monotonic()
        self._note_full()
        self.other._pause()

    def resume_writing(self) -> None:  # noqa: D102
        if self._full_since is not None:
            self.stalled_seconds += monotonic() - self._full_since
        self._full_since = None
        self.other._resume()

    def look_at_what_is_left(self) -> None:
        """End a connection on which nothing has gone on, since the last look, with what the other side left behind."""
        left, self._left = self._left, self.waiting
        if self.is_lost or self._left < left or not (self.other.is_lost or self.other._has_ended):
            return
        if self._left:
            self.error = TimeoutError()
            self.reset()
        elif self.other.is_lost:
            self.close()

    # --- what the other side asks for ---------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that the other side should not read on."""
        return self._full_since is not None

    def write(self, data: bytes) -> None:
        """Send bytes; into the void where the connection is on its way out."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end_writing(self) -> bool:
        """Send an end behind what waits, and go on receiving; False where that cannot be (TLS, in asyncio)."""
        if self._transport is None or self._transport.is_closing() or not self._transport.can_write_eof():
            return False
        with suppress(OSError):  # reset a moment ago, which connection_lost will tell
            self._transport.write_eof()
        return True

    def leave(self) -> None:
        """Send what waits, then an end; what still comes goes into the void until this side has ended as well.

        A socket that is closed with bytes unread is reset, and what the kernel has yet to deliver is lost.
        """
        if self._has_ended or not self.end_writing():
            self.close()
        else:
            self._resume()

    def close(self) -> None:
        """Send what waits, then end the connection."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()  # once: the second time would break asyncio's transport for TLS

    def reset(self) -> None:
        """End the connection with a reset: what has been received is not all that there was."""
        if self._transport is not None:
            reset_on_close(self._transport, True)
            self._transport.abort()

    def _pause(self) -> None:
        if self._is_readable:
            self._transport.pause_reading()  # type: ignore[union-attr]  # it is open

    def _resume(self) -> None:
        if self._is_readable:
            self._transport.resume_reading()  # type: ignore[union-attr]  # it is open

    @property
    def _is_readable(self) -> bool:
        """Whether more may come; read behind its end, a socket would tell of the end once more."""
        return not self._has_ended and self._transport is not None and not self._transport.is_closing()

    def _end_other(self) -> None:
        if not self.other.is_lost and self.error is None:
            self.other.leave()
        elif not self.other.is_lost:
            self.other.reset()
        self._note_end()


class Tunnel:
    """Two connections that have become one.

    There is no limit on silence. But what one side has left behind at its end is not kept for ever: the other one is
    reset where it takes nothing of that for `patience` seconds.
    """

    def __init__(self, client: Handover, upstream: Handover, patience: float, note_held: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self.client = Side(client, note_held, self._note_end)
        self.upstream = Side(upstream, note_held, self._note_end)
        self.client.other, self.upstream.other = self.upstream, self.client

    @property
    def held(self) -> int:
        """Bytes that wait to be sent, in both directions."""
        return self.client.waiting + self.upstream.waiting

    async def run(self) -> None:
        """Carry bytes until both sides have ended. Raises ClientGoneError or UpstreamClosedError after a reset."""
        sides = self.client, self.upstream
        try:
            for side in sides:
                side.take_over()
            for side in sides:
                side.begin()
            await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for side in sides:
                side.reset()  # nothing where it has ended
        if self.client.error is not None:
            raise ClientGoneError("the client has not ended its side of the tunnel")
        if self.upstream.error is not None:
            raise UpstreamClosedError("the upstream has not ended its side of the tunnel")

    def _note_end(self) -> None:
        if self.client.is_lost and self.upstream.is_lost and not self._over.done():
            self._over.set_result(None)
        elif self._timer is None:
            self._timer = self._loop.call_later(self._patience, self._look_at_what_is_left)

    def _look_at_what_is_left(self) -> None:
        self._timer = self._loop.call_later(self._patience, self._look_at_what_is_left)
        for side in (self.client, self.upstream):
            side.look_at_what_is_left()
