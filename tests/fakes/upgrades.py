"""Handshakes as Kubernetes' clients send and servers answer them, and tunnels with a wire at either end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.fakes.apiserver import Apiserver, Exchange, Script
from tests.fakes.running import Running
from tests.fakes.wire import Client, Lines, Wire, request

POD = "/api/v1/namespaces/a/pods/x"
EXEC = f"{POD}/exec?command=sh&stdin=true&stdout=true&tty=true"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asks with, besides Host, and what a server grants it with."""

    method: str
    target: str
    asked: Lines
    granted: Lines

    def request(self, *lines: bytes, target: str | None = None, version: str = "1.1") -> bytes:
        """Write the client's half, with more `lines` before its own."""
        own = [name + b": " + value for name, value in self.asked]
        return request(target or self.target, *lines, *own, method=self.method, version=version)

    @property
    def switched(self) -> bytes:
        """Write the server's half."""
        lines = [name + b": " + value for name, value in self.granted]
        return b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *lines, b"", b""])


def _websocket(target: str, protocol: bytes, offered: bytes) -> Handshake:
    """What gorilla/websocket sends for kubectl, and golang.org/x/net/websocket answers for a kube-apiserver."""
    return Handshake(
        "GET",
        target,
        [
            (b"User-Agent", b"kubectl/v1.36.2 (linux/amd64) kubernetes/abc"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"Sec-WebSocket-Protocol", offered),
            (b"Sec-WebSocket-Version", b"13"),
            (b"Upgrade", b"websocket"),
        ],
        [
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            (b"Sec-WebSocket-Protocol", protocol),
        ],
    )


WEBSOCKET = _websocket(EXEC, b"v5.channel.k8s.io", b"v5.channel.k8s.io")
HANDSHAKES = {
    "exec over WebSocket": WEBSOCKET,
    "port-forward over WebSocket": _websocket(
        f"{POD}/portforward", b"SPDY/3.1+portforward.k8s.io", b"SPDY/3.1+portforward.k8s.io"
    ),
    "service proxy over WebSocket": _websocket(
        "/api/v1/namespaces/a/services/https:x:443/proxy/ws%2Fa/?q=1", b"graphql-ws", b"graphql-ws, other"
    ),
    "exec over SPDY": Handshake(
        "POST",
        EXEC,
        [
            (b"User-Agent", b"kubectl/v1.29.1 (linux/amd64) kubernetes/abc"),
            (b"Content-Length", b"0"),
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"SPDY/3.1"),
            (b"X-Stream-Protocol-Version", b"v4.channel.k8s.io"),
            (b"X-Stream-Protocol-Version", b"v3.channel.k8s.io"),
            (b"X-Stream-Protocol-Version", b"v2.channel.k8s.io"),
            (b"X-Stream-Protocol-Version", b"channel.k8s.io"),
        ],
        [
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"SPDY/3.1"),
            (b"X-Stream-Protocol-Version", b"v4.channel.k8s.io"),
            (b"Date", b"Mon, 02 Nov 2026 10:00:00 GMT"),
        ],
    ),
    "port-forward over SPDY": Handshake(
        "POST",
        f"{POD}/portforward",
        [
            (b"connection", b"upgrade"),
            (b"upgrade", b"spdy/3.1"),
            (b"x-stream-protocol-version", b"portforward.k8s.io"),
        ],
        [(b"Connection", b"Upgrade"), (b"Upgrade", b"SPDY/3.1"), (b"X-Stream-Protocol-Version", b"portforward.k8s.io")],
    ),
}


def grant(handshake: Handshake = WEBSOCKET, *, half_open: bool = False) -> Script:
    """Make a script that switches protocols and leaves the connection to the test.

    When the client's side has ended it closes, as servers do, or goes on sending where it stays `half_open`.
    """

    async def play(exchange: Exchange) -> None:
        wire = exchange.connection
        await exchange.send(handshake.switched)
        await wire.until(lambda: wire.is_lost if half_open else wire.has_ended)

    return play


@asynccontextmanager
async def tunnel(
    proxy: Running,
    upstream: Apiserver,
    *,
    tls: ssl.SSLContext | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[tuple[Client, Wire]]:
    """Open a tunnel; yield the client's end and the upstream's. Whichever is still open is closed afterwards."""
    upstream.script = grant(half_open=True)
    async with await proxy.connect(tls=tls, receive_buffer=receive_buffer) as client:
        before = len(upstream.exchanges)
        await client.send(WEBSOCKET.request())
        await client.read_until(b"\r\n\r\n")
        exchange = await upstream.wait_for_exchanges(before + 1)
        yield client, exchange.connection
        exchange.connection.close()


async def pour(wire: Wire, block: bytes, count: int) -> None:
    """Send `block` so many times."""
    for _ in range(count):
        await wire.send(block)


async def drink(wire: Wire, block: bytes, count: int) -> None:
    """Read so many blocks, and check each of them."""
    for number in range(count):
        assert await wire.read_exactly(len(block)) == block, number


async def stalled(*wires: Wire) -> list[int]:
    """Wait until none of `wires` can send any more; return how much each could."""
    before, turns = [-1], 0
    while turns < 30:
        await asyncio.sleep(0.005)
        now = [wire.sent for wire in wires]
        before, turns = now, (turns + 1 if now == before else 0)
    return before
