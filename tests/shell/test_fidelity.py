"""What may not change on the way: targets, header lines, bodies, connections."""

import asyncio

import pytest

from proxy.settings import Limits
from tests.fakes.apiserver import (
    JSON_LINES,
    SMALL_LIST,
    Apiserver,
    Exchange,
    answer_small_list,
    chunk,
    chunked,
    cut,
    response,
    script,
)
from tests.fakes.running import eventually, running
from tests.fakes.wire import Answer, Client, Lines, request

LOOPS = ("asyncio", "uvloop")


TARGETS = [
    b"/api/v1/namespaces/a%2Fb/pods",
    b"/api/v1/pods?labelSelector=a%3Db&limit=5",
    b"/api/v1/pods?labelSelector=a+b",
    b"/api/v1/pods?a;b=c;d",
    b"/api/v1/pods?limit=1&limit=2&limit",
    b"/api/v1/pods?",
    b"/api/v1/pods?=&&=&",
    b"/api/v1/pods?x=%E2%82%AC&y=%zz&z=%",
    b"/api/v1/pods?labelSelector=%ff",
    b"/api/v1/pods/",
    b"//api//v1///pods",
    b"/api/v1/../v1/./pods",
    b"/api/v1/nodes/n:10250/proxy/a//b/%2e%2e/?q=1",
    b"/api/v1/%70ods",
    b"/api/v1/%ff",
    b"/healthz",
    b"/metrics",
    b"/readyz?verbose",
    b"/",
    b"/?",
    b"/a?b?c/d",
    b'/a?q="{}|^`<>\\[]',
    b"*",
]


def own_lines(exchange: Exchange) -> Lines:
    """Return what the upstream saw of a request's header lines, without the Host that the proxy writes."""
    return exchange.others


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.decode())
async def test_target_is_not_touched(target: bytes) -> None:
    """Path and query reach the upstream as the client wrote them, and the connection goes on serving."""
    method = "OPTIONS" if target == b"*" else "GET"
    async with (
        Apiserver() as upstream,
        running(upstream.url, access_log=True) as proxy,
        await proxy.connect() as client,
    ):
        for _ in range(2):
            answer = await client.ask(request(target, method=method))
            assert answer.body == SMALL_LIST
        assert [exchange.target for exchange in upstream.exchanges] == [target, target]
        await proxy.quiet()
        assert (await proxy.ask_admin("/metrics")).status == 200


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://example.com/api/v1/pods?limit=1", b"/api/v1/pods?limit=1"),
        (b"http://example.com", b"/"),
        (b"http://example.com?limit=1", b"/?limit=1"),
        (b"http://example.com?path=a/b", b"/?path=a/b"),
        (b"HTTPS://user@example.com:443//x", b"//x"),
        (b"/api/v1/pods?next=http://example.com/x", b"/api/v1/pods?next=http://example.com/x"),
    ],
)
async def test_absolute_form(target: bytes, origin: bytes) -> None:
    """Of a target in absolute-form path and query go on (RFC 9112, section 3.2.2)."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request(target))
        assert upstream.exchanges[0].target == origin


async def test_upstream_path_is_put_before() -> None:
    """A path of the upstream's URL goes before every target, which is otherwise untouched."""
    async with Apiserver() as upstream, running(upstream.url + "/k8s/clusters/c-1/") as proxy:
        await proxy.ask(request("//api/v1/pods?"))
        assert upstream.exchanges[-1].target == b"/k8s/clusters/c-1//api/v1/pods?"


# --- header lines -----------------------------------------------------------------------------------------------------


async def test_request_lines_keep_order_case_and_repetition() -> None:
    """Header lines of a request arrive in order, repeated where they were repeated, spelt as they were."""
    sent = [
        b"Impersonate-Group: one",
        b"ACCEPT: application/json",
        b"x-eMPTY:",
        b"Impersonate-Group: two",
        b"Impersonate-User: j\xc3\xb6rg",
        b"Authorization: Bearer t0ken",
        b"Accept-Encoding: gzip",
        b"User-Agent: kubectl/v1.36.2 (linux/amd64) kubernetes/abc",
        b"impersonate-group: three",
        b"X-Padded: a  b",
    ]
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request("/api/v1/namespaces/a/pods/x", *sent))
        lines = own_lines(upstream.exchanges[0])
        assert [name + b": " + value for name, value in lines] == [line.replace(b"Y:", b"Y: ") for line in sent]


