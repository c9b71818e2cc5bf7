"""Which requests ask for another protocol, and what of their lines goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.headers import HANDSHAKE, HOP_BY_HOP, Lines, to_client, to_upstream
from proxy.core.upgrades import is_granted, is_handshake, is_wanted, protocols


def lines(connection: bytes | None, *upgrades: bytes) -> Lines:
    """Return a Connection line, and Upgrade lines."""
    asked: Lines = [] if connection is None else [(b"connection", connection)]
    return asked + [(b"UPGRADE", value) for value in upgrades]


@pytest.mark.parametrize(
    ("asked", "wanted", "handshake"),
    [
        (lines(b"Upgrade", b"websocket"), True, True),
        (lines(b"keep-alive, upgrade", b"SPDY/3.1"), True, True),
        (lines(b"Upgrade", b"a, b", b"c"), True, True),
        (lines(b"Upgrade"), True, False),
        (lines(b"Upgrade", b"", b" ,"), True, False),
        (lines(b"keep-alive", b"websocket"), False, False),
        (lines(None, b"websocket"), False, False),
        (lines(b"Upgrade", b"h2c"), False, False),
        (lines(b"Upgrade", b"websocket", b"H2C"), False, False),
        (lines(b"Upgrade", b"websocket,TLS/1.2"), False, False),
        (lines(b"Upgrade", b"HTTP/2.0"), False, False),
    ],
)
def test_requests_for_an_upgrade(asked: Lines, wanted: bool, handshake: bool) -> None:
    """The apiserver's rule, less what would be HTTP again; without a protocol there is nothing to pass on."""
    assert is_wanted(asked) is wanted
    assert is_handshake(asked) is handshake


@pytest.mark.parametrize(
    ("asked", "answered", "granted"),
    [
        ([b"websocket"], [b"WebSocket"], True),
        ([b"a, b"], [b"b"], True),
        ([b"a", b"b"], [b"a", b"b"], True),
        ([b"SPDY/3.1"], [b"SPDY/3"], False),
        ([b"a"], [b"a, b"], False),
        ([b"a"], [], False),
        ([b"a"], [b""], False),
    ],
)
def test_switch_to_what_was_asked_for(asked: list[bytes], answered: list[bytes], granted: bool) -> None:
    """A 101 names protocols of those that were asked for (RFC 9110, section 7.8)."""
    assert is_granted(lines(b"upgrade", *asked), lines(b"upgrade", *answered)) is granted


NAMES = st.sampled_from([b"A", b"Sec-WebSocket-Protocol", b"X-Stream-Protocol-Version", b"TE", b"Keep-Alive", b"b"])
OTHERS = st.lists(st.tuples(NAMES, st.sampled_from([b"", b"1", b"a, b", b"\xff"])))


@given(OTHERS, OTHERS)
def test_handshake_keeps_its_lines_in_order(before: Lines, after: Lines) -> None:
    """Both ways a handshake keeps, of all lines of one hop, those of the upgrade, where they stand."""
    whole = [*before, (b"Connection", b"Upgrade"), *after, (b"Upgrade", b"x")]
    kept = [line for line in whole if line[0].lower() not in HOP_BY_HOP - HANDSHAKE]
    assert to_upstream(whole, plans_list=False, own_credential=None, is_handshake=True) == kept
    assert to_client(whole, mode=b"m", is_handshake=True)[:-2] == kept
    plain = [line for line in kept if line[0] not in (b"Connection", b"Upgrade")]
    assert to_upstream(whole, plans_list=False, own_credential=None) == plain


def test_protocols_of_many_lines() -> None:
    """Names are compared in lower case, wherever they stand."""
    assert protocols(lines(None, b"A/1 ,b", b"C")) == {"a/1", "b", "c"}
