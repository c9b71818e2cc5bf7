"""Which Lists are paged, and what becomes of the others."""

import pytest

from proxy.settings import Paging, Route
from tests.fakes.apiserver import SMALL_LIST, Apiserver
from tests.fakes.paged import PARTIAL, PODS, PagedList, make_items
from tests.fakes.running import running
from tests.fakes.wire import request

BY_THREE = Paging(page_items=3)
PROTOBUF = "application/vnd.kubernetes.protobuf"
JSON_ACCEPT = b"Accept: application/json"


# --- clients that page themselves -------------------------------------------------------------------------------------


async def test_clients_own_pages_pass() -> None:
    """Pages that a client asks for itself are streamed as they are, with its limit and its token."""
    paged = PagedList(items=make_items(20))
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        token = ""
        for page in (1, 2, 3):
            query = f"labelSelector=a%3Db&limit=7{f'&continue={token}' if token else ''}"
            answer = await proxy.ask(request(f"/api/v1/pods?{query}", JSON_ACCEPT))
            assert answer.mode == "streamed; reason=client_pages"
            assert upstream.exchanges[-1].target.decode() == f"/api/v1/pods?{query}"
            assert answer.body == paged.page(paged.asked[-1]).body
            token = f"page+{page + 1}+from+{7 * page}:+%2B/%3D%26?%25%C3%A9"
        assert not paged.strange_tokens


@pytest.mark.parametrize(
    "query", ["limit=7", "limit=7&resourceVersion=5", "limit=7&resourceVersion=1&resourceVersionMatch=NotOlderThan"]
)
async def test_clients_own_limit_is_lowered_where_its_page_is_heavy(query: str) -> None:
    """A client's limit goes down where the learnt weight says that its page would be too heavy; it never goes up."""
    paged = PagedList(items=make_items(20, 1000))
    paging = Paging(page_items=3, page_limit_bytes=4500)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=paging) as proxy:
        target = f"/api/v1/pods?a=b&{query}&c=d"
        assert (await proxy.ask(request(target, JSON_ACCEPT))).status == 200
        assert upstream.exchanges[-1].target.decode() == target  # nothing is known yet
        for limit, expected in (("limit=7", 4), ("limit=5", 4), ("limit=4", 4), ("limit=2", 2)):
            asked = target.replace("limit=7", limit)
            answer = await proxy.ask(request(asked, JSON_ACCEPT))
            assert answer.mode == "streamed; reason=client_pages"
            assert paged.asked[-1].limit == expected
            assert paged.asked[-1].others == ["a=b", "c=d"]
            assert paged.asked[-1].own == {k: v for k, v in paged.asked[0].own.items() if k != "limit"}
            assert answer.body == paged.page(paged.asked[-1]).body
            assert b'"continue":"' in answer.body
            if limit == f"limit={expected}":
                assert upstream.exchanges[-1].target.decode() == asked


@pytest.mark.parametrize("resource", ["/api/v1/events", "/apis/events.k8s.io/v1/namespaces/a/events"])
async def test_events_are_paged_by_their_clients(resource: str) -> None:
    """Events have no watch cache: there an apiserver honours a limit with resourceVersion=0, so it passes."""
    async with Apiserver() as upstream, running(upstream.url, mode="paged") as proxy:
        target = f"{resource}?limit=500&resourceVersion=0"
        answer = await proxy.ask(request(target, JSON_ACCEPT))
        assert answer.mode == "streamed; reason=client_pages"
        assert upstream.exchanges[-1].target.decode() == target


async def test_reflector_gets_everything() -> None:
    """client-go's first List gets the whole List, as from a watch cache, which ignores the limit."""
    paged = PagedList(items=make_items(20))
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        answer = await proxy.ask(request("/api/v1/pods?limit=5&resourceVersion=0", JSON_ACCEPT))
        assert answer.body == paged.body
        assert answer.mode == "paged; reason=settings"
        assert paged.asked[0].own == {"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"}


# --- media types ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        (f"{PROTOBUF},application/json", "application/json"),
        (f"{PROTOBUF}, */*", "*/*"),
        ("application/cbor,application/json;q=0.5", "application/json;q=0.5"),
        (
            f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{PARTIAL.accept}",
            PARTIAL.accept,
        ),
    ],
)
async def test_binary_is_not_asked_for(accept: str, asked: str) -> None:
    """A client that would rather have protobuf but takes JSON gets the List of JSON pages."""
    paged = PagedList(PARTIAL if "Partial" in accept else PODS)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_THREE) as proxy:
        answer = await proxy.ask(request("/api/v1/pods", f"Accept: {accept}".encode(), b"X-Other: 1"))
        assert answer.body == paged.body
        assert answer.mode == "paged; reason=settings"
        for page in paged.asked:
            assert page.exchange.values(b"accept") == [asked.encode()]
            assert page.exchange.values(b"x-other") == [b"1"]


