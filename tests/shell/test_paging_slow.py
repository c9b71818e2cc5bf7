"""Paging at the client's pace: two pages held, no apiserver kept waiting, tokens that do not live for ever."""

import asyncio

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver, Exchange, answer_small_list
from tests.fakes.paged import (
    PODS,
    SHAPES,
    WIDGETS,
    Fault,
    Page,
    PagedList,
    Shape,
    changes,
    dies,
    make_items,
    request_for,
    times,
)
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Client, request

LOOPS = ("uvloop",)
MIB = 1 << 20
ITEMS = make_items(400, 64 << 10)  # 25 MiB: more than the kernel's buffers of two connections hold
PAGING = Paging(page_bytes=MIB + 1000)
PAGE = 16 * (64 << 10)
PAGES = 25 + 1  # the first has 5 items
SLACK = 600 << 10
"""Bytes that may be held besides pages: what a transport takes before it says that it is full, and one read."""


async def settled(paged: PagedList, upstream: Apiserver) -> int:
    """Wait until the proxy asks for nothing and takes nothing; return how many pages it has asked for."""
    before, turns = (-1, -1), 0
    while turns < 15:
        await asyncio.sleep(0.01)
        now = len(paged.asked), sum(wire.sent for wire in upstream.connections)
        before, turns = (before, turns + 1) if now == before else (now, 0)
    return len(paged.asked)


async def stall(proxy: Running, shape: Shape, *, version: str = "1.1") -> Client:
    """Ask for a List and read nothing of it."""
    client = await proxy.connect(receive_buffer=65536)
    client.pause()
    await client.send(request_for(shape, version=version))
    return client


@pytest.mark.parametrize("shape", [PODS, WIDGETS], ids=["typed", "custom"])
async def test_client_that_does_not_read(shape: Shape) -> None:
    """While a client stalls two pages are held and the one that is sent; the connection to the upstream is free."""
    paged = PagedList(shape, ITEMS)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=PAGING) as proxy:
        async with await stall(proxy, shape) as client:
            asked = await settled(paged, upstream)
            assert 3 < asked < PAGES
            assert PAGE < proxy.sample("restream_buffered_bytes", mode="paged") < 3 * PAGE + SLACK
            connections = len(upstream.connections)
            upstream.script = answer_small_list
            await proxy.ask(request("/version"))
            assert len(upstream.connections) == connections
            upstream.script = paged
            client.resume()
            answer = await client.answer()
            assert answer.complete
            assert answer.body == paged.body
        await proxy.quiet()
        assert len(paged.asked) == PAGES
        assert len(upstream.connections) == connections
        assert proxy.sample("restream_client_stall_seconds_total", mode="paged") > 0
        assert proxy.sample("restream_request_peak_buffered_bytes_sum", mode="paged") < 3 * PAGE + SLACK


async def test_next_page_is_fetched_while_this_one_is_sent() -> None:
    """The client has page 1 while page 2 has not been answered yet."""
    paged = PagedList()
    let_go = asyncio.Event()

    async def wait(_: Exchange, page: Page) -> Page:
        await let_go.wait()
        return page

    paged.faults = {2: wait, 3: wait}
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=Paging(page_items=3)) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request_for(PODS))
        await client.until(lambda: paged.items[2] in client.seen)
        let_go.set()
        assert (await client.answer()).body == paged.body


async def test_first_bytes_do_not_wait_for_a_large_page() -> None:
    """The first items of a large page 1 are with the client before the upstream has sent the last."""
    paged = PagedList(items=ITEMS[:12])

    async def go_on(exchange: Exchange, page: Page) -> None:
        whole = paged.render(page)
        await exchange.send(whole[len(whole) // 2 :])

    paging = Paging(page_bytes=2 * MIB, page_items=12)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=paging) as proxy:
        assert (await proxy.ask(request_for(PODS))).body == paged.body  # the next page 1 has all twelve
        async with await proxy.connect() as client:
            paged.faults[1], clients = halting(paged, 0, go_on)
            clients.append(client)
            answer = await client.ask(request_for(PODS))
        assert answer.complete
        assert answer.body == paged.body


# --- tokens get old ---------------------------------------------------------------------------------------------------


async def test_token_gets_old_and_the_rest_fits() -> None:
    """Before its token expires the rest of the List is fetched without the client, who gets all of it later."""
    paged = PagedList(items=ITEMS)
    paging = Paging(page_bytes=MIB + 1000, token_seconds=0.2)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=paging) as proxy:
        async with await stall(proxy, PODS) as client:
            await eventually(lambda: len(paged.asked) == PAGES)
            await settled(paged, upstream)
            assert 4 * PAGE < proxy.sample("restream_buffered_bytes", mode="paged") < PAGES * PAGE
            client.resume()
            answer = await client.answer()
            assert answer.complete
            assert answer.body == paged.body
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


