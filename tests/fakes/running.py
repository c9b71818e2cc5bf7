"""A running proxy in the test's own event loop, on ports of the system's choice."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from proxy.app import Proxy
from proxy.settings import Limits, Settings
from tests.fakes.wire import PATIENCE, Answer, Client

QUICK = Limits(drain_seconds=0.2)
"""The defaults, but for a drain that no test waits for."""


class Running:
    """A proxy that is up, and ways to talk to it and to look into it."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.host, self.port = _split(proxy.url)

    async def connect(
        self, *, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None, source: str | None = None
    ) -> Client:
        """Open a client's connection."""
        return await Client.connect(self.host, self.port, tls=tls, receive_buffer=receive_buffer, source=source)

    async def ask(self, request: bytes, *, method: str = "GET", tls: ssl.SSLContext | None = None) -> Answer:
        """Ask once, on a connection of its own."""
        async with await self.connect(tls=tls) as client:
            return await client.ask(request, method=method)

    async def ask_admin(self, path: str) -> Answer:
        """Ask the admin listener."""
        async with await Client.connect(*_split(self.proxy.admin_url)) as client:
            return await client.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    def sample(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples whose labels include `labels`, as a scrape would see them."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.proxy.metrics.render().decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def quiet(self) -> None:
        """Wait until no request is under way, and check that nothing is held."""
        await eventually(lambda: self.sample("restream_inflight_requests") == 0)
        assert self.sample("restream_buffered_bytes") == 0

    async def aborts(self, reason: str, count: int = 1) -> None:
        """Wait until `count` aborts have been counted under `reason`."""
        await eventually(lambda: self.sample("restream_aborts_total", reason=reason) == count)


def _split(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that the proxy does not tell of by an event: its own accounts."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.002)


def settings_for(upstream: str | tuple[str, ...], **changes: Any) -> Settings:  # noqa: ANN401 (whatever the setting takes)
    """Return settings for a test: ports of the system's choice, no log, a short drain."""
    values = {
        "upstream": upstream,
        "listen": "127.0.0.1:0",
        "admin_listen": "127.0.0.1:0",
        "access_log": False,
        "limits": QUICK,
    }
    return Settings(**{**values, **changes})


@asynccontextmanager
async def running(upstream: str | tuple[str, ...], **changes: Any) -> AsyncIterator[Running]:  # noqa: ANN401
    """Run a proxy in front of `upstream`; afterwards check that it left no task and no unhandled exception."""
    loop = asyncio.get_running_loop()
    problems: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: problems.append(context))
    before = asyncio.all_tasks()
    settings = settings_for(upstream, **changes)
    proxy = Proxy(settings, lambda: settings)
    await proxy.open()
    try:
        yield Running(proxy)
    finally:
        for _ in range(5):
            await asyncio.sleep(0)  # clients that have left are gone, and no drain waits for them
        await proxy.close()
        await asyncio.sleep(0)
        gc.collect(1)
    left = [task for task in asyncio.all_tasks() - before if "proxy/" in str(task)]
    assert not left, left
    assert not problems, problems
