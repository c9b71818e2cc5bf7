"""Clients that are slow, many or large on purpose: what each of them may take is bounded, and others do not notice."""

import asyncio

import pytest

from proxy.downstream.heads import SMALL_BYTES, Heads
from proxy.settings import DownstreamTLS, Limits
from tests.fakes.apiserver import Apiserver, Exchange, answer_small_list, response
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.running import Running, eventually, running
from tests.fakes.upgrades import HANDSHAKES
from tests.fakes.wire import Client, request

LOOPS = ("asyncio", "uvloop")
HEAD = b"GET /version HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make short-lived certificates, once."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def refusals(proxy: Running, reason: str) -> float:
    """Return how often the listener has refused something for a reason."""
    return proxy.sample("restream_client_refusals_total", reason=reason)


async def answer_after_body(exchange: Exchange) -> None:
    """Read the request to its end, then answer."""
    await exchange.body()
    await answer_small_list(exchange)


# --- time -----------------------------------------------------------------------------------------------------------


async def test_head_that_trickles() -> None:
    """A head has to be complete in time from its first byte, however regularly its bytes come: 408."""
    limits = Limits(header_seconds=0.4, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy, await proxy.connect() as client:
        await client.send(HEAD)
        sending = asyncio.ensure_future(_trickle(client, b"X: 1\r\n"))
        answer = await client.answer()
        assert answer.status == 408
        assert answer.first(b"connection") == b"close"
        await asyncio.gather(sending, return_exceptions=True)
        assert refusals(proxy, "head_slow") == 1
        assert not upstream.exchanges
        await eventually(lambda: proxy.sample("restream_head_bytes") == 0)


async def test_slow_head_behind_an_answer() -> None:
    """The time of a head does not begin with the connection, and ends with the head: a later one has its own."""
    limits = Limits(header_seconds=0.5, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy, await proxy.connect() as client:
        for _ in range(3):
            await client.send(HEAD)
            await asyncio.sleep(0.25)
            await client.send(b"\r\n")
            assert (await client.answer()).status == 200
        await client.send(HEAD)
        assert (await client.answer()).status == 408


async def test_connection_that_says_nothing() -> None:
    """A connection on which nothing ever comes is closed as any idle one, without a word."""
    limits = Limits(idle_seconds=0.2, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy, await proxy.connect() as client:
        assert await client.read_rest() == b""


@needs_openssl
async def test_handshake_that_does_not_end(certificates: Certificates) -> None:
    """A TLS handshake has as long as a head; it is no connection any more when it fails."""
    limits = Limits(header_seconds=0.3, drain_seconds=0.2)
    tls = DownstreamTLS(certificates.path("server.crt"), certificates.path("server.key"))
    async with (
        Apiserver() as upstream,
        running(upstream.url, limits=limits, tls=tls) as proxy,
        await proxy.connect() as client,
    ):
        await eventually(lambda: proxy.sample("restream_client_connections") == 1)
        assert await client.read_rest() == b""
        await eventually(lambda: refusals(proxy, "handshake") == 1)
        assert proxy.sample("restream_client_connections") == 0


async def test_body_that_stops_coming() -> None:
    """A client that does not send the body that it has announced is waited for as long as one that does not read."""
    limits = Limits(client_stall_seconds=0.4, drain_seconds=0.2)
    async with (
        Apiserver(answer_after_body) as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect() as client,
    ):
        await client.send(request("/x", b"Content-Length: 9", method="POST", body=b"12"))
        assert (await client.answer("POST")).status == 408
        assert client.has_ended or await client.read_rest() == b""
        await proxy.quiet()
        assert upstream.exchanges[0].content is None
        assert proxy.sample("restream_requests_total", code="408", reason="client_stalled") == 1


async def test_body_that_trickles() -> None:
    """A byte now and then is not progress; a body that goes to a Pod may pause for as long as it likes."""
    limits = Limits(client_stall_seconds=0.3, client_min_bytes_per_second=1000, drain_seconds=0.2)
    async with Apiserver(answer_after_body) as upstream, running(upstream.url, limits=limits) as proxy:
        for path, status in (("/x", 408), ("/api/v1/namespaces/x/pods/y/proxy/z", 200)):
            async with await proxy.connect() as client:
                await client.send(request(path, b"Content-Length: 8", method="POST"))
                sending = asyncio.ensure_future(_trickle(client, b"1", 8))
                assert (await client.answer("POST")).status == status
                await asyncio.gather(sending, return_exceptions=True)


async def _trickle(client: Client, piece: bytes, times: int = 100) -> None:
    for _ in range(times):
        await asyncio.sleep(0.1)
        await client.send(piece)


# --- numbers --------------------------------------------------------------------------------------------------------


async def test_idle_connections_make_room() -> None:
    """Where there are too many connections, the one that has been without a request for longest goes."""
    limits = Limits(connections=3, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy:
        clients = [await proxy.connect() for _ in range(3)]
        for client in (clients[1], clients[0], clients[2]):
            assert (await client.ask(request("/version"))).status == 200
        async with await proxy.connect() as newcomer:
            assert (await newcomer.ask(request("/version"))).status == 200
        await clients[1].until(lambda: clients[1].has_ended)
        for client in (clients[0], clients[2]):
            assert (await client.ask(request("/version"))).status == 200
        assert refusals(proxy, "connections") == 1
        for client in clients:
            async with client:
                pass


async def test_connections_that_are_in_use_stay() -> None:
    """Where every connection is in use, the newcomer is closed at once; heads that do not end go first."""

    async def hang(exchange: Exchange) -> None:
        await exchange.wait_closed()

    limits = Limits(connections=2, drain_seconds=0.2)
    async with Apiserver(hang) as upstream, running(upstream.url, limits=limits) as proxy:
        async with await proxy.connect() as one, await proxy.connect() as other:
            await one.send(request("/version"))
            await upstream.wait_for_exchanges(1)
            await other.send(HEAD)
            await eventually(lambda: proxy.sample("restream_head_bytes") > 0)
            async with await proxy.connect() as third:
                await other.until(lambda: other.has_ended)
                await third.send(request("/version"))
                await upstream.wait_for_exchanges(2)
                async with await proxy.connect() as fourth:
                    assert await fourth.read_rest() == b""
                assert not one.has_ended
                assert not third.has_ended
        await eventually(lambda: proxy.sample("restream_client_connections") == 0)


@needs_openssl
async def test_handshakes_make_room(certificates: Certificates) -> None:
    """Connections that never get through their TLS handshake keep nobody out."""
    limits = Limits(connections=3, drain_seconds=0.2)
    tls = DownstreamTLS(certificates.path("server.crt"), certificates.path("server.key"))
    async with Apiserver() as upstream, running(upstream.url, limits=limits, tls=tls) as proxy:
        silent = [await proxy.connect() for _ in range(5)]
        for _ in range(3):
            assert (await proxy.ask(request("/version"), tls=certificates.client())).status == 200
        assert silent[0].has_ended
        for client in silent:
            async with client:
                pass


async def test_connections_of_one_address() -> None:
    """One address has no more than its share; a connection that has ended makes room."""
    limits = Limits(client_connections=2, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy:
        async with await proxy.connect() as one, await proxy.connect():
            async with await proxy.connect() as third:
                assert await third.read_rest() == b""
            assert (await one.ask(request("/version"))).status == 200
        await eventually(lambda: proxy.sample("restream_client_connections") == 0)
        assert (await proxy.ask(request("/version"))).status == 200
        assert refusals(proxy, "client_connections") == 1


async def test_requests_of_one_connection() -> None:
    """The last request that a connection may carry is answered with its end."""
    limits = Limits(connection_requests=3, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy, await proxy.connect() as client:
        answers = [await client.ask(request("/version")) for _ in range(3)]
        assert [answer.first(b"connection") for answer in answers] == [b"", b"", b"close"]
        assert await client.read_rest() == b""


@pytest.mark.parametrize(
    ("target", "lines", "status", "reason"),
    [
        ("/" + "x" * 100, [], 200, ""),
        ("/" + "x" * 101, [], 414, "target_long"),
        ("/", [b"X: y"] * 9, 200, ""),
        ("/", [b"X: y"] * 10, 431, "head_large"),
    ],
)
async def test_long_heads(target: str, lines: list[bytes], status: int, reason: str) -> None:
    """Target and number of header lines have limits, which the head may come up to; nothing behind it is read."""
    limits = Limits(uri_bytes=101, header_lines=10, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy, await proxy.connect() as client:
        await client.send(request(target, *lines) + request("/behind"))
        assert (await client.answer()).status == status
        if status != 200:
            assert await client.read_rest() == b""
            assert not upstream.exchanges
            assert refusals(proxy, reason) == 1


# --- memory ---------------------------------------------------------------------------------------------------------


async def test_large_heads_share_a_bound() -> None:
    """Many clients with most of a large head hold no more than the bound; small heads have room all the same."""
    limits = Limits(large_heads_bytes=1 << 20, drain_seconds=0.2)
    async with Apiserver() as upstream, running(upstream.url, limits=limits) as proxy:
        clients = [await proxy.connect() for _ in range(20)]
        for number, client in enumerate(clients):
            await client.send(HEAD + b"X: " + b"x" * (150_000 + 1000 * number))
            assert proxy.sample("restream_head_bytes") <= (1 << 20) + len(clients) * SMALL_BYTES
        await eventually(lambda: refusals(proxy, "heads_full") >= 12)
        assert not clients[0].has_ended
        for client in clients:
            if client.has_ended:
                assert (await client.answer()).status in (503, 0)  # a reset may overtake what says why
        assert (await proxy.ask(request("/version", b"X: " + b"x" * 8000))).status == 200
        for client in clients:
            async with client:
                pass
        await eventually(lambda: proxy.sample("restream_head_bytes") == 0)


class Owner:
    """A connection that only remembers."""

    def __init__(self) -> None:
        self.is_refused = False

    def refuse_head(self) -> None:
        """Remember it."""
        self.is_refused = True


def test_heads_of_requests_under_way_are_not_refused() -> None:
    """The largest head that is coming goes; one whose request is under way stays, whatever it holds."""
    heads = Heads(limit=100_000)
    running, small, large, larger = (Owner() for _ in range(4))
    heads.note(running, 0, 200_000)
    heads.note(small, SMALL_BYTES)
    assert not small.is_refused
    heads.note(large, 20_000)
    assert large.is_refused
    assert heads.held == 200_000 + SMALL_BYTES
    heads.note(running, 0)
    heads.note(larger, 60_000)
    heads.note(large, 45_000)
    heads.note(small, 40_000)
    assert (small.is_refused, larger.is_refused) == (False, False)
    heads.note(running, 10_000, 60_000)
    assert (running.is_refused, larger.is_refused, small.is_refused) == (False, True, False)
    for owner in (running, small, large, larger):
        heads.note(owner, 0)
    assert heads.held == 0


async def test_pipelined_heads_are_not_read_without_end() -> None:
    """Requests that wait for their turn hold no more heads than a read buffer; they are all answered in the end."""
    gate = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await gate.wait()
        await exchange.send(response())

    limits = Limits(read_buffer_bytes=65536, drain_seconds=0.2)
    async with (
        Apiserver(answer) as upstream,
        running(upstream.url, limits=limits) as proxy,
        await proxy.connect() as client,
    ):
        sending = asyncio.ensure_future(client.send(*[request("/x", b"X: " + b"x" * 500_000)] * 15))
        await upstream.wait_for_exchanges(1)
        before = -1
        while before != client.sent:
            before = client.sent
            await asyncio.sleep(0.1)
        assert proxy.sample("restream_head_bytes") < 3_000_000
        gate.set()
        for _ in range(15):
            assert (await client.answer()).status == 200
        await sending


async def test_uploads_share_a_bound() -> None:
    """Bodies that the upstream does not take are held up to a bound together, and accounted for."""
    gate = asyncio.Event()

    async def read_late(exchange: Exchange) -> None:
        exchange.connection.pause()
        await gate.wait()
        exchange.connection.resume()
        await exchange.wait_closed()

    limits = Limits(uploads_bytes=65536, read_buffer_bytes=1 << 20, write_buffer_bytes=1 << 20, drain_seconds=0.2)
    async with Apiserver(read_late) as upstream, running(upstream.url, limits=limits) as proxy:
        clients = [await proxy.connect() for _ in range(6)]
        sending = []
        for client in clients:
            await client.send(request("/x", b"Content-Length: 50000000", method="POST"))
            sending.append(asyncio.ensure_future(client.send(b"x" * 50_000_000)))
        await eventually(lambda: proxy.sample("restream_buffered_bytes") > 65536)
        before = -1
        while before != sum(client.sent for client in clients):
            before = sum(client.sent for client in clients)
            await asyncio.sleep(0.2)
        assert 65536 < proxy.sample("restream_buffered_bytes") < len(clients) * 600_000
        gate.set()
        for client in clients:
            client.reset()
        await asyncio.gather(*sending, return_exceptions=True)
        await proxy.quiet()


async def test_what_stands_behind_a_handshake_is_accounted_for() -> None:
    """Bytes behind a handshake that is not answered yet are told, and are nobody's once it is."""
    handshake = next(iter(HANDSHAKES.values()))
    gate = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await gate.wait()
        await exchange.send(response(status=b"403 Forbidden"))

    async with Apiserver(answer) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        await client.send(handshake.request() + b"\x00" * 100_000)
        await eventually(lambda: proxy.sample("restream_buffered_bytes") == 100_000)
        gate.set()
        assert (await client.answer()).status == 403
        await proxy.quiet()


async def test_a_crowd_of_slow_clients_keeps_nobody_out() -> None:
    """Beside clients that send heads byte by byte and clients that do not read, requests are answered."""

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        size = 20_000_000 if exchange.target == b"/large" else 2
        await exchange.send(response(b"x" * size))

    limits = Limits(header_seconds=20, large_heads_bytes=1 << 20, drain_seconds=0.2)
    async with Apiserver(answer) as upstream, running(upstream.url, limits=limits) as proxy:
        slow = [await proxy.connect() for _ in range(100)]
        for client in slow[:60]:
            await client.send(HEAD)
        for client in slow[60:]:
            client.pause()
            await client.send(request("/large"))
        for _ in range(3):
            for client in slow[:60]:
                await client.send(b"X-a: b\r\n")
            assert (await proxy.ask(request("/version"))).body == b"xx"
        assert proxy.sample("restream_client_connections") >= 100
        assert 0 < proxy.sample("restream_head_bytes") < 60 * 4096
        for client in slow:
            client.reset()
        await proxy.quiet()
