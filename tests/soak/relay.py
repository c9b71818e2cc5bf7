"""A TCP relay in front of the upstream, on which connections break in the middle: ``python -m tests.soak.relay``.

Each connection carries so many bytes, by chance, and then is reset, ended, silent for a while, or spared.
"""

import argparse
import asyncio
import random
import socket
import struct
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import cast

import uvloop

MEAN_BYTES = 48 << 20
SILENCE_SECONDS = 20.0
"""Above the patience that the soak gives the proxy."""

HIGH_WATER = 256 << 10


class End(asyncio.Protocol):
    """One end of a connection; what it receives goes out at its `other` end."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HIGH_WATER)

    def eof_received(self) -> bool:  # noqa: D102
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        if self.other is not None:
            self.other.abort() if exc else self.other.close()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:  # noqa: D102
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:  # noqa: D102
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def close(self) -> None:
        """Send what waits, then a FIN."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Send an RST."""
        if self.transport is not None and not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


class Front(End):
    """The end of the proxy."""

    def __init__(self, relay: "Relay") -> None:
        super().__init__(relay)
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        super().connection_made(transport)
        self.relay.begin(self.connect())

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self.other is None:
            self._early += data
        else:
            super().data_received(data)

    async def connect(self) -> None:
        """Connect to the upstream; where nobody listens there, vanish as well."""
        loop = asyncio.get_running_loop()
        try:
            _, back = await loop.create_connection(lambda: Back(self.relay, self), *self.relay.upstream)
        except OSError:
            self.abort()
            return
        self.other = back
        if self.transport is None or self.transport.is_closing():
            back.abort()
        elif self._early:
            super().data_received(bytes(self._early))


class Back(End):
    """The end of the upstream, whose bytes are numbered."""

    def __init__(self, relay: "Relay", front: Front) -> None:
        super().__init__(relay)
        self.other = front
        self._left = relay.draw()
        self._is_silent = False

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self._is_silent or self.other is None or self.other.transport is None:
            return
        if len(data) <= self._left:
            self._left -= len(data)
            self.other.transport.write(data)
            return
        self.other.transport.write(data[: self._left])
        self._misbehave(data[self._left :])

    def _misbehave(self, rest: bytes) -> None:
        assert self.other is not None
        match self.relay.source.choice(("reset", "end", "silence", "spare")):
            case "reset":
                self.other.abort()
                self.abort()
            case "end":
                self.other.close()
                self.abort()
            case "silence":
                self._is_silent = True
                asyncio.get_running_loop().call_later(SILENCE_SECONDS, self.other.abort)
                asyncio.get_running_loop().call_later(SILENCE_SECONDS, self.abort)
            case _:
                self._left = self.relay.draw()
                if self.other.transport is not None:
                    self.other.transport.write(rest)


class Relay:
    """What all connections share."""

    def __init__(self, upstream: tuple[str, int], seed: int) -> None:
        self.upstream = upstream
        self.source = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()

    def draw(self) -> int:
        """Return how many bytes a connection carries before something happens."""
        return int(self.source.expovariate(1 / MEAN_BYTES))

    def begin(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a coroutine."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def serve(port: int, seed: int) -> None:
    """Listen until ended."""
    relay = Relay(("127.0.0.1", port), seed)
    server = await asyncio.get_running_loop().create_server(lambda: Front(relay), "127.0.0.1", 0)
    sys.stdout.write(f"relay ready on http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.to, arguments.seed))


if __name__ == "__main__":
    main()
