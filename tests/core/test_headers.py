"""Header lines on their way through: what is dropped, what is added, and that the rest is as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.headers import (
    HOP_BY_HOP,
    Lines,
    MediaRange,
    first,
    is_credential,
    parse_accept,
    to_client,
    to_upstream,
    values,
)


def upstream(lines: Lines, *, plans_list: bool = False, own_credential: bytes | None = None) -> Lines:
    """Return the lines for the upstream behind its Host."""
    return to_upstream(lines, plans_list=plans_list, own_credential=own_credential)


def client(lines: Lines) -> Lines:
    """Return the lines for the client before Via and X-Restream-Mode."""
    sent = to_client(lines, mode=b"streamed; reason=streaming_encoder")
    assert sent[-2:] == [
        (b"Via", b"1.1 kube-restream"),
        (b"X-Restream-Mode", b"streamed; reason=streaming_encoder"),
    ]
    return sent[:-2]


REQUEST: Lines = [
    (b"Host", b"proxy:8001"),
    (b"user-agent", b"kubectl/v1.36.0"),
    (b"ACCEPT", b"application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
    (b"Accept-Encoding", b"gzip"),
    (b"Authorization", b"Bearer <token>"),
    (b"Impersonate-User", b"alice"),
    (b"Impersonate-Group", b"a, b"),
    (b"impersonate-group", b"c"),
    (b"Impersonate-Group", b"a, b"),
    (b"X-Forwarded-For", b"10.0.0.1"),
    (b"Audit-ID", b"x"),
    (b"X-Empty", b""),
    (b"X-Latin", b"caf\xe9"),
    (b"Content-Length", b"12"),
]


def test_lines_keep_order_repetition_and_spelling() -> None:
    """Repeated lines stay apart and in order; no name or value is rewritten."""
    assert upstream(REQUEST) == REQUEST[1:]
    assert client(REQUEST) == REQUEST


def test_host_ends_here() -> None:
    """The client's Host never reaches the upstream, however it is spelt and however often it comes."""
    lines = [(b"HOST", b"a"), (b"Accept", b"*/*"), (b"host", b"b")]
    assert upstream(lines) == [(b"Accept", b"*/*")]


HOPS = [
    b"Connection",
    b"Keep-Alive",
    b"Proxy-Authenticate",
    b"Proxy-Authorization",
    b"Proxy-Connection",
    b"TE",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
]


@pytest.mark.parametrize("name", HOPS)
@pytest.mark.parametrize("spell", [bytes, bytes.lower, bytes.upper])
def test_hop_by_hop_lines_end_here(name: bytes, spell: "type[bytes]") -> None:
    """What RFC 9110 calls connection-specific is dropped both ways, in any spelling."""
    lines = [(b"A", b"1"), (spell(name), b"x"), (b"B", b"2"), (spell(name), b"y")]
    assert upstream(lines) == [(b"A", b"1"), (b"B", b"2")]
    assert client(lines) == [(b"A", b"1"), (b"B", b"2")]
    assert name.lower() in HOP_BY_HOP


@pytest.mark.parametrize(
    ("connection", "kept"),
    [
        ([b"close"], [b"X-A", b"x-b", b"X-C"]),
        ([b"X-A"], [b"x-b", b"X-C"]),
        ([b"keep-alive, x-a ,X-B"], [b"X-C"]),
        ([b"x-a", b"X-B,", b",, x-c"], []),
        ([b"x"], [b"X-A", b"x-b", b"X-C"]),
        ([b""], [b"X-A", b"x-b", b"X-C"]),
    ],
)
def test_lines_that_connection_names_end_here(connection: list[bytes], kept: list[bytes]) -> None:
    """Every token of every Connection line names lines to drop, wherever these stand."""
    lines = [(b"X-A", b"1"), *((b"Connection", value) for value in connection), (b"x-b", b"2"), (b"X-C", b"3")]
    assert [name for name, _ in upstream(lines)] == kept
    assert [name for name, _ in client(lines)] == kept


@pytest.mark.parametrize("token", [b"Content-Length", b"content-length", b"close, CONTENT-LENGTH"])
def test_frame_of_a_body_cannot_be_named_away(token: bytes) -> None:
    """A body without its Content-Length would be read as a request of its own: request smuggling."""
    lines = [(b"Connection", token), (b"Content-Length", b"44")]
    assert upstream(lines) == [(b"Content-Length", b"44")]
    assert client(lines) == [(b"Content-Length", b"44")]


