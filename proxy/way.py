"""The way to the upstream: its address, who the proxy is to it, the pool, and what it has told of itself."""

import asyncio

from proxy import identity, kubeconfig
from proxy.discovery import Discovery
from proxy.metrics import Metrics
from proxy.settings import Settings
from proxy.upstream.checks import Checks
from proxy.upstream.pool import Upstream


class Way:
    """What requests need to reach the upstream, for as long as one of them does."""

    def __init__(self, settings: Settings) -> None:
        """Read every file that the settings name, without connecting. Raises SettingsError."""
        self.identity = identity.establish(settings)
        self.upstream: Upstream
        self.discovery: Discovery
        self._checks: Checks | None = None
        self._limits = settings.limits
        chosen = kubeconfig.choose(settings.kubeconfig, settings.context) if settings.kubeconfig else None
        self._leads = (
            *(settings.upstream, settings.in_cluster, settings.effective_identity, settings.kubeconfig, chosen),
            *(settings.upstream_token_file, settings.upstream_tls, settings.limits),
        )
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def begin(self, metrics: Metrics) -> None:
        """Be used from now on, if it is not yet."""
        if self._checks is None:
            self.upstream = Upstream(self.identity.addresses, self._limits, metrics)
            self.discovery = Discovery(self.upstream, self.identity)
            self._checks = Checks(self.upstream.places, self.identity.at_hand)

    @property
    def labels(self) -> set[str]:
        """Return what metrics call its addresses."""
        return {address.label for address in self.identity.addresses}

    def leads_as(self, other: "Way") -> bool:
        """Whether both are the same way; certificates and tokens that have changed are noticed on it."""
        return self._leads == other._leads

    def look_at_files(self) -> None:
        """Notice at once where certificates have changed."""
        for tls in {address.tls for address in self.identity.addresses if address.tls is not None}:
            tls.look_at_once()

    def __enter__(self) -> None:
        """Be used by one more request."""
        self._requests += 1
        self._unused.clear()

    def __exit__(self, *_: object) -> None:
        """Be used by one less."""
        self._requests -= 1
        if not self._requests:
            self._unused.set()

    async def retire(self) -> None:
        """Close it when no request uses it any more; none may begin to."""
        await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._checks is not None:
            await self._checks.close()
            await self.discovery.close()
            self.upstream.close()
        await self.identity.close()
