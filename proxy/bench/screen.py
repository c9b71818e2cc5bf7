"""What a command shows: with rich where it is installed, else plain text of the same content."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol, TextIO

HOW_TO_INSTALL = "python -m pip install --group bench (or: pip install matplotlib rich)"
KIB, MIB = 1 << 10, 1 << 20
WIDTH = 100
NOTHING = "–"  # noqa: RUF001 (an en dash: nothing was measured)
TIMES = " \N{MULTIPLICATION SIGN}"


def missing_packages() -> list[str]:
    """Return which of the packages that make the output pleasant are not installed."""
    return [name for name in ("rich", "matplotlib") if find_spec(name) is None]


def megabytes(size: float) -> str:
    """Print an amount of data moved."""
    if size < 1e6:
        return f"{size / 1e3:,.0f} KB"
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:,.1f} MB"


def mebibytes(size: float) -> str:
    """Print an amount of memory."""
    if size < MIB:
        return f"{size / KIB:,.0f} KiB"
    return f"{size / MIB:,.0f} MiB" if size >= 10 * MIB else f"{size / MIB:,.1f} MiB"


def object_size(size: int) -> str:
    """Print the size of one object, in the units that it was chosen in."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size % unit == 0:
            return f"{size // unit:,} {name}"
    return f"{size / 1000:g} KB" if size >= 1000 else f"{size} B"


def seconds(duration: float) -> str:
    """Print a duration."""
    if duration >= 0.095:
        return f"{duration:.2f} s"
    return f"{duration * 1000:.0f} ms" if duration >= 0.00095 or not duration else microseconds(duration)


def microseconds(duration: float) -> str:
    """Print what one of many small things took."""
    return f"{duration * 1e6:,.0f} us"


def ratio(first: float, second: float) -> str:
    """Print how many times `second` goes into `first`."""
    if not second:
        return ""
    times = first / second
    return f"{times:,.0f}{TIMES}" if times >= 10 else f"{times:,.1f}{TIMES}"


@dataclass(slots=True)
class Table:
    """Rows of text; the first column names the row."""

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    title: str = ""

    def plain(self) -> str:
        """Return it aligned with spaces."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        return "\n".join(
            "  ".join(
                text.rjust(width) if column else text.ljust(width)
                for column, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """Return it in Markdown."""
        rule = ["---", *("---:" for _ in self.columns[1:])]
        return "\n".join(f"| {' | '.join(line)} |" for line in (self.columns, rule, *self.rows))


Show = Callable[[float], str]


class Bar(Protocol):
    """Progress of something that moves bytes or takes steps."""

    def advance(self, size: int) -> None:
        """Add to what has been moved."""

    def note(self, text: str) -> None:
        """Show something beside it."""


class Screen(Protocol):
    """Where a command's output goes."""

    def say(self, text: str = "") -> None:
        """Print a line."""

    def show(self, table: Table) -> None:
        """Print a table."""

    @contextmanager
    def bar(self, name: str, size: float, show: Show = megabytes) -> Iterator[Bar]:
        """Show progress towards `size`."""


class PlainBar:
    """Counts for the line at the end."""

    def __init__(self) -> None:
        self.moved = 0
        self.text = ""

    def advance(self, size: int) -> None:
        """Add to what has been moved."""
        self.moved += size

    def note(self, text: str) -> None:
        """Keep it for the line at the end."""
        self.text = text


class PlainScreen:
    """Lines of text, nothing else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(text, file=self._out, flush=True)

    def show(self, table: Table) -> None:
        """Print a table."""
        self.say(f"{table.title}\n{table.plain()}" if table.title else table.plain())

    @contextmanager
    def bar(self, name: str, size: float, show: Show = megabytes) -> Iterator[Bar]:
        """Print one line when it is over."""
        bar, started = PlainBar(), time.monotonic()
        yield bar
        duration = time.monotonic() - started
        self.say(f"  {name}  {show(bar.moved)} of {show(size)}  {duration:.1f} s  {bar.text}")
