"""The paging statement: how it is judged and drawn."""

from pathlib import Path

from proxy.bench import paging, pagingreport, panelplot
from proxy.bench.lists import Lists
from proxy.bench.meters import Run
from proxy.bench.sampling import Series

MIB = 1 << 20
SECRETS = paging.CROWDS[0]


def run(arm: str, workload: str = "secrets", number: int = 1, **values: float) -> Run:
    """Return what was measured of one arm."""
    series = Series(0.0, [-0.3, 0.0, 1.0, 1.5], [50 * MIB, 50 * MIB, 90 * MIB, 60 * MIB])
    common = {"list_bytes": 1e8, "seconds": 1.0, "first_byte_seconds": 0.5}
    return Run(arm, workload, number, common | values, {"backend": series})


def row(runs: list[Run], title: str, workload: Lists = SECRETS) -> list[str]:
    """Return the cells of one line of a table."""
    (table,) = pagingreport.tables(runs, [workload])
    (found,) = (cells for cells in table.rows if cells[0] == title)
    return list(found[1:])


def test_figures_stand_beside_their_bounds() -> None:
    """A share of the direct one's, or an amount; without a bound nothing is said."""
    direct = run("direct", backend_above_idle_bytes=1000 * MIB)
    paged = run("paged", backend_above_idle_bytes=50 * MIB, proxy_above_idle_bytes=65 * MIB, first_byte_seconds=0.06)
    runs = [direct, paged]
    assert row(runs, "backend above idle") == ["1,000 MiB", "–", "50 MiB", "1/20.0", "1/15: PASS"]  # noqa: RUF001
    assert row(runs, "first byte") == ["0.50 s", "–", "60 ms", "1/8.3", "1/10: MISS"]  # noqa: RUF001
    assert row(runs, "proxy above idle") == ["–", "–", "65 MiB", "–", "64 MiB: MISS"]  # noqa: RUF001
    assert row(runs, "total") == ["1.00 s", "–", "1.00 s", "1.00", "–"]  # noqa: RUF001


def test_one_list_is_judged_by_its_medians() -> None:
    """One slow round changes nothing."""
    times = {"direct": (1.0, 1.1, 9.0), "paged": (1.3, 1.0, 9.0)}
    runs = [
        run(arm, "pods-alone", number, seconds=seconds)
        for arm, rounds in times.items()
        for number, seconds in enumerate(rounds)
    ]
    assert row(runs, "total", paging.ALONE) == ["1.10 s", "1.30 s", "1.18", "1.2: PASS"]


def test_memory_that_did_not_grow_has_no_share() -> None:
    """Small runs must not divide by zero."""
    runs = [run("direct", backend_above_idle_bytes=0), run("paged", backend_above_idle_bytes=0)]
    assert row(runs, "backend above idle")[3:] == ["–", "1/15: PASS"]  # noqa: RUF001


def test_draws_both_arms(tmp_path: Path) -> None:
    """Side by side in one picture."""
    path = tmp_path / "paging.png"
    panels = paging.panels(SECRETS, [run(arm, backend_above_idle_bytes=40 * MIB) for arm in ("direct", "paged")])
    assert [panel.title for panel in panels] == [
        f"{arm}: first byte after 0.50 s, done after 1.00 s" for arm in ("direct", "paged")
    ]
    panelplot.figure("memory", panels).savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
