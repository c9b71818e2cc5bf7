"""Clients that leave a paged List at any moment: nothing goes on without them, nothing is left behind."""

import asyncio

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver, Exchange
from tests.fakes.paged import PODS, Fault, Page, PagedList, answers, dies, make_items, request_for, status
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Client
from tests.shell.test_paging_slow import ITEMS, PAGING, settled, stall

LOOPS = ("asyncio", "uvloop")
BY_THREE = Paging(page_items=3)


async def leave(client: Client, how: str) -> None:
    """End the client's connection."""
    if how == "close":
        client.close()
    else:
        client.reset()
    await client.until(lambda: client.is_lost)


async def check_over(proxy: Running, paged: PagedList) -> None:
    """Check that a request is over and that nothing more is asked for it."""
    await proxy.aborts("client_gone")
    await proxy.quiet()
    asked = len(paged.asked)
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert len(paged.asked) == asked
    assert proxy.sample("restream_aborts_total") == 1


async def silent(exchange: Exchange, _: Page) -> None:
    """Think until the proxy gives up."""
    await exchange.wait_closed()


UNDER_WAY: dict[str, tuple[int, Fault]] = {
    "before the head of page 1": (1, silent),
    "inside page 1": (1, dies(150, "stall", PagedList())),
    "behind the head of page 1": (1, dies(110, "stall", PagedList())),
    "before the head of page 2": (2, silent),
    "inside page 2": (2, dies(150, "stall", PagedList())),
    "before the head of page 3": (3, silent),
    "inside page 3": (3, dies(150, "stall", PagedList())),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("where", UNDER_WAY)
async def test_client_leaves_while_a_page_is_under_way(where: str, how: str) -> None:
    """The page's connection is closed at once, and no further page is asked for."""
    number, fault = UNDER_WAY[where]
    paged = PagedList(faults={number: fault})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        client = await proxy.connect()
        await client.send(request_for(PODS))
        exchange = await upstream.wait_for_exchanges(number)
        if number > 1:
            await client.until(lambda: paged.items[3 * number - 4] in client.seen)
        await eventually(lambda: exchange.connection.sent >= 0)
        await leave(client, how)
        await exchange.wait_closed()
        await check_over(proxy, paged)
        assert len(paged.asked) == number
        assert not upstream.open_connections
        assert proxy.sample("restream_requests_total", code="499" if number == 1 else "200") == 1


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("number", [1, 2])
async def test_client_leaves_while_a_retry_waits(number: int, how: str) -> None:
    """A page that would be asked for again after a while is not asked for again."""
    refused = status(b"429 Too Many Requests", lines=[(b"Retry-After", b"20")])
    paged = PagedList(faults={number: answers(refused)})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        client = await proxy.connect()
        await client.send(request_for(PODS))
        await upstream.wait_for_exchanges(number)
        await settled(paged, upstream)
        assert proxy.sample("restream_inflight_requests", mode="paged") == 1
        await leave(client, how)
        await check_over(proxy, paged)
        assert len(paged.asked) == number


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("ignores_limit", [False, True], ids=["pages", "one large page"])
async def test_client_leaves_while_it_stalls(ignores_limit: bool, how: str) -> None:
    """What was held for a client that stalls and leaves is let go, with the page that was under way."""
    paged = PagedList(items=ITEMS, ignores_limit=ignores_limit)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=PAGING) as proxy:
        client = await stall(proxy, PODS)
        asked = await settled(paged, upstream)
        await leave(client, how)
        await check_over(proxy, paged)
        assert len(paged.asked) == asked
        if ignores_limit:
            await paged.asked[0].exchange.wait_closed()
            assert not upstream.open_connections


async def test_client_leaves_while_the_rest_is_fetched() -> None:
    """A client that leaves when its token is old stops the fetching of what it will not read."""
    paged = PagedList(items=ITEMS)
    paging = Paging(page_bytes=PAGING.page_bytes, token_seconds=0.01)

    async def think(_: Exchange, page: Page) -> Page:
        await asyncio.sleep(0.01)
        return page

    paged.faults = dict.fromkeys(range(20), think)
    paged.faults[20] = silent
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=paging) as proxy:
        client = await stall(proxy, PODS)
        exchange = await upstream.wait_for_exchanges(20)
        await leave(client, "reset")
        await exchange.wait_closed()
        await check_over(proxy, paged)
        assert len(paged.asked) == 20


async def test_many_clients_leave_at_any_moment() -> None:
    """Sixty clients that leave, each at another byte, leave nothing behind; the proxy goes on serving."""
    paged = PagedList(items=make_items(40))

    async def dawdle(_: Exchange, page: Page) -> Page:
        await asyncio.sleep(0.002)
        return page

    paged.faults = dict.fromkeys(range(1, 15), dawdle)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        clients = [await proxy.connect() for _ in range(60)]

        async def come_and_go(number: int, client: Client) -> None:
            await client.send(request_for(PODS))
            await client.until(lambda: client.total >= number * 50)
            await leave(client, ("close", "reset")[number % 2])

        await asyncio.gather(*(come_and_go(number, client) for number, client in enumerate(clients)))
        await eventually(lambda: proxy.sample("restream_requests_total") == 60)
        await proxy.quiet()
        asked = len(paged.asked)
        await settled(paged, upstream)
        assert len(paged.asked) == asked < 60 * 14
        assert proxy.sample("restream_aborts_total") == proxy.sample("restream_aborts_total", reason="client_gone")
        connections = len(upstream.connections)
        answer = await proxy.ask(request_for(PODS))
        assert answer.body == paged.body
        assert len(upstream.connections) <= connections + 1


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("number", [1, 2])
async def test_list_that_outlives_the_drain(number: int, version: str) -> None:
    """A List whose pages do not come before the drain is over ends visibly unfinished, and is counted so."""
    paged = PagedList(faults={number: silent})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        async with await proxy.connect() as client:
            await client.send(request_for(PODS, version=version))
            await upstream.wait_for_exchanges(number)
            await proxy.proxy.close()
            answer = await client.answer()
            assert not answer.complete
            assert answer.status == (0 if number == 1 else 200)
        assert proxy.sample("restream_aborts_total", reason="shutdown") == 1
        assert proxy.sample("restream_buffered_bytes") == 0


async def test_list_that_ends_within_the_drain() -> None:
    """A List that is under way when the drain begins is completed."""
    paged = PagedList()
    drained: list[asyncio.Task[None]] = []

    async def drain(_: Exchange, page: Page) -> Page:
        drained.append(asyncio.ensure_future(proxy.proxy.close()))
        await asyncio.sleep(0.01)
        return page

    paged.faults = {2: drain}
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert answer.complete
        assert answer.body == paged.body
        await drained[0]
