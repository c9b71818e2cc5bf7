"""SPDY/3.1 frames as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5


@dataclass(frozen=True, slots=True)
class SynStream:
    """A new stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False
    associated: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SynReply:
    """A stream is accepted; data before it would be dropped."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream is over in both directions."""

    stream: int
    status: int = CANCEL


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings: flags and id in one number, and its value."""

    entries: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, or its answer: a client's numbers are odd."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No more streams."""

    last_stream: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class Headers:
    """More headers of a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """Flow control."""

    stream: int
    delta: int


@dataclass(frozen=True, slots=True)
class Data:
    """Content of a stream."""

    stream: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | Reset | Settings | Ping | GoAway | Headers | WindowUpdate | Data
