"""What the proxy's processes take over time, looked at from outside: memory, files, threads, tasks, what is held."""

import asyncio
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from proxy.bench.sampling import cpu_seconds, memory, process_tree
from tests.fakes.child import samples_in
from tests.faults.child import TASKS
from tests.soak.client import Connection
from tests.soak.scene import Address

HELD = (
    "restream_inflight_requests",
    "restream_buffered_bytes",
    "restream_memory_granted_bytes",
    "restream_waiting_lists",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look, `at` seconds since the load began. Bytes, and numbers of things; tasks are 0 where nobody tells."""

    at: float
    resident: int
    files: int
    threads: int
    tasks: int
    held: dict[str, int]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or held."""
        return not any(self.held.values())


@dataclass(slots=True)
class Sampler:
    """Looks at a proxy."""

    pid: int
    admin: Address
    zero: float = field(default_factory=monotonic)
    samples: list[Sample] = field(default_factory=list)
    _cpu: float = 0.0

    def begin(self) -> None:
        """Count time and CPU from now on."""
        self.zero = monotonic()
        self._cpu = cpu_seconds(process_tree(self.pid))

    def cpu(self) -> float:
        """Return the CPU seconds since the beginning."""
        return cpu_seconds(process_tree(self.pid)) - self._cpu

    async def look(self) -> Sample:
        """Look once; the scrape's own connection is open meanwhile, in each look alike. Raises OSError."""
        async with await Connection.open(self.admin) as connection:
            metrics = await _scrape(connection)
            pids = process_tree(self.pid)
            return Sample(
                monotonic() - self.zero,
                sum(memory(pid, "VmRSS") for pid in pids),
                sum(map(_files, pids)),
                sum(map(_threads, pids)),
                int(metrics.get(TASKS, 0)),
                {name: int(sum(value for key, value in metrics.items() if key.startswith(name))) for name in HELD},
            )

    async def aborts(self) -> dict[str, int]:
        """Return how many responses were aborted by reason. Raises OSError."""
        async with await Connection.open(self.admin) as connection:
            metrics = await _scrape(connection)
        start = "restream_aborts_total reason="
        return {key.removeprefix(start): int(value) for key, value in sorted(metrics.items()) if key.startswith(start)}

    async def watch(self, every: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.samples.append(await self.look())
            await asyncio.sleep(every)

    async def settle(self, wanted: Callable[[Sample], bool], seconds: float) -> Sample:
        """Look until it is as `wanted`, but no longer than so many seconds; return the last look."""
        end = monotonic() + seconds
        while not wanted(sample := await self.look()) and monotonic() < end:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.1)
        return sample

    def median(self, what: Callable[[Sample], int], start: float, end: float) -> float:
        """Return the median of what was seen between two moments."""
        return statistics.median([what(sample) for sample in self.samples if start <= sample.at <= end] or [0])


def _threads(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def _files(pid: int) -> int:
    """Count open files; not /dev/null, which libuv opens at a worker's first connection to have one to spare."""
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += str(link.readlink()) != "/dev/null"
    return count


async def _scrape(connection: Connection) -> dict[str, float]:
    return samples_in((await connection.ask("GET", "/metrics")).body.decode())
