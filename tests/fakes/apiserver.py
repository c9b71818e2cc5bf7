"""A scripted upstream: a real server on 127.0.0.1 that answers each request with whatever bytes a test wants.

A script is a coroutine that gets an `Exchange`, which holds the request exactly as it came and can send, stall, end or
reset at any byte. When the script returns, the connection waits for its next request unless it was closed.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from tests.fakes.wire import Lines, Wire, WireEndedError, parse_head

SMALL_LIST = (
    b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":['
    b'{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}\n'
)
DISCOVERY = (b"/version", b"/apis/apiregistration.k8s.io/v1/apiservices", b"/readyz")
WAY = frozenset({b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"Via"})
"""What the proxy says of the way that a request has come."""
JSON_LINES: Lines = [(b"Audit-Id", b"0e1f"), (b"Content-Type", b"application/json")]


@dataclass(slots=True)
class Exchange:
    """One request that has arrived, and the connection to answer it on."""

    connection: Wire
    number: int
    head: bytes
    method: str
    target: bytes
    lines: Lines
    content: bytes | None = field(default=None)
    raw_content: bytes = field(default=b"")

    @property
    def is_discovery(self) -> bool:
        """Whether it is a question of the proxy's own, which no client's Host and Accept alone look like."""
        names = [name for name, _ in self.lines if name != b"Authorization"]
        return names == [b"Host", b"Accept"] and self.target.endswith(DISCOVERY)

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all header lines called `name`."""
        return [value for key, value in self.lines if key.lower() == name.lower()]

    @property
    def others(self) -> Lines:
        """Return the lines that are not the proxy's own Host and what it says of the way."""
        assert self.lines[0][0] == b"Host"
        assert self.values(b"via")[-1].endswith(b" kube-restream")
        return [line for line in self.lines[1:] if line[0] not in WAY]

    async def body(self) -> bytes:
        """Read the request's body to its end."""
        if self.content is None:
            if self.values(b"transfer-encoding"):
                self.content = await self._chunked()
            else:
                length = self.values(b"content-length")
                self.content = await self.connection.read_exactly(int(length[0])) if length else b""
                self.raw_content = self.content
        return self.content

    async def _chunked(self) -> bytes:
        content, raw = bytearray(), bytearray()
        while True:
            line = await self.connection.read_until(b"\r\n")
            size = int(line[:-2], 16)
            chunk = await self.connection.read_exactly(size + 2)
            raw += line + chunk
            content += chunk[:-2]
            if size == 0:
                self.raw_content = bytes(raw)
                return bytes(content)

    async def send(self, *pieces: bytes) -> None:
        """Send each of `pieces` with a write of its own."""
        await self.connection.send(*pieces)

    def close(self) -> None:
        """End the connection with a FIN."""
        self.connection.close()

    def reset(self) -> None:
        """End the connection with an RST."""
        self.connection.reset()

    async def wait_closed(self) -> None:
        """Wait until the proxy has closed the connection."""
        await self.connection.until(lambda: self.connection.has_ended)


Script = Callable[[Exchange], Awaitable[None]]


async def answer_small_list(exchange: Exchange) -> None:
    """Take the whole request, then answer with a List of two pods."""
    await exchange.body()
    await exchange.send(response(SMALL_LIST))


