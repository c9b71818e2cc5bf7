"""One address of the upstream: its connections, and how it fares."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from time import monotonic

from proxy.core.breaker import Breaker, Ticket
from proxy.core.errors import UpstreamClosedError, UpstreamTimeoutError, UpstreamUnreachableError
from proxy.core.headers import Lines
from proxy.http1 import BodyStream, render_head
from proxy.metrics import Metrics
from proxy.settings import Limits
from proxy.tls import Kept
from proxy.upstream.connection import Connection, Response

REPLAYABLE = frozenset({"GET", "HEAD", "OPTIONS"})
IDLE_SECONDS = 75.0
"""Idle connections are not used again after this: a kube-apiserver closes them at 90 s, and both would race."""

IDLE_SECONDS_TO_WRITE = 5.0
"""The same for requests that must not be sent twice: there the race would be an error."""

MAX_IDLE = 256


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is. `prefix` is put before every target (a kubeconfig's server may have a path)."""

    host: str
    port: int
    tls: Kept | None = None
    server_name: str | None = None
    prefix: bytes = b""

    @property
    def authority(self) -> bytes:
        """Return the value of the Host line."""
        default = 443 if self.tls else 80
        return self._bracketed.encode() if self.port == default else self.label.encode()

    @property
    def label(self) -> str:
        """Return ``host:port``, by which metrics tell addresses apart."""
        return f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask the upstream: `target` and `lines` go out as they stand, behind Host; a `body` as it comes."""

    method: str
    target: bytes
    lines: Lines
    body: BodyStream | None = None
    is_chunked: bool = False
    is_long_running: bool = False
    is_handshake: bool = False
    """Whether the response may be a 101. Such a request has a connection to itself, which is never used again."""
    home: "Place | None" = None
    """Where it should go if that is well: to who has answered the page before."""

    @property
    def lasts(self) -> bool:
        """Whether it stays under way for as long as the client wants."""
        return self.is_long_running or self.is_handshake

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent twice."""
        return self.method in REPLAYABLE and self.body is None and not self.is_handshake


