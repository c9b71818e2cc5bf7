"""Whatever comes together by chance: a List through mode paged is exact, an honest error, or visibly unfinished."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from proxy.settings import Paging
from tests.fakes.apiserver import Apiserver, Exchange, cut, response
from tests.fakes.paged import SHAPES, Fault, Page, PagedList, answers, changes, make_items, request_for, status
from tests.fakes.running import running
from tests.shell.test_paging_faults import judge

LOOPS = ("uvloop",)
LISTS = 60
RESUMING = "from the 410"
FAULTS: dict[str, Fault] = {
    "refused": answers(status(b"403 Forbidden")),
    "busy": answers(status(b"429 Too Many Requests", lines=[(b"Retry-After", b"0")])),
    "broken": answers(status(b"500 Internal Server Error")),
    "expired": answers(status(b"410 Gone", token=RESUMING)),
    "garbage": answers(b"\x00\x01\r\n\r\n", close=True),
    "newer": changes(version="301"),
    "a Status": answers(response(b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"}\n')),
}


class Unsteady:
    """An upstream that cuts pages anew each time, anywhere, in any number of pieces, and fails now and then."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.fault_rate = 0.0
        self.paged = PagedList()
        self.renew()

    def renew(self) -> None:
        """Begin another List."""
        chance = self.chance
        items = make_items(chance.choice((0, 1, 2, 5, 9, 20)), chance.choice((0, 0, 100, 3000)))
        framing = chance.choice(("length", "chunked", "close"))
        chunk_size = chance.choice((7, 50, 1000, 100_000))
        self.paged = PagedList(chance.choice(list(SHAPES.values())), items, framing, chunk_size=chunk_size)
        self.paged.faults = dict.fromkeys(range(1, 200), self.serve)
        self.fault_rate = chance.choice((0.0, 0.1, 0.3))

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        await self.paged(exchange)

    async def serve(self, exchange: Exchange, page: Page) -> Page | None:
        """Serve a page, or something else. What was asked for as a whole comes as a whole."""
        asked = next(asked for asked in self.paged.asked if asked.exchange is exchange)
        if not asked.limit:
            return page
        page = self._cut_anew(page, asked.option("continue"))
        if self.chance.random() < self.fault_rate:
            what = self.chance.choice([*FAULTS, "dies", "dies", "ends early", "again"])
            if what == "again" and page.token:
                page = replace(page, token=asked.option("continue") or page.token)
            elif what in FAULTS and not (what == "newer" and page.number == 1):
                changed = await FAULTS[what](exchange, page)
                if changed is None:
                    return None
                page = changed
            elif what == "ends early":
                body = page.body[: self.chance.randrange(1, len(page.body) - 1)]
                await self._send(exchange, response(body, lines=self.paged.lines, framing=self.paged.framing))
                return None
            elif what == "dies":
                whole = self.paged.render(page)
                await self._send(exchange, whole[: self.chance.randrange(len(whole) - 1)])
                exchange.connection.close() if self.chance.random() < 0.5 else exchange.reset()
                return None
        await self._send(exchange, self.paged.render(page))
        return None

    def _cut_anew(self, page: Page, token: str) -> Page:
        if self.chance.random() < 0.5:
            return page
        number, start = self.paged.known.get(token, (1, 0))
        left = len(self.paged.items) - start
        size = min(left, self.chance.randrange(5))
        if size == left and self.chance.random() < 0.8:
            return replace(page, items=self.paged.items[start:], token="", remaining=0)
        other = f"token {len(self.paged.known)}"
        self.paged.known[other] = number + 1, start + size
        return replace(page, items=self.paged.items[start : start + size], token=other, remaining=0)

    async def _send(self, exchange: Exchange, data: bytes) -> None:
        for piece in cut(data, self.chance.choice((1 << 20, 1000, len(data) // 3 + 1))):
            await exchange.send(piece)
            if self.chance.random() < 0.3:
                await asyncio.sleep(self.chance.choice((0, 0, 0.002)))
        if self.paged.framing == "close":
            exchange.close()


@pytest.mark.parametrize("seed", range(4))
async def test_chance(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many Lists is judged; most of them are exact."""
    monkeypatch.setattr("proxy.core.retries.FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("proxy.core.weights.DISTRUST_SECONDS", 0.0)
    if seed % 2:
        monkeypatch.setattr("proxy.pages.fetcher.EARLY_BYTES", 300, raising=False)
    chance = random.Random(seed)
    upstream = Unsteady(chance)
    outcomes: Counter[str] = Counter()
    paging = Paging(page_items=(1, 3, 500)[seed % 3], page_bytes=(2000, 50_000)[seed % 2])
    async with Apiserver(upstream) as server, running(server.url, mode="paged", paging=paging) as proxy:
        for _ in range(LISTS):
            upstream.renew()
            paged = upstream.paged
            answer = await proxy.ask(request_for(paged.shape, version=chance.choice(("1.1", "1.0"))))
            if answer.status in (403, 410, 429, 500) and answer.mode.startswith("raw"):
                assert answer.complete
                outcomes["refused"] += 1
            else:
                whole = paged.body if answer.body != paged.body[:-1] or paged.framing != "close" else paged.body[:-1]
                outcomes[judge(answer, whole, where=(seed, sum(outcomes.values())))] += 1
            assert RESUMING not in paged.strange_tokens
            await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == outcomes["unfinished"]
    assert outcomes["whole"] > LISTS / 3
