"""Lists as a workload: what is measured, and when a List is not what it should be."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.lists import PODS, SECRETS, TABLE, Body, Lists, Reference
from proxy.bench.load import Transfer
from proxy.bench.servers import Server
from proxy.bench.stack import Stack

BODY = b'{"items":[{},{}]}\n'
SLEEP = "import time; time.sleep(60)"
CROWD = Lists("pods", PODS, 2, 9, clients=10, sums="during")


async def answer(items: Iterator[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything as a proxy would that pages, and the metrics of one that passes 20 items a measurement."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = b"restream_items_total %d\n" % next(items) if b"/metrics" in head else BODY
            writer.write(b"HTTP/1.1 200 OK\r\nX-Restream-Mode: paged; reason=settings\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """Pretend to be backend and proxy: processes with memory, and an address that answers."""
    listener = await asyncio.start_server(partial(answer, count(0, 20)), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        with Children() as children:
            backend, proxy = (Server(children.start(name, sys.executable, "-c", SLEEP), url, url) for name in "bp")
            yield Stack("paged", backend, proxy, url)


def reference(body: bytes = BODY) -> Reference:
    """Return what the backend itself has answered."""
    known = Reference()
    known.check("direct", Body(Transfer(size=len(body)), zlib.crc32(body)))
    return known


async def test_many_clients_are_watched(stack: Stack) -> None:
    """CPU and memory of each process, first bytes, and curves that begin before the Lists do."""
    result = await CROWD.measure(stack, reference(), 1)
    values = result.values
    assert (values["lists"], values["list_bytes"], values["items"]) == (10, len(BODY), 20)
    assert 0 < values["first_byte_seconds"] <= values["worst_first_byte_seconds"] <= values["seconds"]
    assert values["backend_peak_rss_bytes"] > 0
    assert values["proxy_cpu_seconds_per_gigabyte"] == values["proxy_cpu_seconds"] / (10 * len(BODY) / 1e9)
    assert values["others_cpu_seconds"] >= 0
    for series in result.series.values():
        assert series.times[0] < 0 < series.times[-1]


@pytest.mark.parametrize("sums", ["during", "after"])
async def test_a_list_that_differs_is_a_failure(stack: Stack, sums: str) -> None:
    """In one byte: a comparison is worth nothing if the arms did not do the same."""
    workload = Lists("pods", PODS, 2, 9, clients=10, sums="during" if sums == "during" else "after")
    with pytest.raises(BenchError, match="by paged differs"):
        await workload.measure(stack, reference(BODY.replace(b"{}", b"[]")), 1)


async def test_a_list_of_another_length_is_a_failure(stack: Stack) -> None:
    """Also where nobody sums up."""
    with pytest.raises(BenchError, match="by paged has 18 bytes, the first one had 17"):
        await replace(CROWD, sums="never").measure(stack, reference(BODY[:-1]), 1)


async def test_a_list_that_went_another_way_is_a_failure(stack: Stack) -> None:
    """What the proxy says that it did is what is measured."""
    with pytest.raises(BenchError, match="should have been streamed was paged"):
        await CROWD.measure(replace(stack, arm="streamed"), reference(), 1)


async def test_items_that_were_not_counted_are_a_failure(stack: Stack) -> None:
    """The proxy's own account must agree with what the backend has."""
    with pytest.raises(BenchError, match="paged counted 20 items, expected 30"):
        await replace(CROWD, items=3).measure(stack, reference(), 1)


async def test_a_slow_client_leaves_in_the_middle(stack: Stack) -> None:
    """Its List is not whole, and nobody expects it to be."""
    slow = Lists("slow", PODS, 1000, 9, rate=100.0, patience=0.05)
    result = await slow.measure(replace(stack, arm="streamed"), reference(b"another"), 1)
    assert result.values["moved_bytes"] <= len(BODY)


@pytest.mark.parametrize(
    ("arm", "encoder", "holders"),
    [("buffered", "streaming", 1), ("buffered", "whole", 2), ("paged", "whole", 0), ("haproxy", "whole", 1)],
)
def test_knows_who_holds_whole_lists(arm: str, encoder: str, holders: int) -> None:
    """A proxy that buffers, and a backend that assembles unless it is asked for pages."""
    assert Lists("secrets", SECRETS, 3, 100, clients=2).held(arm, encoder) == holders * 600


def test_says_what_it_is() -> None:
    """With the sizes that were chosen, in words."""
    assert Lists("", SECRETS, 1000, 1 << 20).title == "one List of 1,000 Secrets of 1 MiB"
    crowd = Lists("", PODS, 7, 2500, clients=3, accept=TABLE)
    assert crowd.title == "3 Lists of 7 pods of 2.5 KB as Table at once"
    assert crowd.flags == ("--pods", "7", "--pod-size", "2500")


@given(st.integers(1, 10**6), st.floats(1e-9, 100))
def test_a_scaled_list_has_an_item_left(items: int, scale: float) -> None:
    """However small it is made; nothing else about it changes."""
    workload = Lists("pods", PODS, items, 2500, clients=3)
    scaled = workload.scaled(scale)
    assert scaled.items >= 1
    assert abs(scaled.items - items * scale) <= 1
    assert replace(scaled, items=items) == workload
