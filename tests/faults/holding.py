"""What a proxy holds when it has nothing to do: looked at from outside, in /proc and in its metrics."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.fakes.apiserver import Apiserver
from tests.fakes.child import Child
from tests.faults.child import TASKS
from tests.faults.upstream import Upstream

SETTLE_SECONDS = 8.0
"""How long what a cell has used may take to be given back; a leak is what is never."""

HELD = ("restream_inflight_requests", "restream_buffered_bytes")


@dataclass(frozen=True, slots=True)
class Idle:
    """What there is of files, sockets and tasks while nothing is done.

    `pooled` are connections to the upstream beyond those that it has open as well: these wait for the next request.
    """

    files: int = 0
    clients: int = 0
    pooled: int = 0
    others: int = 0
    tasks: int = 0


class Watcher:
    """Compares a proxy with what it was when it had done nothing wrong yet."""

    def __init__(self, child: Child, upstream: Apiserver, script: Upstream) -> None:
        self._child = child
        self._upstream = upstream
        self._script = script
        self._before = Idle()

    async def remember(self) -> None:
        """Take this moment for the measure of the others."""
        await asyncio.sleep(0.05)
        self._before = self._look(await self._child.samples())

    async def settle(self) -> str:
        """Wait until all has been given back; return what has not, nothing if all is well."""
        end = monotonic() + SETTLE_SECONDS
        while (problem := await self._problem()) and monotonic() < end:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.02)
        return problem

    async def _problem(self) -> str:
        samples = await self._child.samples()
        for name in HELD:
            for mode, value in ((key, value) for key, value in samples.items() if key.startswith(name)):
                if value:
                    return f"{mode} is {value:.0f}"
        if self._script.under_way:
            return f"{self._script.under_way} requests are still being answered by the upstream"
        now = self._look(samples)
        return "" if now == self._before else f"held {now}, before that {self._before}"

    def _look(self, samples: dict[str, float]) -> Idle:
        """Count; scrapes, of which the last may not have been closed yet, are not looked at."""
        connections = _connections()
        roles = Counter(self._role(target, connections) for target in _open_files(self._child.process.pid))
        pooled = roles["upstream"] - len(self._upstream.open_connections)
        return Idle(roles["file"], roles["client"], pooled, roles["socket"], int(samples[TASKS]))

    def _role(self, target: str, connections: dict[str, tuple[int, int]]) -> str:
        if not target.startswith("socket:["):
            return "file"
        own, other = connections.get(target[8:-1], (0, 0))
        if other == 0:
            return "socket"  # a listener, or one of a pair within the process
        if own == self._child.admin_address[1]:
            return "scrape"
        return "client" if own == self._child.address[1] else "upstream"


def _open_files(pid: int) -> list[str]:
    """Return what each file descriptor of a process leads to."""
    targets = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            targets.append(str(link.readlink()))
    return targets


def _connections() -> dict[str, tuple[int, int]]:
    """Return the ports, one's own and the other's, of every TCP socket of this machine by its inode."""
    found = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, own, other, *rest = line.split()
        found[rest[6]] = int(own.rpartition(":")[2], 16), int(other.rpartition(":")[2], 16)
    return found