@pytest.mark.parametrize("minor", [32, 34])
@pytest.mark.parametrize("mode", ["auto", "paged"])
async def test_what_cannot_be_json_goes_raw(mode: str, minor: int) -> None:
    """A client that takes no JSON gets what the upstream sends."""
    target = "/api/v1/pods?resourceVersion=0"
    async with Apiserver(minor=minor) as upstream, running(upstream.url, mode=mode) as proxy:
        for accept in (PROTOBUF, "application/yaml", f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1", "text/html"):
            answer = await proxy.ask(request(target, b"Accept: " + accept.encode(), b"Accept-Encoding: gzip"))
            assert answer.mode == "raw; reason=media_type"
            assert upstream.exchanges[-1].target.decode() == target
            assert upstream.exchanges[-1].values(b"accept") == [accept.encode()]
            assert upstream.exchanges[-1].values(b"accept-encoding") == [b"gzip"]


async def test_pretty_goes_raw() -> None:
    """What would be indented for a human to read is not cut."""
    async with Apiserver(minor=32) as upstream, running(upstream.url) as proxy:
        for lines in ([b"User-Agent: curl/8.5.0"], [b"User-Agent: Mozilla/5.0 (X11)", b"Accept: text/html,*/*;q=0.8"]):
            assert (await proxy.ask(request("/api/v1/pods", *lines))).mode == "raw; reason=pretty"
        for query in ("pretty=true", "pretty=1&limit=0"):
            assert (await proxy.ask(request(f"/api/v1/pods?{query}", JSON_ACCEPT))).mode == "raw; reason=pretty"
        assert all(b"limit=5" not in exchange.target for exchange in upstream.exchanges)
        answer = await proxy.ask(request("/api/v1/pods?pretty=false", b"User-Agent: curl/8.5.0"))
        assert answer.mode == "paged; reason=whole_encoder"


# --- what is no List --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "streamed", "paged", "buffered"])
async def test_what_is_no_list_is_not_planned(mode: str) -> None:
    """Other verbs, other paths, upgrades and HEAD pass as they are, whatever the mode."""
    cases = [
        ("HEAD", "/api/v1/pods", [], "head"),
        ("GET", "/api/v1/pods?watch=1", [], "not_a_list_request"),
        ("GET", "/api/v1/watch/pods", [], "not_a_list_request"),
        ("GET", "/api/v1/namespaces/a/pods/x", [], "not_a_list_request"),
        ("GET", "/api/v1/namespaces/a/pods/x/log?limit=1", [], "not_a_list_request"),
        ("GET", "/apis/apps/v1", [], "not_a_list_request"),
        ("DELETE", "/api/v1/namespaces/a/pods", [], "not_a_list_request"),
        ("POST", "/api/v1/namespaces/a/pods", [], "not_a_list_request"),
        ("GET", "/api/v1/pods", [b"Connection: Upgrade", b"Upgrade: websocket"], "upgrade"),
    ]
    async with Apiserver(minor=32) as upstream, running(upstream.url, mode=mode) as proxy:
        for method, target, lines, reason in cases:
            answer = await proxy.ask(request(target, *lines, method=method), method=method)
            assert answer.mode == f"raw; reason={reason}"
            assert upstream.exchanges[-1].target.decode() == target


async def test_list_with_a_body_is_streamed() -> None:
    """A request with a body, which could be sent only once, is not paged."""
    async with Apiserver() as upstream, running(upstream.url, mode="paged") as proxy:
        answer = await proxy.ask(request("/api/v1/pods", b"Content-Length: 2", JSON_ACCEPT, body=b"{}"))
        assert answer.mode == "streamed; reason=unstitchable"
        assert answer.body == SMALL_LIST
        assert upstream.exchanges[0].raw_content == b"{}"


# --- who decides ------------------------------------------------------------------------------------------------------


async def test_routes_pin_the_mode() -> None:
    """The first route that matches group and resource decides, before the mode."""
    routes = (Route("raw", "", "secrets"), Route("paged", "example.com"), Route("streamed", "*", "pods"))
    async with Apiserver(minor=32) as upstream, running(upstream.url, mode="buffered", routes=routes) as proxy:
        for target, expected in (
            ("/api/v1/secrets", "raw; reason=route"),
            ("/apis/example.com/v1/namespaces/a/secrets", "paged; reason=route"),
            ("/api/v1/pods", "streamed; reason=route"),
            ("/apis/metrics.k8s.io/v1beta1/pods", "streamed; reason=route"),
            ("/api/v1/nodes", "buffered; reason=settings"),
        ):
            answer = await proxy.ask(request(target))
            assert answer.mode == expected
            assert answer.body == SMALL_LIST


async def test_mode_header() -> None:
    """A client picks the plan where it is allowed to, against routes too; it does not see the upstream."""
    routes = (Route("raw"),)
    async with (
        Apiserver(minor=34) as upstream,
        running(upstream.url, allow_mode_header=True, routes=routes) as proxy,
    ):
        for wanted, expected in (
            ("paged", "paged; reason=header"),
            ("streamed", "streamed; reason=header"),
            ("auto", "streamed; reason=streaming_encoder"),
            ("raw", "raw; reason=header"),
        ):
            answer = await proxy.ask(request("/api/v1/pods", b"X-Restream-Mode: " + wanted.encode()))
            assert answer.mode == expected
            assert upstream.exchanges[-1].values(b"x-restream-mode") == []
        refused = await proxy.ask(request("/api/v1/pods", b"X-Restream-Mode: quick"))
        assert refused.status == 400
        assert b"paged" in refused.body
