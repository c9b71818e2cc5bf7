"""From pieces of a body to an HTTP response: Go's framing, compression, coalescing, backpressure and deadline."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator

from aiohttp import HttpVersion11, web

# Go's net/http sends Content-Length only if the whole body fits its buffer when the handler returns.
GO_BUFFER = 2048
# The apiserver compresses what is larger than this.
GZIP_FROM = 128 * 1024
GZIP_LEVEL = 1
GZIP_WBITS = 31
# One write a piece would cost a system call for each item.
WRITE_BYTES = 64 * 1024
SLICE_BYTES = 256 * 1024
# What is larger than this was one write of a single item, which bypasses Go's buffer.
BIG_WRITE = 4 * WRITE_BYTES
# A reader that keeps up never blocks the writer, so others get a turn after this much.
TURN_BYTES = 1 << 20


async def assemble(pieces: Iterable[bytes]) -> list[bytes]:
    """Hold the whole body, in parts as they will be written.

    One buffer would have to grow, or be copied from the parts: 1,000 MB/s against 1,650 for the list, whose peak is
    the body itself.
    """
    return [bytes(part) async for part in paced(coalesced(pieces))]


def slices(body: bytes) -> Iterator[memoryview]:
    """Return a whole body, cut for writing without a second copy of it."""
    view = memoryview(body)
    return (view[start : start + SLICE_BYTES] for start in range(0, len(view), SLICE_BYTES))


def coalesced(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces gathered into writes; an empty one where a scan made progress without finding anything."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= WRITE_BYTES:
            yield b"".join(held)
            held.clear()
            size = 0
        elif not piece:
            yield b""
    if held:
        yield b"".join(held)


async def paced(parts: Iterable[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """Return the parts that have bytes, giving other requests a turn now and then."""
    since = 0
    for part in parts:
        since += len(part)
        if since >= TURN_BYTES or not part:
            since = 0
            await asyncio.sleep(0)
        if part:
            yield part


class Response(web.StreamResponse):
    """A response that can bring its own chunks."""

    def frame_by_hand(self) -> None:
        """Announce chunks; aiohttp would else make one of each write."""
        self.headers["Transfer-Encoding"] = "chunked"
        self._length_check = False


async def send(
    request: web.BaseRequest,
    response: Response,
    parts: Iterable[bytes | memoryview],
    *,
    gzip: bool,
    small_writes: bool = False,
) -> Response:
    """Write a body with the framing that a Go server would pick.

    `small_writes` says that the handler writes item by item: Go's net/http then makes a chunk whenever its buffer of
    2 KiB is full, where one large write makes one large chunk.
    """
    source = paced(parts)
    threshold = GZIP_FROM + 1 if gzip else GO_BUFFER
    head: list[bytes | memoryview] = []
    async for part in source:
        head.append(part)
        if sum(map(len, head)) >= threshold:
            break
    size = sum(map(len, head))
    if gzip and size > GZIP_FROM:
        content_type = response.headers.pop("Content-Type")
        # Go prints headers sorted.
        response.headers.update({"Content-Encoding": "gzip", "Content-Type": content_type, "Vary": "Accept-Encoding"})
        source = compressed(chained(head, source))
        head = []
    elif size < GO_BUFFER:
        response.content_length = size
    elif small_writes and request.version >= HttpVersion11:
        response.frame_by_hand()
        source = small_chunks(chained(head, source))
        head = []
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    async for part in chained(head, source):
        await response.write(part)
    await response.write_eof()
    return response


async def chained(
    head: Iterable[bytes | memoryview], tail: AsyncIterator[bytes | memoryview]
) -> AsyncIterator[bytes | memoryview]:
    """Return what has been read ahead, then the rest."""
    for part in head:
        yield part
    async for part in tail:
        yield part


async def small_chunks(parts: AsyncIterator[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """Return the parts in chunks of Go's buffer size, and the last chunk."""
    async for part in parts:
        size = GO_BUFFER if len(part) < BIG_WRITE else len(part)
        framed: list[bytes | memoryview] = []
        for start in range(0, len(part), size):
            piece = part[start : start + size]
            framed += (b"%x\r\n" % len(piece), piece, b"\r\n")
        yield b"".join(framed)
    yield b"0\r\n\r\n"


async def compressed(parts: AsyncIterator[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """One gzip member."""
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WBITS)
    async for part in parts:
        if squeezed := compressor.compress(part):
            yield squeezed
    yield compressor.flush()
