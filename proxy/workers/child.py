"""One worker as the supervisor sees it: a process, the channel to it, and what it has told."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.settings import Settings, SettingsError
from proxy.workers.asking import Question
from proxy.workers.channel import Channel
from proxy.workers.merging import Family
from proxy.workers.messages import (
    Adopt,
    Begin,
    Count,
    Counted,
    Drain,
    Leave,
    Load,
    Prepare,
    Probe,
    Probed,
    Ready,
    Refused,
    Report,
    Settled,
    Use,
)

EXIT_SECONDS = 5.0
"""How long a process may take to end that has closed its channel."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartError(Exception):
    """A worker did not come up, through no fault of the settings: one line for the user."""


class Child:
    """A worker process. `has_room` is called when a connection can be handed over that could not be before."""

    def __init__(self, number: int, settings: Settings, has_room: Callable[[], None]) -> None:
        """Start the process. Raises OSError."""
        loop = asyncio.get_running_loop()
        self.number = number
        self.families: list[Family] = []
        self.ended: asyncio.Task[str]
        self.lived_seconds = 0.0
        self._has_room = has_room
        self._born_at = loop.time()
        self._is_ready = False
        self._handed = 0
        self._load = Load(0, 0)
        self._problem = ""
        self._orders = 0
        self._settled: asyncio.Future[str | None] = loop.create_future()
        self._started: asyncio.Future[None] = loop.create_future()
        self._gone = asyncio.Event()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _spawn(number, theirs.fileno())
            except OSError:
                ours.close()
                raise
        self._channel: Channel[Report] = Channel(
            ours, msgspec.msgpack.Decoder(Report), self._hear, self._gone.set, has_room
        )
        self._counted = Question[list[Family]](lambda: self._channel.send(Count()))
        self._probed = Question[str](lambda: self._channel.send(Probe()))
        self._channel.send(Begin(settings))
        self.ended = loop.create_task(self._end())

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it is up."""
        return self._is_ready

    @property
    def load(self) -> int:
        """How many connections it has, with those that it has not seen yet."""
        return self._handed - self._load.adopted + self._load.open

    async def started(self) -> None:
        """Wait until it is up. Raises SettingsError, and StartError where it has ended before."""
        await asyncio.shield(self._started)

    # --- orders and questions -----------------------------------------------------------------------------------------

    def hand_over(self, sock: socket.socket) -> bool:
        """Give it a copy of a connection's socket; False where it cannot be given any now."""
        if not self._is_ready or not self._channel.hand_over(Adopt(), sock):
            return False
        self._handed += 1
        return True

    async def count(self, seconds: float) -> bool:
        """Ask for its samples, which are in `families` then; False where there is no answer in time."""
        return self._is_ready and await self._counted.within(seconds) is not None

    async def problem(self, seconds: float) -> str:
        """Return what keeps it from answering requests, nothing if all is well."""
        if not self._is_ready:
            return "not up"
        answer = await self._probed.within(seconds)
        return f"no answer within {seconds:g} s" if answer is None else answer

    def silent_seconds(self) -> float:
        """Ask for a sign of life; return for how long none has come."""
        if self._is_ready:
            self._counted.ask()
        return self._counted.waiting_seconds

    async def prepare(self, settings: Settings, seconds: float) -> str | None:
        """Have it read what other settings name; return what is wrong with them, nothing if they can be used.

        None stands for no answer in time, or ever.
        """
        self._orders += 1
        return await self._obeyed(Prepare(self._orders, settings), seconds)

    async def use(self, seconds: float) -> None:
        """Have it use what it has prepared; wait until it does."""
        self._orders += 1
        await self._obeyed(Use(self._orders), seconds)

    async def _obeyed(self, order: Prepare | Use, seconds: float) -> str | None:
        self._settled = settled = asyncio.get_running_loop().create_future()
        self._channel.send(order)
        await asyncio.wait([settled], timeout=seconds)
        return settled.result() if settled.done() else None

    def leave(self) -> None:
        """Have it end the connections that it answers on."""
        if self._is_ready:
            self._channel.send(Leave())

    def drain(self) -> None:
        """Have it finish what is under way, and end."""
        self._channel.send(Drain())

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    # --- what it tells ------------------------------------------------------------------------------------------------

    def _hear(self, report: Report) -> None:
        match report:
            case Ready():
                self._is_ready = True
                self._started.set_result(None)
                self._has_room()
            case Refused(problem):
                self._problem = problem
            case Load():
                self._load = report
            case Counted(families):
                self.families = families
                self._counted.answer(families)
            case Probed(problem):
                self._probed.answer(problem)
            case Settled(number, problem):
                if number == self._orders and not self._settled.done():
                    self._settled.set_result(problem)

    async def _end(self) -> str:
        """Wait until it has gone and has been reaped; return how it ended."""
        loop = asyncio.get_running_loop()
        await self._gone.wait()
        self._is_ready = False
        self._counted.answer(None)
        self._probed.answer(None)
        if not self._settled.done():
            self._settled.set_result(None)
        code = await loop.run_in_executor(None, self._reap)
        self.lived_seconds = loop.time() - self._born_at
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if not self._started.done():
            self._started.set_exception(
                SettingsError(self._problem)
                if self._problem
                else StartError(f"worker {self.number} {how} before it was ready")
            )
            self._started.exception()  # whether anybody waits for it or not
        return f"{how} ({self._problem})" if self._problem else how

    def _reap(self) -> int:
        """Wait for the exit code: a process leaves no zombie, and closes its channel only to end."""
        try:
            return self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _spawn(number: int, fd: int) -> "subprocess.Popen[bytes]":
    """Start a fresh interpreter, with our own path: what lies in the working directory is not to be imported.

    It is born with SIGINT, SIGTERM and SIGHUP blocked: terminals and init systems send them to all processes at once,
    but how a worker ends, and what it reads again, is for the supervisor to say. (Hence not the event loop's own way to
    start one: it resets the mask.)
    """
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "proxy.workers", str(number), str(fd)],
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
