"""The way to the upstream: its address, who the proxy is to it, the pool, and what it has told of itself."""

import asyncio

from proxy import identity, kubeconfig
from proxy.discovery import Discovery
from proxy.settings import Settings
from proxy.upstream.pool import Upstream


class Way:
    """What requests need to reach the upstream, for as long as one of them does."""

    def __init__(self, settings: Settings) -> None:
        """Read every file that the settings name, without connecting. Raises SettingsError."""
        self.identity = identity.establish(settings)
        self.upstream = Upstream(self.identity.address, settings.limits)
        self.discovery = Discovery(self.upstream, self.identity)
        chosen = kubeconfig.choose(settings.kubeconfig, settings.context) if settings.kubeconfig else None
        self._leads = (
            *(settings.upstream, settings.in_cluster, settings.effective_identity, settings.kubeconfig, chosen),
            *(settings.upstream_token_file, settings.upstream_tls, settings.limits),
        )
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def leads_as(self, other: "Way") -> bool:
        """Whether both are the same way; certificates and tokens that have changed are noticed on it."""
        return self._leads == other._leads

    def look_at_files(self) -> None:
        """Notice at once where certificates have changed."""
        if self.identity.address.tls is not None:
            self.identity.address.tls.look_at_once()

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
        await self.discovery.close()
        await self.identity.close()
        self.upstream.close()
