"""One worker: the engine of a process of its own, fed with connections by a supervisor."""

import asyncio
import socket
import sys
from collections.abc import Coroutine

import msgspec

from proxy import process
from proxy.accesslog import apart
from proxy.engine import Engine, Generation
from proxy.settings import Settings, SettingsError
from proxy.workers.channel import Channel
from proxy.workers.merging import families_of
from proxy.workers.messages import (
    Adopt,
    Begin,
    Count,
    Counted,
    Drain,
    Leave,
    Load,
    Order,
    Prepare,
    Probe,
    Probed,
    Ready,
    Refused,
    Settled,
    Use,
)

LAST_WORD_SECONDS = 2.0
REFUSED, FINE = 2, 0


async def work(sock: socket.socket) -> int:
    """Work until told to drain, or until the supervisor has gone; return the exit code."""
    process.keep_freed_memory()
    return await Worker(sock).run()


class Worker:
    """What the supervisor's orders mean here."""

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel: Channel[Order] = Channel(sock, msgspec.msgpack.Decoder(Order), self._obey, self._leave)
        self._begun: asyncio.Future[Settings | None] = self._loop.create_future()
        self._leaving = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._adopted = 0
        self._tells_load = False
        self._engine: Engine
        self._prepared: Generation

    async def run(self) -> int:
        """Serve from the first order to the last."""
        settings = await self._begun
        if settings is None:
            return FINE
        try:
            self._engine = engine = Engine(settings, apart(sys.stderr.buffer))
        except SettingsError as error:
            self._channel.send(Refused(str(error)))
            return REFUSED
        engine.listener.tell_losses(self._tell_load_soon)
        process.freeze_objects()
        self._channel.send(Ready())
        await self._leaving.wait()
        await engine.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._count()
        await self._channel.flush(LAST_WORD_SECONDS)
        self._channel.close()
        return FINE

    def _obey(self, order: Order) -> None:
        match order:
            case Begin(settings):
                self._begun.set_result(settings)
            case Adopt():
                self._adopt(self._channel.take_socket())
            case Count():
                self._count()
            case Probe():
                self._start(self._probe())
            case Prepare(number, settings):
                self._prepare(number, settings)
            case Use(number):
                self._engine.use(self._prepared)
                self._channel.send(Settled(number, ""))
            case Leave():
                self._engine.leave()
            case Drain():
                self._leave()

    def _leave(self) -> None:
        """Drain, told so or because there is nobody left to tell: a supervisor that was killed."""
        if not self._begun.done():
            self._begun.set_result(None)
        self._leaving.set()

    def _start(self, coroutine: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _adopt(self, sock: socket.socket | None) -> None:
        self._adopted += 1
        if sock is None:
            self._tell_load_soon()
        else:
            self._engine.listener.adopt(sock)

    async def _probe(self) -> None:
        self._channel.send(Probed(await self._engine.problem()))

    def _prepare(self, number: int, settings: Settings) -> None:
        problem = ""
        try:
            self._prepared = self._engine.prepare(settings)
        except SettingsError as error:
            problem = str(error)
        self._channel.send(Settled(number, problem))

    def _count(self) -> None:
        self._channel.send(Counted(families_of(self._engine.metrics.registry.collect())))

    def _tell_load_soon(self) -> None:
        """Tell once for all that happens in this turn of the loop."""
        if not self._tells_load:
            self._tells_load = True
            self._loop.call_soon(self._tell_load)

    def _tell_load(self) -> None:
        self._tells_load = False
        self._channel.send(Load(self._adopted, self._engine.listener.open_connections))
