"""The composition root: puts the house together, and takes it down on a signal."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from proxy import lifetime, process
from proxy.accesslog import Lines
from proxy.addresses import split_address
from proxy.admin import Admin
from proxy.engine import Engine
from proxy.reloading import Account, with_what_is_fixed
from proxy.settings import Settings, SettingsError


class Proxy:
    """A proxy with its two listeners, in the running event loop. `reread` reads the settings again."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        """Read what the settings name. Raises SettingsError."""
        self._settings = settings
        self._reread = reread
        self._notices = Lines(sys.stderr.buffer)
        self._engine = Engine(settings, sys.stderr.buffer)
        self.metrics = self._engine.metrics
        self._account = Account(self.metrics.registry, self._tell)
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

    async def reload(self) -> None:
        """Read the settings again, and let what begins from now on have them; bad ones change nothing."""
        try:
            settings, kept = with_what_is_fixed(self._settings, self._reread())
            generation = self._engine.prepare(settings)
        except SettingsError as error:
            self._account.note_failure(error)
            return
        self._engine.use(generation)
        self._settings = settings
        self._account.note(kept)

    async def close(self) -> None:
        """Drain: be not ready, so that no more requests come; let those under way finish, then drop the rest."""
        self._engine.leave()
        await asyncio.sleep(self._settings.limits.shutdown_delay_seconds)
        await self._engine.close()
        await self._admin.close()

    async def kill(self) -> None:
        """Drop everything."""
        await self._engine.kill()
        await self._admin.close()

    def _tell(self, text: str) -> None:
        self._notices.write(f"kube-restream: {text}".encode())


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


async def serve(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code. Raises SettingsError before it is ready."""
    process.keep_freed_memory()
    proxy = Proxy(settings, reread)
    await proxy.open()
    process.freeze_objects()
    return await lifetime.live(proxy, proxy.url, proxy.admin_url)
