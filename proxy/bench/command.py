"""Measure what Lists, small GETs and watches cost: kube-restream in each mode beside kubectl proxy, haproxy and nginx.

Every arm gets fresh processes in every round, and the arms take turns. CPU is that of the proxy's processes alone.
Prints Markdown on standard output and writes every sample to bench.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from proxy.bench import (
    arms,
    check,
    cluster,
    gigabyte,
    growth,
    hostile,
    paging,
    repeat,
    report,
    session,
    speed,
    workloads,
)
from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import Screen
from proxy.bench.servers import ENCODERS, STREAMING

Run = Callable[[Parameters, Screen, Children, Path], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Statement:
    """Something that the benchmark can say, and how often it measures for that unless told otherwise."""

    name: str
    run: Run
    rounds: int
    help: str = ""


STATEMENTS = (
    Statement("bench", speed.run, 3),
    Statement("gigabyte", gigabyte.run, 1, "measure memory instead: 1 GB Lists, one, ten at once, a slow client"),
    Statement("check", check.run, 6, "hold ratios against stored bounds instead; exit code 1 where one is missed"),
    Statement("growth", growth.run, 1, "measure memory and CPU against the size and number of Lists and items"),
    Statement("paging", paging.run, 5, "measure what paging spares a backend that assembles whole Lists"),
    Statement("hostile", hostile.run, 3, "measure what GETs see of a thousand slow and a thousand stalled clients"),
)


UPSTREAM = "upstream"
TIMES = """\
On two cores, the default takes four to five minutes: a List workload 45 s for all arms and three rounds, GETs 30 s,
watches 75 s. many-watches takes 90 s, latency three to four minutes, configmaps ten (--scale 0.1 --rounds 1: half a
minute), --check 45 s, --paging a minute, --gigabyte one to two, --growth three to four. Peers that are not installed
are left out.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = TIMES
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
    add("--rounds", type=_count, metavar="N", help="rounds for each arm (default 3; --check 6, --paging 5, --growth 1)")
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
            const=statement.name,
            default=STATEMENTS[0].name,
            help=statement.help,
        )
    other("--repeat", type=Path, metavar="FILE", help="do again what the JSON of a run says; ratios then and now")
    other("--upstream", type=_url, metavar="URL", help="list a real cluster instead, with GETs alone")
    add("--kubeconfig", type=Path, metavar="FILE", help="with --upstream: whom to be there")
    add("--token-file", type=Path, metavar="FILE", help="with --upstream: a bearer token instead")
    add("--ca", type=Path, metavar="FILE", help="with --upstream and --token-file: the CA certificates")
    add(
        "--targets",
        type=_paths,
        default=("/api/v1/pods",),
        metavar="LIST",
        help="with --upstream: paths to list (default /api/v1/pods)",
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


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise argparse.ArgumentTypeError("expected http://host:port or https://host:port, without a credential")
    return text.rstrip("/")


def _paths(text: str) -> tuple[str, ...]:
    paths = tuple(path.strip() for path in text.split(","))
    if not all(path.startswith("/") for path in paths):
        raise argparse.ArgumentTypeError(f"expected paths such as /api/v1/pods, got {text!r}")
    return paths


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
    old = repeat.read(args.repeat) if args.repeat else None
    parameters = old.parameters if old else _parameters(args)
    statement = _statement(parameters.statement, args)
    facts = report.machine()
    with Children() as children:
        result = await statement.run(parameters, screen, children, args.out)
    tables = [*result.tables, *([repeat.table(old, result.runs)] if old else [])]
    shown = [table.markdown() for table in tables if table.rows]
    print("\n\n".join([*shown, report.describe(facts, result)]))
    path = args.out / f"{statement.name}.json"
    report.write_json(path, facts, result)
    screen.say(f"\nEvery sample: {path}")
    return 0 if result.is_good else 1


def _parameters(args: argparse.Namespace) -> Parameters:
    name = UPSTREAM if args.upstream else args.statement
    rounds = args.rounds or _statement(name, args).rounds
    return Parameters(
        name, args.workloads, args.arms, args.scale, rounds, args.encoder, args.upstream or "", args.targets
    )


def _statement(name: str, args: argparse.Namespace) -> Statement:
    """Return what is to be said. Raises BenchError for an old run of something else."""
    access = cluster.Access(args.kubeconfig, args.token_file, args.ca)
    for statement in (*STATEMENTS, Statement(UPSTREAM, partial(cluster.run, access), 3)):
        if statement.name == name:
            return statement
    raise BenchError(f"there is no {name!r} to repeat")