class Apiserver:
    """The server. `script` may be exchanged at any time; `exchanges` and `connections` remember everything.

    What the proxy itself asks, it answers beside the script: as a server of version 1.`minor` that does not tell which
    groups are aggregated, or (None) as one that tells nothing. `version`, `api_services` and `readyz` may be exchanged
    as well, and are not sent where they are empty; `checks` counts the requests for the latter.
    """

    def __init__(
        self,
        script: Script = answer_small_list,
        *,
        minor: int | None = 34,
        tls: ssl.SSLContext | None = None,
        send_buffer: int | None = None,
        port: int = 0,
    ) -> None:
        self.script = script
        self.version = _version(minor)
        self.api_services = _version(None)
        self.readyz = response(b"ok", lines=[(b"Content-Type", b"text/plain; charset=utf-8")])
        self.checks = 0
        self.exchanges: list[Exchange] = []
        self.connections: list[Wire] = []
        self.problems: list[BaseException] = []
        self.port = port
        self._tls = tls
        self._send_buffer = send_buffer
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> list[Wire]:
        """Return the connections that the proxy has not closed."""
        return [wire for wire in self.connections if not wire.has_ended]

    async def __aenter__(self) -> Self:
        """Start to listen."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if self._send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=listener, ssl=self._tls, backlog=512)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, drop every connection, and let no script's own mistake go unnoticed."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for wire in self.connections:
            if wire.is_made and not wire.is_lost:  # a failed TLS handshake makes none
                wire.reset()
                await wire.until(lambda wire=wire: wire.is_lost)  # type: ignore[misc]  # mypy cannot type the default
        assert not self.problems, self.problems

    async def die(self) -> None:
        """End as a process that is killed: nobody listens any more, and every connection is reset."""
        assert self._server is not None
        loop = asyncio.get_running_loop()
        for listener in self._server.sockets:
            loop.remove_reader(listener.fileno())
        for _ in range(2):
            await asyncio.sleep(0)  # asyncio's server must not be closed between an accept and its transport
        self._server.close()
        for wire in self.connections:
            wire.reset()

    async def wait_for_exchanges(self, count: int) -> Exchange:
        """Wait until `count` requests have arrived; return the last of them."""
        async with self._arrived, asyncio.timeout(30):
            await self._arrived.wait_for(lambda: len(self.exchanges) >= count)
        return self.exchanges[count - 1]

    def _accept(self) -> Wire:
        wire = Wire()
        self.connections.append(wire)
        task = asyncio.get_running_loop().create_task(self._serve(wire, len(self.connections)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return wire

    async def _serve(self, wire: Wire, number: int) -> None:
        try:
            while not wire.has_ended:
                exchange = await self._receive(wire, number)
                if exchange.is_discovery:
                    await self._answer_discovery(exchange)
                    continue
                await self._remember(exchange)
                await self.script(exchange)
                await exchange.body()
        except WireEndedError:
            pass
        except Exception as error:
            self.problems.append(error)
        wire.close()

    async def _answer_discovery(self, exchange: Exchange) -> None:
        kind = exchange.target.rpartition(b"/")[2]
        self.checks += kind == b"readyz"
        answer = {b"version": self.version, b"readyz": self.readyz}.get(kind, self.api_services)
        if not answer:
            await exchange.wait_closed()
        await exchange.send(answer)

    async def _receive(self, wire: Wire, number: int) -> Exchange:
        head = await wire.read_until(b"\r\n\r\n")
        first_line, lines = parse_head(head)
        method, target, version = first_line.split(b" ")
        assert version == b"HTTP/1.1", first_line
        return Exchange(wire, number, head, method.decode(), target, lines)

    async def _remember(self, exchange: Exchange) -> None:
        async with self._arrived:
            self.exchanges.append(exchange)
            self._arrived.notify_all()


def _version(minor: int | None) -> bytes:
    if minor is None:
        return response(b"forbidden\n", status=b"403 Forbidden", lines=[(b"Content-Type", b"text/plain")])
    return response(b'{\n  "major": "1",\n  "minor": "%d"\n}' % minor)


def response(
    body: bytes = b"",
    *,
    status: bytes = b"200 OK",
    lines: Lines = JSON_LINES,
    framing: str = "length",
    chunk_size: int | None = None,
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """Write a whole response; `framing` is ``length``, ``chunked``, ``close`` (none) or ``none``."""
    head = [version + b" " + status, *(name + b": " + value for name, value in lines)]
    if framing == "length":
        head.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        head.append(b"Transfer-Encoding: chunked")
        body = chunked(cut(body, chunk_size or max(1, len(body))))
    return b"\r\n".join([*head, b"", b""]) + body


def chunked(pieces: Iterable[bytes]) -> bytes:
    """Frame `pieces` as chunks, with the last one."""
    return b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """Frame one chunk."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def cut(data: bytes, size: int) -> list[bytes]:
    """Cut `data` into pieces of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def script(*pieces: bytes, close: bool = False) -> Script:
    """Make a script that sends `pieces` and, with `close`, ends the connection."""

    async def play(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.send(*pieces)
        if close:
            exchange.close()

    return play
