"""From the ready line to the exit code: what signals mean, for one process and for a supervisor."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Protocol

STOPS = (signal.SIGTERM, signal.SIGINT)


class Served(Protocol):
    """What is up and running."""

    async def reload(self) -> None:
        """Read the settings again; tell how that went."""

    async def close(self) -> None:
        """Drain, and end."""

    async def kill(self) -> None:
        """End at once, in the middle of `close`."""


async def live(served: Served, url: str, admin_url: str) -> int:
    """Say that all is ready, then serve until SIGTERM or SIGINT; return the exit code.

    SIGHUP reads the settings again. A second SIGTERM or SIGINT ends at once, by a handler of our own: in a container
    we are process 1, to which the kernel delivers no signal that has none.
    """
    loop = asyncio.get_running_loop()
    stops: asyncio.Queue[signal.Signals] = asyncio.Queue()
    wanted = asyncio.Event()
    had_terminal = _has_terminal()

    def hang_up() -> None:
        if had_terminal and not _has_terminal():
            stops.put_nowait(signal.SIGHUP)  # its window was closed: nobody would miss us, or know that we are there
        else:
            wanted.set()

    for name in STOPS:
        loop.add_signal_handler(name, stops.put_nowait, name)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    print(f"kube-restream ready on {url} (admin {admin_url})", flush=True)  # noqa: T201 (the one line)
    reloading = loop.create_task(_reload_whenever(wanted, served))
    await stops.get()
    reloading.cancel()
    with suppress(asyncio.CancelledError):
        await reloading
    closing, second = loop.create_task(served.close()), loop.create_task(stops.get())
    await asyncio.wait([closing, second], return_when=asyncio.FIRST_COMPLETED)
    if not second.done():
        second.cancel()
        await closing
        return 0
    closing.cancel()
    await asyncio.wait([closing])
    await served.kill()
    return 128 + second.result()


async def _reload_whenever(wanted: asyncio.Event, served: Served) -> None:
    """Reload for each wish, once for those that come while that is under way."""
    while True:
        await wanted.wait()
        wanted.clear()
        await served.reload()


def _has_terminal() -> bool:
    """Whether standard input is a terminal that is still there."""
    try:
        return os.isatty(sys.stdin.fileno())
    except (AttributeError, ValueError, OSError):
        return False
