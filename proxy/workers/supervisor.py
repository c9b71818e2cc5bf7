"""Keeps the workers: accepts for them, speaks for them, replaces those that die, and takes them down on a signal."""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import TypeVar

import msgspec
from prometheus_client import Counter, Gauge

from proxy import identity, lifetime, process
from proxy.accesslog import Lines, apart
from proxy.admin import Admin
from proxy.app import listen, scheme
from proxy.core.budget import NOTHING, Budget
from proxy.downstream.acceptor import Acceptor
from proxy.metrics import Metrics
from proxy.reloading import Account, with_what_is_fixed
from proxy.settings import Admission, Limits, Settings, SettingsError
from proxy.workers.child import Child, StartError
from proxy.workers.choosing import LIVED_SECONDS, LONGEST_DELAY, by_load, delay_after
from proxy.workers.merging import LABEL, Family, families_of, merge, render, retire

START_SECONDS = 60.0
"""A worker that is not ready by then hangs on something that the settings name."""

SCRAPE_SECONDS = 2.0
"""How long a scrape waits for a worker; Prometheus gives up after 10 s."""

PROBE_SECONDS = 4.0
"""The same for a probe: above the patience that a worker itself has with the upstream."""

PREPARE_SECONDS = 10.0
"""The same for settings that it is to read."""

SILENT_SECONDS = 30.0
"""A worker that says nothing for so long is as good as one process that hangs: /healthz fails."""

T = TypeVar("T", Admission, Limits)

GRACE_SECONDS = 3.0
"""What workers have beyond `drain_seconds` before they are killed."""


