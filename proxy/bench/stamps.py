"""An upstream that says in each event of a watch when it has left; its Lists are ready bytes, and cost it little.

Run as ``python -m proxy.bench.stamps``. ``/api/v1/pods`` lists pods that are all alike, as a whole or in pages; with
``watch`` it sends an event every so often, straight to the socket. A server that makes its Lists while it watches would
be late itself, and nobody could tell whose delay that is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import uvloop

from proxy.bench.servers import ENCODERS, STREAMING

READY = "kube-restream backend ready on http://127.0.0.1:{}"
PATH = "/api/v1/pods"
BLOCK_BYTES = 256 << 10
CHUNK_BYTES = 2048  # what Go's net/http makes of items that are written one by one
PHASE = 0.618  # of an interval: no two watches have their events at once
HEAD = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"%b},"items":['
MORE = b',"continue":"%d","remainingItemCount":%d'
TAIL = b"]}\n"
POD = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"alike","annotations":{"sent":"%020d","note":"%b"}}}'
EVENT = b'{"type":"MODIFIED","object":%b}\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def pod(size: int, sent: int = 0) -> bytes:
    """Return a pod of about so many bytes, sent at a time in ns of CLOCK_MONOTONIC."""
    return POD % (sent, b"x" * max(0, size - len(POD)))


def chunk(body: bytes) -> bytes:
    """Frame a body as one chunk."""
    return b"%x\r\n%b\r\n" % (len(body), body)


class Upstream:
    """The server. `interval` is in seconds, between two events of one watch."""

    def __init__(self, items: int, item_bytes: int, interval: float, encoder: str) -> None:
        self._items = items
        self._item_bytes = item_bytes
        self._interval = interval
        self._is_streaming = encoder == STREAMING
        self._item = pod(item_bytes)
        self._many = max(1, BLOCK_BYTES // item_bytes)
        self._block = self._framed((self._item + b",") * self._many)
        self._watches = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, until it ends."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = urlsplit(head.split(b" ", 2)[1].decode())
                query = parse_qs(target.query, keep_blank_values=True)
                if target.path != PATH:
                    body = b'{"major":"1","minor":"34","gitVersion":"v1.34.0"}'
                    writer.write(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
                elif "watch" in query:
                    await self._watch(writer.get_extra_info("socket").fileno())
                else:
                    first = int(query.get("continue", ["0"])[0])
                    async for piece in self._list(first, int(query.get("limit", ["0"])[0]) or self._items):
                        writer.write(piece)
                        await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # who asked has left
        finally:
            writer.close()

    async def _list(self, first: int, limit: int) -> AsyncIterator[bytes]:
        left = min(limit, self._items - first)
        after = self._items - first - left
        more = MORE % (first + left, after) if after else b""
        blocks, rest = divmod(left - 1, self._many)  # the last item has no comma behind it
        head, end = HEAD % more, (self._item + b",") * rest + self._item + TAIL
        if self._is_streaming:
            yield OK + CHUNKED
        else:
            size = len(head) + blocks * len(self._block) + len(end)
            yield OK + b"Content-Length: %d\r\n\r\n" % size
        yield self._framed(head)
        for _ in range(blocks):
            yield self._block
        yield self._framed(end) + (b"0\r\n\r\n" if self._is_streaming else b"")

    def _framed(self, body: bytes) -> bytes:
        return b"".join(map(chunk, _cut(body))) if self._is_streaming else body

    async def _watch(self, descriptor: int) -> None:
        """Send events. The loop would keep them until its turn is over, so they go past it."""
        loop = asyncio.get_running_loop()
        os.write(descriptor, OK + CHUNKED)
        due = loop.time() + self._watches * PHASE % 1 * self._interval
        self._watches += 1
        while True:
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())
            event = chunk(EVENT % pod(self._item_bytes, time.monotonic_ns()))
            if os.write(descriptor, event) < len(event):
                raise BlockingIOError("a watch is not read")


def _cut(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK_BYTES):
        yield body[start : start + CHUNK_BYTES]


async def main(args: argparse.Namespace) -> None:
    """Listen, and say so."""
    upstream = Upstream(args.items, args.item_bytes, args.interval, args.encoder)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    print(READY.format(server.sockets[0].getsockname()[1]), flush=True)
    await server.serve_forever()


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--item-bytes", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--encoder", choices=ENCODERS, default=STREAMING)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    uvloop.run(main(parse(sys.argv[1:])))
