"""The listener: accepts connections, or is given them, and drains them when the proxy goes down."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from proxy.downstream.acceptor import Acceptor
from proxy.downstream.connection import Connection
from proxy.downstream.peer import Introductions, address_of
from proxy.downstream.service import Handler, Service
from proxy.metrics import Metrics
from proxy.settings import Limits

WATCHES_A_SECOND = 200
"""How many watches are ended a second at most, as kube-apiserver has it, so that their clients do not all come back to
the others at once; more where that would take longer than half of the drain."""


class Listener:
    """Accepts connections and hands their requests to `handler`. `tls` is None for plain HTTP.

    `most` is how many connections the system can bear, `tell` is for who runs the proxy.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        tls: ssl.SSLContext | None,
        introductions: Introductions,
        metrics: Metrics,
        most: int,
        tell: Callable[[str], None],
    ) -> None:
        self._service = Service(handler, limits, introductions, metrics, most)
        self._tls = tls
        self._acceptor = Acceptor(self.adopt, tell)

    @property
    def is_leaving(self) -> bool:
        """Whether the listener is going down."""
        return self._service.is_leaving

    @property
    def open_connections(self) -> int:
        """How many connections there are, handshakes included."""
        return self._service.count

    @property
    def head_bytes(self) -> int:
        """Return the memory in bytes of all heads that are unfinished, or large."""
        return self._service.heads.held

    async def open(self, host: str, port: int) -> int:
        """Start to accept; return the port, which is of the system's choice for 0. Raises OSError."""
        port = await self._acceptor.open(host, port)
        self._acceptor.accept()
        return port

    def adopt(self, sock: socket.socket) -> bool:
        """Serve a connection that has been accepted, or close it: True in any case."""
        Connection(self._service, address_of(sock)).open(sock, self._tls)
        return True

    def tell_losses(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever a connection has ended."""
        self._service.tell_loss = tell

    def renew(self, limits: Limits, introductions: Introductions) -> None:
        """Serve connections that are made from now on by other settings."""
        self._service.renew(limits, introductions)

    def leave(self) -> None:
        """Go on as before, but let each answer be the last one on its connection."""
        self._service.is_leaving = True

    async def drain(self, seconds: float) -> None:
        """Accept nothing new, let requests under way finish for up to `seconds`, then drop the rest.

        Watches would not finish: they are ended, one after the other.
        """
        service = self._service
        service.is_leaving = service.is_draining = True
        self._acceptor.close()
        for client in list(service.clients):
            client.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end_watches(seconds / 2)
                while service.clients:
                    await service.emptied.wait()
        await self.drop()

    async def drop(self) -> None:
        """Abort what is under way, and close every connection."""
        service = self._service
        service.is_leaving = service.is_draining = service.is_dropping = True
        self._acceptor.close()
        tasks = [task for client in list(service.clients) if (task := client.drop())]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_watches(self, seconds: float) -> None:
        """End those that are under way; whatever begins from now on is ended as it begins."""
        watching = [connection for connection in self._service.clients if connection.is_endless]
        for connection in watching:
            connection.end_early()
            await asyncio.sleep(min(1 / WATCHES_A_SECOND, seconds / len(watching)))
