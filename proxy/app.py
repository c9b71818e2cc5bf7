"""The composition root: puts the house together, and takes it down on a signal."""

import asyncio
import signal
import ssl
import sys
from contextlib import suppress

from proxy import identity, process
from proxy.accesslog import AccessLog
from proxy.admin import Admin
from proxy.core.weights import Weights
from proxy.discovery import Discovery
from proxy.downstream.listener import Listener
from proxy.handler import Handler
from proxy.metrics import Metrics
from proxy.pages.reserve import Reserve
from proxy.settings import Settings, SettingsError, split_address
from proxy.transfer import Services
from proxy.upstream.pool import Upstream


class Proxy:
    """A proxy with its two listeners, in the running event loop."""

    def __init__(self, settings: Settings) -> None:
        """Read what the settings name. Raises SettingsError."""
        self._settings = settings
        self._identity = identity.establish(settings)
        tls = settings.tls
        self._tls = identity.server_tls(tls.cert, tls.key) if tls.cert and tls.key else None
        self._upstream = Upstream(self._identity.address, settings.limits)
        self.metrics = Metrics(process.raise_open_files_limit())
        access_log = AccessLog(sys.stderr.buffer if settings.access_log else None)
        paging = settings.paging
        weights = Weights(paging.page_bytes, paging.page_items, paging.page_limit_bytes)
        self._discovery = Discovery(self._upstream, self._identity)
        reserve = Reserve(paging.reserve_bytes)
        services = Services(settings, self._identity, self._upstream, self._discovery, weights, reserve, self.metrics)
        self._listener = Listener(Handler(services, access_log), settings.limits)
        self._admin = Admin(self.metrics, self._discovery, lambda: self._listener.is_draining)
        self.url = self.admin_url = ""

    async def open(self) -> None:
        """Start both listeners. Raises SettingsError where an address cannot be had."""
        self.admin_url = "http://{}:{}".format(*await self._open("admin_listen", self._admin, None))
        scheme = "https" if self._tls else "http"
        try:
            self.url = "{}://{}:{}".format(scheme, *await self._open("listen", self._listener, self._tls))
        except SettingsError:
            await self._admin.close()
            raise

    async def _open(self, key: str, listener: Listener | Admin, tls: ssl.SSLContext | None) -> tuple[str, int]:
        host, port = split_address(getattr(self._settings, key))
        try:
            port = await listener.open(host, port, tls)
        except OSError as error:
            raise SettingsError(f"{key}: cannot listen on {host}:{port}: {error.strerror or error}") from None
        return (f"[{host}]" if ":" in host else host), port

    async def close(self) -> None:
        """Drain: let requests under way finish, then drop the rest."""
        await self._listener.drain(self._settings.limits.drain_seconds)
        await self._discovery.close()
        self._upstream.close()
        await self._admin.close()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends at once. Raises SettingsError before it is ready."""
    process.keep_freed_memory()
    proxy = Proxy(settings)
    await proxy.open()
    process.freeze_objects()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    print(f"kube-restream ready on {proxy.url} (admin {proxy.admin_url})", flush=True)  # noqa: T201 (the one line)
    await stop.wait()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(name)
    with suppress(asyncio.CancelledError):
        await proxy.close()
