"""What listens inside of a pod: an echo on port 7, a little HTTP on port 80 and on every port that it declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from proxy.backend.streams.pipes import Sink, Source
from proxy.backend.streams.pods import Pod

ECHO_PORT = 7
HTTP_PORT = 80
HEAD_BYTES = 64 * 1024
BODY_BYTES = 32 << 20

Service = Callable[[Source, Sink], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the little HTTP service."""

    code: int
    body: bytes


def page(pod: Pod, port: int, method: str, path: str, body: bytes) -> Page:
    """Answer: a line about the request, or what it brought."""
    if path.startswith("/missing"):
        return Page(404, b"nothing here\n")
    if body:
        return Page(200, body)
    return Page(200, f"{pod.metadata.name}:{port} {method} {path}\n".encode())


def refusal(pod: Pod, port: int) -> bytes:
    """Return a container runtime's text for a port on which nothing listens."""
    namespace = f'failed to connect to localhost:{port} inside namespace "{pod.metadata.uid}"'
    cause = f"IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused"
    return f"error forwarding port {port} to pod {pod.metadata.uid}, uid : {namespace}, {cause}".encode()


def find(pod: Pod, port: int) -> Service | None:
    """Return what listens on a port."""
    if port == ECHO_PORT:
        return echo
    if not listens(pod, port):
        return None

    async def serve(source: Source, sink: Sink) -> None:
        await Http(pod, port, source, sink).serve()

    return serve


def listens(pod: Pod, port: int) -> bool:
    """Return whether the HTTP service listens on a port."""
    return port == HTTP_PORT or port in pod.ports.values()


async def echo(source: Source, sink: Sink) -> None:
    """Send everything back, and end when the client does."""
    while data := await source.read():
        await sink(data)


class Http:
    """HTTP/1.1 over one connection."""

    def __init__(self, pod: Pod, port: int, source: Source, sink: Sink) -> None:
        self.pod = pod
        self.port = port
        self.source = source
        self.sink = sink
        self.held = b""

    async def serve(self) -> None:
        """Answer request after request."""
        while (head := await self.head()) is not None:
            first, *lines = head.split("\r\n")
            method, _, rest = first.partition(" ")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = headers.get("content-length", "0")
            if not rest or not length.isdecimal() or len(length) > 8 or int(length) > BODY_BYTES:
                await self.send(Page(400, b"bad request\n"), close=True)
                return
            body = await self.body(int(length))
            close = headers.get("connection", "").lower() == "close" or rest.endswith("HTTP/1.0")
            answer = page(self.pod, self.port, method, rest.partition(" ")[0], body)
            await self.send(answer, close=close, head=method == "HEAD")
            if close:
                return

    async def head(self) -> str | None:
        """Return the head of the next request."""
        while b"\r\n\r\n" not in self.held:
            data = await self.source.read()
            if not data or len(self.held) > HEAD_BYTES:
                return None
            self.held += data
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        return head.decode(errors="replace")

    async def body(self, length: int) -> bytes:
        """Return the body of a request."""
        parts = [self.held]
        size = len(self.held)
        while size < length and (data := await self.source.read()):
            parts.append(data)
            size += len(data)
        everything = b"".join(parts)
        self.held = everything[length:]
        return everything[:length]

    async def send(self, answer: Page, *, close: bool, head: bool = False) -> None:
        """Send an answer."""
        lines = [
            f"HTTP/1.1 {answer.code} {HTTPStatus(answer.code).phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(answer.body)}",
        ]
        text = "\r\n".join(lines + ["Connection: close"] * close) + "\r\n\r\n"
        await self.sink(text.encode() + (b"" if head else answer.body))
