"""The growth statement: memory and CPU against the size of a List, its items, Lists at once, the size of an item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from proxy.bench import arms, bounds, pictures, report, rounds
from proxy.bench.bounds import ABOVE_IDLE, BUFFERED, LIST_CPU, PAGED, STREAMED
from proxy.bench.children import Children
from proxy.bench.lists import CONFIG_MAPS, PODS, Lists
from proxy.bench.meters import Figures, Run
from proxy.bench.parameters import Parameters
from proxy.bench.pictures import Growth
from proxy.bench.report import Result
from proxy.bench.screen import NOTHING, Screen, Table, mebibytes, megabytes, object_size
from proxy.bench.servers import STREAMING

NAMES = (STREAMED, PAGED, BUFFERED)
# Buffered is there for contrast, which needs no more than this.
MOST_HELD = 1 << 30
# The largest item that the proxy accepts as it is installed (max_item_bytes).
LARGEST_ITEM = 16 << 20


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something that grows while the rest stays: its points, and how large each is in it."""

    title: str
    axis: str
    points: tuple[Lists, ...]
    measure: Callable[[Lists], float]
    show: Callable[[float], str]

    def scaled(self, scale: float) -> Self:
        """Return it with Lists of fewer or more items; the points keep their names."""
        return replace(self, points=tuple(point.scaled(scale) for point in self.points))


DIMENSIONS = (
    Dimension(
        "size of a List, pods of 2.5 KB",
        "bytes of a List",
        tuple(
            Lists(name, PODS, items, 2500)
            for name, items in (("10 MB", 4_000), ("100 MB", 40_000), ("1 GB", 400_000), ("10 GB", 4_000_000))
        ),
        lambda lists: lists.items * lists.item_bytes,
        megabytes,
    ),
    Dimension(
        "items of a List, ConfigMaps of 500 B",
        "items of a List",
        tuple(Lists(f"{items:,} items", CONFIG_MAPS, items, 500) for items in (10_000, 100_000, 1_000_000)),
        lambda lists: lists.items,
        "{:,.0f}".format,
    ),
    Dimension(
        "Lists at once, 10 MB each in pods of 2.5 KB",
        "Lists at once",
        tuple(Lists(f"{clients} at once", PODS, 4_000, 2500, clients=clients) for clients in (1, 10, 50, 200)),
        lambda lists: lists.clients,
        "{:,.0f}".format,
    ),
    Dimension(
        "size of an item, Lists of 100 MB",
        "bytes of an item",
        tuple(
            Lists(f"items of {object_size(size)}", CONFIG_MAPS, round(1e8 / size), size)
            for size in (200, 2_500, 20_000, 200_000, 1 << 20, 4 << 20, LARGEST_ITEM)
        ),
        lambda lists: lists.item_bytes,
        lambda size: object_size(round(size)),
    ),
)


async def run(parameters: Parameters, screen: Screen, children: Children, out: Path) -> Result:
    """Measure every point with fresh processes. Raises BenchError."""
    chosen = arms.available([name for name in NAMES if name in parameters.arms], screen)
    dimensions = [dimension.scaled(parameters.scale) for dimension in DIMENSIONS]
    runs: list[Run] = []
    for lists in (point for dimension in dimensions for point in dimension.points):
        few = [arm for arm in chosen if lists.held(arm.name, STREAMING) <= MOST_HELD]
        runs += await rounds.measure(children, screen, [lists], few, parameters.rounds, parameters.encoder)
    figures = Figures(runs)
    pictures.draw_growth(out / "growth.png", screen, [curves(dimension, figures) for dimension in dimensions])
    tables = [table(dimension, figures) for dimension in dimensions]
    about = (
        f"Fresh processes for each point; medians of {parameters.rounds} rounds; memory is the proxy's peak (VmHWM) "
        f"above its idle; buffered where it holds at most {mebibytes(MOST_HELD)}."
    )
    flat = bounds.table(bounds.FLAT, figures)
    return Result(about, parameters, report.versions(chosen), [*tables, flat], runs)


def table(dimension: Dimension, figures: Figures) -> Table:
    """Return a row for each point."""
    titles = [f"{name}: {what}" for name in NAMES for what in ("CPU s/GB", "above idle")]
    result = Table([dimension.title, "moved", *titles])
    for point in dimension.points:
        moved = figures.median(point.name, STREAMED, "moved_bytes")
        cells = [NOTHING if moved is None else megabytes(moved)]
        for name in NAMES:
            cpu, above = (figures.median(point.name, name, value) for value in (LIST_CPU, ABOVE_IDLE))
            cells += [
                NOTHING if cpu is None else f"{cpu:.2f}",
                NOTHING if above is None else mebibytes(above),
            ]
        result.rows.append([dimension.show(dimension.measure(point)), *cells])
    return result


def curves(dimension: Dimension, figures: Figures) -> Growth:
    """Return what is drawn of a dimension."""
    memory: dict[str, list[tuple[float, float]]] = {}
    cpu: dict[str, list[tuple[float, float]]] = {}
    for curve, value in ((memory, ABOVE_IDLE), (cpu, LIST_CPU)):
        for name in NAMES:
            found = [
                (dimension.measure(point), figure)
                for point in dimension.points
                if (figure := figures.median(point.name, name, value)) is not None
            ]
            if found:
                curve[name] = found
    return Growth(dimension.title, dimension.axis, memory, cpu)
