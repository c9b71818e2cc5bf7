"""The paged plan: bytes equal to the unpaged List, made of pages that are asked for by the rules."""

import json

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver
from tests.fakes.paged import (
    PODS,
    SHAPES,
    TABLE,
    WIDGETS,
    PagedList,
    Shape,
    answers,
    make_items,
    request_for,
    status,
    times,
)
from tests.fakes.running import running
from tests.fakes.wire import request

LOOPS = ("uvloop",)
BY_THREE = Paging(page_items=3)


# --- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_pages_make_the_unpaged_list(shape: Shape, framing: str) -> None:
    """The stitched body equals the unpaged one, whatever the number of items."""
    paged = PagedList(shape, framing=framing)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        for count in (0, 1, 2, 3, 4, 6, 7, 30):
            paged.items = make_items(count)
            paged.asked.clear()
            answer = await proxy.ask(request_for(shape))
            assert answer.complete
            assert answer.status == 200
            assert answer.body == paged.body
            assert answer.mode == "paged; reason=settings"
            assert len(paged.asked) == max(1, -(-count // 3))
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0
        assert not paged.strange_tokens


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_token_decides_not_the_number_of_items(shape: Shape) -> None:
    """Short and empty pages with a token are followed by more, also where there is nothing more but an empty page."""
    paged = PagedList(shape)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        for sizes in ((0,), (0, 0, 2), (2, 0, 0, 3), (8,), (5, 3), (0, 8), (0, 8, 0)):
            paged.sizes = sizes
            paged.asked.clear()
            answer = await proxy.ask(request_for(shape))
            assert answer.complete
            assert answer.body == paged.body
            assert len(paged.asked) > len(sizes)


async def test_one_byte_arrivals() -> None:
    """Pages that arrive byte by byte, chunk by chunk, make the same List."""
    for shape in SHAPES.values():
        paged = PagedList(shape, items=make_items(4), framing="chunked", chunk_size=1)
        async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
            assert (await proxy.ask(request_for(shape))).body == paged.body


async def test_head_of_page_one() -> None:
    """The head is page 1's; Content-Length stays where page 1 is the whole List, and goes where it is not."""
    paged = PagedList(items=make_items(3))
    paged.lines += [(b"Warning", b'299 - "a"'), (b"Warning", b'299 - "b"'), (b"Cache-Control", b"no-cache, private")]
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=BY_THREE) as proxy,
        await proxy.connect() as client,
    ):
        for count in (3, 4, 0, 9):  # on one connection
            paged.items = make_items(count)
            answer = await client.ask(request_for(PODS))
            assert answer.complete
            assert answer.body == paged.body
            assert answer.lines[: len(paged.lines)] == paged.lines
            is_whole = count <= 3
            assert answer.values(b"content-length") == ([b"%d" % len(paged.body)] if is_whole else [])
            assert answer.values(b"transfer-encoding") == ([] if is_whole else [b"chunked"])
        paged.framing, paged.items = "chunked", make_items(2)
        assert (await client.ask(request_for(PODS))).body == paged.body


async def test_http10_client() -> None:
    """A client of HTTP/1.0 gets the List up to the end of the connection."""
    paged = PagedList()
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        answer = await proxy.ask(request_for(PODS, version="1.0"))
        assert answer.complete
        assert answer.body == paged.body
        assert answer.values(b"transfer-encoding") == answer.values(b"content-length") == []


async def test_pipelined_lists() -> None:
    """Lists asked for at once on one connection come one after the other, each whole."""
    paged = PagedList(WIDGETS)
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=BY_THREE) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request_for(WIDGETS) * 4)
        for _ in range(4):
            assert (await client.answer()).body == paged.body
        assert len(paged.asked) == 4 * 3


async def test_connections_are_reused_page_by_page() -> None:
    """All pages of a List, and of the next one, come over one connection to the upstream."""
    paged = PagedList()
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        for _ in range(3):
            assert (await proxy.ask(request_for(PODS))).body == paged.body
        assert len(paged.asked) == 9
        assert len(upstream.connections) == 1


# --- what the pages are asked with ------------------------------------------------------------------------------------


