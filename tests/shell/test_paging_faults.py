"""Whatever befalls a page: the exact List, an honest Status, or visibly unfinished; never short, never blended."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import pytest

from proxy.settings import Limits, Paging
from tests.fakes.apiserver import Apiserver, Exchange, response
from tests.fakes.paged import (
    PARTIAL,
    PODS,
    SELECTED,
    TABLE,
    WIDGETS,
    Page,
    PagedList,
    Shape,
    answers,
    dies,
    make_items,
    request_for,
    status,
    times,
)
from tests.fakes.running import Running, running
from tests.fakes.wire import Answer, request

BY_TWO = Paging(page_items=2)
IMPATIENT = Limits(first_byte_seconds=0.15, between_bytes_seconds=0.15, drain_seconds=0.2)
ITEMS = tuple(b'{"n":%d}' % number for number in range(5))
PAGES = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and as often as hundreds of failures in a second take."""
    monkeypatch.setattr("proxy.core.retries.FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("proxy.core.retrybudget.RESERVE_PER_SECOND", 1000)


def judge(answer: Answer, whole: bytes, where: object = "") -> str:
    """Say which of the three honest outcomes an answer is; fail on every other one."""
    if answer.status != 200:
        assert answer.complete, (where, answer)
        assert answer.status in (410, 502, 504), (where, answer)
        content = json.loads(answer.body)
        assert (content["kind"], content["code"]) == ("Status", answer.status), where
        assert answer.values(b"retry-after") == [], where
        return "status"
    if not answer.complete:
        assert whole.startswith(answer.body), (where, answer)
        return "unfinished"
    assert answer.body == whole, (where, answer)
    return "whole"


# --- death at every byte ----------------------------------------------------------------------------------------------


class Dying:
    """A List of which one page dies at one byte, as the client's query says: ``die=PAGE-BYTE-ENDING-TIMES``."""

    def __init__(self, shape: Shape, framing: str) -> None:
        self.paged = PagedList(shape, ITEMS, framing, chunk_size=40)
        self.paged.faults = dict.fromkeys(range(1, PAGES + 1), self._die)
        self.spent: Counter[str] = Counter()

    async def _die(self, exchange: Exchange, page: Page) -> Page | None:
        query = exchange.target.partition(b"die=")[2].partition(b"&")[0].decode()
        number, at, ending, count = query.split("-")
        if page.number != int(number) or self.spent[query] >= int(count):
            return page
        self.spent[query] += 1
        if ending == "short":  # cleanly framed, but not the whole document
            await exchange.send(response(page.body[: int(at)], framing=self.paged.framing, chunk_size=40))
            if self.paged.framing == "close":
                exchange.close()
            return None
        return await dies(int(at), ending, self.paged)(exchange, page)

    def size(self, number: int) -> int:
        """Return at least the size of a page's response."""
        page = Page(self.paged.shape, ITEMS[2 * number - 2 : 2 * number], token="x" * 30, remaining=1, number=number)
        return len(self.paged.render(page))

    def queries(self, count: int, step: int = 1) -> Iterator[str]:
        """Return the query of every place of death: each byte of a page's body, and some of its head."""
        head_size = self.paged.render(Page(self.paged.shape, ())).index(b"\r\n\r\n") + 4
        for number in range(1, PAGES + 1):
            for at in (*range(0, head_size - 2, 40), *range(head_size - 2, self.size(number), step)):
                yield f"{number}-{at}-{('fin', 'rst')[at % 2]}-{count}"
            for at in range(1, self.size(number) - head_size, 7):
                yield f"{number}-{at}-short-{count}"


async def ask_each(proxy: Running, shape: Shape, queries: list[str]) -> list[tuple[str, Answer]]:
    """Ask for a List for each query, some at a time."""
    answers = []
    separator = "&" if "?" in shape.target else "?"
    for at in range(0, len(queries), 25):
        batch = queries[at : at + 25]
        asked = [request_for(shape, target=f"{shape.target}{separator}die={query}") for query in batch]
        answers += await asyncio.gather(*map(proxy.ask, asked))
    return list(zip(queries, answers, strict=True))


def misses_a_newline(answer: Answer, body: bytes, query: str, framing: str) -> bool:
    """Whether the last page has lost nothing but its last byte, a newline, in a way that looks like its end."""
    looks_whole = framing == "close" or "-short-" in query
    return looks_whole and answer.complete and answer.body == body[:-1] and query.startswith(f"{PAGES}-")


DYING = [(PODS, "length"), (WIDGETS, "chunked"), (TABLE, "close"), (PARTIAL, "chunked"), (SELECTED, "length")]


@pytest.mark.parametrize(("shape", "framing"), DYING, ids=lambda value: getattr(value, "kind", value))
async def test_page_dies_once_at_every_byte(shape: Shape, framing: str) -> None:
    """Wherever a page dies once, it is asked for again, and the client has the exact List."""
    dying = Dying(shape, framing)
    async with Apiserver(dying.paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        for query, answer in await ask_each(proxy, shape, list(dying.queries(1, step=3))):
            body = dying.paged.body
            assert misses_a_newline(answer, body, query, framing) or judge(answer, body, query) == "whole"
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0
        assert not dying.paged.strange_tokens


@pytest.mark.parametrize(("shape", "framing"), DYING, ids=lambda value: getattr(value, "kind", value))
async def test_page_dies_always_at_every_byte(shape: Shape, framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that dies whenever it is asked for ends in a Status (page 1) or an unfinished response."""
    monkeypatch.setattr("proxy.core.retries.MAX_RETRIES", 1)
    dying = Dying(shape, framing)
    body = dying.paged.body
    async with Apiserver(dying.paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        outcomes: Counter[tuple[str, str]] = Counter()
        for query, answer in await ask_each(proxy, shape, list(dying.queries(9))):
            if misses_a_newline(answer, body, query, framing):
                continue
            outcome = judge(answer, body, query)
            outcomes[query[0], outcome] += 1
            assert outcome != ("unfinished" if query[0] == "1" else "status"), query
            assert dying.spent[query] <= 4  # once more, and once more by the pool where a connection was not new
        await proxy.quiet()
        assert outcomes["1", "status"] > 50
        assert outcomes["2", "unfinished"] > 50
        assert outcomes["3", "unfinished"] > 50
        unfinished = sum(count for (_, outcome), count in outcomes.items() if outcome == "unfinished")
        assert proxy.sample("restream_aborts_total") == unfinished


async def test_http10_client_sees_a_lost_page() -> None:
    """For an HTTP/1.0 client, whose body ends with the connection, a List that misses pages ends with a reset."""
    paged = PagedList(faults={2: answers(status(b"403 Forbidden"))})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS, version="1.0"))
        assert answer.was_reset
        assert judge(answer, paged.body) == "unfinished"


# --- refusals ---------------------------------------------------------------------------------------------------------

REFUSED = [b"400 Bad Request", b"401 Unauthorized", b"403 Forbidden", b"404 Not Found", b"422 Unprocessable Entity"]
PASSING = [b"429 Too Many Requests", b"500 Internal Server Error", b"503 Service Unavailable", b"504 Gateway Timeout"]
RETRY_NOW = [(b"Retry-After", b"0")]


@pytest.mark.parametrize("code", [*REFUSED, *PASSING], ids=lambda code: code[:3].decode())
async def test_refusal_of_page_one_is_the_clients(code: bytes) -> None:
    """What an apiserver says to page 1 passes unchanged, at once unless it has said when to come back."""
    refused = status(code, b"Too large resource version")
    paged = PagedList(faults={1: answers(refused)})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert b"%d %s" % (answer.status, answer.reason) == code
        assert answer.body == refused.partition(b"\r\n\r\n")[2]
        assert answer.mode == "raw; reason=status"
        # What may be said to our parameters is asked for without them: it is what the client would have been told.
        assert len(paged.asked) == (2 if code[:3] in (b"400", b"422") else 1)
        if code in PASSING:
            paged.faults[1] = answers(status(code, lines=RETRY_NOW))
            answer = await proxy.ask(request_for(PODS))
            assert answer.status == int(code[:3])
            assert answer.first(b"retry-after") == b"0"
            assert len(paged.asked) == 1 + 5
            paged.faults[1] = times(3, paged.faults[1])
            assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"
        await proxy.quiet()


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("code", [*REFUSED, *PASSING], ids=lambda code: code[:3].decode())
async def test_refusal_of_a_later_page(code: bytes, number: int) -> None:
    """A later page is asked for again where the trouble may pass, a bounded number of times; else it is an abort."""
    paged = PagedList(items=ITEMS, faults={number: answers(status(code, b"no"))})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert judge(answer, paged.body) == "unfinished"
        assert answer.body.count(b'{"n":') <= 2 * (number - 1)
        # Who refuses a token of his own making does not page as an apiserver does.
        is_token = code[:3] in (b"400", b"422")
        await proxy.aborts("token_refused" if is_token else "page_refused")
        await proxy.quiet()
        tries = 5 if code in PASSING else 1
        assert len(paged.asked) == number - 1 + tries
        assert len({asked.exchange.target for asked in paged.asked[number - 1 :]}) == 1  # the same page each time
        paged.faults[number] = times(1, answers(status(code, b"no")))
        expected = "whole" if code in PASSING or is_token else "unfinished"
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == expected


async def test_retry_after_is_honoured() -> None:
    """A page is not asked for again before the server wants it to be."""
    arrived = []

    async def note(exchange: Exchange, page: Page) -> Page | None:
        arrived.append(asyncio.get_running_loop().time())
        if len(arrived) > 1:
            return page
        await exchange.send(status(b"429 Too Many Requests", lines=[(b"Retry-After", b"1")]))
        return None

    paged = PagedList(faults={2: note})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"
        assert arrived[1] - arrived[0] > 0.99


@pytest.mark.parametrize(
    "asked_for", [b"31", b"999999999999", b"9" * 400, b"Fri, 31 Dec 1999 23:59:59 GMT", b"-1", b"x"]
)
async def test_retry_after_beyond_patience(asked_for: bytes) -> None:
    """Waits are bounded, whatever the server asks for."""
    refused = status(b"429 Too Many Requests", lines=[(b"Retry-After", asked_for)])
    paged = PagedList(faults={1: answers(refused), 2: answers(refused)})
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        answer = await proxy.ask(request_for(PODS))
        assert (answer.status, answer.first(b"retry-after")) == (429, asked_for)
        del paged.faults[1]
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "unfinished"
        assert len(paged.asked) <= 2 * 5 + 1


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_page_that_stalls(number: int) -> None:
    """An upstream that falls silent inside a page is given up at once: a token would die of more such waits."""
    paged = PagedList(items=ITEMS)
    async with (
        Apiserver(paged) as upstream,
        running(upstream.url, mode="paged", paging=BY_TWO, limits=IMPATIENT) as proxy,
    ):
        for at in (0, 150):
            paged.faults = {number: dies(at, "stall", paged)}
            expected = "status" if number == 1 else "unfinished"
            assert judge(await proxy.ask(request_for(PODS)), paged.body) == expected
        if number > 1:
            await proxy.aborts("upstream_timeout", 2)
        await proxy.quiet()


async def test_page_of_garbage() -> None:
    """What is not HTTP where a page was due is a 502 Status on page 1, and unfinished where it goes on."""
    garbage = answers(b"SSH-2.0-OpenSSH_9.6\r\n", close=True)
    paged = PagedList(items=ITEMS)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        for number in (1, 2, 3):
            paged.faults = {number: garbage}
            expected = "status" if number == 1 else "unfinished"
            assert judge(await proxy.ask(request_for(PODS)), paged.body) == expected
        paged.faults = {2: times(1, garbage)}
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"


async def test_upstream_goes_away_between_pages() -> None:
    """A connection that is closed between two pages costs nothing but another one."""

    async def close_behind(exchange: Exchange, page: Page) -> None:
        await exchange.send(paged.render(page))
        exchange.close()

    paged = PagedList(items=make_items(9))
    paged.faults = dict.fromkeys(range(1, 5), close_behind)
    async with Apiserver(paged) as upstream, running(upstream.url, mode="paged", paging=BY_TWO) as proxy:
        assert judge(await proxy.ask(request_for(PODS)), paged.body) == "whole"
        answer = await proxy.ask(request("/api/v1/pods"))
        assert judge(answer, paged.body) == "whole"
