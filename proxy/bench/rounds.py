"""Workloads in interleaved rounds: every arm in fresh processes, in each round another one first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from proxy.bench.arms import Arm
from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.lists import Reference
from proxy.bench.meters import Run
from proxy.bench.screen import Screen, mebibytes
from proxy.bench.stack import started
from proxy.bench.workloads import Workload
from proxy.core.planning import MODES

# The rest is for clients, page cache and everybody else.
MEMORY_SHARE = 0.7
Item = TypeVar("Item")


async def measure(
    children: Children, screen: Screen, workloads: Sequence[Workload], arms: Sequence[Arm], rounds: int, encoder: str
) -> list[Run]:
    """Measure everything. Raises BenchError."""
    runs: list[Run] = []
    for workload in workloads:
        chosen, reference = suitable(workload, arms, screen, encoder), Reference()
        with screen.bar(workload.name, rounds * len(chosen), "{:.0f}".format) as bar:
            for number in range(rounds):
                for arm in rotated(chosen, number):
                    bar.note(f"{number + 1}: {arm.name}")
                    runs.append(await one(children, workload, arm, reference, number + 1, encoder))
                    bar.advance(1)
    if not runs:
        raise BenchError("none of the chosen arms makes sense in any of the chosen workloads")
    return runs


async def one(children: Children, workload: Workload, arm: Arm, reference: Reference, number: int, encoder: str) -> Run:
    """Measure one arm in fresh processes. Raises BenchError."""
    async with started(children, arm, await workload.start(children, encoder)) as stack:
        try:
            return await workload.measure(stack, reference, number)
        except BenchError as error:
            raise type(error)(f"{workload.name}: {error}") from None


def rotated(arms: Sequence[Item], number: int) -> list[Item]:
    """Return arms with another one first in each round, so that no one always follows the same."""
    shift = number % max(1, len(arms))
    return [*arms[shift:], *arms[:shift]]


def suitable(workload: Workload, arms: Sequence[Arm], screen: Screen, encoder: str) -> list[Arm]:
    """Return the arms that have something of their own to show and enough memory; say which have not."""
    chosen = [arm for arm in arms if arm.name not in MODES or arm.name in workload.modes]
    limit = available_memory() * MEMORY_SHARE
    for arm in chosen:
        if (held := workload.held(arm.name, encoder)) > limit:
            screen.say(f"{arm.name} is left out of {workload.name}: it takes {mebibytes(held)}, more than there is")
    return [arm for arm in chosen if workload.held(arm.name, encoder) <= limit]


def available_memory() -> int:
    """Return how many bytes of memory new processes may take."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0
