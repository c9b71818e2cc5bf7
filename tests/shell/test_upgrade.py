"""Handshakes: what asks for another protocol goes up as it is, and what is answered comes back as it is."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.settings import Filters, Limits
from tests.fakes.apiserver import (
    JSON_LINES,
    SMALL_LIST,
    Apiserver,
    Exchange,
    Script,
    answer_small_list,
    cut,
    response,
    script,
)
from tests.fakes.kubeconfigs import kubeconfig
from tests.fakes.running import eventually, running
from tests.fakes.upgrades import EXEC, HANDSHAKES, WEBSOCKET, Handshake, grant, stalled
from tests.fakes.wire import Client, Lines, parse_head, request

LOOPS = ("asyncio", "uvloop")
IMPATIENT = Limits(first_byte_seconds=0.15, connect_seconds=0.3, drain_seconds=0.2)
NO_REJECTS = Filters(reject_paths=())
"""Else there is no exec with the proxy's own identity, as with kubectl proxy."""

VIA = (b"Via", b"1.1 kube-restream")
MODE = (b"X-Restream-Mode", b"raw; reason=upgrade")


def asked(exchange: Exchange) -> Lines:
    """Return what the upstream saw, without the Host that the proxy writes."""
    return exchange.others


async def switched(client: Client) -> Lines:
    """Read a 101; return its lines."""
    first_line, lines = parse_head(await client.read_until(b"\r\n\r\n"))
    assert first_line == b"HTTP/1.1 101 Switching Protocols"
    return lines


