"""What is to be drawn, and where it goes; without matplotlib, how to install it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.bench.errors import BenchError
from proxy.bench.sampling import Series
from proxy.bench.screen import HOW_TO_INSTALL, Screen, missing_packages

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Curve:
    """The memory of something; `done` is when its last List was complete."""

    name: str
    note: str
    series: Series
    done: float


@dataclass(frozen=True, slots=True)
class Panel:
    """What is compared in one place."""

    title: str
    curves: Sequence[Curve]


@dataclass(frozen=True, slots=True)
class Growth:
    """What one dimension does to memory (bytes above idle) and CPU (seconds for a GB): (x, y) of each arm."""

    title: str
    axis: str
    memory: Mapping[str, Sequence[tuple[float, float]]]
    cpu: Mapping[str, Sequence[tuple[float, float]]]


def draw_memory(path: Path, screen: Screen, title: str, panels: Sequence[Panel]) -> None:
    """Draw memory over time; nothing, where there is nothing to draw. Raises BenchError."""
    shown = [panel for panel in panels if panel.curves]
    if shown and is_possible(screen):
        from proxy.bench import panelplot  # noqa: PLC0415 (matplotlib is optional)

        save(path, screen, "Memory over time", panelplot.figure(title, shown))


def draw_growth(path: Path, screen: Screen, dimensions: Sequence[Growth]) -> None:
    """Draw memory and CPU against what grows. Raises BenchError."""
    if is_possible(screen):
        from proxy.bench import growthplot  # noqa: PLC0415 (matplotlib is optional)

        save(path, screen, "Memory and CPU against what grows", growthplot.figure(dimensions))


def is_possible(screen: Screen) -> bool:
    """Return whether matplotlib is installed; say how to get it where it is not."""
    if "matplotlib" not in missing_packages():
        return True
    screen.say(f"Not installed: matplotlib; for a picture: {HOW_TO_INSTALL}")
    return False


def save(path: Path, screen: Screen, caption: str, figure: Figure) -> None:
    """Write a PNG, and say where. Raises BenchError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from None
    screen.say(f"{caption}: {path}")
