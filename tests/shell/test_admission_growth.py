"""Lists that need more while they are under way: they wait for each other, for a while, and each for all of its own."""

import asyncio
import json

import pytest

from proxy.settings import Admission, Paging
from tests.fakes.apiserver import JSON_LINES, Apiserver, Exchange, chunk, response
from tests.fakes.running import eventually, running
from tests.fakes.stage import BUDGET, CHUNKED, MIB, PATIENT, Gates, stage
from tests.fakes.wire import Answer, request

LOOPS = ("asyncio", "uvloop")
LARGE = b'{"metadata":{"name":"large","pad":"' + b"x" * (3 * MIB) + b'"}}'
BEGINNING = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":['
SMALL = b'{"metadata":{"name":"small"}},'
LARGE_LIST = BEGINNING + LARGE + b"]}\n"


def status_of(answer: Answer) -> dict[str, object]:
    """Return a Status in JSON."""
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def make_large(gates: Gates) -> None:
    """Let Lists have an item that needs more than a window, and stop short of its end."""
    gates.beginning, gates.middle, gates.rest = chunk(BEGINNING), chunk(LARGE[:-2]), chunk(LARGE[-2:] + b"]}\n")


async def test_large_items_wait_for_each_other() -> None:
    """With all windows given away one List at a time has a large item; then the other one goes on."""
    async with stage() as at:
        make_large(at.gates)
        first, second = [await at.ask(name) for name in ("first", "second")]
        at.gates.go_on.set()
        await eventually(lambda: at.growing == 1)
        assert at.granted <= BUDGET
        late = await at.ask("late")
        assert at.waiting == 1
        at.gates.open("first", "second", "late")
        for client in (first, second, late):
            answer = await client.answer()
            assert answer.complete
            assert answer.body == LARGE_LIST
        assert at.proxy.sample("restream_aborts_total") == 0


async def test_no_memory_after_the_first_byte() -> None:
    """A List that waits to grow for too long is aborted, visibly, and counted; the other one is not."""
    async with stage(admission=Admission(growth_seconds=0.2)) as at:
        make_large(at.gates)
        clients = [await at.ask(name) for name in ("first", "second")]
        at.gates.go_on.set()
        await at.proxy.aborts("memory_budget")
        at.gates.open("first", "second")
        answers = [await client.answer() for client in clients]
        assert sorted(answer.complete for answer in answers) == [False, True]
        for answer in answers:
            assert answer.status == 200
            assert answer.body == LARGE_LIST if answer.complete else LARGE_LIST.startswith(answer.body)


async def test_no_memory_before_the_first_byte() -> None:
    """A body that has to be held as a whole waits for the others; after a while it is a 429 like any other."""
    async with stage(mode="buffered", admission=Admission(growth_seconds=0.2)) as at:
        make_large(at.gates)
        clients = [await at.ask(name) for name in ("first", "second")]
        at.gates.go_on.set()
        await eventually(lambda: at.refused("memory_budget") == 1)
        at.gates.open("first", "second")
        answers = {answer.status: answer for answer in [await client.answer() for client in clients]}
        assert answers[200].body == LARGE_LIST
        assert answers[429].first(b"retry-after") == b"1"
        assert status_of(answers[429])["details"] == {"retryAfterSeconds": 1}


@pytest.mark.parametrize("announced", [True, False])
async def test_what_can_never_be_held_is_not_to_be_retried(announced: bool) -> None:
    """A body over the budget is a 502 without Retry-After; where its length is announced, before it has come."""
    sent: list[Exchange] = []

    async def send_much(exchange: Exchange) -> None:
        if announced:
            await exchange.send(response(lines=[*JSON_LINES, (b"Content-Length", b"%d" % BUDGET)], framing="none"))
        else:
            await exchange.send(CHUNKED, chunk(BEGINNING))
            while len(sent) < 2 * BUDGET // len(LARGE):
                await exchange.send(chunk(LARGE + b","))
                sent.append(exchange)
        await exchange.wait_closed()

    async with (
        Apiserver(send_much) as upstream,
        running(upstream.url, mode="buffered", memory_budget=BUDGET) as proxy,
    ):
        answer = await proxy.ask(request())
        assert answer.status == 502
        assert answer.values(b"retry-after") == []
        assert "details" not in status_of(answer)
        assert answer.mode == "buffered; reason=list_too_large"
        await proxy.quiet()
        assert proxy.sample("restream_memory_granted_bytes") == 0


async def test_a_body_has_its_length_reserved() -> None:
    """Bodies that fit alone, but not together, are held one after the other: none stops halfway for the other."""
    body = BEGINNING + b",".join([LARGE] * 8) + b"]}\n"
    changes = {"memory_budget": 40 * MIB, "max_item_bytes": 4 * MIB, "admission": PATIENT}

    async def send(exchange: Exchange) -> None:
        await exchange.send(response(body))

    async with Apiserver(send) as upstream, running(upstream.url, mode="buffered", **changes) as proxy:
        for answer in await asyncio.gather(*(proxy.ask(request()) for _ in range(2))):
            assert answer.status == 200
            assert answer.body == body
        await proxy.quiet()
        assert proxy.sample("restream_memory_granted_bytes") == 0


@pytest.mark.parametrize("mode", ["streamed", "paged", "buffered"])
async def test_what_is_held_of_a_large_item_is_granted(mode: str) -> None:
    """Also where it is in a page that is so large that it is not read at once."""
    async with stage(mode=mode, paging=Paging(page_bytes=MIB), memory_budget=32 * MIB) as at:
        large = b'{"metadata":{"name":"large","pad":"' + b"x" * (6 * MIB)
        at.gates.beginning, at.gates.middle, at.gates.rest = chunk(BEGINNING + SMALL), chunk(large), chunk(b'"}}]}\n')
        client = await at.ask("large")
        at.gates.go_on.set()
        await eventually(lambda: at.proxy.sample("restream_buffered_bytes") > len(large))
        assert at.proxy.sample("restream_buffered_bytes") <= at.granted <= 32 * MIB
        at.gates.open("large")
        answer = await client.answer()
        assert answer.complete
        assert answer.body == BEGINNING + SMALL + large + b'"}}]}\n'
