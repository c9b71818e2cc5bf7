"""A proxy with room for two Lists, in front of an upstream whose Lists end when they are told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from proxy.settings import Admission
from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Client, request

MIB = 1 << 20
BUDGET = 8 * MIB
AT_ONCE = 2
"""Streamed Lists that start at once: a window is 1.25 MiB, as one read of each side may be 0.5 MiB. Of 8 MiB 4 are kept
for one of them to grow, and 1 for what is no List."""

PATIENT = Admission(queue_seconds=15, growth_seconds=15)
HEAD, TAIL = SMALL_LIST[:100], SMALL_LIST[100:]
CHUNKED = response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none")


class Gates:
    """An upstream whose Lists end when they are told to. `began` names those that were asked for, in order.

    Their `middle` comes when all of them are told to go on.
    """

    def __init__(self) -> None:
        self.began: list[str] = []
        self.beginning, self.middle, self.rest = chunk(HEAD), b"", chunk(TAIL)
        self.go_on = asyncio.Event()
        self._gates: dict[str, asyncio.Event] = {}

    async def __call__(self, exchange: Exchange) -> None:
        """Answer Lists at their time, and everything else at once."""
        await exchange.body()
        name = exchange.target.decode().partition("labelSelector=")[2].partition("&")[0]
        if not name:
            await exchange.send(response(b"{}"))
            return
        self.began.append(name)
        await exchange.send(CHUNKED, self.beginning)
        if self.middle:
            await self.go_on.wait()
            await exchange.send(self.middle)
        await self._gate(name).wait()
        await exchange.send(self.rest + b"0\r\n\r\n")

    def open(self, *names: str) -> None:
        """Let Lists end, be it later."""
        for name in names:
            self._gate(name).set()

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())


def list_request(name: str, *lines: bytes, resource: str = "pods", version: str = "1.1") -> bytes:
    """Write a request for a List of its own."""
    return request(f"/api/v1/{resource}?labelSelector={name}", *lines, version=version)


class Stage:
    """An upstream with gates, a proxy with room for two Lists, and clients that are in order."""

    def __init__(self, proxy: Running, gates: Gates, stack: AsyncExitStack) -> None:
        self.proxy = proxy
        self.gates = gates
        self.clients: dict[str, Client] = {}
        self._stack = stack

    async def ask(self, name: str, source: str | None = None, **how: object) -> Client:
        """Ask for a List, and wait until it has started, waits, or is refused."""
        client = await self.proxy.connect(source=source, **how)  # type: ignore[arg-type]
        self.clients[name] = await self._stack.enter_async_context(client)
        before = self.dealt_with
        await client.send(list_request(name))
        await eventually(lambda: self.dealt_with > before)
        return client

    @property
    def dealt_with(self) -> float:
        """Lists that have started, wait, or were refused."""
        return len(self.gates.began) + self.waiting + self.proxy.sample("restream_requests_total", code="429")

    @property
    def waiting(self) -> float:
        """Lists that wait to start."""
        return self.proxy.sample("restream_waiting_lists", to="start")

    @property
    def growing(self) -> float:
        """Lists that wait to grow."""
        return self.proxy.sample("restream_waiting_lists", to="grow")

    @property
    def granted(self) -> float:
        """Bytes that may be held."""
        return self.proxy.sample("restream_memory_granted_bytes")

    async def fill(self) -> None:
        """Let as many Lists start as may, and one more wait."""
        for number in range(AT_ONCE):
            await self.ask(f"first{number}")
        assert len(self.gates.began) == AT_ONCE
        assert self.waiting == 0

    def refused(self, reason: str) -> float:
        """Return how many Lists were refused for a reason."""
        return self.proxy.sample("restream_requests_total", code="429", reason=reason, verb="list")

    async def end(self) -> None:
        """Let everything end, and see that nothing is held or waited for."""
        self.gates.open(*self.clients, *self.gates.began)
        await eventually(lambda: self.proxy.sample("restream_inflight_requests") == 0)
        assert (self.granted, self.waiting, self.growing) == (0, 0, 0)
        assert self.proxy.sample("restream_buffered_bytes") == 0


@asynccontextmanager
async def stage(**changes: object) -> AsyncIterator[Stage]:
    """Set one up; in the end nothing may be left."""
    gates = Gates()
    settings = {"mode": "streamed", "memory_budget": BUDGET, "admission": PATIENT, **changes}
    async with (
        Apiserver(gates, send_buffer=65536) as upstream,
        running(upstream.url, **settings) as proxy,
        AsyncExitStack() as stack,
    ):
        found = Stage(proxy, gates, stack)
        yield found
        await found.end()
