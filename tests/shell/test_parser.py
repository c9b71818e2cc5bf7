"""The parser of requests: what it finds does not depend on how the bytes come, and what it holds is bounded."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.downstream.answer import Request
from proxy.downstream.parser import Parser
from proxy.downstream.upload import Uploads
from proxy.settings import Limits
from tests.fakes.upgrades import HANDSHAKES
from tests.fakes.wire import request

PLAIN = [
    request("/version"),
    request("/x", b"Content-Length: 3", method="POST", body=b"abc"),
    request("/y", b"Transfer-Encoding: chunked", method="PUT", body=b"2\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n"),
    request("/z", b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5", method="POST", body=b"GET /"),
    request("/w", b"Connection: Upgrade", b"Upgrade: h2c"),
]
SHAKEN = [handshake.request() for handshake in HANDSHAKES.values()]


class Owner:
    """A connection that only remembers."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refusals: list[int] = []
        self.is_paused = False

    def take(self, request: Request) -> None:
        """Remember a request."""
        self.requests.append(request)

    def refuse(self, status: int, message: str) -> None:
        """Remember a refusal."""
        assert message
        self.refusals.append(status)

    def pause(self) -> None:
        """Remember it."""
        self.is_paused = True

    def resume(self) -> None:
        """Remember it."""
        self.is_paused = False


@given(
    st.lists(st.sampled_from(PLAIN), max_size=4),
    st.sampled_from(SHAKEN),
    st.lists(st.sampled_from(PLAIN + SHAKEN[:1]), max_size=3),
    st.data(),
)
@settings(max_examples=100, deadline=None)
def test_any_cut(before: list[bytes], shaken: bytes, behind: list[bytes], data: st.DataObject) -> None:
    """Requests before a handshake are found, what is behind it is held as it came, and found later if it is HTTP."""
    whole, rest = b"".join(before) + shaken, b"".join(behind)
    stream = whole + rest
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)) | {0, len(stream)})
    owner = Owner()
    parser = Parser(owner, Limits(), Uploads(1 << 20))
    for start, end in pairwise(cuts):
        parser.feed(stream[start:end])
    assert [found.target for found in owner.requests[:-1]] == [part.split(b" ")[1] for part in before]
    assert owner.requests[-1].is_handshake
    assert parser.give_up() == rest
    for _ in range(1 + behind.count(SHAKEN[0])):
        parser.go_on()
    assert [found.target for found in owner.requests] == [part.split(b" ")[1] for part in (*before, shaken, *behind)]
    assert all(found.body is None or found.body.ended for found in owner.requests)
    assert not owner.refusals


def test_what_is_held_behind_a_handshake_pauses_reading() -> None:
    """The connection is paused once more than a read buffer waits behind a handshake."""
    owner = Owner()
    parser = Parser(owner, Limits(read_buffer_bytes=1000), Uploads(1 << 20))
    parser.feed(SHAKEN[0] + b"x" * 1000)
    assert not parser.is_full
    parser.feed(b"x")
    assert (parser.is_full, owner.is_paused) == (True, True)
    assert parser.give_up() == b"x" * 1001
