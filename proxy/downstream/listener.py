"""The listener: accepts connections, and drains them when the proxy goes down."""

import asyncio
import ssl

from proxy.downstream.connection import Connection, Handler, Service
from proxy.settings import Limits


class Listener:
    """Accepts connections and hands their requests to `handler`."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._service = Service(handler, limits)
        self._server: asyncio.Server | None = None

    @property
    def is_draining(self) -> bool:
        """Whether the listener is going down."""
        return self._service.is_draining

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Start to accept; return the port, which is of the system's choice for 0. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._service), host, port, ssl=tls, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Accept nothing new, let requests under way finish for up to `seconds`, then drop the rest."""
        self._service.is_draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._service.connections):
            connection.close_if_idle()
        deadline = asyncio.get_running_loop().time() + seconds
        while self._service.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 (once in a life)
            await asyncio.sleep(0.05)
        self._service.is_dropping = True
        tasks = [task for connection in list(self._service.connections) if (task := connection.drop())]
        await asyncio.gather(*tasks, return_exceptions=True)