async def test_old_tokens_share_the_budget() -> None:
    """However many clients are slow, what is read ahead for all of them has one bound; who leaves makes room."""
    paged = PagedList(items=ITEMS)
    paging = Paging(page_bytes=MIB + 1000, token_seconds=0.2, page_limit_bytes=64 * MIB)
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=paging, memory_budget=120 * MIB) as proxy,
    ):
        async with await stall(proxy, PODS), await stall(proxy, PODS):
            await proxy.aborts("expired")
            assert proxy.sample("restream_inflight_requests", mode="paged") == 1
        await proxy.quiet()
        async with await stall(proxy, PODS) as client:
            await eventually(lambda: proxy.sample("restream_buffered_bytes", mode="paged") > 4 * PAGE)
            client.resume()
            assert (await client.answer()).body == paged.body


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_token_gets_old_and_the_rest_is_too_much(version: str) -> None:
    """Where the rest would be more than the budget, the response is given up, visibly, with its reason."""
    paged = PagedList(items=ITEMS)
    paging = Paging(page_bytes=MIB + 1000, token_seconds=0.2, page_limit_bytes=3 * MIB)
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=paging) as proxy,
        await stall(proxy, PODS, version=version) as client,
    ):
        await proxy.aborts("expired")
        await proxy.quiet()
        assert 4 < len(paged.asked) < PAGES
        assert proxy.sample("restream_request_peak_buffered_bytes_sum", mode="paged") < 3 * MIB + 3 * PAGE + SLACK
        client.resume()
        answer = await client.answer()
        assert not answer.complete
        assert paged.body.startswith(answer.body)
        assert len(answer.body) < len(paged.body)


async def test_fast_client_does_not_care() -> None:
    """A client that keeps up gets a List that takes longer than a token's life is trusted for."""
    paged = PagedList(items=ITEMS[:60])

    async def delay(_: Exchange, page: Page) -> Page:
        await asyncio.sleep(0.03)
        return page

    paged.faults = dict.fromkeys(range(1, 30), delay)
    paging = Paging(page_items=5, token_seconds=0.05, page_limit_bytes=MIB)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=paging) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert answer.complete
        assert answer.body == paged.body


# --- pages that are too large -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [PODS, WIDGETS], ids=["typed", "custom"])
async def test_upstream_that_ignores_the_limit(shape: Shape) -> None:
    """A page that is far too large goes on as if streamed: the client's pace is the upstream's, little is held."""
    paged = PagedList(shape, ITEMS, framing="chunked", chunk_size=100_000, ignores_limit=True)
    async with (
        Apiserver(paged, send_buffer=65536) as upstream,
        running(upstream.url, mode="paged", paging=PAGING) as proxy,
    ):
        async with await stall(proxy, shape) as client:
            await settled(paged, upstream)
            assert 0 < proxy.sample("restream_items_total", mode="paged") < len(ITEMS) / 2
            assert proxy.sample("restream_buffered_bytes", mode="paged") < 3 * PAGE + SLACK
            client.resume()
            answer = await client.answer()
            assert answer.complete
            assert answer.body == paged.body
            assert answer.mode == "paged; reason=settings"
        await proxy.quiet()
        assert len(paged.asked) == 1
        # As much as is held of one page in memory, and once more on its way to the client; one read more of each.
        assert proxy.sample("restream_request_peak_buffered_bytes_sum", mode="paged") < 4 * PAGE + 3 * SLACK


