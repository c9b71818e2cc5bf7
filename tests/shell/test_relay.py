"""What somebody waits for leaves from within the parser's call, and never before what came earlier."""

import asyncio
from collections.abc import Sequence

import pytest

from proxy.admission import Admission
from proxy.core.errors import ClientGoneError
from proxy.core.request import classify
from proxy.downstream.answer import Answer, Request
from proxy.http1 import BodyStream, Piece, Source
from proxy.metrics import Metrics
from proxy.progress import Progress
from proxy.relay import Relay
from proxy.settings import Settings
from proxy.sockets import Handover


class Wire:
    """A client's connection that keeps what is written, and is full or gone when told so."""

    keeps_alive = True
    is_last = is_draining = is_dropped = is_gone = False
    held = held_behind = 0

    def __init__(self) -> None:
        self.written = b""
        self.room = asyncio.Event()
        self.room.set()

    @property
    def is_full(self) -> bool:
        """Whether writing should wait."""
        return not self.room.is_set()

    def write(self, pieces: Sequence[Piece]) -> None:
        """Take bytes."""
        if self.is_gone:
            raise ClientGoneError("gone")
        self.written += b"".join(pieces)

    async def drain(self) -> None:
        """Wait for room."""
        await self.room.wait()

    def give_up(self, error: Exception) -> None:
        """Refuse: nobody is to be given up."""
        raise AssertionError(error)

    def buffer(self, on: bool) -> None:
        """Do nothing: there is no socket."""

    def reset_on_close(self, on: bool) -> None:
        """Do nothing: there is no socket."""

    def hand_over(self) -> Handover:
        """Refuse: there is no tunnel."""
        raise AssertionError

    def abort(self, *, reset: bool = False) -> None:
        """Do nothing: there is no socket."""


class Watch:
    """A raw response of unlimited (or limited) silence on its way from `body` to `wire`."""

    def __init__(self, timeout: float | None = None) -> None:
        self.wire = Wire()
        self.body = BodyStream(1 << 20, lambda: None, lambda: None)
        answer = Answer(self.wire, Request("GET", b"/", [], is_http10=False, keep_alive=True, body=None))
        self.progress = Progress(classify("GET", "/api/v1/pods?watch=1"), 0.0)
        admission = Admission(Settings())
        metrics = Metrics(1024, admission.budget)
        relay = Relay(Source(self.body, timeout), answer, admission.pass_by(), self.progress, metrics)
        self.relaying = asyncio.ensure_future(relay.raw())

    async def turn(self) -> None:
        """Let the coroutine come as far as it can."""
        for _ in range(5):
            await asyncio.sleep(0)


async def test_an_event_leaves_at_once() -> None:
    """No turn of the loop is needed, and it is accounted for."""
    watch = Watch()
    await watch.turn()
    watch.body.push(b"a", b"b")
    assert watch.wire.written == b"ab"
    assert watch.progress.bytes_sent == 2
    assert watch.progress.first_byte is not None
    watch.body.end()
    await watch.relaying


async def test_what_waits_goes_first() -> None:
    """What came before the relay began, or while the client did not keep up, is not overtaken."""
    watch = Watch()
    watch.body.push(b"1")
    await watch.turn()
    watch.wire.room.clear()
    for piece in (b"2", b"3"):
        watch.body.push(piece)
    assert (watch.wire.written, watch.body.size) == (b"1", 2)
    await watch.turn()  # the reader takes both, and waits for room
    watch.body.push(b"4")
    watch.wire.room.set()
    watch.body.push(b"5")
    await watch.turn()
    watch.body.push(b"6")
    watch.body.end()
    await watch.relaying
    assert watch.wire.written == b"123456"
    assert watch.progress.bytes_sent == 6


async def test_a_client_that_has_left_is_no_matter_of_the_parser() -> None:
    """The one who fails is the coroutine."""
    watch = Watch()
    await watch.turn()
    watch.wire.is_gone = True
    watch.body.push(b"a")
    with pytest.raises(ClientGoneError):
        await watch.relaying


async def test_where_silence_is_limited_the_reader_takes_it() -> None:
    """It is who measures how long nothing has come."""
    watch = Watch(timeout=9.0)
    await watch.turn()
    watch.body.push(b"a")
    assert watch.body.size == 1
    watch.body.end()
    await watch.relaying
    assert watch.wire.written == b"a"
