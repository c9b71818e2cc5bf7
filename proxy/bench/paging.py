"""The paging statement: what a backend that assembles whole Lists is spared where a proxy asks it for pages.

Many clients at once, for the memory of backend and proxy and for the first byte; then one client, for the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proxy.bench import arms, pagingreport, pictures, report, rounds
from proxy.bench.children import Children
from proxy.bench.lists import PODS, SECRETS, Lists
from proxy.bench.meters import Run
from proxy.bench.pagingreport import DIRECT, PAGED, STREAMED
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import Screen
from proxy.bench.servers import WHOLE

# Few large items, many small ones, and these for one client.
CROWDS = (
    Lists("secrets", SECRETS, 100, 1 << 20, clients=10, sums="during"),
    Lists("pods", PODS, 50_000, 2500, clients=10, sums="during"),
)
ALONE = Lists("pods-alone", PODS, 50_000, 2500, sums="after")


async def run(parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Measure everything: memory once, time in rounds. Raises BenchError."""
    scale, count = parameters.scale, parameters.rounds
    crowds, alone = [workload.scaled(scale) for workload in CROWDS], ALONE.scaled(scale)
    # The streamed arm only shows that the backend's memory is not the proxy's to save: one client need not.
    ways = arms.available((DIRECT, PAGED, *(name for name in parameters.arms if name == STREAMED)), screen)
    pair = [arm for arm in ways if arm.name != STREAMED]
    runs = [
        *await rounds.measure(children, screen, crowds, ways, 1, WHOLE),
        *await rounds.measure(children, screen, [alone], pair, count, WHOLE),
    ]
    title = f"{crowds[0].title}: memory of backend and proxy"
    pictures.draw_memory(out / "paging.png", screen, title, panels(crowds[0], runs))
    about = (
        "A backend with --encoder whole; fresh processes for each measurement; peak memory is the kernel's (VmHWM); "
        f"one List: medians of {count} rounds. A bound is the most that paged may be, of direct or by itself."
    )
    return Result(about, parameters, report.versions([]), pagingreport.tables(runs, (*crowds, alone)), runs)


def panels(workload: Lists, runs: Sequence[Run]) -> list[pictures.Panel]:
    """Return a panel for each arm that differs, with a curve for each process."""
    return [pagingreport.panel(run) for run in runs if run.workload == workload.name and run.arm in (DIRECT, PAGED)]
