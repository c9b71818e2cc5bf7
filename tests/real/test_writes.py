"""While a hundred objects a second are written, a paged List is one snapshot: never a blend of two."""

from itertools import cycle, islice

import pytest

from proxy.settings import Paging
from tests.real.comparing import Query, direct, same_bytes, through
from tests.real.conftest import Front
from tests.real.population import CUSTOM
from tests.real.server import Server
from tests.real.test_lists import EVEN
from tests.real.writing import writing

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("apiserver")]  # one for all, which the first waits for

LISTS = 50
PAIRS = Paging(page_items=2)
"""Some twenty pages a List, and time for writes between them."""

CORE = "/api/v1"
QUERIES = {
    "typed": [
        Query(f"{CORE}/configmaps"),
        Query(f"{CORE}/namespaces/a/configmaps"),
        Query(f"{CORE}/configmaps", options=EVEN),
        Query(f"{CORE}/configmaps", version="limit=500&resourceVersion=0"),
        Query(f"{CORE}/configmaps").formed("table-object"),
        Query(f"{CORE}/configmaps").formed("partial"),
    ],
    "custom": [
        Query(f"{CUSTOM}/widgets"),
        Query(f"{CUSTOM}/namespaces/a-b/widgets"),
        Query(f"{CUSTOM}/widgets", options=EVEN),
        Query(f"{CUSTOM}/widgets", version="resourceVersion=0"),
        Query(f"{CUSTOM}/widgets").formed("table"),
        Query(f"{CUSTOM}/widgets").formed("partial"),
    ],
}


@pytest.mark.parametrize("kind", QUERIES)
async def test_a_paged_list_is_one_snapshot(server: Server, front: Front, kind: str) -> None:
    """Fifty Lists, each equal to the Exact List of its own resourceVersion, and as recent as it has to be."""
    disturbed = 0
    async with front("paged", paging=PAIRS) as proxy, writing(server) as writes:
        for query in islice(cycle(QUERIES[kind]), LISTS):
            await writes.goes_on()
            done, version = writes.done, writes.version
            got = await through(proxy, server, query)
            disturbed += writes.done > done
            same_bytes(got, await direct(server, query.exactly(got.version)))
            if not query.version:
                assert got.answer.mode == "paged; reason=settings"
                assert got.version >= version, f"{query.target} does not hold a write that was done before it"
        await proxy.quiet()
    assert disturbed >= LISTS // 5, f"there were writes during {disturbed} Lists of {LISTS}: this has proved little"
