"""A Kubernetes Service with its kubelet, in small: connections go to proxies that are ready, and stay with them."""

import asyncio
import itertools
from contextlib import suppress
from typing import Self

from tests.fakes.child import Child
from tests.fakes.wire import PATIENCE

PROBE_SECONDS = 0.05
"""Between two probes of a Pod."""

PROPAGATION_SECONDS = 0.1
"""From a probe that fails to the last node that has heard of it."""


class Service:
    """A TCP balancer on 127.0.0.1. `pods` are told of when they start; whether they are ready it finds out itself."""

    def __init__(self) -> None:
        self.address = ("", 0)
        self._endpoints: dict[Child, asyncio.Task[None]] = {}
        self._ready: set[Child] = set()
        self._changed = asyncio.Event()
        self._given: dict[Child, int] = {}
        self._turn = itertools.count()
        self._pipes: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and drop what is open."""
        self._server.close()
        for task in (*self._endpoints.values(), *self._pipes):
            task.cancel()
        await asyncio.gather(*self._endpoints.values(), *self._pipes, return_exceptions=True)

    def add(self, pod: Child) -> None:
        """Probe a Pod from now on, until it has gone."""
        self._given[pod] = 0
        self._endpoints[pod] = asyncio.ensure_future(self._probe(pod))

    async def until_ready(self, count: int) -> None:
        """Wait until so many Pods get connections."""
        async with asyncio.timeout(PATIENCE):
            while len(self._ready) != count:
                self._changed.clear()
                await self._changed.wait()

    async def until_gone(self, pod: Child) -> int:
        """Wait until it is noticed that a Pod has gone; return how many connections it was given."""
        async with asyncio.timeout(PATIENCE):
            await self._endpoints.pop(pod)
        return self._given.pop(pod)

    async def _probe(self, pod: Child) -> None:
        status = -1
        while status:  # 0: it has gone
            try:
                status = (await pod.ask_admin("/readyz")).status
            except OSError:
                status = 0
            if (status == 200) != (pod in self._ready):
                await asyncio.sleep(PROPAGATION_SECONDS)
                (self._ready.add if status == 200 else self._ready.discard)(pod)
                self._changed.set()
            await asyncio.sleep(PROBE_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pods = [pod for pod in self._endpoints if pod in self._ready]
        pod = pods[next(self._turn) % len(pods)]
        self._given[pod] += 1
        try:
            there, back = await asyncio.open_connection(*pod.address)
        except OSError:
            writer.transport.abort()
            return
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(_copy(source, target))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry bytes one way; an end is passed on as that, a reset as a reset."""
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    except OSError:
        target.transport.abort()
    finally:
        with suppress(OSError):
            target.close()
