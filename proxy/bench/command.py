"""Measure what Lists, small GETs and watches cost: kube-restream in each mode beside kubectl proxy, haproxy and nginx.

Every arm gets fresh processes in every round, and the arms take turns. CPU is that of the proxy's processes alone.
Prints Markdown on standard output and writes every sample to bench.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.bench import arms, check, gigabyte, growth, paging, report, session, speed, workloads
from proxy.bench.children import Children
from proxy.bench.parameters import ENCODERS, STREAMING, Parameters
from proxy.bench.report import Result
from proxy.bench.screen import Screen


@dataclass(frozen=True, slots=True)
class Statement:
    """Something that the benchmark can say, and how often it measures for that unless told otherwise."""

    name: str
    run: Callable[[Parameters, Screen, Children, Path], Awaitable[Result]]
    rounds: int
    help: str = ""


STATEMENTS = (
    Statement("bench", speed.run, 3),
    Statement("gigabyte", gigabyte.run, 1, "measure memory instead: 1 GB Lists, one, ten at once, a slow client"),
    Statement("check", check.run, 5, "hold ratios against stored bounds instead; exit code 1 where one is missed"),
    Statement("growth", growth.run, 1, "measure memory and CPU against the size and number of Lists and items"),
    Statement("paging", paging.run, 5, "measure what paging spares a backend that assembles whole Lists"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add(
        "--workloads",
        type=_some_of(tuple(workloads.CATALOGUE), "workload"),
        default=workloads.DEFAULT,
        metavar="LIST",
        help=f"some of: {', '.join(workloads.CATALOGUE)} (default: {', '.join(workloads.DEFAULT)})",
    )
    add(
        "--arms",
        type=_some_of(arms.NAMES, "arm"),
        default=arms.NAMES,
        metavar="LIST",
        help=f"some of: {', '.join(arms.NAMES)}",
    )
    add("--scale", type=_positive, default=1.0, metavar="F", help="factor on sizes and durations (1: 250 MB a List)")
    add("--rounds", type=_count, metavar="N", help="rounds for each arm (default 3; --paging 5)")
    add(
        "--encoder",
        choices=ENCODERS,
        default=STREAMING,
        help="how the backend writes Lists: in chunks of 2 KiB as servers from 1.33 on, or in large ones as before",
    )
    other = parser.add_mutually_exclusive_group().add_argument
    for statement in STATEMENTS[1:]:
        other(
            f"--{statement.name}",
            dest="statement",
            action="store_const",
            const=statement,
            default=STATEMENTS[0],
            help=statement.help,
        )
    add("--out", type=Path, default=Path("bench-out"), metavar="DIR", help="where bench.json goes (default bench-out)")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark; 1 where something failed or a bound is missed that must not be."""
    return session.run("bench", _bench(args, session.open_screen(sys.stderr)))


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return int(text)


def _some_of(known: Sequence[str], what: str) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of comma-separated names, in which kubectl-proxy may have its hyphen."""

    def parse(text: str) -> tuple[str, ...]:
        spelled = {name.replace(" ", "-"): name for name in known}
        given = [name.strip().replace(" ", "-") for name in text.split(",")]
        if unknown := sorted(set(given) - set(spelled)):
            raise argparse.ArgumentTypeError(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
        return tuple(spelled[name] for name in given)

    return parse


async def _bench(args: argparse.Namespace, screen: Screen) -> int:
    statement: Statement = args.statement
    parameters = Parameters(
        statement.name, args.workloads, args.arms, args.scale, args.rounds or statement.rounds, args.encoder
    )
    facts = report.machine()
    with Children() as children:
        result = await statement.run(parameters, screen, children, args.out)
    tables = [table.markdown() for table in result.tables if table.rows]
    print("\n\n".join([*tables, report.describe(facts, result)]))
    path = args.out / f"{statement.name}.json"
    report.write_json(path, facts, result)
    screen.say(f"\nEvery sample: {path}")
    return 0 if result.is_good else 1
