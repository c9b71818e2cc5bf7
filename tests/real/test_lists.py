"""Paged and streamed Lists of a real apiserver are the bytes that it sends itself: every kind, form and selection."""

import json
import math
from urllib.parse import quote

import pytest

from proxy.settings import Paging
from tests.real.comparing import FORMS, TABLE, Query, direct, listed, same_answers, same_bytes, same_snapshot, through
from tests.real.conftest import FEW, Front
from tests.real.population import COLLECTIONS, COUNT, CUSTOM, NAMESPACES, SECRET_BYTES
from tests.real.server import Server

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("apiserver")]  # one for all, which the first waits for

PLANS = ("paged", "streamed")
EVEN = f"labelSelector={quote('tier=even')}"
PART = f"labelSelector={quote('tier in (odd),index notin (1,3),!absent')}"
NOTHING = f"labelSelector={quote('tier=neither')}"
LABELLED = ("pods", "configmaps", "secrets", "widgets", "pods-in-a", "configmaps-in-a-b", "widgets-in-a", "events")
NOWHERE = {
    "pods": "/api/v1/namespaces/nowhere/pods",
    "events": "/api/v1/namespaces/nowhere/events",
    "widgets": f"{CUSTOM}/namespaces/nowhere/widgets",
}
PAGE = 7
"""The limit of a client that pages itself."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("plan", PLANS)
async def test_every_list(server: Server, front: Front, plan: str, name: str, form: str) -> None:
    """All of a collection, two label selections, a field selection, and the empty one."""
    collection = COLLECTIONS[name]
    field = f"fieldSelector={quote(collection.field)}"
    async with front(plan) as proxy:
        for selection in ("", EVEN, PART, field, NOTHING):
            got = await same_snapshot(proxy, server, Query(collection.path, options=selection).formed(form))
            if selection == "":
                assert got.count >= collection.least
                assert got.answer.mode == f"{plan}; reason=settings"
            elif selection == NOTHING:
                assert got.count == 0
            elif selection == field or name in LABELLED:
                assert got.count > 0
        await proxy.quiet()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NOWHERE)
@pytest.mark.parametrize("plan", PLANS)
async def test_an_empty_namespace(server: Server, front: Front, plan: str, name: str, form: str) -> None:
    """Nothing at all to list: a namespace that is not there is no error."""
    async with front(plan) as proxy:
        assert (await same_snapshot(proxy, server, Query(NOWHERE[name]).formed(form))).count == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["pods", "configmaps-in-a-b", "widgets", "events"])
async def test_the_same_request_gets_the_same_bytes(server: Server, front: Front, name: str, form: str) -> None:
    """Without any option, and word for word the same request, with the proxy and without it."""
    query = Query(COLLECTIONS[name].path).formed(form)
    async with front("paged") as paged, front("streamed") as streamed:
        assert (await same_answers([paged, streamed], server, query)).count >= COLLECTIONS[name].least


@pytest.mark.parametrize("name", ["pods", "configmaps", "widgets"])
async def test_takes_many_pages_in_the_order_of_keys(server: Server, front: Front, name: str) -> None:
    """As many pages as three items a page make, joined in the order of ``namespace/name``: `a-b` before `a`."""
    async with front("paged") as proxy:
        got = await same_snapshot(proxy, server, Query(COLLECTIONS[name].path))
        await proxy.quiet()
        pages = proxy.sample("restream_upstream_pages_total")
        assert pages >= math.ceil(got.count / FEW.page_items) >= math.ceil(COUNT / FEW.page_items)
        keys = ["{namespace}/{name}".format_map(item["metadata"]) for item in got.document["items"]]
        assert keys == sorted(keys)
        ours = [namespace for key in keys if (namespace := key.partition("/")[0]) in NAMESPACES]
        assert ours == sorted(ours, reverse=True)
        assert set(ours) == set(NAMESPACES)


async def test_pages_by_bytes(server: Server, front: Front) -> None:
    """Large items make small pages, though as many as 500 would be allowed on one."""
    settings = Paging(page_bytes=4 * SECRET_BYTES)
    async with front("paged", paging=settings) as proxy:
        for _ in range(3):
            await same_snapshot(proxy, server, Query("/api/v1/secrets"))
        await proxy.quiet()
        assert proxy.sample("restream_upstream_pages_total") >= 3 * COUNT / 10


@pytest.mark.parametrize("form", ["json", "table", "partial"])
@pytest.mark.parametrize("name", ["pods", "widgets", "events"])
@pytest.mark.parametrize("plan", PLANS)
async def test_a_client_that_pages_itself(server: Server, front: Front, plan: str, name: str, form: str) -> None:
    """`limit` and `continue` of the client's own: each page is the page that it gets without the proxy."""
    page = Query(COLLECTIONS[name].path, options=f"limit={PAGE}").formed(form)
    async with front(plan) as proxy:
        first = got = await same_answers([proxy], server, page)
        total = got.count
        while got.token:
            following = Query(page.path, page.accept, page.options, f"continue={quote(got.token)}")
            got = await through(proxy, server, following)
            same_bytes(got, await direct(server, following))
            assert got.version == first.version
            total += got.count
    whole = await direct(server, Query(page.path).formed(form).exactly(first.version))
    assert total == whole.count >= COLLECTIONS[name].least


