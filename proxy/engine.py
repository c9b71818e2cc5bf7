"""Everything of one process that carries requests, whoever brings it its connections: a listener, or a supervisor."""

from typing import BinaryIO

from proxy import identity, process
from proxy.accesslog import AccessLog
from proxy.admission import Admission
from proxy.core.weights import Weights
from proxy.discovery import Discovery
from proxy.downstream.listener import Listener
from proxy.downstream.peer import Introductions
from proxy.handler import Handler
from proxy.metrics import Metrics
from proxy.settings import Settings
from proxy.transfer import Services
from proxy.upstream.checks import Checks
from proxy.upstream.pool import Upstream


class Engine:
    """The data path put together, in the running event loop.

    It knows nothing of the admin listener, so that a worker does not carry aiohttp: 11 MiB of its 43.
    """

    def __init__(self, settings: Settings, log: BinaryIO) -> None:
        """Read what the settings name; `log` is for the access log. Raises SettingsError."""
        self._settings = settings
        own = identity.establish(settings)
        self._identity = own
        budget = settings.memory_budget
        admission = Admission(settings, process.memory_budget(workers=1) if budget == "auto" else budget)
        self.metrics = Metrics(process.raise_open_files_limit(), admission.budget)
        self._upstream = Upstream(own.addresses, settings.limits, self.metrics)
        self._checks = Checks(self._upstream.places, own.at_hand)
        access_log = AccessLog(log if settings.access_log else None)
        paging = settings.paging
        weights = Weights(paging.page_bytes, paging.page_items, paging.page_limit_bytes)
        self._discovery = Discovery(self._upstream, own)
        services = Services(settings, own, self._upstream, self._discovery, weights, admission, self.metrics)
        tls = identity.listener_tls(settings.tls)
        introductions = Introductions(settings.trusted_proxies)
        self.listener = Listener(Handler(services, access_log), settings.limits, tls, introductions)

    async def problem(self) -> str:
        """Return what keeps requests from being answered, nothing if all is well."""
        return "draining" if self.listener.is_draining else await self._discovery.probe()

    async def close(self) -> None:
        """Drain: let requests under way finish, then drop the rest."""
        await self.listener.drain(self._settings.limits.drain_seconds)
        await self._checks.close()
        await self._discovery.close()
        await self._identity.close()
        self._upstream.close()
