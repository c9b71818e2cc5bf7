"""The byte stream to one client: written, paused, counted, given up and reset."""

import asyncio
from collections.abc import Callable, Sequence

from proxy.core.errors import ClientGoneError
from proxy.downstream.patience import Patience
from proxy.http1 import Piece
from proxy.settings import Limits
from proxy.sockets import Outbox, Paced, acknowledged, reset_on_close


class ClientStream(Paced, asyncio.Protocol):
    """What a connection does to its transport, which it has from `connection_made` to `connection_lost`.

    `on_stall` is called where the client takes too little for too long.
    """

    def __init__(self, limits: Limits, on_stall: Callable[[], None]) -> None:
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self._outbox = Outbox()
        self._patience = Patience(limits, self._taken, on_stall)

    @property
    def held(self) -> int:
        """Return the memory in bytes of what was written and that the kernel has not taken yet."""
        return self._outbox.held(self._write_buffer_size)

    @property
    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def _write_buffer_size(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def pause_writing(self) -> None:  # noqa: D102
        super().pause_writing()
        self._patience.begin()

    def resume_writing(self) -> None:  # noqa: D102
        super().resume_writing()
        self._patience.end()

    def _taken(self) -> tuple[int, ...]:
        return self._outbox.written - self._write_buffer_size, acknowledged(self._transport)

    def pause(self) -> None:
        """Stop to read."""
        if self._transport is not None and self._is_open and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None and self._is_open and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def write(self, pieces: Sequence[Piece]) -> None:
        """Hand bytes to the transport. Raises ClientGoneError without one."""
        if self._transport is None or not self._is_open:
            raise ClientGoneError("the client closed the connection")
        self._transport.writelines(pieces)
        self._outbox.note(pieces, self._transport.get_write_buffer_size())

    def buffer(self, on: bool) -> None:
        """Let more be written while something waits to be sent, or nothing."""
        if self._transport is not None:
            # Not 0: a TLS transport with nothing to send would call that full, and never tell that there is room.
            self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes if on else 1)

    def reset_on_close(self, on: bool) -> None:
        """Let the kernel end the connection with a reset, however it comes to end, until told otherwise."""
        reset_on_close(self._transport, on)

    def abort(self, *, reset: bool = False) -> None:
        """Drop the connection and what waits to be sent; with `reset` the client sees ECONNRESET, not an end."""
        if self._transport is None:
            return
        if reset:
            self.reset_on_close(True)
        self._transport.abort()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
