"""One exposition of many processes: the sums are right, and what is of a process stays its own."""

from collections import Counter as Tally

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from proxy.core.budget import NOTHING, Budget
from proxy.metrics import Metrics
from proxy.workers.merging import ONCE, Family, Sample, families_of, merge, render, retire

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
OBSERVED = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100)), max_size=20)


def process(observed: list[tuple[str, int]], resident: int) -> list[Family]:
    """Return what a process tells that has made these observations."""
    registry = CollectorRegistry()
    counter = Counter("restream_items", "Items.", ["mode"], registry=registry)
    histogram = Histogram("restream_response_bytes", "Bytes.", ["mode"], buckets=(1, 10, 50), registry=registry)
    held = Gauge("restream_buffered_bytes", "Held.", ["mode"], registry=registry)
    Gauge("process_resident_memory_bytes", "Memory.", registry=registry).set(resident)
    Gauge("restream_build_info", "Build.", ["version"], registry=registry).labels("1").set(1)
    for mode, value in observed:
        counter.labels(mode).inc(value)
        histogram.labels(mode).observe(value)
        held.labels(mode).inc(value)
    return families_of(registry.collect())


def series(families: list[Family]) -> Series:
    """Return every sample of an exposition, as a scrape reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(render(families).decode())
        for sample in family.samples
    }


def without(values: Series, *names: str) -> Series:
    """Return what is not of these metrics, nor the time at which a series began."""
    return {key: value for key, value in values.items() if not key[0].startswith(names) and "_created" not in key[0]}


@settings(deadline=None)
@given(st.lists(OBSERVED, min_size=1, max_size=4))
def test_many_processes_add_up_to_one(shares: list[list[tuple[str, int]]]) -> None:
    """However observations are spread over processes, their sums are those of one that made them all."""
    merged = series(merge({str(number): process(share, number) for number, share in enumerate(shares)}))
    alone = series(process([one for share in shares for one in share], 0))
    assert without(merged, "process_") == without(alone, "process_")
    memory = {key[1]: value for key, value in merged.items() if key[0] == "process_resident_memory_bytes"}
    assert memory == {(("worker", str(number)),): number for number in range(len(shares))}


@settings(deadline=None)
@given(st.lists(st.tuples(OBSERVED, st.none() | st.integers(0, 4)), min_size=1, max_size=5))
def test_counters_survive_their_processes(lives: list[tuple[list[tuple[str, int]], int | None]]) -> None:
    """In whatever order processes die and are followed by others, no counter goes down; gauges of the dead are gone."""
    alive: dict[str, list[Family]] = {}
    gone: list[Family] = []
    before: Series = {}
    expected: Tally[str] = Tally()
    for number, (observed, victim) in enumerate(lives):
        if alive and victim is not None:
            gone = retire(gone, alive.pop(sorted(alive)[victim % len(alive)]))
        alive[str(number)] = process(observed, 1)
        for mode, value in observed:
            expected[mode] += value
        now = series(merge(alive, gone))
        counted = without(now, "process_", "restream_buffered_bytes", "restream_build_info")
        assert all(counted[key] >= value for key, value in before.items())
        before = counted
        assert sum(key[0] == "process_resident_memory_bytes" for key in now) == len(alive)
    totals = {key[1][0][1]: value for key, value in before.items() if key[0] == "restream_items_total"}
    assert totals == {mode: expected[mode] for mode in totals}
    assert not [family for family in gone if family.name in ("restream_buffered_bytes", *ONCE)]


def test_histograms_stay_cumulative() -> None:
    """Buckets of several processes are added bound by bound, under one head, each series once."""
    text = render(merge({"0": process([("a", 1), ("a", 40)], 1), "1": process([("a", 5), ("b", 99)], 2)})).decode()
    assert text.count("# TYPE restream_response_bytes histogram") == 1
    lines = [
        line for line in text.splitlines() if line.startswith("restream_response_bytes_bucket{le") and '"a"' in line
    ]
    assert [float(line.rpartition(" ")[2]) for line in lines] == [1, 2, 3, 3]
    names = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))


def test_what_is_known_is_told_apart() -> None:
    """Each metric of the proxy is added up, shown once, or of its process; a new one cannot slip through unnoticed."""
    families = families_of(Metrics(1024, Budget(NOTHING)).registry.collect())
    each = {family.name for family in families if family.is_per_process}
    gauges = {family.name for family in families if family.kind == "gauge"} - each - ONCE
    assert gauges == {
        "restream_buffered_bytes",
        "restream_client_connections",
        "restream_head_bytes",
        "restream_inflight_requests",
        "restream_memory_budget_bytes",
        "restream_memory_granted_bytes",
        "restream_waiting_lists",
    }
    assert {family.name for family in families} >= ONCE
    assert {family.kind for family in families} == {"counter", "gauge", "histogram"}
    assert all("worker" not in sample.labels for family in families for sample in family.samples)


def test_samples_travel() -> None:
    """What a process tells is the same after its way through the channel."""
    families = process([("a", 1)], 2)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(families), type=list[Family]) == families
    assert Sample("x", {}, 1.0) == msgspec.msgpack.decode(msgspec.msgpack.encode(("x", {}, 1)), type=Sample)
