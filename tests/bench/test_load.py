"""The load client against scripted servers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.bench.errors import LoadError
from proxy.bench.load import Connection, fetch, fetch_text

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve(*answers: bytes) -> tuple[asyncio.Server, str]:
    """Answer each request on a connection with the next of `answers`, then close it."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_reads_both_framings_on_one_connection() -> None:
    """Bodies come without their framing, whatever it is, and the mode without its reason."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nX-Restream-Mode: streamed; reason=streaming_encoder\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    server, url = await serve(
        chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nfg"
    )
    async with server:
        connection = await Connection.open(url)
        parts: list[bytes] = []
        first = await connection.get("/a", parts.append)
        second = await connection.get("/b", parts.append)
        connection.close()
    assert b"".join(parts) == b"abcdefg"
    assert (first.status, first.mode, first.size) == (200, "streamed", 5)
    assert (second.mode, second.size) == ("", 2)
    assert 0 < first.first_byte <= first.seconds


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error(answer: bytes) -> None:
    """A comparison must never count half a body."""
    server, url = await serve(answer)
    async with server:
        with pytest.raises(LoadError):
            await fetch_text(url, "/")


async def test_a_refused_connection_is_an_error() -> None:
    """Nobody listens any more."""
    server, url = await serve()
    server.close()
    await server.wait_closed()
    with pytest.raises(LoadError, match="cannot connect"):
        await fetch(url, "/")


async def test_a_slow_client_takes_its_time() -> None:
    """With a rate, reading is paid for in seconds."""
    size = 200_000
    server, url = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    async with server:
        connection = await Connection.open(url, rate=1_000_000)
        transfer = await connection.get("/")
        connection.close()
    assert transfer.seconds > 0.1
