"""Lists as a workload: one or many at once, and what they cost whoever stands between."""

from __future__ import annotations

import asyncio
import statistics
import time
import zlib
from dataclasses import dataclass, replace
from typing import Literal, Self

from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.load import JSON, Connection, Door, Transfer, fetch, fetch_text
from proxy.bench.meters import Bill, Run, per
from proxy.bench.sampling import Residents, total
from proxy.bench.screen import object_size
from proxy.bench.servers import Server, start_patient
from proxy.bench.stack import AFTERWARDS_SECONDS, IDLE_SECONDS, Stack
from proxy.core.planning import MODES

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
# Modes that know what an item is.
COUNTING = ("streamed", "paged", "buffered")


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of which the backend has as many objects, and as large ones, as its flags say."""

    plural: str
    word: str
    size_flag: str


PODS = Kind("pods", "pods", "--pod-size")
SECRETS = Kind("secrets", "Secrets", "--secret-size")
CONFIG_MAPS = Kind("configmaps", "ConfigMaps", "--configmap-size")


@dataclass(frozen=True, slots=True)
class Body:
    """A List that has come; a crc32 of 0 where nobody has summed it up."""

    transfer: Transfer
    crc32: int


class Reference:
    """What every List of a workload has to be: as the first one, which is the backend's own where `direct` runs.

    Where they are not to be compared, they still have to come by the right way.
    """

    def __init__(self, *, is_exact: bool = True) -> None:
        self._is_exact = is_exact
        self._size: int | None = None
        self._crc32: int | None = None

    def check(self, arm: str, body: Body) -> None:
        """Compare a List with the first, as far as both are known. Raises BenchError."""
        transfer = body.transfer
        if transfer.mode != (arm if arm in MODES else ""):
            raise BenchError(f"a List that should have been {arm} was {transfer.mode or 'not labelled'}")
        if not self._is_exact:
            return
        self._size = transfer.size if self._size is None else self._size
        if transfer.size != self._size:
            raise BenchError(f"a List by {arm} has {transfer.size:,} bytes, the first one had {self._size:,}")
        self._crc32 = self._crc32 or body.crc32
        if body.crc32 and body.crc32 != self._crc32:
            raise BenchError(
                f"a List by {arm} differs from the first one: crc32 {body.crc32:08x} instead of {self._crc32:08x}"
            )


@dataclass(frozen=True, slots=True)
class Lists:
    """So many clients at once, each of which lists all objects of a kind.

    `sums` says when bodies are summed up: a client that does so `during` the measurement takes time from everybody,
    one that does so `after` lists once more. A `rate` (bytes a second) makes clients slow ones that leave after
    `patience` seconds.
    """

    name: str
    kind: Kind
    items: int
    item_bytes: int
    clients: int = 1
    accept: str = JSON
    sums: Literal["during", "after", "never"] = "never"
    rate: float | None = None
    patience: float = 0.0
    modes: tuple[str, ...] = MODES

    def scaled(self, scale: float) -> Self:
        """Return it with another number of objects, one at least."""
        return replace(self, items=max(1, round(self.items * scale)))

    @property
    def objects(self) -> str:
        """Say what is listed."""
        return f"{self.items:,} {self.kind.word} of {object_size(self.item_bytes)}"

    @property
    def title(self) -> str:
        """Say it in words."""
        what = f"{self.objects}{' as Table' if self.accept == TABLE else ''}"
        return f"{self.clients} Lists of {what} at once" if self.clients > 1 else f"one List of {what}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the backend's."""
        return (f"--{self.kind.plural}", str(self.items), self.kind.size_flag, str(self.item_bytes))

    @property
    def target(self) -> str:
        """Return what is asked for."""
        return f"/api/v1/{self.kind.plural}"

    async def start(self, children: Children, encoder: str) -> Server:
        """Start the backend that it needs. Raises ChildError."""
        return await start_patient(children, encoder, *self.flags)

    def held(self, arm: str, encoder: str) -> int:
        """Return about how many bytes backend and proxy hold at once where they hold whole Lists."""
        holders = (arm == "buffered") + (encoder == "whole" and arm != "paged")
        return holders * self.clients * self.items * self.item_bytes

    async def measure(self, stack: Stack, reference: Reference, number: int) -> Run:
        """List, and watch the memory. Raises BenchError, LoadError."""
        await fetch(stack.origin, f"{self.target}{'&' if '?' in self.target else '?'}limit=1")
        async with Residents(stack.pids) as residents:
            await asyncio.sleep(IDLE_SECONDS)
            zero = time.monotonic()
            values, bodies = await self.cost(stack, AFTERWARDS_SECONDS)
        for series in residents.series.values():
            series.shift(zero - series.zero)
        if self.rate is None:
            await self._check(stack, values, reference, bodies)
        return Run(stack.arm, self.name, number, values, residents.series)

    async def cost(self, stack: Stack, afterwards: float) -> tuple[dict[str, float], list[Body]]:
        """List, and return what it took until some seconds after the last byte. Raises LoadError."""
        before, bill, started = await passed_items(stack), Bill(stack.pids), time.monotonic()
        bodies = await asyncio.gather(*(self._read(stack.door) for _ in range(self.clients)))
        duration = time.monotonic() - started
        await asyncio.sleep(afterwards)
        costs, after = bill.items(), await passed_items(stack)
        items = {} if after is None or before is None else {"items": after - before}
        return {**_summary(bodies, duration, costs), **items, **costs}, bodies

    async def _check(self, stack: Stack, values: dict[str, float], reference: Reference, bodies: list[Body]) -> None:
        """Raise BenchError where a List is not what it should be, or the proxy says that it passed other items."""
        expected = self.clients * self.items
        if self.items and (counted := values.get("items", expected)) != expected:
            raise BenchError(f"{stack.arm} counted {counted:,.0f} items, expected {expected:,}")
        if self.sums == "after":
            reference.check(stack.arm, await self._sum_up(stack.door))
        for body in bodies:
            reference.check(stack.arm, body)

    async def _read(self, where: str | Door) -> Body:
        if self.rate:
            return Body(await self._slowly(where, self.rate), 0)
        if self.sums == "during":
            return await self._sum_up(where)
        return Body(await fetch(where, self.target, accept=self.accept), 0)

    async def _sum_up(self, where: str | Door) -> Body:
        crc32 = 0

        def sink(body: bytes) -> None:
            nonlocal crc32
            crc32 = zlib.crc32(body, crc32)

        return Body(await fetch(where, self.target, sink, accept=self.accept), crc32)

    async def _slowly(self, where: str | Door, rate: float) -> Transfer:
        """Read at `rate` for a while, then leave in the middle."""
        connection = await Connection.open(where, rate)
        try:
            async with asyncio.timeout(self.patience):
                await connection.get(self.target, accept=self.accept)
        except TimeoutError:
            pass
        finally:
            connection.close()
        return connection.transfer


def _summary(bodies: list[Body], duration: float, costs: dict[str, float]) -> dict[str, float]:
    """Return what clients saw, and the costs by what was moved."""
    first_bytes = [body.transfer.first_byte for body in bodies]
    moved = sum(body.transfer.size for body in bodies)
    return {
        "lists": len(bodies),
        "list_bytes": moved / len(bodies),
        "moved_bytes": moved,
        "seconds": duration,
        "megabytes_per_second": moved / 1e6 / duration,
        "first_byte_seconds": statistics.median(first_bytes),
        **({"worst_first_byte_seconds": max(first_bytes)} if len(bodies) > 1 else {}),
        **per(costs, "gigabyte", moved / 1e9),
    }


async def passed_items(stack: Stack) -> float | None:
    """Return how many items our own proxy has passed so far; None of what does not know what an item is."""
    if stack.proxy is None or stack.arm not in COUNTING:
        return None
    return total(await fetch_text(stack.proxy.admin, "/metrics"), "restream_items_total")
