"""What the targets begin with: the recorded exchanges with real servers, and how these are changed."""

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.core.recorded import VERSIONS, Exchange, body, exchanges

RECORDED: list[Exchange] = exchanges()
TARGETS = sorted({exchange.target.encode() for exchange in RECORDED})
QUERIES = sorted({exchange.target.partition("?")[2].encode() for exchange in RECORDED})
ACCEPTS = sorted({line.encode() for exchange in RECORDED for line in exchange.accept})
AGENTS = sorted({exchange.user_agent for exchange in RECORDED})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "")

PAGES = [
    [body(version, f"{name}{number}.json") for number in range(1, count + 1)]
    for version in VERSIONS
    for name, count in (("widgets-page", 3), ("pods-selector-page", 2), ("widgets-table-page", 2))
]
"""Pages that are one List; small ones, as these are changed in more places in the same time."""

IN_TARGETS: tuple[bytes, ...] = (
    b"/",
    b"//",
    b"?",
    b"&",
    b"=",
    b";",
    b"%",
    b"%2F",
    b"%00",
    b"%zz",
    b"+",
    b"#",
    b"..",
    b"watch",
    b"proxy",
)
IN_TARGETS += (b"limit=", b"limit=-1", b"continue=x", b"resourceVersion=0", b"fieldSelector=metadata.name=a", b"\xc3")
IN_ACCEPTS: tuple[bytes, ...] = (
    b",",
    b";",
    b"q=",
    b"q=nan",
    b"q=-1",
    b"q=1e999",
    b"as=Table",
    b"g=",
    b"v=v2",
    b"*/*",
    b"*",
    b"/",
    b'"',
)
IN_JSON: tuple[bytes, ...] = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"1e99",
    b"null",
    b'"continue":"x",',
    b"\xff",
    b" ",
)
IN_JSON += (b'"remainingItemCount":1,', b'"resourceVersion":"9"', b'"items":[],', b'"metadata":{},', b"\\ud800")
IN_HTTP: tuple[bytes, ...] = (
    b"\r\n",
    b"\n",
    b"\r",
    b":",
    b" ",
    b"\t",
    b"\x00",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\xff",
)
IN_HTTP += (b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n")
IN_HTTP += (
    b"Host: b\r\n",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT ",
    b"Expect: 100-continue\r\n",
)


@st.composite
def changed(draw: st.DrawFn, corpus: Sequence[bytes], tokens: Sequence[bytes], most: int = 4) -> bytes:
    """Draw a piece of the corpus in which up to `most` places have been changed."""
    text = bytearray(draw(st.sampled_from(corpus)))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(text)))
        end = at + draw(st.sampled_from((0, 0, 1, 2, 8, 64)))
        other = draw(st.integers(0, len(text)))
        text[at:end] = draw(
            st.one_of(st.sampled_from(tokens), st.binary(max_size=3), st.just(bytes(text[other : other + 16])))
        )
    return bytes(text)
