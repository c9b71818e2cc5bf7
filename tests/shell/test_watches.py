"""Watches and logs: every byte leaves when it comes, silence is no end, and an end is passed on as what it is."""

import asyncio

import pytest

from proxy.settings import Limits
from tests.fakes.apiserver import JSON_LINES, Apiserver, Exchange, Script, chunk, response
from tests.fakes.running import running
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")
HURRIED = Limits(first_byte_seconds=0.1, between_bytes_seconds=0.1, idle_seconds=0.1, drain_seconds=0.2)
TARGETS = [
    "/api/v1/pods?watch=1",
    "/api/v1/watch/pods",
    "/api/v1/pods?watch&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    "/apis/example.com/v1/widgets?watch=true&fieldSelector=metadata.name%3Dx",
    "/api/v1/namespaces/a/pods/x/log?follow=true",
    "/api/v1/namespaces/a/services/x:80/proxy/events",
]
EVENTS = [b'{"type":"ADDED","object":{"metadata":{"name":"%d"}}}\n' % number for number in range(20)]
HEADS = {
    "chunked": response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none"),
    "close": response(lines=JSON_LINES, framing="close"),
}


def framed(event: bytes, framing: str) -> bytes:
    """Frame an event as its response is framed."""
    return chunk(event) if framing == "chunked" else event


@pytest.mark.parametrize("framing", HEADS)
@pytest.mark.parametrize("target", TARGETS)
async def test_events_leave_at_once(target: str, framing: str) -> None:
    """The head is with the client before there is an event, and each event, even half of one, before the next bytes."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(HEADS[framing])
        await client.until(lambda: b"\r\n\r\n" in client.seen)
        for event in EVENTS:
            for half in (event[:10], event[10:]):
                await exchange.send(framed(half, framing))
                await client.until(lambda half=half: half in client.seen)  # type: ignore[misc]
        if framing == "chunked":
            await exchange.send(b"0\r\n\r\n")
        exchange.close()

    async with Apiserver(play) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request(target))
        await upstream.wait_for_exchanges(1)
        await client.until(lambda: EVENTS[-1][10:] in client.seen)
        answer = await client.answer()
        assert answer.complete
        assert answer.body == b"".join(EVENTS)
        assert answer.mode == "raw; reason=not_a_list_request"


async def test_silence_is_no_end() -> None:
    """A quiet hour ends no watch, on either side."""
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.send(HEADS["chunked"] + chunk(EVENTS[0]))
        await go_on.wait()
        await exchange.send(chunk(EVENTS[1]) + b"0\r\n\r\n")

    async with (
        Apiserver(play) as upstream,
        running(upstream.url, limits=HURRIED) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request(TARGETS[0]))
        await client.until(lambda: EVENTS[0] in client.seen)
        await asyncio.sleep(1.2)  # a client's connection is looked at once a second
        go_on.set()
        answer = await client.answer()
        assert answer.complete
        assert answer.body == EVENTS[0] + EVENTS[1]


def ends(how: str, framing: str, tail: bytes) -> Script:
    """Make a script that sends an event and ends."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(HEADS[framing], framed(EVENTS[0], framing))
        await client_of[exchange.target].until(lambda: EVENTS[0] in client_of[exchange.target].seen)
        if tail:
            await exchange.send(tail)
        getattr(exchange, how)()

    return play


client_of: dict[bytes, Client] = {}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize(
    ("how", "framing", "tail", "is_clean"),
    [
        ("close", "chunked", b"0\r\n\r\n", True),
        ("close", "close", b"", True),
        ("close", "chunked", b"", False),
        ("close", "chunked", b"5\r\nabc", False),
        ("reset", "chunked", b"", False),
        ("reset", "close", b"", False),
    ],
)
async def test_ends_are_what_they_are(how: str, framing: str, tail: bytes, is_clean: bool, version: str) -> None:
    """A watch that ends well ends well for the client; one that is cut is cut, though it has no length."""
    async with (
        Apiserver(ends(how, framing, tail)) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        client_of[TARGETS[0].encode()] = client
        await client.send(request(TARGETS[0], version=version))
        answer = await client.answer()
        assert answer.status == 200
        assert answer.complete == is_clean
        assert answer.body.startswith(EVENTS[0])
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == (not is_clean)


async def test_client_that_leaves_ends_its_watch() -> None:
    """The upstream is told at once, though no event comes that could not be sent."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(HEADS["chunked"])
        await exchange.wait_closed()

    async with Apiserver(play) as upstream, running(upstream.url) as proxy:
        async with await proxy.connect() as client:
            await client.send(request(TARGETS[0]))
            await client.until(lambda: b"\r\n\r\n" in client.seen)
        await upstream.exchanges[0].wait_closed()
        await proxy.aborts("client_gone")
        await proxy.quiet()
