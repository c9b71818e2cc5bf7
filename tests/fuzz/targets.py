"""What is fuzzed: each target takes what was drawn, and holds a few truths against what the core makes of it.

Junk may be refused with the core's own errors; any other exception is a fault of ours.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st

from proxy.core import headers, listoptions
from proxy.core.envelope import PAGED, Envelope
from proxy.core.errors import ListError, UnstitchableError
from proxy.core.events import Event
from proxy.core.filters import Filter, readings
from proxy.core.forwarding import Hop, forward, is_claim
from proxy.core.headers import Lines
from proxy.core.joiner import join
from proxy.core.listoptions import OWN, ListOptions
from proxy.core.negotiation import BINARY, negotiate, without_binary
from proxy.core.paging import Page, Stitcher
from proxy.core.request import classify, parse_pair
from proxy.core.status import render
from proxy.core.upgrades import is_granted, is_handshake, is_wanted
from proxy.core.users import remote_lines, user_of
from proxy.core.values import is_utf8
from proxy.downstream.answer import Request
from proxy.downstream.parser import Parser
from proxy.downstream.upload import Uploads
from proxy.settings import Filters, Limits
from tests.core.feeding import MAX_ITEM_BYTES
from tests.core.recorded import json_bodies
from tests.core.strategies import chunkings, chunks
from tests.fuzz import corpus
from tests.shell.test_parser import PLAIN, SHAKEN, Owner

HOP_BY_HOP = headers.HOP_BY_HOP
NAMES = [
    *(
        b"Accept",
        b"Authorization",
        b"Connection",
        b"Content-Length",
        b"Cookie",
        b"Expect",
        b"Host",
        b"Impersonate-User",
    ),
    *(b"X-Remote-User", b"x-remote-extra-a", b"Upgrade", b"Via", b"X-Forwarded-For", b"X-Real-Ip", b"X-Restream-Mode"),
    *(b"Sec-WebSocket-Protocol", b"Proxy-Authorization", b"Te", b"Transfer-Encoding", b"", b" ", b"Forwarded"),
]
VALUES = [
    *(b"upgrade", b"close, X-Remote-User", b"websocket", b"h2c", b"SPDY/3.1", b",", b"", b"chunked", b"Bearer x"),
    *(b"base64url.bearer.authorization.k8s.io.eA, v5.channel.k8s.io", b"content-length", b"\xff\xfe"),
]
LINES = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES).map(bytes.upper), st.binary(max_size=9)),
        st.one_of(st.sampled_from(VALUES), corpus.changed(corpus.ACCEPTS, corpus.IN_ACCEPTS), st.binary(max_size=9)),
    ),
    max_size=8,
)
TARGETS = corpus.changed(corpus.TARGETS, corpus.IN_TARGETS).map(lambda target: target.decode("latin-1"))
QUERIES = corpus.changed(corpus.QUERIES, corpus.IN_TARGETS).map(lambda query: query.decode("latin-1"))
ACCEPTS = st.lists(
    corpus.changed(corpus.ACCEPTS, corpus.IN_ACCEPTS).map(lambda line: line.decode("latin-1")), max_size=3
)


def check_request(method: str, target: str) -> None:
    """Anything is classified; a List is asked for with GET (or HEAD), of a resource, without a name."""
    info = classify(method, target)
    if info.verb == "list":
        assert method in ("GET", "HEAD")
        assert info.is_resource
    if not info.is_resource:
        assert info.verb not in ("list", "deletecollection")
    rules = Filters()
    kept = Filter.compile(rules.accept_hosts, rules.accept_paths, rules.reject_paths, rules.reject_methods)
    path = target.partition("?")[0]
    assert path in readings(path)
    assert kept.refusal(method, path, target)  # no Host that a recorded request has gone to


def check_options(query: str, token: str, limit: int) -> None:
    """What the proxy sets is what is read of the new query; every other pair stays."""
    options = ListOptions.parse(query)
    others = [pair for pair in query.split("&") if pair and parse_pair(pair)[0] not in OWN]
    for rewritten, continues in (
        (listoptions.first_page(query, options, limit), ""),
        (listoptions.next_page(query, token, limit), token),
    ):
        told = ListOptions.parse(rewritten)
        assert (told.limit, told.token) == (limit, continues)
        assert rewritten.split("&")[: len(others)] == others
        assert told.selects == options.selects
    lowered = ListOptions.parse(listoptions.with_limit(query, limit))
    assert (lowered.limit, lowered.token, lowered.version) == (limit, options.token, options.version)
    assert f"continue={quote(token, safe='')}" in listoptions.next_page(query, token, limit)


def check_negotiation(accept: list[str], query: str, agent: str) -> None:
    """Anything is negotiated; without its binary clauses an Accept line asks for no binary form."""
    media = negotiate(accept, query, agent)
    if media.prefers_binary:
        rest = without_binary(accept)
        assert not {clause.partition(";")[0].strip().lower() for clause in rest.split(",")} & BINARY
        assert negotiate([rest], query, agent).form == media.form
    content_type, body = render(502, "x", headers.parse_accept(accept))
    assert content_type
    assert body


def check_headers(lines: Lines, *, is_trusted: bool, upgrades: bool) -> None:
    """No line of this hop, no credential but the right one and no claim of a stranger goes on; the order stays."""
    plain = [(name, value) for name, value in lines if b"\r" not in name + value and b"\n" not in name + value]
    hop = Hop(b"10.0.0.1", b"https", is_trusted)
    told = forward(plain, hop, host=b"h", version=b"1.1")
    if not is_trusted:
        claims = [(name, value) for name, value in told if is_claim(name.lower())]
        assert {value for _, value in claims} <= {b"10.0.0.1", b"https", b"h"}
    handshake = upgrades and is_handshake(plain)
    for credential in (None, b"", b"Bearer own"):
        sent = headers.to_upstream(plain, plans_list=True, own_credential=credential, is_handshake=handshake)
        names = [name.lower() for name, _ in sent]
        assert b"host" not in names  # each address has its own
        assert not any(name.startswith(headers.REMOTE_PREFIX) for name in names)
        gone = HOP_BY_HOP - headers.HANDSHAKE if handshake else HOP_BY_HOP
        assert not gone & set(names)
        if credential is not None:
            secrets = [line for line in sent if headers.is_credential(line[0].lower())]
            assert secrets == ([(b"Authorization", credential)] if credential else [])
            assert not any(
                headers.BEARER_PROTOCOL in value.lower()
                for name, value in sent
                if name.lower() == b"sec-websocket-protocol"
            )
        rest = iter(plain)
        assert all(
            any(line[0] == own[0] for own in rest)
            for line in sent[1:]
            if line[0] not in (b"Accept-Encoding", b"Authorization")
        )
    answered = headers.to_client(plain, mode=b"raw", is_handshake=handshake)
    assert [value for name, value in answered if name.lower() == headers.MODE_HEADER] == [b"raw"]
    assert is_wanted(plain) or not is_handshake(plain)
    assert not is_granted([], plain)


def check_users(pairs: list[tuple[str, str]]) -> None:
    """No certificate makes a line that breaks, or that another name would be read from."""
    user = user_of({"subject": tuple(((key, value),) for key, value in pairs)}, "00ff")
    for name, value in remote_lines(user) if user else []:
        assert name.startswith(b"X-Remote-")
        assert value == value.strip() != b""
        assert not {0, 10, 13} & set(name + value)


class Recorder(Owner):
    """Keeps what a request's header lines were when it was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[Lines] = []

    def take(self, request: Request) -> None:
        """Remember a request and its lines."""
        super().take(request)
        self.heads.append(list(request.lines))


