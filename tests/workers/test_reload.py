"""SIGHUP from outside: other settings for what begins, nothing dropped of what is under way, all processes alike."""

import asyncio
import os
import pty
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.certificates import Certificates, needs_openssl
from tests.fakes.child import ROOT, Child, environment, serving
from tests.fakes.running import eventually
from tests.fakes.wire import PATIENCE, Client, request
from tests.workers.processes import is_running, workers_of

AGAIN = "kube-restream: settings read again\n"
CUT = SMALL_LIST.index(b",{") + 1
GOOD, GOOD_AT = "restream_config_last_reload_successful", "restream_config_last_reload_success_timestamp_seconds"


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


class Config:
    """A settings file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("mode: streamed")

    def write(self, text: str) -> None:
        """Say something else."""
        self.path.write_text(f"access_log: false\n{text}\n")


async def hang_up(child: Child) -> str:
    """Send SIGHUP; return the line in which the child says what has come of it."""
    child.process.send_signal(signal.SIGHUP)
    assert child.process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        return (await child.process.stderr.readline()).decode()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A settings file."""
    return Config(tmp_path / "proxy.yaml")


@asynccontextmanager
async def configured(upstream: str | None, config: Config, workers: int = 1) -> AsyncIterator[Child]:
    """Run a proxy with a settings file; the upstream is told in a flag, unless the file tells it."""
    async with serving(upstream, "--config", str(config.path), "--workers", str(workers)) as child:
        yield child


async def modes_of(clients: list[Client]) -> set[str]:
    """Ask on each connection; return the ways that the Lists have taken."""
    modes = set()
    for client in clients:
        answer = await client.ask(request())
        assert answer.body == SMALL_LIST
        modes.add(answer.mode.partition(";")[0])
    return modes


