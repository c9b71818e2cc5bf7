"""The proxy's memory over time as a picture, one curve a path."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxy.bench.paths import PathResult
from proxy.bench.screen import MIB, mebibytes, seconds

COLOURS = {"buffered": "#d1495b", "streamed": "#00798c"}
INK, FAINT = "#333333", "#999999"


def write(path: Path, title: str, subtitle: str, results: list[PathResult]) -> None:
    """Draw `results` into a PNG."""
    figure = Figure(figsize=(9, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    idle = min(result.idle for result in results) / MIB
    top = max(result.peak for result in results) / MIB
    last = max(result.resident_series.times[-1] for result in results)
    axes.axhline(idle, color=FAINT, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
    axes.text(last, idle - top * 0.015, f"idle: {idle:,.0f} MiB", color=FAINT, ha="right", va="top")
    for result in results:
        _curve(axes, result)
    highest, lowest = sorted(results, key=lambda result: result.peak, reverse=True)
    summit = highest.resident_series.time_of_peak
    _label(axes, highest, (summit, highest.peak / MIB), (-6, 7), "right" if summit > last / 3 else "left")
    _label(axes, lowest, (0, lowest.idle / MIB), (0, -14), "left")
    axes.set_xlim(min(result.resident_series.times[0] for result in results), last)
    axes.set_ylim(0, top * 1.18)
    axes.set_xlabel("seconds since the Lists were asked for", color=INK)
    axes.set_ylabel("resident memory of the proxy (MiB)", color=INK)
    clean(axes)
    axes.set_title(subtitle, loc="left", fontsize=10, color=INK, pad=10)
    axes.text(0, 1.1, title, transform=axes.transAxes, fontsize=14, fontweight="bold", color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _curve(axes: Axes, result: PathResult) -> None:
    """Draw the memory with a dot where the last List was complete, and what the proxy says it held, upon its idle."""
    colour, resident, buffered = COLOURS[result.mode], result.resident_series, result.buffered_series
    values = [value / MIB for value in resident.values]
    axes.plot(resident.times, values, color=colour, linewidth=2.2, zorder=3)
    end = min(range(len(values)), key=lambda index: abs(resident.times[index] - result.seconds))
    axes.plot(resident.times[end], values[end], "o", color=colour, markersize=7, zorder=4)
    floor = result.idle / MIB
    held = [floor + value / MIB for value in buffered.values]
    axes.fill_between(buffered.times, floor, held, color=colour, alpha=0.15, linewidth=0, zorder=2)


def _label(axes: Axes, result: PathResult, at: tuple[float, float], offset: tuple[int, int], side: str) -> None:
    text = f"{result.mode}: peak {mebibytes(result.peak)}, done after {seconds(result.seconds)}"
    axes.annotate(text, at, offset, textcoords="offset points", color=COLOURS[result.mode], fontweight="bold", ha=side)


def clean(axes: Axes) -> None:
    """Leave of the frame what is read."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, length=0)
    axes.grid(axis="y", color="#e8e8e8", linewidth=0.8)
    axes.set_axisbelow(True)