async def test_every_page_repeats_the_clients_request() -> None:
    """Parameters and header lines of the client stand on every page as they stood in its request."""
    others = [
        "labelSelector=a%3Db+c",
        "fieldSelector=x%21%3Dy",
        "includeObject=Object",
        "a;b",
        "q=%zz",
        "",
        "timeoutSeconds=9",
    ]
    target = "/api/v1/pods?" + "&".join([*others, "limit=0", "continue=", "resourceVersion=", "resourceVersionMatch="])
    lines = [
        b"Impersonate-User: j\xc3\xb6rg",
        b"Impersonate-Group: one",
        b"X-Other: a  b",
        b"Impersonate-Group: two",
        b"authorization: Bearer t0ken",
        b"User-Agent: kubectl/v1.36.2 (linux/amd64) kubernetes/abc",
        b"Accept: " + TABLE.accept.encode(),
    ]
    paged = PagedList(TABLE)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        answer = await proxy.ask(request(target, *lines, b"Accept-Encoding: gzip"))
        assert answer.body == paged.body
        assert len(paged.asked) == 3
        for asked in paged.asked:
            assert asked.exchange.target.startswith(b"/api/v1/pods?")
            assert asked.others == [pair for pair in others if pair]
            assert [name + b": " + value for name, value in asked.exchange.others[:-1]] == lines
            assert asked.exchange.others[-1] == (b"Accept-Encoding", b"identity")
            assert asked.limit == 3
        assert paged.asked[0].own == {}
        assert all(list(asked.own) == ["continue"] for asked in paged.asked[1:])


