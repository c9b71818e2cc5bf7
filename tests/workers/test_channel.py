"""The channel: messages and sockets in order, whatever the other end does."""

import asyncio
import functools
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from proxy.workers.channel import Channel, framed
from proxy.workers.messages import Adopt, Count, Order, Probed, Report
from tests.fakes.running import eventually
from tests.workers.processes import descriptors, without_descriptors

LOOPS = ("asyncio", "uvloop")


class End:
    """One end and what has come in."""

    def __init__(self, sock: socket.socket) -> None:
        self.messages: list[Order | Report] = []
        self.sockets: list[socket.socket | None] = []
        self.ended = self.rooms = 0
        self.channel = Channel(sock, msgspec.msgpack.Decoder(Order | Report), self._receive, self._end, self._room)

    def _receive(self, message: Order | Report) -> None:
        self.messages.append(message)
        if isinstance(message, Adopt):
            self.sockets.append(self.channel.take_socket())

    def _end(self) -> None:
        self.ended += 1

    def _room(self) -> None:
        self.rooms += 1


@contextmanager
def raw_pair() -> Iterator[tuple[End, socket.socket]]:
    """Return one end of a channel, and the bare socket of the other."""
    ours, theirs = socket.socketpair()
    end = End(ours)
    with theirs:
        yield end, theirs
        end.channel.close()


async def test_messages_and_sockets_keep_their_order() -> None:
    """Small and large messages arrive whole and in order, each socket with its own message."""
    ours, theirs = socket.socketpair()
    here, there = End(ours), End(theirs)
    pairs = [socket.socketpair() for _ in range(5)]
    for number, (mine, other) in enumerate(pairs):
        await eventually(functools.partial(here.channel.hand_over, Adopt(), mine))
        mine.close()
        other.send(b"%d" % number)
        here.channel.send(Probed("x" * 300_000 * (number % 2)))
    here.channel.send(Count())
    await eventually(lambda: bool(there.messages) and there.messages[-1] == Count())
    assert [type(message) for message in there.messages] == [Adopt, Probed] * 5 + [Count]
    for number, sock in enumerate(there.sockets):
        assert sock is not None
        assert sock.recv(9) == b"%d" % number
        sock.close()
    for _, other in pairs:
        other.close()
    here.channel.close()
    await eventually(lambda: there.ended == 1)
    assert here.ended == 0


async def test_a_message_may_come_byte_by_byte() -> None:
    """Where a message is cut matters to nobody."""
    with raw_pair() as (end, other):
        for byte in framed(Probed("a")) + framed(Count()):
            other.send(bytes([byte]))
            await asyncio.sleep(0)
        await eventually(lambda: end.messages == [Probed("a"), Count()])


async def test_a_full_channel_refuses_connections_and_keeps_messages() -> None:
    """An end that does not read gets no more connections, blocks nobody, and gets every message when it reads again."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    here = End(ours)
    given = socket.socket()
    handed = 0
    while here.channel.hand_over(Adopt(), given):
        handed += 1
    assert handed > 10
    here.channel.send(Count())
    assert not here.channel.hand_over(Adopt(), given)
    assert here.rooms == 0
    there = End(theirs)
    await eventually(lambda: there.messages == [Adopt()] * handed + [Count()])
    assert here.rooms == 1
    assert here.channel.hand_over(Adopt(), given)
    await eventually(lambda: len(there.sockets) == handed + 1)
    for sock in (given, *there.sockets):
        assert sock is not None
        sock.close()
    here.channel.close()
    there.channel.close()


async def test_an_end_that_has_gone() -> None:
    """What is sent to an end that has gone is lost in silence; its last words are heard before its end."""
    ours, theirs = socket.socketpair()
    here, there = End(ours), End(theirs)
    here.channel.send(Count())
    there.channel.send(Probed("last"))
    there.channel.close()
    here.channel.send(Count())
    with socket.socket() as given:
        assert not here.channel.hand_over(Adopt(), given)
    await eventually(lambda: here.ended == 1)
    assert here.messages == [Probed("last")]
    here.channel.send(Count())
    await here.channel.flush(0.1)
    here.channel.close()


async def test_sockets_that_nobody_took_are_closed() -> None:
    """A channel that ends between a socket and its message leaves no descriptor behind."""
    before = len(descriptors())
    with raw_pair() as (end, other), socket.socket() as given:
        socket.send_fds(other, [framed(Adopt())[:3]], [given.fileno()])
        await eventually(lambda: len(descriptors()) == before + 4)
        other.close()
        await eventually(lambda: end.ended == 1)
    assert len(descriptors()) <= before


async def test_no_descriptor_left_for_a_socket() -> None:
    """A socket that we have no descriptor for is missing, and the next one is still its own message's."""
    with raw_pair() as (end, other), socket.socket() as given:
        frame = framed(Adopt())
        with without_descriptors():
            socket.send_fds(other, [frame], [given.fileno()])
            await eventually(lambda: len(end.sockets) == 1)
        socket.send_fds(other, [frame], [given.fileno()])
        await eventually(lambda: len(end.sockets) == 2)
        missing, sock = end.sockets
        assert missing is None
        assert sock is not None
        sock.close()


@pytest.mark.parametrize("size", [0, 1, 200_000, 3_000_000])
async def test_flush_waits_for_a_reader(size: int) -> None:
    """Flushing ends when all is sent, or when the time is up."""
    with raw_pair() as (end, other):
        end.channel.send(Probed("x" * size))
        await end.channel.flush(0.01)
        other.setblocking(False)
        there = End(other.dup())
        await end.channel.flush(20)
        await eventually(lambda: there.messages == [Probed("x" * size)])
        there.channel.close()
