"""The failure contract: before the first byte a Status, after it an unfinished response, never a clean end."""

import asyncio
import json
import socket

import pytest
import yaml

from proxy.core.errors import ListError
from proxy.settings import Limits
from tests.fakes.apiserver import (
    JSON_LINES,
    SMALL_LIST,
    Apiserver,
    Exchange,
    Script,
    answer_small_list,
    chunk,
    chunked,
    cut,
    response,
    script,
)
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Answer, request

LOOPS = ("asyncio", "uvloop")
MODES = ("raw", "streamed", "buffered")

CHUNKED_HEAD = response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none")
WHOLE = {
    "length": response(SMALL_LIST),
    "chunked": response(SMALL_LIST, framing="chunked", chunk_size=50),
    "close": response(SMALL_LIST, framing="close"),
}
BEFORE_ITEMS = SMALL_LIST[: SMALL_LIST.index(b"[") + 1]
IMPATIENT = Limits(first_byte_seconds=0.15, between_bytes_seconds=0.15, connect_seconds=0.3, drain_seconds=0.2)


def status_of(answer: Answer) -> dict[str, object]:
    """Check that an answer is a Kubernetes Status in JSON that no client replays; return it."""
    assert answer.complete
    assert answer.first(b"content-type") == b"application/json"
    assert answer.values(b"retry-after") == []
    status: dict[str, object] = json.loads(answer.body)
    assert status["kind"] == "Status"
    assert status["apiVersion"] == "v1"
    assert status["status"] == "Failure"
    assert status["code"] == answer.status
    assert status["message"]
    return status


def judge(answer: Answer, *, where: object) -> str:
    """Say which of the three honest outcomes an answer is; fail on every other one."""
    if answer.status in (502, 504):
        status_of(answer)
        return "status"
    assert answer.status == 200, (where, answer)
    if not answer.complete:
        assert SMALL_LIST.startswith(answer.body), (where, answer)
        return "unfinished"
    assert answer.body == SMALL_LIST, (where, answer)
    return "whole"


def closed_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# --- death at every byte ----------------------------------------------------------------------------------------------


def dies_at(whole: bytes, ending: str) -> Script:
    """Make a script that sends as many bytes as the query says, then ends with a FIN or an RST."""

    async def play(exchange: Exchange) -> None:
        await exchange.body()
        at = int(exchange.target.partition(b"=")[2])
        if at:
            await exchange.send(whole[:at])
        if ending == "fin":
            exchange.close()
        else:
            exchange.reset()

    return play


async def ask_for_each_cut(proxy: Running, size: int, *, version: str = "1.1") -> list[Answer]:
    """Ask once for every place of death, some at a time."""
    answers = []
    for batch in (range(at, min(at + 25, size + 1)) for at in range(0, size + 1, 25)):
        asked = [request(f"/api/v1/pods?cut={at}", version=version) for at in batch]
        answers += await asyncio.gather(*map(proxy.ask, asked))
    return answers


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("framing", list(WHOLE))
@pytest.mark.parametrize("mode", MODES)
async def test_upstream_dies_at_every_byte(mode: str, framing: str, ending: str) -> None:
    """Wherever the upstream dies, the client has all of the List, a Status, or a visibly unfinished response."""
    whole = WHOLE[framing]
    head_size = whole.index(b"\r\n\r\n") + 4
    async with Apiserver(dies_at(whole, ending)) as upstream, running(upstream.url, mode=mode) as proxy:
        answers = await ask_for_each_cut(proxy, len(whole))
        outcomes = []
        for at, answer in enumerate(answers):
            unjudged = framing == "close" and ending == "fin" and at >= head_size
            if unjudged and (mode == "raw" or at == len(whole) - 1):  # less the final newline it is the same List
                assert answer.complete
                assert answer.body == whole[head_size:at]
                outcomes.append("unjudged")
            else:
                outcomes.append(judge(answer, where=at))
            assert at >= head_size or answer.status == 502, at
        if ending == "fin":
            assert outcomes[-1] in ("whole", "unjudged")
        if mode == "buffered":
            assert "unfinished" not in outcomes
        elif framing != "close":
            assert "unfinished" in outcomes
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == outcomes.count("unfinished")
        assert not upstream.open_connections


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("mode", ["streamed", "buffered"])
async def test_http10_client_sees_every_death(mode: str, framing: str) -> None:
    """For an HTTP/1.0 client, whose body ends with the connection, a broken List ends with a reset."""
    whole = WHOLE[framing]
    async with Apiserver(dies_at(whole, "fin")) as upstream, running(upstream.url, mode=mode) as proxy:
        answers = await ask_for_each_cut(proxy, len(whole), version="1.0")
        outcomes = [
            judge(answer, where=at) for at, answer in enumerate(answers) if framing == "chunked" or at != len(whole) - 1
        ]
        assert outcomes[-1] == "whole"
        assert ("unfinished" in outcomes) == (mode == "streamed")
        assert all(answer.was_reset for answer in answers if not answer.complete)