# --- granted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HANDSHAKES)
async def test_handshake_goes_header_for_header(kind: str) -> None:
    """Both halves of a handshake arrive line for line, then bytes that are no HTTP go both ways."""
    handshake = HANDSHAKES[kind]
    blob = bytes(range(256))
    async with (
        Apiserver(grant(handshake)) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(handshake.request())
        assert await switched(client) == [*handshake.granted, VIA, MODE]
        exchange = upstream.exchanges[0]
        assert exchange.method == handshake.method
        assert exchange.target.decode() == handshake.target
        assert asked(exchange) == handshake.asked
        await client.send(blob)
        assert await exchange.connection.read_exactly(256) == blob
        await exchange.send(blob * 2)
        assert await client.read_exactly(512) == blob * 2
        assert proxy.sample("restream_inflight_requests", mode="raw") == 1
        exchange.close()
        assert await client.read_rest() == b""
        client.close()
        await proxy.quiet()
        verb = {"GET": "get", "POST": "create"}[handshake.method]
        labels = {"mode": "raw", "reason": "upgrade", "verb": verb, "code": "101"}
        assert proxy.sample("restream_requests_total", **labels) == 1
        assert proxy.sample("restream_response_bytes_sum", mode="raw") == 512
        assert proxy.sample("restream_first_byte_seconds_count", mode="raw") == 1
        assert proxy.sample("restream_aborts_total") == 0
        assert not upstream.open_connections


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_early_bytes_are_not_lost(size: int) -> None:
    """What comes together with the head of either half, however it is cut, is the tunnel's."""
    early = b"GET /smuggled HTTP/1.1\r\n\r\n\x00\xff"
    answer = WEBSOCKET.switched + early[::-1]

    async def play(exchange: Exchange) -> None:
        await exchange.send(*cut(answer, size))
        await exchange.connection.until(lambda: exchange.connection.has_ended)

    async with Apiserver(play) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(*cut(WEBSOCKET.request() + early, size))
        await switched(client)
        assert await client.read_exactly(len(early)) == early[::-1]
        assert await upstream.exchanges[0].connection.read_exactly(len(early)) == early
        assert len(upstream.exchanges) == 1


async def test_bytes_behind_a_handshake_are_bounded() -> None:
    """A client that does not wait for the answer is stopped at a bound; what it has sent then goes up."""
    block, count = bytes(range(256)) * 256, 512
    go_on = asyncio.Event()

    async def think(exchange: Exchange) -> None:
        await go_on.wait()
        await grant()(exchange)

    async with Apiserver(think) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        sending = asyncio.ensure_future(client.send(WEBSOCKET.request(), *[block] * count))
        await upstream.wait_for_exchanges(1)
        assert (await stalled(client))[0] < len(block) * count / 2
        go_on.set()
        assert await upstream.exchanges[0].connection.read_exactly(len(block) * count) == block * count
        await sending


async def test_bytes_that_come_while_the_head_leaves() -> None:
    """What both sides send while a client takes its time over the head of a 101 is not lost either."""
    handshake = Handshake("", "", [], [*WEBSOCKET.granted, *[(b"Warning", b"w" * 9000)] * 100])
    limits = Limits(write_buffer_bytes=65536, drain_seconds=0.2)
    block, count = bytes(range(256)) * 256, 8
    async with (
        Apiserver(grant(handshake)) as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect(receive_buffer=4096) as client,
    ):
        client.pause()
        await client.send(WEBSOCKET.request())
        exchange = await upstream.wait_for_exchanges(1)
        await eventually(lambda: proxy.sample("restream_inflight_requests", mode="raw") == 1)
        for _ in range(count):
            await client.send(block)
            await exchange.send(block)
        client.resume()
        assert len(await switched(client)) == 106
        assert await client.read_exactly(count * len(block)) == block * count
        assert await exchange.connection.read_exactly(count * len(block)) == block * count


async def test_handshake_behind_other_requests() -> None:
    """Pipelined requests before a handshake are answered first; what stands behind it is not read as requests."""

    async def play(exchange: Exchange) -> None:
        await (grant()(exchange) if exchange.values(b"upgrade") else answer_small_list(exchange))

    async with Apiserver(play) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/version") * 3 + WEBSOCKET.request() + request("/version"))
        for _ in range(3):
            assert (await client.answer()).body == SMALL_LIST
        await switched(client)
        assert await upstream.exchanges[3].connection.read_exactly(5) == b"GET /"
        assert len(upstream.exchanges) == 4


async def test_other_tokens_of_connection_end_here() -> None:
    """Of Connection lines the upgrade goes on; what else they say, and the lines they name, is for one hop alone."""
    granted = [(b"Connection", b"Upgrade, X-Far"), (b"X-Far", b"1"), (b"Upgrade", b"WebSocket"), (b"X-Stays", b"1")]
    answer = Handshake("", "", [], [*granted, (b"Content-Length", b"0"), (b"Keep-Alive", b"timeout=5")])
    lines = [b"Connection: keep-alive, Upgrade , X-Near", b"X-Near: 1", b"Connection: keep-alive", b"TE: trailers"]
    async with Apiserver(grant(answer)) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request(EXEC, *lines, b"Upgrade: websocket", b"X-Stays: 1"))
        assert await switched(client) == [
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"WebSocket"),
            granted[3],
            VIA,
            MODE,
        ]
        expected = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"X-Stays", b"1")]
        assert asked(upstream.exchanges[0]) == expected


@pytest.mark.parametrize("mode", ["raw", "streamed", "paged", "buffered"])
async def test_handshake_is_never_a_list(mode: str) -> None:
    """A request for an upgrade is not planned, whatever its path looks like, and its query stays."""
    async with Apiserver(grant()) as upstream, running(upstream.url, mode=mode) as proxy:
        for target in ("/api/v1/pods", "/api/v1/pods?watch=1&limit=5"):
            async with await proxy.connect() as client:
                await client.send(WEBSOCKET.request(b"Accept-Encoding: gzip", target=target))
                assert (await switched(client))[-1] == MODE
                assert upstream.exchanges[-1].target.decode() == target
                assert asked(upstream.exchanges[-1])[0] == (b"Accept-Encoding", b"gzip")
        upstream.script = answer_small_list
        for lines in ([b"Connection: Upgrade"], [b"Connection: Upgrade", b"Upgrade: websocket"]):
            answer = await proxy.ask(request("/api/v1/pods", *lines))
            assert answer.mode == "raw; reason=upgrade"
            assert answer.body == SMALL_LIST


# --- refused ----------------------------------------------------------------------------------------------------------