@pytest.mark.parametrize(
    ("accept", "line", "options"),
    [
        (b"application/vnd.kubernetes.protobuf", b"", ""),
        (b"application/yaml", b"", ""),
        (b"application/json", b"", "pretty=true"),
        (b"application/json", b"User-Agent: curl/8.0", ""),
        (b"application/json", b"Accept-Encoding: gzip", ""),
        (TABLE, b"", "pretty=true"),
    ],
    ids=["protobuf", "yaml", "pretty", "curl", "gzip", "pretty-table"],
)
@pytest.mark.parametrize("plan", PLANS)
async def test_other_encodings(
    server: Server, front: Front, plan: str, accept: bytes, line: bytes, options: str
) -> None:
    """What is not compact JSON comes as it does without the proxy, whichever plan it takes."""
    version = (await direct(server, Query("/api/v1/pods"))).version
    query = Query("/api/v1/pods", accept, options).exactly(version)
    lines = [line] if line else []
    async with front(plan) as proxy:
        got = await proxy.ask(query.written(server, *lines))
        # An encoded body is not what is compared here: the proxy decides by itself what it asks for.
        expected = await server.ask(query.written(server, *(each for each in lines if b"gzip" not in each)))
    assert (got.status, got.complete) == (expected.status, expected.complete) == (200, True)
    assert got.values(b"content-type") == expected.values(b"content-type")
    assert got.values(b"content-encoding") == []
    if query.is_table:
        same_bytes(listed(got, query), listed(expected, query))
    else:
        assert got.body == expected.body


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/api/v1/pods?labelSelector=%21%21", 400),
        ("/api/v1/pods?fieldSelector=spec.nothing%3Dx", 400),
        ("/api/v1/pods?limit=many", 400),
        ("/api/v1/pods?limit=5&continue=broken", 400),
        ("/api/v1/pods?resourceVersionMatch=Exact", 422),
        ("/api/v1/pods?sendInitialEvents=true", 422),
        ("/api/v1/nothings", 404),
        ("/apis/example.com/v1/nothings", 404),
        ("/apis/nobody.example.com/v1/nothings", 404),
        ("/apis/example.com/v1/widgets?fieldSelector=spec.size%3D1", 400),
    ],
)
@pytest.mark.parametrize("plan", PLANS)
async def test_refusals_come_through(server: Server, front: Front, plan: str, target: str, code: int) -> None:
    """A List that the apiserver refuses: its own words."""
    query = Query(target)
    async with front(plan) as proxy:
        got = await proxy.ask(query.written(server))
        expected = await server.ask(query.written(server))
    assert (got.status, got.body) == (expected.status, expected.body)
    assert got.status == code
    assert got.values(b"content-type") == expected.values(b"content-type")


@pytest.mark.parametrize("plan", PLANS)
async def test_who_may_not_list_gets_nothing(server: Server, front: Front, plan: str) -> None:
    """Identity is the client's: a stranger is refused, a wrong token too, also after an administrator's List."""
    query = Query("/api/v1/pods")
    async with front(plan) as proxy:
        await same_snapshot(proxy, server, query)
        for token, code in ((server.stranger, 403), ("wrong", 401)):
            raw = query.written(server).replace(server.token.encode(), token.encode())
            got, expected = await proxy.ask(raw), await server.ask(raw)
            assert (got.status, got.body) == (expected.status, expected.body)
            assert got.status == code
            assert json.loads(got.body)["kind"] == "Status"
