"""A rolling restart of two proxies behind a Service, under load: no request fails, and every List is exact."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.fakes.apiserver import JSON_LINES, Apiserver, Exchange, chunk, response
from tests.fakes.child import Child, serving
from tests.fakes.wire import Answer, Client, request
from tests.workers.service import Service

WATCH = b"/api/v1/pods?watch=1"
EVENT = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}\n'
ITEMS = [b'{"metadata":{"name":"pod-%d"},"spec":"%s"}' % (number, b"x" * 500) for number in range(200)]
LIST = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[' + b",".join(ITEMS) + b"]}\n"


async def answer(exchange: Exchange) -> None:
    """Answer a List in three parts that take a while, or a watch that never ends."""
    await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
    if exchange.target == WATCH:
        await exchange.send(chunk(EVENT))
        await exchange.wait_closed()
        return
    third = len(LIST) // 3
    for part in (LIST[:third], LIST[third : 2 * third], LIST[2 * third :]):
        await exchange.send(chunk(part))
        await asyncio.sleep(0.005)  # so that some are always under way
    await exchange.send(b"0\r\n\r\n")


class Load:
    """Clients that ask again and again, as plain ones do: nothing is ever retried."""

    def __init__(self, service: Service) -> None:
        self.lists = self.watches = 0
        self.failures: list[str] = []
        self._service = service
        self._is_over = False
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Begin: half of the Lists on connections of their own, half on ones that are kept; and watches."""
        clients = [*(self._list(keeps=number % 2 == 0) for number in range(8)), *(self._watch() for _ in range(4))]
        self._tasks = [asyncio.ensure_future(client) for client in clients]

    async def end(self) -> None:
        """Let Lists that are under way finish."""
        self._is_over = True
        lists, watches = self._tasks[:8], self._tasks[8:]
        await asyncio.gather(*lists)
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    async def _list(self, *, keeps: bool) -> None:
        client: Client | None = None
        while not self._is_over:
            client = client or await Client.connect(*self._service.address)
            got = await client.ask(request())
            self._judge(got, LIST)
            self.lists += 1
            if not keeps or got.first(b"connection") == b"close" or not got.complete:
                async with client:
                    pass
                client = None
        if client is not None:
            async with client:
                pass

    async def _watch(self) -> None:
        while not self._is_over:
            async with await Client.connect(*self._service.address) as client:
                got = await client.ask(request(WATCH))
                self._judge(got, EVENT)
                self.watches += 1

    def _judge(self, got: Answer, expected: bytes) -> None:
        if got.status != 200 or got.body != expected or not got.complete:
            self.failures.append(f"{got.status} {len(got.body)} of {len(expected)} bytes, reset: {got.was_reset}")


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_list_fails_in_a_rolling_restart(workers: int) -> None:
    """Each of two proxies is replaced under load: Lists are whole, watches end cleanly, the old ones end with 0."""
    arguments = ("--limits-shutdown-delay-seconds", "0.5", "--workers", str(workers), "--no-access-log")
    async with Apiserver(answer) as upstream, Service() as service, AsyncExitStack() as stack:

        async def start() -> Child:
            pod = await stack.enter_async_context(serving(upstream.url, *arguments))
            service.add(pod)
            return pod

        pods = [await start(), await start()]
        await service.until_ready(2)
        load = Load(service)
        load.begin()
        for pod in pods:
            await start()
            await service.until_ready(3)
            assert await pod.stop() == (0, "", "")
            assert await service.until_gone(pod) > 10
        await load.end()
        assert load.failures == []
        assert load.lists > 100
        assert load.watches >= 4  # all that began with the first two proxies have ended
