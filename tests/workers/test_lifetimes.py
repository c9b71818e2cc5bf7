"""``serve --workers N`` begins as a whole and ends as a whole."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.child import Child, run, serving, start
from tests.fakes.running import eventually
from tests.fakes.wire import Client, request
from tests.test_cli import accepts
from tests.workers.processes import children_of, is_running, workers_of

CUT = SMALL_LIST.index(b",{") + 1


class Slow:
    """A script that sends the first half of a List, and the other one when it may."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        await exchange.send(response(framing="none", lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")]))
        await exchange.send(chunk(SMALL_LIST[:CUT]))
        await self.go_on.wait()
        await exchange.send(chunk(SMALL_LIST[CUT:]) + b"0\r\n\r\n")


@asynccontextmanager
async def beginning(child: Child, count: int) -> AsyncIterator[list[Client]]:
    """Open connections and let a List begin on each."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await Client.connect(*child.address)) for _ in range(count)]
        for client in clients:
            await client.send(request())
            await client.until(lambda client=client: b'"a"' in client.seen)  # type: ignore[misc]  # mypy cannot type it
        yield clients


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_all_workers_drain(name: signal.Signals) -> None:
    """A signal to all processes, as terminals send it: Lists under way on both workers are finished; it ends with 0."""
    slow = Slow()
    async with (
        Apiserver(slow) as upstream,
        serving(upstream.url, "--workers", "2") as child,
        beginning(child, 4) as clients,
        await Client.connect(*child.address) as idle,
    ):
        workers = workers_of(child.process.pid)
        for pid in [*workers.values(), child.process.pid]:
            os.kill(pid, name)
        await eventually(lambda: not accepts(child.address))
        assert (await child.ask_admin("/readyz")).body == b"draining\n"
        assert (await child.samples())["restream_inflight_requests mode=streamed"] == 4
        await idle.until(lambda: idle.has_ended)
        slow.go_on.set()
        for client in clients:
            answer = await client.answer()
            assert answer.complete
            assert answer.body == SMALL_LIST
        _, errors = await child.process.communicate()
        assert child.process.returncode == 0
        assert len(errors.splitlines()) == 4
        assert not any(map(is_running, workers.values()))


async def test_a_drain_is_bounded_for_all() -> None:
    """Lists that do not end are aborted on every worker when the drain is over, at the same time."""
    slow = Slow()
    arguments = ("--workers", "2", "--limits-drain-seconds", "0.2", "--no-access-log")
    async with (
        Apiserver(slow) as upstream,
        serving(upstream.url, *arguments) as child,
        beginning(child, 4) as clients,
    ):
        assert await child.stop() == (0, "", "")
        for client in clients:
            assert not (await client.answer()).complete
        slow.go_on.set()


async def test_a_second_signal_ends_at_once() -> None:
    """While Lists are under way, the second signal ends every process without waiting for them."""
    slow = Slow()
    async with (
        Apiserver(slow) as upstream,
        serving(upstream.url, "--workers", "2", "--no-access-log") as child,
        beginning(child, 2) as clients,
    ):
        workers = workers_of(child.process.pid)
        child.process.send_signal(signal.SIGTERM)
        await eventually(lambda: not accepts(child.address))
        assert await child.stop() == (128 + signal.SIGTERM, "", "")
        assert not any(map(is_running, workers.values()))
        for client in clients:
            assert not (await client.answer()).complete
        slow.go_on.set()


async def test_workers_whose_supervisor_is_killed() -> None:
    """Without a supervisor workers finish what is under way, and end by themselves."""
    slow = Slow()
    async with (
        Apiserver(slow) as upstream,
        serving(upstream.url, "--workers", "2", "--no-access-log") as child,
        beginning(child, 2) as clients,
        await Client.connect(*child.address) as idle,
    ):
        workers = workers_of(child.process.pid)
        child.process.kill()
        await eventually(lambda: not is_running(child.process.pid))
        await idle.until(lambda: idle.has_ended)
        assert all(map(is_running, workers.values()))
        slow.go_on.set()
        for client in clients:
            assert (await client.answer()).body == SMALL_LIST
        await eventually(lambda: not any(map(is_running, workers.values())))


async def test_bad_settings_end_with_two_before_any_worker_starts(tmp_path: Path) -> None:
    """What the supervisor can see is wrong is one line; so is an address that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        free = ("--admin-listen", "127.0.0.1:0", "--workers", "2", "--upstream", "http://127.0.0.1:1")
        runs = await asyncio.gather(
            run("serve", *free, "--listen", address),
            run("serve", *free, "--listen", "127.0.0.1:0", "--tls-cert", str(tmp_path), "--tls-key", "x"),
        )
    beginnings = [f"listen: cannot listen on {address}: Address already in use", f"tls.cert: {tmp_path}: no such file"]
    for (code, output, errors), beginning in zip(runs, beginnings, strict=True):
        assert (code, output) == (2, "")
        assert errors.startswith(f"kube-restream: {beginning}")
        assert errors.count("\n") == 1


async def test_settings_that_fail_in_a_worker(tmp_path: Path) -> None:
    """A token that the supervisor has read, but no worker can: one line, exit code 2, and no process is left."""
    token = tmp_path / "token"
    os.mkfifo(token)
    # A pipe gives each of its readers something else: the first one a token, the others nothing.
    done = threading.Event()

    def write() -> None:
        text = "secret"
        while not done.is_set():
            token.write_text(text)
            text = ""

    writer = threading.Thread(target=write)
    writer.start()
    try:
        code, output, errors = await run(
            *("serve", "--workers", "2", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"),
            *("--upstream", "http://127.0.0.1:1", "--upstream-token-file", str(token), "--identity", "proxy-identity"),
        )
    finally:
        done.set()
        last_reader = os.open(token, os.O_RDONLY | os.O_NONBLOCK)
        writer.join()
        os.close(last_reader)
    assert (code, output) == (2, "")
    assert errors.startswith("kube-restream: upstream_token_file: not a token")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("victim", ["0", "1"])
async def test_a_worker_that_dies_of_its_start(victim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one worker does not come up, serve fails with one line, and takes the other one down."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys\nif sys.orig_argv[3:5] == ['proxy.workers', '{victim}']:\n    os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    address = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1")
    process = await start("serve", "--workers", "2", *address)
    output, errors = await process.communicate()  # to the end of all that hold its output, workers included
    assert (process.returncode, output) == (1, b"")
    assert errors.decode() == f"kube-restream: worker {victim} ended with exit code 7 before it was ready\n"


async def test_a_worker_that_keeps_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A successor that dies of its start is tried again after a while; meanwhile /readyz says who is missing."""
    broken = tmp_path / "broken"
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys\nif 'proxy.workers' in sys.orig_argv and os.path.exists({str(broken)!r}):\n    os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with Apiserver() as upstream, serving(upstream.url, "--workers", "2", "--no-access-log") as child:
        broken.touch()
        os.kill(workers_of(child.process.pid)[0], signal.SIGKILL)
        assert child.process.stderr is not None
        lines = [(await child.process.stderr.readline()).decode() for _ in range(2)]
        assert "was killed by SIGKILL; another starts now" in lines[0]
        assert "ended with exit code 7; another starts in 0.5 s" in lines[1]
        assert (await child.ask_admin("/readyz")).body == b"worker 0: not up\n"
        assert (await child.ask(request())).body == SMALL_LIST
        broken.unlink()
        while (await child.ask_admin("/readyz")).status != 200:
            pass
        assert (await child.samples())["restream_worker_restarts_total"] == 2
        assert len(children_of(child.process.pid)) == 2
        assert (await child.stop())[0] == 0
