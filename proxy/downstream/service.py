"""What the connections of a listener share, and how many of them there may be.

Where there are too many, the one goes that has waited for longest without a request under way: a handshake or a head
that does not come to its end, or an idle connection, whose client can have another one. Only where every connection is
in use is the newcomer closed at once. It is not left to wait in the kernel's queue: there those who mean no harm would
stand behind those who do, and see nothing but silence.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.downstream.answer import Request
from proxy.downstream.heads import Heads
from proxy.downstream.peer import Introductions
from proxy.downstream.upload import Uploads
from proxy.metrics import ClientRefusal, Metrics
from proxy.settings import Limits

Handler = Callable[[Request], Awaitable[None]]


class Client(Protocol):
    """What a service needs of a connection."""

    address: str

    @property
    def is_endless(self) -> bool:
        """Whether what is under way is a response that goes on until `end_early`."""

    def end_early(self) -> None:
        """End such a response."""

    def make_room(self) -> bool:
        """End, unless something would be lost by that."""

    def leave(self) -> None:
        """End as soon as that harms nobody."""

    def drop(self) -> "asyncio.Task[None] | None":
        """End; return what is to be awaited."""


class Service:
    """Who handles requests, and whether any more are taken. `most` is how many connections the system can bear."""

    def __init__(
        self, handler: Handler, limits: Limits, introductions: Introductions, metrics: Metrics, most: int
    ) -> None:
        self.handler = handler
        self.heads = Heads(limits.large_heads_bytes)
        self.uploads = Uploads(limits.uploads_bytes)
        self.limits = limits
        self.introductions = introductions
        self.is_leaving = self.is_draining = self.is_dropping = False
        self.tell_loss: Callable[[], None] | None = None
        self.emptied = asyncio.Event()
        self._most = most
        self._metrics = metrics
        self.clients: dict[Client, None] = {}
        self._waiting: dict[Client, None] = {}  # without a request under way, the one that has waited longest first
        self._of_address: Counter[str] = Counter()

    def renew(self, limits: Limits, introductions: Introductions) -> None:
        """Serve connections that are made from now on by other settings."""
        self.limits, self.introductions = limits, introductions
        self.heads.limit, self.uploads.limit = limits.large_heads_bytes, limits.uploads_bytes

    @property
    def count(self) -> int:
        """How many connections there are, handshakes included."""
        return len(self.clients)

    def count_refusal(self, reason: ClientRefusal) -> None:
        """Count what was not let in."""
        self._metrics.client_refusals.labels(reason).inc()

    def admit(self, client: Client) -> bool:
        """Take a connection that was just accepted, or refuse it; another one may have to make room."""
        most, of_client = min(self.limits.connections, self._most), self.limits.client_connections
        if of_client and self._of_address[client.address] >= of_client:
            self.count_refusal("client_connections")
            self._tell_loss()
            return False
        if len(self.clients) >= most:
            self.count_refusal("connections")
            if not self._make_room():
                self._tell_loss()
                return False
        self.clients[client] = self._waiting[client] = None
        self._of_address[client.address] += 1
        self.emptied.clear()
        return True

    def _make_room(self) -> bool:
        for client in self._waiting:
            if client.make_room():
                del self._waiting[client]
                return True
        return False

    def begin(self, client: Client) -> None:
        """Take note that a connection has a request under way."""
        self._waiting.pop(client, None)

    def wait(self, client: Client) -> None:
        """Take note that it has none any more."""
        if client in self.clients:
            self._waiting[client] = None

    def forget(self, client: Client) -> None:
        """Forget a connection that has ended."""
        if client not in self.clients:
            return
        del self.clients[client]
        self._waiting.pop(client, None)
        self._of_address[client.address] -= 1
        if not self._of_address[client.address]:
            del self._of_address[client.address]
        if not self.clients:
            self.emptied.set()
        self._tell_loss()

    def _tell_loss(self) -> None:
        if self.tell_loss:
            self.tell_loss()
