"""What real apiservers answered comes out of every mode as it went in, however it arrives."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.fakes.apiserver import Apiserver, Exchange, chunk, cut, response
from tests.fakes.running import Running, running
from tests.fakes.wire import Answer, Lines, request

VECTORS = Path(__file__).parent.parent / "vectors"
FRAMING = (b"content-length", b"transfer-encoding", b"connection")
ONE_BYTE_UP_TO = 700
"""Bodies up to this size are sent a byte at a time as well."""

OWN = ("limit=", "continue=", "resourceVersion=", "resourceVersionMatch=")
"""Parameters that are the proxy's to set where it asks for pages."""

AGE = re.compile(rb'"(?:\d+[smhd])+"')
"""A cell of a Table that depends on when it was asked for."""

ARRIVALS = ("length", "length-1000", "chunked", "chunked-1000", "chunked-1", "close-1000")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded exchange that is not a stream of events."""

    name: str
    method: str
    target: str
    request_lines: Lines
    status: bytes
    lines: Lines
    body: bytes

    @property
    def is_list(self) -> bool:
        """Whether it is a List that modes other than raw can read: JSON, unencoded, with items or rows."""
        types = [value for name, value in self.lines if name == b"Content-Type"]
        if self.method != "GET" or self.status != b"200 OK" or types != [b"application/json"]:
            return False
        if self.is_encoded or not self.target.startswith(("/api/v1/", "/apis/")):
            return False
        return not {"items", "rows"}.isdisjoint(json.loads(self.body))

    @property
    def pages_itself(self) -> bool:
        """Whether a client asked for one page, and was given no more."""
        options = dict(parse_qsl(self.target.partition("?")[2]))
        is_ignored = options.get("resourceVersion") == "0" and "/events" not in self.target
        return "continue" in options or ("limit" in options and not is_ignored)

    def is_asked_by(self, exchange: Exchange) -> bool:
        """Whether a request upstream is the recorded one, or one for a page of it."""
        if exchange.target == self.target.encode():
            return True
        asked, recorded = (target.partition("?") for target in (exchange.target.decode(), self.target))
        return asked[0] == recorded[0] and _others(asked[2]) == _others(recorded[2])

    @property
    def is_encoded(self) -> bool:
        """Whether its body is gzip."""
        return (b"Content-Encoding", b"gzip") in self.lines

    @property
    def end_to_end(self) -> Lines:
        """Return the response's lines that must reach the client."""
        return [line for line in self.lines if line[0].lower() not in FRAMING]


def read_recordings(version: str) -> list[Recorded]:
    """Read the recordings of one version, without the watch streams."""
    entries = json.loads((VECTORS / version / "index.json").read_text())
    return [_recorded(version, entry) for entry in entries if not _is_watch(entry)]


def _others(query: str) -> list[str]:
    return [pair for pair in query.split("&") if pair and not pair.startswith(OWN)]


def _is_watch(entry: dict[str, Any]) -> bool:
    return "watch" in entry["request"]["path"] and entry["response"]["status"] == 200


def _recorded(version: str, entry: dict[str, Any]) -> Recorded:
    asked, answered = entry["request"], entry["response"]
    return Recorded(
        entry["name"],
        asked["method"],
        asked["path"],
        [(name.encode(), value.encode()) for name, value in asked["headers"]],
        f"{answered['status']} {answered['reason']}".encode(),
        [(name.encode(), value.encode()) for name, value in answered["headers"]],
        (VECTORS / version / answered["body"]).read_bytes(),
    )


def arrive(recorded: Recorded, how: str) -> list[bytes]:
    """Return the recorded answer as the pieces in which the upstream sends it."""
    framing, _, size = how.partition("-")
    status, lines, body = recorded.status, recorded.end_to_end, recorded.body
    if recorded.method == "HEAD":
        return [response(status=status, lines=recorded.lines, framing="none")]
    if framing == "length":
        head = [*lines, (b"Content-Length", b"%d" % len(body))]
    elif framing == "chunked":
        head = [*lines, (b"Transfer-Encoding", b"chunked")]
    else:
        head = [*lines, (b"Connection", b"close")]
    pieces = cut(body, int(size or len(body) or 1))
    if framing == "chunked":
        pieces = [*map(chunk, pieces), b"0\r\n\r\n"]
    return [response(status=status, lines=head, framing="none"), *pieces]


def check(recorded: Recorded, answer: Answer, mode: str) -> None:
    """Compare what the client got with what was recorded."""
    name = recorded.name
    assert answer.complete, name
    assert b"%d %s" % (answer.status, answer.reason) == recorded.status, name
    assert answer.body == recorded.body, name
    lines = [line for line in answer.lines if line[0].lower() not in FRAMING]
    assert lines[:-2] == recorded.end_to_end, name
    assert [line[0] for line in lines[-2:]] == [b"Via", b"X-Restream-Mode"], name
    expected = mode if recorded.is_list else "raw"
    if expected == "paged" and recorded.pages_itself:
        expected = "streamed"
    assert answer.mode.partition(";")[0] == expected, name


