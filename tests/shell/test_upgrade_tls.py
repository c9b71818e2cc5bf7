"""Tunnels over TLS, on either side or both: the same bytes, and ends that are passed on as far as TLS lets them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.settings import DownstreamTLS, UpstreamTLS
from tests.fakes.apiserver import Apiserver, Exchange, response, script
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.running import Running, running
from tests.fakes.upgrades import WEBSOCKET, drink, pour, tunnel
from tests.fakes.wire import Client, Wire, request

LOOPS = ("asyncio", "uvloop")
BLOCK = random.Random(1).randbytes(256 << 10)
SIDES = pytest.mark.parametrize("who", ["client", "upstream"])
WHERE = pytest.mark.parametrize("where", ["both", "downstream", "upstream"])
pytestmark = needs_openssl


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make short-lived certificates, once."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


class House:
    """A proxy and its upstream, with TLS where a test wants it."""

    def __init__(self, certificates: Certificates, where: str, upstream: Apiserver, proxy: Running) -> None:
        self.upstream = upstream
        self.proxy = proxy
        self.client_tls = None if where == "upstream" else certificates.client()

    @asynccontextmanager
    async def tunnel(self) -> AsyncIterator[tuple[Client, Wire]]:
        """Open a tunnel."""
        async with tunnel(self.proxy, self.upstream, tls=self.client_tls) as ends:
            yield ends


@asynccontextmanager
async def house(certificates: Certificates, where: str) -> AsyncIterator[House]:
    """Run a proxy in front of an upstream."""
    tls = DownstreamTLS(cert=certificates.path("server.crt"), key=certificates.path("server.key"))
    upstream_tls = UpstreamTLS(ca=certificates.path("ca.crt"))
    async with (
        Apiserver(tls=None if where == "downstream" else certificates.server()) as upstream,
        running(
            upstream.url,
            tls=DownstreamTLS() if where == "upstream" else tls,
            upstream_tls=UpstreamTLS() if where == "downstream" else upstream_tls,
        ) as proxy,
    ):
        yield House(certificates, where, upstream, proxy)


@WHERE
async def test_bytes_over_tls(certificates: Certificates, where: str) -> None:
    """16 MiB each way at once arrive whole over TLS."""
    async with house(certificates, where) as here:
        async with here.tunnel() as (client, server):
            await asyncio.gather(
                pour(client, BLOCK, 64), pour(server, BLOCK, 64), drink(client, BLOCK, 64), drink(server, BLOCK, 64)
            )
        await here.proxy.quiet()
        assert here.proxy.sample("restream_response_bytes_sum", mode="raw") == 64 * len(BLOCK)


@SIDES
@WHERE
async def test_close_over_tls(certificates: Certificates, where: str, who: str) -> None:
    """A side that closes has its last bytes delivered, and the other one sees an end."""
    async with house(certificates, where) as here:
        async with here.tunnel() as (client, server):
            leaver, other = (client, server) if who == "client" else (server, client)
            await leaver.send(BLOCK)
            leaver.close()
            assert await other.read_rest() == BLOCK
            assert not other.was_reset
        await here.proxy.quiet()
        assert here.proxy.sample("restream_aborts_total") == 0
        assert not here.upstream.open_connections


@SIDES
@WHERE
async def test_reset_over_tls(certificates: Certificates, where: str, who: str) -> None:
    """A reset is passed on as a reset, TLS or not."""
    async with house(certificates, where) as here:
        async with here.tunnel() as (client, server):
            leaver, other = (client, server) if who == "client" else (server, client)
            leaver.reset()
            await other.until(lambda: other.is_lost)
            assert other.was_reset
        await here.proxy.aborts({"client": "client_gone", "upstream": "upstream_closed"}[who])
        await here.proxy.quiet()


@pytest.mark.parametrize(("where", "who"), [("upstream", "client"), ("downstream", "upstream")])
async def test_half_close_towards_tls(certificates: Certificates, where: str, who: str) -> None:
    """The end of one direction closes a tunnel whose other side has TLS, where asyncio knows no half-close."""
    async with house(certificates, where) as here:
        async with here.tunnel() as (client, server):
            first, last = (client, server) if who == "client" else (server, client)
            await first.send(BLOCK)
            first.finish()
            assert await last.read_rest() == BLOCK
            assert await first.read_rest() == b""
            assert not first.was_reset
        await here.proxy.quiet()
        assert here.proxy.sample("restream_aborts_total") == 0


@WHERE
async def test_early_bytes_and_an_end_at_once(certificates: Certificates, where: str) -> None:
    """An upstream that grants, tells all that it has to tell, and closes: the client gets every byte of it."""

    async def hurry(exchange: Exchange) -> None:
        await exchange.send(WEBSOCKET.switched + BLOCK)
        exchange.close()

    async with house(certificates, where) as here:
        here.upstream.script = hurry
        async with await here.proxy.connect(tls=here.client_tls) as client:
            await client.send(WEBSOCKET.request())
            await client.read_until(b"\r\n\r\n")
            assert await client.read_rest() == BLOCK
        await here.proxy.quiet()
        assert here.proxy.sample("restream_requests_total", code="101") == 1


@WHERE
async def test_refusal_over_tls(certificates: Certificates, where: str) -> None:
    """A refused handshake leaves both connections as they should be."""
    refusal = response(b"no", status=b"403 Forbidden", lines=[])
    async with house(certificates, where) as here:
        here.upstream.script = script(refusal)
        async with await here.proxy.connect(tls=here.client_tls) as client:
            for asked_for in (WEBSOCKET.request(), request("/version"), WEBSOCKET.request()):
                assert (await client.ask(asked_for)).body == b"no"
        await here.proxy.quiet()


async def test_drain_over_tls(certificates: Certificates) -> None:
    """A tunnel that outlives the drain is reset on both sides."""
    async with house(certificates, "both") as here, here.tunnel() as (client, server):
        await here.proxy.proxy.close()
        await client.until(lambda: client.is_lost)
        await server.until(lambda: server.is_lost)
        assert client.was_reset
        assert server.was_reset
