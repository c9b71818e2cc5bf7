"""How figures and tables are printed."""

import pytest

from proxy.bench.screen import Table, mebibytes, megabytes, ratio, seconds


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (megabytes(402_000_000), "402 MB"),
        (megabytes(1_250_000), "1.2 MB"),
        (megabytes(900), "1 KB"),
        (mebibytes(1 << 30), "1,024 MiB"),
        (mebibytes(3 << 19), "1.5 MiB"),
        (mebibytes(1 << 11), "2 KiB"),
        (seconds(1.234), "1.23 s"),
        (seconds(0.0183), "18 ms"),
        (ratio(438, 54), "8.1 \N{MULTIPLICATION SIGN}"),
        (ratio(1.58, 0.018), "88 \N{MULTIPLICATION SIGN}"),
        (ratio(1, 0), ""),
    ],
)
def test_figures_have_the_digits_that_matter(printed: str, expected: str) -> None:
    """Two or three digits, and the unit."""
    assert printed == expected


def test_tables_print_plain_and_in_markdown() -> None:
    """The first column to the left, figures to the right."""
    table = Table(["", "raw"], [["MB/s", "900"], ["first byte", "2 ms"]])
    assert table.plain() == "             raw\nMB/s         900\nfirst byte  2 ms"
    assert table.markdown() == "|  | raw |\n| --- | ---: |\n| MB/s | 900 |\n| first byte | 2 ms |"