SMALL = make_items(60, 1000)
SMALL_PAGES = Paging(page_bytes=4000, page_items=5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_large_pages_among_others(shape: Shape) -> None:
    """Pages beyond the limit may come at any place."""
    paged = PagedList(shape, SMALL, chunk_size=700)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=SMALL_PAGES) as proxy:
        for framing in ("length", "chunked"):
            for sizes in ((30,), (5, 30), (5, 55), (30, 30), (30, 0, 25), (0, 60)):
                paged.framing, paged.sizes = framing, sizes
                answer = await proxy.ask(request_for(shape))
                assert answer.complete
                assert answer.body == paged.body
                await proxy.quiet()


def halting(paged: PagedList, item: int, then: Fault) -> tuple[Fault, list[Client]]:
    """Send half of a page, wait until the client has an item of it, then let something happen.

    The client has to be put into the list that is returned.
    """
    clients: list[Client] = []

    async def halt(exchange: Exchange, page: Page) -> Page | None:
        whole = paged.render(page)
        await exchange.send(whole[: len(whole) // 2])
        await clients[0].until(lambda: paged.items[item] in clients[0].seen)
        return await then(exchange, page)

    return halt, clients


def fails(ending: str) -> Fault:
    """End the connection."""

    async def fail(exchange: Exchange, _: Page) -> None:
        if ending == "fin":
            exchange.close()
        else:
            exchange.reset()

    return fail


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("sizes", [(40,), (5, 40)])
@pytest.mark.parametrize("shape", [PODS, WIDGETS], ids=["typed", "custom"])
async def test_large_page_dies(shape: Shape, sizes: tuple[int, ...], ending: str) -> None:
    """A large page that dies is asked for again while nothing of it was passed on, and is an abort after that."""
    paged = PagedList(shape, SMALL, "chunked", sizes=sizes, chunk_size=700)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=SMALL_PAGES) as proxy:
        paged.faults = {len(sizes): times(1, dies(2000, ending, paged))}
        answer = await proxy.ask(request_for(shape))
        assert answer.complete
        assert answer.body == paged.body
        asked = len(paged.asked)
        async with await proxy.connect() as client:
            paged.faults[len(sizes)], clients = halting(paged, 10, fails(ending))
            clients.append(client)
            answer = await client.ask(request_for(shape))
        assert answer.status == 200
        assert not answer.complete
        assert paged.body.startswith(answer.body)
        queries = [str(one.options) for one in paged.asked[asked:]]
        assert len(sizes) <= len(queries) == len(set(queries))  # nothing again
        await proxy.aborts("upstream_closed")
        await proxy.quiet()


@pytest.mark.parametrize("shape", [PODS, WIDGETS], ids=["typed", "custom"])
async def test_large_page_of_another_snapshot(shape: Shape) -> None:
    """A large page that turns out to be of another snapshot never ends well, however late it tells."""
    paged = PagedList(shape, SMALL, sizes=(5, 40), faults={2: changes(version="301")})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=SMALL_PAGES) as proxy:
        answer = await proxy.ask(request_for(shape))
        assert not answer.complete
        await proxy.aborts("pages_disagree")
        await proxy.quiet()
        assert (await proxy.ask(request_for(shape))).mode == "streamed; reason=unstitchable"


async def test_large_page_of_a_custom_resource_without_a_version() -> None:
    """The metadata that makes page 1 unfit comes behind what was sent: then the response is left unfinished."""
    paged = PagedList(WIDGETS, SMALL, version="", sizes=(40,))

    async def go_on(exchange: Exchange, page: Page) -> None:
        whole = paged.render(page)
        await exchange.send(whole[len(whole) // 2 :])

    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=SMALL_PAGES) as proxy:
        async with await proxy.connect() as client:
            paged.faults[1], clients = halting(paged, 10, go_on)
            clients.append(client)
            answer = await client.ask(request_for(WIDGETS))
        assert not answer.complete
        await proxy.aborts("unstitchable")
        paged.faults.clear()
        assert (await proxy.ask(request_for(WIDGETS))).body == paged.body
