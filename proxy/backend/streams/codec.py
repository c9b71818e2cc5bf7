"""SPDY/3.1 without IO: bytes in any chunks to frames, and frames to bytes.

Header blocks share one zlib stream a direction, so frames have to be decoded, and written, in the order in which they
were encoded. Content of data frames comes out in the pieces in which it arrived, so that no frame is ever held.
Flow control is read and not acted upon, as by every client and server of Kubernetes (moby/spdystream).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct, error, pack

from proxy.backend.streams.dictionary import DICTIONARY
from proxy.backend.streams.frames import (
    Data,
    Frame,
    GoAway,
    Headers,
    Ping,
    Reset,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
)

VERSION = 3
CONTROL = 0x80000000
STREAM_MASK = 0x7FFFFFFF
FIN = 0x01
# A Kubernetes client sends three short header lines; anything that comes near this isn't one.
CONTROL_LIMIT = 64 * 1024
# What a data frame can say of its length.
DATA_LIMIT = (1 << 24) - 1


HEAD = Struct(">II")
NUMBER = Struct(">I")
SYN_HEAD = Struct(">IIBB")


class Kind(IntEnum):
    """Types of control frames."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class SpdyError(Exception):
    """Bytes that aren't SPDY/3.1; the connection is of no use any more."""


class Unknown:
    """A frame that nobody needs to know of."""


class Encoder:
    """Frames to bytes, for one direction of a connection."""

    def __init__(self) -> None:
        self.compressor = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """Return the bytes of a frame."""
        match frame:
            case Data(stream, data, fin):
                if len(data) > DATA_LIMIT:
                    raise ValueError("too much for one frame")
                return HEAD.pack(stream, fin << 24 | len(data)) + data
            case SynStream(stream, headers, fin, associated, priority):
                head = SYN_HEAD.pack(stream, associated, priority << 5, 0)
                return control(Kind.SYN_STREAM, head + self.block(headers), fin=fin)
            case SynReply(stream, headers, fin):
                return control(Kind.SYN_REPLY, NUMBER.pack(stream) + self.block(headers), fin=fin)
            case Headers(stream, headers, fin):
                return control(Kind.HEADERS, NUMBER.pack(stream) + self.block(headers), fin=fin)
            case _:
                return encode_fixed(frame)

    def block(self, headers: Mapping[str, str]) -> bytes:
        """Compress header lines; several values of one name are separated by NUL."""
        parts = [NUMBER.pack(len(headers))]
        for line in headers.items():
            for text in line:
                encoded = text.encode()
                parts += (NUMBER.pack(len(encoded)), encoded)
        return self.compressor.compress(b"".join(parts)) + self.compressor.flush(zlib.Z_SYNC_FLUSH)


def control(kind: Kind, body: bytes, *, fin: bool = False) -> bytes:
    """Return a control frame."""
    return HEAD.pack(CONTROL | VERSION << 16 | kind, fin << 24 | len(body)) + body


def encode_fixed(frame: Reset | Settings | Ping | GoAway | WindowUpdate) -> bytes:
    """Return a control frame without headers."""
    match frame:
        case Reset(stream, status):
            return control(Kind.RST_STREAM, pack(">II", stream, status))
        case Ping(number):
            return control(Kind.PING, pack(">I", number))
        case GoAway(last_stream, status):
            return control(Kind.GOAWAY, pack(">II", last_stream, status))
        case WindowUpdate(stream, delta):
            return control(Kind.WINDOW_UPDATE, pack(">II", stream, delta))
        case Settings(entries):
            return control(Kind.SETTINGS, pack(">I", len(entries)) + b"".join(pack(">II", *entry) for entry in entries))


