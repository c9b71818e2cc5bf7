"""The command line of the backend."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from proxy.backend import command

MAIN = (
    "import argparse, sys; from proxy.backend import command; parser = argparse.ArgumentParser(); "
    "command.add_arguments(parser); sys.exit(command.run(parser.parse_args()))"
)
MIB = 1 << 20
READY = "kube-restream backend ready on "


@asynccontextmanager
async def backend(*flags: str) -> AsyncIterator[tuple[Process, str]]:
    """Start the command on a free port, and stop it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "--listen", "127.0.0.1:0", *flags, stdout=PIPE, stderr=PIPE
    )
    assert child.stdout is not None
    try:
        line = (await child.stdout.readline()).decode()
        assert line.startswith(READY), line
        yield child, line.removeprefix(READY).strip()
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0
        assert await child.stdout.read() == b""
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


def peak_bytes(child: Process) -> int:
    """Return the peak of a child's resident memory."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


async def drain(url: str) -> int:
    """Read a List and count its bytes."""
    size = 0
    headers = {"Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        assert response.status == 200
        async for part in response.content.iter_any():
            size += len(part)
    return size


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads VmHWM")
@pytest.mark.parametrize("flags", [("--pods", "24000"), ("--secrets", "60", "--secret-size", "1MiB")])
async def test_a_streamed_list_is_never_held(flags: tuple[str, ...]) -> None:
    """A List of 60 MB costs a few MB."""
    path = "pods" if flags[0] == "--pods" else "secrets"
    async with backend(*flags) as (child, url):
        idle = peak_bytes(child)
        assert await drain(f"{url}/api/v1/{path}") > 59_000_000
        assert peak_bytes(child) - idle < 24 * MIB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads VmHWM")
async def test_a_whole_list_is_held_once() -> None:
    """The peak is the body, not a multiple of it."""
    async with backend("--pods", "24000", "--encoder", "whole") as (child, url):
        idle = peak_bytes(child)
        size = await drain(f"{url}/api/v1/pods")
        assert size * 0.9 < peak_bytes(child) - idle < size * 1.3


async def test_churn_writes_in_the_background() -> None:
    """A watch sees more than the ten pods that were there."""
    async with (
        backend("--pods", "10", "--churn", "100") as (_, url),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/v1/pods?watch=1") as response,
    ):
        for _ in range(15):
            assert await response.content.readline()


async def test_long_requests_are_taken() -> None:
    """Headers of half a megabyte work, as they do with a real apiserver."""
    headers = {"X-Long": "x" * 500_000}
    async with (
        backend() as (_, url),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/v1/nodes", headers=headers) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize("flags", [("--tls-cert", "none.pem"), ("--tls-cert", "none.pem", "--tls-key", "none.pem")])
def test_unusable_certificates_are_refused(flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line."""
    assert command.run(parse(*flags)) == 2
    assert capsys.readouterr().err.startswith("kube-restream backend: --tls-cert, --tls-key: ")


def parse(*flags: str) -> argparse.Namespace:
    """Parse flags as the command does."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(flags)


@pytest.mark.parametrize(
    "flags",
    [("--pods", "-1"), ("--namespaces", "0"), ("--listen", "8080"), ("--listen", "x:99999"), ("--encoder", "other"),
     ("--secret-size", "1MB"), ("--log-interval-seconds", "0"), ("--log-interval-seconds", "nan")],
)  # fmt: skip
def test_bad_flags_are_usage_errors(flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a message that names the flag."""
    with pytest.raises(SystemExit) as caught:
        parse(*flags)
    assert caught.value.code == 2
    assert flags[0] in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("2500", 2500), ("20KiB", 20480), ("1MiB", MIB), ("2gib", 2 << 30)])
def test_sizes_are_plain_or_binary(text: str, size: int) -> None:
    """A size is bytes, KiB, MiB or GiB."""
    assert command.size(text) == size
