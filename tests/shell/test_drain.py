"""Going down: what is let in, what is finished, what is ended and how each of them looks to its client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.core.boundaries import JSONLines
from proxy.downstream import connection, listener
from proxy.http1 import BodyStream
from proxy.settings import Limits
from proxy.watch import Watch
from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, answer_small_list, chunk, response
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")
WATCH = "/api/v1/pods?watch=1"
FRAMED = b"application/vnd.kubernetes.protobuf;stream=watch"
EVENTS = {
    b"application/json": [b'{"type":"ADDED","object":{"metadata":{"name":"%d"}}}\n' % number for number in range(3)],
    FRAMED: [b"\0\0\0\6\n\n{}\n}"] * 3,
}
PATIENT = Limits(drain_seconds=20)


class Watches:
    """A script that answers Lists, and sends watches what it is told to; none of them ends by itself."""

    def __init__(self, kind: bytes = b"application/json") -> None:
        self.kind = kind
        self.open: list[Exchange] = []

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        if b"watch" not in exchange.target and b"follow" not in exchange.target:
            await answer_small_list(exchange)
            return
        lines = [(b"Content-Type", self.kind), (b"Transfer-Encoding", b"chunked")]
        await exchange.send(response(lines=lines, framing="none"))
        self.open.append(exchange)
        await exchange.wait_closed()

    async def send(self, *pieces: bytes) -> None:
        """Send the same to all."""
        for exchange in self.open:
            await exchange.send(*(chunk(piece) for piece in pieces))


@asynccontextmanager
async def watching(
    proxy: Running, count: int = 1, *, version: str = "1.1", target: str = WATCH
) -> AsyncIterator[list[Client]]:
    """Open watches, each on a connection of its own, and wait for their heads."""
    clients = [await proxy.connect() for _ in range(count)]
    for client in clients:
        await client.send(request(target, version=version))
        await client.until(lambda client=client: b"\r\n\r\n" in client.seen)  # type: ignore[misc]
    try:
        yield clients
    finally:
        for client in clients:
            async with client:
                pass


@asynccontextmanager
async def draining(proxy: Running) -> AsyncIterator[asyncio.Task[None]]:
    """Begin to drain, as far as that goes without the passing of time, and wait for its end."""
    closing = asyncio.ensure_future(proxy.proxy.close())
    for _ in range(5):
        await asyncio.sleep(0)
    yield closing
    await closing


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("kind", EVENTS)
async def test_watches_end_cleanly(kind: bytes, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet watch ends at once, behind its last event, and its connection with it; it is no abort."""
    monkeypatch.setattr(connection, "FAREWELL_SECONDS", 1000)
    watches = Watches(kind)
    async with (
        Apiserver(watches) as upstream,
        running(upstream.url, limits=PATIENT) as proxy,
        watching(proxy, version=version) as (client,),
    ):
        await watches.send(*EVENTS[kind])
        await client.until(lambda: client.seen.count(EVENTS[kind][-1]) >= EVENTS[kind].count(EVENTS[kind][-1]))
        async with asyncio.timeout(PATIENT.drain_seconds / 2):
            await proxy.proxy.close()
        answer = await client.answer()
        assert answer.complete
        assert answer.body == b"".join(EVENTS[kind])
        await client.until(lambda: client.is_lost or client.has_eof)
        assert proxy.sample("restream_aborts_total") == 0
        await watches.open[0].wait_closed()


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("at", [1, 7])
async def test_an_event_that_is_under_way_is_finished(kind: bytes, at: int) -> None:
    """A watch that is in the middle of an event ends behind it; what comes with its end is for the next watch."""
    watches = Watches(kind)
    one, two, _ = EVENTS[kind]
    async with (
        Apiserver(watches) as upstream,
        running(upstream.url, limits=PATIENT) as proxy,
        watching(proxy) as (client,),
    ):
        await watches.send(one + two[:at])
        await client.until(lambda: client.seen.endswith(two[:at] + b"\r\n"))
        async with draining(proxy):
            await watches.send(two[at:] + one[:5])
            answer = await client.answer()
        assert answer.complete
        assert answer.body == one + two
        assert proxy.sample("restream_aborts_total") == 0


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (b"application/cbor-seq", WATCH),
        (b"application/json", "/api/v1/namespaces/a/pods/x/log?follow=true"),
    ],
)
async def test_what_has_no_known_end_is_cut_visibly(kind: bytes, target: str) -> None:
    """Logs, and watches of which nobody knows where an event ends, have the whole drain, and are then aborted."""
    watches = Watches(kind)
    async with (
        Apiserver(watches) as upstream,
        running(upstream.url) as proxy,
        watching(proxy, target=target) as (client,),
    ):
        await watches.send(b"{}\n")
        await client.until(lambda: b"{}\n" in client.seen)
        await proxy.proxy.close()
        answer = await client.answer()
        assert not answer.complete
        assert answer.body == b"{}\n"
        assert proxy.sample("restream_aborts_total", reason="shutdown") == 1