@pytest.mark.parametrize("how", ARRIVALS)
@pytest.mark.parametrize("mode", ["raw", "streamed", "buffered", "paged"])
@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
async def test_every_recorded_exchange(version: str, mode: str, how: str) -> None:
    """Status, reason, end-to-end header lines and body come out of each mode as the upstream sent them."""
    recordings = read_recordings(version)
    assert len(recordings) > 70
    if how.endswith("-1"):
        recordings = [recorded for recorded in recordings if len(recorded.body) <= ONE_BYTE_UP_TO]
    if mode == "paged":  # what came as protobuf or gzip where JSON pages were asked for is not paged again
        recordings.sort(key=lambda recorded: not recorded.is_list)
    async with Apiserver() as upstream, running(upstream.url, mode=mode) as proxy:
        for recorded in recordings:
            check(recorded, await replay(upstream, proxy, recorded, how), mode)
        await proxy.quiet()


async def replay(upstream: Apiserver, proxy: Running, recorded: Recorded, how: str) -> Answer:
    """Send the recorded request and let the upstream give the recorded answer."""

    async def play(exchange: Exchange) -> None:
        assert exchange.method == recorded.method
        assert recorded.is_asked_by(exchange)
        await exchange.send(*arrive(recorded, how))
        if how.startswith("close") and recorded.method != "HEAD":
            exchange.close()

    upstream.script = play
    lines = [name + b": " + value for name, value in recorded.request_lines]
    return await proxy.ask(request(recorded.target, *lines, method=recorded.method), method=recorded.method)


@pytest.mark.parametrize("how", ["length", "chunked-1000", "close-1000"])
@pytest.mark.parametrize("name", ["pods", "pods-selector", "pods-table", "widgets", "widgets-table"])
@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
async def test_recorded_pages_make_the_recorded_list(version: str, name: str, how: str) -> None:
    """The pages that an apiserver gave, stitched, are the unpaged List that it gave, to the byte."""
    recordings = {recorded.name: recorded for recorded in read_recordings(version)}
    whole = recordings[name]
    pages = [recordings[f"{name}-page{number}"] for number in range(1, 5) if f"{name}-page{number}" in recordings]
    assert len(pages) > 1
    by_token = {token_of(page.target): page for page in pages}
    asked = []

    async def play(exchange: Exchange) -> None:
        assert whole.is_asked_by(exchange)
        page = by_token[token_of(exchange.target.decode())]
        asked.append(page)
        await exchange.send(*arrive(page, how))
        if how.startswith("close"):
            exchange.close()

    async with Apiserver(play) as upstream, running(upstream.url, mode="paged") as proxy:
        lines = [name + b": " + value for name, value in whole.request_lines]
        answer = await proxy.ask(request(whole.target, *lines))
        assert answer.complete
        if "table" in name:
            assert AGE.sub(b"age", answer.body) == AGE.sub(b"age", whole.body)
        else:
            assert answer.body == whole.body
        assert answer.mode == "paged; reason=settings"
        assert asked == pages


def token_of(target: str) -> str:
    """Return the continue token of a List's target."""
    return dict(parse_qsl(target.partition("?")[2])).get("continue", "")


@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
async def test_lists_in_one_byte_pieces(version: str) -> None:
    """A typed List, a custom resource's, a Table and a PartialObjectMetadataList survive one-byte arrivals."""
    names = {"widgets", "pods-table-empty", "pods-name", "widgets-partial"}
    recordings = [recorded for recorded in read_recordings(version) if recorded.name in names]
    assert len(recordings) == len(names)
    async with Apiserver() as upstream, running(upstream.url, mode="streamed") as proxy:
        for recorded in recordings:
            check(recorded, await replay(upstream, proxy, recorded, "length-1"), "streamed")


@pytest.mark.parametrize("mode", ["streamed", "buffered", "paged"])
@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
async def test_lists_ask_for_identity(version: str, mode: str) -> None:
    """A planned List asks for an unencoded body once; one that comes as gzip anyway passes unread, with the reason."""
    recordings = [recorded for recorded in read_recordings(version) if recorded.is_encoded]
    assert recordings
    async with Apiserver() as upstream, running(upstream.url, mode=mode) as proxy:
        for recorded in recordings:
            answer = await replay(upstream, proxy, recorded, "chunked-1000")
            assert answer.body == recorded.body
            assert answer.first(b"content-encoding") == b"gzip"
            assert answer.mode == "raw; reason=content_encoding"
        assert all(exchange.values(b"accept-encoding") == [b"identity"] for exchange in upstream.exchanges)


@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
async def test_watch_passes_event_by_event(version: str) -> None:
    """A watch's events reach the client while its stream goes on: the next is sent when the last was seen."""
    body = (VECTORS / version / "watchlist.json").read_bytes()
    events = body.splitlines(keepends=True)
    seen = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        assert exchange.values(b"accept-encoding") == [b"gzip"]
        await exchange.send(response(framing="none", lines=[(b"Transfer-Encoding", b"chunked")]))
        for event in events:
            seen.clear()
            await exchange.send(chunk(event))
            await seen.wait()
        await exchange.send(b"0\r\n\r\n")

    async with Apiserver(play) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(request("/api/v1/pods?watch=1", b"Accept-Encoding: gzip"))
        head = await client.read_until(b"\r\n\r\n")
        assert b"X-Restream-Mode: raw; reason=not_a_list_request" in head
        for event in events:
            size = int(await client.read_until(b"\r\n"), 16)
            assert await client.read_exactly(size) == event
            await client.read_exactly(2)
            seen.set()
        assert await client.read_exactly(5) == b"0\r\n\r\n"
