"""Memory, open files and what is held, over the time of a soak."""

from pathlib import Path

from matplotlib.figure import Figure

from proxy.bench.plot import COLOURS, INK, clean
from tests.soak.sampling import Sample

MIB = 1 << 20


def draw(path: Path, title: str, samples: list[Sample]) -> None:
    """Write a PNG: three panels above each other, on one axis of minutes."""
    figure = Figure(figsize=(10, 8), dpi=120, layout="constrained")
    minutes = [sample.at / 60 for sample in samples]
    rows = (
        ("resident memory (MiB)", [sample.resident / MIB for sample in samples]),
        ("granted to Lists (MiB)", [sample.held["restream_memory_granted_bytes"] / MIB for sample in samples]),
        ("open files", [float(sample.files) for sample in samples]),
    )
    for axes, (name, values) in zip(figure.subplots(len(rows), 1, sharex=True), rows, strict=True):
        axes.plot(minutes, values, color=COLOURS["streamed"], linewidth=1)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(name, color=INK)
        clean(axes)
    figure.axes[-1].set_xlabel("minutes", color=INK)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
