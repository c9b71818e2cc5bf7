"""What a request says of the way that it has come: ours is added, a stranger's is not believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.forwarding import Hop, forward, is_claim
from proxy.core.headers import Lines

STRANGER = Hop(b"192.0.2.1", b"http")
FRIEND = Hop(b"10.0.0.9", b"https", is_trusted=True)
CLAIMS: Lines = [
    (b"X-Forwarded-For", b"203.0.113.7"),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Host", b"api.example"),
    (b"X-Forwarded-Client-Cert", b"By=x"),
    (b"Forwarded", b"for=203.0.113.7"),
    (b"X-Real-IP", b"203.0.113.7"),
    (b"Via", b"1.0 other"),
]


def go(lines: Lines, hop: Hop, host: bytes = b"proxy:8001") -> Lines:
    """Return the lines of a request over HTTP/1.1."""
    return forward(lines, hop, host=host, version=b"1.1")


def test_a_stranger_is_not_believed() -> None:
    """What the audit log will show of a client is its address, whatever it claims; Via is nobody's claim."""
    assert go([(b"Accept", b"*/*"), *CLAIMS], STRANGER) == [
        (b"Accept", b"*/*"),
        (b"Via", b"1.0 other"),
        (b"X-Forwarded-For", b"192.0.2.1"),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Host", b"proxy:8001"),
        (b"Via", b"1.1 kube-restream"),
    ]


def test_a_trusted_proxy_is_believed() -> None:
    """For is appended to, in one line; what else it says stays as it is."""
    assert go(CLAIMS, FRIEND) == [
        *CLAIMS[2:],
        (b"X-Forwarded-For", b"203.0.113.7, 10.0.0.1, 10.0.0.9"),
        (b"Via", b"1.1 kube-restream"),
    ]


def test_a_trusted_proxy_that_says_nothing() -> None:
    """What is missing is said of the proxy itself, as of any client."""
    assert go([], FRIEND)[:3] == [
        (b"X-Forwarded-For", b"10.0.0.9"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"proxy:8001"),
    ]


def test_what_is_not_known_is_not_said() -> None:
    """Without an address (a Unix socket), or without a Host (HTTP/1.0), there is no line for it."""
    assert forward([], Hop(b"", b"http"), host=b"", version=b"1.0") == [
        (b"X-Forwarded-Proto", b"http"),
        (b"Via", b"1.0 kube-restream"),
    ]


@pytest.mark.parametrize("name", [b"X-Forwarded-", b"X-FORWARDED-port", b"forwarded", b"x-real-ip"])
def test_claims_in_any_spelling(name: bytes) -> None:
    """A claim is found in any spelling."""
    assert is_claim(name.lower())
    assert (name, b"spoofed") not in go([(name, b"spoofed")], STRANGER)


NAMES = st.sampled_from([name for name, _ in CLAIMS] + [b"Accept", b"X-Forward", b"x-FORWARDED-for"])


@given(st.lists(st.tuples(NAMES, st.binary(max_size=9))))
def test_whatever_a_stranger_sends(lines: Lines) -> None:
    """There is one line of each kind and it is ours; all others pass in order."""
    sent = go(lines, STRANGER)
    assert sent[:-4] == [line for line in lines if not is_claim(line[0].lower())]
    assert [name for name, _ in sent[-4:]] == [b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"Via"]
