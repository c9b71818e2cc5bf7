"""SPDY/3.1 frames: round trips in any chunks, the bytes of another implementation, and what is refused."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backend.streams.codec import CONTROL_LIMIT, Decoder, Encoder, SpdyError
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

STREAMS = st.integers(1, (1 << 31) - 1)
WORDS = st.integers(0, (1 << 32) - 1)
NAMES = st.text(st.characters(codec="ascii", categories=["Ll", "Nd", "Pd"]), min_size=1, max_size=20)
LINES = st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=30), max_size=5)
FRAMES = st.one_of(
    st.builds(SynStream, STREAMS, LINES, st.booleans(), st.integers(0, (1 << 31) - 1), st.integers(0, 7)),
    st.builds(SynReply, STREAMS, LINES, st.booleans()),
    st.builds(Headers, STREAMS, LINES, st.booleans()),
    st.builds(Reset, STREAMS, WORDS),
    st.builds(Settings, st.lists(st.tuples(WORDS, WORDS), max_size=4).map(tuple)),
    st.builds(Ping, WORDS),
    st.builds(GoAway, st.integers(0, (1 << 31) - 1), WORDS),
    st.builds(WindowUpdate, st.integers(0, (1 << 31) - 1), st.integers(0, (1 << 31) - 1)),
    st.builds(Data, STREAMS, st.binary(max_size=200), st.booleans()),
)


def joined(frames: Iterable[Frame]) -> list[Frame]:
    """Put the pieces of each data frame together again; frames that end before another begins are not told apart."""
    found: list[Frame] = []
    for frame in frames:
        last = found[-1] if found else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream == frame.stream and not last.fin:
            found[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            found.append(frame)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(1, 60), max_size=20))
def test_what_was_encoded_is_decoded_in_any_chunks(frames: list[Frame], sizes: list[int]) -> None:
    """Every frame comes out as it went in, however the bytes are cut."""
    encoder, decoder = Encoder(), Decoder()
    wire = b"".join(encoder.encode(frame) for frame in frames)
    found: list[Frame] = []
    for size in sizes:
        found += decoder.feed(wire[:size])
        wire = wire[size:]
    found += decoder.feed(wire)
    assert joined(found) == joined(frames)
    assert not decoder.held


@settings(max_examples=25, deadline=None)
@given(st.lists(FRAMES, max_size=4))
def test_byte_by_byte(frames: list[Frame]) -> None:
    """Nothing is held of a data frame but its head."""
    encoder, decoder = Encoder(), Decoder()
    found: list[Frame] = []
    for byte in b"".join(encoder.encode(frame) for frame in frames):
        found += decoder.feed(bytes([byte]))
    assert joined(found) == joined(frames)


@given(st.binary(max_size=400))
def test_junk_raises_one_error_only(junk: bytes) -> None:
    """Whatever comes, it is frames or a SpdyError."""
    with contextlib.suppress(SpdyError):
        list(Decoder().feed(junk))


@given(st.binary(max_size=60), st.sampled_from([1, 2, 3, 4, 6, 7, 8, 9, 5, 77]))
def test_junk_inside_control_frames_raises_one_error_only(junk: bytes, kind: int) -> None:
    """Whatever a control frame of each type holds, it is a frame or a SpdyError."""
    with contextlib.suppress(SpdyError):
        list(Decoder().feed(bytes([0x80, 3, 0, kind, 0, 0, 0, len(junk)]) + junk))


def test_the_dictionary_is_that_of_the_draft() -> None:
    """Its checksum is the one that every zlib stream of SPDY/3 names."""
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2
    assert Encoder().encode(SynStream(1))[18:24] == bytes.fromhex("78bbe3c6a7c2")


def test_unknown_control_frames_are_ignored() -> None:
    """The draft asks for it; what follows is decoded."""
    assert list(Decoder().feed(bytes.fromhex("8003000500000002abcd") + Encoder().encode(Ping(1)))) == [Ping(1)]


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(bytes.fromhex("80020006000000040000000100"), id="version 2"),
        pytest.param(bytes.fromhex("0000000000000000"), id="data without a stream"),
        pytest.param(bytes.fromhex("80030003000000080000000000000005"), id="reset without a stream"),
        pytest.param(bytes.fromhex("8003000100000004") + b"abcd", id="short"),
        pytest.param(bytes.fromhex("80030002000000080000000100000000"), id="not zlib"),
        pytest.param(bytes.fromhex("8003000600000005") + b"abcde", id="long ping"),
        pytest.param(bytes.fromhex("8003000400000004ffffffff"), id="settings that are missing"),
        pytest.param(bytes.fromhex("80030001") + (CONTROL_LIMIT + 1).to_bytes(4, "big"), id="too long"),
        pytest.param(Encoder().encode(SynStream(1, {"a": "x" * CONTROL_LIMIT})), id="a bomb"),
        pytest.param(Encoder().encode(SynStream(1, {"Port": "80"})), id="upper case"),
    ],
)
def test_what_is_not_spdy_is_refused(wire: bytes) -> None:
    """Each fault is an error at once, and nothing is held for it."""
    with pytest.raises(SpdyError):
        list(Decoder().feed(wire))
