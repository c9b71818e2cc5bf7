"""What passes through a tunnel, and how it ends: every byte, every end as what it is, and nothing left behind."""

import asyncio
import json
import random

import pytest

from proxy.settings import Limits
from tests.fakes.apiserver import Apiserver
from tests.fakes.child import serving
from tests.fakes.running import eventually, running
from tests.fakes.upgrades import EXEC, WEBSOCKET, drink, grant, pour, stalled, tunnel
from tests.fakes.wire import Client, Wire

LOOPS = ("asyncio", "uvloop")
SIDES = pytest.mark.parametrize("who", ["client", "upstream"])
BLOCK = random.Random(1).randbytes(256 << 10)
HURRIED = Limits(
    connect_seconds=0.1, first_byte_seconds=0.1, between_bytes_seconds=0.1, idle_seconds=0.1, drain_seconds=0.2
)
ROOMY = Limits(write_buffer_bytes=64 << 20, idle_seconds=0.3, drain_seconds=0.2)
HELD = 4 * (256 << 10) + (64 << 10)
"""Bytes that a tunnel may hold: in each direction a write buffer, and one read that has made it overflow."""


def order(ends: tuple[Client, Wire], who: str) -> tuple[Wire, Wire]:
    """Return the end that acts, and the other one."""
    client, server = ends
    return (client, server) if who == "client" else (server, client)


# --- bytes ------------------------------------------------------------------------------------------------------------


async def test_bytes_arrive_as_they_come() -> None:
    """Each piece, however small, is there before the next one is sent, in both directions."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, tunnel(proxy, upstream) as (client, server):
        for number in range(100):
            for sender, receiver in ((client, server), (server, client)):
                await sender.send(bytes([number]))
                assert await receiver.read_exactly(1) == bytes([number])


async def test_much_both_ways_at_once() -> None:
    """64 MiB each way at once arrive whole, past readers that now and then do not read, with little held."""
    count = (64 << 20) // len(BLOCK)
    peak = 0

    async def drink_slowly(wire: Wire) -> None:
        nonlocal peak
        for _ in range(8):
            wire.pause()
            for _ in range(20):
                await asyncio.sleep(0)
                peak = max(peak, int(proxy.sample("restream_buffered_bytes", mode="raw")))
            wire.resume()
            await drink(wire, BLOCK, count // 8)

    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with tunnel(proxy, upstream) as (client, server):
            await asyncio.gather(
                pour(client, BLOCK, count),
                pour(server, BLOCK, count),
                drink_slowly(client),
                drink_slowly(server),
            )
        await proxy.quiet()
        assert peak <= HELD
        assert proxy.sample("restream_request_peak_buffered_bytes_sum") <= HELD
        assert proxy.sample("restream_response_bytes_sum", mode="raw") == count * len(BLOCK)


@SIDES
async def test_who_does_not_read_stops_the_other(who: str) -> None:
    """A side that reads nothing stops the other one at a bound, and no byte of the other direction."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with tunnel(proxy, upstream, receive_buffer=65536) as ends:
            stopped, sender = order(ends, who)
            stopped.pause()
            pouring = asyncio.ensure_future(pour(sender, BLOCK, 256))
            assert (await stalled(sender))[0] < 32 << 20
            assert 0 < proxy.sample("restream_buffered_bytes", mode="raw") <= HELD
            await stopped.send(b"still here")
            assert await sender.read_exactly(10) == b"still here"
            stopped.resume()
            await drink(stopped, BLOCK, 256)
            await pouring
        await proxy.quiet()
        assert (proxy.sample("restream_client_stall_seconds_total", mode="raw") > 0) == (who == "client")


async def test_silence_is_no_end() -> None:
    """A tunnel outlives every limit on silence, on both sides."""
    async with Apiserver() as upstream, running(upstream.url, limits=HURRIED) as proxy:
        async with tunnel(proxy, upstream) as (client, server):
            await asyncio.sleep(1.3)  # a client's connection is looked at once a second
            await client.send(b"a")
            assert await server.read_exactly(1) == b"a"
            await server.send(b"b")
            assert await client.read_exactly(1) == b"b"
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


# --- ends -------------------------------------------------------------------------------------------------------------


