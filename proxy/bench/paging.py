"""The paging statement: what a backend that assembles whole Lists is spared where a proxy asks it for pages.

Many clients at once, for the memory of backend and proxy and for the first byte; then one client, for the time. Every
measurement has a backend and a proxy of its own, as what an allocator keeps depends on what it was asked for before.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from proxy.bench.children import Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.load import Transfer, fetch
from proxy.bench.rounds import AFTERWARDS_SECONDS, IDLE_SECONDS, Meter, Sample
from proxy.bench.sampling import Residents, Series, machine_cpu_seconds
from proxy.bench.screen import Screen
from proxy.bench.servers import Server, start_backend, start_proxy

DIRECT, STREAMED, PAGED = "direct", "streamed", "paged"
ARMS = (DIRECT, STREAMED, PAGED)
LISTS = 10
SECRETS, SECRET_SIZE = 100, 1 << 20
PODS, POD_SIZE = 50_000, 2500
# Ten Lists share one backend process; its usual deadline of 60 s is not what is measured here.
DEADLINE_SECONDS = "900"
SMALL_GET = "/version"
# What the picture shows of the time after the last byte.
CODA_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Workload:
    """What is listed, by how many clients at once, and the flags of the backend that has it."""

    name: str
    lists: int
    items: str
    target: str
    flags: tuple[str, ...]

    @property
    def title(self) -> str:
        """Say it in words."""
        return f"{self.lists} Lists of {self.items} at once" if self.lists > 1 else f"one List of {self.items}"

    @property
    def arms(self) -> tuple[str, ...]:
        """Return the ways to compare: the streamed one only shows that memory is not the proxy's to save."""
        return ARMS if self.lists > 1 else (DIRECT, PAGED)


@dataclass(frozen=True, slots=True)
class Run(Sample):
    """A measurement with the memory of each process over time, in seconds since the Lists were asked for."""

    series: dict[str, Series] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """A List that has come whole."""

    transfer: Transfer
    crc32: int


@dataclass(frozen=True, slots=True)
class Stack:
    """A fresh backend and the proxy in front of it, if there is one."""

    arm: str
    backend: Server
    proxy: Server | None

    @property
    def url(self) -> str:
        """Return where clients go."""
        return self.proxy.url if self.proxy else self.backend.url

    @property
    def servers(self) -> dict[str, Server]:
        """Return the processes by what they are."""
        return {"backend": self.backend, **({"proxy": self.proxy} if self.proxy else {})}


class Bill:
    """What a measurement costs from now on: each process of a stack, ourselves, and who else is on the machine."""

    def __init__(self, stack: Stack) -> None:
        self._meters = {name: Meter(server) for name, server in stack.servers.items()}
        self._own = time.process_time()
        self._machine = machine_cpu_seconds()

    def items(self) -> dict[str, float]:
        """Return CPU and memory by process."""
        machine = machine_cpu_seconds() - self._machine
        cpu = {"client_cpu_seconds": time.process_time() - self._own}
        for name, meter in self._meters.items():
            cpu |= meter.cpu(f"{name}_cpu_seconds", 1)
        memory = {f"{name}_{key}": size for name, meter in self._meters.items() for key, size in meter.rise().items()}
        return {**memory, **cpu, "others_cpu_seconds": max(0.0, machine - sum(cpu.values()))}


