"""Several addresses of one upstream: where requests go, and what the client sees when one of them is not there."""

import asyncio
import socket
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from proxy.settings import Limits, UpstreamTLS
from proxy.upstream import checks
from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, answer_small_list, response, script
from tests.fakes.blackhole import black_hole
from tests.fakes.certificates import Certificates, make_certificates, needs_openssl
from tests.fakes.running import Running, eventually, running
from tests.fakes.wire import Answer, request

LOOPS = ("asyncio", "uvloop")
WATCH = "/api/v1/pods?watch=1"
IMPATIENT = Limits(connect_seconds=0.3, first_byte_seconds=0.3, drain_seconds=0.2)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check often, so that no test waits for it."""
    monkeypatch.setattr(checks, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(checks, "PATIENCE_SECONDS", 0.2)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check once, at the start."""
    monkeypatch.setattr(checks, "CHECK_SECONDS", 3600.0)


def closed_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def url_of(port: int) -> str:
    """Return the URL of a port."""
    return f"http://127.0.0.1:{port}"


def is_up(proxy: Running, url: str) -> bool:
    """Whether the metrics say that an address is well."""
    return proxy.sample("restream_upstream_up", address=url.partition("//")[2]) == 1


async def ask_often(proxy: Running, count: int, *, method: str = "GET") -> list[Answer]:
    """Ask so many times, one after the other, on connections of their own."""
    lines = (b"Content-Length: 2",) if method == "POST" else ()
    asked = request("/api/v1/pods", *lines, method=method, body=b"{}" if lines else b"")
    return [await proxy.ask(asked) for _ in range(count)]


async def hang(exchange: Exchange) -> None:
    """Answer nothing, as a process that is stopped."""
    await exchange.body()
    await exchange.wait_closed()


# --- where requests go ------------------------------------------------------------------------------------------------


async def test_requests_are_spread() -> None:
    """One after the other they take turns, each with its address in Host."""
    async with Apiserver() as one, Apiserver() as two, Apiserver() as three:
        upstreams = (one, two, three)
        async with running(tuple(each.url for each in upstreams), mode="streamed") as proxy:
            for answer in await ask_often(proxy, 12):
                assert answer.body == SMALL_LIST
        for each in upstreams:
            assert len(each.exchanges) == 4
            assert {value for exchange in each.exchanges for value in exchange.values(b"host")} == {
                f"127.0.0.1:{each.port}".encode()
            }


async def test_watches_are_spread_and_do_not_draw_lists() -> None:
    """Watches are as many at each address; an address that has none gets no more Lists than the others for that."""
    head = response(lines=[(b"Content-Type", b"application/json"), (b"Transfer-Encoding", b"chunked")], framing="none")

    async def serve(exchange: Exchange) -> None:
        if b"watch" not in exchange.target:
            await answer_small_list(exchange)
            return
        await exchange.send(head)
        await exchange.wait_closed()

    async with Apiserver(serve) as one, Apiserver(serve) as two, AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(running((one.url, two.url), mode="streamed"))
        for _ in range(10):
            client = await stack.enter_async_context(await proxy.connect())
            await client.send(request(WATCH))
            await client.read_until(b"\r\n\r\n")
        assert [len(each.exchanges) for each in (one, two)] == [5, 5]
        for wire in two.connections:
            wire.reset()
        await eventually(lambda: proxy.sample("restream_inflight_requests") == 5)
        await ask_often(proxy, 10)
        assert [len(each.exchanges) for each in (one, two)] == [10, 10]


@needs_openssl
async def test_each_address_is_verified_by_its_own_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    """With TLS the name that a certificate has to have is the address's, or the one that is set for all."""
    certificates: Certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    ca = certificates.path("ca.crt")
    async with Apiserver(tls=certificates.server()) as one, Apiserver(tls=certificates.server()) as two:
        urls = (one.url, two.url.replace("127.0.0.1", "localhost"))
        for tls in (UpstreamTLS(ca=ca), UpstreamTLS(ca=ca, server_name="api.example")):
            async with running(urls, mode="streamed", upstream_tls=tls) as proxy:
                for answer in await ask_often(proxy, 4):
                    assert answer.body == SMALL_LIST
                assert proxy.sample("restream_upstream_failovers_total") == 0
        assert [len(each.exchanges) for each in (one, two)] == [4, 4]
        async with running(urls, mode="streamed", upstream_tls=UpstreamTLS(ca=ca, server_name="other")) as proxy:
            assert (await proxy.ask(request())).status == 502


