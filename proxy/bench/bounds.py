"""Every bound that a figure is held against, in one place: goals of the benchmark, and what `bench --check` watches.

A figure is that of an arm, or, with a yardstick, its ratio to another arm's in the same run: ratios change little from
machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.bench.screen import MIB, NOTHING, Table, mebibytes

KUBECTL, RAW, STREAMED, PAGED, BUFFERED = "kubectl proxy", "raw", "streamed", "paged", "buffered"
LIST_CPU, GET_CPU = "proxy_cpu_seconds_per_gigabyte", "proxy_cpu_seconds_per_request"
FIRST_BYTE, TOTAL, ABOVE_IDLE = "first_byte_seconds", "seconds", "proxy_above_idle_bytes"
NAMES = {
    LIST_CPU: "CPU per GB",
    GET_CPU: "CPU per GET",
    FIRST_BYTE: "first byte",
    TOTAL: "total",
    ABOVE_IDLE: "memory above idle",
}

Figure = Callable[[str, str, str], float | None]
"""The figure of a workload, an arm and a value; None where it was not measured."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a figure may be; `why` says where the bound comes from."""

    workload: str
    arm: str
    value: str
    most: float
    yardstick: str = ""
    why: str = ""

    def figure(self, figure: Figure) -> float | None:
        """Return what is held against the bound, None where it cannot be had."""
        own = figure(self.workload, self.arm, self.value)
        if not self.yardstick or own is None:
            return own
        other = figure(self.workload, self.yardstick, self.value)
        return own / other if other else None

    def is_missed(self, figure: Figure) -> bool:
        """Whether the figure is known and too large."""
        found = self.figure(figure)
        return found is not None and found > self.most

    def row(self, figure: Figure) -> list[str]:
        """Return what it is about, the figure, the bound, the verdict, and the reason."""
        show = "{:.2f}".format if self.yardstick else mebibytes
        found = self.figure(figure)
        verdict = NOTHING if found is None else "MISS" if found > self.most else "PASS"
        what = f"{self.workload}: {self.arm}, {NAMES[self.value]}"
        ratio = f", x {self.yardstick}" if self.yardstick else ""
        return [what + ratio, NOTHING if found is None else show(found), show(self.most), verdict, self.why]


GOAL, FLOOR = "goal", "must not miss"
GOALS = (
    Bound("pods", STREAMED, LIST_CPU, 1.0, KUBECTL, GOAL),
    Bound("pods", STREAMED, LIST_CPU, 1.3, KUBECTL, FLOOR),
    Bound("large-pods", STREAMED, LIST_CPU, 1.0, KUBECTL, GOAL),
    Bound("large-pods", STREAMED, LIST_CPU, 1.1, KUBECTL, FLOOR),
    Bound("secrets", STREAMED, LIST_CPU, 1.0, KUBECTL, GOAL),
    Bound("secrets", STREAMED, LIST_CPU, 1.1, KUBECTL, FLOOR),
    Bound("configmaps", STREAMED, TOTAL, 1.4, RAW, FLOOR),
    Bound("configmaps", STREAMED, ABOVE_IDLE, 64 * MIB, "", FLOOR),
    Bound("gets-1", STREAMED, GET_CPU, 1.4, KUBECTL, FLOOR),
    Bound("gets-64", STREAMED, GET_CPU, 1.4, KUBECTL, FLOOR),
    Bound("ten Lists at once", STREAMED, TOTAL, 1.4, RAW, FLOOR),
    Bound("ten Lists at once", STREAMED, ABOVE_IDLE, 64 * MIB, "", FLOOR),
)


def table(bounds: Sequence[Bound], figure: Figure, workloads: Sequence[str]) -> Table:
    """Return the bounds of some workloads with their verdicts."""
    chosen = [bound.row(figure) for bound in bounds if bound.workload in workloads]
    return Table(["bound", "figure", "at most", "verdict", "why"], [*chosen])
