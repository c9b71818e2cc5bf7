"""The way to the upstream: its address, a pool of connections, and what it means that there is no connection."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass

from proxy.core.errors import UpstreamClosedError, UpstreamTimeoutError, UpstreamUnreachableError
from proxy.core.headers import Lines
from proxy.http1 import BodyStream, render_head
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
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.tls else 80
        return host.encode() if self.port == default else f"{host}:{self.port}".encode()


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask the upstream: `target` and `lines` go out as they stand, a `body` as it comes."""

    method: str
    target: bytes
    lines: Lines
    body: BodyStream | None = None
    is_chunked: bool = False
    is_long_running: bool = False
    is_handshake: bool = False
    """Whether the response may be a 101. Such a request has a connection to itself, which is never used again."""


class Upstream:
    """A pool of connections to one address. Limits on their number are the client's connections."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address = address
        self._limits = limits
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()

    async def send(self, request: Request) -> Response:
        """Send a request and wait for the head of its response, which goes back to `release`.

        A request that can be replayed is sent once more where an idle connection turns out to have been closed, which
        is one that ends without a byte of a response.
        Raises `proxy.core.errors.UpstreamError`s, and what the request's body fails with.
        """
        idle = None if request.is_handshake else self._take_idle(request.method)
        connection = idle or await self._open()
        try:
            return await self._send_on(connection, request)
        except UpstreamClosedError:
            is_stale = connection.is_silent and not connection.is_fresh
            if not is_stale or request.body is not None or request.method not in REPLAYABLE:
                raise
        return await self._send_on(await self._open(), request)

    async def _send_on(self, connection: Connection, request: Request) -> Response:
        target = self.address.prefix + request.target
        head = render_head(b"%s %s HTTP/1.1" % (request.method.encode(), target), request.lines)
        self._busy.add(connection)
        try:
            if request.body is not None:
                connection.send_body(request.body, is_chunked=request.is_chunked)
            timeout = None if request.is_long_running else self._limits.first_byte_seconds
            return await connection.request(request.method, head, timeout, may_switch=request.is_handshake)
        except BaseException:
            self._busy.discard(connection)
            connection.close()
            raise

    def release(self, response: Response) -> None:
        """Take a response back: its connection carries the next request if it is complete, else it is closed."""
        connection = response.connection
        self._busy.discard(connection)
        if response.body.is_over and connection.is_reusable and len(self._idle) < MAX_IDLE:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def _take_idle(self, method: str) -> Connection | None:
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

    def _current_tls(self) -> ssl.SSLContext | None:
        """Return the context that connections should have, None for plain HTTP."""
        return self.address.tls.get() if self.address.tls else None

    async def _open(self) -> Connection:
        address, loop = self.address, asyncio.get_running_loop()
        tls = self._current_tls()
        name = (address.server_name or address.host) if tls else None
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limits, tls), address.host, address.port, ssl=tls, server_hostname=name
                )
        except TimeoutError:
            raise UpstreamTimeoutError("connecting to the upstream took too long") from None
        except OSError as error:
            raise UpstreamUnreachableError(f"cannot connect to the upstream: {_describe(error)}") from error
        return connection

    def close(self) -> None:
        """Drop every connection."""
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()
        self._busy.clear()


def _describe(error: OSError) -> str:
    """Say what went wrong without the addresses' repetition that asyncio's own message has."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS handshake failed"
    return error.strerror or type(error).__name__
