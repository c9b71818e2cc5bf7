"""The memory statement: 1 GB Lists streamed, one and ten at once and to a slow client, and buffered for contrast."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from proxy.bench.children import Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.load import Connection, Sink, Transfer, fetch, fetch_text
from proxy.bench.rounds import IDLE_SECONDS, PODS, Meter, Sample
from proxy.bench.sampling import total
from proxy.bench.screen import Bar, Screen, Table, mebibytes, megabytes, seconds
from proxy.bench.servers import Server, start_backend, start_proxy

GIGABYTE_PODS, POD_SIZE = 400_000, 2500
SLOW_RATE, SLOW_SECONDS = 1_000_000, 20.0
# Ten Lists share one backend process; its usual deadline of 60 s is not what is measured here.
DEADLINE_SECONDS = "900"


@dataclass(frozen=True, slots=True)
class Case:
    """So many Lists at once of so many pods; a `rate` makes the client a slow one that leaves after a while."""

    title: str
    mode: str
    lists: int
    pods: int
    rate: float | None = None


def cases(scale: float) -> list[Case]:
    """Return all cases; `scale` shrinks the Lists."""
    pods = max(1, round(GIGABYTE_PODS * scale))
    return [
        Case("one List", "streamed", 1, pods),
        Case("ten Lists at once", "streamed", 10, pods),
        Case(f"a client that reads 1 MB/s for {SLOW_SECONDS:.0f} s", "streamed", 1, pods, SLOW_RATE),
        Case("one List of a quarter", "buffered", 1, max(1, pods // 4)),
    ]


async def measure(children: Children, screen: Screen, scale: float) -> list[Sample]:
    """Run every case with a fresh proxy. Raises BenchError."""
    planned = cases(scale)
    backend = await start_backend(
        children, "--encoder", "streaming", "--pods", str(planned[0].pods), "--pod-size", str(POD_SIZE),
        "--list-deadline-seconds", DEADLINE_SECONDS,
    )  # fmt: skip
    samples = []
    for case in planned:
        proxy = await start_proxy(children, backend.url, case.mode)
        size = case.lists * case.pods * POD_SIZE
        expected = min(size, case.rate * SLOW_SECONDS) if case.rate else size
        with screen.bar(f"{case.mode}, {case.title}", expected) as bar:
            samples.append(Sample(case.mode, case.title, 1, await _run(proxy, case, bar)))
        children.stop(proxy.child)
    return samples


async def _run(proxy: Server, case: Case, bar: Bar) -> dict[str, float]:
    await asyncio.sleep(IDLE_SECONDS)
    meter, started = Meter(proxy), perf_counter()
    target = f"{PODS}?limit={case.pods}"

    def sink(body: bytes) -> None:
        bar.advance(len(body))

    try:
        if case.rate:
            transfers = [await _slowly(proxy, target, case.rate, sink)]
        else:
            transfers = await asyncio.gather(*(fetch(proxy.url, target, sink) for _ in range(case.lists)))
    except LoadError as error:
        await asyncio.sleep(IDLE_SECONDS)
        proxy.child.check()
        raise BenchError(f"{case.mode}, {case.title}: {error}") from None
    duration = perf_counter() - started
    items = total(await fetch_text(proxy.admin, "/metrics"), "restream_items_total")
    if case.rate is None and items != case.lists * case.pods:
        raise BenchError(f"{case.mode}, {case.title}: {items:,.0f} items, expected {case.lists * case.pods:,}")
    bar.note(f"{mebibytes(meter.rise()['above_idle_bytes'])} above idle")
    moved = sum(transfer.size for transfer in transfers)
    return {"lists": case.lists, "moved_bytes": moved, "items": items, "seconds": duration, **meter.rise()}


async def _slowly(proxy: Server, target: str, rate: float, sink: Sink) -> Transfer:
    """Read at `rate` for a while, then leave in the middle."""
    connection = await Connection.open(proxy.url, rate)
    try:
        async with asyncio.timeout(SLOW_SECONDS):
            await connection.get(target, sink)
    except TimeoutError:
        pass
    finally:
        connection.close()
    return connection.transfer


def table(samples: list[Sample]) -> Table:
    """Return what the memory statement says."""
    result = Table(["", "Lists", "bytes", "items", "total", "idle RSS", "peak RSS", "above idle"])
    for sample in samples:
        values = sample.values
        result.rows.append(
            [
                f"{sample.arm}, {sample.workload}",
                f"{values['lists']:.0f}",
                megabytes(values["moved_bytes"]),
                f"{values['items']:,.0f}",
                seconds(values["seconds"]),
                *(mebibytes(values[name]) for name in ("idle_rss_bytes", "peak_rss_bytes", "above_idle_bytes")),
            ]
        )
    return result
