"""Clients that would rather speak HTTP/2 get HTTP/1.1 without a hitch, and as many connections as they have watches."""

import asyncio
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from proxy.settings import DownstreamTLS
from tests.fakes.apiserver import JSON_LINES, SMALL_LIST, Apiserver, Exchange, chunk, response
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.running import Running, running
from tests.fakes.wire import PATIENCE, Client, request

LOOPS = ("asyncio", "uvloop")
CURL = shutil.which("curl")
HAS_CURL = CURL is not None and b"HTTP2" in subprocess.run([CURL, "-V"], capture_output=True, check=True).stdout
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How a client begins that knows that HTTP/2 is spoken (RFC 9113, section 3.4), and its first frame: SETTINGS."""

SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
REFUSAL = b"400 Bad Request: malformed HTTP request\n"
WATCHES, EVENTS = 200, [b'{"type":"MODIFIED","object":{"n":%d}}\n' % number for number in range(20)]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make short-lived certificates, once."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def listener(certificates: Certificates) -> DownstreamTLS:
    """Return a listener with TLS."""
    return DownstreamTLS(certificates.path("server.crt"), certificates.path("server.key"))


def offering(certificates: Certificates, *protocols: str) -> ssl.SSLContext:
    """Return a client that offers these protocols, or says nothing of any."""
    context = certificates.client()
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


async def refused(client: Client, *pieces: bytes) -> None:
    """Expect a 400 and the end of the connection."""
    await client.send(*pieces)
    answer = await client.answer()
    assert (answer.status, answer.body, answer.complete) == (400, REFUSAL, True)
    assert await client.read_rest() == b""


# --- ALPN -------------------------------------------------------------------------------------------------------------


@needs_openssl
@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (("h2", "http/1.1"), "http/1.1"),  # Go's net/http, so client-go; curl, browsers
        (("http/1.1",), "http/1.1"),
        (("h2",), None),
        ((), None),
    ],
)
async def test_alpn_selects_http11(certificates: Certificates, offered: tuple[str, ...], selected: str | None) -> None:
    """Whatever else is offered. Who offers h2 alone is told that nothing was selected, and may go on without."""
    async with Apiserver() as upstream, running(upstream.url, tls=listener(certificates)) as proxy:
        loop = asyncio.get_running_loop()
        tls = offering(certificates, *offered)
        transport, client = await loop.create_connection(Client, proxy.host, proxy.port, ssl=tls)
        async with client:
            assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == selected
            assert (await client.ask(request())).body == SMALL_LIST


@needs_openssl
async def test_http2_all_the_same_over_tls(certificates: Certificates) -> None:
    """A client that begins with HTTP/2 although it was not selected is refused in words."""
    tls = offering(certificates, "h2")
    async with (
        Apiserver() as upstream,
        running(upstream.url, tls=listener(certificates)) as proxy,
        await proxy.connect(tls=tls) as client,
    ):
        await refused(client, PREFACE + SETTINGS)
    assert not upstream.exchanges


# --- without TLS ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces", [(PREFACE,), (PREFACE + SETTINGS,), (PREFACE[:5], PREFACE[5:]), (PREFACE[:18], PREFACE[18:], SETTINGS)]
)
async def test_the_preface_is_refused(pieces: tuple[bytes, ...]) -> None:
    """Prior knowledge is a mistake here: 400, and the connection ends."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await refused(client, *pieces)
    assert not upstream.exchanges


async def test_a_preface_behind_a_request() -> None:
    """What was asked before it is answered."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        assert (await client.ask(request())).body == SMALL_LIST
        await refused(client, PREFACE)


# --- curl -------------------------------------------------------------------------------------------------------------


async def curl(proxy: Running, *arguments: str) -> tuple[int, bytes, str]:
    """Fetch a List; return the exit code, the body, and which version was spoken."""
    command = [str(CURL), "-q", "-sS", "-w", "%{stderr}version=%{http_version}", *arguments]
    child = await asyncio.create_subprocess_exec(
        *command, f"{proxy.proxy.url}/api/v1/pods", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        body, said = await child.communicate()
    version = re.search(r"version=(\S+)", said.decode())
    return child.returncode or 0, body, version[1] if version else ""


@pytest.mark.skipif(not HAS_CURL, reason="there is no curl with HTTP/2")
@needs_openssl
async def test_curl_falls_back(certificates: Certificates) -> None:
    """``--http2`` asks for it by ALPN, without TLS by an upgrade to h2c."""
    async with Apiserver() as upstream:
        async with running(upstream.url) as plain:
            assert await curl(plain, "--http2") == (0, SMALL_LIST, "1.1")
        async with running(upstream.url, tls=listener(certificates)) as proxy:
            ca = certificates.path("ca.crt")
            assert await curl(proxy, "--http2", "--cacert", ca) == (0, SMALL_LIST, "1.1")


@pytest.mark.skipif(not HAS_CURL, reason="there is no curl with HTTP/2")
async def test_curl_with_prior_knowledge_is_told() -> None:
    """It fails at once rather than to wait for frames."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        code, body, _ = await curl(proxy, "--http2-prior-knowledge")
        assert code != 0
        assert body == b""
    assert not upstream.exchanges


# --- many watches -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def session(certificates: Certificates, *, tls: bool) -> AsyncIterator[tuple[aiohttp.ClientSession, Apiserver]]:
    """Yield one client of a proxy whose upstream sends the same events to all watches, once they are all there."""
    arrived = asyncio.Barrier(WATCHES)

    async def play(exchange: Exchange) -> None:
        await exchange.send(response(lines=[*JSON_LINES, (b"Transfer-Encoding", b"chunked")], framing="none"))
        await arrived.wait()
        for event in EVENTS:
            await exchange.send(chunk(event))
        await exchange.send(b"0\r\n\r\n")

    changes = {"tls": listener(certificates)} if tls else {}
    connector = aiohttp.TCPConnector(limit=0, ssl=offering(certificates, "h2", "http/1.1") if tls else True)
    async with Apiserver(play) as upstream, running(upstream.url, **changes) as proxy:
        async with aiohttp.ClientSession(proxy.proxy.url, connector=connector) as client:
            yield client, upstream
        await proxy.quiet()


async def watched(client: aiohttp.ClientSession, namespace: int) -> bytes:
    """Return everything that a watch gets to its end."""
    async with client.get(f"/api/v1/namespaces/n{namespace}/pods?watch=1") as answer:
        assert answer.status == 200
        return await answer.read()


@needs_openssl
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_two_hundred_watches_of_one_client(certificates: Certificates, tls: bool) -> None:
    """All are under way at once, and each has every event."""
    async with session(certificates, tls=tls) as (client, upstream):
        async with asyncio.timeout(PATIENCE):
            bodies = await asyncio.gather(*(watched(client, number) for number in range(WATCHES)))
        assert bodies == [b"".join(EVENTS)] * WATCHES
        assert len({exchange.target for exchange in upstream.exchanges}) == WATCHES
        assert len(upstream.connections) == WATCHES
