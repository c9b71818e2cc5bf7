"""Accepting: what happens when nobody takes connections, or when there is no descriptor left."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.downstream import acceptor
from proxy.downstream.acceptor import Acceptor
from tests.fakes.running import eventually
from tests.fakes.wire import PATIENCE, Client
from tests.workers.processes import without_descriptors

LOOPS = ("asyncio", "uvloop")


class Taker:
    """Takes so many connections, and tells each that it has been taken by ending it."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.refusals = 0

    def __call__(self, sock: socket.socket) -> bool:
        """Take a connection."""
        if not self.room:
            self.refusals += 1
            return False
        self.room -= 1
        sock.close()
        return True


@asynccontextmanager
async def accepting(
    taker: Callable[[socket.socket], bool], told: list[str] | None = None
) -> AsyncIterator[tuple[Acceptor, int]]:
    """Listen somewhere, accept, and stop in the end."""
    told = [] if told is None else told
    accepts = Acceptor(taker, told.append)
    port = await accepts.open("127.0.0.1", 0)
    accepts.accept()
    try:
        yield accepts, port
    finally:
        accepts.close()


async def test_connections_wait_while_nobody_takes_them() -> None:
    """One connection is held, the others wait in the kernel; all are served when there is room, in their order."""
    taker = Taker(1)
    async with accepting(taker) as (accepts, port):
        clients = [await Client.connect("127.0.0.1", port) for _ in range(4)]
        await clients[0].until(lambda: clients[0].has_ended)
        await eventually(lambda: taker.refusals == 1)
        assert not any(client.has_ended for client in clients[1:])
        taker.room = 2
        accepts.accept()
        await clients[2].until(lambda: clients[2].has_ended)
        await eventually(lambda: taker.refusals == 2)
        assert clients[1].has_ended
        assert not clients[3].has_ended
        taker.room = 1
        await clients[3].until(lambda: clients[3].has_ended)  # tried again without being told
        for client in clients:
            async with client:
                pass


async def test_no_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor accepting pauses, says so, and goes on when there is one."""
    monkeypatch.setattr(acceptor, "PAUSE_SECONDS", 0.01)
    loop = asyncio.get_running_loop()
    told: list[str] = []
    async with accepting(Taker(1), told) as (_, port):
        with socket.socket() as sock:
            sock.setblocking(False)
            with without_descriptors():
                await loop.sock_connect(sock, ("127.0.0.1", port))
                await eventually(lambda: "cannot accept: Too many open files" in told)
            async with asyncio.timeout(PATIENCE):
                assert await loop.sock_recv(sock, 1) == b""


async def test_addresses_that_cannot_be_had() -> None:
    """An address that is taken is an error that leaves nothing open; a name's other addresses do not matter."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="Address already in use"):
            await Acceptor(Taker(0), print).open("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(OSError, match="Cannot assign requested address"):
        await Acceptor(Taker(0), print).open("192.0.2.1", 0)
    accepts = Acceptor(Taker(0), print)
    assert await accepts.open("localhost", 0)
    accepts.close()
