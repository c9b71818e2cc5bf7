"""From runs of the paging statement to tables, each figure beside its bound, and to a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.bench.errors import BenchError
from proxy.bench.paging import DIRECT, PAGED, Run, Workload
from proxy.bench.report import NOTHING
from proxy.bench.screen import HOW_TO_INSTALL, MIB, Screen, Table, mebibytes, megabytes, missing_packages, seconds


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


def tables(runs: Sequence[Run], planned: Sequence[Workload]) -> list[Table]:
    """Return what the paging statement says: a table for each workload, a column for each arm."""
    return [_table(workload, [run for run in runs if run.workload == workload.name]) for workload in planned]


def draw(path: Path, screen: Screen, workload: Workload, runs: Sequence[Run]) -> None:
    """Draw the memory of one workload where matplotlib is installed. Raises BenchError."""
    if "matplotlib" in missing_packages():
        screen.say(f"Not installed: matplotlib; for a picture: {HOW_TO_INSTALL}")
        return
    from proxy.bench import pagingplot  # noqa: PLC0415 (matplotlib is optional)

    shown = [run for run in runs if run.workload == workload.name and run.arm in (DIRECT, PAGED)]
    try:
        pagingplot.write(path, f"{workload.title}: memory of backend and proxy", shown)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from None
    screen.say(f"Memory over time: {path}")


def _table(workload: Workload, runs: Sequence[Run]) -> Table:
    size = megabytes(runs[0].values["list_bytes"])
    table = Table(
        [
            f"{workload.title}, {size}{' each' if workload.lists > 1 else ''}",
            *workload.arms,
            f"{PAGED} / {DIRECT}",
            "bound",
        ]
    )
    for line in LINES[workload.name]:
        values = {arm: _median(runs, arm, line.value) for arm in workload.arms}
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


def _median(runs: Sequence[Run], arm: str, name: str) -> float | None:
    values = [run.values[name] for run in runs if run.arm == arm and name in run.values]
    return statistics.median(values) if values else None
