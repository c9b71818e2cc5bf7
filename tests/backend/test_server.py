"""What the HTTP side promises: framing, compression, headers, errors, discovery, the deadline."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from aiohttp.test_utils import TestServer

from proxy.backend.objects import Sizes
from proxy.backend.verbs import Behaviour

from .cluster import Client, Options, client_of, generated_backend

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
BIG = Options(sizes=Sizes(pods=20_000, pod_size=2500))


async def fetch(client: Client, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Get a path."""
    async with client.get(path, headers=headers) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("query", ["", "?limit=7", "?labelSelector=app%3Dweb-1"])
@pytest.mark.parametrize("headers", [{}, TABLE, PARTIAL], ids=["object", "table", "partial"])
@pytest.mark.parametrize("resource", ["api/v1/pods", "api/v1/secrets", "apis/example.com/v1/widgets"])
async def test_both_encoders_send_the_same_bytes(resource: str, headers: dict[str, str], query: str) -> None:
    """Whether a List is held whole or streamed shows in no byte."""
    bodies = []
    for streaming in (True, False):
        async with client_of(generated_backend(Options(behaviour=Behaviour(streaming=streaming)))) as client:
            bodies.append(await fetch(client, f"/{resource}{query}", headers))
    assert bodies[0] == bodies[1]
    assert bodies[0][0] == 200


async def test_stitched_pages_equal_the_unpaged_list(client: Client) -> None:
    """Items of all pages, the first page's resourceVersion, no token on the last."""
    _, whole = await fetch(client, "/api/v1/pods")
    items: list[object] = []
    token = ""
    while True:
        _, body = await fetch(client, f"/api/v1/pods?limit=7&continue={token}")
        page = json.loads(body)
        items += page["items"]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert {"items": items, "metadata": page["metadata"]} == {
        key: value for key, value in json.loads(whole).items() if key in {"items", "metadata"}
    }


async def test_small_bodies_have_a_length_and_large_ones_are_chunked(client: Client) -> None:
    """The limit is Go's buffer of 2,048 bytes."""
    async with client.get("/api/v1/namespaces/none/pods") as response:
        assert response.headers["Content-Length"] == str(len(await response.read()))
    async with client.get("/api/v1/pods") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in response.headers


@pytest.mark.parametrize(("streaming", "least", "most"), [(True, 2048, 2048), (False, 65536, 1 << 30)])
async def test_chunks_are_those_of_go(streaming: bool, least: int, most: int) -> None:
    """An encoder that writes item by item fills a buffer of 2 KiB again and again; a held body is written at once."""
    options = Options(sizes=Sizes(pods=200), behaviour=Behaviour(streaming=streaming))
    identity = {"Accept-Encoding": "identity"}
    sizes = [0]
    async with (
        client_of(generated_backend(options)) as client,
        client.get("/api/v1/pods", headers=identity) as response,
    ):
        async for data, is_end in response.content.iter_chunks():
            sizes[-1] += len(data)
            if is_end:
                sizes.append(0)
    assert least <= sizes[0]
    assert max(sizes) <= most


async def test_every_answer_has_the_headers_of_an_apiserver(client: Client) -> None:
    """An Audit-Id is echoed; nobody says which server this is."""
    async with client.get("/api/v1/pods?limit=1", headers={"Audit-ID": "mine"}) as response:
        assert response.headers["Audit-Id"] == "mine"
        assert response.headers["Cache-Control"] == "no-cache, private"
        assert response.headers["Content-Type"] == "application/json"
        assert "Date" in response.headers
        assert "Server" not in response.headers


async def test_gzip_only_above_128_kib_and_only_for_its_own_token(client: Client) -> None:
    """Compressed or not, the bytes are the same."""
    _, plain = await fetch(client, "/api/v1/secrets", {"Accept-Encoding": "gzip;q=1.0"})
    async with client.get("/api/v1/secrets", headers={"Accept-Encoding": "br, gzip"}) as response:
        assert (len(plain) > 131072, response.headers.get("Content-Encoding")) == (False, None)
    async with client_of(generated_backend(BIG)) as large:
        _, plain = await fetch(large, "/api/v1/pods?limit=100", {"Accept-Encoding": "identity"})
        async with large.get("/api/v1/pods?limit=100", headers={"Accept-Encoding": "gzip"}) as response:
            assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")
            assert gzip.decompress(await response.read()) == plain