class Reference:
    """What every List has to be: the first one, which came from the backend itself."""

    def __init__(self) -> None:
        self._expected: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Return the bytes of a List."""
        return self._expected[0] if self._expected else 0

    def check(self, arm: str, body: Body) -> None:
        """Compare another List with it, all of it. Raises BenchError."""
        found = (body.transfer.size, body.crc32)
        self._expected = self._expected or found
        self.check_transfer(arm, body.transfer)
        if found != self._expected:
            raise _differs(arm, found, self._expected)

    def check_transfer(self, arm: str, transfer: Transfer) -> None:
        """Compare what is known of a List that nobody has looked at. Raises BenchError."""
        if transfer.mode != (arm if arm != DIRECT else ""):
            raise BenchError(f"a List that should have been {arm} was {transfer.mode or 'not labelled'}")
        if transfer.size != self.size:
            raise BenchError(f"a {arm} List has {transfer.size:,} bytes, the backend's own has {self.size:,}")


def _differs(arm: str, found: tuple[int, int], expected: tuple[int, int]) -> BenchError:
    return BenchError(f"a {arm} List differs from the backend's own: crc32 {found[1]:08x} instead of {expected[1]:08x}")


def workloads(scale: float) -> tuple[Workload, ...]:
    """Return few large items, many small ones, and these for one client; `scale` shrinks their number."""
    secrets, pods = max(1, round(SECRETS * scale)), max(1, round(PODS * scale))
    few = ("--secrets", str(secrets), "--secret-size", str(SECRET_SIZE))
    many = ("--pods", str(pods), "--pod-size", str(POD_SIZE))
    items = f"{pods:,} pods of {POD_SIZE / 1000:g} KB"
    return (
        Workload("secrets", LISTS, f"{secrets:,} Secrets of 1 MiB", "/api/v1/secrets", few),
        Workload("pods", LISTS, items, "/api/v1/pods", many),
        Workload("pods-alone", 1, items, "/api/v1/pods", many),
    )


async def measure(children: Children, screen: Screen, planned: Sequence[Workload], rounds: int) -> list[Run]:
    """Measure everything: memory once, time in rounds. Raises BenchError."""
    runs: list[Run] = []
    for workload in planned:
        repeat, reference = (rounds if workload.lists == 1 else 1), Reference()
        with screen.bar(workload.title, repeat * len(workload.arms), "{:.0f}".format) as bar:
            for number in range(repeat):
                # Neither always follows the other; what the first round begins with is the reference.
                for arm in workload.arms[:: -1 if number % 2 else 1]:
                    bar.note(f"{number + 1}: {arm}")
                    async with _stack(children, workload, arm) as stack:
                        run = await (crowd if workload.lists > 1 else alone)(stack, workload, reference, number + 1)
                    runs.append(run)
                    bar.advance(1)
    return runs


@asynccontextmanager
async def _stack(children: Children, workload: Workload, arm: str) -> AsyncIterator[Stack]:
    """Start processes for one measurement, and let them do once what is only done once."""
    backend = await start_backend(
        children, "--encoder", "whole", *workload.flags, "--list-deadline-seconds", DEADLINE_SECONDS
    )
    proxy = await start_proxy(children, backend.url, arm) if arm != DIRECT else None
    stack = Stack(arm, backend, proxy)
    try:
        await fetch(backend.url, f"{workload.target}?limit=1")
        await fetch(stack.url, SMALL_GET)
        yield stack
    except LoadError as error:
        await asyncio.sleep(AFTERWARDS_SECONDS)
        children.check()
        raise BenchError(f"{workload.name}, {arm}: {error}") from None
    finally:
        for server in stack.servers.values():
            children.stop(server.child)


async def crowd(stack: Stack, workload: Workload, reference: Reference, number: int) -> Run:
    """List with many clients at once, and watch the memory. Raises BenchError."""
    async with Residents({name: server.child.pid for name, server in stack.servers.items()}) as residents:
        await asyncio.sleep(IDLE_SECONDS)
        bill, started = Bill(stack), time.monotonic()
        bodies = await asyncio.gather(*(_read(stack.url, workload.target) for _ in range(workload.lists)))
        duration, costs = time.monotonic() - started, bill.items()
        await asyncio.sleep(CODA_SECONDS)
    for body in bodies:
        reference.check(stack.arm, body)
    for series in residents.series.values():
        series.shift(started - series.zero)
    first_bytes = [body.transfer.first_byte for body in bodies]
    values = {
        "lists": workload.lists,
        "list_bytes": reference.size,
        "seconds": duration,
        "first_byte_seconds": statistics.median(first_bytes),
        "worst_first_byte_seconds": max(first_bytes),
        **costs,
    }
    return Run(stack.arm, workload.name, number, values, residents.series)


async def alone(stack: Stack, workload: Workload, reference: Reference, number: int) -> Run:
    """List with one client, which only counts while the clock runs, and once more to compare. Raises BenchError."""
    await asyncio.sleep(IDLE_SECONDS)
    bill = Bill(stack)
    transfer = await fetch(stack.url, workload.target)
    costs = bill.items()
    reference.check(stack.arm, await _read(stack.url, workload.target))
    reference.check_transfer(stack.arm, transfer)
    values = {
        "lists": 1,
        "list_bytes": transfer.size,
        "seconds": transfer.seconds,
        "first_byte_seconds": transfer.first_byte,
        **costs,
    }
    return Run(stack.arm, workload.name, number, values)


async def _read(url: str, target: str) -> Body:
    """List once, and sum up the body as it comes."""
    crc32 = 0

    def sink(body: bytes) -> None:
        nonlocal crc32
        crc32 = zlib.crc32(body, crc32)

    return Body(await fetch(url, target, sink), crc32)
