"""What is measured of one arm in one round, in a fresh process: a large List, then small GETs.

CPU is that of the proxy's processes alone, between before and after: neither the client's cost nor the backend's,
which share the machine, are in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter

import msgspec

from proxy.bench.children import Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.load import Connection, fetch, fetch_text
from proxy.bench.peers import Arm
from proxy.bench.sampling import cpu_seconds, memory, process_tree
from proxy.bench.servers import Server

PODS = "/api/v1/pods"
WARM_UP = f"{PODS}?limit=500"
CONNECTIONS = (1, 64)
# What a proxy still has to do when the last byte is out (freeing, logging) is its cost too.
AFTERWARDS_SECONDS = 0.2
IDLE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement; `values` are in the units that their names end with."""

    arm: str
    workload: str
    round: int
    values: dict[str, float] = field(default_factory=dict)


class Meter:
    """The CPU and memory of an arm's processes; of `direct`, which has none, nothing."""

    def __init__(self, server: Server | None) -> None:
        self._pids = process_tree(server.child.pid) if server else []
        self._cpu = cpu_seconds(self._pids)
        self._idle = self.memory("VmRSS")

    def memory(self, field_name: str) -> int:
        """Return the sum of a field of /proc/PID/status over all processes."""
        return sum(memory(pid, field_name) for pid in self._pids)

    def cpu(self, name: str, amount: float) -> dict[str, float]:
        """Return the CPU seconds since the start for each unit of `amount`."""
        return {name: (cpu_seconds(self._pids) - self._cpu) / amount} if self._pids else {}

    def rise(self) -> dict[str, float]:
        """Return memory before, at its peak, and the difference."""
        if not self._pids:
            return {}
        peak = self.memory("VmHWM")
        return {"idle_rss_bytes": self._idle, "peak_rss_bytes": peak, "above_idle_bytes": peak - self._idle}


@dataclass(frozen=True, slots=True)
class Work:
    """What every arm is given to do."""

    upstream: str
    pod: str
    list_size: int
    get_seconds: float


async def prepare(upstream: str, get_seconds: float) -> Work:
    """Learn from the backend what will be asked for."""
    first = msgspec.json.decode(await fetch_text(upstream, f"{PODS}?limit=1"), type=PodList).items[0].metadata
    size = (await fetch(upstream, PODS)).size
    return Work(upstream, f"/api/v1/namespaces/{first.namespace}/pods/{first.name}", size, get_seconds)


async def measure(children: Children, arm: Arm, work: Work, number: int) -> list[Sample]:
    """Put one arm through everything. Raises BenchError."""
    server = await arm.start(children, work.upstream)
    url = server.url if server else work.upstream
    try:
        await asyncio.sleep(IDLE_SECONDS)
        fresh = Meter(server)
        await fetch(url, WARM_UP)
        samples = [Sample(arm.name, "list", number, {**await _list(server, url, work), **fresh.rise()})]
        for connections in CONNECTIONS:
            values = await _gets(server, url, work, connections)
            samples.append(Sample(arm.name, f"get-{connections}", number, values))
    except LoadError as error:
        if server:
            await asyncio.sleep(AFTERWARDS_SECONDS)
            server.child.check()
        raise BenchError(f"{arm.name}: {error}") from None
    finally:
        if server:
            children.stop(server.child)
    return samples


async def _list(server: Server | None, url: str, work: Work) -> dict[str, float]:
    meter = Meter(server)
    transfer = await fetch(url, PODS)
    await asyncio.sleep(AFTERWARDS_SECONDS)
    if transfer.size != work.list_size:
        raise LoadError(f"the List has {transfer.size:,} bytes, expected {work.list_size:,}")
    return {
        "megabytes_per_second": transfer.size / 1e6 / transfer.seconds,
        "first_byte_seconds": transfer.first_byte,
        **meter.cpu("cpu_seconds_per_gigabyte", transfer.size / 1e9),
    }


async def _gets(server: Server | None, url: str, work: Work, connections: int) -> dict[str, float]:
    lines = [await Connection.open(url) for _ in range(connections)]
    try:
        await asyncio.gather(*(_repeat(line, work.pod, perf_counter()) for line in lines))
        meter, started = Meter(server), perf_counter()
        counts = await asyncio.gather(*(_repeat(line, work.pod, started + work.get_seconds) for line in lines))
        seconds = perf_counter() - started
    finally:
        for line in lines:
            line.close()
    requests = sum(counts)
    return {"requests_per_second": requests / seconds, **meter.cpu("cpu_seconds_per_request", requests)}


async def _repeat(connection: Connection, target: str, until: float) -> int:
    """Ask for the same again and again, once at least."""
    count = 0
    while True:
        transfer = await connection.get(target)
        if transfer.status != 200:
            raise LoadError(f"{target} answered {transfer.status}")
        count += 1
        if perf_counter() >= until:
            return count


class PodMetadata(msgspec.Struct):
    """Where a pod is."""

    name: str
    namespace: str


class Pod(msgspec.Struct):
    """A pod, as far as we look."""

    metadata: PodMetadata


class PodList(msgspec.Struct):
    """A List of them."""

    items: list[Pod]
