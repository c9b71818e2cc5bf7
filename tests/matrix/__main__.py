"""`python -m tests.matrix`: run the matrix and write docs/clients.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from tests.matrix import explanations
from tests.matrix.installing import ROOT, clients
from tests.matrix.operations import OPERATIONS
from tests.matrix.outcomes import Outcome, shown
from tests.matrix.page import Page
from tests.matrix.running import SETTINGS, Setting, report, run

PAGE = ROOT / "docs" / "clients.md"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--mode", action="append", choices=names, help="only these settings of the proxy")
    parser.add_argument("--client", action="append", metavar="PATTERN", help="only clients like 'kubectl *'")
    parser.add_argument("--operation", action="append", choices=list(OPERATIONS), help="only these operations")
    parser.add_argument("--output", type=Path, help=f"where the page goes (default {PAGE.name}, for a whole run only)")
    return parser.parse_args()


def selected(args: argparse.Namespace) -> list[Setting]:
    """Return the settings that are asked for, each with the operations that are."""
    return [
        Setting(one.name, one.encoder, one.mode, [name for name in one.operations if name in args.operation])
        if args.operation
        else one
        for one in SETTINGS
        if not args.mode or one.name in args.mode
    ]


def complain(setting: str, client: str, operation: str, outcome: Outcome) -> None:
    """Print both answers of a cell that nothing explains."""
    report(f"\n{setting}: {client}: {operation}: {outcome.verdict.value}, which nothing explains")
    report(f"--- direct\n{shown(outcome.direct)}\n--- through the proxy\n{shown(outcome.proxied)}")


def main() -> int:
    """Run, write, and return the exit code: 1 where a cell is not explained."""
    args = arguments()
    known = explanations.load()
    patterns = args.client or ["*"]
    found = [client for client in clients() if any(fnmatchcase(client.name, pattern) for pattern in patterns)]
    for client in found:
        if client.missing:
            report(f"not at hand: {client.name}: {client.missing}")
    with tempfile.TemporaryDirectory(prefix="kube-restream-matrix-") as scratch:
        tables = run([client for client in found if not client.missing], selected(args), Path(scratch))
    page = Page(known)
    text = page.render(found, tables)
    whole = not (args.mode or args.client or args.operation)
    if output := args.output or (PAGE if whole else None):
        output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    for cell in page.unexplained:
        complain(*cell)
    if whole:
        for reason in known:
            if reason not in page.used:
                report(f"explains nothing: {reason.text}")
    return 1 if page.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
