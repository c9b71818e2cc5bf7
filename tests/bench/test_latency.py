"""Latency as a workload: the upstream that stamps its events, the crowd that lists beside, what is noted of events."""

import io
import json
from collections.abc import Iterator
from time import monotonic_ns

import pytest

from proxy.bench import arms, crowd, rounds, stamps
from proxy.bench.children import Children
from proxy.bench.errors import BenchError, ChildError
from proxy.bench.latency import Latency, Stamped
from proxy.bench.lists import Reference
from proxy.bench.load import fetch, fetch_text
from proxy.bench.screen import PlainScreen
from proxy.bench.servers import ENCODERS, Server, start_stamps
from proxy.bench.watches import opened

ITEMS, ITEM_BYTES = 250, 2500
SMALL = Latency("latency", 2, 0.005, lists=2, items=ITEMS, item_bytes=ITEM_BYTES, duration=0.2)


@pytest.fixture
def children() -> Iterator[Children]:
    """Leave no child behind."""
    with Children() as running:
        yield running


@pytest.fixture(params=ENCODERS)
async def upstream(request: pytest.FixtureRequest, children: Children) -> Server:
    """An upstream with a List of more than two blocks."""
    return await SMALL.start(children, request.param)


async def test_a_list_is_what_a_client_would_have_of_an_apiserver(upstream: Server) -> None:
    """So many items, of which each has its size; the pages of it are all of it."""
    whole = json.loads(await fetch_text(upstream.url, stamps.PATH))
    assert len(whole["items"]) == ITEMS
    assert len(json.dumps(whole["items"][0], separators=(",", ":"))) == pytest.approx(ITEM_BYTES, rel=0.01)
    items, query = [], "limit=110"
    while query:
        page = json.loads(await fetch_text(upstream.url, f"{stamps.PATH}?{query}"))
        items += page["items"]
        token = page["metadata"].get("continue")
        assert page["metadata"].get("remainingItemCount", 0) == ITEMS - len(items)
        query = f"limit=110&continue={token}" if token else ""
    assert items == whole["items"]


async def test_an_event_says_when_it_left(upstream: Server) -> None:
    """Later than it was asked for, and sooner than it came."""
    watch, before = Stamped(), monotonic_ns()
    bodies: list[bytes] = []
    async with opened(upstream.url, f"{stamps.PATH}?watch=1", [watch.sink, bodies.append]):
        while len(watch.delays) < 3 or sum(body.count(b"\n") for body in bodies) < 3:
            await fetch(upstream.url, "/version")
    since = (monotonic_ns() - before) / 1e9
    assert all(0 < delay < since for delay in watch.delays)
    event = json.loads(b"".join(bodies).split(b"\n")[0])
    assert event["type"] == "MODIFIED"
    assert before < int(event["object"]["metadata"]["annotations"]["sent"]) < monotonic_ns()


def test_an_event_ends_with_its_line() -> None:
    """However its bytes arrive; what says nothing of when it was sent is none of ours."""
    watch, event = Stamped(), stamps.EVENT % stamps.pod(300, monotonic_ns())
    for body in (event[:20], event[20:] + event + event[:1], event[1:]):
        watch.sink(body)
    assert len(watch.delays) == 3
    assert watch.delays == sorted(watch.delays)
    with pytest.raises(BenchError, match="when it was sent"):
        watch.sink(b"{}\n")


async def test_a_crowd_lists_again_and_again(children: Children) -> None:
    """It says when all are at it, and counts whole Lists."""
    server = await SMALL.start(children, "streaming")
    size = (await fetch(server.url, stamps.PATH)).size
    listing = await crowd.gathered(children, server.url, stamps.PATH, 3)
    while (moved := crowd.moved(listing)) < 9 * size:
        children.check()
        await fetch(server.url, "/version")
    assert moved % size == 0


async def test_a_crowd_that_is_refused_says_so(children: Children) -> None:
    """The run ends rather than to measure nothing."""
    backend = await start_stamps(children, "--items=1", "--item-bytes=300", "--interval=1")
    children.stop(backend.child)
    with pytest.raises(ChildError, match="cannot connect"):
        await crowd.gathered(children, backend.url, stamps.PATH, 1)


@pytest.mark.parametrize("name", ["direct", "raw", "streamed", "paged"])
async def test_every_arm_is_measured(children: Children, name: str) -> None:
    """Alone and beside Lists; direct has no proxy whose CPU could be told."""
    (arm,) = (arm for arm in arms.arms() if arm.name == name)
    values = (await rounds.one(children, SMALL, arm, Reference(), 1, "streaming")).values
    for when in ("alone", "beside"):
        low, high, worst = (values[f"{which}_{when}_delay_seconds"] for which in ("p50", "p99", "worst"))
        assert 0 < low <= high <= worst
    assert values["events"] > 0
    assert ("proxy_cpu_seconds" in values) == (name != "direct")


def test_is_scaled_in_size_and_time() -> None:
    """Small runs have small Lists; the time is never less than some events need."""
    tiny = SMALL.scaled(1e-9)
    assert (tiny.items, tiny.duration) == (1, 0.5)
    assert SMALL.scaled(4).items == 4 * ITEMS
    assert [arm.name for arm in rounds.suitable(SMALL, arms.arms(), PlainScreen(io.StringIO()), "streaming")] == [
        "direct", "kubectl proxy", "haproxy", "nginx", "raw", "streamed", "paged"
    ]  # fmt: skip
