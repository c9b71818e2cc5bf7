"""What the connections of both sides share about their sockets: pacing, probes and resets."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from proxy.http1 import Piece, memory_of

PROBE_SECONDS = 15
"""Between two keepalive probes, as Go's net package has it for the apiserver and its clients."""

PROBES = 9

BYTES_ACKED = 120
"""Where struct tcp_info has tcpi_bytes_acked, since Linux 4.1."""


class Outbox:
    """What was written to a transport, and stays in memory until the kernel has taken the last byte of it.

    A transport counts the bytes that wait; what is held are whole windows of which a byte waits.
    """

    def __init__(self) -> None:
        self.written = 0  # bytes in all
        self._waiting: deque[tuple[int, int]] = deque()  # bytes written up to its end, and held by it; oldest first
        self._held = 0

    def note(self, pieces: Sequence[Piece], waiting: int) -> None:
        """Note a write, behind which so many bytes wait in all."""
        self.written += sum(map(len, pieces))
        if waiting:
            held = memory_of(pieces)
            self._waiting.append((self.written, held))
            self._held += held
        self.held(waiting)

    def held(self, waiting: int) -> int:
        """Return the memory in bytes that is held while so many wait in all."""
        while self._waiting and self._waiting[0][0] <= self.written - waiting:
            self._held -= self._waiting.popleft()[1]
        return self._held


class Paced(asyncio.BaseProtocol):
    """A protocol whose writers wait while the other side does not keep up."""

    _drained: asyncio.Future[None] | None = None
    _given_up: Exception | None = None

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that writing should wait."""
        return self._drained is not None or self._given_up is not None

    async def drain(self) -> None:
        """Wait until the other side has caught up. Raises what was given up for."""
        if self._drained is not None:
            await self._drained
        if self._given_up is not None:
            raise self._given_up

    def give_up(self, error: Exception) -> None:
        """Let nobody wait any more for the other side to catch up: whoever writes gets `error`."""
        self._given_up = error
        self._wake()

    def pause_writing(self) -> None:  # noqa: D102
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:  # noqa: D102
        self._wake()

    def _wake(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)


@dataclass(frozen=True, slots=True)
class Handover:
    """A connection that its protocol gives up for a tunnel.

    `transport` is None where it is lost already, with `error` if that was no clean end. `early` has come behind the
    head of the handshake. `lost` is to be told when the transport is lost later on.
    """

    transport: asyncio.Transport | None
    early: bytes
    lost: Callable[[Exception | None], None]
    error: Exception | None = None


def probe(transport: asyncio.BaseTransport) -> None:
    """Let the kernel find out whether the other host is still there.

    Watches, logs and tunnels have no limit on silence, and may have nothing to send: without probes one whose peer has
    vanished without a word would stay for ever.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", PROBE_SECONDS), ("TCP_KEEPINTVL", PROBE_SECONDS), ("TCP_KEEPCNT", PROBES)):
        if hasattr(socket, name):  # not every system can be told
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def acknowledged(transport: asyncio.BaseTransport | None) -> int:
    """Return how many bytes the other host has acknowledged in all, 0 where the system does not tell.

    A slow client is seen to move: the kernel wants no more of us until a third of what it has is gone, of up to 4 MiB.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6) or not hasattr(socket, "TCP_INFO"):
        return 0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED + 8)
    return int(struct.unpack_from("Q", info, BYTES_ACKED)[0]) if len(info) == BYTES_ACKED + 8 else 0


def reset_on_close(transport: asyncio.BaseTransport | None, on: bool) -> None:
    """Let the kernel end the connection with a reset, however it comes to end, until told otherwise."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return
    with suppress(OSError):  # closed already, which TLS tells a turn of the loop later
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(on), 0))
