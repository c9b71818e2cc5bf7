"""A comparison of two paths is worth nothing if they did not do the same."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator

import pytest

from proxy.bench import paths
from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.paths import PathResult, Reference
from proxy.bench.screen import PlainBar
from proxy.bench.servers import Server

BODY = b'{"items":[{},{}]}\n'
METRICS = b'restream_items_total{group="",mode="streamed",resource="pods"} 4.0\nrestream_buffered_bytes{mode="raw"} 7\n'
SAME = Reference(2, len(BODY), hashlib.sha256(BODY).hexdigest())


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a proxy would, Lists and metrics on one port."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = METRICS if b"/metrics" in head else BODY
            writer.write(b"HTTP/1.1 200 OK\r\nX-Restream-Mode: streamed; reason=settings\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Server]:
    """Pretend to be a proxy: a process with memory, and an address that answers."""
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        with Children() as children:
            yield Server(children.start("proxy", sys.executable, "-c", "import time; time.sleep(60)"), url, url)


async def measure(proxy: Server, reference: Reference, mode: str = "streamed") -> PathResult:
    """Fetch two Lists."""
    return await paths.measure(proxy, mode, 2, reference, PlainBar())


async def test_adds_up_what_two_lists_took(proxy: Server) -> None:
    """Bytes and items are those of all Lists; memory has an idle, a peak and a curve."""
    result = await measure(proxy, SAME)
    assert (result.moved, result.items, result.buffered) == (2 * len(BODY), 4, 7)
    assert 0 < result.first_byte <= result.seconds
    assert 0 < result.idle <= result.peak
    assert result.resident_series.times[0] < 0 < result.resident_series.times[-1]


async def test_a_body_that_differs_is_a_failure(proxy: Server) -> None:
    """The message has both sums."""
    with pytest.raises(BenchError, match="a streamed List differs from the backend's own answer: 18 bytes"):
        await measure(proxy, Reference(2, len(BODY), "0" * 64))


async def test_a_list_that_went_another_way_is_a_failure(proxy: Server) -> None:
    """A path is what the proxy says that it took."""
    with pytest.raises(BenchError, match="should have been buffered was streamed"):
        await measure(proxy, SAME, "buffered")


async def test_items_that_were_not_counted_are_a_failure(proxy: Server) -> None:
    """The proxy's own account must agree with what the backend has."""
    with pytest.raises(BenchError, match="counted 4 items, expected 6"):
        await measure(proxy, Reference(3, SAME.size, SAME.digest))