# --- one that is not there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_dead_at_start(method: str, never: None) -> None:
    """Whatever the method, a connection that is refused is tried elsewhere, and the address is out at once."""
    dead = url_of(closed_port())
    async with Apiserver() as alive, running((dead, alive.url), mode="streamed") as proxy:
        for answer in await ask_often(proxy, 6, method=method):
            assert answer.status == 200
        assert len(alive.exchanges) == 6
        assert (await proxy.ask_admin("/readyz")).status == 200
        assert is_up(proxy, alive.url)
        assert not is_up(proxy, dead)
        assert proxy.sample("restream_upstream_failovers_total") <= 1


async def test_none_is_there(often: None) -> None:
    """With nobody to go to it is a 502 Status, at once, and not ready; what comes back is found."""
    ports = closed_port(), closed_port()
    async with running((url_of(ports[0]), url_of(ports[1])), mode="streamed") as proxy:
        for answer in await ask_often(proxy, 3):
            assert answer.status == 502
        assert (await proxy.ask_admin("/readyz")).status == 503
        async with Apiserver(port=ports[1]):
            assert (await proxy.ask(request())).status == 200
            await eventually(lambda: is_up(proxy, url_of(ports[1])))
            assert (await proxy.ask_admin("/readyz")).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_black_hole_does_not_hold_anybody_up(method: str, never: None) -> None:
    """Where nothing answers to a SYN another address is tried soon; the body goes to one alone."""
    with black_hole() as nowhere:
        async with Apiserver() as alive, running((nowhere, alive.url), mode="streamed") as proxy:
            async with asyncio.timeout(5):  # a tenth of what connecting in vain would take
                for answer in await ask_often(proxy, 6, method=method):
                    assert answer.status == 200
            assert len(alive.exchanges) == 6
            if method == "POST":
                assert [exchange.content for exchange in alive.exchanges] == [b"{}"] * 6


async def test_black_hole_is_avoided_within_two_seconds() -> None:
    """By the checks as they are by default, and with idle connections that were fine a moment ago."""
    loop = asyncio.get_running_loop()
    async with Apiserver() as gone, Apiserver() as alive, running((gone.url, alive.url), mode="streamed") as proxy:
        await ask_often(proxy, 4)
        await eventually(lambda: gone.checks > 0)
        gone.readyz, gone.script = b"", hang
        since = loop.time()
        await eventually(lambda: not is_up(proxy, gone.url))
        assert loop.time() - since < 2.0
        seen = len(gone.exchanges)
        for answer in await ask_often(proxy, 6):
            assert answer.status == 200
        assert len(gone.exchanges) == seen


async def test_checks_and_patience_are_below_two_seconds() -> None:
    """What vanishes right behind a check is found by the next one."""
    assert checks.CHECK_SECONDS + checks.PATIENCE_SECONDS < 2.0


async def test_dies_and_comes_back(often: None) -> None:
    """Requests go on while one is away, and to it again when it is back."""
    port = closed_port()
    async with Apiserver() as stays, AsyncExitStack() as stack:
        first = await stack.enter_async_context(Apiserver(port=port))
        proxy = await stack.enter_async_context(running((stays.url, first.url), mode="streamed"))
        await ask_often(proxy, 4)
        await first.die()
        for answer in await ask_often(proxy, 10):
            assert answer.body == SMALL_LIST
        async with Apiserver(port=port) as second:
            await eventually(lambda: is_up(proxy, second.url))
            await ask_often(proxy, 4)
            assert len(second.exchanges) == 2


async def test_dies_under_load(often: None) -> None:
    """Under load no request that may be repeated fails, however the process dies."""
    port = closed_port()

    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.005)
        await answer_small_list(exchange)

    async with Apiserver(slow) as stays, AsyncExitStack() as stack:
        dies = await stack.enter_async_context(Apiserver(slow, port=port))
        proxy = await stack.enter_async_context(running((stays.url, dies.url), mode="streamed"))
        asked = [asyncio.create_task(ask_often(proxy, 10)) for _ in range(8)]
        await dies.wait_for_exchanges(20)
        await dies.die()
        answers = [answer for each in await asyncio.gather(*asked) for answer in each]
        assert Counter((answer.status, answer.body == SMALL_LIST) for answer in answers) == {(200, True): 80}


