"""The admin listener: /metrics, /healthz and /readyz, away from the apiserver's own paths of those names."""

import ssl
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from proxy.discovery import Discovery
from proxy.metrics import Metrics


class Admin:
    """Answers scrapes and probes. `is_draining` tells whether the proxy is going down."""

    def __init__(self, metrics: Metrics, discovery: Discovery, is_draining: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._discovery = discovery
        self._is_draining = is_draining
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Start to accept; return the port. Raises OSError."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics_page)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        problem = "draining" if self._is_draining() else await self._discovery.probe()
        return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")
