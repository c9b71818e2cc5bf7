"""Whether and how a connection is upgraded, and the refusals of an apiserver and a kubelet."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from proxy.backend.status import PlainError, bad_request
from proxy.backend.streams.links import SocketLink

VERSION_HEADER = "X-Stream-Protocol-Version"
ACCEPTED_HEADER = "X-Accepted-Stream-Protocol-Versions"
SPDY = "SPDY/3.1"
# What an upgraded socket holds for a reader that is behind.
READ_BYTES = 64 * 1024
# The largest message that an apiserver takes.
MESSAGE_BYTES = 32 << 20
# A client answers a close at once, or is gone.
CLOSE_SECONDS = 2.0


def tokens(request: web.Request, header: str) -> list[str]:
    """Return what the lines of a header name between commas."""
    words = ",".join(request.headers.getall(header, [])).split(",")
    return [word.strip() for word in words if word.strip()]


def check_upgrade(request: web.Request) -> None:
    """Refuse a request that doesn't ask for an upgrade."""
    if not any("upgrade" in line.lower() for line in request.headers.getall(hdrs.CONNECTION, [])):
        raise bad_request("Upgrade request required")


def is_websocket(request: web.Request) -> bool:
    """Return whether the upgrade is to a WebSocket."""
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def picked(offered: list[str], supported: tuple[str, ...]) -> str | None:
    """Return what both sides speak, by the client's preference."""
    return next((protocol for protocol in offered if protocol in supported), None)


async def open_websocket(request: web.Request, protocol: str) -> web.WebSocketResponse:
    """Upgrade to a WebSocket; no subprotocol is one, too."""
    protocols = (protocol,) if protocol else ()
    websocket = web.WebSocketResponse(
        protocols=protocols, compress=False, max_msg_size=MESSAGE_BYTES, timeout=CLOSE_SECONDS
    )
    await websocket.prepare(request)
    return websocket


def spdy_protocol(request: web.Request, supported: tuple[str, ...]) -> str:
    """Negotiate what is spoken over SPDY, with a kubelet's refusals."""
    offered = tokens(request, VERSION_HEADER)
    if not offered:
        raise PlainError(400, f"unable to upgrade: {VERSION_HEADER} is required\n")
    protocol = picked(offered, supported)
    if protocol is None:
        text = f"client supports [{' '.join(offered)}], server accepts [{' '.join(supported)}]"
        lines = [(ACCEPTED_HEADER, name) for name in supported]
        raise PlainError(403, f"unable to upgrade: unable to negotiate protocol: {text}\n", lines)
    if SPDY.lower() not in request.headers.get(hdrs.UPGRADE, "").lower():
        raise PlainError(400, "unable to upgrade: missing upgrade headers in request\n")
    return protocol


class Upgraded(asyncio.StreamReaderProtocol):
    """What takes a connection over from aiohttp, which still has to know when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, previous: asyncio.BaseProtocol) -> None:
        super().__init__(reader, loop=asyncio.get_running_loop())
        self.previous = previous

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell both."""
        super().connection_lost(exc)
        self.previous.connection_lost(exc)


async def open_spdy(request: web.Request, protocol: str) -> tuple[web.StreamResponse, SocketLink]:
    """Upgrade to SPDY: send the head of the answer and take the socket.

    A client waits for that head before it speaks SPDY, so nothing of it can have got to aiohttp's parser.
    """
    headers = {hdrs.CONNECTION: "Upgrade", hdrs.UPGRADE: SPDY, VERSION_HEADER: protocol}
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    reader = asyncio.StreamReader(READ_BYTES)
    taken = Upgraded(reader, request.protocol)
    transport.set_protocol(taken)
    taken.connection_made(transport)
    return response, SocketLink(reader, asyncio.StreamWriter(transport, taken, reader, asyncio.get_running_loop()))