@pytest.mark.parametrize("name", [b"X-Restream-Mode", b"x-restream-mode", b"X-RESTREAM-MODE"])
def test_mode_header_never_reaches_the_upstream(name: bytes) -> None:
    """The client's wish is for the proxy alone."""
    assert upstream([(name, b"raw"), (b"Accept", b"*/*")]) == [(b"Accept", b"*/*")]


@pytest.mark.parametrize("name", [b"X-Restream-Mode", b"x-restream-mode"])
def test_mode_header_of_the_upstream_is_replaced(name: bytes) -> None:
    """The client sees one X-Restream-Mode: that of the proxy it talks to."""
    assert client([(name, b"raw"), (b"Date", b"now")]) == [(b"Date", b"now")]


def test_expect_is_answered_here() -> None:
    """The proxy answers 100-continue itself; a second one would confuse the client."""
    assert upstream([(b"Expect", b"100-continue"), (b"Content-Length", b"3")]) == [(b"Content-Length", b"3")]


@pytest.mark.parametrize("encodings", [[], [b"gzip"], [b"gzip", b"br;q=0.5"], [b"identity"]])
def test_planned_list_asks_for_identity(encodings: list[bytes]) -> None:
    """A List that is to be cut must not come encoded: exactly one Accept-Encoding says so."""
    lines = [*((b"accept-encoding", value) for value in encodings), (b"Accept", b"*/*")]
    assert upstream(lines, plans_list=True) == [(b"Accept", b"*/*"), (b"Accept-Encoding", b"identity")]


def test_raw_request_keeps_its_encodings() -> None:
    """What is not cut may come as the client likes it."""
    lines = [(b"Accept-Encoding", b"gzip"), (b"accept-encoding", b"br")]
    assert upstream(lines) == lines
    assert upstream([]) == []


CREDENTIALS = [
    b"Authorization",
    b"Impersonate-User",
    b"Impersonate-Group",
    b"Impersonate-Uid",
    b"Impersonate-Extra-Scopes",
    b"Impersonate-Extra-Example.com%2fkey",
    b"Impersonate-Whatever-Comes",
    b"X-Remote-User",
    b"X-Remote-Group",
    b"X-Remote-Uid",
    b"X-Remote-Extra-Scopes",
]
OTHERS = [
    b"Accept",
    b"Audit-ID",
    b"Impersonate",
    b"Impersonated-User",
    b"X-Remote",
    b"X-Remotely",
    b"X-Authorization",
    b"Authorization-Info",
    b"X-Forwarded-For",
    b"Cookie",
]


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("spell", [bytes, bytes.lower, bytes.upper])
@pytest.mark.parametrize("own", [b"Bearer <own>", b""])
def test_own_credential_replaces_every_inbound_one(name: bytes, spell: "type[bytes]", own: bytes) -> None:
    """With a credential of its own the proxy lends nobody its rights under another name, in no spelling."""
    lines = [(spell(name), b"alice"), (b"Accept", b"*/*"), (spell(name), b"bob")]
    expected = [(b"Accept", b"*/*")]
    assert upstream(lines, own_credential=own) == ([*expected, (b"Authorization", own)] if own else expected)
    assert is_credential(name.lower())


@pytest.mark.parametrize("name", CREDENTIALS)
def test_credential_passes_untouched_without_an_own_one(name: bytes) -> None:
    """In pass-through mode the upstream judges the client by what the client says, but for a front proxy's word."""
    lines = [(name, b"alice"), (name.lower(), b"bob")]
    expected = [] if name.startswith(b"X-Remote-") else lines
    assert upstream(lines) == expected
    assert upstream(lines, plans_list=True)[:-1] == expected


BEARER = b"base64url.bearer.authorization.k8s.io.dG9rZW4"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (BEARER, []),
        (b"v5.channel.k8s.io, " + BEARER, [b"v5.channel.k8s.io"]),
        (BEARER.upper() + b",v5.channel.k8s.io,v4.channel.k8s.io", [b"v5.channel.k8s.io, v4.channel.k8s.io"]),
        (b"v5.channel.k8s.io,  v4.channel.k8s.io", [b"v5.channel.k8s.io,  v4.channel.k8s.io"]),
    ],
)
def test_bearer_subprotocol_is_a_credential(value: bytes, kept: list[bytes]) -> None:
    """A token among the subprotocols of a WebSocket goes where Authorization goes; the others stay as written."""
    lines = [(b"Sec-WebSocket-Protocol", value)]
    assert upstream(lines) == lines
    assert [value for _, value in upstream(lines, own_credential=b"")] == kept


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_counts_as_a_credential(name: bytes) -> None:
    """Lines that only look like credentials pass."""
    assert upstream([(name, b"x")], own_credential=b"")[0] == (name, b"x")


