"""What can be wrong with a response, as a table: what a server does, and where in a response that makes sense."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.fakes.apiserver import chunk
from tests.fakes.paged import status
from tests.faults.messages import CLOSE, LAST_CHUNK, PAUSE, RESET, STALL, Framing, Message, Position, Step

BEFORE, HEAD, START, ITEM, BETWEEN, TAIL, LAST = Position
ANYWHERE = tuple(Position)
IN_BODY = (START, ITEM, BETWEEN, TAIL, LAST)
IN_DOCUMENT = (START, ITEM, BETWEEN, TAIL)

HEADER_BYTES = 64 << 10
"""The proxy's limit on a head, by its settings here: small, so that too large a one is soon sent."""

HALF_ENCODED = (
    b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
    b'"message":"json: unsupported value: NaN","code":500}\n'
)
"""What a server from 1.33 on appends where it fails to encode an item (KEP-5116): the framing ends cleanly."""

NO_HTTP = b"SSH-2.0-OpenSSH_9.7\r\n\x00\x01\xff\r\n\r\n"


Needs = Literal["patience", "impatience", "loneliness"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its steps, where it is tried, and why not elsewhere.

    `intact` is where HTTP's framing stays whole, so that who only looks at that cannot tell. A `harmless` one must end
    in the exact List. One that `heals` is such that a page which it befalls once is asked for again, with that end.
    `needs` is what a proxy has to be like for it: without anybody to ask, or soon out of patience.
    """

    name: str
    steps: Callable[[Message], list[Step]]
    positions: tuple[Position, ...]
    elsewhere: str = ""
    intact: tuple[Position, ...] = ()
    harmless: bool = False
    heals: bool = False
    needs: Needs = "patience"


def ends(how: Step, framing: Framing = "chunked") -> Callable[[Message], list[Step]]:
    """Send everything up to the position, then end."""
    return lambda message: [*sends(message.until(framing)), PAUSE, how]


def sends(*pieces: bytes) -> list[Step]:
    """Send what is not empty, with pauses between."""
    steps: list[Step] = []
    for piece in filter(None, pieces):
        steps += [PAUSE, Step("send", piece)] if steps else [Step("send", piece)]
    return steps


def trickle(message: Message) -> list[Step]:
    """Send the rest slowly, but faster than the proxy's patience ends."""
    return [*sends(message.until()), Step("trickle", message.rest())]


def garbage(message: Message) -> list[Step]:
    """Send bytes that are neither HTTP nor JSON: in place of the former, or in between of the latter."""
    match message.position:
        case Position.BEFORE:
            return [*sends(NO_HTTP), CLOSE]
        case Position.HEAD:
            return sends(message.until() + b"\r\n\x00 no name : \r\n" + message.rest())
        case Position.LAST:
            return [*sends(message.until(), NO_HTTP), CLOSE]
        case _:
            return sends(message.begun(), message.chunks(b"\x00]}\xff{", message.document[message.at :]))


def bad_chunk(message: Message) -> list[Step]:
    """Send a chunk whose size is no number."""
    return sends(message.begun(), b"xyz\r\n" + message.document[message.at :] + b"\r\n" + LAST_CHUNK)


def overrun(message: Message) -> list[Step]:
    """Send more in a chunk than it announces."""
    at = message.at
    behind = message.document[at:] or b"one more"
    return sends(message.head() + b"%x\r\n" % at + message.document[:at], behind + b"\r\n" + LAST_CHUNK)


def has_head(*lines: tuple[bytes, bytes], framing: Framing = "chunked") -> Callable[[Message], list[Step]]:
    """Send the List behind another head; a body that is counted may be announced by `lines` alone."""

    def steps(message: Message) -> list[Step]:
        body = chunk(message.document) + LAST_CHUNK if framing == "chunked" else message.document
        told = tuple((name, value.replace(b"SIZE", b"%d" % len(message.document))) for name, value in lines)
        return sends(message.head(framing, *told) + body)

    return steps


def short_length(message: Message) -> list[Step]:
    """Announce no more than what stands before the position, and send everything.

    Together: what comes when the connection carries the next request is an answer to that by all that HTTP tells.
    """
    return sends(message.head("counted", length=message.at) + message.document)


def long_length(how: Step) -> Callable[[Message], list[Step]]:
    """Announce more than there is."""
    return lambda message: [
        *sends(message.head("counted", length=len(message.document) + 10) + message.document),
        PAUSE,
        how,
    ]


def damaged_gzip(message: Message) -> list[Step]:
    """Send the List encoded, though nobody has asked for it, with one byte of the stream changed."""
    packed = bytearray(gzip.compress(message.document, mtime=0))
    at = {START: 0, ITEM: len(packed) // 2, TAIL: len(packed) - 8}[message.position]
    packed[at] ^= 0xFF
    return sends(message.head("chunked", (b"Content-Encoding", b"gzip")) + chunk(bytes(packed)) + LAST_CHUNK)


def says_status(message: Message) -> list[Step]:
    """Break off, append a Status, end cleanly."""
    return sends(message.begun(), message.chunks(HALF_ENCODED))


def broken_utf8(message: Message) -> list[Step]:
    """Send half of a character inside a string."""
    return sends(message.begun(), message.chunks(b"\xc3", message.document[message.at :]))


NO_BODY_YET = "is about a body"
HEAD_ALONE = "is about the head alone"

FAULTS = (
    Fault("refuse", lambda _: [], (BEFORE,), "a connection that has been made can no longer be refused",
          needs="loneliness"),
    Fault("reset", ends(RESET), ANYWHERE, heals=True),
    Fault("reset, unframed", ends(RESET, "unframed"), IN_BODY, "is reset, as there is no body yet", heals=True),
    Fault("close", ends(CLOSE), ANYWHERE, heals=True),
    Fault("close, counted", ends(CLOSE, "counted"), IN_DOCUMENT, "is close, or how such a body ends", heals=True),
    Fault(
        *("close, unframed", ends(CLOSE, "unframed"), IN_DOCUMENT, "is close, or how such a body ends"),
        intact=IN_DOCUMENT,
        heals=True,
    ),
    Fault("stall", ends(STALL), ANYWHERE, needs="impatience"),
    Fault("stall, counted", ends(STALL, "counted"), IN_DOCUMENT, "is stall, or how such a body ends",
          needs="impatience"),
    Fault("trickle", trickle, ANYWHERE, harmless=True),
    Fault("garbage", garbage, ANYWHERE, intact=IN_DOCUMENT),
    Fault("bad chunk", bad_chunk, IN_BODY, NO_BODY_YET),
    Fault("chunk overrun", overrun, (ITEM, BETWEEN, TAIL, LAST), "is about a chunk that has begun"),
    Fault("short length", short_length, IN_DOCUMENT, NO_BODY_YET + "; without its newline it is the same List",
          intact=IN_DOCUMENT),
    Fault("long length", long_length(CLOSE), (LAST,), "is close, counted", heals=True),
    Fault("long length, stall", long_length(STALL), (LAST,), "is stall, counted", needs="impatience"),
    Fault("two lengths", has_head((b"Content-Length", b"1"), framing="counted"), (HEAD,), HEAD_ALONE),
    Fault("bad length", has_head((b"Content-Length", b"-1"), framing="unframed"), (HEAD,), HEAD_ALONE),
    Fault("both framings", has_head((b"Content-Length", b"SIZE")), (HEAD,), HEAD_ALONE),
    Fault("unknown coding", has_head((b"Transfer-Encoding", b"br")), (HEAD,), HEAD_ALONE),
    Fault("huge head", has_head(*[(b"X-Pad", b"x" * 1000)] * (2 * HEADER_BYTES // 1000)), (HEAD,), HEAD_ALONE),
    Fault("large head", has_head(*[(b"X-Pad", b"x" * 1000)] * 20), (HEAD,), HEAD_ALONE, harmless=True),
    Fault("huge trailer", lambda message: sends(message.until(), b"0\r\n" + b"X-Pad: %b\r\n" % (b"x" * 3 * HEADER_BYTES)
          + b"\r\n"), (LAST,), "is about what follows the last chunk"),
    Fault("damaged gzip", damaged_gzip, (START, ITEM, TAIL), "is about an encoded stream: its magic, data and checksum",
          intact=(START, ITEM, TAIL)),
    Fault("Status in the middle", says_status, (ITEM, BETWEEN, TAIL, LAST), "before any of a List it is an answer",
          intact=(ITEM, BETWEEN, TAIL, LAST)),
    Fault("clean end", lambda message: sends(message.begun(), message.chunks()), IN_DOCUMENT,
          NO_BODY_YET + "; behind its document it is the proper end", intact=IN_DOCUMENT, heals=True),
    Fault("broken UTF-8", broken_utf8, (ITEM,), "is about a string", intact=(ITEM,)),
    Fault("500", lambda _: sends(status(b"500 Internal Server Error", b"etcdserver: leader changed")), (BEFORE,),
          "a status comes once"),
    Fault("interim answers", lambda message: sends(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3,
          message.whole()), (BEFORE,), "are before the head by definition", harmless=True),
    Fault("second answer", lambda message: sends(message.whole() + status(b"200 OK", b"nobody has asked")), (LAST,),
          "stands behind the first", harmless=True),
)  # fmt: skip
