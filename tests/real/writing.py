"""A hundred writes a second: objects are created, changed and deleted while somebody lists them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

from tests.fakes.wire import PATIENCE, Client, WireEndedError
from tests.real.population import CUSTOM, config_map, widget
from tests.real.server import Server, write

RATE = 100.0
WRITERS = 5
KEPT = ("object-03", "object-11")
"""Of the objects that the tests list, those that are changed; the writers delete none but their own."""


class Writing:
    """What the writers have done so far."""

    def __init__(self) -> None:
        self.done = 0
        self.version = 0
        self.refused: list[str] = []
        self._waiters: list[asyncio.Future[None]] = []

    def count(self, version: int) -> None:
        """Take note of a write."""
        self.done += 1
        self.version = max(self.version, version)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def goes_on(self) -> None:
        """Wait for the next write."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(PATIENCE):
                await waiter
        except TimeoutError:
            raise AssertionError(
                f"no write in {PATIENCE:g} s after {self.done}; refused: {self.refused[-3:]}"
            ) from None


@asynccontextmanager
async def writing(server: Server) -> AsyncIterator[Writing]:
    """Write to ConfigMaps and Widgets of both namespaces, over kept connections, until the end of the block."""
    state = Writing()
    tasks = [asyncio.create_task(_write_on(server, state, number)) for number in range(WRITERS)]
    try:
        yield state
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _write_on(server: Server, state: Writing, writer: int) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + writer / RATE
    requests = _requests(server, writer)
    while True:
        async with await server.connect() as client:
            with suppress(WireEndedError):  # then the server has ended the connection: go on with a new one
                while not client.has_ended:
                    due = max(due + WRITERS / RATE, loop.time() - 1)  # what was missed is caught up, a second of it
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    await _write_once(client, next(requests), state)


async def _write_once(client: Client, raw: bytes, state: Writing) -> None:
    method = raw.partition(b" ")[0].decode()
    answer = await client.ask(raw, method=method)
    if answer.status in (200, 201):
        state.count(_version(answer.body))
    else:  # a busy server may refuse one; `goes_on` notices where it refuses all
        state.refused.append(f"{raw.partition(b' HTTP')[0].decode()}: {answer.status} {answer.body[:200]!r}")


def _version(body: bytes) -> int:
    return int(json.loads(body)["metadata"].get("resourceVersion", 0))


def _requests(server: Server, writer: int) -> Iterator[bytes]:
    """Return writes without end: create one, change it, change one that stays, delete it."""
    step = 0
    while True:
        namespace = ("a", "a-b")[step % 2]
        name = f"writer-{writer}-{step % 10}"
        for base, make in (
            (f"/api/v1/namespaces/{namespace}/configmaps", config_map),
            (f"{CUSTOM}/namespaces/{namespace}/widgets", widget),
        ):
            change = {"metadata": {"annotations": {"example.com/step": str(step)}, "labels": {"step": str(step)}}}
            kept = KEPT[step // 2 % len(KEPT)]
            yield write("POST", base, server.credentials, make(name, step % 2))
            yield write("PATCH", f"{base}/{name}", server.credentials, change)
            yield write("PATCH", f"{base}/{kept}", server.credentials, change)
            yield write("DELETE", f"{base}/{name}", server.credentials)
        step += 1