async def test_http10_client_of_a_raw_answer_sees_the_death() -> None:
    """What is copied raw for an HTTP/1.0 client ends with a reset too where its framing was broken."""
    whole = WHOLE["chunked"]
    async with Apiserver(script(whole[:-20], close=True)) as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(request("/version", version="1.0"))
        assert answer.status == 200
        assert answer.was_reset


async def test_watch_ends_as_its_upstream_ends() -> None:
    """A watch that is cut is cut for the client, one that ends cleanly ends cleanly."""
    for whole, complete in ((WHOLE["chunked"], True), (WHOLE["chunked"][:-5], False)):
        async with Apiserver(script(whole, close=True)) as upstream, running(upstream.url) as proxy:
            answer = await proxy.ask(request("/api/v1/pods?watch=1"))
            assert answer.complete == complete
            assert answer.body == SMALL_LIST


# --- an upstream that is not there, or silent -------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/api/v1/pods", "/version"])
@pytest.mark.parametrize("mode", MODES)
async def test_upstream_refuses_the_connection(mode: str, target: str) -> None:
    """Nobody listening is a 502 Status."""
    async with running(f"http://127.0.0.1:{closed_port()}", mode=mode) as proxy, await proxy.connect() as client:
        for _ in range(2):
            status = status_of(await client.ask(request(target)))
            assert status["code"] == 502
            assert "connect" in str(status["message"])
        assert (await proxy.ask_admin("/readyz")).status == 503
        await proxy.quiet()


async def test_upstream_does_not_resolve() -> None:
    """A name that does not resolve is a 502 Status."""
    async with running("http://no-such-host.invalid:8080") as proxy:
        assert status_of(await proxy.ask(request()))["code"] == 502


async def test_connecting_takes_too_long() -> None:
    """An upstream that does not finish its TLS handshake in time is a 504 Status."""
    async with Apiserver() as upstream:
        silent = upstream.url.replace("http:", "https:")
        async with running(silent, limits=IMPATIENT) as proxy:
            status = status_of(await proxy.ask(request()))
            assert status["code"] == 504
            assert status["reason"] == "Timeout"


@pytest.mark.parametrize("sent", [b"", WHOLE["chunked"][:30]], ids=["silent", "half a head"])
@pytest.mark.parametrize("mode", MODES)
async def test_upstream_is_silent(mode: str, sent: bytes) -> None:
    """No head in time is a 504 Status, and the upstream's connection is closed."""

    async def silent(exchange: Exchange) -> None:
        await exchange.send(sent)
        await exchange.wait_closed()

    async with Apiserver(silent) as upstream, running(upstream.url, mode=mode, limits=IMPATIENT) as proxy:
        async with await proxy.connect() as client:
            status = status_of(await client.ask(request()))
            assert status["code"] == 504
            upstream.script = answer_small_list
            assert (await client.ask(request())).body == SMALL_LIST
        await eventually(lambda: upstream.connections[0].has_ended)