@given(
    st.lists(
        st.tuples(st.sampled_from([*HOPS, *CREDENTIALS, *OTHERS, b"Host", b"Accept-Encoding"]), st.binary(max_size=9))
    ),
    st.booleans(),
    st.sampled_from([None, b"", b"Bearer <own>"]),
)
def test_what_is_kept_is_kept_in_order(lines: Lines, plans_list: bool, own: bytes | None) -> None:
    """Whatever the lines, those that pass are a subsequence of what came, without hop and foreign credentials."""
    sent = upstream(lines, plans_list=plans_list, own_credential=own)
    added = plans_list + bool(own)
    kept = sent[: len(sent) - added]
    remaining = iter(lines)
    assert all(line in remaining for line in kept)
    names = {name.lower() for name, _ in kept}
    assert not names & (HOP_BY_HOP | {b"host"})
    assert not any(name.startswith(b"x-remote-") for name in names)
    assert own is None or not any(map(is_credential, names))


def test_values_and_first_find_lines_in_any_spelling() -> None:
    """Lines are found by their lower-case name; all values, or the first, are told as text."""
    lines = [(b"Warning", b'299 - "a"'), (b"X", b"1"), (b"warning", b"caf\xe9")]
    assert values(lines, b"warning") == ['299 - "a"', "café"]
    assert first(lines, b"warning") == '299 - "a"'
    assert values(lines, b"none") == []
    assert first(lines, b"none") == ""


@pytest.mark.parametrize(
    ("accept", "types"),
    [
        ([], []),
        ([""], []),
        ([" , ,"], []),
        (["text"], []),
        (["a/b"], ["a/b"]),
        (["a/b,c/d"], ["a/b", "c/d"]),
        (["a/b", "c/d"], ["a/b", "c/d"]),
        ([" A/B ; q=0.5 ,c/d"], ["c/d", "a/b"]),
        (["a/b;q=0.1,c/d;q=0.9,e/f;q=0.5"], ["c/d", "e/f", "a/b"]),
        (["*/*,a/b"], ["a/b", "*/*"]),
        (["*/*,a/*,a/b"], ["a/b", "*/*", "a/*"]),
        (["*/*,a/b;q=0.9"], ["*/*", "a/b"]),
        (["a/b;q=0,c/d"], ["c/d", "a/b"]),
        (["a/b;q=x,c/d;q=,e/f"], ["a/b", "c/d", "e/f"]),
        (["application/json;q=0.9,application/cbor;q=1"], ["application/cbor", "application/json"]),
    ],
)
def test_accept_is_tried_in_the_apiservers_order(accept: list[str], types: list[str]) -> None:
    """Clauses go by quality, then as written, wildcards last; what does not parse is skipped, q=0 is not."""
    assert [media.type for media in parse_accept(accept)] == types


def test_accept_parameters_are_read() -> None:
    """Parameters are read as goautoneg does, to the letter; the quality is not one of them."""
    [media] = parse_accept(['application/json ; AS=Table;v = v1;g="meta.k8s.io"; q=0.5;flag;'])
    assert media == MediaRange("application/json", {"AS": "Table", "v": "v1", "g": '"meta.k8s.io"', "flag": ""})


@pytest.mark.parametrize(
    ("media_range", "matching"),
    [
        ("*/*", True),
        ("application/*", True),
        ("application/json", True),
        ("text/*", False),
        ("app/*", False),
        ("a/b", False),
    ],
)
def test_media_range_matches(media_range: str, matching: bool) -> None:
    """A range fits the type that it names, or all of its kind, or all."""
    assert MediaRange(media_range).matches("application/json") is matching


@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_accept_can_be_parsed(accept: list[str]) -> None:
    """No Accept line makes the proxy fail."""
    assert all("/" in media.type for media in parse_accept(accept))
