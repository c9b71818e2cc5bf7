"""Clients that mean harm, as a process of their own: ``python -m proxy.bench.attackers URL TARGET SLOW STALLED``.

Slow ones send a header line a second and never the last one; stalled ones ask for TARGET and do not read it. Whoever
is thrown out comes back a second later. Prints a line when all have come for the first time.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import uvloop

from proxy import process

EVERY_SECONDS = 1.0
AT_ONCE = 64
RECEIVE_BYTES = 4096
READY = "attackers ready"

Kind = Callable[[asyncio.Transport, "Attacker"], Awaitable[None]]


class Attacker(asyncio.Protocol):
    """One connection that takes and gives as little as it can."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it was thrown out."""
        if not self.ended.done():
            self.ended.set_result(None)


class Gang:
    """All of them."""

    def __init__(self, url: str, target: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        self._head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n".encode()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()

    async def attack(self, slow: int, stalled: int) -> None:
        """Come, and stay until the end of the process."""
        ready = [self._loop.create_future() for _ in range(slow + stalled)]
        kinds = [self._be_slow] * slow + [self._stall] * stalled
        tasks = [asyncio.ensure_future(self._insist(kind, each)) for kind, each in zip(kinds, ready, strict=True)]
        await asyncio.gather(*ready)
        print(READY, flush=True)
        await asyncio.gather(*tasks)

    async def _insist(self, kind: Kind, ready: asyncio.Future[None]) -> None:
        while True:
            try:
                async with self._gate:
                    sock = socket.socket()
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
                    sock.setblocking(False)
                    await self._loop.sock_connect(sock, self._address)
                    transport, attacker = await self._loop.create_connection(Attacker, sock=sock)
                    transport.write(self._head)
            except OSError:
                await asyncio.sleep(EVERY_SECONDS)
                continue
            if not ready.done():
                ready.set_result(None)
            await kind(transport, attacker)
            await asyncio.sleep(EVERY_SECONDS)

    @staticmethod
    async def _be_slow(transport: asyncio.Transport, attacker: Attacker) -> None:
        while not attacker.ended.done():
            if not transport.is_closing():
                transport.write(b"X-Line: 1\r\n")
            await asyncio.sleep(EVERY_SECONDS)

    @staticmethod
    async def _stall(transport: asyncio.Transport, attacker: Attacker) -> None:
        transport.pause_reading()
        transport.write(b"\r\n")
        while not attacker.ended.done():
            await asyncio.sleep(EVERY_SECONDS)
            if not transport.is_closing():
                transport.write(b"\r\n")  # a paused transport does not see that it was thrown out; one that writes does


if __name__ == "__main__":
    process.raise_open_files_limit()

    async def main() -> None:
        """Attack as the arguments say."""
        await Gang(sys.argv[1], sys.argv[2]).attack(int(sys.argv[3]), int(sys.argv[4]))

    uvloop.run(main())