def check_parser(stream: bytes, sizes: list[int]) -> None:
    """Requests are found, or refused, the same however their bytes come; nothing else is raised."""
    seen = []
    for pieces in ([stream], list(chunks(stream, sizes))):
        owner = Recorder()
        parser = Parser(owner, Limits(header_bytes=4000), Uploads(1 << 20))
        for piece in pieces:
            parser.feed(piece)
            if owner.refusals:
                break
        seen.append([(each.method, each.target, each.lines, each.is_handshake) for each in owner.requests])
        assert len(owner.refusals) <= 1
        assert owner.heads == [each.lines for each in owner.requests]  # no trailer has come to them
    assert seen[0] == seen[1]


def check_envelope(document: bytes) -> None:
    """A document is taken apart so that it can be put together again, or refused; that it is UTF-8 is known by then."""
    if not is_utf8(bytearray(document), 0, len(document)):
        return
    try:
        envelope = Envelope.parse(document)
    except UnstitchableError:
        return
    values = json.loads(document, parse_int=str, parse_float=str)
    assert list(envelope.members) == list(values)
    if envelope.is_compact and envelope.metadata is not None and envelope.metadata.is_paged:
        bare = json.loads(envelope.unpaged(), parse_int=str, parse_float=str)
        assert bare == values | {
            "metadata": {key: value for key, value in values["metadata"].items() if key not in PAGED}
        }


