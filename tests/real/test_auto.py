"""What `auto` picks in front of a real apiserver, by the version that it tells of itself."""

import asyncio

import pytest

from tests.fakes.child import serving
from tests.fakes.running import Running
from tests.real.comparing import Listed, Query, direct, listed, recent_version, same_bytes, same_snapshot
from tests.real.conftest import FEW, Front
from tests.real.population import COLLECTIONS, COUNT
from tests.real.server import Server

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("apiserver")]  # one for all, which the first waits for

STREAMS_FROM = 33
"""The first minor version that streams JSON Lists by default. Tables it still holds whole."""
PODS = Query("/api/v1/pods")


async def until_mode(proxy: Running, server: Server, query: Query, mode: str) -> Listed:
    """List until the proxy has learnt the version; every List is right meanwhile, too."""
    for _ in range(100):
        got = await same_snapshot(proxy, server, query)
        if got.answer.mode.startswith(mode + "; "):
            return got
        await asyncio.sleep(0.05)
    raise AssertionError(f"{query.target} of 1.{server.minor}: {got.answer.mode}, expected {mode}")


async def test_auto_knows_the_version(server: Server, front: Front) -> None:
    """Typed JSON is streamed where the apiserver streams it, and paged where it does not."""
    async with front("auto") as proxy:
        await until_mode(proxy, server, PODS, "streamed" if server.minor >= STREAMS_FROM else "paged")


@pytest.mark.parametrize("form", ["table", "table-object", "kubectl"])
async def test_auto_pages_tables(server: Server, front: Front, form: str) -> None:
    """No version streams Tables."""
    async with front("auto") as proxy:
        await until_mode(proxy, server, PODS.formed(form), "paged")


@pytest.mark.parametrize("name", ["configmaps", "secrets"])
@pytest.mark.parametrize("version", ["", "resourceVersion=0", "limit=500&resourceVersion=0", "limit=500"])
async def test_auto_is_right_whatever_it_picks(server: Server, front: Front, name: str, version: str) -> None:
    """From the first List, of which nothing is known, to the fifth."""
    await recent_version(server, name)
    async with front("auto") as proxy:
        for _ in range(5):
            for form in ("json", "table", "partial"):
                await same_snapshot(proxy, server, Query(COLLECTIONS[name].path, version=version).formed(form))


async def test_the_command(server: Server) -> None:
    """`serve --mode paged` in a process of its own: the same bytes, and the metrics tell of the pages."""
    arguments = ("--mode", "paged", "--upstream-insecure")
    async with serving(server.url, *arguments, paging_page_items=str(FEW.page_items)) as child:
        got = listed(await child.ask(PODS.written(server)), PODS)
        same_bytes(got, await direct(server, PODS.exactly(got.version)))
        assert got.answer.mode == "paged; reason=settings"
        samples = await child.samples()
        pages = sum(value for name, value in samples.items() if name.startswith("restream_upstream_pages_total"))
        assert pages >= COUNT / FEW.page_items
        code, _, _ = await child.stop()
        assert code == 0
