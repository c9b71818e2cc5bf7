"""What is read from /proc and from the proxy's metrics."""

import asyncio
import os
import time

from proxy.bench.sampling import (
    RESIDENT_EVERY,
    Residents,
    Series,
    cpu_seconds,
    machine_cpu_seconds,
    memory,
    process_tree,
    total,
)

PAGE = """\
# HELP restream_buffered_bytes Bytes held for requests now.
# TYPE restream_buffered_bytes gauge
restream_buffered_bytes{mode="raw"} 0.0
restream_buffered_bytes{mode="streamed"} 1.5e+06
restream_buffered_bytes{mode="buffered"} 12.0
restream_items_total{group="",mode="streamed",resource="pods"} 60000.0
restream_items_total{group="apps",mode="streamed",resource="deployments"} 5.0
restream_open_files_limit 1024.0
"""


def test_adds_up_the_series_that_match() -> None:
    """A metric is summed over the labels that are not asked for."""
    assert total(PAGE, "restream_buffered_bytes") == 1_500_012
    assert total(PAGE, "restream_buffered_bytes", mode="buffered") == 12
    assert total(PAGE, "restream_items_total", mode="streamed") == 60_005
    assert total(PAGE, "restream_open_files_limit") == 1024
    assert total(PAGE, "restream_missing") == 0


def test_reads_the_memory_of_a_process() -> None:
    """The peak is never below what is resident; a process that is gone has none."""
    assert 1 << 20 < memory(os.getpid(), "VmRSS") <= memory(os.getpid(), "VmHWM")
    assert memory(2**22 + 1, "VmRSS") == 0


def test_reads_the_cpu_of_a_process_tree() -> None:
    """The clock of a process runs with what it burns."""
    tree = process_tree(os.getpid())
    assert tree[0] == os.getpid()
    before, own = cpu_seconds(tree), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    assert 0.05 <= cpu_seconds(tree) - before < 1


def test_reads_the_cpu_of_the_machine() -> None:
    """All processes together have used more than we have, and more than a moment ago."""
    before, own = machine_cpu_seconds(), time.process_time()
    assert before > 0
    while time.process_time() - own < 0.1:
        pass
    assert machine_cpu_seconds() - before > 0.05


async def test_residents_are_watched_side_by_side() -> None:
    """Each process has a curve of its own, until the watch ends."""
    async with Residents({"self": [os.getpid()], "gone": [2**22 + 1]}) as residents:
        await asyncio.sleep(3 * RESIDENT_EVERY)
    assert residents.series["self"].peak > 1 << 20
    assert residents.series["gone"].peak == 0
    count = len(residents.series["self"].values)
    await asyncio.sleep(3 * RESIDENT_EVERY)
    assert len(residents.series["self"].values) == count


def test_a_series_knows_its_peak() -> None:
    """The largest value, and when it was."""
    series = Series()
    for value in (1, 5, 2):
        series.add(value)
    series.shift(10)
    assert series.peak == 5
    assert series.time_of_peak == series.times[1] < 0
