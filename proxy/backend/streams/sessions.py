"""The server's side of a SPDY connection: streams that a client opens, over a link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from proxy.backend.streams.codec import Decoder, Encoder, SpdyError
from proxy.backend.streams.frames import (
    CANCEL,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Data,
    Frame,
    GoAway,
    Ping,
    Reset,
    SynReply,
    SynStream,
)
from proxy.backend.streams.links import Link
from proxy.backend.streams.pipes import Pipe

T = TypeVar("T")

STREAMS_LIMIT = 1000
WRITE_BYTES = 32 * 1024


class Stream:
    """One stream: its headers, what comes over it, and a way back."""

    def __init__(self, session: Session, number: int, headers: Mapping[str, str]) -> None:
        self.session = session
        self.number = number
        self.headers = headers
        self.inbound = Pipe()
        self.finished = False

    async def write(self, data: bytes) -> None:
        """Send data."""
        for start in range(0, len(data), WRITE_BYTES):
            if self.finished:
                raise BrokenPipeError("the stream is closed")
            await self.session.send(Data(self.number, data[start : start + WRITE_BYTES]))

    async def finish(self) -> None:
        """Send the end of the own direction."""
        if not self.finished:
            self.finished = True
            await self.session.send(Data(self.number, b"", fin=True))
            self.session.forget(self)

    async def reset(self, status: int = CANCEL) -> None:
        """End both directions."""
        await self.inbound.drop()
        if not self.finished:
            self.finished = True
            await self.session.send(Reset(self.number, status))
        self.session.streams.pop(self.number, None)


class Session:
    """One SPDY connection."""

    def __init__(self, link: Link, accepts: Callable[[Mapping[str, str]], bool]) -> None:
        self.link = link
        self.accepts = accepts
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self.arrived: asyncio.Queue[Stream] = asyncio.Queue()

    async def send(self, frame: Frame) -> None:
        """Send a frame; what is encoded first is written first."""
        await self.link.write(self.encoder.encode(frame))

    async def pump(self) -> None:
        """Read frames until the client leaves; a stream that nobody reads holds the others up, as it does in Go."""
        try:
            while data := await self.link.read():
                for frame in self.decoder.feed(data):
                    await self.receive(frame)
        except SpdyError:
            await self.send(GoAway(self.last_stream, PROTOCOL_ERROR))
        finally:
            for stream in tuple(self.streams.values()):
                await stream.inbound.end()

    async def receive(self, frame: Frame) -> None:
        """Act upon a frame."""
        match frame:
            case SynStream():
                await self.open(frame)
            case Data(number, data, fin) if stream := self.streams.get(number):
                await stream.inbound.feed(data)
                if fin:
                    await self.ended(stream)
            case Reset(number) if stream := self.streams.pop(number, None):
                stream.finished = True
                await stream.inbound.end()
            case Ping(number) if number % 2:
                await self.send(frame)
            case _:
                pass  # settings, flow control, and what comes for streams that are gone

    async def open(self, frame: SynStream) -> None:
        """Accept a stream, or refuse it."""
        if frame.stream % 2 == 0 or frame.stream <= self.last_stream:
            await self.send(Reset(frame.stream, PROTOCOL_ERROR))
            return
        self.last_stream = frame.stream
        if len(self.streams) >= STREAMS_LIMIT:
            await self.send(Reset(frame.stream, REFUSED_STREAM))
            return
        if not self.accepts(frame.headers):
            await self.send(Reset(frame.stream, CANCEL))
            return
        stream = self.streams[frame.stream] = Stream(self, frame.stream, frame.headers)
        await self.send(SynReply(frame.stream))
        if frame.fin:
            await self.ended(stream)
        self.arrived.put_nowait(stream)

    async def ended(self, stream: Stream) -> None:
        """Note that the client has finished a stream."""
        await stream.inbound.end()
        self.forget(stream)

    def forget(self, stream: Stream) -> None:
        """Forget a stream that is over in both directions."""
        if stream.finished and stream.inbound.ended:
            self.streams.pop(stream.number, None)

    async def close(self) -> None:
        """Reset what is left, say goodbye, close."""
        for stream in tuple(self.streams.values()):
            await stream.reset()
        await self.send(GoAway(self.last_stream))
        await self.link.close()


async def until_gone(pump: Coroutine[Any, Any, None], work: Coroutine[Any, Any, T]) -> T | None:
    """Do some work while a connection is read; without the client it ends, without a result."""
    reading, working = asyncio.create_task(pump), asyncio.create_task(work)
    try:
        await asyncio.wait((reading, working), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    except ConnectionError:
        return None
    finally:
        reading.cancel()
        working.cancel()
        await asyncio.gather(reading, working, return_exceptions=True)