@SIDES
async def test_half_close(who: str) -> None:
    """The end of one direction is passed on behind all its bytes, and the other direction goes on until it ends."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, tunnel(proxy, upstream) as ends:
        first, last = order(ends, who)
        await first.send(BLOCK)
        first.finish()
        assert await last.read_rest() == BLOCK
        assert not last.is_lost
        await pour(last, BLOCK, 16)
        await drink(first, BLOCK, 16)
        assert not first.has_ended
        last.finish()
        assert await first.read_rest() == b""
        await proxy.quiet()
        for end in ends:
            end.close()
            await end.until(lambda end=end: end.is_lost)  # type: ignore[misc]
            assert not end.was_reset
        assert proxy.sample("restream_aborts_total") == 0


@SIDES
async def test_half_close_behind_what_waits(who: str) -> None:
    """An end waits behind the bytes that a slow side has not taken, and reading is paused meanwhile."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with tunnel(proxy, upstream, receive_buffer=65536) as ends:
            first, last = order(ends, who)
            last.pause()
            pouring = asyncio.ensure_future(pour(first, BLOCK, 64))
            await stalled(first)
            last.resume()
            await pouring
            last.pause()
            first.finish()
            await last.send(b"meanwhile")
            assert await first.read_exactly(9) == b"meanwhile"
            last.resume()
            await drink(last, BLOCK, 64)
            assert await last.read_rest() == b""
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


@SIDES
async def test_close(who: str) -> None:
    """A side that closes has its last bytes delivered; the other one sees an end, no reset."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with tunnel(proxy, upstream) as ends:
            leaver, other = order(ends, who)
            await leaver.send(BLOCK)
            leaver.close()
            assert await other.read_rest() == BLOCK
            other.close()
            await other.until(lambda: other.is_lost)
            assert not other.was_reset
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0
        assert proxy.sample("restream_requests_total", code="101") == 1


@SIDES
async def test_reset(who: str) -> None:
    """A reset of one side is a reset for the other, and counted under who it was."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with tunnel(proxy, upstream) as ends:
            leaver, other = order(ends, who)
            await leaver.send(b"last words")
            assert await other.read_exactly(10) == b"last words"
            leaver.reset()
            await other.until(lambda: other.is_lost)
            assert other.was_reset
        await proxy.aborts({"client": "client_gone", "upstream": "upstream_closed"}[who])
        await proxy.quiet()
        assert proxy.sample("restream_requests_total", code="101") == 1
        assert proxy.sample("restream_response_bytes_sum", mode="raw") == (10 if who == "upstream" else 0)


@SIDES
async def test_reset_behind_an_end(who: str) -> None:
    """A side that has ended and is sent more resets its connection; what it has sent before still arrives, all of it.

    A server that has written its last word closes, though the client may still be talking.
    """
    async with Apiserver() as upstream, running(upstream.url, limits=ROOMY) as proxy:
        async with tunnel(proxy, upstream, receive_buffer=65536) as ends:
            leaver, other = order(ends, who)
            other.pause()
            await pour(leaver, BLOCK, 64)
            leaver.finish()
            await other.send(b"what?")
            await leaver.read_exactly(5)
            leaver.close()
            await leaver.until(lambda: leaver.is_lost)
            for _ in range(20):
                await other.send(b"too late")
            other.resume()
            await drink(other, BLOCK, 64)
            assert await other.read_rest() == b""
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


@SIDES
async def test_reset_frees_what_waits_for_the_other(who: str) -> None:
    """A side that is reset while it reads nothing takes the other one with it at once."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with tunnel(proxy, upstream, receive_buffer=65536) as ends:
            stopped, sender = order(ends, who)
            stopped.pause()
            pouring = asyncio.ensure_future(pour(sender, BLOCK, 256))
            await stalled(sender)
            stopped.reset()
            await sender.until(lambda: sender.is_lost)
            assert sender.was_reset
            await asyncio.gather(pouring, return_exceptions=True)
        await proxy.quiet()
        assert not upstream.open_connections


@SIDES
async def test_what_nobody_takes_is_not_kept(who: str) -> None:
    """When one side has ended the other has to take what is left for it: who takes nothing for a while is reset."""
    async with Apiserver() as upstream, running(upstream.url, limits=ROOMY) as proxy:
        async with tunnel(proxy, upstream, receive_buffer=65536) as ends:
            stopped, leaver = order(ends, who)
            stopped.pause()
            await pour(leaver, BLOCK, 128)
            leaver.finish()
            await proxy.aborts({"client": "client_gone", "upstream": "upstream_closed"}[who])
            stopped.resume()
            await stopped.until(lambda: stopped.is_lost)
            assert stopped.was_reset
        await proxy.quiet()


# --- going down -------------------------------------------------------------------------------------------------------


async def test_drain_waits_for_tunnels() -> None:
    """A tunnel that ends while the proxy drains ends as it would have."""
    async with Apiserver() as upstream, running(upstream.url, limits=Limits(drain_seconds=20)) as proxy:
        async with tunnel(proxy, upstream) as (client, server):
            closing = asyncio.ensure_future(proxy.proxy.close())
            await eventually(lambda: not closing.done())
            await client.send(b"a")
            assert await server.read_exactly(1) == b"a"
            server.close()
            assert await client.read_rest() == b""
            client.close()
            await closing
        assert proxy.sample("restream_aborts_total") == 0


async def test_tunnel_that_outlives_the_drain() -> None:
    """A tunnel that is still open when the drain is over is reset on both sides, as nobody has ended it."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, tunnel(proxy, upstream) as (client, server):
        await proxy.proxy.close()
        await client.until(lambda: client.is_lost)
        await server.until(lambda: server.is_lost)
        assert client.was_reset
        assert server.was_reset
        assert proxy.sample("restream_aborts_total", reason="shutdown") == 1


