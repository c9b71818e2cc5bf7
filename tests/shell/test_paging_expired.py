"""Tokens that expire: the List begins anew while the client has seen nothing of it, else it is left unfinished."""

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver, Exchange
from tests.fakes.paged import PODS, SHAPES, WIDGETS, Page, PagedList, Shape, answers, request_for, status, times
from tests.fakes.running import running
from tests.shell.test_paging_faults import ITEMS, judge

BY_TWO = Paging(page_items=2)
RESUMING = "from the 410"
EXPIRED = answers(status(b"410 Gone", b"The provided continue parameter is too old", token=RESUMING))


@pytest.mark.parametrize("shape", [PODS, WIDGETS], ids=["typed", "custom"])
@pytest.mark.parametrize("number", [2, 3])
async def test_expired_after_the_first_item(shape: Shape, number: int) -> None:
    """A token that expires after the first byte is an abort; the token that the 410 offers is never used."""
    paged = PagedList(shape, ITEMS, faults={number: EXPIRED})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        assert judge(await proxy.ask(request_for(shape)), paged.body) == "unfinished"
        await proxy.aborts("expired")
        assert len(paged.asked) == number
        assert not paged.strange_tokens
        assert (await proxy.ask(request_for(shape))).mode == "paged; reason=settings"


@pytest.mark.parametrize("is_whole", [False, True], ids=["pages", "whole"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_expired_before_the_first_item(shape: Shape, is_whole: bool) -> None:
    """While nothing was sent the List begins anew: the second page 1 is its head, with the length that goes with it."""
    paged = PagedList(shape, ITEMS)

    async def expire(exchange: Exchange, page: Page) -> None:
        paged.sizes, paged.version, paged.ignores_limit = (), "400", is_whole
        paged.faults.clear()
        await EXPIRED(exchange, page)

    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=BY_TWO) as proxy,
        await proxy.connect() as client,
    ):
        for framing in ("length", "chunked"):
            paged.sizes, paged.version, paged.ignores_limit, paged.framing = (0,), "300", False, framing
            paged.faults = {2: expire}
            answer = await client.ask(request_for(shape))
            assert judge(answer, paged.body) == "whole"
            assert answer.values(b"content-length") in ([], [b"%d" % len(paged.body)])
            assert judge(await client.ask(request_for(shape)), paged.body) == "whole"  # the connection is in step
        assert not paged.strange_tokens
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


async def test_expired_again_and_again() -> None:
    """Beginning anew has an end: the client is told, and told nothing of the 410's own token."""
    for sizes, number in (((0,), 2), ((0, 0), 3), ((), 1)):
        paged = PagedList(items=ITEMS, sizes=sizes, faults={number: EXPIRED})
        async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
            answer = await proxy.ask(request_for(PODS))
            assert answer.status == 410
            assert answer.complete
            assert number == 1 or RESUMING.encode() not in answer.body
            assert len(paged.asked) <= 3 * number
            assert not paged.strange_tokens
            await proxy.quiet()


async def test_expired_once_at_page_one() -> None:
    """Nothing is lost where only the first try is answered with 410."""
    paged = PagedList(items=ITEMS, faults={1: times(1, EXPIRED)})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"
        assert not paged.strange_tokens


@pytest.mark.parametrize("query", ["resourceVersion=0", "resourceVersion=17", "limit=500&resourceVersion=0"])
async def test_old_state_that_is_forgotten(query: str) -> None:
    """Where a client takes an old state and page 2 of it is gone, it gets a new one, and no byte of the old."""
    paged = PagedList(items=ITEMS, faults={2: times(1, EXPIRED)})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS, target=f"/api/v1/pods?{query}"))
        assert judge(answer, paged.body) == "whole"
        assert paged.asked[0].own["resourceVersionMatch"] == "NotOlderThan"
        assert paged.asked[2].own == {}
        assert len(paged.asked) == 2 + 3
        paged.faults = {2: EXPIRED}  # again and again
        answer = await proxy.ask(request_for(PODS, target=f"/api/v1/pods?{query}"))
        assert judge(answer, paged.body) in ("status", "unfinished")
        paged.faults = {2: answers(status(b"403 Forbidden"))}
        answer = await proxy.ask(request_for(PODS, target=f"/api/v1/pods?{query}"))
        assert judge(answer, paged.body) in ("status", "unfinished")
        assert not paged.strange_tokens
        await proxy.quiet()


async def test_exact_state_that_is_forgotten() -> None:
    """No other state will do where one was asked for exactly."""
    target = "/api/v1/pods?resourceVersion=17&resourceVersionMatch=Exact"
    paged = PagedList(items=ITEMS)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        for number, outcome in ((1, 410), (2, 200)):
            paged.faults = {number: EXPIRED}
            paged.asked.clear()
            answer = await proxy.ask(request_for(PODS, target=target))
            assert answer.status == outcome
            assert outcome == 410 or not answer.complete
            assert {asked.own.get("resourceVersionMatch", "") for asked in paged.asked} <= {"Exact", ""}
            assert all(asked.own.get("resourceVersion", "17") == "17" for asked in paged.asked)
            assert not paged.strange_tokens
