"""What a failed request held is free when it is over, without the garbage collector."""

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import handler
from tests.fakes.apiserver import Apiserver, Exchange, response
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import request

SIZE = 8 << 20
HELD = 200 << 10
"""What a plan holds at least, be it that only one read of it fits."""

ITEM = b'{"spec":"%b"}' % (b"x" * (1 << 20))
LIST = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[%b]}' % b",".join([ITEM] * 8)


async def answer_half(exchange: Exchange) -> None:
    """Send half of a List, and say no more."""
    await exchange.send(response(LIST)[: SIZE // 2])
    await exchange.wait_closed()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let nothing be found later."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def held() -> int:
    """Return the bytes that the proxy's own lines have allocated and that are still there."""
    mine = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, f"{Path(handler.__file__).parent}/*")])
    return sum(trace.size for trace in mine.traces)


async def ask(proxy: Running, upstream: Apiserver, number: int, who: str) -> None:
    """Ask for a List, half of which arrives and is held."""
    async with await proxy.connect(receive_buffer=65536) as client:
        await client.send(request())
        client.pause()
        exchange = await upstream.wait_for_exchanges(number)
        await eventually(lambda: proxy.sample("restream_buffered_bytes") > HELD)
        if who == "client":
            client.reset()
        else:
            exchange.connection.reset()
        await proxy.aborts("client_gone" if who == "client" else "upstream_closed", number)
        await proxy.quiet()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(("who", "mode"), [("client", "streamed"), ("client", "buffered"), ("upstream", "streamed")])
async def test_failed_lists_leave_no_circle(who: str, mode: str) -> None:
    """However they fail: a client that has gone, or an upstream that breaks off, with much of the List held."""
    async with Apiserver(answer_half) as upstream, running(upstream.url, mode=mode) as proxy:
        await ask(proxy, upstream, 1, who)  # what is made once is made
        before = held()
        for number in range(2, 6):
            await ask(proxy, upstream, number, who)
        await eventually(lambda: held() - before < HELD)  # connections are closed a turn of the loop later
