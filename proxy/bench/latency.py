"""Latency as a workload: how long an event of a watch is on its way, while nothing else happens and beside Lists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic, monotonic_ns
from typing import Self

from proxy.bench import crowd, stamps
from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.gets import percentiles
from proxy.bench.lists import Reference
from proxy.bench.meters import Bill, Run
from proxy.bench.screen import megabytes, object_size
from proxy.bench.servers import Server, start_stamps
from proxy.bench.stack import IDLE_SECONDS, Stack
from proxy.bench.watches import LEAST_SECONDS, opened

SENT = re.compile(rb'"sent":"(\d+)"')
MODES = ("raw", "streamed", "paged")


@dataclass(frozen=True, slots=True)
class Latency:
    """So many watches with an event every `interval` seconds, for a while alone, and for a while beside Lists."""

    name: str
    watches: int
    interval: float
    lists: int
    items: int
    item_bytes: int
    duration: float
    modes: tuple[str, ...] = MODES

    def scaled(self, scale: float) -> Self:
        """Return it with smaller or larger Lists, and for a shorter time, never for a longer one."""
        duration = max(LEAST_SECONDS, self.duration * min(scale, 1.0))
        return replace(self, items=max(1, round(self.items * scale)), duration=duration)

    @property
    def title(self) -> str:
        """Say it in words."""
        each = megabytes(self.items * self.item_bytes)
        events = f"{self.watches / self.interval:,.0f} events a second of {object_size(self.item_bytes)}"
        return f"{self.watches} watches, {events}; beside {self.lists} Lists of {each} at once"

    async def start(self, children: Children, encoder: str) -> Server:
        """Start the upstream that it needs. Raises ChildError."""
        told = (self.items, self.item_bytes, self.interval)
        flags = (f"--{name}={value}" for name, value in zip(("items", "item-bytes", "interval"), told, strict=True))
        return await start_stamps(children, "--encoder", encoder, *flags)

    def held(self, arm: str, encoder: str) -> int:
        """Nothing large is held for anybody."""
        del arm, encoder
        return 0

    async def measure(self, stack: Stack, reference: Reference, number: int) -> Run:
        """Watch alone, then beside Lists. Raises BenchError, LoadError."""
        del reference
        watches = [Stamped() for _ in range(self.watches)]
        target = f"{stamps.PATH}?watch=1"
        async with opened(stack.door, target, [watch.sink for watch in watches]):
            await asyncio.sleep(IDLE_SECONDS)
            alone = await self._sample(watches)
            with Children() as children:
                beside = await self._beside_lists(children, stack, watches)
        values = {**_delays("alone", alone), **beside, "events": float(len(alone))}
        return Run(stack.arm, self.name, number, values)

    async def _beside_lists(self, children: Children, stack: Stack, watches: Sequence[Stamped]) -> dict[str, float]:
        url = stack.door if isinstance(stack.door, str) else stack.door.url
        listing = await crowd.gathered(children, url, stamps.PATH, self.lists)
        moved, started, bill = crowd.moved(listing), monotonic(), Bill(stack.pids)
        delays = await self._sample(watches)
        speed = (crowd.moved(listing) - moved) / 1e6 / (monotonic() - started)
        children.check()
        return {**_delays("beside", delays), "megabytes_per_second": speed, **bill.items()}

    async def _sample(self, watches: Sequence[Stamped]) -> list[float]:
        """Return the delays of all events for a while, in order of size. Raises BenchError for none."""
        for watch in watches:
            watch.delays.clear()
        await asyncio.sleep(self.duration)
        if delays := sorted(delay for watch in watches for delay in watch.delays):
            return delays
        raise BenchError(f"no event of a watch has come in {self.duration:g} s")


class Stamped:
    """One watch: how long after it had left the upstream each of its events was complete, in seconds."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._begun = b""

    def sink(self, body: bytes) -> None:
        """Take what has come; an event ends with its line."""
        now = monotonic_ns()
        *events, self._begun = (self._begun + body).split(b"\n")
        for event in events:
            sent = SENT.search(event)
            if sent is None:
                raise BenchError("an event does not say when it was sent")
            self.delays.append((now - int(sent[1])) / 1e9)


def _delays(when: str, ordered: Sequence[float]) -> dict[str, float]:
    return {**percentiles(f"{when}_delay_seconds", ordered), f"worst_{when}_delay_seconds": ordered[-1]}