async def test_what_comes_with_the_end_is_not_passed_on() -> None:
    """What the upstream sends in the moment in which its watch is ended is as if it had come behind the end."""
    one = EVENTS[b"application/json"][0]
    body = BodyStream(100, lambda: None, lambda: None)
    watch = Watch(body, JSONLines())
    body.push(one)
    assert await watch.read() == [one]
    reading = asyncio.ensure_future(watch.read())
    await asyncio.sleep(0)
    watch.end()
    body.push(one)
    assert await reading == []
    assert await watch.read() == []


async def test_watches_end_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of many watches do not all have to come back at the same instant; half of the drain is enough for all."""
    monkeypatch.setattr(listener, "WATCHES_A_SECOND", 0.001)
    watches = Watches()
    limits = Limits(drain_seconds=1)
    async with (
        Apiserver(watches) as upstream,
        running(upstream.url, limits=limits) as proxy,
        watching(proxy, 4) as clients,
    ):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with draining(proxy):
            answers = await asyncio.gather(*(client.answer() for client in clients))
        assert all(answer.complete for answer in answers)
        assert loop.time() - begun > 0.45  # four times an eighth of the drain


async def test_a_watch_that_comes_too_late() -> None:
    """On a connection that is still open a watch ends as it begins, and takes the connection with it."""
    async with (
        Apiserver(Watches()) as upstream,
        running(upstream.url, limits=PATIENT) as proxy,
        await proxy.connect() as client,
    ):
        assert (await client.ask(request())).first(b"connection") == b""
        async with draining(proxy):
            answer = await client.ask(request(WATCH))
            assert (answer.status, answer.body, answer.complete) == (200, b"", True)
            assert answer.first(b"connection") == b"close"
            await client.until(lambda: client.has_ended)


@pytest.mark.parametrize("has_asked", [True, False])
async def test_a_request_that_was_on_its_way(has_asked: bool) -> None:
    """What arrives on an open connection as the drain begins is answered; then the connection ends."""
    async with Apiserver() as upstream, running(upstream.url, limits=PATIENT) as proxy, await proxy.connect() as client:
        if has_asked:
            assert (await client.ask(request())).body == SMALL_LIST
        else:
            await eventually(lambda: proxy.proxy._engine.listener.open_connections == 1)
        async with draining(proxy):
            answer = await client.ask(request())
            assert answer.body == SMALL_LIST
            assert answer.first(b"connection") == b"close"
            await client.until(lambda: client.has_ended)


async def test_the_delay() -> None:
    """Until it is over connections come and are served, each for one request; /readyz fails from the beginning."""
    limits = Limits(shutdown_delay_seconds=0.5, drain_seconds=20)
    watches = Watches()
    async with (
        Apiserver(watches) as upstream,
        running(upstream.url, limits=limits) as proxy,
        watching(proxy) as (watch,),
        await proxy.connect() as kept,
    ):
        assert (await kept.ask(request())).first(b"connection") == b""
        assert (await proxy.ask_admin("/readyz")).status == 200
        async with draining(proxy) as closing:
            ready = await proxy.ask_admin("/readyz")
            assert (ready.status, ready.body) == (503, b"draining\n")
            for answer in (await kept.ask(request()), await proxy.ask(request())):
                assert answer.body == SMALL_LIST
                assert answer.first(b"connection") == b"close"
            await watches.send(EVENTS[b"application/json"][0])
            await watch.until(lambda: EVENTS[b"application/json"][0] in watch.seen)
            assert not closing.done()
            assert (await watch.answer()).complete