class Supervisor:
    """`count` workers behind one address, in the running event loop. `reread` reads the settings again."""

    def __init__(self, settings: Settings, count: int, reread: Callable[[], Settings]) -> None:
        """Read what the settings name, so that they fail here first. Raises SettingsError."""
        _read_files(settings)
        self._settings = settings
        self._reread = reread
        self._count = count
        self._share = share(settings, count)
        self._notices = Lines(apart(sys.stderr.buffer))
        self._acceptor = Acceptor(self._hand_over, self._tell)
        self._admin = Admin(self)
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._last = -1
        self._gone: list[Family] = []
        self._is_accepting = self._is_draining = False
        self._metrics = Metrics(process.raise_open_files_limit(), Budget(NOTHING))
        registry = self._metrics.registry
        self._up = Gauge("restream_worker_up", "Whether a worker has answered this scrape.", [LABEL], registry=registry)
        self._connections = Gauge(
            "restream_worker_connections", "Open client connections of a worker.", [LABEL], registry=registry
        )
        self._restarts = Counter("restream_worker_restarts", "Workers that died and were replaced.", registry=registry)
        self._account = Account(registry, self._tell)
        self.url = self.admin_url = ""

    async def open(self) -> None:
        """Start both listeners and all workers. Raises SettingsError, and StartError where a worker stays away."""
        settings = self._settings
        try:
            self.admin_url = "http://" + await listen("admin_listen", settings.admin_listen, self._admin.open)
            self.url = scheme(settings) + await listen("listen", settings.listen, self._acceptor.open)
            for number in range(self._count):
                self._children.append(self._start(number))
            await self._started()
        except BaseException:
            await self._give_up()
            raise
        self._is_accepting = True
        self._acceptor.accept()
        loop = asyncio.get_running_loop()
        self._keepers = [loop.create_task(self._keep(number)) for number in range(self._count)]

    def _start(self, number: int) -> Child:
        try:
            return Child(number, self._share, self._accept)
        except OSError as error:
            raise StartError(f"worker {number} cannot be started: {error.strerror or error}") from None

    async def _started(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*(child.started() for child in self._children))
        except TimeoutError:
            missing = ", ".join(str(child.number) for child in self._children if not child.is_ready)
            raise StartError(f"not ready within {START_SECONDS:g} s: worker {missing}") from None

    async def _give_up(self) -> None:
        for child in self._children:
            child.kill()
        await asyncio.gather(*(child.ended for child in self._children))
        self._acceptor.close()
        await self._admin.close()

    # --- connections --------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        """Go on to accept: a worker can take connections again."""
        if self._is_accepting:
            self._acceptor.accept()

    def _hand_over(self, sock: socket.socket) -> bool:
        """Give a connection to the worker with the fewest; those that cannot take it now are passed over."""
        for index in by_load([child.load for child in self._children], self._last):
            if self._children[index].hand_over(sock):
                sock.close()  # it has a copy
                self._last = index
                return True
        return False

    # --- workers that die ---------------------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Replace a worker whenever it has died."""
        deaths = 0
        while True:
            child = self._children[number]
            how = await asyncio.shield(child.ended)
            deaths = deaths + 1 if child.lived_seconds < LIVED_SECONDS else 0
            delay = delay_after(deaths)
            again = f"in {delay:g} s" if delay else "now"
            self._tell(f"worker {number} (pid {child.pid}) {how}; another starts {again}")
            await asyncio.sleep(delay)
            await self._replace(number)

    async def _replace(self, number: int) -> None:
        """Start another one, as soon as the system lets us."""
        while True:
            try:
                child = self._start(number)
                break
            except StartError as error:
                self._tell(str(error))
                await asyncio.sleep(LONGEST_DELAY)
        self._gone = retire(self._gone, self._children[number].families)
        self._children[number] = child
        self._restarts.inc()

    def _tell(self, text: str) -> None:
        self._notices.write(f"kube-restream: {text}".encode())

    # --- what the admin listener tells --------------------------------------------------------------------------------

    async def exposition(self) -> bytes:
        """Return the metrics of all processes as those of one; a worker that does not answer is as it was last."""
        children = list(self._children)
        answered = await asyncio.gather(*(child.count(SCRAPE_SECONDS) for child in children))
        answering = {child for child, has_answered in zip(children, answered, strict=True) if has_answered}
        processes: dict[str, list[Family]] = {"supervisor": []}
        for child in self._children:
            label = str(child.number)
            self._up.labels(label).set(child in answering and child.is_ready)
            self._connections.labels(label).set(child.load if child.is_ready else 0)
            processes[label] = child.families if child.is_ready else retire([], child.families)
        processes["supervisor"] = families_of(self._metrics.registry.collect())
        return render(merge(processes, self._gone))

    async def problem(self) -> str:
        """Return what keeps the proxy from being ready, worker by worker; nothing if it is."""
        if self._is_draining:
            return "draining"
        if not self._is_accepting:
            return "starting"
        children = list(self._children)
        problems = await asyncio.gather(*(child.problem(PROBE_SECONDS) for child in children))
        pairs = zip(children, problems, strict=True)
        return "; ".join(f"worker {child.number}: {problem}" for child, problem in pairs if problem)

    def fault(self) -> str:
        """Return which workers have been silent for too long, nothing if none has."""
        silent = [child.number for child in self._children if child.silent_seconds() > SILENT_SECONDS]
        return "; ".join(f"worker {number}: silent for {SILENT_SECONDS:g} s" for number in silent)

    # --- other settings -----------------------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the settings again, and have all workers use them, or none of them where one could not."""
        try:
            settings, kept = with_what_is_fixed(self._settings, self._reread())
            _read_files(settings)
            shared = share(settings, self._count)
            prepared = await self._prepare(shared)
        except SettingsError as error:
            self._account.note_failure(error)
            return
        self._settings, self._share = settings, shared
        for child in set(self._children) - prepared:
            child.kill()  # it starts with the old ones, and has no connection yet
        await asyncio.gather(*(child.use(PREPARE_SECONDS) for child in prepared))
        self._account.note(kept)

    async def _prepare(self, settings: Settings) -> set[Child]:
        """Have every worker that is up read what the settings name. Raises SettingsError where one cannot."""
        prepared: set[Child] = set()
        while asked := [child for child in self._children if child.is_ready and child not in prepared]:
            problems = await asyncio.gather(*(child.prepare(settings, PREPARE_SECONDS) for child in asked))
            for child, problem in zip(asked, problems, strict=True):
                if problem is None and child.is_ready:
                    raise SettingsError(f"worker {child.number}: no answer within {PREPARE_SECONDS:g} s")
                if problem:
                    raise SettingsError(f"worker {child.number}: {problem}")
            prepared.update(asked)
        return prepared

    # --- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Drain: be not ready, so that no more connections come; then let all workers finish what is under way.

        What they have not finished in time is ended.
        """
        self._is_draining = True
        for child in self._children:
            child.leave()
        limits = self._settings.limits
        await asyncio.sleep(limits.shutdown_delay_seconds)
        self._stop()
        for child in self._children:
            child.drain()
        await asyncio.wait([child.ended for child in self._children], timeout=limits.drain_seconds + GRACE_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """End all workers at once."""
        self._stop()
        for child in self._children:
            child.kill()
        await asyncio.gather(*(child.ended for child in self._children), *self._keepers, return_exceptions=True)
        await self._admin.close()

    def _stop(self) -> None:
        """Accept no more, and replace no more."""
        self._is_accepting = False
        self._acceptor.close()
        for keeper in self._keepers:
            keeper.cancel()


def _read_files(settings: Settings) -> None:
    """Read what the settings name, for nothing but the errors. Raises SettingsError."""
    identity.establish(settings)
    identity.listener_tls(settings.tls)


def share(settings: Settings, count: int) -> Settings:
    """Return the settings of one of `count` workers: what is for all Lists together is divided."""
    budget = process.memory_budget(count) if settings.memory_budget == "auto" else settings.memory_budget

    def divided(section: T, names: tuple[str, ...]) -> T:
        return msgspec.structs.replace(section, **{name: -(-getattr(section, name) // count) for name in names})

    return msgspec.structs.replace(
        settings,
        memory_budget=budget // count,
        admission=divided(settings.admission, ("queue_length", "client_lists", "resource_lists")),
        limits=divided(settings.limits, ("connections", "client_connections", "large_heads_bytes", "uploads_bytes")),
    )


async def serve(settings: Settings, count: int, reread: Callable[[], Settings]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Raises SettingsError and StartError before it is ready."""
    supervisor = Supervisor(settings, count, reread)
    await supervisor.open()
    return await lifetime.live(supervisor, supervisor.url, supervisor.admin_url)