class Decoder:
    """Bytes to frames, for one direction of a connection."""

    def __init__(self) -> None:
        self.decompressor = zlib.decompressobj(zdict=DICTIONARY)
        self.held = bytearray()
        # The data frame that is under way: its stream, what is missing, and whether it is the last.
        self.stream = 0
        self.missing = 0
        self.fin = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete, and what there is of data; the iterator has to be exhausted."""
        self.held += data
        while True:
            if self.missing:
                if not self.held:
                    return
                yield self.piece()
            elif (frame := self.next_frame()) is None:
                return
            elif not isinstance(frame, Unknown):
                yield frame

    def piece(self) -> Data:
        """Return what there is of a data frame."""
        taken = bytes(self.held[: self.missing])
        del self.held[: len(taken)]
        self.missing -= len(taken)
        return Data(self.stream, taken, self.fin and not self.missing)

    def next_frame(self) -> Frame | Unknown | None:
        """Take one frame off, if it is complete; of a data frame the head."""
        if len(self.held) < HEAD.size:
            return None
        first, second = HEAD.unpack_from(self.held)
        flags, length = second >> 24, second & DATA_LIMIT
        if not first & CONTROL:
            return self.begin_data(first, length, fin=bool(flags & FIN))
        if first >> 16 & 0x7FFF != VERSION:
            raise SpdyError(f"version {first >> 16 & 0x7FFF}")
        if length > CONTROL_LIMIT:
            raise SpdyError(f"a control frame of {length} bytes")
        end = HEAD.size + length
        if len(self.held) < end:
            return None
        body = bytes(self.held[HEAD.size : end])
        del self.held[:end]
        try:
            return self.decode(first & 0xFFFF, body, fin=bool(flags & FIN))
        except (error, zlib.error, UnicodeDecodeError) as fault:
            raise SpdyError(str(fault)) from fault

    def begin_data(self, stream: int, length: int, *, fin: bool) -> Data | Unknown:
        """Note what a data frame's head says; one without content is complete."""
        if not stream:
            raise SpdyError("data without a stream")
        del self.held[: HEAD.size]
        self.stream, self.missing, self.fin = stream, length, fin
        return Unknown() if length else Data(stream, b"", fin)

    def decode(self, kind: int, body: bytes, *, fin: bool) -> Frame | Unknown:
        """Decode a control frame."""
        match kind:
            case Kind.SYN_STREAM:
                stream, associated, priority, _ = SYN_HEAD.unpack_from(body)
                headers = self.headers(body[SYN_HEAD.size :])
                return SynStream(named(stream), headers, fin, associated & STREAM_MASK, priority >> 5)
            case Kind.SYN_REPLY:
                return SynReply(named(*NUMBER.unpack_from(body)), self.headers(body[NUMBER.size :]), fin)
            case Kind.HEADERS:
                return Headers(named(*NUMBER.unpack_from(body)), self.headers(body[NUMBER.size :]), fin)
            case _:
                return decode_fixed(kind, body)

    def headers(self, block: bytes) -> dict[str, str]:
        """Decompress a block of header lines."""
        text = self.decompressor.decompress(block, CONTROL_LIMIT)
        if self.decompressor.unconsumed_tail:
            raise SpdyError("too many headers")
        (count,) = NUMBER.unpack_from(text)
        position = NUMBER.size
        headers: dict[str, str] = {}
        for _ in range(count):
            name, position = counted(text, position)
            value, position = counted(text, position)
            if name in headers or name != name.lower():
                raise SpdyError(f"header {name!r}")
            headers[name] = value
        if position != len(text):
            raise SpdyError("more than headers")
        return headers


def decode_fixed(kind: int, body: bytes) -> Frame | Unknown:
    """Decode a control frame without headers; one of an unknown type is to be ignored."""
    match kind:
        case Kind.RST_STREAM:
            stream, status = HEAD.unpack(body)
            return Reset(named(stream), status)
        case Kind.SETTINGS:
            (count,) = NUMBER.unpack_from(body)
            if len(body) != NUMBER.size + count * HEAD.size:
                raise SpdyError("settings of another length")
            return Settings(tuple((key, value) for key, value in HEAD.iter_unpack(body[NUMBER.size :])))
        case Kind.PING:
            return Ping(*NUMBER.unpack(body))
        case Kind.GOAWAY:
            last_stream, status = HEAD.unpack(body)
            return GoAway(last_stream & STREAM_MASK, status)
        case Kind.WINDOW_UPDATE:
            stream, delta = HEAD.unpack(body)
            return WindowUpdate(stream & STREAM_MASK, delta & STREAM_MASK)
        case _:
            return Unknown()


def named(stream: int) -> int:
    """Return a stream's number, which is never zero."""
    if not stream & STREAM_MASK:
        raise SpdyError("no stream")
    return stream & STREAM_MASK


def counted(text: bytes, position: int) -> tuple[str, int]:
    """Return a text behind its length, and where it ends."""
    (length,) = NUMBER.unpack_from(text, position)
    start = position + NUMBER.size
    end = start + length
    if end > len(text):
        raise SpdyError("a header that is longer than its block")
    return text[start:end].decode(), end