async def test_planned_list_asks_for_identity() -> None:
    """A planned List's Accept-Encoding is replaced by one identity line; the other lines stay."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request("/api/v1/pods", b"Accept-Encoding: gzip", b"A: 1", b"accept-encoding: br", b"A: 2"))
        assert own_lines(upstream.exchanges[0]) == [(b"A", b"1"), (b"A", b"2"), (b"Accept-Encoding", b"identity")]


async def test_response_lines_keep_order_case_and_repetition() -> None:
    """Header lines of a response arrive in order, repeated where they were repeated, spelt as they were."""
    lines = [
        (b"Audit-Id", b"1"),
        (b"Warning", b'299 - "one"'),
        (b"content-TYPE", b"application/json"),
        (b"Warning", b'299 - "tw\xc3\xb6"'),
        (b"X-Empty", b""),
        (b"Set-Cookie", b"a=b; Path=/"),
        (b"Set-Cookie", b"c=d"),
        (b"Vary", b"Accept, Accept-Encoding"),
    ]
    async with Apiserver(script(response(SMALL_LIST, lines=lines, framing="chunked"))) as upstream:
        for mode in ("raw", "streamed", "buffered"):
            async with running(upstream.url, mode=mode) as proxy:
                answer = await proxy.ask(request())
                kept = [line for line in answer.lines if line[0] not in (b"Transfer-Encoding", b"Content-Length")]
                assert kept[:-2] == lines
                assert [name for name, _ in kept[-2:]] == [b"Via", b"X-Restream-Mode"]


async def test_hop_by_hop_lines_go_both_ways() -> None:
    """Hop-by-hop lines, and those that Connection names, end at the proxy in both directions."""
    lines = [*JSON_LINES, (b"Connection", b"X-Hop, keep-alive"), (b"X-Hop", b"1"), (b"Keep-Alive", b"timeout=5")]
    lines += [(b"Proxy-Authenticate", b"Basic"), (b"X-Stays", b"1"), (b"Trailer", b"X"), (b"Upgrade", b"h2c")]
    async with Apiserver(script(response(SMALL_LIST, lines=lines))) as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(
            request(
                "/version",
                b"connection: x-gone",
                b"X-Gone: 1",
                b"Connection: keep-alive, X-Too",
                b"x-too: 1",
                b"Keep-Alive: 5",
                b"Proxy-Connection: keep-alive",
                b"Proxy-Authorization: Basic eA==",
                b"TE: trailers",
                b"X-Stays: 1",
            )
        )
        assert own_lines(upstream.exchanges[0]) == [(b"X-Stays", b"1")]
        assert [name for name, _ in answer.lines] == [
            *(name for name, _ in JSON_LINES),
            b"X-Stays",
            b"Content-Length",
            b"Via",
            b"X-Restream-Mode",
        ]


@pytest.mark.parametrize("allowed", [True, False])
async def test_mode_header_ends_here(allowed: bool) -> None:
    """X-Restream-Mode never reaches the upstream, and picks a mode only where the settings allow it."""
    async with Apiserver() as upstream, running(upstream.url, allow_mode_header=allowed) as proxy:
        answer = await proxy.ask(request("/api/v1/pods", b"x-ReStream-mode: buffered"))
        assert own_lines(upstream.exchanges[0]) == [(b"Accept-Encoding", b"identity")]
        assert answer.mode == ("buffered; reason=header" if allowed else "streamed; reason=streaming_encoder")
        refused = await proxy.ask(request("/api/v1/pods", b"X-Restream-Mode: bogus"))
        assert refused.status == (400 if allowed else 200)


async def test_mode_header_of_the_upstream_is_replaced() -> None:
    """An upstream's own X-Restream-Mode (a proxy behind a proxy) does not mix with ours."""
    lines = [*JSON_LINES, (b"x-restream-mode", b"raw; reason=bogus")]
    async with Apiserver(script(response(SMALL_LIST, lines=lines))) as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(request())
        assert answer.values(b"x-restream-mode") == [b"streamed; reason=streaming_encoder"]


