"""Mode auto: paged or streamed by what the upstream says of itself and by what has been learnt."""

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, answer_small_list, response
from tests.fakes.paged import PARTIAL, PODS, TABLE, WIDGETS, PagedList, Shape, make_items, request_for
from tests.fakes.running import running
from tests.fakes.wire import request

BY_THREE = Paging(page_items=3)


@pytest.mark.parametrize(
    ("minor", "shape", "query", "expected"),
    [
        (32, PODS, "", "paged; reason=whole_encoder"),
        (32, WIDGETS, "", "paged; reason=whole_encoder"),
        (32, TABLE, "", "paged; reason=whole_encoder"),
        (32, PODS, "?resourceVersion=0", "paged; reason=whole_encoder"),
        (31, PODS, "?resourceVersion=0", "paged; reason=whole_encoder"),
        (30, PODS, "?resourceVersion=0", "streamed; reason=watch_cache"),
        (30, PODS, "?limit=500&resourceVersion=0", "streamed; reason=watch_cache"),
        (30, PODS, "", "paged; reason=whole_encoder"),
        (33, PODS, "", "streamed; reason=streaming_encoder"),
        (34, PODS, "?limit=500&resourceVersion=0", "streamed; reason=streaming_encoder"),
        (34, WIDGETS, "", "streamed; reason=streaming_encoder"),
        (34, TABLE, "", "paged; reason=table"),
        (34, PARTIAL, "", "paged; reason=partial"),
        (34, TABLE, "?limit=500", "streamed; reason=client_pages"),
        (None, PODS, "", "paged; reason=unknown_version"),
        (None, TABLE, "", "paged; reason=unknown_version"),
    ],
)
async def test_auto(minor: int | None, shape: Shape, query: str, expected: str) -> None:
    """Auto goes by the version that the upstream tells and by what the items are to be."""
    paged = PagedList(shape)
    async with Apiserver(paged, minor=minor) as upstream, running(upstream.url, paging=BY_THREE) as proxy:
        for _ in range(2):
            answer = await proxy.ask(request_for(shape, target=shape.target + query))
            assert answer.mode == expected
            assert answer.body == paged.page(paged.asked[-1]).body or answer.body == paged.body
            if expected.startswith("streamed"):
                assert upstream.exchanges[-1].target.decode() == shape.target + query
            else:
                assert answer.body == paged.body


async def test_auto_pages_a_heavy_watch_cache() -> None:
    """Before 1.31 a List from the watch cache is paged once all of its resource is known to be heavy."""
    paged = PagedList(items=make_items(20, 1000))
    paging = Paging(page_limit_bytes=15_000)
    async with Apiserver(paged, minor=30) as upstream, running(upstream.url, paging=paging) as proxy:
        for target, expected in (
            ("/api/v1/pods?resourceVersion=0&labelSelector=a", "streamed; reason=watch_cache"),
            ("/api/v1/pods?resourceVersion=0", "streamed; reason=watch_cache"),
            ("/api/v1/pods?resourceVersion=0", "paged; reason=whole_encoder"),
            ("/api/v1/pods?resourceVersion=0&labelSelector=a", "streamed; reason=watch_cache"),
            ("/api/v1/namespaces/a/pods?resourceVersion=0", "streamed; reason=watch_cache"),
        ):
            answer = await proxy.ask(request_for(PODS, target=target))
            assert answer.mode == expected
            assert answer.body == paged.body


async def test_auto_pages_aggregated_groups() -> None:
    """Groups that another server answers for are not what /version tells of; the APIService list names them."""
    services = (
        b'{"kind":"APIServiceList","items":[{"spec":{"group":"apps","version":"v1","service":null}},'
        b'{"spec":{"group":"example.com","version":"v1"}},'
        b'{"spec":{"group":"things.example.com","version":"v1","service":{"name":"a","namespace":"b"}}}]}'
    )
    async with Apiserver(minor=34) as upstream, running(upstream.url) as proxy:
        upstream.api_services = response(services)
        for group, expected in (
            ("apps", "streamed; reason=streaming_encoder"),
            ("example.com", "streamed; reason=streaming_encoder"),
            ("things.example.com", "paged; reason=aggregated"),
            ("metrics.k8s.io", "streamed; reason=streaming_encoder"),
        ):
            assert (await proxy.ask(request(f"/apis/{group}/v1/things"))).mode == expected
        target = "/apis/things.example.com/v1/things?limit=500&resourceVersion=0"
        assert (await proxy.ask(request(target))).mode == "streamed; reason=client_pages"


async def test_auto_guesses_aggregated_groups() -> None:
    """Where the APIServices cannot be read, a group is known by its name, or by typed Lists."""
    async with Apiserver(minor=34) as upstream, running(upstream.url) as proxy:
        assert (await proxy.ask(request("/apis/metrics.k8s.io/v1/pods"))).mode == "paged; reason=aggregated"
        for target, expected in (
            ("/apis/apps/v1/deployments", ["streaming_encoder"] * 2),
            ("/apis/foreign.example.com/v1/things", ["streaming_encoder", "aggregated"]),
        ):
            reasons = [(await proxy.ask(request(target))).mode.partition("=")[2] for _ in range(2)]
            assert reasons == expected
        custom = PagedList(WIDGETS)
        upstream.script = custom
        for _ in range(2):
            assert (await proxy.ask(request_for(WIDGETS))).mode == "streamed; reason=streaming_encoder"


VERSIONS = {
    "27+ of a vendor": (b'{"major":"1","minor":"27+"}', "whole_encoder"),
    "empty": (b"", "unknown_version"),
    "not JSON": (b"<html>", "unknown_version"),
    "no minor": (b'{"major":"1"}', "unknown_version"),
    "minor of another type": (b'{"major":"1","minor":34}', "unknown_version"),
    "another major": (b'{"major":"2","minor":"34"}', "unknown_version"),
    "many digits": (b'{"major":"1","minor":"' + b"9" * 5000 + b'"}', "unknown_version"),
    "deep": (b'{"major":"1","minor":"32","x":' + b"[" * 5000 + b"]" * 5000 + b"}", "unknown_version"),
    "large": (b'{"major":"1","minor":"34","x":"' + b"x" * (9 << 20) + b'"}', "unknown_version"),
}


@pytest.mark.parametrize("what", VERSIONS)
async def test_auto_with_an_odd_version(what: str) -> None:
    """Whatever /version answers, a List is answered."""
    body, reason = VERSIONS[what]
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        upstream.version = response(body)
        for _ in range(2):
            answer = await proxy.ask(request("/api/v1/pods"))
            assert answer.body == SMALL_LIST
            assert answer.mode == f"paged; reason={reason}"


async def test_version_is_asked_for_once() -> None:
    """The proxy's own questions carry no credential of a client's, and are not asked for each List."""
    seen: list[Exchange] = []

    async def remember(exchange: Exchange) -> None:
        seen.append(exchange)
        await answer_small_list(exchange)

    async with Apiserver(remember) as upstream, running(upstream.url) as proxy:
        for _ in range(5):
            await proxy.ask(request("/api/v1/pods", b"Authorization: Bearer t0ken"))
        assert len(seen) == 5
        assert sum(len(wire.seen.split(b"GET /version ")) - 1 for wire in upstream.connections) == 1
        assert b"\r\n\r\n" in upstream.connections[0].seen
        asked = upstream.connections[0].seen.partition(b"\r\n\r\n")[0]
        assert asked.startswith(b"GET /version HTTP/1.1")
        assert b"t0ken" not in asked
