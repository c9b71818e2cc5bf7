"""Everything of one process that carries requests, whoever brings it its connections: a listener, or a supervisor."""

import asyncio
from dataclasses import dataclass
from typing import BinaryIO

from proxy import process
from proxy.accesslog import AccessLog, Lines
from proxy.admission import Admission
from proxy.core.weights import Weights
from proxy.downstream.answer import Request
from proxy.downstream.listener import Listener
from proxy.downstream.peer import Introductions
from proxy.handler import Handler
from proxy.metrics import Metrics
from proxy.services import Services
from proxy.settings import Settings
from proxy.tls import Kept, ListenerTLS
from proxy.way import Way

TIDY_SECONDS = 3.0
TIDY_ABOVE = 64 << 20
"""Bytes granted; for less the kernel need not be bothered."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What requests get that begin under one version of the settings, and keep to their end."""

    settings: Settings
    way: Way
    weights: Weights
    tls: Kept | None


class Engine:
    """The data path put together, in the running event loop.

    It knows nothing of the admin listener, so that a worker does not carry aiohttp: 11 MiB of its 43.
    """

    def __init__(self, settings: Settings, log: BinaryIO) -> None:
        """Read what the settings name; `log` is for the access log. Raises SettingsError."""
        self._admission = Admission(settings)
        open_files = process.raise_open_files_limit()
        self.metrics = Metrics(open_files, self._admission.budget)
        self._log, self._silence = AccessLog(log), AccessLog(None)
        self._retiring: set[asyncio.Task[None]] = set()
        self._current: Generation | None = None
        self._current = current = self.prepare(settings)
        self._handler = self._begin(current)
        self._tls = ListenerTLS(settings.tls) if current.tls else None
        context = self._tls.context if self._tls else None
        self.listener = listener = Listener(
            self._handle,
            settings.limits,
            context,
            Introductions(settings.trusted_proxies),
            self.metrics,
            process.most_connections(open_files),
            lambda text: Lines(log).write(f"kube-restream: {text}".encode()),
        )
        self.metrics.connections.set_function(lambda: listener.open_connections)
        self.metrics.head_bytes.set_function(lambda: listener.head_bytes)
        self._loop = asyncio.get_running_loop()
        self._tidying = self._loop.call_later(TIDY_SECONDS, self._tidy)

    def prepare(self, settings: Settings) -> Generation:
        """Read everything that the settings name, without using it. Raises SettingsError.

        What the generation in force has learnt is taken over, and its connections to the upstream where the way there
        is the same.
        """
        way, before = Way(settings), self._current
        tls = ListenerTLS.prepare(settings.tls) if settings.tls.cert else None
        paging = settings.paging
        if before is not None and before.way.leads_as(way):
            way = before.way
        if before is not None and before.settings.paging == paging:
            weights = before.weights
        else:
            weights = Weights(paging.page_bytes, paging.page_items, paging.page_limit_bytes)
        return Generation(settings, way, weights, tls)

    def use(self, generation: Generation) -> None:
        """Let requests and connections that begin from now on have other settings."""
        before, self._current = self._in_force, generation
        self._handler = self._begin(generation)
        self._admission.renew(generation.settings)
        self.listener.renew(generation.settings.limits, Introductions(generation.settings.trusted_proxies))
        if self._tls is not None and generation.tls is not None:
            self._tls.use(generation.tls)
        if generation.way is before.way:
            generation.way.look_at_files()
            return
        retiring = asyncio.get_running_loop().create_task(self._retire(before.way))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    def _begin(self, generation: Generation) -> Handler:
        """Return what handles requests under a generation."""
        settings, way = generation.settings, generation.way
        way.begin(self.metrics)
        services = Services(
            settings, way.identity, way.upstream, way.discovery, generation.weights, self._admission, self.metrics
        )
        return Handler(services, self._log if settings.access_log else self._silence)

    async def _retire(self, way: Way) -> None:
        """Close a way when no request is on it any more."""
        await way.retire()
        self.metrics.forget_addresses(way.labels - self._in_force.way.labels)

    async def _handle(self, request: Request) -> None:
        handler = self._handler
        with self._in_force.way:
            await handler(request)

    @property
    def _in_force(self) -> Generation:
        assert self._current is not None  # noqa: S101 (since it was made)
        return self._current

    async def problem(self) -> str:
        """Return what keeps requests from being answered, nothing if all is well."""
        return "draining" if self.listener.is_leaving else await self._in_force.way.discovery.probe()

    def leave(self) -> None:
        """Be no longer ready; go on as before, but let each answer end its connection."""
        self.listener.leave()

    async def close(self) -> None:
        """Drain: let requests under way finish, then drop the rest."""
        await self.listener.drain(self._in_force.settings.limits.drain_seconds)
        await self._end()

    async def kill(self) -> None:
        """Drop everything."""
        await self.listener.drop()
        await self._end()

    def _tidy(self) -> None:
        """Keep close to what is held what the process takes, as far as it is much."""
        if self._admission.budget.granted > TIDY_ABOVE:
            process.give_back_freed_memory()
        self._tidying = self._loop.call_later(TIDY_SECONDS, self._tidy)

    async def _end(self) -> None:
        """Close the ways, on which no request is any more."""
        self._tidying.cancel()
        await asyncio.gather(*self._retiring)
        await self._in_force.way.close()
