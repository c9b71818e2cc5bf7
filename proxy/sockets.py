"""What the connections of both sides share about their sockets: pacing, probes and resets."""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

PROBE_SECONDS = 15
"""Between two keepalive probes, as Go's net package has it for the apiserver and its clients."""

PROBES = 9


class Paced(asyncio.BaseProtocol):
    """A protocol whose writers wait while the other side does not keep up."""

    _drained: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that writing should wait."""
        return self._drained is not None

    async def drain(self) -> float:
        """Wait until the other side has caught up; return the seconds that took."""
        if self._drained is None:
            return 0.0
        since = monotonic()
        await self._drained
        return monotonic() - since

    def pause_writing(self) -> None:  # noqa: D102
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:  # noqa: D102
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


def reset_on_close(transport: asyncio.BaseTransport | None, on: bool) -> None:
    """Let the kernel end the connection with a reset, however it comes to end, until told otherwise."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return
    with suppress(OSError):  # closed already, which TLS tells a turn of the loop later
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(on), 0))