@pytest.mark.parametrize("mode", ["raw", "streamed", "buffered"])
async def test_trailers_are_no_header_lines(mode: str) -> None:
    """Trailer fields never turn into header lines, in neither direction (RFC 9110, section 6.5.1)."""
    body = chunk(SMALL_LIST) + b"0\r\nX-Trailer: 1\r\n\r\n"
    answered = response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none") + body
    sent = b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\nImpersonate-User: admin\r\n\r\n"
    async with Apiserver(script(answered)) as upstream, running(upstream.url, mode=mode) as proxy:
        answer = await proxy.ask(request())
        assert answer.complete
        assert answer.values(b"x-trailer") == []
        posted = await proxy.ask(request("/x", b"Transfer-Encoding: chunked", method="POST", body=sent), method="POST")
        assert posted.status == 200
        assert own_lines(upstream.exchanges[1]) == [(b"Transfer-Encoding", b"chunked")]
        assert upstream.exchanges[1].content == b"abc"


async def test_connection_cannot_name_the_framing() -> None:
    """A Connection line that names Content-Length does not take the body's framing away (request smuggling)."""
    smuggled = request("/smuggled", method="DELETE")
    length = b"Content-Length: %d" % len(smuggled)
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        sent = request("/x", length, b"Connection: keep-alive, content-length", method="POST", body=smuggled)
        answer = await client.ask(sent, method="POST")
        await client.ask(request("/last"))
        assert b"/smuggled" not in [exchange.target for exchange in upstream.exchanges]
        if answer.status == 200:
            assert upstream.exchanges[0].content == smuggled


