"""One run of a command: the screen it writes to, and signals and expected failures as exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

import uvloop

from proxy.bench.errors import BenchError
from proxy.bench.screen import PlainScreen, Screen

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(name: str, work: Coroutine[None, None, int]) -> int:
    """Run `work` and return its exit code: 1 where it fails, 128 + n after a signal, as shells have it."""
    if not Path("/proc/self/status").exists():
        work.close()
        print(f"kube-restream {name}: memory and CPU are read from /proc, which only Linux has", file=sys.stderr)
        return 1
    try:
        return uvloop.run(_interruptible(work))
    except BenchError as error:
        print(f"kube-restream {name}: {error}", file=sys.stderr)
        return 1


async def _interruptible(work: Coroutine[None, None, int]) -> int:
    """Cancel `work` on the first signal; its context managers clean up."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        return 128 + received[0] if received else 1


def open_screen(out: TextIO) -> Screen:
    """Return the best screen that can be had on `out`."""
    if find_spec("rich") is None:
        return PlainScreen(out)
    from proxy.bench.richscreen import RichScreen  # noqa: PLC0415 (rich is optional)

    return RichScreen(out)
