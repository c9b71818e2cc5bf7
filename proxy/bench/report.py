"""From runs to tables, and everything that was measured to JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from proxy import __version__
from proxy.bench.arms import Arm
from proxy.bench.bounds import GET_CPU, KUBECTL, LIST_CPU
from proxy.bench.errors import BenchError
from proxy.bench.gets import Gets
from proxy.bench.latency import Latency
from proxy.bench.lists import Lists
from proxy.bench.meters import Figures, Run
from proxy.bench.parameters import Parameters
from proxy.bench.screen import NOTHING, Table, mebibytes, megabytes, microseconds, seconds
from proxy.bench.watches import Watches
from proxy.bench.workloads import Workload
from proxy.core import scanner
from proxy.core.planning import MODES

FORMAT = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of a table: which one, how it is printed, whether its ratio to the yardstick follows."""

    title: str
    value: str
    show: Callable[[float], str]
    is_compared: bool = False


LIST_COLUMNS = (
    Column("CPU s/GB", LIST_CPU, "{:.2f}".format, is_compared=True),
    Column("MB/s", "megabytes_per_second", "{:,.0f}".format),
    Column("first byte", "first_byte_seconds", seconds),
    Column("total", "seconds", seconds),
    Column("peak RSS", "proxy_peak_rss_bytes", mebibytes),
    Column("above idle", "proxy_above_idle_bytes", mebibytes),
    Column("backend CPU s/GB", "backend_cpu_seconds_per_gigabyte", "{:.2f}".format),
    Column("backend peak RSS", "backend_peak_rss_bytes", mebibytes),
)
GET_COLUMNS = (
    Column("CPU/GET", GET_CPU, microseconds, is_compared=True),
    Column("GET/s", "requests_per_second", "{:,.0f}".format),
    Column("p50", "p50_latency_seconds", microseconds),
    Column("p99", "p99_latency_seconds", microseconds),
)
WATCH_COLUMNS = (
    Column("memory/idle watch", "proxy_bytes_per_watch", mebibytes),
    Column("CPU/event", "proxy_cpu_seconds_per_event", microseconds, is_compared=True),
    Column("events", "events", "{:,.0f}".format),
    Column("p50 delay", "p50_delay_seconds", seconds),
    Column("p99 delay", "p99_delay_seconds", seconds),
)


LATENCY_COLUMNS = (
    Column("alone: p50", "p50_alone_delay_seconds", seconds),
    Column("p99", "p99_alone_delay_seconds", seconds, is_compared=True),
    Column("worst", "worst_alone_delay_seconds", seconds),
    Column("beside Lists: p50", "p50_beside_delay_seconds", seconds),
    Column("p99", "p99_beside_delay_seconds", seconds, is_compared=True),
    Column("worst", "worst_beside_delay_seconds", seconds),
    Column("MB/s", "megabytes_per_second", "{:,.0f}".format),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A run: what it was about, what came out, and whether it is good enough for an exit code of 0."""

    about: str
    parameters: Parameters
    versions: dict[str, str]
    tables: list[Table]
    runs: Sequence[Run]
    is_good: bool = True


def columns(workload: Workload) -> tuple[Column, ...]:
    """Return what is shown of a workload."""
    kinds = {Lists: LIST_COLUMNS, Gets: GET_COLUMNS, Watches: WATCH_COLUMNS, Latency: LATENCY_COLUMNS}
    return next(shown for kind, shown in kinds.items() if isinstance(workload, kind))


def table(workload: Workload, figures: Figures, arms: Sequence[str]) -> Table:
    """Return the medians of one workload: a row for each arm that was measured, what none has left out."""
    shown = [
        column
        for column in columns(workload)
        if any(figures.median(workload.name, arm, column.value) is not None for arm in arms)
    ]
    titles = [title for column in shown for title in (column.title, f"x {KUBECTL}")[: 1 + column.is_compared]]
    size = next(filter(None, (figures.median(workload.name, arm, "list_bytes") for arm in arms)), None)
    title = workload.title if size is None else f"{workload.title}, {megabytes(size)} each"
    rows = [[arm, *_cells(workload.name, arm, figures, shown)] for arm in arms]
    return Table([title, *titles], [row for row in rows if any(cell != NOTHING for cell in row[1:])])


def _cells(workload: str, arm: str, figures: Figures, shown: Sequence[Column]) -> list[str]:
    cells = []
    for column in shown:
        value = figures.median(workload, arm, column.value)
        cells.append(NOTHING if value is None else column.show(value))
        if column.is_compared:
            ratio = figures.ratio(workload, arm, column.value, KUBECTL)
            cells.append(NOTHING if ratio is None else f"{ratio:.2f}")
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
    scanning = "with the compiled scanner" if scanner.is_compiled else "without a compiled scanner"
    return {"kube-restream": f"{__version__} {scanning}", **peers}


def describe(facts: dict[str, object], result: Result) -> str:
    """Return sizes, machine and versions in prose."""
    memory = int(str(facts["memory_bytes"])) / (1 << 30)
    names = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"{result.about}\n{facts['cpu']}, {facts['cores']} cores, {memory:.0f} GiB, Linux {facts['kernel']}, "
        f"Python {facts['python']}; {names}."
    )


def write_json(path: Path, facts: dict[str, object], result: Result) -> None:
    """Write everything that was measured. Raises BenchError."""
    document = {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "about": result.about,
        "parameters": asdict(result.parameters),
        "versions": result.versions,
        "machine": facts,
        "samples": [asdict(run) for run in result.runs],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
