"""From runs to tables."""

from proxy.bench import report
from proxy.bench.gets import Gets
from proxy.bench.lists import PODS, Lists
from proxy.bench.meters import Figures, Run

LIST, GETS = Lists("pods", PODS, 10, 2500), Gets("gets-64", 64, 1.0)


def listed(arm: str, cpu: float, number: int) -> Run:
    """Return the run of a List of which only the CPU is known."""
    return Run(arm, "pods", number, {"proxy_cpu_seconds_per_gigabyte": cpu})


def test_prints_medians_and_their_ratio_to_kubectl_proxy() -> None:
    """One outlier changes nothing; what was not measured is a dash."""
    rounds = ((1, 2.0), (9, 2.0), (1.5, 2.0))
    runs = [listed(arm, cpu, 1) for pair in rounds for arm, cpu in zip(("raw", "kubectl proxy"), pair, strict=True)]
    direct = Run("direct", "pods", 1, {"megabytes_per_second": 900.0})
    rows = report.table(LIST, Figures([direct, *runs]), ("direct", "kubectl proxy", "raw")).rows
    assert rows[0] == ["direct", "–", "–", "900"]  # noqa: RUF001
    assert rows[1] == ["kubectl proxy", "2.00", "1.00", "–"]  # noqa: RUF001
    assert rows[2] == ["raw", "1.50", "0.75", "–"]  # noqa: RUF001


def test_there_is_no_ratio_without_kubectl_proxy() -> None:
    """The table is the same where kubectl is not installed."""
    table = report.table(LIST, Figures([listed("raw", 1.0, 1)]), ["raw"])
    assert table.rows[0][:3] == ["raw", "1.00", "–"]  # noqa: RUF001


def test_arms_that_were_left_out_have_no_row() -> None:
    """A row of dashes tells nothing."""
    assert [row[0] for row in report.table(LIST, Figures([listed("raw", 1.0, 1)]), ["raw", "paged"]).rows] == ["raw"]


def test_columns_that_nobody_has_are_left_out() -> None:
    """A cluster that others run shows no memory of its own."""
    assert report.table(LIST, Figures([listed("raw", 1.0, 1)]), ["raw"]).columns[1:] == ["CPU s/GB", "x kubectl proxy"]


def test_says_how_large_a_list_is() -> None:
    """As it was measured."""
    figures = Figures([Run("direct", "pods", 1, {"list_bytes": 25_100_000.0, "seconds": 0.1})])
    assert report.table(LIST, figures, ["raw", "direct"]).columns[0] == "one List of 10 pods of 2.5 KB, 25 MB each"


def test_small_requests_have_their_own_columns() -> None:
    """Microseconds of CPU for a GET."""
    values = {"proxy_cpu_seconds_per_request": 0.000123, "requests_per_second": 4321.0}
    table = report.table(GETS, Figures([Run("raw", "gets-64", 1, values)]), ["raw"])
    assert table.columns == ["GETs of a pod of 2.5 KB on 64 connections", "CPU/GET", "x kubectl proxy", "GET/s"]
    assert table.rows == [["raw", "123 us", "–", "4,321"]]  # noqa: RUF001
