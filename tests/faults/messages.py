"""One response as it would be without a fault, and what a server does instead: steps, down to the byte."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from tests.fakes.apiserver import JSON_LINES, chunk, response
from tests.fakes.wire import Lines, parse_head


class Position(Enum):
    """Where in a response a fault is, in the order of its bytes; the value is what people read."""

    BEFORE = "before the head"
    HEAD = "in the head"
    START = "behind the head"
    ITEM = "inside an item"
    BETWEEN = "between items"
    TAIL = "in the tail"
    LAST = "before the last chunk"


Framing = Literal["chunked", "counted", "unframed"]
"""How the end of a body is told: by chunks, by a Content-Length, by the end of the connection."""


class Step(NamedTuple):
    """What a server does next. ``pause`` gives what was sent before the time to be read and passed on."""

    kind: Literal["send", "trickle", "pause", "close", "reset", "stall"]
    data: bytes = b""

    def __str__(self) -> str:
        """Return what people read, long data shortened."""
        if not self.data:
            return self.kind
        shown = repr(self.data) if len(self.data) <= 200 else f"{self.data[:90]!r} ... {self.data[-90:]!r}"
        return f"{self.kind} {len(self.data)} bytes {shown}"


PAUSE, CLOSE, RESET, STALL = Step("pause"), Step("close"), Step("reset"), Step("stall")
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """A List as a server would send it. The fault is at a `position`, which is `at` in the `document`."""

    document: bytes
    position: Position
    at: int

    @classmethod
    def of(cls, document: bytes, items: tuple[bytes, ...], position: Position) -> "Message":
        """Find a position in a document by its items, which occur in it once each."""
        middle = items[len(items) // 2]
        start, end = document.index(middle), document.index(items[-1]) + len(items[-1])
        places = {
            Position.ITEM: start + len(middle) // 2,
            Position.BETWEEN: start,
            Position.TAIL: end + 1,
            Position.LAST: len(document),
        }
        return cls(document, position, places.get(position, 0))

    def head(self, framing: Framing = "chunked", *more: tuple[bytes, bytes], length: int | None = None) -> bytes:
        """Return the head of a 200; `length` is what a Content-Length says instead of the truth."""
        lines: Lines = [*JSON_LINES, *more]
        if framing == "chunked":
            lines.append((b"Transfer-Encoding", b"chunked"))
        elif framing == "counted":
            lines.append((b"Content-Length", b"%d" % (len(self.document) if length is None else length)))
        return response(lines=lines, framing="none")

    def whole(self, framing: Framing = "chunked") -> bytes:
        """Return the response without a fault."""
        body = chunk(self.document) + LAST_CHUNK if framing == "chunked" else self.document
        return self.head(framing) + body

    def until(self, framing: Framing = "chunked") -> bytes:
        """Return the response up to the position; a chunk that it is in has announced the whole document."""
        head = self.head(framing)
        match self.position:
            case Position.BEFORE:
                return b""
            case Position.HEAD:
                return head[: len(head) // 2]
            case Position.START:
                return head
        if framing != "chunked":
            return head + self.document[: self.at]
        if self.position is Position.LAST:
            return head + chunk(self.document)
        return head + b"%x\r\n" % len(self.document) + self.document[: self.at]

    def rest(self, framing: Framing = "chunked") -> bytes:
        """Return what follows `until`."""
        return self.whole(framing)[len(self.until(framing)) :]

    def begun(self) -> bytes:
        """Return head and document up to the position, in a chunk that ends there."""
        return self.head() + (chunk(self.document[: self.at]) if self.at else b"")

    def chunks(self, *pieces: bytes) -> bytes:
        """Return chunks, less those that would be empty, and the last one."""
        return b"".join(map(chunk, filter(None, pieces))) + LAST_CHUNK


def body_in(steps: list[Step]) -> bytes:
    """Return the body of a response whose framing is whole, as it was sent."""
    head, _, body = b"".join(step.data for step in steps).partition(b"\r\n\r\n")
    _, lines = parse_head(head)
    fields = {name.lower(): value for name, value in lines}
    if length := fields.get(b"content-length"):
        return body[: int(length)]
    if b"transfer-encoding" not in fields:
        return body
    content = b""
    while size := int((line := body.partition(b"\r\n"))[0], 16):
        content += line[2][:size]
        body = line[2][size + 2 :]
    return content
