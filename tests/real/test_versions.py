"""Each way to say from when a List shall be is honoured by the paged and the streamed plan as by the apiserver."""

import pytest

from tests.real.comparing import Query, recent_version, same_answers, same_snapshot
from tests.real.conftest import Front
from tests.real.population import COLLECTIONS
from tests.real.server import Server
from tests.real.test_lists import EVEN, NOTHING, PLANS

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("apiserver")]  # one for all, which the first waits for

VERSIONS = {
    "unset": "",
    "zero": "resourceVersion=0",
    "zero-not-older": "resourceVersion=0&resourceVersionMatch=NotOlderThan",
    "client-go": "limit=500&resourceVersion=0",
    "at-least": "resourceVersion={}",
    "not-older": "resourceVersion={}&resourceVersionMatch=NotOlderThan",
    "exact": "resourceVersion={}&resourceVersionMatch=Exact",
    "kubectl": "limit=500",
}


@pytest.mark.parametrize("form", ["json", "table", "partial"])
@pytest.mark.parametrize("name", ["pods", "configmaps", "widgets"])
@pytest.mark.parametrize("plan", PLANS)
async def test_every_resource_version(server: Server, front: Front, plan: str, name: str, form: str) -> None:
    """The List is the snapshot that its resourceVersion names, and as recent as was asked for."""
    async with front(plan) as proxy:
        for label, template in VERSIONS.items():
            wanted = await recent_version(server, name)
            for selection in ("", EVEN, NOTHING):
                query = Query(COLLECTIONS[name].path, options=selection, version=template.format(wanted)).formed(form)
                got = await same_snapshot(proxy, server, query)
                assert got.token == ""
                assert (got.count == 0) == (selection == NOTHING)
                assert got.version >= wanted
                assert label != "exact" or got.version == wanted


@pytest.mark.parametrize("form", ["json", "table", "partial"])
@pytest.mark.parametrize("name", ["pods", "configmaps", "widgets"])
async def test_an_exact_list_is_the_same_request(server: Server, front: Front, name: str, form: str) -> None:
    """An old snapshot stays what it was, after writes too."""
    old = await recent_version(server, name)
    async with front("paged") as paged, front("streamed") as streamed:
        query = Query(COLLECTIONS[name].path).formed(form).exactly(old)
        before = await same_answers([paged, streamed], server, query)
        assert await recent_version(server, name) > old
        after = await same_answers([paged, streamed], server, query)
    assert after.comparable == before.comparable
