"""From samples to tables."""

from proxy.bench.report import GET_COLUMNS, LIST_COLUMNS, Medians
from proxy.bench.rounds import Sample

ARMS = ("direct", "kubectl proxy", "raw")


def sample(arm: str, cpu: float, number: int) -> Sample:
    """Return the sample of a List of which only the CPU is known."""
    return Sample(arm, "list", number, {"cpu_seconds_per_gigabyte": cpu})


def test_prints_medians_and_their_ratio_to_kubectl_proxy() -> None:
    """One outlier changes nothing; what was not measured is a dash."""
    samples = [sample("kubectl proxy", 2.0, 1), *(sample("raw", cpu, number) for number, cpu in enumerate((1, 9, 1.5)))]
    rows = Medians(samples, ARMS).table(LIST_COLUMNS).rows
    assert rows[0] == ["direct", *6 * ["–"]]  # noqa: RUF001
    assert rows[1][:3] == ["kubectl proxy", "2.00", "1.00"]
    assert rows[2][:3] == ["raw", "1.50", "0.75"]


def test_there_is_no_ratio_without_kubectl_proxy() -> None:
    """The table is the same where kubectl is not installed."""
    table = Medians([sample("raw", 1.0, 1)], ["raw"]).table(LIST_COLUMNS)
    assert table.rows[0][:3] == ["raw", "1.00", "–"]  # noqa: RUF001


def test_small_requests_have_a_figure_for_each_number_of_connections() -> None:
    """Microseconds of CPU for a GET."""
    values = {"cpu_seconds_per_request": 0.000123, "requests_per_second": 4321.0}
    table = Medians([Sample("raw", "get-64", 1, values)], ["raw"]).table(GET_COLUMNS)
    assert table.columns[4] == "CPU/GET, 64 conn."
    assert table.rows[0][4:] == ["123 us", "–", "4,321"]  # noqa: RUF001
