"""The benchmark's main statement: CPU, speed and memory of every arm in every chosen workload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proxy.bench import arms, bounds, pictures, report, rounds
from proxy.bench.children import Children
from proxy.bench.lists import Lists
from proxy.bench.meters import Figures, Run
from proxy.bench.parameters import Parameters
from proxy.bench.pictures import Curve, Panel
from proxy.bench.report import Result
from proxy.bench.screen import Screen, mebibytes, seconds
from proxy.bench.workloads import CATALOGUE

# As in the published figure, what holds a List is set against what does not.
DRAWN = ("buffered", "paged", "streamed")


async def run(parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Measure, and put it into tables and a picture. Raises BenchError."""
    chosen = arms.available(parameters.arms, screen)
    workloads = [CATALOGUE[name].scaled(parameters.scale) for name in parameters.workloads]
    runs = await rounds.measure(children, screen, workloads, chosen, parameters.rounds, parameters.encoder)
    figures, names = Figures(runs), [arm.name for arm in chosen]
    tables = [report.table(workload, figures, names) for workload in workloads]
    goals = bounds.goals(figures, parameters.workloads)
    about = (
        f"JSON, identity, over loopback, from a backend with --encoder {parameters.encoder}; medians of "
        f"{parameters.rounds} rounds, fresh processes for each arm and round; CPU is that of the proxy's processes."
    )
    panels = [panel(item, runs) for item in workloads if isinstance(item, Lists)]
    pictures.draw_memory(out / "memory.png", screen, "Memory of the proxy", panels)
    return Result(about, parameters, report.versions(chosen), [*tables, goals], runs)


def panel(workload: Lists, runs: Sequence[Run]) -> Panel:
    """Return the proxy's memory in the first round of a workload."""
    first = {run.arm: run for run in runs if (run.workload, run.round) == (workload.name, 1)}
    return Panel(workload.title, [_curve(first[name]) for name in DRAWN if name in first])


def _curve(run: Run) -> Curve:
    above, done = run.values["proxy_above_idle_bytes"], run.values["seconds"]
    return Curve(run.arm, f"{mebibytes(above)} above idle, done after {seconds(done)}", run.series["proxy"], done)
