"""Compare the buffered and the streamed path, here and now.

Starts the embedded apiserver, sends the same concurrent Lists through a proxy that holds each body whole and through
one that passes it on item by item, and shows what each of them took.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from proxy.bench import kubectl, paths, session
from proxy.bench.children import Children
from proxy.bench.errors import BenchError, LoadError
from proxy.bench.paths import PathResult, Reference
from proxy.bench.screen import HOW_TO_INSTALL, Screen, Table, mebibytes, megabytes, missing_packages, ratio
from proxy.bench.screen import seconds as in_seconds
from proxy.bench.servers import Server, start_backend, start_proxy

# 40,000 pods of 2.5 KB make 100 MB a List.
LISTS, PODS, POD_SIZE = 4, 40_000, 2500
MODES = ("buffered", "streamed")
KUBECTL_LINES = 5
# A child whose connection has just broken may need a moment to be dead.
DYING_SECONDS = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--lists", type=_positive, default=LISTS, metavar="N", help=f"Lists at once (default {LISTS})")
    parser.add_argument(
        "--pods", type=_positive, default=PODS, metavar="N", help=f"pods of 2.5 KB in each List (default {PODS:,})"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), metavar="DIR", help="where memory.png goes (default demo-out)"
    )
    parser.add_argument("--keep", action="store_true", help="leave backend and proxy running until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 1 where something failed."""
    return session.run("demo", _demo(args, session.open_screen(sys.stdout)))


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return int(text)


async def _demo(args: argparse.Namespace, screen: Screen) -> int:
    with Children() as children:
        try:
            await _steps(args, screen, children)
        except LoadError:
            await asyncio.sleep(DYING_SECONDS)
            children.check()
            raise
    return 0


async def _steps(args: argparse.Namespace, screen: Screen, children: Children) -> None:
    if missing := missing_packages():
        screen.say(f"Not installed: {', '.join(missing)}; to see more: {HOW_TO_INSTALL}")
    # With the streaming encoder the first byte leaves the backend at once and its memory is out of the picture: every
    # difference that shows is the proxy's.
    backend = await start_backend(
        children, "--encoder", "streaming", "--pods", str(args.pods), "--pod-size", str(POD_SIZE)
    )
    reference = await paths.read_reference(backend.url, args.pods)
    screen.say(
        f"\n{args.lists} concurrent Lists of {args.pods:,} pods ({megabytes(reference.size)}), "
        "a fresh proxy for each path\n"
    )
    results = []
    for mode in MODES:
        proxy = await start_proxy(children, backend.url, mode)
        with screen.bar(mode, args.lists * reference.size) as bar:
            results.append(await paths.measure(proxy, mode, args.lists, reference, bar))
        if mode != MODES[-1]:
            children.stop(proxy.child)
    screen.say()
    screen.show(comparison(*results))
    screen.say(f"Every body is what the backend sent, byte for byte: sha256 {reference.digest[:16]}…")
    _draw(args, screen, reference, results)
    await _show_kubectl(screen, children, proxy)
    await _part(args, screen, children, backend, proxy)


def comparison(buffered: PathResult, streamed: PathResult) -> Table:
    """Set two paths side by side."""
    table = Table(["", buffered.mode, streamed.mode, "ratio"])
    both = (buffered, streamed)
    table.rows.append(["Lists at once", *(f"{result.lists}" for result in both), ""])
    table.rows.append(["bytes", *(megabytes(result.moved) for result in both), ""])
    table.rows.append(["items", *(f"{result.items:,}" for result in both), ""])
    for name, show, values in (
        ("first byte (median)", in_seconds, [result.first_byte for result in both]),
        ("total", in_seconds, [result.seconds for result in both]),
        ("peak RSS of the proxy", mebibytes, [result.peak for result in both]),
        ("  above its idle RSS", mebibytes, [result.above_idle for result in both]),
        ("buffered bytes at peak", mebibytes, [result.buffered for result in both]),
    ):
        table.rows.append([name, *map(show, values), ratio(*values)])
    return table


def _draw(args: argparse.Namespace, screen: Screen, reference: Reference, results: list[PathResult]) -> None:
    if "matplotlib" in missing_packages():
        return
    from proxy.bench import plot  # noqa: PLC0415 (matplotlib is optional)

    path = args.out / "memory.png"
    title = f"{args.lists} Lists of {megabytes(reference.size)} at once: the proxy's memory"
    subtitle = f"{args.pods:,} pods of 2.5 KB a List; shaded: bytes held for requests; a fresh proxy for each path"
    try:
        plot.write(path, title, subtitle, results)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from None
    screen.say(f"Memory over time: {path}")


async def _show_kubectl(screen: Screen, children: Children, proxy: Server) -> None:
    binary = kubectl.find()
    if binary is None:
        screen.say("\nkubectl is not installed; curl will do.")
        return
    screen.say(f"\n$ kubectl --server {proxy.url} get pods | head -{KUBECTL_LINES}")
    lines = await kubectl.output(children, binary, "--server", proxy.url, "get", "pods")
    for line in lines[:KUBECTL_LINES]:
        screen.say(line)


async def _part(args: argparse.Namespace, screen: Screen, children: Children, backend: Server, proxy: Server) -> None:
    """Say how to go on; with --keep, wait for a signal."""
    if not args.keep:
        screen.say(
            "\nTo try it yourself, keep both running with make demo ARGS=--keep (or kube-restream demo --keep), then:\n"
            "    kubectl --server http://127.0.0.1:PORT get pods"
        )
        return
    screen.say(
        f"\nRunning until Ctrl-C: backend {backend.url}, proxy {proxy.url}, its metrics {proxy.admin}/metrics\n"
        f"    kubectl --server {proxy.url} get pods\n"
        f"    curl '{proxy.url}/api/v1/pods?limit=1'"
    )
    sys.stdout.flush()
    while True:
        await asyncio.sleep(1)
        children.check()