@asynccontextmanager
async def connected(child: Child, count: int) -> AsyncIterator[list[Client]]:
    """Open connections."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await Client.connect(*child.address)) for _ in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
async def test_other_settings_for_what_begins(workers: int, config: Config) -> None:
    """A List under way keeps its mode, the next one on the same connections has the new one; the time is told."""
    slow = Slow()
    async with Apiserver() as upstream, configured(upstream.url, config, workers) as child, connected(child, 4) as idle:
        assert await modes_of(idle) == {"streamed"}
        upstream.script = slow
        async with connected(child, 2) as busy:
            for client in busy:
                await client.send(request())
                await client.until(lambda client=client: b'"a"' in client.seen)  # type: ignore[misc]
            before = await child.samples()
            connections = len(upstream.connections)
            config.write("mode: raw")
            assert await hang_up(child) == AGAIN
            slow.go_on.set()
            for client in busy:
                answer = await client.answer()
                assert answer.body == SMALL_LIST
                assert answer.mode.startswith("streamed")
            assert await modes_of([*idle, *busy]) == {"raw"}
            assert len(upstream.connections) == connections  # the way is the same, and so is its pool
        after = await child.samples()
        assert before[GOOD] == after[GOOD] == 1
        assert after[GOOD_AT] > before[GOOD_AT]
        assert await child.stop() == (0, "", "")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mode: fast", "mode: invalid enum value 'fast' (expected one of auto"),
        ("limits: {idle: 1}", "limits.idle: unknown setting"),
        ("mode: [", "{path}: line 3: not YAML"),
        ("upstream_token_file: /nowhere\nidentity: proxy-identity", "upstream_token_file: /nowhere: No such file"),
    ],
)
async def test_a_bad_file_changes_nothing(workers: int, text: str, line: str, config: Config) -> None:
    """One line names what is wrong, the old settings stay in force, a metric tells until the file is mended."""
    async with (
        Apiserver() as upstream,
        configured(upstream.url, config, workers) as child,
        connected(child, 2) as clients,
    ):
        config.write(text)
        told = await hang_up(child)
        assert told.startswith("kube-restream: " + line.format(path=config.path))
        assert told.endswith("; going on with the settings read before\n")
        assert await modes_of(clients) == {"streamed"}
        assert (await child.samples())[GOOD] == 0
        config.write("mode: raw")
        assert await hang_up(child) == AGAIN
        assert await modes_of(clients) == {"raw"}
        assert (await child.samples())[GOOD] == 1
        assert await child.stop() == (0, "", "")


async def test_what_takes_a_restart_is_told(config: Config) -> None:
    """What sockets and processes were made of stays as it is, and is named; the rest is in force."""
    config.write("mode: streamed\ntls: {cert: null}")
    async with Apiserver() as upstream, configured(upstream.url, config) as child, connected(child, 1) as clients:
        config.write("mode: raw\ntls: {cert: a, key: b}")
        assert (
            await hang_up(child) == "kube-restream: settings read again, but for tls: to change that takes a restart\n"
        )
        assert await modes_of(clients) == {"raw"}


@pytest.mark.parametrize("workers", [1, 2])
async def test_another_upstream(workers: int, config: Config) -> None:
    """New requests go to the new address; a List from the old one is finished, then the old pool is closed."""
    slow = Slow()
    async with Apiserver() as old, Apiserver() as new:
        kubeconfig = config.path.with_name("kubeconfig")

        def point_to(upstream: Apiserver) -> None:
            kubeconfig.write_text(
                f"clusters: [{{name: c, cluster: {{server: '{upstream.url}'}}}}]\n"
                "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
            )

        point_to(old)
        config.write(f"kubeconfig: {kubeconfig}")
        async with (
            configured(None, config, workers) as child,
            connected(child, 2) as idle,
            connected(child, 2) as busy,
        ):
            await modes_of([*idle, *busy])
            old.script = slow
            for client in busy:
                await client.send(request())
                await client.until(lambda client=client: client.seen.count(b'"a"') == 2)  # type: ignore[misc]
            point_to(new)
            assert await hang_up(child) == AGAIN
            await modes_of(idle)
            asked = sum(not exchange.is_discovery for exchange in new.exchanges)
            assert asked == 2
            assert old.open_connections
            slow.go_on.set()
            for client in busy:
                assert (await client.answer()).body == SMALL_LIST
            await eventually(lambda: not old.open_connections)
            await modes_of(busy)
            assert len(new.exchanges) == 4
            assert await child.stop() == (0, "", "")


@needs_openssl
async def test_certificates(certificates: Certificates, config: Config) -> None:
    """Another pair at another path is shown from the next handshake on; one that is broken is named, and not used."""
    other = certificates.issue("reloaded", "/CN=reloaded")
    config.write(f"tls: {{cert: {certificates.path('server.crt')}, key: {certificates.path('server.key')}}}")
    async with (
        Apiserver() as upstream,
        configured(upstream.url, config) as child,
        await Client.connect(*child.address, tls=certificates.client()) as before,
    ):
        assert before.peer_name == "server"
        config.write(f"tls: {{cert: {other[0]}, key: {other[1]}}}")
        assert await hang_up(child) == AGAIN
        async with await Client.connect(*child.address, tls=certificates.client()) as after:
            assert after.peer_name == "reloaded"
            assert await modes_of([before, after]) == {"streamed"}
        broken = config.path.with_name("broken.crt")
        broken.write_text("nothing")
        config.write(f"tls: {{cert: {broken}, key: {other[1]}}}")
        assert (await hang_up(child)).startswith(f"kube-restream: tls: {broken} and {other[1]} are not a PEM")
        async with await Client.connect(*child.address, tls=certificates.client()) as after:
            assert after.peer_name == "reloaded"


async def test_a_worker_that_cannot(config: Config) -> None:
    """Where one worker cannot read what the supervisor could, all keep what they had."""
    token = config.path.with_name("token")
    async with Apiserver() as upstream, configured(upstream.url, config, 2) as child, connected(child, 4) as clients:
        os.mkfifo(token)
        done = threading.Event()

        def write() -> None:  # a pipe gives each of its readers something else: the first one a token, others nothing
            text = "secret"
            while not done.is_set():
                token.write_text(text)
                text = ""

        writer = threading.Thread(target=write)
        writer.start()
        try:
            config.write(f"mode: raw\nidentity: proxy-identity\nupstream_token_file: {token}")
            told = await hang_up(child)
        finally:
            done.set()
            last_reader = os.open(token, os.O_RDONLY | os.O_NONBLOCK)
            writer.join()
            os.close(last_reader)
        assert told.startswith("kube-restream: worker ")
        assert "upstream_token_file: not a token" in told
        assert await modes_of(clients) == {"streamed"}
        assert await child.stop() == (0, "", "")


async def test_a_worker_that_comes_later(config: Config) -> None:
    """One that replaces another begins with the settings that are in force by then; SIGHUP tells a worker nothing."""
    async with Apiserver() as upstream, configured(upstream.url, config, 2) as child:
        config.write("mode: raw")
        assert await hang_up(child) == AGAIN
        workers = workers_of(child.process.pid)
        os.kill(workers[1], signal.SIGHUP)
        os.kill(workers[0], signal.SIGKILL)
        assert child.process.stderr is not None
        assert b"worker 0" in await child.process.stderr.readline()
        await eventually(lambda: len(workers_of(child.process.pid)) == 2)
        while (await child.ask_admin("/readyz")).status != 200:
            pass
        assert is_running(workers[1])
        async with connected(child, 4) as clients:
            assert await modes_of(clients) == {"raw"}


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_terminal_that_has_gone(workers: str) -> None:
    """SIGHUP ends a proxy whose terminal was closed, and reads the settings again while that is there."""
    ours, theirs = pty.openpty()
    arguments = (
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--upstream",
        "http://127.0.0.1:1",
        "--no-access-log",
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "serve", *arguments, "--workers", workers),
        cwd=ROOT,
        env=environment(),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert (await process.stdout.readline()).startswith(b"kube-restream ready")
            process.send_signal(signal.SIGHUP)
            assert (await process.stderr.readline()).decode() == AGAIN
            os.close(ours)
            process.send_signal(signal.SIGHUP)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
