"""What the upstream and the client are told of the way, over real sockets."""

import pytest

from tests.fakes.apiserver import Apiserver
from tests.fakes.running import running
from tests.fakes.wire import request

LOOPS = ("asyncio", "uvloop")


@pytest.mark.parametrize("trusted", [(), ("192.0.2.0/24", "fd00::/8")])
async def test_strangers_are_not_believed(trusted: tuple[str, ...]) -> None:
    """Without an entry for the client's address its own X-Forwarded-For does not pass."""
    async with Apiserver() as upstream, running(upstream.url, trusted_proxies=trusted) as proxy:
        answer = await proxy.ask(request("/version", b"X-Forwarded-For: 203.0.113.7", host=b"proxy.example:1"))
        [exchange] = upstream.exchanges
        assert exchange.values(b"x-forwarded-for") == [b"127.0.0.1"]
        assert exchange.values(b"x-forwarded-proto") == [b"http"]
        assert exchange.values(b"x-forwarded-host") == [b"proxy.example:1"]
        assert exchange.values(b"via") == [b"1.1 kube-restream"]
        assert answer.values(b"via") == [b"1.1 kube-restream"]


async def test_trusted_proxies_are_believed() -> None:
    """From a proxy within a trusted network the chain goes on, from page to page of a List as well."""
    async with (
        Apiserver() as upstream,
        running(upstream.url, trusted_proxies=("10.0.0.0/8", "127.0.0.1")) as proxy,
    ):
        for target in ("/version", "/api/v1/pods"):
            await proxy.ask(request(target, b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-Proto: https"))
            assert upstream.exchanges[-1].values(b"x-forwarded-for") == [b"203.0.113.7, 127.0.0.1"]
            assert upstream.exchanges[-1].values(b"x-forwarded-proto") == [b"https"]


async def test_http_10_is_named() -> None:
    """Via has the version in which the request has come."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request("/version", version="1.0"))
        assert upstream.exchanges[0].values(b"via") == [b"1.0 kube-restream"]
