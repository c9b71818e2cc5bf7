"""The admin listener: /metrics, /healthz and /readyz, away from the apiserver's own paths of those names."""

from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4


class Observed(Protocol):
    """What the admin listener speaks for: one process, or a supervisor and its workers."""

    async def exposition(self) -> bytes:
        """Return what a scrape gets."""

    async def problem(self) -> str:
        """Return what keeps it from being ready, nothing if it is."""

    def fault(self) -> str:
        """Return what only a restart can mend, nothing if all is well."""


class Admin:
    """Answers scrapes and probes."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int) -> int:
        """Start to accept; return the port. Raises OSError."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics_page)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics_page(self, _: web.Request) -> web.Response:
        body = await self._observed.exposition()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _healthz(self, _: web.Request) -> web.Response:
        return _verdict(self._observed.fault())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _verdict(await self._observed.problem())


def _verdict(problem: str) -> web.Response:
    return web.Response(status=503 if problem else 200, text=f"{problem or 'ok'}\n")
