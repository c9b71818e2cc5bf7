"""The fault matrix as a program: ``make faults``, with ``ARGS="--only 'kubectl/streamed*'"`` a part of it.

``--only`` takes shell patterns of client/plan/form/fault/position; ``--list`` shows what they match. Ends with exit
code 1 where a client was told of neither an error nor the exact List, or where the proxy did not let go of something.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from tests.faults import cells as table
from tests.faults.cells import Cell
from tests.faults.clients import kubectls, missing
from tests.faults.matrix import Matrix, Report


def chosen(patterns: list[str]) -> list[Cell]:
    """Return the cells that one of `patterns` matches and whose client is at hand."""
    absent = missing()
    return [
        cell
        for cell in table.cells()
        if cell.client not in absent and any(fnmatchcase(str(cell), pattern) for pattern in patterns)
    ]


async def run(cells: list[Cell], kubectl: str = "") -> Report:
    """Run some cells."""
    with tempfile.TemporaryDirectory() as home:
        async with Matrix(cells, Path(home), kubectl) as matrix:
            report = await matrix.run()
    return report


def show(report: Report, what: str) -> None:
    """Print what came of a run."""
    by_client = ", ".join(f"{client} {count}" for client, count in report.by_client.items())
    verdicts = report.verdicts
    say(f"{what}: {verdicts.total()} cells in {report.seconds:.1f} s ({by_client})")
    say(f"  {verdicts['error']} errors reported, {verdicts['exact']} exact Lists, {verdicts['failed']} failed")
    say(f"  {verdicts['unjudged']} passed on as the upstream sent them, by an exception that is documented")
    for failure in report.failures:
        say(f"FAILED {failure}")


def show_exceptions(cells: list[Cell]) -> None:
    """Print what was left out or need not be noticed, and why."""
    for reason, count in Counter(cell.unjudged for cell in cells if cell.unjudged).items():
        say(f"exception, {count} cells: {reason}")
    for reason, count in table.left_out().items():
        say(f"no such cells, {count} combinations: {reason}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", metavar="PATTERN", help="may be given several times")
    parser.add_argument("--all-kubectls", action="store_true", help="every version beside the installed one")
    parser.add_argument("--list", action="store_true", help="name the cells, and run none")
    arguments = parser.parse_args()
    cells = chosen(arguments.only or ["*"])
    if arguments.list:
        say("\n".join(map(str, cells)))
        return 0
    show_exceptions(cells)
    for client, remedy in missing().items():
        say(f"not at hand: {client} ({remedy})")
    others = [cell for cell in cells if cell.client != "kubectl"]
    asked_by_kubectl = [cell for cell in cells if cell.client == "kubectl"]
    runs = [("all but kubectl", others, "")] if others else []
    if asked_by_kubectl:
        runs += [(Path(path).name, asked_by_kubectl, path) for path in kubectls(every=arguments.all_kubectls)]
    has_failed = not cells
    for what, part, kubectl in runs:
        report = asyncio.run(run(part, kubectl))
        show(report, what)
        has_failed |= bool(report.failures)
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
