"""The memory statement: 1 GB Lists streamed, one, ten at once, to a slow client; raw and buffered for contrast."""

from __future__ import annotations

from pathlib import Path

from proxy.bench import arms, bounds, pictures, report, rounds, speed
from proxy.bench.children import Children
from proxy.bench.lists import PODS, Lists
from proxy.bench.meters import Figures, Run
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import NOTHING, Screen, Table, mebibytes, megabytes, seconds

GIGABYTE_PODS, POD_SIZE = 400_000, 2500
SLOW_RATE, SLOW_SECONDS = 1_000_000, 20.0
SLOW = f"a client that reads 1 MB/s for {SLOW_SECONDS:.0f} s"
TEN = "ten Lists at once"
CASES = (
    (Lists("one List", PODS, GIGABYTE_PODS, POD_SIZE), ("streamed",)),
    (Lists(TEN, PODS, GIGABYTE_PODS, POD_SIZE, clients=10), ("raw", "streamed")),
    (Lists(SLOW, PODS, GIGABYTE_PODS, POD_SIZE, rate=SLOW_RATE, patience=SLOW_SECONDS), ("streamed",)),
    (Lists("one List of a quarter", PODS, GIGABYTE_PODS // 4, POD_SIZE), ("buffered",)),
)


async def run(parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Run every case once. Raises BenchError."""
    runs: list[Run] = []
    for lists, names in CASES:
        chosen = [arm for arm in arms.arms() if arm.name in names and arm.name in parameters.arms]
        if chosen:
            workload = lists.scaled(parameters.scale)
            runs += await rounds.measure(children, screen, [workload], chosen, 1, parameters.encoder)
    goals = bounds.goals(Figures(runs), [lists.name for lists, _ in CASES])
    about = f"Pods of {POD_SIZE:,} bytes; fresh processes for each row; peak RSS is the kernel's (VmHWM)."
    panels = [speed.panel(lists.scaled(parameters.scale), runs) for lists, _ in CASES if lists.rate is None]
    pictures.draw_memory(out / "gigabyte.png", screen, "Memory of the proxy", panels)
    return Result(about, parameters, report.versions([]), [table(runs), goals], runs)


def table(runs: list[Run]) -> Table:
    """Return what the memory statement says."""
    result = Table(["", "Lists", "bytes", "items", "total", "CPU s/GB", "idle RSS", "peak RSS", "above idle"])
    for run in runs:
        values = run.values
        result.rows.append(
            [
                f"{run.arm}, {run.workload}",
                f"{values['lists']:.0f}",
                megabytes(values["moved_bytes"]),
                f"{values['items']:,.0f}" if "items" in values else NOTHING,
                seconds(values["seconds"]),
                f"{values['proxy_cpu_seconds_per_gigabyte']:.2f}",
                *(mebibytes(values[f"proxy_{name}_bytes"]) for name in ("idle_rss", "peak_rss", "above_idle")),
            ]
        )
    return result
