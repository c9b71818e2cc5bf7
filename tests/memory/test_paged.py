"""The paged path's memory does not grow with the List, however fast its client, however large its items."""

import asyncio
import sys

import pytest

from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, response
from tests.fakes.child import Child, serving
from tests.fakes.paged import PODS, WIDGETS, PagedList, Shape, request_for
from tests.memory.test_peaks import MIB, SIZE, Sink, send_list, settled, warm_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is read from /proc")

ALLOWED = 64 * MIB
SMALL = b'{"metadata":{"name":"pod","uid":"%s"}}' % (b"u" * 2460)
LARGE = b'{"metadata":{"name":"secret"},"data":{"a":"%s"}}' % (b"QUJD" * (256 << 10))
LISTS = {"small items": (SMALL,) * 120_000, "large items": (LARGE,) * 300}


class Sipping(Sink):
    """A client that rests between two reads."""

    def data_received(self, data: bytes) -> None:
        """Keep a few bytes, and read no more for a while."""
        super().data_received(data)
        self.pause()
        asyncio.get_running_loop().call_later(0.001, self.resume)


def serve(paged: PagedList) -> Apiserver:
    """Serve a List in pages, and small ones of everything else for the warm-up."""

    async def script(exchange: Exchange) -> None:
        if exchange.target.startswith(paged.shape.target.encode()):
            await paged(exchange)
        else:
            await exchange.send(response(SMALL_LIST))

    return Apiserver(script)


def size(paged: PagedList) -> int:
    """Return the size of the unpaged List, which is not held here either."""
    items = paged.items
    return len(PagedList(paged.shape, items[:1]).body) + sum(len(item) + 1 for item in items[1:])


async def read_all(child: Child, paged: PagedList, kind: type[Sink]) -> None:
    """Ask for the List and take it to its end."""
    async with await kind.connect(*child.address, receive_buffer=512 << 10 if kind is Sipping else None) as client:
        await client.send(request_for(paged.shape))
        async with asyncio.timeout(50):
            while not client.seen.endswith(b"\r\n0\r\n\r\n") and not client.has_ended:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not client.has_ended


@pytest.mark.parametrize(("shape", "what"), [(PODS, "small items"), (WIDGETS, "large items")], ids=["pods", "custom"])
async def test_paged_list_holds_two_pages(shape: Shape, what: str) -> None:
    """A List of 300 MB for a fast client, then 100 MB for a slow and a fast one, raise the peak by less than 64 MiB."""
    paged = PagedList(shape, LISTS[what])
    whole = size(paged)
    assert whole > 290e6
    async with serve(paged) as upstream, serving(upstream.url, "--mode", "paged") as child:
        before = await warm_up(child)
        await read_all(child, paged, Sink)
        assert child.peak_bytes() - before < ALLOWED
        paged.items = paged.items[: len(paged.items) // 3]
        await asyncio.gather(read_all(child, paged, Sink), read_all(child, paged, Sipping))
        assert child.peak_bytes() - before < ALLOWED
        samples = await child.samples()
        passed = whole + 2 * size(paged) + 3 * len(SMALL_LIST)
        assert samples["restream_response_bytes_sum mode=paged verb=list"] == passed
        assert samples["restream_buffered_bytes mode=paged"] == 0


async def test_stalled_clients_hold_two_pages_each() -> None:
    """Ten clients that read nothing hold two pages each."""
    paged = PagedList(items=LISTS["small items"])
    async with serve(paged) as upstream, serving(upstream.url, "--mode", "paged") as child:
        before = await warm_up(child)
        clients = [await Sink.connect(*child.address, receive_buffer=65536) for _ in range(10)]
        for client in clients:
            client.pause()
            await client.send(request_for(PODS))
        await upstream.wait_for_exchanges(3 + 2 * len(clients))
        await settled(upstream)
        assert (await child.samples())["restream_inflight_requests mode=paged"] == len(clients)
        assert child.peak_bytes() - before < ALLOWED
        for client in clients:
            client.reset()


async def test_upstream_that_ignores_the_limit() -> None:
    """One page of 120 MiB where five items were asked for raises the peak by less than 64 MiB, also while it stalls."""
    async with Apiserver(send_list) as upstream, serving(upstream.url, "--mode", "paged") as child:
        before = await warm_up(child)
        client = await Sink.connect(*child.address, receive_buffer=65536)
        client.pause()
        await client.send(request_for(PODS))
        await upstream.wait_for_exchanges(4)
        await settled(upstream)
        assert child.peak_bytes() - before < ALLOWED
        client.resume()
        await client.until(lambda: client.total > SIZE and client.seen.endswith(b"0\r\n\r\n"))
        assert child.peak_bytes() - before < ALLOWED
        client.close()
