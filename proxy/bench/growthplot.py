"""Memory and CPU against what grows as a picture: a column for each dimension, memory above CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from proxy.bench.panelplot import COLOURS
from proxy.bench.pictures import Growth
from proxy.bench.plot import INK, clean
from proxy.bench.screen import MIB

# A logarithmic axis has no zero.
LEAST_MIB = 0.25
SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def figure(dimensions: Sequence[Growth]) -> Figure:
    """Draw all dimensions on the same two scales."""
    result = Figure(figsize=(4.2 * len(dimensions), 7), dpi=130, layout="constrained")
    grid = result.subplots(2, len(dimensions), sharey="row", sharex="col", squeeze=False)
    for column, growth in enumerate(dimensions):
        memory, cpu = grid[0][column], grid[1][column]
        _curves(memory, growth.memory, lambda size: max(LEAST_MIB, size / MIB))
        _curves(cpu, growth.cpu, lambda seconds: seconds)
        memory.set_title(growth.title, loc="left", fontsize=10, color=INK)
        cpu.set_xlabel(growth.axis, color=INK)
    _axes(grid[0][0], grid[1][0])
    result.suptitle("What Lists take of the proxy", x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
    return result


def _axes(memory: Axes, cpu: Axes) -> None:
    """Set the scales that all columns share."""
    memory.set_yscale("log")
    memory.yaxis.set_minor_locator(NullLocator())
    memory.set_ylabel("peak memory above idle (MiB)", color=INK)
    memory.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    cpu.set_ylim(bottom=0)
    cpu.set_ylabel("CPU (s/GB)", color=INK)
    handles, labels = memory.get_legend_handles_labels()
    memory.legend(handles, labels, loc="upper left", frameon=False, labelcolor="linecolor")


def _curves(axes: Axes, curves: Mapping[str, Sequence[tuple[float, float]]], height: Callable[[float], float]) -> None:
    for name, points in curves.items():
        across, up = [point for point, _ in points], [height(value) for _, value in points]
        axes.plot(across, up, marker="o", markersize=5, linewidth=2, color=COLOURS[name], label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    clean(axes)


def _short(value: float) -> str:
    """Print a power of ten."""
    for unit, suffix in SUFFIXES:
        if value >= unit:
            return f"{value / unit:g} {suffix}"
    return f"{value:g}"
