"""Metrics that are read off when they are asked for, or counted by the batch."""

import resource
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.core.budget import Budget
from proxy.core.planning import MODES
from proxy.progress import Progress

ITEM_SIZES = tuple(256 << power for power in range(17))
"""256 B to 16 MiB, the default of max_item_bytes."""


class ItemSizes(Collector):
    """``restream_item_bytes``, counted a batch at a time: `Histogram.observe` costs 2.2 us an item."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, int] = {}

    def count(self, mode: str, sizes: list[int]) -> None:
        """Count the items of a batch by their `sizes` in bytes."""
        counts = self._counts.setdefault(mode, [0] * (len(ITEM_SIZES) + 1))
        self._sums[mode] = self._sums.get(mode, 0) + sum(sizes)
        first, last = _bucket(min(sizes)), _bucket(max(sizes))
        if first == last:  # the items of a List are alike
            counts[first] += len(sizes)
            return
        for size in sizes:
            counts[_bucket(size)] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram, as prometheus-client asks for it."""
        family = HistogramMetricFamily("restream_item_bytes", "Size of the items of Lists.", labels=["mode"])
        for mode, counts in self._counts.items():
            total, buckets = 0, []
            for bound, count in zip((*map(float, ITEM_SIZES), float("inf")), counts, strict=True):
                total += count
                buckets.append((str(bound) if bound != float("inf") else "+Inf", float(total)))
            family.add_metric([mode], buckets, sum_value=self._sums[mode])
        yield family


def _bucket(size: int) -> int:
    """Return the index of the first bound that is not below `size`: the bounds are powers of two from 256."""
    return min(max(0, (size - 1).bit_length() - 8), len(ITEM_SIZES)) if size else 0


class Held(Collector):
    """What is under way and held at the moment of the scrape, and the peak of the process."""

    def __init__(self, progress: dict[int, Progress], budget: Budget) -> None:
        self._progress = progress
        self._budget = budget

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges, as prometheus-client asks for them."""
        held = dict.fromkeys(MODES, 0)
        running = dict.fromkeys(MODES, 0)
        for progress in list(self._progress.values()):
            held[progress.mode] += progress.held() + progress.held_up()
            running[progress.mode] += 1
        buffered = GaugeMetricFamily("restream_buffered_bytes", "Bytes held for requests now.", labels=["mode"])
        inflight = GaugeMetricFamily("restream_inflight_requests", "Requests under way now.", labels=["mode"])
        for mode in MODES:
            buffered.add_metric([mode], held[mode])
            inflight.add_metric([mode], running[mode])
        yield buffered
        yield inflight
        budget = self._budget
        for name, text, value in (
            ("restream_memory_budget_bytes", "What may be held for Lists at most.", budget.limits.size),
            ("restream_memory_granted_bytes", "What requests under way may hold of the budget now.", budget.granted),
            ("restream_waiting_lists", "Lists that wait for memory, or for fewer Lists of their kind.", budget.waiting),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        yield GaugeMetricFamily(
            "restream_resident_memory_peak_bytes", "Peak resident memory of the process.", value=peak_resident_bytes()
        )


def peak_resident_bytes() -> int:
    """Return VmHWM; not ru_maxrss where it can be helped, which in a child starts at its parent's peak."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
