"""Lists in pages from several addresses: from one of them as long as it is there, and never a blend of two states."""

from contextlib import AsyncExitStack

import pytest

from proxy.settings import Paging
from proxy.upstream import checks
from tests.fakes.apiserver import Apiserver, Exchange
from tests.fakes.paged import PODS, SHAPES, Page, PagedList, Shape, request_for
from tests.fakes.running import eventually, running
from tests.shell.test_paging_faults import ITEMS, judge
from tests.shell.test_upstreams import closed_port, is_up, url_of

BY_TWO = Paging(page_items=2)
PAGES = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and check often."""
    monkeypatch.setattr("proxy.core.retries.FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(checks, "CHECK_SECONDS", 0.05)


def equals(shape: Shape = PODS, version: str = "300") -> tuple[PagedList, PagedList]:
    """Return two servers in front of one etcd, of which the second is at `version`."""
    known: dict[str, tuple[int, int]] = {}
    return PagedList(shape, ITEMS, known=known), PagedList(shape, ITEMS, version=version, known=known)


async def test_pages_come_from_one_address() -> None:
    """All pages of a List are asked for where the first came from; the next List goes elsewhere."""
    lists = equals()
    async with (
        Apiserver(lists[0]) as one,
        Apiserver(lists[1]) as two,
        running((one.url, two.url), mode="paged", paging=BY_TWO) as proxy,
    ):
        for count in (1, 2):
            assert judge(await proxy.ask(request_for(PODS)), lists[0].body) == "whole"
            assert sorted(len(each.asked) for each in lists) == ([0, PAGES] if count == 1 else [PAGES, PAGES])


@pytest.mark.parametrize("where", ["instead of an answer", "inside a page"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_the_address_dies_between_pages(shape: Shape, number: int, where: str) -> None:
    """Servers of one etcd answer to each other's tokens: the rest of the List comes from the other one, exactly."""
    lists = equals(shape)
    async with Apiserver(lists[0]) as one, Apiserver(lists[1]) as two:

        def dying(server: Apiserver, paged: PagedList) -> None:
            async def die(exchange: Exchange, page: Page) -> None:
                for other in lists:
                    other.faults.clear()  # one of them dies
                if where == "inside a page":
                    await exchange.send(paged.render(page)[:-20])
                await server.die()

            paged.faults[number] = die

        dying(one, lists[0])
        dying(two, lists[1])
        async with running((one.url, two.url), mode="paged", paging=BY_TWO) as proxy:
            answer = await proxy.ask(request_for(shape))
            assert judge(answer, lists[0].body) == "whole"
            assert answer.mode == "paged; reason=settings"
            assert not lists[0].strange_tokens + lists[1].strange_tokens


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
async def test_never_a_blend_of_two_states(shape: Shape, number: int) -> None:
    """Where the other server shows another resourceVersion the List is aborted: what was told is of one state."""
    lists = equals(shape, version="301")
    told = {"300": lists[0].body, "301": lists[1].body}
    async with Apiserver(lists[0]) as one, Apiserver(lists[1]) as two:
        for server, paged in ((one, lists[0]), (two, lists[1])):

            async def die(_: Exchange, __: Page, server: Apiserver = server) -> None:
                for other in lists:
                    other.faults.clear()
                await server.die()

            paged.faults[number] = die
        async with running((one.url, two.url), mode="paged", paging=BY_TWO) as proxy:
            answer = await proxy.ask(request_for(shape))
            assert answer.status == 200
            assert not answer.complete
            assert any(whole.startswith(answer.body) for whole in told.values())
            assert answer.body.count(b'{"n":') == 2 * (number - 1)
            await proxy.aborts("pages_disagree")


# --- versions ---------------------------------------------------------------------------------------------------------


async def test_the_oldest_version_counts() -> None:
    """While a control plane is upgraded a List is planned for its oldest server, wherever it goes."""
    lists = equals()
    async with (
        Apiserver(lists[0], minor=33) as new,
        Apiserver(lists[1], minor=32) as old,
        running((new.url, old.url), paging=BY_TWO) as proxy,
    ):
        for _ in range(4):
            answer = await proxy.ask(request_for(PODS))
            assert answer.mode == "paged; reason=whole_encoder"
            assert judge(answer, lists[0].body) == "whole"
        assert [len(each.asked) for each in lists] == [2 * PAGES, 2 * PAGES]


@pytest.mark.parametrize("was_there", [True, False])
async def test_a_server_that_comes_back_may_be_older(*, was_there: bool) -> None:
    """What was down is asked anew; until it has told its version Lists are planned for one that is not known."""
    port = closed_port()
    lists, url = equals(), url_of(port)
    async with Apiserver(lists[0], minor=33) as stays, AsyncExitStack() as stack:
        if was_there:
            before = await stack.enter_async_context(Apiserver(lists[1], minor=33, port=port))
        proxy = await stack.enter_async_context(running((stays.url, url), paging=BY_TWO))
        if was_there:
            assert (await proxy.ask(request_for(PODS))).mode == "streamed; reason=streaming_encoder"
            await before.die()
        await eventually(lambda: not is_up(proxy, url))
        for _ in range(3):
            assert (await proxy.ask(request_for(PODS))).mode == "streamed; reason=streaming_encoder"
        async with Apiserver(lists[1], minor=32, port=port):
            await eventually(lambda: is_up(proxy, url))
            seen = [(await proxy.ask(request_for(PODS))).mode for _ in range(6)]
            assert seen[0] == "paged; reason=unknown_version"
            assert set(seen) == {"paged; reason=unknown_version", "paged; reason=whole_encoder"}
            assert seen[-1] == "paged; reason=whole_encoder"
        await eventually(lambda: not is_up(proxy, url))
        assert (await proxy.ask(request_for(PODS))).mode == "streamed; reason=streaming_encoder"


async def test_a_server_that_does_not_tell_its_version() -> None:
    """One that is up and tells nothing may be of any version, so Lists are paged; they do not wait for it."""
    lists = equals()
    async with Apiserver(lists[0], minor=34) as one, Apiserver(lists[1], minor=34) as two:
        two.version = b""
        async with running((one.url, two.url), paging=BY_TWO) as proxy:
            assert (await proxy.ask(request_for(PODS))).mode == "paged; reason=unknown_version"


async def test_page_retries_draw_on_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that fails is not asked for again where the budget is used up."""
    monkeypatch.setattr("proxy.core.retrybudget.RESERVE_PER_SECOND", 0)

    async def fail(exchange: Exchange, _: Page) -> None:
        exchange.reset()

    paged = PagedList(items=ITEMS, faults={2: fail})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "unfinished"
        refused = proxy.sample("restream_upstream_retries_total", outcome="refused")
        assert refused >= 1
        assert proxy.sample("restream_upstream_retries_total", outcome="granted") == 0
        assert len(paged.asked) == 2
