"""``serve --workers N`` from outside: connections spread, metrics add up, nobody is harmed by a worker that dies."""

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.apiserver import SMALL_LIST, Apiserver, response
from tests.fakes.certificates import Certificates, needs_openssl
from tests.fakes.child import Child, environment, serving
from tests.fakes.running import eventually
from tests.fakes.wire import Client, request
from tests.workers.processes import connections_of, is_running, memory_of, workers_of

PODS = "restream_requests_total code=200 group= mode=streamed reason=streaming_encoder resource=pods verb=list"
PER_PROCESS = (
    *("process_", "python_gc_", "restream_resident_memory_peak_bytes"),
    *("restream_upstream_up", "restream_upstream_breaker_open"),
)
LISTS = "restream_items_total group= mode=streamed resource=pods"


@asynccontextmanager
async def connected(child: Child, count: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[list[Client]]:
    """Open connections, one after the other, each of which is answered."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await stack.enter_async_context(await Client.connect(*child.address, tls=tls))
            assert (await client.ask(request())).body == SMALL_LIST
            clients.append(client)
        yield clients


async def close(clients: list[Client]) -> None:
    """Close connections before their time."""
    for client in clients:
        async with client:
            pass


def spread(child: Child) -> list[int]:
    """Return how many connections each worker has, as the system sees it."""
    workers = workers_of(child.process.pid)
    return [connections_of(workers[number], child.address[1]) for number in sorted(workers)]


@pytest.mark.parametrize("count", [2, 3])
async def test_connections_are_spread_evenly(count: int) -> None:
    """Twenty connections differ by one at most from worker to worker; new ones go where others have gone."""
    async with (
        Apiserver() as upstream,
        serving(upstream.url, "--workers", str(count)) as child,
        connected(child, 20) as clients,
    ):
        assert len(workers_of(child.process.pid)) == count
        assert sum(spread(child)) == 20
        assert max(spread(child)) - min(spread(child)) <= 1
        samples = await child.samples()
        told = [samples[f"restream_worker_connections worker={number}"] for number in range(count)]
        assert told == spread(child)
        of_one = clients[::count]
        await close(of_one)
        await eventually(lambda: sum(spread(child)) == 20 - len(of_one))
        assert spread(child)[0] == 0
        async with connected(child, len(of_one)):
            assert max(spread(child)) - min(spread(child)) <= 1


async def test_metrics_are_those_of_one_process() -> None:
    """What workers count adds up under the names and labels that one process has; memory is told for every process."""
    async with (
        Apiserver() as upstream,
        serving(upstream.url, "--workers", "2") as child,
        serving(upstream.url) as alone,
        connected(child, 4) as clients,
    ):
        for client in clients:
            await client.ask(request("/api/v1/pods/x"))
        await asyncio.gather(*(alone.ask(request(target)) for target in ["/api/v1/pods"] * 4 + ["/api/v1/pods/x"] * 4))
        check_exposition((await child.ask_admin("/metrics")).body.decode())
        samples = await child.samples()
        assert samples[PODS] == 4
        assert samples[LISTS] == 8
        assert samples["restream_response_bytes_count mode=raw verb=get"] == 4
        assert samples["restream_response_bytes_bucket le=+Inf mode=streamed verb=list"] == 4
        assert samples["restream_item_bytes_sum mode=streamed"] == 8 * len(b'{"metadata":{"name":"a"}}')
        of_one = {name for name in await alone.samples() if not name.startswith(PER_PROCESS)}
        assert {name for name in samples if "worker=" not in name} == of_one | {"restream_worker_restarts_total"}
        check_processes(child, samples)


def check_processes(child: Child, samples: dict[str, float]) -> None:
    """Check that what is told of each process is so."""
    processes = {str(number): pid for number, pid in workers_of(child.process.pid).items()}
    for label, pid in {**processes, "supervisor": child.process.pid}.items():
        resident = samples[f"process_resident_memory_bytes worker={label}"]
        assert abs(resident - memory_of(pid, "VmRSS")) < 4 << 20
        peak = samples[f"restream_resident_memory_peak_bytes worker={label}"]
        assert resident <= peak <= memory_of(pid, "VmHWM")
        assert f"python_gc_collections_total generation=0 worker={label}" in samples


def check_exposition(text: str) -> None:
    """Check that an exposition has each name and each series once, and that Prometheus' own tool accepts it."""
    names = [family.name for family in text_string_to_metric_families(text)]
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert len(series) == len(set(series))
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "metrics"], check=False, input=text, text=True, capture_output=True)
        assert done.returncode in (0, 3), done.stdout + done.stderr  # 3 is for taste
        assert "error while linting" not in done.stderr


