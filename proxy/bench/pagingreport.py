"""From runs of the paging statement to tables, each figure beside its bound, and to a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.bench.lists import Lists
from proxy.bench.meters import Figures, Run
from proxy.bench.pictures import Curve, Panel
from proxy.bench.screen import MIB, NOTHING, Table, mebibytes, megabytes, seconds

DIRECT, STREAMED, PAGED = "direct", "streamed", "paged"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure of the paged arm may be at most: by itself, or as a share of the direct one's."""

    most: float
    text: str
    is_share: bool = True

    def verdict(self, paged: float, direct: float | None) -> str:
        """Say whether it is kept."""
        kept = paged <= self.most * ((direct or 0) if self.is_share else 1)
        return f"{self.text}: {'PASS' if kept else 'MISS'}"


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of every arm, and its bound if it has one; what is not ours is not compared."""

    title: str
    value: str
    show: Callable[[float], str]
    bound: Bound | None = None
    is_ours: bool = True


def _cpu(value: float) -> str:
    return f"{value:.2f} s"


FIRST_BYTE = Bound(1 / 10, "1/10")
TOTAL = Bound(1.2, "1.2")
HELD = Bound(64 * MIB, "64 MiB", is_share=False)


def _lines(
    backend: Bound | None = None,
    first_byte: Bound | None = None,
    total: Bound | None = None,
    proxy: Bound | None = None,
) -> tuple[Line, ...]:
    return (
        Line("backend above idle", "backend_above_idle_bytes", mebibytes, backend),
        Line("proxy above idle", "proxy_above_idle_bytes", mebibytes, proxy),
        Line("first byte", "first_byte_seconds", seconds, first_byte),
        Line("first byte, worst", "worst_first_byte_seconds", seconds, first_byte),
        Line("total", "seconds", seconds, total),
        Line("backend CPU", "backend_cpu_seconds", _cpu),
        Line("proxy CPU", "proxy_cpu_seconds", _cpu),
        Line("client CPU", "client_cpu_seconds", _cpu),
        Line("CPU of others", "others_cpu_seconds", _cpu, is_ours=False),
    )


LINES = {
    "secrets": _lines(Bound(1 / 15, "1/15"), FIRST_BYTE, proxy=HELD),
    "pods": _lines(Bound(1 / 20, "1/20"), FIRST_BYTE, proxy=HELD),
    "pods-alone": _lines(total=TOTAL),
}


def tables(runs: Sequence[Run], planned: Sequence[Lists]) -> list[Table]:
    """Return what the paging statement says: a table for each workload, a column for each arm."""
    return [_table(workload, Figures(runs)) for workload in planned]


def panel(run: Run) -> Panel:
    """Return the memory of each process in one measurement."""
    values = run.values
    curves = [
        Curve(name, f"{mebibytes(values[f'{name}_above_idle_bytes'])} above idle", series, values["seconds"])
        for name, series in run.series.items()
    ]
    first, done = seconds(values["first_byte_seconds"]), seconds(values["seconds"])
    return Panel(f"{run.arm}: first byte after {first}, done after {done}", curves)


def _table(workload: Lists, figures: Figures) -> Table:
    size = megabytes(figures.median(workload.name, DIRECT, "list_bytes") or 0)
    ways = (DIRECT, STREAMED, PAGED) if workload.clients > 1 else (DIRECT, PAGED)
    title = f"{workload.title}, {size}{' each' if workload.clients > 1 else ''}"
    table = Table([title, *ways, f"{PAGED} / {DIRECT}", "bound"])
    for line in LINES[workload.name]:
        values = {arm: figures.median(workload.name, arm, line.value) for arm in ways}
        if any(value is not None for value in values.values()):
            table.rows.append(_row(line, values))
    return table


def _row(line: Line, values: dict[str, float | None]) -> list[str]:
    cells = [NOTHING if value is None else line.show(value) for value in values.values()]
    paged, direct = values[PAGED], values[DIRECT]
    ratio = NOTHING if paged is None or direct is None or not line.is_ours else share(paged, direct)
    verdict = NOTHING if paged is None or line.bound is None else line.bound.verdict(paged, direct)
    return [line.title, *cells, ratio, verdict]


def share(part: float, whole: float) -> str:
    """Print how much of the whole a part is: small ones as a fraction."""
    if part <= 0 or whole <= 0:
        return NOTHING
    return f"1/{whole / part:.1f}" if part * 2 < whole else f"{part / whole:.2f}"