async def test_watches_may_be_silent() -> None:
    """Watches, logs and the like are exempt from the limits on silence."""

    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(3 * IMPATIENT.first_byte_seconds)
        await exchange.send(CHUNKED_HEAD, chunk(SMALL_LIST))
        await asyncio.sleep(3 * IMPATIENT.between_bytes_seconds)
        await exchange.send(b"0\r\n\r\n")

    async with Apiserver(slow) as upstream, running(upstream.url, limits=IMPATIENT) as proxy:
        for target in ("/api/v1/pods?watch=1", "/api/v1/namespaces/a/pods/x/log?follow=true"):
            answer = await proxy.ask(request(target))
            assert answer.complete
            assert answer.body == SMALL_LIST


@pytest.mark.parametrize("mode", MODES)
async def test_upstream_stalls_inside_the_body(mode: str) -> None:
    """Silence inside a body is an abort, or a 504 Status where nothing was sent yet."""

    async def stall(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD, chunk(SMALL_LIST[:100]))
        await exchange.wait_closed()

    async with Apiserver(stall) as upstream, running(upstream.url, mode=mode, limits=IMPATIENT) as proxy:
        answer = await proxy.ask(request())
        if mode == "buffered":
            assert status_of(answer)["code"] == 504
        else:
            assert judge(answer, where="stall") == "unfinished"
            await proxy.aborts("upstream_timeout")
        await proxy.quiet()


# --- an upstream that answers something else --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (b"400 Bad Request", b"application/json", b'{"kind":"Status","code":400}\n'),
        (b"404 Not Found", b"text/plain; charset=utf-8", b"404 page not found\n"),
        (b"410 Gone", b"application/json", b'{"kind":"Status","items":[],"code":410}\n'),
        (b"429 Too Many Requests", b"text/plain", b"Too many requests, please try again later.\n"),
        (b"500 Internal Server Error", b"application/json", b'{"kind":"Status", "truncated'),
        (b"503 Service Unavailable", b"text/plain", b"service unavailable\n"),
        (b"504 Gateway Timeout", b"text/plain", b'{"metadata":{},"status":"Failure","code":504}\n'),
        (b"301 Moved Permanently", b"text/html", b""),
    ],
    ids=lambda value: value.decode("latin-1")[:3] if value[:1].isdigit() else "",
)
async def test_errors_of_the_upstream_pass_unchanged(mode: str, status: bytes, kind: bytes, body: bytes) -> None:
    """An upstream's own errors pass as they are, Retry-After and plain text included."""
    lines = [(b"Content-Type", kind), (b"Retry-After", b"2"), (b"Audit-Id", b"7"), (b"Location", b"/x")]
    async with (
        Apiserver(script(response(body, status=status, lines=lines))) as upstream,
        running(upstream.url, mode=mode) as proxy,
    ):
        answer = await proxy.ask(request())
        assert b"%d %s" % (answer.status, answer.reason) == status
        assert answer.body == body
        assert answer.lines[:4] == lines
        assert answer.mode.startswith("raw")