STATUS = b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":403}\n'
REFUSALS: dict[str, tuple[bytes, Lines, bytes]] = {
    "bad request": (b"400 Bad Request", [], b"unable to upgrade: missing upgrade headers in request: http.Header{}"),
    "forbidden": (b"403 Forbidden", [(b"X-Accepted-Stream-Protocol-Versions", b"v4.channel.k8s.io")], STATUS),
    "not found": (b"404 Not Found", [(b"Content-Type", b"text/plain")], b"404 page not found\n"),
    "upgrade required": (b"426 Upgrade Required", [(b"Connection", b"Upgrade"), (b"Upgrade", b"SPDY/3.1")], b""),
    "server error": (b"500 Internal Server Error", [(b"Warning", b"1"), (b"Warning", b"2")], b"x" * 300_000),
    "granted as HTTP": (b"200 OK", [(b"Content-Type", b"text/html")], b"<html>"),
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("what", REFUSALS)
async def test_refusal_comes_back_unchanged(what: str, framing: str) -> None:
    """Any answer but a 101 is an ordinary one, on which kubectl falls back to SPDY; the connection serves on."""
    status, lines, body = REFUSALS[what]
    async with (
        Apiserver(script(response(body, status=status, lines=lines, framing=framing))) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        for handshake in (WEBSOCKET, HANDSHAKES["exec over SPDY"]):
            answer = await client.ask(handshake.request(), method=handshake.method)
            assert b"%d %s" % (answer.status, answer.reason) == status
            assert answer.lines[: len(lines)] == lines
            assert (answer.body, answer.mode, answer.complete) == (body, "raw; reason=upgrade", True)
        upstream.script = answer_small_list
        assert (await client.ask(request())).body == SMALL_LIST
        assert (await client.ask(request("/version", b"Connection: close"))).body == SMALL_LIST
        await proxy.quiet()


async def test_handshakes_have_a_connection_each() -> None:
    """A handshake goes up on a connection of its own, not on an idle one, and nothing follows on it."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for asked_for in (request("/version"), WEBSOCKET.request(), request("/version"), WEBSOCKET.request()):
            assert (await client.ask(asked_for)).body == SMALL_LIST
        assert [exchange.number for exchange in upstream.exchanges] == [1, 2, 1, 3]


@pytest.mark.parametrize("size", [1, 1 << 20], ids=["byte by byte", "at once"])
async def test_what_follows_a_refused_handshake(size: int) -> None:
    """What stands behind handshakes that are refused are requests, bodies and all, answered in order."""
    posted = request("/x", b"Content-Length: 3", method="POST", body=b"abc")
    whole = WEBSOCKET.request() * 3 + posted + request("/version") + WEBSOCKET.request()
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(*cut(whole, size))
        for _ in range(6):
            assert (await client.answer()).body == SMALL_LIST
        assert [exchange.method for exchange in upstream.exchanges] == ["GET", "GET", "GET", "POST", "GET", "GET"]
        assert upstream.exchanges[3].content == b"abc"
        await client.send(WEBSOCKET.request()[:30])
        await client.send(WEBSOCKET.request()[30:] + b"GARBAGE\r\n\r\n")
        assert (await client.answer()).body == SMALL_LIST
        assert (await client.answer()).status == 400
        assert await client.read_rest() == b""


async def test_much_follows_a_refused_handshake() -> None:
    """Reading goes on where a client was stopped because of what it had sent behind a handshake."""
    go_on = asyncio.Event()
    body = b"x" * (4 << 20)

    async def think(exchange: Exchange) -> None:
        await go_on.wait()
        await answer_small_list(exchange)

    async with Apiserver(think) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        posted = request("/x", b"Content-Length: %d" % len(body), method="POST", body=body)
        sending = asyncio.ensure_future(client.send(WEBSOCKET.request(), *cut(posted, 65536)))
        await upstream.wait_for_exchanges(1)
        await stalled(client)
        go_on.set()
        await sending
        for _ in range(2):
            assert (await client.answer()).body == SMALL_LIST
        assert upstream.exchanges[1].content == body


# --- plain requests ---------------------------------------------------------------------------------------------------

PLAIN: dict[str, tuple[list[bytes], str]] = {
    "h2c": ([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"], "1.1"),
    "h2c of a draft": ([b"Connection: Upgrade", b"Upgrade: h2c-14", b"HTTP2-Settings: AAMAAABkAAQ"], "1.1"),
    "TLS": ([b"Connection: Upgrade", b"Upgrade: TLS/1.0"], "1.1"),
    "HTTP/2 among others": ([b"Connection: Upgrade", b"Upgrade: websocket, HTTP/2.0"], "1.1"),
    "Connection alone": ([b"Connection: Upgrade"], "1.1"),
    "Upgrade alone": ([b"Upgrade: websocket"], "1.1"),
    "no such token": ([b"Connection: x-upgrade-y", b"Upgrade: websocket"], "1.1"),
    "empty": ([b"Connection: Upgrade", b"Upgrade: "], "1.1"),
    "HTTP/1.0": ([b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"], "1.0"),
    "with a body": ([b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 2"], "1.1"),
}


@pytest.mark.parametrize("what", PLAIN)
async def test_what_is_not_a_handshake_goes_on_as_plain_http(what: str) -> None:
    """An upgrade that is never granted is asked of nobody; the request is answered and the connection serves on."""
    lines, version = PLAIN[what]
    body = b"{}" if what == "with a body" else b""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for _ in range(2):
            sent = request(EXEC, *lines, method="POST" if body else "GET", version=version, body=body)
            assert (await client.ask(sent)).body == SMALL_LIST
            if version == "1.1":
                assert (await client.ask(request("/version"))).body == SMALL_LIST
        assert asked(upstream.exchanges[0]) == ([(b"Content-Length", b"2")] if body else [])
        assert upstream.exchanges[0].content == body
        assert len(upstream.connections) == 1


async def test_h2c_does_not_keep_a_list_from_its_plan() -> None:
    """``curl --http2`` gets the same List as ``curl``."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(request("/api/v1/pods", *PLAIN["h2c"][0]))
        assert answer.mode == "streamed; reason=streaming_encoder"
        assert answer.body == SMALL_LIST


# --- credentials ------------------------------------------------------------------------------------------------------

BEARER = b"base64url.bearer.authorization.k8s.io.dG9rZW4"


@pytest.mark.parametrize(
    ("offered", "left"),
    [
        ([b"v5.channel.k8s.io," + BEARER], [b"v5.channel.k8s.io"]),
        ([BEARER.upper() + b" , a", b"b,  c"], [b"a", b"b,  c"]),
        ([BEARER, b"v5.channel.k8s.io"], [b"v5.channel.k8s.io"]),
        ([BEARER], []),
    ],
)
async def test_own_identity_replaces_every_credential(tmp_path: Path, offered: list[bytes], left: list[bytes]) -> None:
    """With the proxy's own identity a handshake brings none of the client's, that among the subprotocols included."""
    lines = [b"Authorization: Bearer theirs", b"Impersonate-User: root", b"Connection: Upgrade", b"Upgrade: websocket"]
    lines += [b"Sec-WebSocket-Protocol: " + value for value in offered]
    async with Apiserver(grant()) as upstream:
        config = kubeconfig(tmp_path, upstream.url)
        async with running(None, kubeconfig=config, filters=NO_REJECTS) as proxy, await proxy.connect() as client:  # type: ignore[arg-type]
            await client.send(request(EXEC, *lines))
            await switched(client)
            exchange = upstream.exchanges[0]
            assert exchange.values(b"sec-websocket-protocol") == left
            assert exchange.values(b"authorization") == [b"Bearer own-token"]
            assert exchange.values(b"impersonate-user") == []


async def test_pass_through_touches_no_credential() -> None:
    """Without an own identity every credential of a handshake arrives as the client wrote it."""
    lines = [b"Authorization: Bearer theirs", b"Origin: https://elsewhere.example"]
    lines += [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Protocol: " + BEARER + b",a"]
    async with Apiserver(grant()) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request(EXEC, *lines))
        await switched(client)
        assert [name + b": " + value for name, value in asked(upstream.exchanges[0])] == lines


@pytest.mark.parametrize(
    ("origin", "is_refused"),
    [
        (b"https://evil.example", True),
        (b"http://127.0.0.1:3000", True),
        (b"http://127.0.0.1.evil.example", True),
        (b"null", True),
        (b"http://127.0.0.1", False),
        (b"HTTP://127.0.0.1", False),
    ],
)
async def test_pages_of_others_get_no_tunnel(tmp_path: Path, origin: bytes, is_refused: bool) -> None:
    """With the proxy's own identity a WebSocket that another origin's page opens in a browser is refused with 403."""
    async with Apiserver(grant()) as upstream:
        config = kubeconfig(tmp_path, upstream.url)
        async with running(None, kubeconfig=config, filters=NO_REJECTS) as proxy, await proxy.connect() as client:  # type: ignore[arg-type]
            await client.send(WEBSOCKET.request(b"Origin: " + origin))
            if is_refused:
                assert (await client.answer()).status == 403
            else:
                await switched(client)
            assert len(upstream.exchanges) == (not is_refused)


# --- failures ---------------------------------------------------------------------------------------------------------


def head(*lines: bytes) -> bytes:
    """Write the head of a 101."""
    return b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *lines, b"", b""])