def check_pages(bodies: list[bytes], sizes: list[int]) -> None:
    """Pages become one List with the items of all of them and no trace of paging, or are refused."""
    stitcher, events = Stitcher(), list[Event]()
    taken = []
    try:
        for body in bodies:
            page = Page(MAX_ITEM_BYTES)
            for piece in chunks(body, sizes):
                page.feed(piece)
                events += stitcher.take(page)
            page.finish()
            if not page.is_list:
                return
            events += stitcher.take(page)
            taken.append(body)
            if not stitcher.token:
                break
    except ListError:
        return
    if stitcher.token:
        return
    whole = json.loads(b"".join(join(events)), parse_int=str, parse_float=str)
    pages = [json.loads(body, parse_int=str, parse_float=str) for body in taken]
    key = "rows" if pages[0].get("kind") == "Table" else "items"
    assert (whole[key] or []) == [item for page in pages for item in page[key] or []]
    assert not (whole.get("metadata") or {}).get("continue")
    assert {(page.get("metadata") or {}).get("resourceVersion") for page in pages} == {
        (whole.get("metadata") or {}).get("resourceVersion")
    }


@st.composite
def page_sequences(draw: st.DrawFn) -> list[bytes]:
    """Draw the pages of one List, of which one or two were changed, swapped or left out."""
    bodies = list(draw(st.sampled_from(corpus.PAGES)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(bodies) - 1))
        bodies[at] = draw(
            st.one_of(
                corpus.changed([bodies[at]], corpus.IN_JSON, 2), st.sampled_from(draw(st.sampled_from(corpus.PAGES)))
            )
        )
    return bodies


@dataclass(frozen=True, slots=True)
class Target:
    """What is drawn, and what is held against it."""

    check: Callable[..., None]
    drawn: dict[str, st.SearchStrategy[object]]


SUBJECTS = st.lists(
    st.tuples(st.sampled_from(["commonName", "organizationName", "1.3.6.1.4.1.57683.2", "x"]), st.text(max_size=9)),
    max_size=5,
)
DOCUMENTS = [body for _, body in json_bodies() if len(body) < 3000 and body.startswith(b"{")]

TABLE = {
    "request": Target(check_request, {"method": st.sampled_from(corpus.METHODS), "target": TARGETS}),
    "options": Target(
        check_options,
        {
            "query": QUERIES,
            "token": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            "limit": st.integers(1, 1 << 40),
        },
    ),
    "negotiation": Target(
        check_negotiation, {"accept": ACCEPTS, "query": QUERIES, "agent": st.sampled_from(corpus.AGENTS)}
    ),
    "headers": Target(check_headers, {"lines": LINES, "is_trusted": st.booleans(), "upgrades": st.booleans()}),
    "users": Target(check_users, {"pairs": SUBJECTS}),
    "parser": Target(
        check_parser,
        {
            "stream": st.lists(corpus.changed(PLAIN + SHAKEN, corpus.IN_HTTP, 2), max_size=3).map(b"".join),
            "sizes": chunkings(),
        },
    ),
    "envelope": Target(check_envelope, {"document": corpus.changed(DOCUMENTS, corpus.IN_JSON, 2)}),
    "pages": Target(check_pages, {"bodies": page_sequences(), "sizes": chunkings()}),
}
