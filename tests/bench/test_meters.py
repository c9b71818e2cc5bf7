"""What is made of measurements."""

import os
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bench.gets import percentiles
from proxy.bench.meters import Bill, Figures, Meter, Run, per

VALUES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20)


@given(VALUES)
def test_figures_are_of_all_rounds(values: list[float]) -> None:
    """The median of a value, each arm and workload by itself; None of what was not measured."""
    runs = [Run("raw", "pods", number, {"seconds": value}) for number, value in enumerate(values)]
    figures = Figures([*runs, Run("raw", "secrets", 1, {"seconds": -1.0}), Run("paged", "pods", 1, {"seconds": -1.0})])
    assert figures.median("pods", "raw", "seconds") == statistics.median(values)
    assert figures.median("pods", "raw", "bytes") is figures.median("pods", "streamed", "seconds") is None


@given(VALUES, st.floats(0.1, 10), st.integers(1, 100))
def test_ratios_are_taken_in_each_round(values: list[float], factor: float, slow: int) -> None:
    """Where rounds differ as much for both, the ratio stays what it is."""
    slowed = [value * (slow if number % 2 else 1) for number, value in enumerate(values)]
    runs = [Run("raw", "pods", number, {"seconds": value}) for number, value in enumerate(slowed)]
    runs += [Run("paged", "pods", number, {"seconds": value * factor}) for number, value in enumerate(slowed)]
    figures = Figures(runs)
    assert figures.ratio("pods", "paged", "seconds", "raw") == pytest.approx(factor)
    assert figures.ratio("pods", "paged", "seconds", "streamed") is None
    assert figures.ratio("pods", "raw", "seconds", "raw", "secrets") is None


@given(VALUES)
def test_percentiles_are_values_that_were_there(values: list[float]) -> None:
    """99 % and more are not above the p99, which is not below the median."""
    ordered = sorted(values)
    found = percentiles("seconds", ordered)
    assert found["p99_seconds"] in values
    assert found["p50_seconds"] <= found["p99_seconds"]
    assert sum(value <= found["p99_seconds"] for value in values) >= 0.99 * len(values)


def test_nothing_has_no_percentiles() -> None:
    """A run without events must not divide by zero."""
    assert percentiles("seconds", []) == {}
    assert per({"proxy_cpu_seconds": 1.0}, "event", 0) == {}


def test_a_bill_has_every_process_by_name() -> None:
    """And what backend and proxy used for a unit of work."""
    costs = Bill({"proxy": [os.getpid()]}).items()
    assert costs["proxy_peak_rss_bytes"] >= costs["proxy_idle_rss_bytes"] > 0
    assert "backend_cpu_seconds" not in costs
    assert per({"proxy_cpu_seconds": 3.0, "client_cpu_seconds": 5.0}, "gigabyte", 2.0) == {
        "proxy_cpu_seconds_per_gigabyte": 1.5
    }


def test_no_processes_cost_nothing() -> None:
    """The proxy of `direct`."""
    meter = Meter(())
    assert (meter.cpu(), meter.grown()) == (0.0, 0)
