"""Measure what a List and a small GET cost: kube-restream in each mode beside kubectl proxy and haproxy, in one run.

Every arm gets a fresh process in every round, and the arms take turns. CPU is that of the proxy's processes alone.
Prints Markdown on standard output and writes every sample to bench.json.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from proxy.bench import gigabyte, paging, pagingreport, report, rounds, session
from proxy.bench.children import Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.peers import Arm, arms
from proxy.bench.report import Medians, Result
from proxy.bench.rounds import Sample
from proxy.bench.screen import Screen
from proxy.bench.servers import start_backend

# 100,000 pods of 2.5 KB make a List of 250 MB.
PODS, POD_SIZE, ROUNDS, GET_SECONDS = 100_000, 2500, 5, 1.5
MIN_PODS = 1000
Measure = Callable[[argparse.Namespace, Screen, Children], Awaitable[Result]]
NAMES = ("direct", "kubectl proxy", "haproxy", "raw", "streamed", "buffered")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--scale", type=_positive, default=1.0, metavar="F", help="factor on sizes and durations (1: 250 MB a List)")
    add("--rounds", type=_count, default=ROUNDS, metavar="N", help=f"rounds for each arm (default {ROUNDS})")
    add("--arms", type=_names, default=NAMES, metavar="LIST", help=f"some of: {', '.join(NAMES)}")
    add(
        "--encoder",
        choices=("streaming", "whole"),
        default="streaming",
        help="how the backend writes Lists: in chunks of 2 KiB as servers from 1.33 on, or in large ones as before",
    )
    other = parser.add_mutually_exclusive_group().add_argument
    other("--gigabyte", action="store_true", help="measure memory instead: 1 GB Lists, one, ten at once, a slow client")
    other("--paging", action="store_true", help="measure what paging spares a backend that assembles whole Lists")
    add("--out", type=Path, default=Path("bench-out"), metavar="DIR", help="where bench.json goes (default bench-out)")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark; 1 where something failed."""
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


def _names(text: str) -> tuple[str, ...]:
    chosen = tuple(name.strip().replace("-", " ") for name in text.split(","))
    if unknown := set(chosen) - set(NAMES):
        raise argparse.ArgumentTypeError(f"no such arm: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return chosen


async def _bench(args: argparse.Namespace, screen: Screen) -> int:
    facts = report.machine()
    with Children() as children:
        try:
            name, measure = _chosen(args)
            result = await measure(args, screen, children)
        except LoadError as error:
            await asyncio.sleep(rounds.AFTERWARDS_SECONDS)
            children.check()
            raise BenchError(f"backend: {error}") from None
    print("\n\n".join([*(table.markdown() for table in result.tables), report.describe(facts, result)]))
    path = args.out / f"{name}.json"
    try:
        report.write_json(path, facts, result)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from None
    screen.say(f"\nEvery sample: {path}")
    return 0


def _chosen(args: argparse.Namespace) -> tuple[str, Measure]:
    if args.gigabyte:
        return "gigabyte", _memory
    return ("paging", _paging) if args.paging else ("bench", _speed)


async def _speed(args: argparse.Namespace, screen: Screen, children: Children) -> Result:
    """Let the arms take turns, in another order each round, so that no one always follows the same."""
    chosen = _available(args.arms, screen)
    pods = max(MIN_PODS, round(PODS * args.scale))
    backend = await start_backend(children, "--encoder", args.encoder, "--pods", str(pods), "--pod-size", str(POD_SIZE))
    work = await rounds.prepare(backend.url, GET_SECONDS * min(args.scale, 1.0))
    samples: list[Sample] = []
    with screen.bar("rounds", args.rounds * len(chosen), "{:.0f}".format) as bar:
        for number in range(args.rounds):
            shift = number % len(chosen)
            for arm in chosen[shift:] + chosen[:shift]:
                bar.note(f"{number + 1}: {arm.name}")
                samples += await rounds.measure(children, arm, work, number + 1)
                bar.advance(1)
    medians = Medians(samples, [arm.name for arm in chosen])
    about = (
        f"{pods:,} pods of {POD_SIZE:,} bytes, a List of {work.list_size:,} bytes, JSON, identity, from a backend with "
        f"--encoder {args.encoder}; medians of "
        f"{args.rounds} rounds, a fresh process for each arm and round; CPU is that of the proxy's processes alone."
    )
    sizes = {"pods": pods, "pod_bytes": POD_SIZE, "list_bytes": work.list_size, "rounds": args.rounds}
    tables = [medians.table(report.LIST_COLUMNS), medians.table(report.GET_COLUMNS)]
    return Result(
        about, {**sizes, "scale": args.scale, "encoder": args.encoder}, report.versions(chosen), tables, samples
    )


async def _memory(args: argparse.Namespace, screen: Screen, children: Children) -> Result:
    samples = await gigabyte.measure(children, screen, args.scale)
    about = f"Pods of {gigabyte.POD_SIZE:,} bytes; a fresh proxy for each row; peak RSS is the kernel's (VmHWM)."
    return Result(about, {"scale": args.scale}, report.versions([]), [gigabyte.table(samples)], samples)


async def _paging(args: argparse.Namespace, screen: Screen, children: Children) -> Result:
    planned = paging.workloads(args.scale)
    runs = await paging.measure(children, screen, planned, args.rounds)
    pagingreport.draw(args.out / "paging.png", screen, planned[0], runs)
    about = (
        "A backend with --encoder whole; fresh processes for each measurement; peak memory is the kernel's (VmHWM); "
        f"one List: medians of {args.rounds} rounds. A bound is the most that paged may be, of direct or by itself."
    )
    sizes = {"scale": args.scale, "rounds": args.rounds}
    return Result(about, sizes, report.versions([]), pagingreport.tables(runs, planned), runs)


def _available(names: tuple[str, ...], screen: Screen) -> list[Arm]:
    """Return the arms that were chosen and can be had; say what is missing. Raises BenchError for none."""
    chosen = [arm for arm in arms() if arm.name in names]
    for arm in chosen:
        if arm.missing:
            screen.say(f"{arm.name} is left out; {arm.missing}")
    available = [arm for arm in chosen if not arm.missing]
    if not available:
        raise BenchError("none of the chosen arms is installed")
    return available
