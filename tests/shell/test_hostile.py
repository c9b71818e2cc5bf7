"""Clients that mean harm, or do odd things: what they send is never taken for something else, nor piles up."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, answer_small_list, chunk, response
from tests.fakes.running import running
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")
UPGRADE = (b"Connection: Upgrade", b"Upgrade: h2c")
ROOT = Path(__file__).parents[2]
SMUGGLED = request("/smuggled", method="DELETE")


async def answer_after_body(exchange: Exchange) -> None:
    """Read the request to its end, then answer."""
    await exchange.body()
    await answer_small_list(exchange)


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: %d" % len(SMUGGLED), SMUGGLED),
        (b"Transfer-Encoding: chunked", chunk(SMUGGLED) + b"0\r\n\r\n"),
    ],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("size", [1, 1 << 20], ids=["byte by byte", "at once"])
async def test_body_of_an_upgrade_request_is_its_body(framing: bytes, body: bytes, size: int) -> None:
    """A body behind a request for an upgrade (curl --http2 -d) goes up as that, never as a request of its own."""
    whole = request("/api/v1/pods", *UPGRADE, framing, method="POST", body=body) + request("/version")
    async with (
        Apiserver(answer_after_body) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        for start in range(0, len(whole), size):
            await client.send(whole[start : start + size])
        for method in ("POST", "GET"):
            assert (await client.answer(method)).body == SMALL_LIST
        assert [exchange.target for exchange in upstream.exchanges] == [b"/api/v1/pods", b"/version"]
        assert upstream.exchanges[0].content == SMUGGLED


async def test_many_upgrade_requests() -> None:
    """As many pipelined requests for an upgrade as come are answered, one after the other."""
    count = 300
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/version", *UPGRADE) * count)
        for _ in range(count):
            assert (await client.answer()).status == 200


async def test_connect_is_refused() -> None:
    """There is no tunnel to elsewhere (RFC 9110, section 9.1: a method that is not implemented)."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        assert (await proxy.ask(request("example.com:443", method="CONNECT"), method="CONNECT")).status == 501
        assert not upstream.exchanges


async def test_nothing_behind_a_refused_request_is_served() -> None:
    """What follows a request that is refused is not executed, and no other answer takes its place."""
    bad = request("/bad", host=None)
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/one") + bad + request("/three", method="DELETE"))
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert [exchange.target for exchange in upstream.exchanges] == [b"/one"]


@pytest.mark.parametrize("mode", ["raw", "streamed"])
async def test_half_closed_http10_client_sees_a_reset(mode: str) -> None:
    """A List that is dropped because its HTTP/1.0 client closed its side does not end like a whole one."""
    head = response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none")

    async def begin(exchange: Exchange) -> None:
        await exchange.send(head, chunk(SMALL_LIST[:-10]))
        await exchange.wait_closed()

    async with Apiserver(begin) as upstream, running(upstream.url, mode=mode) as proxy, await proxy.connect() as client:
        await client.send(request(version="1.0"))
        await client.until(lambda: b'"items":[' in client.seen)
        client.finish()
        answer = await client.answer()
        assert answer.was_reset or not answer.complete
        await proxy.aborts("client_gone")


async def test_answers_without_a_body_wait_for_the_client() -> None:
    """Pipelined HEADs of a client that reads nothing do not pile up answers."""
    lines = [*JSON_LINES, *((b"Warning", b"x" * 1000) for _ in range(30))]

    async def answer(exchange: Exchange) -> None:
        await exchange.send(response(lines=lines, framing="length"))

    limits = Limits(write_buffer_bytes=65536, drain_seconds=0.2)
    async with (
        Apiserver(answer) as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect(receive_buffer=4096) as client,
    ):
        client.pause()
        sending = asyncio.ensure_future(client.send(request("/x", method="HEAD") * 5000))
        before = -1
        while before != len(upstream.exchanges):
            before = len(upstream.exchanges)
            await asyncio.sleep(0.2)
        assert len(upstream.exchanges) < 1000
        client.reset()
        await asyncio.gather(sending, return_exceptions=True)


async def test_endless_trailer_is_refused() -> None:
    """A trailer is bounded as a head is."""
    limits = Limits(header_bytes=65536, drain_seconds=0.2)
    async with (
        Apiserver(answer_after_body) as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request("/x", b"Transfer-Encoding: chunked", method="POST"), b"0\r\nX: ")
        for _ in range(4):
            await client.send(b"a" * 32768)
        assert (await client.answer("POST")).status in (400, 431)


async def test_body_behind_many_pipelined_requests() -> None:
    """Reading goes on for the body of a request that came behind more requests than may wait."""
    async with (
        Apiserver(answer_after_body) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        last = request("/last", b"Content-Length: 5", method="POST")
        await client.send(request("/version") * 20 + last + b"he")
        await upstream.wait_for_exchanges(20)
        await client.send(b"llo")
        for _ in range(21):
            assert (await client.answer()).status == 200
        assert upstream.exchanges[-1].content == b"hello"


async def test_slow_upload_is_not_the_upstreams_fault() -> None:
    """The time for an answer begins when the upstream has the request's body."""
    limits = Limits(first_byte_seconds=0.5, drain_seconds=0.2)
    async with (
        Apiserver(answer_after_body) as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request("/x", b"Content-Length: 8", method="POST"))
        for byte in b"12345678":
            await asyncio.sleep(0.1)
            await client.send(bytes([byte]))
        assert (await client.answer("POST")).status == 200


async def test_expect_of_http10_is_ignored() -> None:
    """An HTTP/1.0 client gets no interim response (RFC 9110, section 10.1.1)."""
    lines = (b"Expect: 100-continue", b"Content-Length: 2")
    async with Apiserver(answer_after_body) as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(request("/x", *lines, method="POST", version="1.0", body=b"hi"), method="POST")
        assert answer.interim == []
        assert answer.status == 200


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"identity"])
async def test_transfer_coding_of_the_upstream(coding: bytes) -> None:
    """A response in a transfer coding that would be lost on the way is an error, not bytes of another meaning."""
    lines = [*JSON_LINES, (b"Transfer-Encoding", coding)]

    async def answer(exchange: Exchange) -> None:
        await exchange.send(response(lines=lines, framing="none"), chunk(b"xx") + b"0\r\n\r\n")

    async with Apiserver(answer) as upstream, running(upstream.url) as proxy:
        assert (await proxy.ask(request("/x"))).status == 502


async def test_unread_log_stops_nothing() -> None:
    """Requests go on where nobody reads the access log and its pipe is full."""
    command = [sys.executable, "-m", "proxy", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    reading, writing = os.pipe()
    async with Apiserver() as upstream:
        child = await asyncio.create_subprocess_exec(
            *command, "--upstream", upstream.url, stdout=asyncio.subprocess.PIPE, stderr=writing, cwd=ROOT
        )
        try:
            assert child.stdout is not None
            line = await child.stdout.readline()
            port = int(line.split(b"//127.0.0.1:")[1].split()[0])
            async with await Client.connect("127.0.0.1", port) as client:
                for _ in range(600):
                    assert (await client.ask(request("/version", b"User-Agent: " + b"x" * 400))).status == 200
        finally:
            child.terminate()
            await child.wait()
            os.close(reading)
            os.close(writing)
