"""What a slow client or a slow upstream does to everything in between."""

import asyncio

import pytest

from tests.fakes.apiserver import JSON_LINES, Apiserver, Exchange, chunk, response
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")

HEAD = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":['
ITEM = b'{"metadata":{"name":"pod","uid":"%s"}}' % (b"u" * 1950)
BLOCK = b",".join([ITEM] * 32)
BLOCKS = 1024
BODY = HEAD + b",".join([BLOCK] * BLOCKS) + b"]}\n"
BOUND = 48 << 20
"""Bytes that may be on their way to a client that reads nothing: the kernel's buffers of two connections (10 MiB where
Linux tunes them by its defaults, but tcp_rmem may say 32 MiB), and the proxy's window. Below the body."""


async def send_list(exchange: Exchange) -> None:
    """Answer with 64 MiB of pods, a block at a time."""
    await exchange.send(response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none"))
    await exchange.send(chunk(HEAD))
    for number in range(BLOCKS):
        await exchange.send(chunk(BLOCK + (b"," if number < BLOCKS - 1 else b"")))
    await exchange.send(chunk(b"]}\n") + b"0\r\n\r\n")


async def stalled(upstream: Apiserver) -> int:
    """Wait until the upstream can send no more; return how much it could."""
    wire = upstream.connections[0]
    before, turns = -1, 0
    while turns < 50:
        await asyncio.sleep(0.01)
        before, turns = (before, turns + 1) if wire.sent == before else (wire.sent, 0)
    return before


@pytest.mark.parametrize("mode", ["raw", "streamed"])
async def test_slow_client_stops_the_upstream(mode: str) -> None:
    """A client that stops reading stops the upstream at a bound, with live figures; then it gets the exact body."""
    async with (
        Apiserver(send_list, send_buffer=65536) as upstream,
        running(upstream.url, mode=mode) as proxy,
        await proxy.connect(receive_buffer=65536) as client,
    ):
        client.pause()
        await client.send(request())
        await upstream.wait_for_exchanges(1)
        sent = await stalled(upstream)
        assert sent < BOUND < len(BODY)
        assert proxy.sample("restream_inflight_requests", mode=mode) == 1
        assert 0 < proxy.sample("restream_buffered_bytes", mode=mode) < 2 << 20
        if mode == "streamed":
            assert 0 < proxy.sample("restream_items_total", mode=mode, resource="pods") < 32 * BLOCKS
        client.resume()
        answer = await client.answer()
        assert answer.complete
        assert answer.body == BODY
        await proxy.quiet()
        assert proxy.sample("restream_client_stall_seconds_total", mode=mode) > 0
        assert proxy.sample("restream_request_peak_buffered_bytes_sum", mode=mode) < 4 << 20
        if mode == "streamed":
            assert proxy.sample("restream_items_total", mode=mode, resource="pods") == 32 * BLOCKS
            assert proxy.sample("restream_item_bytes_count", mode=mode) == 32 * BLOCKS
            assert proxy.sample("restream_item_bytes_sum", mode=mode) == 32 * BLOCKS * len(ITEM)


async def test_buffered_holds_the_whole_body() -> None:
    """The path to compare with reads everything before it sends a byte, and says so."""
    go_on = asyncio.Event()

    async def send_all_but_the_end(exchange: Exchange) -> None:
        await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
        for at in range(0, 16 << 20, 1 << 20):
            await exchange.send(chunk(BODY[at : at + (1 << 20)]))
        await go_on.wait()
        await exchange.send(chunk(BODY[16 << 20 :]) + b"0\r\n\r\n")

    async with (
        Apiserver(send_all_but_the_end) as upstream,
        running(upstream.url, mode="buffered") as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request())
        await eventually(lambda: proxy.sample("restream_buffered_bytes", mode="buffered") >= 16 << 20)
        assert client.total == 0
        go_on.set()
        answer = await client.answer()
        assert answer.body == BODY
        assert answer.first(b"content-length") == b"%d" % len(BODY)
        await proxy.quiet()
        assert proxy.sample("restream_request_peak_buffered_bytes_sum", mode="buffered") >= len(BODY)


async def test_client_that_leaves_while_it_stalls() -> None:
    """A client that stalls and then leaves frees the upstream and everything that was held for it."""
    async with Apiserver(send_list) as upstream, running(upstream.url, mode="streamed") as proxy:
        async with await proxy.connect(receive_buffer=4096) as client:
            client.pause()
            await client.send(request())
            await upstream.wait_for_exchanges(1)
            await stalled(upstream)
            client.reset()
        await upstream.exchanges[0].wait_closed()
        await proxy.aborts("client_gone")
        await proxy.quiet()


async def trickle(exchange: Exchange, client: Client, pieces: list[bytes]) -> None:
    """Send a piece only when the client has all the pieces before it."""
    await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
    for piece in pieces:
        await exchange.send(chunk(piece))
        await client.until(lambda piece=piece: piece.strip(b",") in client.seen)  # type: ignore[misc]
    await exchange.send(b"0\r\n\r\n")


def small(name: str) -> bytes:
    """Return an item that can be told from others."""
    return b'{"metadata":{"name":"%s"}}' % name.encode()


async def run_trickle(proxy: Running, upstream: Apiserver, pieces: list[bytes]) -> None:
    """Ask for a List that comes in `pieces`, each only when the last one is with the client."""
    async with await proxy.connect() as client:

        async def play(exchange: Exchange) -> None:
            await trickle(exchange, client, pieces)

        upstream.script = play
        await client.send(request())
        await client.until(lambda: client.seen.endswith(b"0\r\n\r\n"))
        answer = await client.answer()
        assert answer.complete
        assert answer.body == b"".join(pieces)


async def test_first_bytes_leave_at_once() -> None:
    """Each item is with the client before the upstream has sent the next one."""
    pieces = [HEAD, small("a") + b",", small("b") + b",", small("c"), b"]}\n"]
    pieces[3:] = [small("c") + b"]}\n"]
    async with Apiserver() as upstream, running(upstream.url, mode="streamed") as proxy:
        await run_trickle(proxy, upstream, pieces)


async def test_item_leaves_without_its_separator() -> None:
    """An object is complete with its last brace: it leaves though its separator comes with the next item."""
    pieces = [HEAD, small("a"), b"," + small("b"), b"," + small("c"), b"]}\n"]
    async with Apiserver() as upstream, running(upstream.url, mode="streamed") as proxy:
        await run_trickle(proxy, upstream, pieces)


async def test_small_items_are_coalesced() -> None:
    """A fast upstream's items leave many to a write: the client gets far fewer chunks than items."""
    async with (
        Apiserver(send_list) as upstream,
        running(upstream.url, mode="streamed") as proxy,
        await proxy.connect() as client,
    ):
        answer = await client.ask(request())
        assert answer.body == BODY
        assert len(answer.chunks) < 32 * BLOCKS / 8
