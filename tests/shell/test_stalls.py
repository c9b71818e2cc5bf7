"""Clients that do not read what they have asked for: for how long they are waited for, and what they may hold."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import pytest

from proxy.settings import Limits
from tests.fakes.apiserver import JSON_LINES, Apiserver, Exchange, chunk, response
from tests.fakes.paged import PagedList, make_items
from tests.fakes.running import Running, eventually, running
from tests.fakes.stage import AT_ONCE, BUDGET, MIB, PATIENT, Gates, list_request
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")
ITEMS = make_items(512, 64 << 10)
LIST = PagedList(items=ITEMS)
BODY = LIST.body
"""More than the kernel's buffers of two connections hold."""

QUICK = Limits(drain_seconds=0.2, client_stall_seconds=0.3)


async def send_list(exchange: Exchange) -> None:
    """Answer with it in chunks; what is asked for in pages, in pages."""
    if b"limit=" in exchange.target:
        await LIST(exchange)
        return
    await exchange.send(response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none"))
    for at in range(0, len(BODY), MIB):
        await exchange.send(chunk(BODY[at : at + MIB]))
    await exchange.send(b"0\r\n\r\n")


async def stall(proxy: Running, target: str = "/api/v1/pods", version: str = "1.1") -> Client:
    """Ask for something and read nothing of it."""
    client = await proxy.connect(receive_buffer=65536)
    client.pause()
    await client.send(request(target, version=version))
    return client


async def is_over(proxy: Running) -> None:
    """Wait until nothing is under way, and see that nothing is held, nor may be."""
    await proxy.quiet()
    assert proxy.sample("restream_memory_granted_bytes") == 0


# --- for how long -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("mode", ["raw", "streamed", "paged", "buffered"])
async def test_a_client_that_does_not_read_is_given_up(mode: str, version: str) -> None:
    """Its response is aborted, as nobody can take for an end, and counted."""
    async with (
        Apiserver(send_list, send_buffer=65536) as upstream,
        running(upstream.url, mode=mode, limits=QUICK) as proxy,
        await stall(proxy, version=version) as client,
    ):
        await proxy.aborts("client_stalled")
        await is_over(proxy)
        client.resume()
        answer = await client.answer()
        assert answer.status == 200
        assert not answer.complete
        assert answer.was_reset or version == "1.1" or answer.values(b"content-length")
        assert len(answer.body) < len(BODY)
        assert BODY.startswith(answer.body)
        assert proxy.sample("restream_aborts_total") == 1
        assert proxy.sample("restream_client_stall_seconds_total", mode=mode) >= QUICK.client_stall_seconds


async def sip(client: Client) -> None:
    """Take a few KiB, no more than 50 times a second."""
    before = client.total
    client.pause()
    await asyncio.sleep(0.02)
    client.resume()
    await client.until(lambda: client.total > before or client.has_ended)


async def test_a_slow_client_is_waited_for() -> None:
    """One that takes little at a time takes far longer than that, and gets everything.

    The kernel's buffers are so large that for longer than a client is waited for no byte leaves the proxy.
    """
    async with (
        Apiserver(send_list, send_buffer=65536) as upstream,
        running(upstream.url, mode="streamed", limits=QUICK) as proxy,
        await proxy.connect(receive_buffer=8192) as client,
    ):
        await client.send(request())
        loop = asyncio.get_running_loop()
        until = loop.time() + 5 * QUICK.client_stall_seconds
        while loop.time() < until:
            await sip(client)
        assert client.total < 4 * MIB
        answer = await client.answer()
        assert answer.complete
        assert answer.body == BODY
        await is_over(proxy)


async def test_a_client_that_takes_too_little_is_given_up() -> None:
    """A byte now and then does not keep what is held for it."""
    limits = Limits(drain_seconds=0.2, client_stall_seconds=0.3, client_min_bytes_per_second=1 << 30)
    async with (
        Apiserver(send_list, send_buffer=65536) as upstream,
        running(upstream.url, mode="streamed", limits=limits) as proxy,
        await proxy.connect(receive_buffer=8192) as client,
    ):
        await client.send(request())
        while not proxy.sample("restream_aborts_total", reason="client_stalled"):
            await sip(client)
        await is_over(proxy)
        assert not (await client.answer()).complete


# --- what is held for them --------------------------------------------------------------------------------------------


async def answer_both(gates: Gates, exchange: Exchange) -> None:
    """Answer Lists at their time, and logs at once."""
    await (gates if b"labelSelector" in exchange.target else send_list)(exchange)


@pytest.mark.parametrize("lists", [0, AT_ONCE])
async def test_those_that_have_stalled_for_longest_are_refused(lists: int) -> None:
    """What is no List passes, while what is held for its clients is within bounds; with Lists these are narrower."""
    gates = Gates()
    async with (
        Apiserver(partial(answer_both, gates), send_buffer=65536) as upstream,
        running(upstream.url, mode="streamed", memory_budget=BUDGET, admission=PATIENT) as proxy,
        AsyncExitStack() as stack,
    ):
        listing = [await stack.enter_async_context(await proxy.connect()) for _ in range(lists)]
        for number, client in enumerate(listing):
            await client.send(list_request(str(number)))
        await eventually(lambda: len(gates.began) == lists)
        free = proxy.sample("restream_memory_granted_bytes")
        fit = 1 if lists else 2

        def holds(count: int) -> bool:
            is_held = proxy.sample("restream_memory_granted_bytes") == free + count * MIB
            return is_held and proxy.sample("restream_inflight_requests", mode="raw") == count

        clients: list[Client] = []
        for number in range(1, 5):
            clients.append(await stack.enter_async_context(await stall(proxy, "/logs")))
            await proxy.aborts("memory_budget", max(0, number - fit))
            await eventually(partial(holds, min(number, fit)))
        for number, client in enumerate(clients):
            client.resume()
            answer = await client.answer()
            assert answer.complete == (number >= len(clients) - fit)
            assert BODY.startswith(answer.body)
        assert holds(0)
        gates.open(*gates.began)
        for client in listing:
            assert (await client.answer()).complete
        await is_over(proxy)


async def test_a_list_waits_for_those_who_stall() -> None:
    """What stalled clients hold is taken from what Lists may have, and given back when they read or leave."""
    gates = Gates()
    async with (
        Apiserver(partial(answer_both, gates), send_buffer=65536) as upstream,
        running(upstream.url, mode="streamed", memory_budget=BUDGET, admission=PATIENT) as proxy,
        await stall(proxy, "/logs") as first,
        await stall(proxy, "/logs"),
        await proxy.connect() as one,
        await proxy.connect() as other,
    ):
        await eventually(lambda: proxy.sample("restream_memory_granted_bytes") == 2 * MIB)
        await one.send(list_request("one"))
        await eventually(lambda: gates.began == ["one"])
        await other.send(list_request("other"))
        await eventually(lambda: proxy.sample("restream_waiting_lists", to="start") == 1)
        first.reset()
        await eventually(lambda: gates.began == ["one", "other"])
        gates.open("one", "other")
        assert (await one.answer()).complete
        assert (await other.answer()).complete
