"""Where a watch may be ended: behind an event, however its bytes arrive."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.boundaries import Boundaries, boundaries_of

OBJECTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(st.none() | st.text('{}\n"é', max_size=6), lambda inner: st.lists(inner, max_size=3)),
)
JSON = b"application/json"
PROTOBUF = b"application/vnd.kubernetes.protobuf;stream=watch"
TABLE = b"application/json;as=Table;v=v1;g=meta.k8s.io"


def written(kind: bytes, objects: list[dict[str, object]], indent: int | None) -> list[bytes]:
    """Return events as an apiserver writes them."""
    bodies = [json.dumps(each, indent=indent, ensure_ascii=False).encode() for each in objects]
    if kind == PROTOBUF:
        return [len(body).to_bytes(4, "big") + body for body in bodies]
    return [body + b"\n" for body in bodies]


def made(kind: bytes) -> Boundaries:
    """Return what follows such a watch."""
    boundaries = boundaries_of([(b"Content-Type", kind)])
    assert boundaries is not None
    return boundaries


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut bytes into pieces."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@pytest.mark.parametrize("kind", [JSON, TABLE, PROTOBUF])
@given(
    objects=st.lists(OBJECTS, max_size=5),
    indent=st.sampled_from([None, None, 2]),
    sizes=st.lists(st.integers(1, 9), max_size=30),
    told_after=st.integers(0, 30),
)
def test_a_watch_ends_behind_an_event(
    kind: bytes, objects: list[dict[str, object]], indent: int | None, sizes: list[int], told_after: int
) -> None:
    """Told to end after any number of pieces, what was passed on is whole events, and not one more than needed."""
    events = written(kind, objects, indent)
    ends = [sum(map(len, events[:count])) for count in range(len(events) + 1)]
    boundaries, passed = made(kind), 0
    for number, piece in enumerate(cut(b"".join(events), sizes)):
        if number < told_after:
            assert boundaries.follow(piece) == len(piece)
            passed += len(piece)
            assert boundaries.is_between == (passed in ends)
            continue
        if boundaries.is_between:
            break
        first_end = next(end for end in ends if end > passed)
        passed += boundaries.follow(piece, to_boundary=True)
        assert passed <= first_end
        assert boundaries.is_between == (passed == first_end)
    assert passed in ends
    assert boundaries.is_between


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(b"Content-Type", b"application/cbor-seq")],
        [(b"Content-Type", b"application/vnd.kubernetes.protobuf")],
        [(b"Content-Type", JSON), (b"Content-Encoding", b"gzip")],
    ],
)
def test_what_cannot_be_followed(lines: list[tuple[bytes, bytes]]) -> None:
    """Where it is not known what an event looks like, nobody pretends to know where it ends."""
    assert boundaries_of(lines) is None
