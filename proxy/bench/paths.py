"""One path of the comparison: a fresh proxy, several Lists at once, and what they cost it."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
from dataclasses import dataclass
from time import monotonic

from proxy.bench.errors import BenchError
from proxy.bench.load import Transfer, fetch, fetch_text
from proxy.bench.sampling import Sampler, Series, memory, total
from proxy.bench.screen import Bar, mebibytes
from proxy.bench.servers import Server

TARGET = "/api/v1/pods"
IDLE_SECONDS = 0.4
AFTERWARDS_SECONDS = 0.6
NOTE_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Reference:
    """The List as the backend itself answers it."""

    items: int
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class PathResult:
    """What a path did, and what it took. Sizes in bytes, times in seconds."""

    mode: str
    lists: int
    moved: int
    items: int
    first_byte: float
    seconds: float
    idle: int
    peak: int
    buffered: int
    resident_series: Series
    buffered_series: Series

    @property
    def above_idle(self) -> int:
        """Return how far the proxy's memory grew."""
        return self.peak - self.idle


async def read_reference(url: str, items: int) -> Reference:
    """List once without a proxy. Raises LoadError."""
    digest = hashlib.sha256()
    transfer = await fetch(url, TARGET, digest.update)
    return Reference(items, transfer.size, digest.hexdigest())


async def measure(proxy: Server, mode: str, lists: int, reference: Reference, bar: Bar) -> PathResult:
    """Fetch `lists` Lists at once through an idle proxy. Raises BenchError where one is not as it should be."""
    async with Sampler(proxy.child.pid, proxy.admin) as sampler:
        await asyncio.sleep(IDLE_SECONDS)
        idle = memory(proxy.child.pid, "VmRSS")
        started = monotonic()
        telling = asyncio.ensure_future(_tell(proxy.child.pid, bar))
        try:
            transfers = await asyncio.gather(*(_list(proxy.url, mode, reference, bar) for _ in range(lists)))
        finally:
            telling.cancel()
        seconds = monotonic() - started
        peak = memory(proxy.child.pid, "VmHWM")
        bar.note(f"peak {mebibytes(peak)}")
        page = await fetch_text(proxy.admin, "/metrics")
        await asyncio.sleep(AFTERWARDS_SECONDS)
    for series in (sampler.resident, sampler.buffered):
        series.shift(started - series.zero)
    items = int(total(page, "restream_items_total", mode=mode))
    if items != lists * reference.items:
        raise BenchError(f"the {mode} proxy counted {items:,} items, expected {lists * reference.items:,}")
    return PathResult(
        mode,
        lists,
        moved=sum(transfer.size for transfer in transfers),
        items=items,
        first_byte=statistics.median(transfer.first_byte for transfer in transfers),
        seconds=seconds,
        idle=idle,
        peak=peak,
        buffered=sampler.buffered.peak,
        resident_series=sampler.resident,
        buffered_series=sampler.buffered,
    )


async def _list(url: str, mode: str, reference: Reference, bar: Bar) -> Transfer:
    digest = hashlib.sha256()

    def sink(body: bytes) -> None:
        digest.update(body)
        bar.advance(len(body))

    transfer = await fetch(url, TARGET, sink)
    if transfer.mode != mode:
        raise BenchError(f"a List that should have been {mode} was {transfer.mode or 'not labelled'}")
    if digest.hexdigest() != reference.digest:
        raise BenchError(
            f"a {mode} List differs from the backend's own answer: {transfer.size:,} bytes with sha256 "
            f"{digest.hexdigest()}, expected {reference.size:,} bytes with {reference.digest}"
        )
    return transfer


async def _tell(pid: int, bar: Bar) -> None:
    """Show the proxy's memory as it grows."""
    while True:
        bar.note(f"proxy at {mebibytes(memory(pid, 'VmRSS'))}")
        await asyncio.sleep(NOTE_EVERY)
