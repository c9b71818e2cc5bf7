"""What is held against a bound, and what is said of it."""

import pytest

from proxy.bench import bounds, check, growth, workloads
from proxy.bench.bounds import ABOVE_IDLE, LIST_CPU, NAMES, Bound
from proxy.bench.gigabyte import CASES
from proxy.bench.meters import Figures, Run

MIB = 1 << 20


def known(value: str, **figures: float) -> Figures:
    """Return figures by `workload_arm`."""
    names = {name: name.split("_") for name in figures}
    return Figures(Run(arm, workload, 1, {value: figures[name]}) for name, (workload, arm) in names.items())


@pytest.mark.parametrize(("own", "verdict"), [(2.6, "PASS"), (2.7, "MISS")])
def test_a_ratio_to_another_arm(own: float, verdict: str) -> None:
    """Both come from the same run."""
    bound, figures = (
        Bound("pods", "streamed", LIST_CPU, 1.3, "raw", "a goal"),
        known(LIST_CPU, pods_streamed=own, pods_raw=2.0),
    )
    what = "pods: streamed, CPU per GB, x raw"
    assert bound.row(figures) == [what, f"{own / 2:.2f}", "1.30", verdict, "a goal"]
    assert bound.is_missed(figures) == (verdict == "MISS")


def test_a_ratio_to_another_workload() -> None:
    """An arm beside itself."""
    bound = Bound("large", "streamed", LIST_CPU, 1.1, "", "flat", "small")
    assert bound.row(known(LIST_CPU, large_streamed=3.0, small_streamed=2.0))[:4] == [
        "large: streamed, CPU per GB, x small", "1.50", "1.10", "MISS"
    ]  # fmt: skip


def test_an_amount() -> None:
    """In the unit that memory is shown in."""
    bound = Bound("pods", "streamed", ABOVE_IDLE, 64 * MIB)
    assert bound.row(known(ABOVE_IDLE, pods_streamed=20.0 * MIB))[1:4] == ["20 MiB", "64 MiB", "PASS"]


@pytest.mark.parametrize("figures", [{}, {"pods_streamed": 9.0}, {"pods_raw": 9.0}])
def test_what_was_not_measured_is_not_missed(figures: dict[str, float]) -> None:
    """A peer that is not installed fails no check."""
    bound = Bound("pods", "streamed", LIST_CPU, 1.0, "raw")
    assert not bound.is_missed(known(LIST_CPU, **figures))
    assert bound.row(known(LIST_CPU, **figures))[3] == "–"  # noqa: RUF001


def test_every_bound_is_of_something_that_is_measured() -> None:
    """A misspelled workload would never be missed."""
    known_workloads = {
        bounds.GOALS: {*workloads.CATALOGUE, *(lists.name for lists, _ in CASES)},
        bounds.CHECKED: {bounds.EVERYTHING, check.GETS.name, *(lists.name for lists in check.LISTS)},
        bounds.FLAT: {point.name for dimension in growth.DIMENSIONS for point in dimension.points},
    }
    for stored, names in known_workloads.items():
        for bound in stored:
            assert {bound.workload, bound.other_workload or bound.workload} <= names
            assert bound.value in NAMES
            assert bound.why