GARBAGE = {
    "nothing like HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "binary": bytes(range(256)),
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x16",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "other version": b"HTTP/3.0 200 OK\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "header without colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_upstream_answers_garbage(what: str) -> None:
    """What is not HTTP/1.1 is a 502 Status, whether it comes at once or byte by byte."""
    for pieces in ([GARBAGE[what]], cut(GARBAGE[what], 1)):
        async with Apiserver(script(*pieces, close=True)) as upstream, running(upstream.url) as proxy:
            for target in ("/api/v1/pods", "/version"):
                assert status_of(await proxy.ask(request(target)))["code"] == 502
            await eventually(lambda upstream=upstream: not upstream.open_connections)  # type: ignore[misc]


BAD_CHUNKS = [b"zz\r\n", b"-5\r\nabcde\r\n", b"\r\n", b"fffffffffffffffff\r\n", b"5\r\n     XX"]
"""What is in a chunk is JSON, so that nothing else is wrong."""


@pytest.mark.parametrize("bad", BAD_CHUNKS)
@pytest.mark.parametrize("mode", MODES)
async def test_upstream_breaks_its_chunks(mode: str, bad: bytes) -> None:
    """Malformed chunks end in an abort, or in a 502 Status where nothing was sent yet."""
    whole = CHUNKED_HEAD + chunk(SMALL_LIST[:100])

    async def play(exchange: Exchange) -> None:
        await exchange.send(whole)
        if mode != "buffered":
            await client.until(lambda: SMALL_LIST[:80] in client.seen)
        await exchange.send(bad)
        await exchange.wait_closed()

    async with Apiserver(play) as upstream, running(upstream.url, mode=mode) as proxy:
        async with await proxy.connect() as client:
            await client.send(request())
            answer = await client.answer()
        expected = {"buffered": "status"}.get(mode, "unfinished")
        if answer.status == 200:
            assert not answer.complete
        assert expected == ("status" if answer.status == 502 else "unfinished")
        if mode != "buffered":
            await proxy.aborts("upstream_protocol")


@pytest.mark.parametrize("mode", MODES)
async def test_announced_length_is_not_kept(mode: str) -> None:
    """A body shorter than announced is unfinished, one that goes on is cut where it was announced to end."""
    longer = response(SMALL_LIST).replace(b"%d" % len(SMALL_LIST), b"%d" % (len(SMALL_LIST) + 9))
    async with Apiserver(script(longer, close=True)) as upstream, running(upstream.url, mode=mode) as proxy:
        answer = await proxy.ask(request())
        assert answer.status == 502 if mode == "buffered" else not answer.complete
        shorter = response(SMALL_LIST).replace(b"%d" % len(SMALL_LIST), b"%d" % (len(SMALL_LIST) - 9))
        upstream.script = script(shorter)
        answer = await proxy.ask(request())
        if mode == "raw":
            assert answer.body == SMALL_LIST[:-9]
        else:
            assert answer.status == 502 or not answer.complete
        upstream.script = answer_small_list
        assert (await proxy.ask(request())).body == SMALL_LIST


# --- bodies that are not Lists ----------------------------------------------------------------------------------------

ITEM = b'{"metadata":{"name":"a"}}'
INVALID = {
    "trailing_data": SMALL_LIST + b"{}",
    "truncated": SMALL_LIST[:-20],
    "truncated behind the items": SMALL_LIST[:-2],
    "duplicate_items": SMALL_LIST[:-2] + b',"items":[]}\n',
    "item_too_large": BEFORE_ITEMS + ITEM + b',{"x":"' + b"y" * 30_000 + b'"}]}',
    "invalid_utf8": BEFORE_ITEMS + ITEM + b',{"x":"\xff"}]}',
    "invalid_json": BEFORE_ITEMS + ITEM + b',{"x":01}]}',
    "two commas": BEFORE_ITEMS + ITEM + b",," + ITEM + b"]}",
    "last comma": BEFORE_ITEMS + ITEM + b",]}",
    "nesting": BEFORE_ITEMS + ITEM + b"," + b"[" * 20_000 + b"]" * 20_000 + b"]}",
    "garbage": b"<html>definitely not JSON</html>",
    "empty": b"",
}


REASONS = {error.reason for error in ListError.__subclasses__()}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("what", INVALID)
@pytest.mark.parametrize("mode", ["streamed", "buffered"])
async def test_invalid_list_at_once(mode: str, what: str, framing: str) -> None:
    """A broken List with clean framing is a 502 Status that quotes nothing, or unfinished; buffered always a Status."""
    whole = response(INVALID[what], framing=framing) if INVALID[what] else response(framing="length")
    async with (
        Apiserver(script(whole)) as upstream,
        running(upstream.url, mode=mode, max_item_bytes=20_000) as proxy,
    ):
        answer = await proxy.ask(request())
        assert answer.status == 502 or not answer.complete, answer
        assert answer.status == 502 or mode == "streamed"
        if answer.status == 502:
            assert "yyy" not in str(status_of(answer)["message"])
        else:
            await eventually(lambda: proxy.sample("restream_aborts_total") == 1)
        await proxy.quiet()


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("mode", ["streamed", "buffered"])
async def test_list_truncated_at_every_byte(mode: str, framing: str, pieces: int) -> None:
    """A List that stops anywhere although its framing ends cleanly never reaches the client as a complete response."""

    async def play(exchange: Exchange) -> None:
        await exchange.body()
        body = SMALL_LIST[: int(exchange.target.partition(b"=")[2])]
        last = 4 if framing == "length" else 9
        whole = response(body, framing=framing if body else "length")
        await exchange.send(*([whole] if pieces == 1 else [whole[:-last], whole[-last:]]))

    async with Apiserver(play) as upstream, running(upstream.url, mode=mode) as proxy:
        answers = await ask_for_each_cut(proxy, len(SMALL_LIST))
        for at, answer in enumerate(answers):
            if at >= len(SMALL_LIST) - 1:
                assert answer.complete
                assert answer.body == SMALL_LIST[:at]
            else:
                assert judge(answer, where=at) != "whole"
        await proxy.quiet()


@pytest.mark.parametrize("what", [what for what in INVALID if INVALID[what].startswith(BEFORE_ITEMS)])
async def test_invalid_list_after_the_first_byte(what: str) -> None:
    """A List that turns out to be broken once its first item is with the client is aborted, counted by its reason."""
    first = BEFORE_ITEMS + ITEM

    async def play(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD, chunk(first + b","))
        await client.until(lambda: first in client.seen)
        await exchange.send(chunk(INVALID[what].removeprefix(first + b",")), b"0\r\n\r\n")

    async with Apiserver(play) as upstream, running(upstream.url, max_item_bytes=20_000) as proxy:
        async with await proxy.connect() as client:
            await client.send(request())
            answer = await client.answer()
        assert answer.status == 200
        assert not answer.complete
        assert answer.body.startswith(first)
        kind = what.partition(" ")[0]
        await proxy.aborts(kind if kind in REASONS else "invalid_json")
        await proxy.quiet()


@pytest.mark.parametrize("mode", ["streamed", "buffered"])
@pytest.mark.parametrize("body", [b"{}", b'{"kind":"APIResourceList","resources":[]}\n', b'"text"', b"[1,2]", b"0"])
async def test_answer_without_items(mode: str, body: bytes) -> None:
    """A 200 without an items array passes unchanged and is called what it is."""
    for framing in ("length", "chunked"):
        async with (
            Apiserver(script(response(body, framing=framing))) as upstream,
            running(upstream.url, mode=mode) as proxy,
        ):
            answer = await proxy.ask(request())
            assert answer.complete
            assert answer.body == body
            assert answer.mode == "raw; reason=not_a_list"


@pytest.mark.parametrize("mode", ["streamed", "buffered"])
async def test_long_answer_without_items(mode: str) -> None:
    """A long 200 without an items array passes unchanged too, and is not held."""
    body = b'{"kind":"Other","text":"' + b"x" * 500_000 + b'","list":[' + b"1," * 200_000 + b"2]}\n"
    async with (
        Apiserver(script(response(body, framing="chunked", chunk_size=30000))) as upstream,
        running(upstream.url, mode=mode) as proxy,
    ):
        answer = await proxy.ask(request())
        assert answer.complete
        assert answer.body == body


# --- Statuses in the client's media type ------------------------------------------------------------------------------

PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        (f"{PROTOBUF},application/json", PROTOBUF),
        (PROTOBUF, PROTOBUF),
        (f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json", "application/json"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "application/json"),
        ("application/yaml", "application/yaml"),
        (f"application/json;q=0.1, {PROTOBUF};q=0.5", PROTOBUF),
    ],
)
async def test_status_in_the_clients_media_type(accept: str, expected: str) -> None:
    """The proxy's own errors are negotiated as the apiserver's are."""
    async with running(f"http://127.0.0.1:{closed_port()}") as proxy:
        lines = [b"Accept: " + accept.encode()] if accept else []
        answer = await proxy.ask(request("/api/v1/pods", *lines))
        assert answer.status == 502
        assert answer.first(b"content-type").decode() == expected
        if expected == PROTOBUF:
            assert answer.body.startswith(b"k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Status\x12")
            assert answer.body.endswith(b"\x30\xf6\x03\x1a\x00\x22\x00")
        else:
            status = yaml.safe_load(answer.body)
            assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", 502)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_failed_write_is_never_retried_by_clients(method: str) -> None:
    """The proxy's own errors carry no Retry-After: an integer one makes client-go repeat the request, writes too."""
    async with running(f"http://127.0.0.1:{closed_port()}") as proxy:
        sent = request("/api/v1/pods", b"Content-Length: 2", method=method, body=b"{}")
        answer = await proxy.ask(sent, method=method)
        assert answer.status == 502
        assert answer.values(b"retry-after") == []


