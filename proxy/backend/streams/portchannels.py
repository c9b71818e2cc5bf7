"""port-forward over the channels of a WebSocket, for clients that speak no SPDY: what a kubelet does by itself.

Each port has two channels, the even one for data and the odd one for an error; both begin with the port's number.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import WSMsgType, web

from proxy.backend.status import PlainError
from proxy.backend.streams import handshakes, services
from proxy.backend.streams.pipes import Pipe
from proxy.backend.streams.pods import Pod
from proxy.backend.streams.sessions import until_gone

# Without a name it is binary, too.
PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io", "")
PORT_BYTES = 2


def asked_for(request: web.Request) -> str | None:
    """Return which of these protocols a request wants, if any."""
    return handshakes.picked(handshakes.tokens(request, "Sec-WebSocket-Protocol") or [""], PROTOCOLS)


async def serve(request: web.Request, pod: Pod, protocol: str) -> web.StreamResponse:
    """Upgrade, and connect each of the ports that the query names."""
    ports = parse(request.rel_url.query.getall("ports", []))
    wire = PortChannels(await handshakes.open_websocket(request, protocol), pod, ports, text="base64" in protocol)
    with suppress(ConnectionError):
        await until_gone(wire.pump(), wire.run())
    await wire.websocket.close()
    return wire.websocket


def parse(values: Sequence[str]) -> list[int]:
    """Parse ports, one a parameter or several between commas."""
    if not values:
        raise PlainError(400, 'query parameter "port" is required\n')
    texts = [text for value in values for text in value.split(",")]
    for text in texts:
        if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) < 1 << 16:
            raise PlainError(400, f'unable to parse "{text}" as a port\n')
    return [int(text) for text in texts]


class PortChannels:
    """The connections of one WebSocket."""

    def __init__(self, websocket: web.WebSocketResponse, pod: Pod, ports: Sequence[int], *, text: bool) -> None:
        self.websocket = websocket
        self.pod = pod
        self.ports = ports
        self.text = text
        self.inbound = [Pipe() for _ in ports]

    async def run(self) -> None:
        """Serve all connections to their end."""
        for number, port in enumerate(self.ports):
            for channel in (2 * number, 2 * number + 1):
                await self.send(channel, port.to_bytes(PORT_BYTES, "little"))
        async with asyncio.TaskGroup() as group:
            for number, port in enumerate(self.ports):
                group.create_task(self.carry(number, port))

    async def carry(self, number: int, port: int) -> None:
        """Serve one connection, or tell that nothing listens."""
        source = self.inbound[number]

        async def write(data: bytes) -> None:
            await self.send(2 * number, data)

        with suppress(ConnectionError):
            if service := services.find(self.pod, port):
                await service(source, write)
            else:
                await self.send(2 * number + 1, services.refusal(self.pod, port))
        # What the client still sends must not hold other connections up.
        await source.drop()

    async def send(self, channel: int, data: bytes) -> None:
        """Send one message."""
        if self.text:
            await self.websocket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self.websocket.send_bytes(bytes([channel]) + data)

    async def pump(self) -> None:
        """Take messages until the client leaves; those for no connection are ignored."""
        try:
            while (message := await self.websocket.receive()).type in {WSMsgType.BINARY, WSMsgType.TEXT}:
                content = message.data.encode() if message.type is WSMsgType.TEXT else message.data
                await self.receive(content)
        finally:
            for source in self.inbound:
                await source.end()

    async def receive(self, content: bytes) -> None:
        """Pass one message on."""
        if not content:
            return
        channel, data = content[0], content[1:]
        if self.text:
            channel -= ord("0")
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error:
                return
        number, odd = divmod(channel, 2)
        if not odd and 0 <= number < len(self.inbound):
            await self.inbound[number].feed(data)
