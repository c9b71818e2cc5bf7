"""Clients of a pod's streams: over a WebSocket, and over SPDY with nothing but the codec."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import ClientWebSocketResponse, WSMsgType

from proxy.backend.streams.codec import Decoder, Encoder
from proxy.backend.streams.frames import Data, Frame, GoAway, Reset, SynReply, SynStream
from tests.backend.cluster import Client

POD = "/api/v1/namespaces/default/pods/web-00020"
SECONDS = 20.0


class EndError(Exception):
    """The server has closed the connection."""


class SpdyPeer:
    """A SPDY client: opens streams, and gathers what comes over each of them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.received: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.frames: list[Frame] = []
        self.finished: set[int] = set()
        self.next_stream = 1

    def send(self, frame: Frame) -> None:
        """Send a frame."""
        self.writer.write(self.encoder.encode(frame))

    def open(self, *, fin: bool = False, **headers: str) -> int:
        """Open a stream."""
        number, self.next_stream = self.next_stream, self.next_stream + 2
        self.send(SynStream(number, headers, fin))
        return number

    async def step(self) -> None:
        """Read once."""
        data = await self.reader.read(65536)
        if not data:
            raise EndError
        for frame in self.decoder.feed(data):
            self.frames.append(frame)
            match frame:
                case Data(number, piece, fin):
                    self.received[number] += piece
                    if fin:
                        self.finished.add(number)
                case Reset(number):
                    self.finished.add(number)
                case _:
                    pass

    async def opened(self, *numbers: int) -> None:
        """Wait until the server has accepted streams."""
        async with asyncio.timeout(SECONDS):
            while not set(numbers) <= {frame.stream for frame in self.frames if isinstance(frame, SynReply)}:
                await self.step()

    async def until(self, number: int, text: bytes) -> bytes:
        """Wait until something has come over a stream."""
        async with asyncio.timeout(SECONDS):
            while text not in self.received[number]:
                await self.step()
        return bytes(self.received[number])

    async def rest(self, number: int) -> bytes:
        """Wait for the end of a stream; return all that came over it."""
        async with asyncio.timeout(SECONDS):
            while number not in self.finished:
                await self.step()
        return bytes(self.received[number])

    async def end(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(SECONDS):
            try:
                while True:
                    await self.step()
            except EndError:
                pass
        assert any(isinstance(frame, GoAway) for frame in self.frames)


async def request(
    client: Client, target: str, *lines: str, method: str = "POST"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    """Send a request by hand; return the connection, and the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 0", *lines])
    writer.write(f"{head}\r\n\r\n".encode())
    async with asyncio.timeout(SECONDS):
        return reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode()


@asynccontextmanager
async def spdy(client: Client, target: str, version: str = "v4.channel.k8s.io") -> AsyncIterator[SpdyPeer]:
    """Upgrade to SPDY."""
    lines = ("Connection: Upgrade", "Upgrade: SPDY/3.1", f"X-Stream-Protocol-Version: {version}")
    reader, writer, head = await request(client, target, *lines)
    try:
        assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n"), head
        assert f"X-Stream-Protocol-Version: {version}\r\n" in head
        yield SpdyPeer(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


class Remote(Protocol):
    """One exec or attach, whatever it goes over."""

    async def type(self, data: bytes) -> None:
        """Send to standard input."""

    async def close_stdin(self) -> None:
        """End standard input."""

    async def resize(self, width: int, height: int) -> None:
        """Tell the size of the terminal."""

    async def until(self, text: bytes) -> bytes:
        """Wait until something was printed."""

    async def result(self) -> tuple[bytes, bytes, bytes]:
        """Wait for the end: standard output, standard error, and the Status."""


class SpdyRemote:
    """exec over SPDY."""

    def __init__(self, peer: SpdyPeer, streams: dict[str, int]) -> None:
        self.peer = peer
        self.streams = streams

    async def type(self, data: bytes) -> None:
        """Send to standard input."""
        self.peer.send(Data(self.streams["stdin"], data))

    async def close_stdin(self) -> None:
        """End standard input."""
        self.peer.send(Data(self.streams["stdin"], b"", fin=True))

    async def resize(self, width: int, height: int) -> None:
        """Tell the size of the terminal."""
        self.peer.send(Data(self.streams["resize"], b'{"Width":%d,"Height":%d}\n' % (width, height)))

    async def until(self, text: bytes) -> bytes:
        """Wait until something was printed."""
        return await self.peer.until(self.streams["stdout"], text)

    async def result(self) -> tuple[bytes, bytes, bytes]:
        """Wait for the end."""
        await self.peer.end()
        stdout, stderr, error = (
            bytes(self.peer.received[self.streams.get(name, 0)]) for name in ("stdout", "stderr", "error")
        )
        return stdout, stderr, error


class WebSocketRemote:
    """exec over a WebSocket."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.received: defaultdict[int, bytearray] = defaultdict(bytearray)

    async def type(self, data: bytes) -> None:
        """Send to standard input."""
        await self.websocket.send_bytes(b"\0" + data)

    async def close_stdin(self) -> None:
        """End standard input."""
        await self.websocket.send_bytes(bytes([255, 0]))

    async def resize(self, width: int, height: int) -> None:
        """Tell the size of the terminal."""
        await self.websocket.send_bytes(b'\4{"Width":%d,"Height":%d}\n' % (width, height))

    async def step(self) -> None:
        """Take one message."""
        message = await self.websocket.receive()
        if message.type is not WSMsgType.BINARY:
            raise EndError
        self.received[message.data[0]] += message.data[1:]

    async def until(self, text: bytes) -> bytes:
        """Wait until something was printed."""
        async with asyncio.timeout(SECONDS):
            while text not in self.received[1]:
                await self.step()
        return bytes(self.received[1])

    async def result(self) -> tuple[bytes, bytes, bytes]:
        """Wait for the end."""
        async with asyncio.timeout(SECONDS):
            try:
                while True:
                    await self.step()
            except EndError:
                pass
        assert self.websocket.close_code == 1000
        return bytes(self.received[1]), bytes(self.received[2]), bytes(self.received[3])


@asynccontextmanager
async def spdy_remote(client: Client, target: str, *, stdin: bool, tty: bool) -> AsyncIterator[Remote]:
    """Start a command over SPDY."""
    async with spdy(client, target) as peer:
        wanted = {"error": True, "stdin": stdin, "stdout": True, "stderr": not tty, "resize": tty}
        streams = {name: peer.open(streamtype=name) for name, flag in wanted.items() if flag}
        await peer.opened(*streams.values())
        yield SpdyRemote(peer, streams)


@asynccontextmanager
async def websocket_remote(client: Client, target: str, *, stdin: bool, tty: bool) -> AsyncIterator[Remote]:
    """Start a command over a WebSocket."""
    del stdin, tty
    async with client.ws_connect(target, protocols=("v5.channel.k8s.io",)) as websocket:
        assert websocket.protocol == "v5.channel.k8s.io"
        yield WebSocketRemote(websocket)
