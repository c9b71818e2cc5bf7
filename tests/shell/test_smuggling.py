"""Requests that two parsers could cut apart differently: refused with 400 and a closed connection, or read in one way.

What goes up is framed anew, so that the upstream can only read what was read here (RFC 9112, section 11.2).
"""

import pytest

from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, answer_small_list, chunk
from tests.fakes.running import eventually, running
from tests.fakes.wire import request

LOOPS = ("asyncio", "uvloop")
SMUGGLED = request("/smuggled", method="DELETE")
HOST = b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

BAD_HEADS = {
    "empty length": b"Content-Length:\r\n\r\n",
    "hexadecimal length": b"Content-Length: 0x3\r\n\r\nabc",
    "length with a point": b"Content-Length: 3.0\r\n\r\nabc",
    "length with a space inside": b"Content-Length: 1 0\r\n\r\nabc",
    "negative length": b"Content-Length: -1\r\n\r\n",
    "length of 2**64 + 3": b"Content-Length: 18446744073709551619\r\n\r\nabc",
    "two lengths, the first 0": b"Content-Length: 0\r\nContent-Length: 3\r\n\r\nabc",
    "length with a vertical tab": b"Content-Length: \x0b3\r\n\r\nabc",
    "space before the colon of a length": b"Content-Length : 3\r\n\r\nabc",
    "tab before the colon of a coding": b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked with a parameter": b"Transfer-Encoding: chunked;x=1\r\n\r\n0\r\n\r\n",
    "chunked in quotes": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "xchunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "empty coding": b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "empty coding and a length": b"Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc",
    "identity and a length": b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
    "folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded with a tab": b"X: 1\r\n\t2\r\nContent-Length: 3\r\n\r\nabc",
    "first line folded": b" Content-Length: 3\r\n\r\nabc",
    "bare line feed before a length": b"X: 1\nContent-Length: 3\r\n\r\nabc",
    "bare carriage return": b"X: 1\rContent-Length: 3\r\n\r\nabc",
    "head ends with a bare line feed": b"X: 1\r\n\n",
    "NUL in a name": b"X\x00: 1\r\n\r\n",
    "no colon": b"Content-Length\r\n\r\n",
    "no name": b": 3\r\n\r\n",
    "a second Host": b"host: elsewhere\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD_HEADS)
async def test_bad_head(what: str) -> None:
    """Nothing of a request whose framing is in doubt goes up, nor what stands behind it."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(HOST + BAD_HEADS[what] + SMUGGLED)
        assert (await client.answer("POST")).status == 400
        assert await client.read_rest() == b""
        assert not upstream.exchanges


BAD_CHUNKS = {
    "no size": b"\r\nabc\r\n",
    "not a number": b"zz\r\nabc\r\n",
    "0x": b"0x3\r\nabc\r\n",
    "plus": b"+3\r\nabc\r\n",
    "minus": b"-3\r\nabc\r\n",
    "space before": b" 3\r\nabc\r\n",
    "space behind": b"3 \r\nabc\r\n",
    "underscore": b"0_3\r\nabc\r\n",
    "of 2**64 + 3": b"10000000000000003\r\nabc\r\n",
    "bare line feed behind the size": b"3\nabc\r\n",
    "bare carriage return behind the size": b"3\rabc\r\n",
    "bare line feed behind an extension": b"3;x\nabc\r\n",
    "bare carriage return in an extension": b"3;x\ry\r\nabc\r\n",
    "shorter than its data": b"2\r\nabc\r\n",
    "longer than its data": b"4\r\nabc\r\n0\r\n\r\n",
    "bare line feed behind the data": b"3\r\nabc\n0\r\n\r\n",
    "folded trailer": b"0\r\nX: 1\r\n 2\r\n\r\n",
    "trailer that frames": b"0\r\nContent-Length: 9\r\n\r\n",
    "trailer without a colon": b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD_CHUNKS)
async def test_bad_chunk(what: str) -> None:
    """A body whose chunks are not beyond doubt is never completed upstream; nothing behind it is read."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(HOST + CHUNKED + b"\r\n" + chunk(b"good"), BAD_CHUNKS[what] + b"0\r\n\r\n" + SMUGGLED)
        answer = await client.answer("POST")
        assert answer.status == 400
        assert await client.read_rest() == b""
        await proxy.quiet()
        await eventually(lambda: not upstream.open_connections)
        assert [exchange.content for exchange in upstream.exchanges] in ([], [None])


ONE_WAY = {
    "coding in capitals": (b"TRANSFER-ENCODING: CHUNKED\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
    "white space before the coding": (b"Transfer-Encoding: \t chunked\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
    "extension": (CHUNKED + b"\r\n", b'3;x=1;y="z"\r\nabc\r\n0;last\r\n\r\n'),
    "leading zeros": (CHUNKED + b"\r\n", b"0000003\r\nabc\r\n000\r\n\r\n"),
    "trailers": (CHUNKED + b"\r\n", b"3\r\nabc\r\n0\r\nX: 9\r\nAuthorization: x\r\n\r\n"),
    "length with zeros": (b"Content-Length: 003\r\n\r\n", b"abc"),
    "length in white space": (b"Content-Length: \t3 \t\r\n\r\n", b"abc"),
}


@pytest.mark.parametrize("what", ONE_WAY)
async def test_what_can_be_read_in_one_way(what: str) -> None:
    """What is odd but clear goes up as what it means, in a framing of our own, and the connection serves on."""
    head, body = ONE_WAY[what]

    async def read(exchange: Exchange) -> None:
        await exchange.body()
        await answer_small_list(exchange)

    async with Apiserver(read) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(HOST + head + body + request("/version"))
        for _ in range(2):
            assert (await client.answer()).body == SMALL_LIST
        assert [exchange.target for exchange in upstream.exchanges] == [b"/x", b"/version"]
        first = upstream.exchanges[0]
        assert first.content == b"abc"
        if b"ontent-" not in head:
            assert first.others == [(b"Transfer-Encoding", b"chunked")]
            assert first.raw_content == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
async def test_body_where_none_is_usual(method: str) -> None:
    """A body of a method that seldom has one goes up as its body, never as the next request."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        sent = request("/x", b"Content-Length: %d" % len(SMUGGLED), method=method, body=SMUGGLED)
        await client.send(sent + request("/version"))
        assert (await client.answer(method)).status == 200
        assert upstream.exchanges[0].content == SMUGGLED
        if method != "HEAD":  # the fake sends a body all the same
            assert (await client.answer()).status == 200
            assert [exchange.target for exchange in upstream.exchanges] == [b"/x", b"/version"]


@pytest.mark.parametrize("method", ["FOO", "get", "TRACE", "CONNECT"])
async def test_methods_that_are_not_carried(method: str) -> None:
    """A method that llhttp does not know is refused, as is CONNECT; any that it knows goes up, TRACE too."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        answer = await proxy.ask(request("/x" if method != "CONNECT" else "x:443", method=method))
        assert answer.status == {"TRACE": 200, "CONNECT": 501}.get(method, 400)
        assert len(upstream.exchanges) == (method == "TRACE")
