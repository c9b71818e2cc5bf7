"""What `restream_buffered_bytes` says is what the process takes above idle, by the kernel's count."""

import asyncio
import sys
from dataclasses import dataclass

import pytest

from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.child import Child, serving
from tests.fakes.paged import PODS, PagedList, request_for
from tests.fakes.running import eventually
from tests.memory.test_peaks import MIB, Sink, settled, warm_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="VmRSS is read from /proc")

POD = b'{"metadata":{"name":"pod","uid":"%s"}}' % (b"u" * 2460)
CONFIG_MAP = b'{"metadata":{"name":"map"},"data":{"a":"%s"}}' % (b"QUJD" * (25 << 10))
SECRET = b'{"metadata":{"name":"secret"},"data":{"a":"%s"}}' % (b"QUJD" * (256 << 10))
ITEMS = {"pods": (POD,) * 20_000, "config maps": (CONFIG_MAP,) * 500, "secrets": (SECRET,) * 50}
WRITE = 64 << 10

LEAST = 100 * MIB
MOST_OFF = 0.1


@dataclass(frozen=True, slots=True)
class Case:
    """So many clients that read nothing of Lists of 50 MB."""

    mode: str
    what: str
    clients: int


CASES = (
    Case("streamed", "pods", 160),
    Case("streamed", "secrets", 70),
    Case("paged", "pods", 50),
    Case("paged", "config maps", 40),
    Case("paged", "secrets", 80),
    Case("raw", "pods", 320),
)


def serve(paged: PagedList) -> Apiserver:
    """Serve a List in pages or as a whole, and small ones for the warm-up."""
    whole = paged.body

    async def script(exchange: Exchange) -> None:
        if not exchange.target.startswith(b"/api/v1/pods"):
            await exchange.send(response(SMALL_LIST))
        elif b"limit=" in exchange.target:
            await paged(exchange)
        else:
            await exchange.send(response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none"))
            for at in range(0, len(whole), WRITE):
                await exchange.send(chunk(whole[at : at + WRITE]))
            await exchange.send(b"0\r\n\r\n")

    return Apiserver(script, send_buffer=65536)


async def held(child: Child) -> float:
    """Return what the process says that it holds."""
    samples = await child.samples()
    return sum(value for name, value in samples.items() if name.startswith("restream_buffered_bytes"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.mode} {case.what}")
async def test_what_is_said_to_be_held_is_held(case: Case) -> None:
    """Within a tenth, at a steady hold of 100 MiB or more, and never more than was granted."""
    async with (
        serve(PagedList(items=ITEMS[case.what])) as upstream,
        serving(upstream.url, "--mode", case.mode, memory_budget="1GiB") as child,
    ):
        await warm_up(child)
        idle = child.resident_bytes()
        clients = [await Sink.connect(*child.address, receive_buffer=65536) for _ in range(case.clients)]
        for client in clients:
            client.pause()
            await client.send(request_for(PODS))
        await settled(upstream)
        told = await held(child)
        assert told >= LEAST
        # What glibc keeps of freed memory goes back within some seconds.
        await eventually(lambda: abs(told / (child.resident_bytes() - idle) - 1) < MOST_OFF)
        await asyncio.sleep(0)
        assert await held(child) == told
        assert told <= (await child.samples())["restream_memory_granted_bytes"]
        for client in clients:
            client.reset()
