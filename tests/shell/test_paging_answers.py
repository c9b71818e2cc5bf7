"""What comes where a page was due and is none: it never passes for the whole List."""

import gzip
from collections.abc import Callable

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver, Exchange, response
from tests.fakes.paged import PODS, Fault, Page, PagedList, answers, request_for
from tests.fakes.running import running
from tests.fakes.wire import Lines
from tests.shell.test_paging_faults import ITEMS, judge

BY_TWO = Paging(page_items=2)
JSON = (b"Content-Type", b"application/json")


def served_as(lines: Lines, code: bytes = b"200 OK", encode: Callable[[bytes], bytes] = bytes) -> Fault:
    """Serve the page, or the whole List, in another way."""

    async def serve(exchange: Exchange, page: Page) -> None:
        await exchange.send(response(encode(page.body), status=code, lines=lines))

    return serve


async def redirect(exchange: Exchange, _: Page) -> None:
    """Point to where the List is, as Go's ServeMux does: with the query as it came."""
    await exchange.send(response(status=b"301 Moved Permanently", lines=[(b"Location", b"/x" + exchange.target)]))


NO_PAGE: dict[str, Fault] = {
    "gzip": served_as([JSON, (b"Content-Encoding", b"gzip")], encode=lambda body: gzip.compress(body, mtime=0)),
    "protobuf": served_as([(b"Content-Type", b"application/vnd.kubernetes.protobuf")]),
    "yaml": served_as([(b"Content-Type", b"application/yaml")]),
    "no type": served_as([]),
    "203": served_as([JSON], b"203 Non-Authoritative Information"),
    "206": served_as([JSON], b"206 Partial Content"),
    "redirect": redirect,
    "without items": served_as([JSON], encode=lambda body: body.replace(b'"items"', b'"things"')),
}


@pytest.mark.parametrize("what", NO_PAGE)
async def test_page_one_that_is_no_page(what: str) -> None:
    """What is not a page as asked for does not pass as if it were the whole List: that is asked for without a limit."""
    paged = PagedList(items=ITEMS)
    paged.faults = {1: NO_PAGE[what]}
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        for _ in range(2):
            answer = await proxy.ask(request_for(PODS))
            assert answer.complete
            assert answer.status == {"203": 203, "206": 206, "redirect": 301}.get(what, 200)
            assert answer.first(b"location") in (b"", b"/x/api/v1/pods")
            body = gzip.decompress(answer.body) if what == "gzip" else answer.body
            assert body in (b"", paged.body, paged.body.replace(b'"items"', b'"things"'))
            assert upstream.exchanges[-1].target == b"/api/v1/pods"
        await proxy.quiet()


@pytest.mark.parametrize("what", [*NO_PAGE, "status"])
async def test_later_page_that_is_no_page(what: str) -> None:
    """The same where a later page was due is an abort."""
    fault = NO_PAGE.get(what) or answers(response(b'{"kind":"Status","apiVersion":"v1","status":"Failure"}\n'))
    paged = PagedList(items=ITEMS, faults={2: fault})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert judge(answer, paged.body) == "unfinished"
        await proxy.aborts("page_refused")
        assert len(paged.asked) == 2
        await proxy.quiet()


@pytest.mark.parametrize(
    "body", [b'{"kind":"Other"}\n', b"[]", b"7", b'{"items":{}}', b'{"a":"' + b"x" * 90_000 + b'"}']
)
async def test_answer_that_is_no_list(body: bytes) -> None:
    """A 200 without an array of items passes unchanged, and is called what it is."""
    for framing in ("length", "chunked"):
        paged = PagedList(faults={1: answers(response(body, framing=framing))})
        async with Apiserver(paged) as upstream, running(upstream.url, mode="paged") as proxy:
            answer = await proxy.ask(request_for(PODS))
            assert answer.complete
            assert answer.body == body
            assert answer.mode == "raw; reason=not_a_list"
            assert upstream.exchanges[-1].target == b"/api/v1/pods"
            await proxy.quiet()
            assert proxy.sample("restream_upstream_pages_total") == 0


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "invalid_json": lambda body: body.replace(b'{"n":', b'{"n":0'),
    "invalid_json after an item": lambda body: body.replace(b"},{", b"}{"),
    "trailing_data": lambda body: body + b"{}",
    "trailing_data of a failed encoder": lambda body: body + b'{"kind":"Status","status":"Failure","code":500}\n',
    "invalid_utf8": lambda body: body.replace(b'{"n":', b'{"\xff":'),
    "duplicate_items": lambda body: body.replace(b"]}\n", b'],"items":[]}\n'),
    "item_too_large": lambda body: body.replace(b'{"n":', b'{"x":"' + b"y" * 3000 + b'","n":'),
    "nesting": lambda body: body.replace(b'{"n":', b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b',"n":'),
}


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("what", BROKEN)
async def test_broken_page(what: str, number: int) -> None:
    """A page that breaks a List is not asked for again: a Status before the first byte, an abort after it."""

    async def serve(exchange: Exchange, page: Page) -> None:
        await exchange.send(response(BROKEN[what](page.body)))

    paged = PagedList(items=(*ITEMS, b'{"n":5}'), faults={number: serve})
    max_item_bytes = 2000 if what == "item_too_large" else 1 << 20
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=BY_TWO, max_item_bytes=max_item_bytes) as proxy,
    ):
        answer = await proxy.ask(request_for(PODS))
        assert judge(answer, paged.body) == ("status" if number == 1 else "unfinished")
        assert answer.body.count(b'{"n":') <= 2 * (number - 1)
        assert b"yyy" not in answer.body
        assert len(paged.asked) == number
        await proxy.quiet()
        reason = what.partition(" ")[0]
        assert proxy.sample("restream_aborts_total", reason=reason) == (number > 1)
        assert proxy.sample("restream_requests_total", reason=reason) == (number == 1)


@pytest.mark.parametrize("depth", [900, 960, 980, 995, 5000])
async def test_deep_envelope(depth: int) -> None:
    """What is nested deeper than a parser goes is an error of ours, not a lost connection."""
    deep = b'"x":' + b"[" * depth + b"]" * depth

    async def serve(exchange: Exchange, page: Page) -> None:
        await exchange.send(response(page.body.replace(b'"metadata":{', b'"metadata":{' + deep + b",")))

    paged = PagedList(items=ITEMS, faults={1: serve})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        whole = paged.body.replace(b'"metadata":{', b'"metadata":{' + deep + b",")
        assert judge(answer, whole) in ("whole", "status", "unfinished")
        await proxy.quiet()


async def test_items_that_remain_without_a_token() -> None:
    """A page that says itself that items are missing is not passed on as the whole List."""
    paged = PagedList(items=ITEMS)
    short = paged.body.replace(b'"resourceVersion"', b'"remainingItemCount":95,"resourceVersion"')
    paged.faults = {1: answers(response(short))}
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert upstream.exchanges[-1].target == b"/api/v1/pods"
        assert answer.mode == "streamed; reason=unstitchable"
        paged.faults = {2: answers(response(short))}
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "unfinished"
        await proxy.quiet()


async def test_page_one_of_one_client_decides_nothing_for_others() -> None:
    """An answer that a client's own header lines have brought about does not end paging for anybody else."""
    paged = PagedList(items=ITEMS, faults={1: NO_PAGE["yaml"]})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        await proxy.ask(request_for(PODS))
        paged.faults = {}
        answer = await proxy.ask(request_for(PODS))
        assert answer.mode == "paged; reason=settings"
        assert answer.body == paged.body