async def test_dies_inside_a_body(never: None) -> None:
    """A response that has begun is never continued from elsewhere: it ends unfinished."""
    whole = response(SMALL_LIST)

    async def half(exchange: Exchange) -> None:
        await exchange.send(whole[:-30])
        exchange.reset()

    async with Apiserver(half) as one, Apiserver(half) as two, running((one.url, two.url), mode="streamed") as proxy:
        answer = await proxy.ask(request())
        assert not answer.complete
        assert SMALL_LIST.startswith(answer.body)
        assert len(one.exchanges) + len(two.exchanges) == 1
        await proxy.aborts("upstream_closed")


# --- what is sent twice, and what never is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "lines", "times"),
    [
        ("GET", (), 2),
        ("HEAD", (), 2),
        ("GET", (b"Content-Length: 2",), 1),
        ("POST", (b"Content-Length: 2",), 1),
        ("DELETE", (), 1),
        ("GET", (b"Connection: Upgrade", b"Upgrade: websocket"), 1),
    ],
)
async def test_reset_before_any_byte(method: str, lines: tuple[bytes, ...], times: int, never: None) -> None:
    """Once more, elsewhere, what is safe to repeat; never a third time; what writes, or opens a shell, not at all."""

    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    servers = [Apiserver(reset) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for server in servers:
            server.readyz = response(b"ok", lines=[(b"Connection", b"close")])  # so that no connection is left idle
            await stack.enter_async_context(server)
        proxy = await stack.enter_async_context(running(tuple(server.url for server in servers), mode="streamed"))
        await eventually(lambda: all(server.checks for server in servers))
        body = b"{}" if b"Content-Length: 2" in lines else b""
        answer = await proxy.ask(request("/api/v1/x", *lines, method=method, body=body), method=method)
        assert answer.status == 502
        assert sorted(len(server.exchanges) for server in servers) == sorted([1] * times + [0] * (3 - times))
        assert sum(not is_up(proxy, server.url) for server in servers) == times
        assert proxy.sample("restream_upstream_retries_total", kind="connection", outcome="granted") == times - 1


async def test_no_retry_beyond_the_budget(never: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing left in the budget a request fails at its first address."""
    monkeypatch.setattr("proxy.core.retrybudget.RESERVE_PER_SECOND", 0)

    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    async with Apiserver(reset) as one, Apiserver(reset) as two, running((one.url, two.url)) as proxy:
        assert (await proxy.ask(request("/x"))).status == 502
        assert len(one.exchanges) + len(two.exchanges) == 1
        assert proxy.sample("restream_upstream_retries_total", kind="connection", outcome="refused") == 1


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, True) for status in (b"200 OK", b"401 Unauthorized", b"403 Forbidden", b"404 Not Found")),
        (b"429 Too Many Requests", True),
        *((status, False) for status in (b"500 Internal Server Error", b"503 Service Unavailable")),
    ],
)
async def test_what_readyz_may_answer(status: bytes, *, expected: bool, often: None) -> None:
    """Any answer below 500 is one of a server that is there; what says that it is not ready gets no requests."""
    async with Apiserver() as one, Apiserver() as two:
        two.readyz = response(b"[-]etcd failed", status=status)
        async with running((one.url, two.url), mode="streamed") as proxy:
            await eventually(lambda: two.checks > 2)
            assert is_up(proxy, two.url) == expected
            await ask_often(proxy, 4)
            assert len(two.exchanges) == (2 if expected else 0)


async def test_not_ready_anywhere(often: None) -> None:
    """Where none is ready all are asked: that tells more of the checks than of the servers."""
    async with Apiserver() as one, Apiserver() as two:
        one.readyz = two.readyz = response(b"no", status=b"500 Internal Server Error")
        async with running((one.url, two.url), mode="streamed") as proxy:
            await eventually(lambda: not (is_up(proxy, one.url) or is_up(proxy, two.url)))
            for answer in await ask_often(proxy, 4):
                assert answer.status == 200
            assert [len(each.exchanges) for each in (one, two)] == [2, 2]


async def test_checks_carry_the_proxys_credential_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The checks are the proxy's own questions, with the prefix that all addresses share."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("pr0xy")
    async with Apiserver() as one, Apiserver() as two:
        urls = (one.url + "/k8s", two.url + "/k8s/")
        own = {"upstream_token_file": str(token), "identity": "proxy-identity"}
        async with running(urls, **own) as proxy:
            await eventually(lambda: one.checks > 0)
            assert (await proxy.ask(request("/version", b"Authorization: Bearer cl1ent"))).status == 200
            seen = one.connections[0].seen
            assert seen.startswith(b"GET /k8s/readyz HTTP/1.1\r\nHost: 127.0.0.1:")
            assert b"Authorization: Bearer pr0xy\r\n" in seen


async def test_one_address_is_not_checked() -> None:
    """There would be nowhere else to go."""
    async with Apiserver() as alone, running(alone.url) as proxy:
        await ask_often(proxy, 3)
        assert alone.checks == 0
        assert is_up(proxy, alone.url)


# --- an upstream that does not answer ---------------------------------------------------------------------------------


async def test_silent_upstream_gets_one_request_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some that waited in vain others fail at once; one goes through, and when that is answered all do."""
    monkeypatch.setattr("proxy.core.breaker.TIMEOUTS", 3)
    monkeypatch.setattr("proxy.core.breaker.FIRST_BACKOFF_SECONDS", 0.2)
    async with Apiserver(hang) as upstream, running(upstream.url, mode="streamed", limits=IMPATIENT) as proxy:
        first = await asyncio.gather(*(proxy.ask(request()) for _ in range(3)))
        assert [answer.status for answer in first] == [504] * 3
        assert proxy.sample("restream_upstream_breaker_open") == 1
        refused = await asyncio.gather(*(proxy.ask(request(WATCH)) for _ in range(20)))
        assert [answer.status for answer in refused] == [503] * 20
        assert all(b'"reason":"ServiceUnavailable"' in answer.body for answer in refused)
        assert all(answer.values(b"retry-after") == [] for answer in refused)
        assert len(upstream.exchanges) == 3
        upstream.script = script(response(SMALL_LIST))
        answer = await proxy.ask(request())
        while answer.status == 503:
            answer = await proxy.ask(request())
        assert answer.body == SMALL_LIST
        assert len(upstream.exchanges) == 4
        assert proxy.sample("restream_upstream_breaker_open") == 0
        assert {answer.status for answer in await ask_often(proxy, 5)} == {200}


async def test_black_hole_alone_holds_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no connection can be had, in time, requests do not pile up either."""
    monkeypatch.setattr("proxy.core.breaker.TIMEOUTS", 3)
    with black_hole() as nowhere:
        async with running(nowhere, mode="streamed", limits=IMPATIENT) as proxy:
            first = await asyncio.gather(*(proxy.ask(request()) for _ in range(3)))
            assert [answer.status for answer in first] == [504] * 3
            assert {answer.status for answer in await ask_often(proxy, 10, method="POST")} == {503}
            assert not is_up(proxy, nowhere)


async def test_refused_connections_are_always_tried() -> None:
    """To be refused takes no time, so an upstream that comes back is found by the next request."""
    port = closed_port()
    async with running(url_of(port), mode="streamed") as proxy:
        assert {answer.status for answer in await ask_often(proxy, 10)} == {502}
        async with Apiserver(port=port):
            assert (await proxy.ask(request())).body == SMALL_LIST
            assert is_up(proxy, url_of(port))


async def test_waiting_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first of them have waited in vain there is a bound, once nothing has come for a while."""
    monkeypatch.setattr("proxy.core.breaker.MAX_WAITING", 5)
    monkeypatch.setattr("proxy.core.breaker.SILENT_SECONDS", 0.0)
    async with Apiserver(hang) as upstream, running(upstream.url, mode="streamed") as proxy, AsyncExitStack() as stack:
        for _ in range(5):
            client = await stack.enter_async_context(await proxy.connect())
            await client.send(request())
        await upstream.wait_for_exchanges(5)
        answer = await proxy.ask(request())
        assert answer.status == 503
        assert len(upstream.exchanges) == 5
