"""The streamed path's memory does not grow with the List, the buffered path's does."""

import asyncio
import sys

import pytest

from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.child import Child, serving
from tests.fakes.running import eventually
from tests.fakes.wire import Client, request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is read from /proc")

MIB = 1 << 20
HEAD = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":['
ITEM = b'{"metadata":{"name":"pod","uid":"%s"}}' % (b"u" * 2460)
BLOCK = chunk(b",".join([ITEM] * 50) + b",")
BLOCKS = 1000
SIZE = len(HEAD) + BLOCKS * (50 * len(ITEM) + 50) + len(ITEM) + 3
ALLOWED = 32 * MIB


async def send_list(exchange: Exchange) -> None:
    """Answer with some 120 MiB of pods of 2.5 KB, or with two of them."""
    if not exchange.target.startswith(b"/api/v1/pods"):
        await exchange.send(response(SMALL_LIST))
        return
    await exchange.send(response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none"), chunk(HEAD))
    for _ in range(BLOCKS):
        await exchange.send(BLOCK)
    await exchange.send(chunk(ITEM + b"]}\n") + b"0\r\n\r\n")


class Sink(Client):
    """A client that counts what comes and keeps the last of it."""

    def data_received(self, data: bytes) -> None:
        """Keep a few bytes."""
        self._received = (self._received + data)[-16:]
        self.total += len(data)
        self._wake()


async def read_all(child: Child, *, stall: asyncio.Event | None = None) -> None:
    """Ask for the List and take it to its end; with `stall`, only once that is set."""
    async with await Sink.connect(*child.address, receive_buffer=65536 if stall else None) as client:
        if stall:
            client.pause()
        await client.send(request())
        if stall:
            await stall.wait()
            client.resume()
        await client.until(lambda: client.total > SIZE and client.seen.endswith((b"0\r\n\r\n", b"]}\n")))


async def warm_up(child: Child) -> int:
    """Let everything be loaded that one List needs; return the peak so far."""
    for _ in range(3):
        assert (await child.ask(request("/api/v1/nodes"))).body == SMALL_LIST
    await child.samples()
    return child.peak_bytes()


async def test_streamed_list_holds_a_window() -> None:
    """A List of 120 MiB, then three at once, raise the proxy's peak by less than 32 MiB."""
    assert SIZE > 115 * MIB
    async with Apiserver(send_list) as upstream, serving(upstream.url, "--mode", "streamed") as child:
        before = await warm_up(child)
        await read_all(child)
        assert child.peak_bytes() - before < ALLOWED
        await asyncio.gather(*(read_all(child) for _ in range(3)))
        assert child.peak_bytes() - before < ALLOWED
        peak = child.peak_bytes()
        samples = await child.samples()
        assert samples["restream_items_total group= mode=streamed resource=pods"] == 4 * (50 * BLOCKS + 1)
        assert samples["restream_buffered_bytes mode=streamed"] == 0
        assert peak <= samples["restream_resident_memory_peak_bytes"] <= child.peak_bytes()


async def test_slow_clients_hold_no_more() -> None:
    """Ten clients that read nothing of a List of 120 MiB hold less than 32 MiB; one then gets it all."""
    stall = asyncio.Event()
    async with Apiserver(send_list) as upstream, serving(upstream.url, "--mode", "streamed") as child:
        before = await warm_up(child)
        reading = [asyncio.ensure_future(read_all(child, stall=stall)) for _ in range(10)]
        await upstream.wait_for_exchanges(3 + len(reading))
        await settled(upstream)
        assert (await child.samples())["restream_inflight_requests mode=streamed"] == len(reading)
        for task in reading[1:]:
            task.cancel()
        await asyncio.gather(*reading[1:], return_exceptions=True)
        stall.set()
        await reading[0]
        assert child.peak_bytes() - before < ALLOWED


async def settled(upstream: Apiserver) -> None:
    """Wait until the upstream can send no more."""
    before, turns = -1, 0
    while turns < 30:
        await asyncio.sleep(0.01)
        sent = sum(wire.sent for wire in upstream.connections)
        before, turns = (before, turns + 1) if sent == before else (sent, 0)


async def test_buffered_list_holds_the_body() -> None:
    """The path to compare with raises the peak by the whole body, and its figures say so."""
    async with Apiserver(send_list) as upstream, serving(upstream.url, "--mode", "buffered") as child:
        before = await warm_up(child)
        await read_all(child)
        assert child.peak_bytes() - before >= SIZE
        samples = await child.samples()
        assert samples["restream_request_peak_buffered_bytes_sum mode=buffered"] >= SIZE


async def test_one_large_item_costs_its_size() -> None:
    """An item of 12 MiB, below the limit, passes and raises the peak by a few times its size at most."""
    item = b'{"data":"' + b"x" * (12 * MIB) + b'"}'
    body = HEAD + item + b"," + ITEM + b"]}\n"

    async def send_item(exchange: Exchange) -> None:
        await exchange.send(response(body if exchange.target == b"/api/v1/secrets" else SMALL_LIST))

    async with Apiserver(send_item) as upstream, serving(upstream.url, "--mode", "streamed") as child:
        before = await warm_up(child)
        answer = await child.ask(request("/api/v1/secrets"))
        assert answer.complete
        assert answer.body == body
        assert child.peak_bytes() - before < 5 * len(item)


async def test_many_idle_connections_cost_little() -> None:
    """Two hundred idle client connections raise the peak by less than 16 MiB."""
    async with Apiserver(send_list) as upstream, serving(upstream.url) as child:
        before = await warm_up(child)
        clients = [await Client.connect(*child.address) for _ in range(200)]
        for client in clients:
            assert (await client.ask(request("/api/v1/nodes"))).body == SMALL_LIST
        assert child.peak_bytes() - before < 16 * MIB
        for client in clients:
            client.reset()
        await eventually(lambda: all(client.is_lost for client in clients))
