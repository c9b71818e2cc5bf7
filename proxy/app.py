"""The composition root: puts the house together, and takes it down on a signal."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from proxy import process
from proxy.addresses import split_address
from proxy.admin import Admin
from proxy.engine import Engine
from proxy.settings import Settings, SettingsError


class Proxy:
    """A proxy with its two listeners, in the running event loop."""

    def __init__(self, settings: Settings) -> None:
        """Read what the settings name. Raises SettingsError."""
        self._settings = settings
        self._engine = Engine(settings, sys.stderr.buffer)
        self.metrics = self._engine.metrics
        self._admin = Admin(self)
        self.url = self.admin_url = ""

    async def open(self) -> None:
        """Start both listeners. Raises SettingsError where an address cannot be had."""
        settings = self._settings
        self.admin_url = "http://" + await listen("admin_listen", settings.admin_listen, self._admin.open)
        try:
            self.url = scheme(settings) + await listen("listen", settings.listen, self._engine.listener.open)
        except SettingsError:
            await self._admin.close()
            raise

    async def exposition(self) -> bytes:
        """Return what a scrape gets."""
        return self.metrics.render()

    async def problem(self) -> str:
        """Return what keeps the proxy from being ready, nothing if it is."""
        return await self._engine.problem()

    def fault(self) -> str:
        """Return what only a restart can mend: a process that answers at all has no such thing."""
        return ""

    async def close(self) -> None:
        """Drain: let requests under way finish, then drop the rest."""
        await self._engine.close()
        await self._admin.close()


async def listen(key: str, address: str, bind: Callable[[str, int], Awaitable[int]]) -> str:
    """Open a listener where the setting `key` says; return its ``host:port``. Raises SettingsError."""
    host, port = split_address(address)
    try:
        port = await bind(host, port)
    except OSError as error:
        raise SettingsError(f"{key}: cannot listen on {host}:{port}: {error.strerror or error}") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scheme(settings: Settings) -> str:
    """Return what the URL of the main listener begins with."""
    return "https://" if settings.tls.cert else "http://"


def announce(url: str, admin_url: str) -> None:
    """Print the one line that says that all is ready."""
    print(f"kube-restream ready on {url} (admin {admin_url})", flush=True)  # noqa: T201 (the one line)


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
    announce(proxy.url, proxy.admin_url)
    await stop.wait()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(name)
    with suppress(asyncio.CancelledError):
        await proxy.close()
