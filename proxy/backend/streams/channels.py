"""The streams of one exec or attach, over a WebSocket or over SPDY."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from proxy.backend.status import PlainError
from proxy.backend.streams import handshakes
from proxy.backend.streams.outcomes import Outcome
from proxy.backend.streams.pipes import Pipe, Sink
from proxy.backend.streams.sessions import Session, Stream, until_gone
from proxy.backend.streams.terminals import Terminal

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
V4_BASE64 = "v4.base64.channel.k8s.io"
# Without a name it is the first version.
WEBSOCKET_PROTOCOLS = (V5, V4, V4_BASE64, "channel.k8s.io", "base64.channel.k8s.io", "")
SPDY_PROTOCOLS = (V4,)
STREAM_TYPES = ("error", "stdin", "stdout", "stderr", "resize")
# For a client to open its streams.
STREAMS_SECONDS = 30.0
# kubectl before 1.34 drops what comes over a WebSocket before it has made its streams (kubernetes#131203). It says
# nothing of when it has, unless it has input; a real container needs as long to start anything.
START_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    """Which streams a client wants."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @property
    def stream_types(self) -> set[str]:
        """The streams that it opens over SPDY."""
        flags = {"error": True, "stdin": self.stdin, "stdout": self.stdout, "stderr": self.stderr, "resize": self.tty}
        return {name for name, wanted in flags.items() if wanted}


@dataclass(frozen=True, slots=True)
class Channels:
    """What a command is connected to."""

    stdin: Pipe
    stdout: Sink
    stderr: Sink
    terminal: Terminal


Work = Callable[[Channels], Coroutine[Any, Any, Outcome]]


async def serve(request: web.Request, options: Options, work: Work) -> web.StreamResponse:
    """Upgrade, and do some work with the streams."""
    handshakes.check_upgrade(request)
    if handshakes.is_websocket(request):
        return await over_websocket(request, options, work)
    return await over_spdy(request, options, work)


async def over_websocket(request: web.Request, options: Options, work: Work) -> web.StreamResponse:
    """Serve a WebSocket: the first byte of a message is its channel."""
    offered = handshakes.tokens(request, "Sec-WebSocket-Protocol") or [""]
    protocol = handshakes.picked(offered, WEBSOCKET_PROTOCOLS)
    if protocol is None:
        raise PlainError(403, "")
    wire = WebSocketChannels(await handshakes.open_websocket(request, protocol), protocol, options)

    async def run() -> Outcome:
        await wire.ready()
        # Says that the connection stands.
        await wire.send(STDOUT if options.stdout else STDERR if options.stderr else ERROR, b"")
        return await work(await wire.channels())

    outcome = await until_gone(wire.pump(), run())
    if outcome is not None:
        with suppress(ConnectionError):
            await wire.end(outcome)
    await wire.websocket.close()
    return wire.websocket


class WebSocketChannels:
    """Channels over a WebSocket."""

    def __init__(self, websocket: web.WebSocketResponse, protocol: str, options: Options) -> None:
        self.websocket = websocket
        self.protocol = protocol
        self.options = options
        self.stdin = Pipe()
        self.terminal = Terminal()
        self.heard = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the client takes messages: it has sent one, or some time has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self.heard.wait()

    async def channels(self) -> Channels:
        """Return what a command is connected to."""
        if not self.options.stdin:
            await self.stdin.end()
        return Channels(
            self.stdin,
            self.sink(STDOUT, wanted=self.options.stdout),
            self.sink(STDERR, wanted=self.options.stderr),
            self.terminal,
        )

    def sink(self, channel: int, *, wanted: bool) -> Sink:
        """Return a way to write to a channel; what nobody wants is dropped."""

        async def write(data: bytes) -> None:
            if wanted and data:
                await self.send(channel, data)

        return write

    async def send(self, channel: int, data: bytes) -> None:
        """Send one message."""
        if "base64" in self.protocol:
            await self.websocket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self.websocket.send_bytes(bytes([channel]) + data)

    async def end(self, outcome: Outcome) -> None:
        """Tell what the command ended with."""
        if self.protocol.startswith(("v4.", "v5.")):
            await self.send(ERROR, outcome.json())
        elif text := outcome.text():
            await self.send(ERROR, text)

    async def pump(self) -> None:
        """Take messages until the client leaves."""
        try:
            while (message := await self.websocket.receive()).type in {WSMsgType.BINARY, WSMsgType.TEXT}:
                self.heard.set()
                content = message.data.encode() if message.type is WSMsgType.TEXT else message.data
                if content and not await self.receive(content[0], content[1:]):
                    break
        finally:
            await self.stdin.end()

    async def receive(self, channel: int, data: bytes) -> bool:
        """Act upon a message; return whether it made sense."""
        if self.protocol == V5 and channel == CLOSE:
            if data == bytes([STDIN]):
                await self.stdin.end()
            return len(data) == 1 and data[0] <= RESIZE
        if "base64" in self.protocol:
            channel -= ord("0")
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error:
                return True
        if channel == STDIN:
            await self.stdin.feed(data)
        elif channel == RESIZE:
            self.terminal.feed(data)
        return True


async def over_spdy(request: web.Request, options: Options, work: Work) -> web.StreamResponse:
    """Serve SPDY: a stream for each of the streams."""
    protocol = handshakes.spdy_protocol(request, SPDY_PROTOCOLS)
    response, link = await handshakes.open_spdy(request, protocol)
    session = Session(link, known)

    async def run() -> None:
        async with asyncio.timeout(STREAMS_SECONDS):
            streams = await opened(session, options.stream_types)
        terminal = Terminal()
        resizing = asyncio.create_task(follow_sizes(terminal, streams.get("resize")))
        try:
            outcome = await work(await connected(streams, terminal))
        finally:
            resizing.cancel()
            await asyncio.gather(resizing, return_exceptions=True)
        await streams["error"].write(outcome.json())
        for stream in streams.values():
            await stream.finish()

    try:
        with suppress(TimeoutError):
            await until_gone(session.pump(), run())
        await session.close()
    except ConnectionError:
        link.writer.close()
    return response


def known(headers: Mapping[str, str]) -> bool:
    """Return whether a stream is one of those that a command has."""
    return headers.get("streamtype") in STREAM_TYPES


async def opened(session: Session, wanted: set[str]) -> dict[str, Stream]:
    """Wait for a client's streams."""
    streams: dict[str, Stream] = {}
    while wanted - streams.keys():
        stream = await session.arrived.get()
        streams[stream.headers["streamtype"]] = stream
    return streams


async def connected(streams: Mapping[str, Stream], terminal: Terminal) -> Channels:
    """Return what a command is connected to."""
    stdin = streams["stdin"].inbound if "stdin" in streams else Pipe()
    if "stdin" not in streams:
        await stdin.end()
    return Channels(stdin, sink(streams.get("stdout")), sink(streams.get("stderr")), terminal)


def sink(stream: Stream | None) -> Sink:
    """Return a way to write to a stream; what nobody wants is dropped."""

    async def write(data: bytes) -> None:
        if stream is not None:
            await stream.write(data)

    return write


async def follow_sizes(terminal: Terminal, stream: Stream | None) -> None:
    """Take what comes over the resize stream."""
    while stream is not None and (data := await stream.inbound.read()):
        terminal.feed(data)