UNASKED = {
    "another protocol": head(b"Connection: Upgrade", b"Upgrade: h2c"),
    "one more protocol": head(b"Connection: Upgrade", b"Upgrade: websocket, x"),
    "no protocol": head(b"Connection: Upgrade"),
    "no Connection": head(b"Upgrade: websocket"),
    "no line": head(),
}


@pytest.mark.parametrize("what", UNASKED)
async def test_101_to_something_else(what: str) -> None:
    """A switch to what nobody has asked for is a 502, and the upstream's connection is closed."""
    async with (
        Apiserver(script(UNASKED[what] + b"bytes")) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        answer = await client.ask(WEBSOCKET.request())
        assert answer.status == 502
        assert json.loads(answer.body)["kind"] == "Status"
        await upstream.exchanges[0].wait_closed()
        upstream.script = answer_small_list
        assert (await client.ask(request())).body == SMALL_LIST


async def silent(exchange: Exchange) -> None:
    """Answer nothing."""
    await exchange.wait_closed()


def leaves(how: str, sent: bytes) -> Script:
    """Make a script that ends the connection in the middle of its head."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(sent)
        getattr(exchange, how)()

    return play


async def test_handshake_has_a_time_limit() -> None:
    """An upstream that does not answer a handshake in time is a 504, though an exec may take for ever."""
    async with Apiserver(silent) as upstream, running(upstream.url, limits=IMPATIENT) as proxy:
        assert (await proxy.ask(WEBSOCKET.request())).status == 504
        await upstream.exchanges[0].wait_closed()


@pytest.mark.parametrize("sent", [b"", WEBSOCKET.switched[:-2]], ids=["nothing", "half a head"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_upstream_leaves_during_the_handshake(how: str, sent: bytes) -> None:
    """A handshake that the upstream drops is a 502, and is not sent again."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request())).body == SMALL_LIST
        upstream.script = leaves(how, sent)
        assert (await client.ask(WEBSOCKET.request())).status == 502
        assert len(upstream.exchanges) == 2
        upstream.script = answer_small_list
        assert (await client.ask(request())).body == SMALL_LIST


@pytest.mark.parametrize("how", ["close", "finish", "reset"])
async def test_client_leaves_during_the_handshake(how: str) -> None:
    """A client that leaves before it has an answer takes its handshake with it."""
    async with Apiserver(silent) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(WEBSOCKET.request() + b"early")
        exchange = await upstream.wait_for_exchanges(1)
        getattr(client, how)()
        await exchange.wait_closed()
        await proxy.aborts("client_gone")
        await proxy.quiet()


async def test_refused_by_the_proxy_itself(tmp_path: Path) -> None:
    """A handshake that the proxy refuses is answered, and what stands behind it is served."""
    async with Apiserver() as upstream:
        config = kubeconfig(tmp_path, upstream.url)
        async with running(None, kubeconfig=config, filters=NO_REJECTS) as proxy, await proxy.connect() as client:  # type: ignore[arg-type]
            await client.send(WEBSOCKET.request(b"Origin: https://evil.example") + request("/version"))
            assert (await client.answer()).status == 403
            assert (await client.answer()).body == SMALL_LIST


async def test_unasked_101() -> None:
    """A 101 to a plain request is a 502, with and without the lines of one."""
    for answer in (WEBSOCKET.switched, head(), response(status=b"101 Switching Protocols", lines=JSON_LINES)):
        async with Apiserver(script(answer)) as upstream, running(upstream.url) as proxy:
            assert (await proxy.ask(request("/version"))).status == 502