@pytest.mark.parametrize(
    ("query", "first_page"),
    [
        ("", {}),
        ("resourceVersion=", {}),
        ("resourceVersion=0", {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"}),
        ("resourceVersion=17", {"resourceVersion": "17", "resourceVersionMatch": "NotOlderThan"}),
        (
            "resourceVersionMatch=NotOlderThan&resourceVersion=0",
            {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"},
        ),
        (
            "resourceVersion=17&resourceVersionMatch=NotOlderThan",
            {"resourceVersion": "17", "resourceVersionMatch": "NotOlderThan"},
        ),
        ("resourceVersion=17&resourceVersionMatch=Exact", {"resourceVersion": "17", "resourceVersionMatch": "Exact"}),
        ("limit=500&resourceVersion=0", {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"}),
        ("re%73ourceVersion=17&resourceVersion=18", {"resourceVersion": "17", "resourceVersionMatch": "NotOlderThan"}),
        (
            "limit=0&limit=9&resourceVersion=0&resourceVersion=5",
            {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"},
        ),
    ],
)
async def test_resource_version(query: str, first_page: dict[str, str]) -> None:
    """What a client asks of the resourceVersion goes to page 1 alone, in words that mean the same with a limit."""
    paged = PagedList()
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        answer = await proxy.ask(request_for(PODS, target=f"/api/v1/pods?{query}"))
        assert answer.body == paged.body
        assert [asked.limit for asked in paged.asked] == [3, 3, 3]
        assert paged.asked[0].own == first_page
        for asked in paged.asked:
            names = [name for name, _ in asked.options]
            assert len(names) == len(set(names))  # each of them once
        assert all(list(asked.own) == ["continue"] for asked in paged.asked[1:])


@pytest.mark.parametrize(
    "query",
    [
        "limit=abc",
        "resourceVersion=x",
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=5&resourceVersionMatch=Newest",
        "continue=x&resourceVersion=5",
        "continue=x&resourceVersionMatch=Exact",
        "sendInitialEvents=true",
        "resourceVersion=-1",
        "resourceVersion=99999999999999999999",
    ],
)
async def test_what_an_apiserver_refuses_reaches_it(query: str) -> None:
    """Parameters that an apiserver would not take are not rewritten: it is the one to refuse them."""
    refused = status(b"422 Unprocessable Entity", b"no")
    async with (
        Apiserver(lambda exchange: exchange.send(refused)) as upstream,
        running(upstream.url, mode="paged") as proxy,
    ):
        answer = await proxy.ask(request(f"/api/v1/pods?{query}"))
        assert answer.status == 422
        assert [exchange.target.decode() for exchange in upstream.exchanges] == [f"/api/v1/pods?{query}"]


# --- the size of a page -----------------------------------------------------------------------------------------------


async def test_pages_grow_with_what_is_known() -> None:
    """Of an unknown resource 5 items, then ten times as many, up to `page_items`; the next List begins there."""
    paged = PagedList(items=make_items(1200))
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged") as proxy:
        for limits in ([5, 50, 500, 500, 500], [500, 500, 500]):
            paged.asked.clear()
            assert (await proxy.ask(request_for(PODS))).body == paged.body
            assert [asked.limit for asked in paged.asked] == limits
        paged.asked.clear()  # another resource is unknown, another namespace is not
        await proxy.ask(request_for(PODS, target="/api/v1/secrets"))
        await proxy.ask(request_for(PODS, target="/api/v1/namespaces/a/pods"))
        assert [paged.asked[number].limit for number in (0, 5)] == [5, 500]


async def test_pages_are_sized_by_bytes() -> None:
    """A page asks for as many items as make `page_bytes`, in the heaviest form in which they were seen, once it was."""
    paged = PagedList(items=make_items(100, 1000))
    paging = Paging(page_bytes=20_500, page_items=500)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=paging) as proxy:
        assert (await proxy.ask(request_for(PODS))).body == paged.body
        assert [asked.limit for asked in paged.asked] == [5, 20, 20, 20, 20, 20]
        assert max(len(asked.exchange.target) for asked in paged.asked) < 200
        paged.asked.clear()
        paged.shape, paged.items = TABLE, make_items(100)
        assert (await proxy.ask(request_for(TABLE))).body == paged.body
        assert [asked.limit for asked in paged.asked] == [5, 20, 20, 20, 20, 20]


@pytest.mark.parametrize("how", ["refused", "cut"])
async def test_failed_page_is_asked_for_as_it_was(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that failed is asked for again with the same limit, not with that of the next one."""
    monkeypatch.setattr("proxy.core.retries.FIRST_WAIT_SECONDS", 0.0)
    refused = answers(status(b"429 Too Many Requests", lines=[(b"Retry-After", b"0")]))
    fault = refused if how == "refused" else answers(b"", close=True)
    paged = PagedList(items=make_items(100), faults={1: times(2, fault), 2: times(2, fault)})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged") as proxy:
        assert (await proxy.ask(request_for(PODS))).body == paged.body
        assert [asked.limit for asked in paged.asked] == [5, 5, 5, 50, 50, 50, 500]


# --- the account ------------------------------------------------------------------------------------------------------


async def test_what_a_paged_list_counts(capfd: pytest.CaptureFixture[str]) -> None:
    """Pages, items and bytes are counted, and stand in the access log's one line."""
    paged = PagedList()
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=BY_THREE, access_log=True) as proxy,
    ):
        answer = await proxy.ask(request_for(PODS, target="/api/v1/pods?labelSelector=a%3Db"))
        await proxy.quiet()
        labels = {"mode": "paged", "group": "", "resource": "pods"}
        assert proxy.sample("restream_requests_total", reason="settings", verb="list", code="200", **labels) == 1
        assert proxy.sample("restream_upstream_pages_total", **labels) == 3
        assert proxy.sample("restream_upstream_pages_total") == 3
        assert proxy.sample("restream_items_total", **labels) == proxy.sample("restream_items_total") == 8
        assert proxy.sample("restream_item_bytes_sum", mode="paged") == sum(map(len, paged.items))
        assert proxy.sample("restream_response_bytes_sum", mode="paged") == len(answer.body)
        assert 0 < proxy.sample("restream_request_peak_buffered_bytes_sum", mode="paged") < 2 * len(answer.body)
        assert proxy.sample("restream_request_peak_buffered_bytes_count") == 1
    line = json.loads(capfd.readouterr().err)
    assert (line["mode"], line["reason"], line["pages"], line["items"]) == ("paged", "settings", 3, 8)
    assert (line["bytes"], line["code"], line["abort"]) == (len(answer.body), 200, None)
    assert line["query"] == {"labelSelector": "a=b"}
