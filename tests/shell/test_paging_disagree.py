"""Pages that do not belong together."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver, Exchange, response
from tests.fakes.paged import (
    PODS,
    SHAPES,
    TABLE,
    WIDGETS,
    Fault,
    Page,
    PagedList,
    Shape,
    answers,
    changes,
    make_items,
    request_for,
    status,
    times,
)
from tests.fakes.running import eventually, running
from tests.shell.test_paging_faults import ITEMS, judge

BY_TWO = Paging(page_items=2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once."""
    monkeypatch.setattr("proxy.core.retries.FIRST_WAIT_SECONDS", 0.0)


# --- pages that are not of one List -----------------------------------------------------------------------------------

DISAGREEING: dict[str, Fault] = {
    "newer": changes(version="301"),
    "older": changes(version="299"),
    "without a version": changes(version=""),
    "another kind": changes(shape=TABLE),
    "another layout": changes(shape=WIDGETS),
    "another group": changes(shape=Shape("", "PodList", "v2")),
}


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("what", DISAGREEING)
async def test_pages_that_disagree(what: str, number: int) -> None:
    """A page of another snapshot or kind is an abort; its resource is streamed for a while, others go on as before."""
    paged = PagedList(items=ITEMS, faults={number: DISAGREEING[what]})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert judge(answer, paged.body) == "unfinished"
        assert answer.body.count(b'{"n":') == 2 * (number - 1)
        await proxy.aborts("pages_disagree")
        assert len(paged.asked) == number
        for target in ("/api/v1/pods", "/api/v1/namespaces/a/pods", "/api/v1/pods?limit=500&resourceVersion=0"):
            answer = await proxy.ask(request_for(PODS, target=target))
            assert answer.mode == "streamed; reason=unstitchable"
            assert judge(answer, paged.body) == "whole"
            assert upstream.exchanges[-1].target.decode() == target
        paged.faults.clear()
        answer = await proxy.ask(request_for(PODS, target="/api/v1/secrets"))
        assert answer.mode == "paged; reason=settings"
        await proxy.quiet()


@pytest.mark.parametrize("number", [2, 3])
async def test_custom_resources_that_disagree(number: int) -> None:
    """A custom resource's page tells its resourceVersion behind its items: none of them is passed on before that."""
    paged = PagedList(WIDGETS, ITEMS, faults={number: changes(version="301")})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(WIDGETS))
        assert judge(answer, paged.body) == "unfinished"
        assert answer.body.count(b'{"n":') == 2 * (number - 1)
        await proxy.aborts("pages_disagree")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_disagreement_before_the_first_item(shape: Shape) -> None:
    """While the client has seen nothing, the List is asked for as a whole instead."""
    paged = PagedList(shape, ITEMS, sizes=(0,), faults={2: times(1, changes(version="301"))})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        for _ in range(2):
            answer = await proxy.ask(request_for(shape))
            assert judge(answer, paged.body) == "whole"
            assert answer.mode == "streamed; reason=unstitchable"
            assert upstream.exchanges[-1].target.decode() == shape.target
        assert len(paged.asked) == 2 + 1 + 1
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0


UNSTITCHABLE: dict[str, Callable[[Page], bytes]] = {
    "no resourceVersion": lambda page: page.body.replace(b'"resourceVersion":"300",', b""),
    "indented": lambda page: page.body.replace(b",", b", "),
    "metadata twice": lambda page: page.body.replace(b'"metadata":{', b'"metadata":{"continue":"x"},"metadata":{'),
    "token twice": lambda page: page.body.replace(b'"continue":', b'"continue":"x","continue":'),
    "token of another type": lambda page: page.body.replace(b'"continue":', b'"continue":7,"x":'),
    "metadata of another type": lambda page: page.body.replace(b'"metadata":', b'"metadata":[],"x":'),
}


