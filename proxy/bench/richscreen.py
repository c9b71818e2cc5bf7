"""The screen with rich: a live progress bar and a framed table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from proxy.bench.screen import WIDTH, Bar, Show, Table, megabytes


class RichBar:
    """One line of a `Progress`."""

    def __init__(self, progress: Progress, task: TaskID, size: float, show: Show) -> None:
        self._progress = progress
        self._task = task
        self._size = size
        self._show = show
        self._moved = 0

    def advance(self, size: int) -> None:
        """Add to what has been moved; the display looks at it ten times a second."""
        self._moved += size
        moved = f"{self._show(self._moved)} of {self._show(self._size)}"
        self._progress.update(self._task, completed=self._moved, moved=moved)

    def note(self, text: str) -> None:
        """Show something beside it."""
        self._progress.update(self._task, text=text)


class RichScreen:
    """A terminal, or whatever else the output is: rich drops colours and movement where they make no sense."""

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False)
        if not self._console.is_terminal:
            self._console = Console(file=out, highlight=False, width=WIDTH)

    def say(self, text: str = "") -> None:
        """Print a line."""
        self._console.print(escape(text), soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table."""
        rich = RichTable(box=box.ROUNDED, title=table.title or None, title_justify="left", header_style="bold")
        for number, column in enumerate(table.columns):
            rich.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            rich.add_row(*map(escape, row))
        self._console.print(rich)

    @contextmanager
    def bar(self, name: str, size: float, show: Show = megabytes) -> Iterator[Bar]:
        """Show a line that fills."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[moved]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[text]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            yield RichBar(progress, progress.add_task(name, total=size, moved="", text=""), size, show)
