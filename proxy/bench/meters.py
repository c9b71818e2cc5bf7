"""What a measurement took: CPU and memory of each process, and the record that is kept of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from proxy.bench.sampling import Series, cpu_seconds, machine_cpu_seconds, memory


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; `values` are in the units that their names end with.

    `series` has the memory of each process over time, in seconds since the first request.
    """

    arm: str
    workload: str
    round: int
    values: dict[str, float] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)


class Meter:
    """The CPU and memory of an arm's processes since now; of no processes, nothing."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self._cpu = cpu_seconds(self._pids)
        self._idle = self._memory("VmRSS")

    def cpu(self) -> float:
        """Return the CPU seconds since the start."""
        return cpu_seconds(self._pids) - self._cpu

    def rise(self) -> dict[str, float]:
        """Return memory before, at its peak, and the difference."""
        peak = self._memory("VmHWM")
        return {"idle_rss_bytes": self._idle, "peak_rss_bytes": peak, "above_idle_bytes": peak - self._idle}

    def grown(self) -> int:
        """Return how much more memory is resident than at the start."""
        return self._memory("VmRSS") - self._idle

    def _memory(self, field_name: str) -> int:
        return sum(memory(pid, field_name) for pid in self._pids)


class Bill:
    """What a measurement costs from now on: each process by its name, ourselves, and who else is on the machine."""

    def __init__(self, pids: Mapping[str, Iterable[int]]) -> None:
        self._meters = {name: Meter(tree) for name, tree in pids.items()}
        self._own = time.process_time()
        self._machine = machine_cpu_seconds()

    def items(self) -> dict[str, float]:
        """Return CPU and memory by process."""
        machine = machine_cpu_seconds() - self._machine
        cpu = {"client_cpu_seconds": time.process_time() - self._own}
        cpu |= {f"{name}_cpu_seconds": meter.cpu() for name, meter in self._meters.items()}
        rises = {f"{name}_{key}": size for name, meter in self._meters.items() for key, size in meter.rise().items()}
        return {**rises, **cpu, "others_cpu_seconds": max(0.0, machine - sum(cpu.values()))}


def per(costs: Mapping[str, float], unit: str, amount: float) -> dict[str, float]:
    """Return what backend and proxy used for each of `amount` units."""
    names = [name for name in ("proxy_cpu_seconds", "backend_cpu_seconds") if name in costs]
    return {f"{name}_per_{unit}": costs[name] / amount for name in names} if amount else {}


class Figures:
    """One figure for every value of several rounds, by workload and arm; None for what was not measured."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = {}
        for run in runs:
            for name, value in run.values.items():
                self._values.setdefault((run.workload, run.arm, name), []).append(value)

    def median(self, workload: str, arm: str, value: str) -> float | None:
        """Return the median of all rounds."""
        values = self._values.get((workload, arm, value))
        return statistics.median(values) if values else None

    def ratio(self, workload: str, arm: str, value: str, yardstick: str, other_workload: str = "") -> float | None:
        """Return the median of the ratios to another arm, or to another workload, in each round.

        What slows a machine down for a while concerns both: of ten rounds beside other work such medians differed by
        5 to 16 %, ratios of medians by up to 28 %, those of the least values by up to 57 %.
        """
        own = self._values.get((workload, arm, value), ())
        others = self._values.get((other_workload or workload, yardstick, value), ())
        ratios = [here / there for here, there in zip(own, others, strict=False) if there]
        return statistics.median(ratios) if ratios else None
