"""Watches as a workload: what one costs while nothing happens, and what an event costs that goes to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Self

import msgspec

from proxy.bench.children import POLL_SECONDS, Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.gets import ONE_MODE, percentiles
from proxy.bench.lists import CONFIG_MAPS, PODS, Kind, Reference
from proxy.bench.load import Connection, Door, Sink, Transfer, fetch_text
from proxy.bench.meters import Bill, Meter, Run, per
from proxy.bench.screen import object_size
from proxy.bench.servers import Server, start_patient
from proxy.bench.stack import AFTERWARDS_SECONDS, IDLE_SECONDS, Stack

PODS_THERE, POD_SIZE = 1000, 2500
# Long enough for some events, however small a run is.
LEAST_SECONDS = 0.5
# A thousand watches take a while to be opened. nginx holds a head back for the first event, however long that takes.
OPEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Watches:
    """So many watches of ConfigMaps, to which nothing happens, then of pods, of which some are written every second.

    An event's delay is counted from when a watch that goes direct had it.
    """

    name: str
    watches: int
    writes: int
    duration: float
    modes: tuple[str, ...] = ONE_MODE

    def scaled(self, scale: float) -> Self:
        """Return it with fewer watches for a shorter time, never with more."""
        factor = min(scale, 1.0)
        duration = max(LEAST_SECONDS, self.duration * factor)
        return replace(self, watches=max(1, round(self.watches * factor)), duration=duration)

    @property
    def title(self) -> str:
        """Say it in words."""
        return f"{self.watches} watches, {self.writes} writes a second to pods of {object_size(POD_SIZE)}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the backend's."""
        return (f"--{PODS.plural}", str(PODS_THERE), PODS.size_flag, str(POD_SIZE), "--churn", str(self.writes))

    async def start(self, children: Children, encoder: str) -> Server:
        """Start the backend that it needs. Raises ChildError."""
        return await start_patient(children, encoder, *self.flags)

    def held(self, arm: str, encoder: str) -> int:
        """Nothing large is held for anybody."""
        del arm, encoder
        return 0

    async def measure(self, stack: Stack, reference: Reference, number: int) -> Run:
        """Open idle watches, then busy ones. Raises BenchError, LoadError."""
        del reference
        await asyncio.sleep(IDLE_SECONDS)
        values = {"watches": float(self.watches), **await self._idle(stack), **await self._busy(stack)}
        return Run(stack.arm, self.name, number, values)

    async def _idle(self, stack: Stack) -> dict[str, float]:
        meter = Meter(stack.pids.get("proxy", ()))
        sinks = [Watch().sink for _ in range(self.watches)]
        async with opened(stack.door, await _target(stack.origin, CONFIG_MAPS), sinks):
            await asyncio.sleep(IDLE_SECONDS)
            return {"proxy_bytes_per_watch": meter.grown() / self.watches} if stack.proxy else {}

    async def _busy(self, stack: Stack) -> dict[str, float]:
        target = await _target(stack.origin, PODS)
        direct, lines = Watch(), [Watch() for _ in range(self.watches)]
        async with (
            opened(stack.origin, target, [direct.sink]),
            opened(stack.door, target, [line.sink for line in lines]),
        ):
            await asyncio.sleep(IDLE_SECONDS)
            since, before, bill = perf_counter(), sum(len(line.times) for line in lines), Bill(stack.pids)
            await asyncio.sleep(self.duration)
            costs, events = bill.items(), sum(len(line.times) for line in lines) - before
            await asyncio.sleep(AFTERWARDS_SECONDS)
            if not events:
                raise BenchError(f"{stack.arm}: no event of a watch has come in {self.duration:g} s")
            delays = sorted(delay for line in lines for delay in line.behind(direct, since))
        return {"events": events, **percentiles("delay_seconds", delays), **per(costs, "event", events), **costs}


class Watch:
    """One watch: when each of its events was complete. Watches from the same version have the same events."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def sink(self, body: bytes) -> None:
        """Note the ends of lines; a watch has one line for each event."""
        self.times += body.count(b"\n") * [perf_counter()]

    def behind(self, other: Watch, since: float) -> list[float]:
        """Return how much later than on another watch each event came that it had since a time: both were open then."""
        both = zip(self.times, other.times, strict=False)
        return [max(0.0, here - there) for here, there in both if there >= since]


@asynccontextmanager
async def opened(where: str | Door, target: str, sinks: Sequence[Sink]) -> AsyncIterator[None]:
    """Open a watch for each sink, on a connection of its own, and leave in the middle of them. Raises LoadError.

    All of them have been answered then, as far as the way lets a head pass that has nothing behind it.
    """
    connections = [await Connection.open(where) for _ in sinks]
    tasks = [
        asyncio.ensure_future(connection.get(target, sink)) for connection, sink in zip(connections, sinks, strict=True)
    ]
    try:
        deadline = perf_counter() + OPEN_SECONDS
        while perf_counter() < deadline and not all(connection.transfer.status for connection in connections):
            _check(tasks)
            await asyncio.sleep(POLL_SECONDS)
        yield
        _check(tasks)
    finally:
        for connection in connections:
            connection.close()
        with suppress(LoadError):
            await asyncio.gather(*tasks)


def _check(watches: Sequence[asyncio.Task[Transfer]]) -> None:
    for watch in watches:
        if watch.done():
            watch.result()
            raise LoadError("a watch has ended by itself")


async def _target(where: str | Door, kind: Kind) -> str:
    """Return what to ask for to watch from now on."""
    path = f"/api/v1/{kind.plural}"
    version = msgspec.json.decode(await fetch_text(where, f"{path}?limit=1"), type=Head).metadata.version
    return f"{path}?watch=1&resourceVersion={version}"


class Metadata(msgspec.Struct):
    """ListMeta, as far as we look."""

    version: str = msgspec.field(name="resourceVersion")


class Head(msgspec.Struct):
    """A List without its items."""

    metadata: Metadata
