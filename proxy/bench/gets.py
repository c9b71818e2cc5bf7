"""Small GETs as a workload: one pod, over and over, on a number of connections."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Self

import msgspec

from proxy.bench.children import Children
from proxy.bench.errors import LoadError
from proxy.bench.lists import PODS, Reference
from proxy.bench.load import Connection, Door, fetch_text
from proxy.bench.meters import Bill, Run, per
from proxy.bench.screen import object_size
from proxy.bench.servers import Server, start_patient
from proxy.bench.stack import AFTERWARDS_SECONDS, IDLE_SECONDS, Stack

PODS_THERE, POD_SIZE = 1000, 2500
# What is neither listed nor paged is the same work in each of our modes.
ONE_MODE = ("streamed",)


@dataclass(frozen=True, slots=True)
class Gets:
    """So many keep-alive connections, each with one request at a time, for a while."""

    name: str
    connections: int
    duration: float
    modes: tuple[str, ...] = ONE_MODE

    def scaled(self, scale: float) -> Self:
        """Return it for a shorter time, never for a longer one."""
        return replace(self, duration=self.duration * min(scale, 1.0))

    @property
    def title(self) -> str:
        """Say it in words."""
        where = "one connection" if self.connections == 1 else f"{self.connections} connections"
        return f"GETs of a pod of {object_size(POD_SIZE)} on {where}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the backend's."""
        return (f"--{PODS.plural}", str(PODS_THERE), PODS.size_flag, str(POD_SIZE))

    async def start(self, children: Children, encoder: str) -> Server:
        """Start the backend that it needs. Raises ChildError."""
        return await start_patient(children, encoder, *self.flags)

    def held(self, arm: str, encoder: str) -> int:
        """Nothing large is held for anybody."""
        del arm, encoder
        return 0

    async def measure(self, stack: Stack, reference: Reference, number: int) -> Run:
        """Ask, and count. Raises LoadError."""
        del reference
        await asyncio.sleep(IDLE_SECONDS)
        return Run(stack.arm, self.name, number, await self.cost(stack, AFTERWARDS_SECONDS))

    async def cost(self, stack: Stack, afterwards: float) -> dict[str, float]:
        """Ask, and return what it took until some seconds after the last answer. Raises LoadError."""
        target = await _first_pod(stack.origin)
        bill = Bill(stack.pids)
        lines = [await Connection.open(stack.door) for _ in range(self.connections)]
        try:
            started = perf_counter()
            times = await asyncio.gather(*(repeat(line, target, started + self.duration) for line in lines))
            seconds = perf_counter() - started
        finally:
            for line in lines:
                line.close()
        await asyncio.sleep(afterwards)
        costs, latencies = bill.items(), sorted(second for line in times for second in line)
        return {
            "requests": len(latencies),
            "requests_per_second": len(latencies) / seconds,
            **percentiles("latency_seconds", latencies),
            **per(costs, "request", len(latencies)),
            **costs,
        }


def percentiles(name: str, ordered: Sequence[float]) -> dict[str, float]:
    """Return the median of sorted values, and the one that 99 % do not exceed; nothing of nothing."""
    if not ordered:
        return {}
    return {f"p50_{name}": statistics.median(ordered), f"p99_{name}": ordered[(len(ordered) * 99 - 1) // 100]}


async def repeat(connection: Connection, target: str, until: float) -> list[float]:
    """Ask for the same again and again, once at least; return the seconds that each took. Raises LoadError."""
    latencies = []
    while True:
        transfer = await connection.get(target)
        if transfer.status != 200:
            raise LoadError(f"{target} answered {transfer.status}")
        latencies.append(transfer.seconds)
        if perf_counter() >= until:
            return latencies


async def _first_pod(where: str | Door) -> str:
    text = await fetch_text(where, f"/api/v1/{PODS.plural}?limit=1")
    metadata = msgspec.json.decode(text, type=PodList).items[0].metadata
    return f"/api/v1/namespaces/{metadata.namespace}/pods/{metadata.name}"


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