# --- clients that leave -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("mode", MODES)
async def test_client_leaves_inside_a_list(mode: str, how: str) -> None:
    """A client that leaves takes its upstream request with it at once; nothing is left behind."""
    seen = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD, chunk(BEFORE_ITEMS + ITEM + b","))
        seen.set()
        await exchange.wait_closed()

    async with Apiserver(endless) as upstream, running(upstream.url, mode=mode) as proxy:
        client = await proxy.connect()
        await client.send(request())
        await seen.wait()
        if mode != "buffered":
            await client.until(lambda: ITEM in client.seen)
        if how == "close":
            client.close()
        else:
            client.reset()
        await upstream.exchanges[0].wait_closed()
        await proxy.aborts("client_gone")
        await proxy.quiet()
        assert not upstream.open_connections


async def test_client_leaves_before_the_head() -> None:
    """A client that leaves while the upstream is still thinking takes its request with it."""

    async def thinking(exchange: Exchange) -> None:
        await exchange.wait_closed()

    async with Apiserver(thinking) as upstream, running(upstream.url) as proxy:
        client = await proxy.connect()
        await client.send(request())
        exchange = await upstream.wait_for_exchanges(1)
        client.reset()
        await exchange.wait_closed()
        await proxy.aborts("client_gone")
        await proxy.quiet()
        assert proxy.sample("restream_requests_total", code="499") == 1


