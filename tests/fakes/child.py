"""``python -m proxy serve`` as a child process, for what can only be seen from outside: exit codes, output, memory."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.wire import PATIENCE, Answer, Client

ROOT = Path(__file__).parent.parent.parent
SOFT_LIMIT = 256
"""Soft limit on open files that children start with, to be raised by themselves."""

Process = asyncio.subprocess.Process


def environment() -> dict[str, str]:
    """Return ours without anything that would set a setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RESTREAM_")}


def lower_open_files_limit() -> None:
    """Run in the child before it starts."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


async def start(*arguments: str, module: str = "proxy", **settings: str) -> Process:
    """Start a child with these arguments, and settings in its environment."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        cwd=ROOT,
        env=environment() | {f"RESTREAM_{name.upper()}": value for name, value in settings.items()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lower_open_files_limit,
    )


async def run(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run a child to its end; return its exit code, output and errors."""
    process = await start(*arguments, **settings)
    async with asyncio.timeout(PATIENCE):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


def samples_in(exposition: str) -> dict[str, float]:
    """Return the value of every sample by its name and labels."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


class Child:
    """A proxy in a process of its own that has said it is ready."""

    def __init__(self, process: Process, ready: str) -> None:
        self.process = process
        self.ready = ready
        words = ready.split()
        self.url, self.admin_url = words[3], words[5].strip("()")
        parts, admin = urlsplit(self.url), urlsplit(self.admin_url)
        self.address = str(parts.hostname), int(parts.port or 0)
        self.admin_address = str(admin.hostname), int(admin.port or 0)

    async def ask(self, request: bytes, *, method: str = "GET") -> Answer:
        """Ask once, on a connection of its own."""
        async with await Client.connect(*self.address) as client:
            return await client.ask(request, method=method)

    async def ask_admin(self, path: str) -> Answer:
        """Ask the admin listener."""
        async with await Client.connect(*self.admin_address) as client:
            return await client.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    async def samples(self) -> dict[str, float]:
        """Scrape the child; return the value of every sample by its name and labels."""
        return samples_in((await self.ask_admin("/metrics")).body.decode())

    def peak_bytes(self) -> int:
        """Return the child's VmHWM."""
        return self._memory("VmHWM:")

    def resident_bytes(self) -> int:
        """Return the child's VmRSS."""
        return self._memory("VmRSS:")

    def _memory(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) << 10
        raise AssertionError(f"no {name}")

    async def stop(self, name: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal and wait for the end; return the exit code and what was printed after the ready line."""
        self.process.send_signal(name)
        async with asyncio.timeout(PATIENCE):
            output, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, output.decode(), errors.decode()


@asynccontextmanager
async def serving(
    upstream: str | None, *arguments: str, module: str = "proxy", **settings: str
) -> AsyncIterator[Child]:
    """Run ``serve`` in front of `upstream`, None for that of a file; kill it where the test has not stopped it.

    `module` is a program that takes the same command line.
    """
    own = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *(("--upstream", upstream) if upstream else ()))
    process = await start("serve", *own, *arguments, module=module, **settings)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("kube-restream ready on "), ready
        yield Child(process, ready)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