async def ask_on(client: Client, stop: asyncio.Event) -> int:
    """Ask until told to stop; return how many answers there were."""
    answers = 0
    while not stop.is_set():
        assert (await client.ask(request())).body == SMALL_LIST
        answers += 1
    return answers


async def test_a_worker_that_is_killed_harms_nobody_else() -> None:
    """Under load one worker is killed: the other's clients do not notice, it is replaced, and no counter goes down."""
    async with (
        Apiserver() as upstream,
        serving(upstream.url, "--workers", "2", "--no-access-log") as child,
        connected(child, 6) as clients,
    ):
        before = workers_of(child.process.pid)
        stop = asyncio.Event()
        lucky = [asyncio.ensure_future(ask_on(client, stop)) for client in clients[1::2]]
        counted = [(await child.samples())[PODS]]
        os.kill(before[0], signal.SIGKILL)
        for client in clients[::2]:
            await client.until(lambda client=client: client.has_ended)  # type: ignore[misc]  # mypy cannot type it
        samples: dict[str, float] = {}
        while not samples.get("restream_worker_restarts_total") or not samples["restream_worker_up worker=0"]:
            samples = await child.samples()
            counted.append(samples[PODS])
        assert counted == sorted(counted)
        assert samples["restream_worker_restarts_total"] == 1
        assert samples["restream_worker_up worker=1"] == 1
        after = workers_of(child.process.pid)
        assert after[1] == before[1]
        assert after[0] != before[0]
        async with connected(child, 3) as more:
            assert spread(child) == [3, 3]
            stop.set()
            asked = sum(await asyncio.gather(*lucky)) + len(clients) + len(more)
            assert (await child.samples())[PODS] == asked
        assert not is_running(before[0])
        expected = f"kube-restream: worker 0 (pid {before[0]}) was killed by SIGKILL; another starts now\n"
        assert await child.stop() == (0, "", expected)


async def test_readiness_tells_what_each_worker_says() -> None:
    """Where the upstream does not answer as it should, /readyz says so for each worker."""
    async with Apiserver() as upstream, serving(upstream.url, "--workers", "2") as child:
        assert (await child.ask_admin("/readyz")).body == b"ok\n"
        upstream.version = response(status=b"503 Service Unavailable")
        answer = await child.ask_admin("/readyz")
        problem = "the upstream answered 503"
        assert (answer.status, answer.body.decode()) == (503, f"worker 0: {problem}; worker 1: {problem}\n")


@needs_openssl
async def test_tls(certificates: Certificates) -> None:
    """Workers shake hands themselves; a client that cannot harms nobody and is not counted for ever."""
    tls = ("--tls-cert", certificates.path("server.crt"), "--tls-key", certificates.path("server.key"))
    async with Apiserver() as upstream, serving(upstream.url, "--workers", "2", *tls) as child:
        assert child.url.startswith("https://")
        for _ in range(3):
            async with await Client.connect(*child.address) as client:
                await client.send(request())
                await client.until(lambda client=client: client.has_ended)  # type: ignore[misc]  # mypy cannot type it
        async with connected(child, 4, tls=certificates.client()):
            assert spread(child) == [2, 2]
            samples = await child.samples()
            assert [samples[f"restream_worker_connections worker={number}"] for number in (0, 1)] == [2, 2]


async def test_every_worker_logs_whole_lines() -> None:
    """The access log of all workers comes out of one standard error, line by line."""
    async with Apiserver() as upstream, serving(upstream.url, "--workers", "2") as child:
        async with connected(child, 4) as clients:
            await asyncio.gather(*(client.ask(request("/api/v1/pods?labelSelector=a")) for client in clients))
        _, _, errors = await child.stop()
        assert len([json.loads(line) for line in errors.splitlines()]) == 8


async def test_what_lies_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    """A worker imports what its supervisor imports, whatever has the same name in the working directory."""
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    program = "import sys; from proxy.cli import main; sys.exit(main())"
    async with Apiserver() as upstream:
        listen = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--upstream", upstream.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-c", program, "serve", "--workers", "2", *listen),
            cwd=tmp_path,
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"kube-restream ready")
        process.terminate()
        assert await process.wait() == 0
