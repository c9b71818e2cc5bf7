"""From samples to medians, Markdown and JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from proxy import __version__
from proxy.bench.peers import Arm
from proxy.bench.rounds import CONNECTIONS, Sample
from proxy.bench.screen import MIB, Table
from proxy.core.planning import MODES

FORMAT = 1
YARDSTICK = "kubectl proxy"
NOTHING = "–"  # noqa: RUF001 (an en dash: nothing was measured)


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of a table: which one, how it is printed, whether its ratio to the yardstick follows."""

    title: str
    workload: str
    value: str
    show: Callable[[float], str]
    compared: bool = False


LIST_COLUMNS = (
    Column("CPU s/GB", "list", "cpu_seconds_per_gigabyte", "{:.2f}".format, compared=True),
    Column("MB/s", "list", "megabytes_per_second", "{:,.0f}".format),
    Column("first byte", "list", "first_byte_seconds", lambda seconds: f"{seconds * 1000:,.0f} ms"),
    Column("peak RSS", "list", "peak_rss_bytes", lambda size: f"{size / MIB:,.0f} MiB"),
    Column("above idle", "list", "above_idle_bytes", lambda size: f"{size / MIB:,.1f} MiB"),
)
GET_COLUMNS = tuple(
    column
    for number in CONNECTIONS
    for column in (
        Column(
            f"CPU/GET, {number} conn.",
            f"get-{number}",
            "cpu_seconds_per_request",
            lambda seconds: f"{seconds * 1e6:,.0f} us",
            compared=True,
        ),
        Column("GET/s", f"get-{number}", "requests_per_second", "{:,.0f}".format),
    )
)


@dataclass(frozen=True, slots=True)
class Result:
    """A run: what it was about, and what came out."""

    about: str
    sizes: dict[str, float]
    versions: dict[str, str]
    tables: list[Table]
    samples: Sequence[Sample]


class Medians:
    """The median of every value that was measured, by arm and workload."""

    def __init__(self, samples: Iterable[Sample], arms: Sequence[str]) -> None:
        self._arms = arms
        self._values: dict[tuple[str, str, str], list[float]] = {}
        for sample in samples:
            for name, value in sample.values.items():
                self._values.setdefault((sample.arm, sample.workload, name), []).append(value)

    def get(self, arm: str, column: Column) -> float | None:
        """Return a median, None for what was not measured."""
        values = self._values.get((arm, column.workload, column.value))
        return statistics.median(values) if values else None

    def table(self, columns: Sequence[Column]) -> Table:
        """Return a table with a row for each arm."""
        titles = [title for column in columns for title in (column.title, f"x {YARDSTICK}")[: 1 + column.compared]]
        return Table(["", *titles], [[arm, *self._row(arm, columns)] for arm in self._arms])

    def _row(self, arm: str, columns: Sequence[Column]) -> list[str]:
        cells = []
        for column in columns:
            value, yardstick = self.get(arm, column), self.get(YARDSTICK, column)
            cells.append(NOTHING if value is None else column.show(value))
            if column.compared:
                cells.append(NOTHING if value is None or not yardstick else f"{value / yardstick:.2f}")
        return cells


def machine() -> dict[str, object]:
    """Return what a reader must know to judge figures."""
    cpu = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = [int(line.split()[1]) << 10 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": total[0] if total else 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def versions(arms: Iterable[Arm]) -> dict[str, str]:
    """Return the versions of ours and of the peers."""
    peers = {arm.name: arm.version for arm in arms if arm.version and arm.name not in MODES}
    return {"kube-restream": __version__, **peers}


def describe(facts: dict[str, object], result: Result) -> str:
    """Return sizes, machine and versions in prose."""
    memory = int(str(facts["memory_bytes"])) / (1 << 30)
    names = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"{result.about}\n{facts['cpu']}, {facts['cores']} cores, {memory:.0f} GiB, Linux {facts['kernel']}, "
        f"Python {facts['python']}; {names}."
    )


def write_json(path: Path, facts: dict[str, object], result: Result) -> None:
    """Write everything that was measured. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "about": result.about,
        "sizes": result.sizes,
        "versions": result.versions,
        "machine": facts,
        "samples": [asdict(sample) for sample in result.samples],
    }
    path.write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
