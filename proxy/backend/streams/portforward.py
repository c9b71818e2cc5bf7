"""port-forward: connections to a pod's ports, each a pair of SPDY streams, over a socket or inside a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from proxy.backend.status import PlainError
from proxy.backend.streams import handshakes, portchannels, services
from proxy.backend.streams.links import TunnelLink
from proxy.backend.streams.pods import Pod
from proxy.backend.streams.sessions import Session, Stream, until_gone

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"


async def serve(request: web.Request, pod: Pod) -> web.StreamResponse:
    """Upgrade, and connect what the client asks for."""
    handshakes.check_upgrade(request)
    if handshakes.is_websocket(request):
        if handshakes.picked(handshakes.tokens(request, "Sec-WebSocket-Protocol"), (TUNNEL,)) is None:
            if (protocol := portchannels.asked_for(request)) is not None:
                return await portchannels.serve(request, pod, protocol)
            raise PlainError(400, "unable to upgrade: no tunneling spdy protocols provided\n")
        websocket = await handshakes.open_websocket(request, TUNNEL)
        await forward(Session(TunnelLink(websocket), valid), pod)
        return websocket
    protocol = handshakes.spdy_protocol(request, (PROTOCOL,))
    response, link = await handshakes.open_spdy(request, protocol)
    await forward(Session(link, valid), pod)
    return response


def valid(headers: Mapping[str, str]) -> bool:
    """Return whether a stream belongs to a connection."""
    port = headers.get("port", "")
    return (
        headers.get("streamtype") in {"error", "data"}
        and port.isdecimal()
        and len(port) < 6
        and 0 < int(port) < 1 << 16
    )


async def forward(session: Session, pod: Pod) -> None:
    """Pair streams until the client leaves."""

    async def pair_streams() -> None:
        halves: dict[str, dict[str, Stream]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                stream = await session.arrived.get()
                key = connection_of(stream)
                half = halves.setdefault(key, {})
                half[stream.headers["streamtype"]] = stream
                if len(half) == 2:
                    del halves[key]
                    group.create_task(carry(pod, half["data"], half["error"]))

    with suppress(ConnectionError):
        await until_gone(session.pump(), pair_streams())
        await session.close()


def connection_of(stream: Stream) -> str:
    """Return what the two streams of a connection have in common; old clients open one right after the other."""
    if request_id := stream.headers.get("requestid"):
        return request_id
    return f"stream {stream.number - 2 * (stream.headers['streamtype'] == 'data')}"


async def carry(pod: Pod, data: Stream, error: Stream) -> None:
    """Serve one connection; the end of its error stream says that it is over, whatever has become of it."""
    with suppress(ConnectionError):
        await connect(pod, data, error)
    # What the client still sends must not hold other connections up.
    await data.inbound.drop()
    with suppress(ConnectionError):
        await data.finish()
        await error.finish()


async def connect(pod: Pod, data: Stream, error: Stream) -> None:
    """Connect to what listens, or tell that nothing does."""
    port = int(data.headers["port"])
    if service := services.find(pod, port):
        await service(data.inbound, data.write)
        return
    await error.write(services.refusal(pod, port))
    await data.reset()
