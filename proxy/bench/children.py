"""Child processes that say when they are ready, and that live no longer than we do."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.bench.errors import ChildError
from proxy.loading import ENV_PREFIX

READY_SECONDS = 20.0
POLL_SECONDS = 0.02
STOP_SECONDS = 5.0
LAST_LINES = 8

# A child asks the kernel to be told of our death (PR_SET_PDEATHSIG outlives the exec): nothing stays behind, even
# after a SIGKILL. It has a process group of its own, so that a Ctrl-C reaches us alone and we decide what ends when.
# Not a session: Linux schedules those against each other (autogroup), and processes that hand data from one to the
# next then took 1.6 times the CPU.
LEASH = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execvp(sys.argv[1], sys.argv[1:])"


class Child:
    """A running process and what it has printed."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def output(self) -> str:
        """Return everything printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raise ChildError if it has died."""
        if self.is_alive:
            return
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise ChildError(f"{self.name} {how}{self._last_words()}")

    async def line(self, pattern: re.Pattern[str], seconds: float = READY_SECONDS) -> re.Match[str]:
        """Wait for a line that tells that it is ready. Raises ChildError."""
        deadline = time.monotonic() + seconds
        while not (match := pattern.search(self.output())):
            self.check()
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} was not ready within {seconds:g} s{self._last_words()}")
            await asyncio.sleep(POLL_SECONDS)
        return match

    async def finished(self, seconds: float) -> int:
        """Wait for its end and return the exit code. Raises ChildError where it takes too long."""
        deadline = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} took more than {seconds:g} s{self._last_words()}")
            await asyncio.sleep(POLL_SECONDS)
        return self.process.returncode

    def stop(self) -> None:
        """End it, politely first, and wait until it is gone."""
        if self.is_alive:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def _last_words(self) -> str:
        lines = self.output().rstrip().splitlines()[-LAST_LINES:]
        return "".join(f"\n    {line}" for line in lines) if lines else " and printed nothing"


class Children:
    """All children of a command: a context manager that leaves none behind."""

    def __init__(self) -> None:
        self._running: list[Child] = []
        self._directory = tempfile.TemporaryDirectory(prefix="kube-restream-")
        self.directory = Path(self._directory.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Without an await: a second Ctrl-C cannot get in between.
        for child in reversed(self._running.copy()):
            self.stop(child)
        self._directory.cleanup()

    def start(self, name: str, *command: str) -> Child:
        """Start a command, without the settings of a proxy that our own environment may hold."""
        log = self.directory / f"{len(list(self.directory.iterdir()))}-{name.replace(' ', '-')}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", LEASH, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)},
                process_group=0,
            )
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def stop(self, child: Child) -> None:
        """End one of them before the others."""
        child.stop()
        self._running.remove(child)

    def check(self) -> None:
        """Raise ChildError if any has died."""
        for child in self._running:
            child.check()