async def test_many_clients_leave() -> None:
    """A hundred clients that leave at once leave nothing behind: no request, no bytes, no connection."""

    async def endless(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD, chunk(BEFORE_ITEMS + ITEM + b","))
        await exchange.wait_closed()

    async with Apiserver(endless) as upstream, running(upstream.url) as proxy:
        clients = [await proxy.connect() for _ in range(100)]
        for client in clients:
            await client.send(request())
        for client in clients:
            await client.until(lambda client=client: ITEM in client.seen)  # type: ignore[misc]
        assert proxy.sample("restream_inflight_requests", mode="streamed") == 100
        for client in clients:
            client.reset()
        await proxy.aborts("client_gone", 100)
        await proxy.quiet()
        await eventually(lambda: not upstream.open_connections)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_list_that_outlives_the_drain_is_aborted(version: str) -> None:
    """A List that is still running when the drain is over ends visibly unfinished."""

    async def endless(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD, chunk(BEFORE_ITEMS + ITEM + b","))
        await exchange.wait_closed()

    async with Apiserver(endless) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request(version=version))
        await client.until(lambda: ITEM in client.seen)
        await proxy.proxy.close()
        assert not (await client.answer()).complete


async def test_chunks_in_this_module_are_framed_well() -> None:
    """The whole responses that the tests above cut are what they seem."""
    assert WHOLE["chunked"].endswith(chunked(cut(SMALL_LIST, 50)))
    async with Apiserver(script(WHOLE["chunked"])) as upstream, running(upstream.url, mode="raw") as proxy:
        assert judge(await proxy.ask(request()), where="whole") == "whole"
