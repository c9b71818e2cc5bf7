"""What a proxy holds when it has nothing to do: looked at from outside, in /proc and in its metrics."""

import asyncio
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
    """What there is of files, of sockets that are not towards the upstream, and of tasks, while nothing is done."""

    files: int
    sockets: int
    tasks: int


class Watcher:
    """Compares a proxy with what it was when it had done nothing wrong yet."""

    def __init__(self, child: Child, upstream: Apiserver, script: Upstream) -> None:
        self._child = child
        self._upstream = upstream
        self._script = script
        self._before = Idle(0, 0, 0)

    async def remember(self) -> None:
        """Take this moment for the measure of the others."""
        await asyncio.sleep(0.05)
        self._before = self._look(await self._child.samples())

    async def settle(self) -> str:
        """Wait until all has been given back; return what has not, nothing if all is well."""
        end = monotonic() + SETTLE_SECONDS
        while (problem := await self._problem()) and monotonic() < end:
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
        """Count; a connection to the upstream that the upstream still has is in the pool, for the next request."""
        targets = []
        for link in Path(f"/proc/{self._child.process.pid}/fd").iterdir():
            try:
                targets.append(str(link.readlink()))
            except FileNotFoundError:
                continue  # closed meanwhile
        sockets = sum(target.startswith("socket:") for target in targets)
        pooled = len(self._upstream.open_connections)
        return Idle(len(targets) - sockets, sockets - pooled, int(samples[TASKS]))
