"""The supervisor in the test's own event loop, with less patience than in life; its workers are real processes."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from proxy.process import memory_budget
from proxy.settings import Admission
from proxy.workers import supervisor
from proxy.workers.child import StartError
from proxy.workers.supervisor import Supervisor, share
from tests.fakes.apiserver import SMALL_LIST, Apiserver
from tests.fakes.child import samples_in
from tests.fakes.running import settings_for
from tests.fakes.wire import Answer, Client, request
from tests.workers.processes import workers_of
from tests.workers.test_workers import PODS


@asynccontextmanager
async def supervising(upstream: str, count: int) -> AsyncIterator[Supervisor]:
    """Run a supervisor with its workers."""
    settings = settings_for(upstream)
    one = Supervisor(settings, count, lambda: settings)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def connect(url: str) -> Client:
    """Connect to a listener."""
    parts = urlsplit(url)
    return await Client.connect(str(parts.hostname), int(parts.port or 0))


async def ask_admin(one: Supervisor, path: str) -> Answer:
    """Ask the admin listener."""
    async with await connect(one.admin_url) as client:
        return await client.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


async def scrape(one: Supervisor) -> dict[str, float]:
    """Return all samples."""
    return samples_in((await ask_admin(one, "/metrics")).body.decode())


async def test_a_worker_that_hangs_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape does without a worker that does not answer, the probes name it; all is as before when it goes on."""
    monkeypatch.setattr(supervisor, "SCRAPE_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 0.1)
    async with (
        Apiserver() as upstream,
        supervising(upstream.url, 2) as one,
        await connect(one.url) as lucky,
        await connect(one.url) as unlucky,
    ):
        for client in (lucky, unlucky):
            assert (await client.ask(request())).body == SMALL_LIST
        monkeypatch.setattr(supervisor, "SCRAPE_SECONDS", 20)
        before = await scrape(one)
        monkeypatch.setattr(supervisor, "SCRAPE_SECONDS", 0.1)
        worker = workers_of(os.getpid())[1]
        os.kill(worker, signal.SIGSTOP)
        try:
            assert (await lucky.ask(request())).body == SMALL_LIST
            while (during := await scrape(one))[PODS] == before[PODS]:  # the other one may be late on a busy machine
                pass
            ready, health = await ask_admin(one, "/readyz"), await ask_admin(one, "/healthz")
        finally:
            os.kill(worker, signal.SIGCONT)
        assert during[PODS] == before[PODS] + 1
        assert during["restream_worker_up worker=1"] == 0
        assert during["process_resident_memory_bytes worker=1"] > 0
        assert (ready.status, health.status) == (503, 503)
        assert "worker 1: no answer within 0.1 s" in ready.body.decode()
        assert "worker 1: silent for 0.1 s" in health.body.decode()
        for name in ("SCRAPE_SECONDS", "PROBE_SECONDS", "SILENT_SECONDS"):
            monkeypatch.setattr(supervisor, name, 20)
        assert (await scrape(one))["restream_worker_up worker=1"] == 1
        assert (await ask_admin(one, "/readyz")).status == 200
        assert (await ask_admin(one, "/healthz")).status == 200
        assert (await unlucky.ask(request())).body == SMALL_LIST


async def test_a_worker_that_reads_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections than the channel to a worker that hangs can take go to the others, and none is lost."""
    monkeypatch.setattr(supervisor, "by_load", lambda loads, _: [1, 0])
    async with Apiserver() as upstream, supervising(upstream.url, 2) as one:
        worker = workers_of(os.getpid())[1]
        os.kill(worker, signal.SIGSTOP)
        async with AsyncExitStack() as stack:
            clients: list[Client] = []
            try:
                while not upstream.exchanges:
                    clients.append(client := await stack.enter_async_context(await connect(one.url)))
                    await client.send(request())
            finally:
                os.kill(worker, signal.SIGCONT)
            assert len(clients) > 10
            for client in clients:
                assert (await client.answer()).body == SMALL_LIST


async def test_a_worker_that_hangs_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that are not ready in time are named, and none is left."""
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.001)
    settings = settings_for("http://127.0.0.1:1")
    one = Supervisor(settings, 2, lambda: settings)
    with pytest.raises(StartError, match=r"^not ready within 0\.001 s: worker 0, 1$"):
        await one.open()
    assert not workers_of(os.getpid())


def test_budgets_are_divided() -> None:
    """What is for all Lists together is divided by the number of workers, and is never nothing."""
    settings = settings_for("http://x", memory_budget=90 << 20, admission=Admission(queue_length=100, client_lists=4))
    one = share(settings, 3)
    assert one.memory_budget == 30 << 20
    assert one.admission == Admission(queue_length=34, client_lists=2)
    assert share(settings, 1) == settings
    assert share(settings_for("http://x"), 2).memory_budget == memory_budget(2) // 2
