"""Memory and CPU of another process from /proc, and the proxy's own account of what it holds."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from proxy.bench.errors import LoadError
from proxy.bench.load import Connection

RESIDENT_EVERY = 0.02
METRICS_EVERY = 0.05
SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE)
PROCESS_CLOCK = 2


def memory(pid: int, field_name: str) -> int:
    """Return a field of /proc/PID/status in bytes: VmRSS now, VmHWM at its peak; 0 for a process that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    match = re.search(rf"^{field_name}:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) << 10 if match else 0


def process_tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, path.read_text(encoding="ascii").split())
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return what processes have used, user and system, of all threads there were.

    The kernel's clock of a process has nanoseconds where /proc/PID/stat has ticks of 10 ms; its id is made as
    clock_getcpuclockid(3) makes it.
    """
    return sum(time.clock_gettime((~pid << 3) | PROCESS_CLOCK) for pid in pids)


def machine_cpu_seconds() -> float:
    """Return what the whole machine has used, interrupts and what the hypervisor took included, in ticks of 10 ms."""
    with Path("/proc/stat").open(encoding="ascii") as stat:
        user, nice, system, _idle, _waiting, *others = map(int, stat.readline().split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def total(exposition: str, name: str, **labels: str) -> float:
    """Add up the series of a metric (as it is spelled on the page) that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        float(found["value"])
        for found in SAMPLE.finditer(exposition)
        if found["name"] == name and all(label in (found["labels"] or "") for label in wanted)
    )


@dataclass(slots=True)
class Series:
    """What was seen over time, in seconds since `zero`."""

    zero: float = field(default_factory=time.monotonic)
    times: list[float] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def add(self, value: int) -> None:
        """Note a value as of now."""
        self.times.append(time.monotonic() - self.zero)
        self.values.append(value)

    def shift(self, seconds: float) -> None:
        """Move zero."""
        self.times = [moment - seconds for moment in self.times]

    @property
    def peak(self) -> int:
        """Return the largest value."""
        return max(self.values, default=0)

    @property
    def time_of_peak(self) -> float:
        """Return when it was largest."""
        return self.times[self.values.index(self.peak)] if self.values else 0.0


class Residents:
    """Watches the resident memory of some processes by name: an async context manager."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._pids = pids
        zero = time.monotonic()
        self.series = {name: Series(zero) for name in pids}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            for name, pids in self._pids.items():
                self.series[name].add(sum(memory(pid, "VmRSS") for pid in pids))
            await asyncio.sleep(RESIDENT_EVERY)


class Sampler:
    """Watches one proxy while it runs: an async context manager."""

    def __init__(self, pid: int, admin: str) -> None:
        self._pid = pid
        self._admin = admin
        zero = time.monotonic()
        self.resident = Series(zero)
        self.buffered = Series(zero)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(self._watch_resident()), asyncio.ensure_future(self._watch_buffered())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch_resident(self) -> None:
        while resident := memory(self._pid, "VmRSS"):
            self.resident.add(resident)
            await asyncio.sleep(RESIDENT_EVERY)

    async def _watch_buffered(self) -> None:
        connection = await Connection.open(self._admin)
        try:
            while True:
                parts: list[bytes] = []
                await connection.get("/metrics", parts.append)
                self.buffered.add(int(total(b"".join(parts).decode(), "restream_buffered_bytes")))
                await asyncio.sleep(METRICS_EVERY)
        except LoadError:
            pass  # the proxy is gone, which the Lists notice better
        finally:
            connection.close()