async def test_pretty_answers_are_the_same_objects(client: Client) -> None:
    """Indented by two, without a newline at the end."""
    _, compact = await fetch(client, "/api/v1/pods?limit=3")
    _, pretty = await fetch(client, "/api/v1/pods?limit=3&pretty=true")
    assert json.loads(compact) == json.loads(pretty)
    assert pretty.startswith(b'{\n  "kind": "PodList",\n')
    assert pretty.endswith(b"}")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Authorization": "Bearer s3cret"}, 200), ({"Authorization": "bearer s3cret"}, 200), ({}, 401),
     ({"Authorization": "Bearer  s3cret"}, 401), ({"Authorization": "Basic s3cret"}, 401)],
)  # fmt: skip
async def test_a_token_is_required_where_one_is_set(headers: dict[str, str], status: int) -> None:
    """One space, any case of the scheme; health stays open."""
    async with client_of(generated_backend(Options(behaviour=Behaviour(token="s3cret")))) as client:
        assert (await fetch(client, "/api/v1/pods", headers))[0] == status
        assert await fetch(client, "/readyz") == (200, b"ok")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/v1/nopes", 404, '"message":"the server could not find the requested resource"'),
        ("/apis/nope.example.com/v1/things", 404, "404 page not found\n"),
        ("/apis/example.com/v1/things", 404, "404 page not found\n"),
        ("/nothing", 404, "404 page not found\n"),
        ("/api/v1/namespaces/a/pods/none", 404, 'pods \\"none\\" not found'),
        ("/apis/example.com/v1/namespaces/a/widgets/none", 404, '"details":{"name":"none","group":"example.com"'),
        ("/api/v1/pods?timeout=30", 400, "time: missing unit in duration"),
        ("/api/v1/pods?resourceVersion=x", 400, "invalid resource version"),
        ("/api/v1/pods?watch=1&resourceVersion=x", 400, "invalid resource version"),
        ("/api/v1/namespaces/a/pods/none/log", 404, 'pods \\"none\\" not found'),
        ("/api/v1/namespaces/a/pods/none/nope", 404, "the server could not find the requested resource"),
        ("/api/v1/namespaces/none/pods", 200, '"items":[]'),
    ],
)
async def test_missing_things(client: Client, path: str, status: int, text: str) -> None:
    """Each has the answer of a real server."""
    code, body = await fetch(client, path)
    assert code == status
    assert text in body.decode()


async def test_head_has_no_body_where_it_is_served_at_all(client: Client) -> None:
    """Custom resources answer HEAD, even of a watch; the connection stays usable."""
    for path, status in (("widgets", 200), ("widgets?watch=1", 200), ("widgets/x", 404)):
        async with client.head(f"/apis/example.com/v1/namespaces/a/{path}") as response:
            assert (response.status, await response.read()) == (status, b"")
    async with client.head("/api/v1/pods") as response:
        assert response.status == 405


async def test_a_list_is_not_a_partial_object(client: Client) -> None:
    """The conversion of one object is refused for a List, and the other way round."""
    single = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    code, body = await fetch(client, "/api/v1/pods", single)
    assert (code, b"the requested object is a list (PodList)" in body) == (406, True)
    assert (await fetch(client, "/api/v1/nodes/node-00000", PARTIAL))[0] == 406
    code, body = await fetch(client, "/api/v1/nodes/node-00000", single)
    assert (code, json.loads(body)["kind"]) == (200, "PartialObjectMetadata")


DISCOVERY = [
    ("/api/v1", "APIResourceList"), ("/apis", "APIGroupList"), ("/api", "APIVersions"),
    ("/apis/example.com", "APIGroup"),
    ("/openapi/v3", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "kind"), DISCOVERY)
async def test_discovery(client: Client, path: str, kind: str | None) -> None:
    """The documents that kubectl starts with."""
    code, body = await fetch(client, path)
    assert (code, json.loads(body).get("kind")) == (200, kind)


@pytest.mark.parametrize(("streaming", "minor"), [(True, "34"), (False, "32")])
async def test_the_version_tells_the_encoder(streaming: bool, minor: str) -> None:
    """1.34 streams, 1.32 does not."""
    async with client_of(generated_backend(Options(behaviour=Behaviour(streaming=streaming)))) as client:
        assert json.loads((await fetch(client, "/version"))[1])["minor"] == minor


async def test_a_table_row_can_leave_its_object_out_or_carry_all_of_it(client: Client) -> None:
    """None, Metadata, Object; anything else is a bad request."""
    rows = {}
    for include in ("None", "Metadata", "Object"):
        _, body = await fetch(client, f"/api/v1/nodes?limit=1&includeObject={include}", TABLE)
        rows[include] = json.loads(body)["rows"][0]
    assert rows["None"]["object"] is None
    assert rows["Metadata"]["object"]["kind"] == "PartialObjectMetadata"
    assert (rows["Object"]["object"]["kind"], rows["Object"]["cells"][1]) == ("Node", "Ready")
    assert (await fetch(client, "/api/v1/nodes?includeObject=x", TABLE))[0] == 400


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_list_that_nobody_reads_is_cut_off(streaming: bool) -> None:
    """After the deadline the connection dies without the last chunk."""
    options = Options(sizes=BIG.sizes, behaviour=Behaviour(streaming=streaming, list_deadline=0.3))
    server = TestServer(generated_backend(options).application())
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        while server.handler.connections:  # noqa: ASYNC110 (the server has no event for this)
            await asyncio.sleep(0.01)
        body = await drained(reader)
        assert 0 < len(body) < 50_000_000
        assert not body.endswith(b"0\r\n\r\n")
        writer.close()


async def drained(reader: asyncio.StreamReader) -> bytes:
    """Read until the connection ends, however it does."""
    received = bytearray()
    try:
        while part := await reader.read(1 << 20):
            received += part
    except ConnectionError:
        pass
    return bytes(received)