async def test_many_tunnels_leave_nothing() -> None:
    """A hundred tunnels of which each ends in its own way leave no connection, no task and no bytes."""
    async with Apiserver(grant()) as upstream, running(upstream.url) as proxy:
        clients = [await proxy.connect() for _ in range(100)]
        for client in clients:
            await client.send(WEBSOCKET.request() + b"x" * 1000)
        for client in clients:
            await client.read_until(b"\r\n\r\n")
        assert proxy.sample("restream_inflight_requests", mode="raw") == 100
        for number, client in enumerate(clients):
            wire = upstream.exchanges[number].connection
            assert await wire.read_exactly(1000)
            ways = (client.reset, wire.reset, wire.close, client.close)
            ways[number % 4]()
        for client in clients:
            client.close()
            await client.until(lambda client=client: client.is_lost)  # type: ignore[misc]
        for wire in upstream.connections:
            wire.close()
        await proxy.quiet()
        assert not upstream.open_connections


async def test_tunnels_by_chance() -> None:
    """Whatever both sides do in whatever order, what arrives is what was sent, and the ends are ends."""
    rng = random.Random(7)

    async def act(wire: Wire, seed: int) -> bytes:
        own = random.Random(seed)
        sent = b""
        for _ in range(own.randrange(12)):
            piece = own.randbytes(own.choice((1, 100, 70_000, 900_000)))
            if own.random() < 0.3:
                wire.pause()
            await wire.send(piece)
            sent += piece
            wire.resume()
        wire.finish()
        return sent

    async def play(proxy_port: tuple[str, int], number: int, upstream: Apiserver) -> None:
        async with await Client.connect(*proxy_port, receive_buffer=rng.choice((None, 4096))) as client:
            early = b"e" * rng.randrange(3)
            await client.send(WEBSOCKET.request(target=f"{EXEC}&n={number}") + early)
            await client.read_until(b"\r\n\r\n")
            server = next(
                exchange.connection
                for exchange in upstream.exchanges
                if exchange.target.endswith(f"&n={number}".encode())
            )
            up, down = await asyncio.gather(act(client, number), act(server, -number))
            assert await server.read_rest() == early + up
            assert await client.read_rest() == down
            server.close()

    async with Apiserver(grant(half_open=True)) as upstream, running(upstream.url) as proxy:
        await asyncio.gather(*(play((proxy.host, proxy.port), number, upstream) for number in range(1, 21)))
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


async def test_access_log() -> None:
    """A tunnel has its line when it ends, with what went either way; nothing of a command is in it."""
    async with Apiserver(grant()) as upstream, serving(upstream.url) as child:
        async with await Client.connect(*child.address) as client:
            await client.send(WEBSOCKET.request() + b"abc")
            await client.read_until(b"\r\n\r\n")
            exchange = upstream.exchanges[0]
            assert await exchange.connection.read_exactly(3) == b"abc"
            await exchange.send(b"de")
            assert await client.read_exactly(2) == b"de"
            exchange.close()
            assert await client.read_rest() == b""
        _, _, errors = await child.stop()
    line = json.loads(errors)
    assert (line["code"], line["mode"], line["reason"], line["abort"]) == (101, "raw", "upgrade", None)
    assert (line["bytes"], line["bytes_received"], line["query"]) == (2, 3, {})
    assert 0 < line["first_byte_seconds"] <= line["duration_seconds"]
