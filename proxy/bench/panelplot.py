"""Memory over time as a picture: panels side by side on one scale, with a curve for each arm or process."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxy.bench.pictures import Curve, Panel
from proxy.bench.plot import INK, clean
from proxy.bench.screen import MIB

COLOURS = {
    "backend": "#d1495b",
    "buffered": "#d1495b",
    "proxy": "#00798c",
    "streamed": "#00798c",
    "paged": "#edae49",
    "raw": "#66718f",
}


def figure(title: str, panels: Sequence[Panel]) -> Figure:
    """Draw a panel beside the other."""
    result = Figure(figsize=(max(7.0, 5.5 * len(panels)), 5), dpi=150, layout="constrained")
    top = max(curve.series.peak for panel in panels for curve in panel.curves) / MIB
    for axes, panel in zip(result.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _panel(axes, panel)
        axes.set_ylim(0, top * 1.25)
    result.axes[0].set_ylabel("resident memory (MiB)", color=INK)
    result.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
    return result


def _panel(axes: Axes, panel: Panel) -> None:
    """Draw curves, and say at the side where none of them climbs what they are."""
    for number, curve in enumerate(panel.curves):
        _curve(axes, curve)
        axes.text(
            0.98, 0.97 - 0.06 * number, f"{curve.name}: {curve.note}", transform=axes.transAxes,
            color=COLOURS[curve.name], fontweight="bold", ha="right", va="top",
        )  # fmt: skip
    axes.set_xlim(min(curve.series.times[0] for curve in panel.curves), None)
    axes.set_xlabel("seconds since the Lists were asked for", color=INK)
    axes.set_title(panel.title, loc="left", fontsize=10, color=INK)
    clean(axes)


def _curve(axes: Axes, curve: Curve) -> None:
    """Draw one with a dot where the last List was complete."""
    colour, times = COLOURS[curve.name], curve.series.times
    heights = [value / MIB for value in curve.series.values]
    axes.plot(times, heights, color=colour, linewidth=2.2)
    end = min(range(len(heights)), key=lambda index: abs(times[index] - curve.done))
    axes.plot(times[end], heights[end], "o", color=colour, markersize=7)