@pytest.mark.parametrize("shape", [PODS, WIDGETS], ids=["typed", "custom"])
@pytest.mark.parametrize("what", UNSTITCHABLE)
async def test_page_one_that_cannot_be_stitched(what: str, shape: Shape) -> None:
    """A page 1 of which no unpaged List can be made is not passed on: the whole List is asked for."""

    async def change(exchange: Exchange, page: Page) -> Page | None:
        if not page.token:
            return page
        body = UNSTITCHABLE[what](page)
        if what == "no resourceVersion":
            body = body.replace(b',"resourceVersion":"300"', b"")
        await exchange.send(response(body))
        return None

    paged = PagedList(shape, ITEMS, faults={1: change})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(shape))
        assert answer.status in (200, 502)
        assert judge(answer, paged.body) in ("whole", "status")
        await proxy.quiet()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_page_that_comes_back_different(shape: Shape) -> None:
    """A page that is asked for again may end elsewhere: where the first try continued is forgotten."""
    paged = PagedList(shape, items=make_items(14))

    async def end_early(exchange: Exchange, page: Page) -> None:
        start = 2 * (page.number - 1)
        paged.known["other"] = page.number + 1, start + 1
        other = replace(page, items=paged.items[start : start + 1], token="other")
        head, items, rest = response(other.body[:-20], lines=paged.lines).partition(b'":[')
        await asyncio.sleep(0.01)
        await exchange.send(head + items)
        await asyncio.sleep(0.01)
        await exchange.send(rest)

    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        for number in (1, 2, 3, 6):
            paged.faults = {number: times(1, end_early)}
            assert judge(await proxy.ask(request_for(shape)), paged.body) == "whole"
        await proxy.quiet()


@pytest.mark.parametrize("what", ["stalls", "is garbage", "has expired", "is refused", "disagrees"])
async def test_what_was_asked_for_ahead_and_is_not_wanted(what: str) -> None:
    """What comes of a page that was asked for ahead decides nothing where it is not the next one."""
    paged = PagedList(items=make_items(6))

    async def end_early(exchange: Exchange, page: Page) -> None:
        paged.known["other"] = 3, 4
        other = replace(page, items=paged.items[3:4], token="other")
        head, items, rest = response(other.body[:-20], lines=paged.lines).partition(b'":[')
        await asyncio.sleep(0.01)
        await exchange.send(head + items)
        await asyncio.sleep(0.01)
        await exchange.send(rest)

    async def stall(exchange: Exchange, _: Page) -> None:
        await exchange.wait_closed()

    third = {
        "stalls": stall,
        "is garbage": answers(response(b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[01]}')),
        "has expired": answers(status(b"410 Gone")),
        "is refused": answers(status(b"403 Forbidden")),
        "disagrees": changes(version="301"),
    }[what]
    paged.faults = {2: times(1, end_early), 3: third}
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=Paging(page_items=3)) as proxy,
    ):
        for _ in range(2):
            assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0
        await eventually(lambda: len(upstream.open_connections) <= 2)


@pytest.mark.parametrize("sizes", [(), (0,), (0, 0)])
@pytest.mark.parametrize("back_to", [2, 3])
async def test_token_loop(sizes: tuple[int, ...], back_to: int) -> None:
    """A token that was given before is the end of it: a Status before the first item, an abort after it."""
    paged = PagedList(items=ITEMS, sizes=sizes)

    async def turn_back(_: Exchange, page: Page) -> Page:
        token = next(token for token, (number, _) in paged.known.items() if number == back_to)
        return Page(PODS, page.items, token=token)

    paged.faults = {3: turn_back}
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        outcome = judge(answer, paged.body)
        assert outcome in (("whole", "status") if len(sizes) == 2 else ("unfinished",))
        assert len(paged.asked) <= 4
        assert (outcome == "whole") == (answer.mode == "streamed; reason=unstitchable")
        await proxy.quiet()


async def test_empty_pages_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of empty pages is enough."""
    monkeypatch.setattr("proxy.core.paging.MAX_EMPTY_PAGES", 20)
    paged = PagedList(items=ITEMS, sizes=(0,) * 20)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"
        paged.sizes = (2, *[0] * 1000)
        paged.asked.clear()
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "unfinished"
        await proxy.aborts("token_loop")
        assert len(paged.asked) == 1 + 21