async def test_upstream_connection_cannot_name_the_framing() -> None:
    """An upstream's Connection line that names Content-Length leaves the client with a framed body."""
    lines = [*JSON_LINES, (b"Connection", b"Content-Length")]
    async with (
        Apiserver(script(response(SMALL_LIST, lines=lines))) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        for target in ("/version", "/api/v1/pods"):
            await client.send(request(target))
            head = await client.read_until(b"\r\n\r\n")
            assert b"Content-Length: " in head or b"chunked" in head
            await client.read_until(SMALL_LIST)


async def test_large_request_head() -> None:
    """A header block of a bit under 1 MiB passes; one above is refused with 431 and a closed connection."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        lines = [b"X-Line-%d: " % number + b"v" * 8000 for number in range(130)]
        answer = await proxy.ask(request("/version", *lines))
        assert answer.status == 200
        assert [name + b": " + value for name, value in own_lines(upstream.exchanges[0])] == lines
        answer = await proxy.ask(request("/version", b"X-Long: " + b"v" * 1_040_000))
        assert answer.status == 200
        long_url = await proxy.ask(request("/version?" + "q" * 1_000_000))
        assert long_url.status == 200
        async with await proxy.connect() as client:
            await client.send(request("/version")[:-2] + b"X-Long: " + b"v" * (2 << 20))
            refused = await client.answer()
            assert refused.status == 431
            await client.until(lambda: client.has_ended)
        assert len(upstream.exchanges) == 3


async def test_large_response_head() -> None:
    """A response head of a bit under 1 MiB passes; one above is a 502, not a hang."""
    fits = response(SMALL_LIST, lines=[*JSON_LINES, *[(b"Warning", b"w" * 4000)] * 250])
    async with Apiserver(script(fits)) as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(request())
        assert answer.status == 200
        assert answer.values(b"warning") == [b"w" * 4000] * 250
        upstream.script = script(response(SMALL_LIST, lines=[*JSON_LINES, *[(b"Warning", b"w" * 4000)] * 600]))
        assert (await proxy.ask(request())).status == 502


# --- responses without a body -----------------------------------------------------------------------------------------


async def test_head() -> None:
    """HEAD has the headers of the upstream's answer, its Content-Length included, no body, and a live connection."""
    lines = [*JSON_LINES, (b"Content-Length", b"4711")]
    async with Apiserver(script(response(lines=lines, framing="none"))) as upstream, running(upstream.url) as proxy:
        async with await proxy.connect() as client:
            for target in ("/apis/example.com/v1/widgets", "/version"):
                answer = await client.ask(request(target, method="HEAD"), method="HEAD")
                assert answer.status == 200
                assert answer.first(b"content-length") == b"4711"
                assert answer.values(b"transfer-encoding") == []
            upstream.script = answer_small_list
            assert (await client.ask(request())).body == SMALL_LIST
        assert upstream.exchanges[0].method == "HEAD"
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_statuses_without_a_body(status: bytes) -> None:
    """204 and 304 end with their head, and both connections go on."""
    lines = [(b"ETag", b'"x"')] if status.startswith(b"304") else []
    async with Apiserver(script(response(status=status, lines=lines, framing="none"))) as upstream:
        async with running(upstream.url) as proxy, await proxy.connect() as client:
            for target in ("/api/v1/pods", "/apis"):
                answer = await client.ask(request(target, b'If-None-Match: "x"'))
                assert b"%d %s" % (answer.status, answer.reason) == status
                assert not answer.values(b"transfer-encoding")
                assert [line for line in answer.lines if line[0] == b"ETag"] == lines
            assert client.unread == b""
        assert len(upstream.connections) == 1


async def test_empty_and_odd_reasons() -> None:
    """A reason phrase is passed on as it is, an empty one too."""
    for status in (b"200 Fine By Me", b"200 ", b"299 x  y", b"599 Odd"):
        async with Apiserver(script(response(b"x", status=status))) as upstream, running(upstream.url) as proxy:
            answer = await proxy.ask(request("/version"))
            assert b"%d %s" % (answer.status, answer.reason) == status


# --- request bodies ---------------------------------------------------------------------------------------------------


async def test_request_body_with_length() -> None:
    """A body with Content-Length reaches the upstream byte for byte, framed as it was."""
    body = bytes(range(256)) * 20
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        sent = request("/api/v1/namespaces/a/pods", b"Content-Length: %d" % len(body), method="POST", body=body)
        assert (await proxy.ask(sent, method="POST")).status == 200
        exchange = upstream.exchanges[0]
        assert exchange.content == body
        assert own_lines(exchange) == [(b"Content-Length", b"%d" % len(body))]


async def test_request_body_in_chunks() -> None:
    """A chunked body reaches the upstream byte for byte, chunked."""
    body = b"0123456789abcdef" * 3000
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/x", b"Transfer-Encoding: chunked", method="PATCH"))
        await client.send(*[chunk(piece) for piece in cut(body, 1000)], b"0\r\n\r\n")
        assert (await client.answer("PATCH")).status == 200
        assert upstream.exchanges[0].content == body
        assert own_lines(upstream.exchanges[0]) == [(b"Transfer-Encoding", b"chunked")]


@pytest.mark.parametrize("line", [b"Content-Length: 0", b"X-None: 1"])
async def test_request_without_body(line: bytes) -> None:
    """A POST with an empty body, or none, is passed on as such."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        assert (await proxy.ask(request("/x", line, method="POST"), method="POST")).status == 200
        assert own_lines(upstream.exchanges[0]) == [tuple(line.split(b": "))]


async def test_large_request_body_is_streamed_with_backpressure() -> None:
    """An upstream that does not read stops the client's writing at a bound; then the whole body arrives."""
    size = 64 << 20
    go_on = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        exchange.connection.pause()
        await go_on.wait()
        exchange.connection.resume()
        await exchange.body()
        await exchange.send(response(b"ok"))

    async with Apiserver(slow) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        head = request("/x", b"Content-Length: %d" % size, method="POST")
        sending = asyncio.ensure_future(client.send(head, *[b"x" * 65536] * (size >> 16)))
        await upstream.wait_for_exchanges(1)
        await stalled(client)
        assert client.sent < 48 << 20  # the kernel may keep 32 MiB for a reader that is slow
        assert not sending.done()
        go_on.set()
        await sending
        assert (await client.answer("POST")).body == b"ok"
        assert len(upstream.exchanges[0].content or b"") == size


async def stalled(client: Client) -> None:
    """Wait until a second's worth of turns has brought no more bytes on their way."""
    before, since = -1, 0
    while since < 100:
        await asyncio.sleep(0.005)
        before, since = (before, since + 1) if client.sent == before else (client.sent, 0)


async def test_expect_continue() -> None:
    """A client that waits for 100 Continue gets it, then its answer; the upstream sees no Expect."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/x", b"Expect: 100-Continue", b"Content-Length: 4", method="PUT"))
        assert await client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"body")
        assert (await client.answer("PUT")).status == 200
        assert upstream.exchanges[0].content == b"body"
        assert own_lines(upstream.exchanges[0]) == [(b"Content-Length", b"4")]


async def test_other_expectations_end_here() -> None:
    """An expectation that is none of ours is dropped as 100-continue is; a request without a body has none."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        for lines in ([b"Expect: the best", b"Content-Length: 0"], [b"Expect: 100-continue"]):
            answer = await proxy.ask(request("/x", *lines, method="POST"), method="POST")
            assert (answer.status, answer.interim) == (200, [])
        assert [exchange.values(b"expect") for exchange in upstream.exchanges] == [[], []]


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_create_of_3_mib(framing: str) -> None:
    """The largest object that a kube-apiserver takes goes up as it is framed, after 100 Continue if so wanted."""
    body = bytes(range(256)) * (3 << 12)
    line = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Content-Length: %d" % len(body)
    sent = chunked(cut(body, 70_000)) if framing == "chunked" else body
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for expect in ([], [b"Expect: 100-continue"]):
            await client.send(request("/api/v1/namespaces/a/configmaps", line, *expect, method="POST"))
            await client.send(sent)
            answer = await client.answer("POST")
            assert (answer.body, answer.interim) == (SMALL_LIST, [100] if expect else [])
            assert upstream.exchanges[-1].content == body
        assert len(upstream.connections) == 1


async def test_answer_before_the_body_was_sent() -> None:
    """An upstream may answer before it has the body; the client gets that answer."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.send(response(b"too large", status=b"413 Request Entity Too Large"))
        await exchange.wait_closed()

    async with Apiserver(refuse) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/x", b"Content-Length: 1000000", method="POST"), b"x" * 1000)
        answer = await client.answer("POST")
        assert answer.status == 413
        assert answer.body == b"too large"
        await client.send(b"x" * 999_000)
        upstream.script = answer_small_list
        assert (await client.ask(request())).body == SMALL_LIST


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("mode", ["raw", "streamed", "buffered"])
async def test_connections_are_reused_on_both_sides(mode: str, framing: str) -> None:
    """Twenty requests of all kinds on one client connection need one upstream connection."""
    async with (
        Apiserver(script(response(SMALL_LIST, framing=framing))) as upstream,
        running(upstream.url, mode=mode) as proxy,
        await proxy.connect() as client,
    ):
        for _ in range(5):
            assert (await client.ask(request())).body == SMALL_LIST
            assert (await client.ask(request("/version"))).body == SMALL_LIST
            for method in ("POST", "DELETE"):
                sent = request("/x", b"Content-Length: 2", method=method, body=b"{}")
                assert (await client.ask(sent, method=method)).body == SMALL_LIST
        assert len(upstream.connections) == 1
        assert len(upstream.exchanges) == 20


async def test_upstream_connections_are_shared_by_clients() -> None:
    """Clients that come one after the other use the same upstream connection."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        for _ in range(5):
            assert (await proxy.ask(request())).complete
        assert len(upstream.connections) == 1


async def test_concurrent_requests_do_not_wait_for_each_other() -> None:
    """Fifty requests at once are at the upstream at once, and each gets its own answer."""
    count = 50
    all_here = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        if len(upstream.exchanges) == count:
            all_here.set()
        await all_here.wait()
        await exchange.send(response(exchange.target))

    async with Apiserver(wait) as upstream, running(upstream.url) as proxy:
        targets = [b"/version?%d" % number for number in range(count)]
        answers = await asyncio.gather(*(proxy.ask(request(target)) for target in targets))
        assert [answer.body for answer in answers] == targets


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests that are sent without waiting are answered one after the other, bodies included."""
    targets = [b"/version?%d" % number for number in range(40)]

    async def echo(exchange: Exchange) -> None:
        await exchange.send(response(exchange.target + b"=" + await exchange.body(), framing="chunked"))

    async with Apiserver(echo) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        requests = [
            request(target, b"Content-Length: 3", method="POST", body=b"abc") if at % 3 == 0 else request(target)
            for at, target in enumerate(targets)
        ]
        await client.send(b"".join(requests))
        for at, target in enumerate(targets):
            assert (await client.answer()).body == target + (b"=abc" if at % 3 == 0 else b"=")


async def test_connection_close_is_honoured() -> None:
    """A client that says close gets its answer, then the end of the connection."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        answer = await client.ask(request("/version", b"Connection: close"))
        assert answer.body == SMALL_LIST
        assert answer.values(b"connection") == [b"close"]
        assert await client.read_rest() == b""
        assert not client.was_reset
        await proxy.ask(request("/version"))
        assert len(upstream.connections) == 1


async def test_upstream_that_closes_is_not_reused() -> None:
    """An upstream's Connection: close is for the proxy: the client's connection stays."""
    lines = [*JSON_LINES, (b"Connection", b"close")]
    async with Apiserver(script(response(SMALL_LIST, lines=lines), close=True)) as upstream:
        async with running(upstream.url) as proxy, await proxy.connect() as client:
            for _ in range(3):
                answer = await client.ask(request())
                assert answer.body == SMALL_LIST
                assert answer.values(b"connection") == []
        assert len(upstream.connections) == 3


async def test_http10_client() -> None:
    """An HTTP/1.0 client gets no chunks: a counted body, or one that ends with the connection."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        counted = await proxy.ask(request(version="1.0", host=None))
        assert counted.body == SMALL_LIST
        assert counted.first(b"content-length") == b"%d" % len(SMALL_LIST)
        assert counted.values(b"connection") == [b"close"]
        upstream.script = script(response(SMALL_LIST, framing="chunked"))
        for mode in ("streamed", "raw"):
            target = "/api/v1/pods" if mode == "streamed" else "/version"
            until_close = await proxy.ask(request(target, b"Connection: keep-alive", version="1.0", host=None))
            assert until_close.complete
            assert until_close.body == SMALL_LIST
            assert until_close.values(b"transfer-encoding") == []
            assert until_close.values(b"connection") == [b"close"]
            assert until_close.mode.startswith(mode)


async def test_http10_keep_alive() -> None:
    """An HTTP/1.0 client that asks for it keeps its connection where the body is counted."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for _ in range(3):
            answer = await client.ask(request("/version", b"Connection: keep-alive", version="1.0"))
            assert answer.body == SMALL_LIST
            assert answer.values(b"connection") == [b"keep-alive"]


async def test_http10_upstream() -> None:
    """An HTTP/1.0 upstream's answer, which ends with its connection, reaches the client as a framed one."""
    answered = response(SMALL_LIST, framing="close", version=b"HTTP/1.0")
    async with Apiserver(script(answered, close=True)) as upstream:
        for mode in ("raw", "streamed", "buffered"):
            async with running(upstream.url, mode=mode) as proxy, await proxy.connect() as client:
                for _ in range(2):
                    answer = await client.ask(request())
                    assert answer.complete
                    assert answer.body == SMALL_LIST


async def test_interim_responses() -> None:
    """An upstream's interim responses come before the answer and leave no trace in it."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Early: 1\r\n\r\n"
    full = response(SMALL_LIST, framing="chunked")
    for pieces in ([interim + full], [interim, full], cut(interim + full, 1)):
        async with Apiserver(script(*pieces)) as upstream, running(upstream.url) as proxy:
            async with await proxy.connect() as client:
                for _ in range(2):
                    answer = await client.ask(request())
                    assert answer.status == 200
                    assert answer.body == SMALL_LIST
                    assert answer.values(b"x-early") == []
            assert len(upstream.connections) == 1


async def test_stale_connection_replays_what_can_be_replayed() -> None:
    """A GET on a connection that the upstream has just closed is sent again on a new one, once."""

    async def once(exchange: Exchange) -> None:
        if exchange.number == 1 and len(upstream.exchanges) > 1:
            exchange.close()
            return
        await answer_small_list(exchange)

    async with Apiserver(once) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for _ in range(2):
            assert (await client.ask(request())).body == SMALL_LIST
        assert [exchange.number for exchange in upstream.exchanges] == [1, 1, 2]


async def test_get_is_replayed_only_once() -> None:
    """A GET that a fresh connection does not answer either is a 502."""

    async def never(exchange: Exchange) -> None:
        exchange.close()

    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request())).body == SMALL_LIST
        upstream.script = never
        assert (await client.ask(request())).status == 502
        assert len(upstream.exchanges) == 3


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
async def test_writes_are_not_replayed(method: str) -> None:
    """A write whose connection dies is a 502: it may have been done."""

    async def dies(exchange: Exchange) -> None:
        exchange.close()

    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request())).body == SMALL_LIST
        upstream.script = dies
        answer = await client.ask(request("/x", b"Content-Length: 2", method=method, body=b"{}"), method=method)
        assert answer.status == 502
        assert answer.values(b"retry-after") == []
        assert len(upstream.exchanges) == 2


@pytest.mark.parametrize("sent", [b"H", b"HTTP/1.1 200 OK\r\nX: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_begun_response_is_not_asked_for_again(sent: bytes) -> None:
    """A connection that ends inside the head of a response was no idle one that had been closed: 502."""

    async def dies(exchange: Exchange) -> None:
        await exchange.send(sent)
        exchange.close()

    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request())).body == SMALL_LIST
        upstream.script = dies
        assert (await client.ask(request("/version"))).status == 502
        assert len(upstream.exchanges) == 2


@pytest.mark.parametrize("lines", [[], [b"Content-Length: 2"]], ids=["without a body", "with a body"])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_is_sent_again(method: str, how: str, lines: list[bytes]) -> None:
    """Safe methods are sent again, however the idle connection has ended; not with a body, which is read only once."""

    async def once(exchange: Exchange) -> None:
        if exchange.number == 1 and len(upstream.exchanges) > 1:
            getattr(exchange, how)()
        else:
            await exchange.send(response(lines=JSON_LINES))

    async with Apiserver(once) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request("/version"))).status == 200
        sent = request("/x", *lines, method=method, body=b"{}" if lines else b"")
        assert (await client.ask(sent, method=method)).status == (502 if lines else 200)
        assert len(upstream.exchanges) == (2 if lines else 3)


async def test_timeouts_are_not_sent_again() -> None:
    """An upstream that is silent on an idle connection has the request: 504, and no second one."""

    async def silent(exchange: Exchange) -> None:
        await exchange.wait_closed()

    limits = Limits(first_byte_seconds=0.15, drain_seconds=0.2)
    async with (
        Apiserver() as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect() as client,
    ):
        assert (await client.ask(request())).body == SMALL_LIST
        upstream.script = silent
        assert (await client.ask(request("/version"))).status == 504
        assert len(upstream.exchanges) == 2


async def test_connection_closed_while_idle_is_not_used() -> None:
    """A connection that the upstream closes while it is idle is noticed, so that a write does not fail for it."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request())).body == SMALL_LIST
        upstream.connections[0].close()
        await upstream.connections[0].until(lambda: upstream.connections[0].is_lost)
        assert (await client.ask(request("/x", method="DELETE"), method="DELETE")).status == 200
        assert len(upstream.connections) == 2


UNSOLICITED = [
    response(b"nobody asked", lines=[]),
    response(lines=[]),
    b"garbage",
    response(b"nobody asked", lines=[])[:20],
]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("extra", UNSOLICITED, ids=["body", "empty", "garbage", "part"])
async def test_bytes_that_nobody_asked_for(extra: bytes, framing: str) -> None:
    """What an upstream sends beyond its response is nobody's: the next request goes to another connection."""
    async with (
        Apiserver(script(response(SMALL_LIST, framing=framing) + extra)) as upstream,
        running(upstream.url) as proxy,
        await proxy.connect() as client,
    ):
        assert (await client.ask(request("/version"))).body == SMALL_LIST
        upstream.script = answer_small_list
        second = await client.ask(request("/version"))
        assert second.status == 200
        assert second.body == SMALL_LIST
        assert [exchange.number for exchange in upstream.exchanges] == [1, 2]


async def test_abandoned_response_does_not_spoil_the_pool() -> None:
    """A connection whose complete response nobody took to its end serves the next request, or is closed."""
    limits = Limits(read_buffer_bytes=16384, write_buffer_bytes=65536, first_byte_seconds=5, drain_seconds=0.2)
    blocked = asyncio.Event()

    async def flood(exchange: Exchange) -> None:
        await exchange.send(response(framing="none", lines=[(b"Transfer-Encoding", b"chunked")]))
        while proxy.sample("restream_buffered_bytes", mode="raw") <= 65536:
            await exchange.send(chunk(b"x" * 32768))
            await asyncio.sleep(0.001)
        await exchange.send(chunk(b"x" * 20000) + b"0\r\n\r\n")
        await asyncio.sleep(0.01)
        blocked.set()

    async with Apiserver(flood) as upstream, running(upstream.url, limits=limits) as proxy:
        async with await proxy.connect(receive_buffer=4096) as client:
            client.pause()
            await client.send(request("/version"))
            await blocked.wait()
            client.reset()
        await proxy.aborts("client_gone")
        upstream.script = answer_small_list
        assert (await proxy.ask(request())).status == 200


# --- malformed requests -----------------------------------------------------------------------------------------------

HOST = b"Host: 127.0.0.1\r\n"
MALFORMED = {
    "length and chunked": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked and length": b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "two lengths": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "same length twice": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "length list": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
    "unknown coding": b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST /x HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": b"GET /x HTTP/1.1\n" + HOST.replace(b"\r", b"") + b"\n",
    "one bare line feed": b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\nX: 1\r\n\r\n",
    "obs-fold": b"GET /x HTTP/1.1\r\n" + HOST + b"X: 1\r\n 2\r\n\r\n",
    "space before colon": b"GET /x HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    "no Host": b"GET /x HTTP/1.1\r\nX: 1\r\n\r\n",
    "two Hosts": b"GET /x HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "NUL in a value": b"GET /x HTTP/1.1\r\n" + HOST + b"X: \x00\r\n\r\n",
    "CR in a value": b"GET /x HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "no version": b"GET /x\r\n\r\n",
    "HTTP/2.0": b"GET /x HTTP/2.0\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "space in target": b"GET /x y HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_malformed_request(what: str) -> None:
    """What is not one well-framed request is refused with a 4xx or 5xx, the connection closed, the rest never run."""
    follow_up = request("/smuggled", method="DELETE")
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(MALFORMED[what] + follow_up)
        answer = await client.answer()
        assert answer.status in (400, 501, 505)
        assert await client.read_rest() == b""
        assert (await proxy.ask(request())).body == SMALL_LIST
        assert [exchange.target for exchange in upstream.exchanges] == [b"/api/v1/pods"]


async def test_malformed_request_behind_a_good_one() -> None:
    """A good request before a malformed one is answered first."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/version") + b"\x00garbage\r\n\r\n")
        assert (await client.answer()).body == SMALL_LIST
        assert (await client.answer()).status == 400
        assert await client.read_rest() == b""
        assert len(upstream.exchanges) == 1


async def test_malformed_chunk_in_a_request_body() -> None:
    """A request body whose chunks are malformed is never completed upstream; the client gets 400 and the end."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/x", b"Transfer-Encoding: chunked", method="POST"), b"3\r\nabc\r\n")
        await upstream.wait_for_exchanges(1)
        await client.send(b"zz\r\nabc\r\n0\r\n\r\n")
        assert (await client.answer("POST")).status == 400
        await client.until(lambda: client.has_ended)
        await proxy.quiet()
        assert upstream.exchanges[0].content is None


async def test_malformed_chunk_after_an_early_answer() -> None:
    """Malformed chunks after the answer close the connection."""

    async def early(exchange: Exchange) -> None:
        await exchange.send(response(b"early"))
        await exchange.wait_closed()

    async with Apiserver(early) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/x", b"Transfer-Encoding: chunked", method="POST"), b"3\r\nabc\r\n")
        assert (await client.answer("POST")).body == b"early"
        await client.send(b"zz\r\n")
        await client.until(lambda: client.has_ended)
        await eventually(lambda: not upstream.open_connections)


async def test_client_that_ends_inside_its_request() -> None:
    """A client that leaves in the middle of its body takes its upstream request with it."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        async with await proxy.connect() as client:
            await client.send(request("/x", b"Content-Length: 100", method="POST"), b"x" * 50)
            exchange = await upstream.wait_for_exchanges(1)
        await exchange.wait_closed()
        await proxy.aborts("client_gone")
        assert exchange.content is None


def test_answers_are_chunked_once() -> None:
    """The fake's own framing is what it says (the tests above stand on it)."""
    assert chunked([b"abc", b"de"]) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert not Answer(200, b"", [], b"", complete=False, was_reset=False).values(b"x")
