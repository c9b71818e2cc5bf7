"""`kube-restream backend`: the command line of the embedded apiserver."""

from __future__ import annotations

import argparse
import asyncio
import math
import re
import signal
import ssl
import sys

import uvloop
from aiohttp import web

from proxy.backend.churn import Churn
from proxy.backend.heap import freeze_objects, keep_freed_memory
from proxy.backend.objects import Sizes, populate
from proxy.backend.server import HEADER_LIMIT, Backend
from proxy.backend.store import Store
from proxy.backend.verbs import Behaviour

UNITS = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
SIZE = re.compile(r"(\d+)\s*(KiB|MiB|GiB|)", re.IGNORECASE)
# Watches and long Lists are cut off after this much of a graceful shutdown.
SHUTDOWN_SECONDS = 2.0


def size(text: str) -> int:
    """Parse a size such as 2500, 20KiB or 1MiB."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (examples: 2500, 20KiB, 1MiB)")
    return int(match[1]) * UNITS[match[2].lower()]


def count(text: str) -> int:
    """Parse a number of objects."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"not a count: {text!r}")
    return int(text)


def positive_count(text: str) -> int:
    """Parse a number that can't be zero."""
    if (number := count(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def seconds(text: str) -> float:
    """Parse a time that can't be zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"not a time in seconds: {text!r}")
    return number


def address(text: str) -> tuple[str, int]:
    """Parse HOST:PORT."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"not an address: {text!r} (example: 127.0.0.1:8080)")
    return host.strip("[]") or "127.0.0.1", int(port)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    sizes = Sizes()
    add = parser.add_argument
    add("--listen", type=address, default=("127.0.0.1", 8080), metavar="HOST:PORT", help="port 0 picks a free one")
    for name in ("pods", "secrets", "configmaps", "nodes", "widgets"):
        add(f"--{name}", type=count, default=getattr(sizes, name), metavar="N", help=f"how many {name} there are")
    add("--namespaces", type=positive_count, default=sizes.namespaces, metavar="N", help="objects are spread over them")
    for name in ("pod", "secret", "configmap"):
        default = getattr(sizes, f"{name}_size")
        add(f"--{name}-size", type=size, default=default, metavar="SIZE", help=f"bytes of JSON of one {name}")
    add(
        "--encoder",
        choices=("whole", "streaming"),
        default="streaming",
        help="hold a List in memory (1.32) or not (1.34)",
    )
    add("--token", default="", help="bearer token that clients must send")
    add("--tls-cert", metavar="FILE", help="certificate chain in PEM")
    add("--tls-key", metavar="FILE", help="its private key in PEM")
    add("--churn", type=count, default=0, metavar="N", help="writes a second")
    add("--seed", type=int, default=sizes.seed, metavar="N", help="the same seed makes the same objects")
    add("--list-deadline-seconds", type=float, default=60.0, metavar="S", help="a List that takes longer is cut off")
    add(
        "--log-interval-seconds",
        type=seconds,
        default=1.0,
        metavar="S",
        help="how often a container writes a line to its log",
    )
    add(
        "--token-lifetime-seconds",
        type=float,
        default=300.0,
        metavar="S",
        help="continue tokens expire after this time",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    try:
        tls = tls_context(args.tls_cert, args.tls_key)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"kube-restream backend: --tls-cert, --tls-key: {error}\n")
        return 2
    keep_freed_memory()
    try:
        uvloop.run(serve(args, tls))
    except OSError as error:
        sys.stderr.write(f"kube-restream backend: --listen: {error}\n")
        return 2
    return 0


def tls_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return a server context, if a certificate is given."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ValueError("both are needed")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def new_backend(args: argparse.Namespace) -> Backend:
    """Build the cluster that the flags describe."""
    streaming = args.encoder == "streaming"
    names = ("pods", "secrets", "configmaps", "namespaces", "nodes", "widgets", "seed")
    sizes = Sizes(
        pod_size=args.pod_size, secret_size=args.secret_size, configmap_size=args.configmap_size,
        **{name: getattr(args, name) for name in names},
    )  # fmt: skip
    store = Store(populate(sizes), token_lifetime=args.token_lifetime_seconds, etcd_tokens=not streaming)
    behaviour = Behaviour(streaming, args.token, args.list_deadline_seconds, log_interval=args.log_interval_seconds)
    return Backend(store, behaviour)


async def serve(args: argparse.Namespace, tls: ssl.SSLContext | None) -> None:
    """Listen, say so, and wait for a signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    backend = new_backend(args)
    runner = web.AppRunner(
        backend.application(), access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS,
        max_line_size=HEADER_LIMIT, max_field_size=HEADER_LIMIT,
    )  # fmt: skip
    await runner.setup()
    host, port = args.listen
    site = web.TCPSite(runner, host, port, ssl_context=tls)
    try:
        await site.start()
        freeze_objects()
        scheme = "https" if tls else "http"
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"kube-restream backend ready on {scheme}://{shown}:{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as group:
            churn = group.create_task(Churn(backend.store, args.churn, args.seed).run())
            await stop.wait()
            churn.cancel()
    finally:
        await runner.cleanup()
