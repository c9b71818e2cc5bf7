"""The listener: accepts connections, or is given them, and drains them when the proxy goes down."""

import asyncio
import socket
import ssl
from collections.abc import Callable

from proxy.downstream.connection import Connection, Handler, Service
from proxy.downstream.peer import Introductions
from proxy.settings import Limits

BACKLOG = 1024
"""Connections that the kernel keeps while we are busy."""


class Listener:
    """Accepts connections and hands their requests to `handler`. `tls` is None for plain HTTP."""

    def __init__(
        self, handler: Handler, limits: Limits, tls: ssl.SSLContext | None, introductions: Introductions
    ) -> None:
        self._service = Service(handler, limits, introductions)
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def is_draining(self) -> bool:
        """Whether the listener is going down."""
        return self._service.is_draining

    @property
    def open_connections(self) -> int:
        """How many connections there are, handshakes aside."""
        return len(self._service.connections)

    async def open(self, host: str, port: int) -> int:
        """Start to accept; return the port, which is of the system's choice for 0. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, host, port, ssl=self._tls, backlog=BACKLOG)
        return int(self._server.sockets[0].getsockname()[1])

    async def adopt(self, sock: socket.socket) -> None:
        """Serve a connection that was accepted elsewhere. Raises OSError where its handshake fails."""
        await asyncio.get_running_loop().connect_accepted_socket(self._connection, sock, ssl=self._tls)

    def tell_losses(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever a connection has ended."""
        self._service.tell_loss = tell

    def _connection(self) -> Connection:
        return Connection(self._service)

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
