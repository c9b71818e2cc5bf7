"""The IO of watches: wait for changes, write events as they come, end with the client's timeout."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from aiohttp import web

from proxy.backend import framing
from proxy.backend.status import ApiError
from proxy.backend.watch import Watcher, error_event

# Without timeoutSeconds an apiserver ends a watch after once to twice this time.
MIN_TIMEOUT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Pace:
    """When a watch ends, and how often it is told that nothing happens."""

    timeout: float
    bookmark_interval: float

    @classmethod
    def of(cls, timeout_seconds: int, bookmark_interval: float) -> Pace:
        """Apply the default timeout."""
        return cls(timeout_seconds or MIN_TIMEOUT_SECONDS * (1 + random.random()), bookmark_interval)


async def follow(
    request: web.Request, response: web.StreamResponse, watcher: Watcher, pace: Pace
) -> web.StreamResponse:
    """Stream a watch until its time is over; the stream then ends cleanly, as a real one does."""
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    changed = asyncio.Event()
    watcher.store.listeners.add(changed.set)
    try:
        async with asyncio.timeout(pace.timeout):
            async for part in events(watcher, changed, pace.bookmark_interval):
                await response.write(part)
    except TimeoutError:
        pass
    except ApiError as error:
        await response.write(error_event(error))
    finally:
        watcher.store.listeners.discard(changed.set)
    await response.write_eof()
    return response


async def events(watcher: Watcher, changed: asyncio.Event, interval: float) -> AsyncIterator[bytes]:
    """Yield the initial events, then what happens, in as few writes as possible and never late."""
    async for part in written(watcher.start()):
        yield part
    while True:
        changed.clear()
        async for part in written(watcher.poll()):
            yield part
        if changed.is_set():
            continue
        try:
            async with asyncio.timeout(interval):
                await changed.wait()
        except TimeoutError:
            if watcher.options.bookmarks:
                yield watcher.bookmark()


async def written(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Gather lines into writes, giving other requests a turn."""
    async for part in framing.paced(framing.coalesced(lines)):
        yield bytes(part)
