"""The listener: accepts connections, or is given them, and drains them when the proxy goes down."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from proxy.downstream.connection import Connection, Handler, Service
from proxy.downstream.peer import Introductions
from proxy.settings import Limits

WATCHES_A_SECOND = 200
"""How many watches are ended a second at most, as kube-apiserver has it, so that their clients do not all come back to
the others at once; more where that would take longer than half of the drain."""

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
    def is_leaving(self) -> bool:
        """Whether the listener is going down."""
        return self._service.is_leaving

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

    def renew(self, limits: Limits, introductions: Introductions) -> None:
        """Serve connections that are made from now on by other settings."""
        self._service.limits, self._service.introductions = limits, introductions

    def leave(self) -> None:
        """Go on as before, but let each answer be the last one on its connection."""
        self._service.is_leaving = True

    async def drain(self, seconds: float) -> None:
        """Accept nothing new, let requests under way finish for up to `seconds`, then drop the rest.

        Watches would not finish: they are ended, one after the other.
        """
        service = self._service
        service.is_leaving = service.is_draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(service.connections):
            connection.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end_watches(seconds / 2)
                while service.connections:
                    await service.emptied.wait()
        await self.drop()

    async def drop(self) -> None:
        """Abort what is under way, and close every connection."""
        service = self._service
        service.is_leaving = service.is_draining = service.is_dropping = True
        if self._server is not None:
            self._server.close()
        tasks = [task for connection in list(service.connections) if (task := connection.drop())]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_watches(self, seconds: float) -> None:
        """End those that are under way; whatever begins from now on is ended as it begins."""
        watching = [connection for connection in self._service.connections if connection.is_endless]
        for connection in watching:
            connection.end_early()
            await asyncio.sleep(min(1 / WATCHES_A_SECOND, seconds / len(watching)))
