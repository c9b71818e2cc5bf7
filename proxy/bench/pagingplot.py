"""The memory of backend and proxy over time as a picture: Lists that went direct beside Lists that were paged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from proxy.bench.paging import Run
from proxy.bench.plot import INK, clean
from proxy.bench.screen import MIB, mebibytes, seconds

COLOURS = {"backend": "#d1495b", "proxy": "#00798c"}


def write(path: Path, title: str, runs: Sequence[Run]) -> None:
    """Draw a panel for each run into a PNG."""
    figure = Figure(figsize=(11, 5), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    top = max(series.peak for run in runs for series in run.series.values()) / MIB
    for axes, run in zip(panels, runs, strict=True):
        _panel(axes, run, top)
    panels[0].set_ylim(0, top * 1.15)
    panels[0].set_ylabel("resident memory (MiB)", color=INK)
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _panel(axes: Axes, run: Run, top: float) -> None:
    """Draw the processes of one run with a dot where the last List was complete."""
    values = run.values
    for name, series in run.series.items():
        colour, heights = COLOURS[name], [value / MIB for value in series.values]
        axes.plot(series.times, heights, color=colour, linewidth=2.2)
        end = min(range(len(heights)), key=lambda index: abs(series.times[index] - values["seconds"]))
        axes.plot(series.times[end], heights[end], "o", color=colour, markersize=7)
    axes.set_xlim(min(series.times[0] for series in run.series.values()), None)
    # At the side where no curve climbs: a backend that assembles grows from the beginning on.
    for number, name in enumerate(run.series):
        text = f"{name}: {mebibytes(values[f'{name}_above_idle_bytes'])} above idle"
        axes.text(
            0.98, 0.97 - 0.06 * number, text, transform=axes.transAxes, color=COLOURS[name], fontweight="bold",
            ha="right", va="top",
        )  # fmt: skip
    axes.set_xlabel("seconds since the Lists were asked for", color=INK)
    first, done = seconds(values["first_byte_seconds"]), seconds(values["seconds"])
    axes.set_title(f"{run.arm}: first byte after {first}, done after {done}", loc="left", fontsize=10, color=INK)
    clean(axes)