class Place:
    """One address, with its pool of connections. Limits on their number are the client's connections.

    `is_up` is what the last connection, or with `is_checked` the last check, has shown; a connection that cannot be had
    shows at once that it is down. `rises` is how often it was found to be up again: it may be another server by then.
    `connecting` is how many requests of clients wait for a connection.
    """

    def __init__(self, address: Address, limits: Limits, metrics: Metrics, *, is_checked: bool) -> None:
        self.address = address
        self.breaker = Breaker()
        self.is_up = True
        self.rises = 0
        self.connecting = 0
        self._limits = limits
        self._is_checked = is_checked
        self._idle: deque[Connection] = deque()
        self._busy: dict[Connection, bool | None] = {}  # whether what it carries lasts, None for the proxy's own
        self._load = {False: 0, True: 0}
        self._up_gauge = metrics.upstream_up.labels(address.label)
        self._open_gauge = metrics.upstream_breaker_open.labels(address.label)
        self._up_gauge.set(1)
        self._open_gauge.set(0)
        metrics.upstream_failovers.labels(address.label)

    def load(self, *, lasting: bool) -> int:
        """Return how many requests of clients that last, or that do not, are under way, or about to be."""
        return self._load[lasting] + self.connecting

    # --- how it fares -------------------------------------------------------------------------------------------------

    def note_check(self, *, is_well: bool) -> None:
        """Take what a check has found."""
        if is_well and not self.is_up:
            self.rises += 1
        self._set_up(is_well)

    def note_failure(self) -> None:
        """Take that a connection could not be had, or has ended before it was of any use."""
        self._set_up(False)

    def _set_up(self, is_up: bool) -> None:
        self.is_up = is_up
        self._up_gauge.set(is_up)
        if not is_up:
            self._drop_idle()  # those of a server that restarts would be found closed, one by one

    # --- connections --------------------------------------------------------------------------------------------------

    def take_idle(self, method: str) -> Connection | None:
        """Return the connection that was used last, unless the upstream may be about to close it."""
        oldest = asyncio.get_running_loop().time() - (IDLE_SECONDS if method in REPLAYABLE else IDLE_SECONDS_TO_WRITE)
        tls = self._current_tls()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > oldest and connection.tls is tls:
                connection.is_fresh = False
                return connection
            connection.close()
        return None

    async def open(self) -> Connection:
        """Connect. Raises UpstreamTimeoutError and UpstreamUnreachableError."""
        address, loop = self.address, asyncio.get_running_loop()
        tls = self._current_tls()
        name = (address.server_name or address.host) if tls else None
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limits, tls), address.host, address.port, ssl=tls, server_hostname=name
                )
        except TimeoutError:
            self.note_failure()
            raise UpstreamTimeoutError("connecting to the upstream took too long") from None
        except OSError as error:
            self.note_failure()
            raise UpstreamUnreachableError(f"cannot connect to the upstream: {_describe(error)}") from error
        if not self._is_checked:
            self._set_up(True)
        return connection

    def _current_tls(self) -> ssl.SSLContext | None:
        """Return the context that connections should have, None for plain HTTP."""
        return self.address.tls.get() if self.address.tls else None

    # --- requests -----------------------------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Response:
        """Ask this address and no other one, whatever is known of it, for the proxy itself. Raises UpstreamErrors."""
        connection = self.take_idle(request.method) or await self.open()
        try:
            return await self._send(connection, request, None)
        except UpstreamClosedError:
            if connection.is_fresh or not connection.is_silent:
                raise
        return await self._send(await self.open(), request, None)

    async def carry(self, connection: Connection, request: Request, ticket: Ticket) -> Response:
        """Send a request on a connection and wait for its head; tell of the outcome what it says of the address.

        Raises UpstreamErrors, and what the request's body fails with.
        """
        if request.is_long_running:
            ticket.leave()  # its head may take as long as it likes
        try:
            response = await self._send(connection, request, request.lasts)
        except UpstreamTimeoutError:
            ticket.time_out(monotonic())
            raise
        except UpstreamClosedError:
            if connection.is_fresh and connection.is_silent:
                self.note_failure()
            raise
        else:
            ticket.answer(monotonic())
            return response
        finally:
            ticket.leave()
            self.show_breaker()

    def show_breaker(self) -> None:
        """Let the metrics tell what the breaker has come to."""
        self._open_gauge.set(self.breaker.is_open)

    async def _send(self, connection: Connection, request: Request, lasts: bool | None) -> Response:
        target = self.address.prefix + request.target
        lines = [(b"Host", self.address.authority), *request.lines]
        head = render_head(b"%s %s HTTP/1.1" % (request.method.encode(), target), lines)
        self._busy[connection] = lasts
        if lasts is not None:
            self._load[lasts] += 1
        try:
            if request.body is not None:
                connection.send_body(request.body, is_chunked=request.is_chunked)
            timeout = None if request.is_long_running else self._limits.first_byte_seconds
            return await connection.request(request.method, head, timeout, may_switch=request.is_handshake)
        except BaseException:
            self._forget(connection)
            connection.close()
            raise

    def has(self, connection: Connection) -> bool:
        """Whether a connection that is in use leads here."""
        return connection in self._busy

    def release(self, response: Response) -> None:
        """Take a response back: its connection carries the next request if it is complete, else it is closed."""
        connection = response.connection
        self._forget(connection)
        if response.body.is_over and connection.is_reusable and len(self._idle) < MAX_IDLE:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Drop every connection."""
        self._drop_idle()
        for connection in self._busy:
            connection.close()

    def _forget(self, connection: Connection) -> None:
        lasts = self._busy.pop(connection, None)
        if lasts is not None:
            self._load[lasts] -= 1

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _describe(error: OSError) -> str:
    """Say what went wrong without the addresses' repetition that asyncio's own message has."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS handshake failed"
    return error.strerror or type(error).__name__
