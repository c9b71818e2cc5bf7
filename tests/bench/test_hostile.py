"""The hostile statement: how it is judged, and that it runs."""

import re
import sys

from proxy.bench import attackers, hostile
from proxy.bench.children import Children
from proxy.bench.meters import Run
from proxy.settings import Limits
from tests.fakes.apiserver import Apiserver, Exchange
from tests.fakes.running import eventually, running


def test_what_is_seen_beside_a_crowd_has_a_bound() -> None:
    """The slowest of a hundred may take three times as long; the median is only shown."""

    def run(workload: str, p50: float, p99: float) -> Run:
        values = {"p50_kept_seconds": p50, "p99_kept_seconds": p99, "p99_fresh_seconds": p99, "failed": 0.0}
        return Run("streamed", workload, 0, values)

    table = hostile.table([run(hostile.ALONE, 0.001, 0.002), run(hostile.BESIDE, 0.009, 0.0061)], "streamed")
    assert table.rows[0] == ["kept p50", "1.00 ms", "9.00 ms", "9.0", "–"]  # noqa: RUF001
    assert table.rows[1] == ["kept p99", "2.00 ms", "6.10 ms", "3.1", "3: MISS"]
    assert table.rows[-1][:3] == ["failed", "0", "0"]


async def test_attackers_come_and_stay() -> None:
    """Slow ones hold a head that does not end, stalled ones have asked; what is thrown out comes back."""

    async def hang(exchange: Exchange) -> None:
        await exchange.wait_closed()

    limits = Limits(header_seconds=0.5, drain_seconds=0.2)
    async with Apiserver(hang) as upstream, running(upstream.url, limits=limits) as proxy:
        with Children() as children:
            command = (sys.executable, "-m", "proxy.bench.attackers")
            child = children.start("attackers", *command, proxy.proxy.url, "/version", "3", "2")
            await child.line(re.compile(attackers.READY))
            await upstream.wait_for_exchanges(2)
            await eventually(lambda: proxy.sample("restream_client_connections") == 5)
            await eventually(lambda: proxy.sample("restream_head_bytes") > 0)
            await eventually(lambda: proxy.sample("restream_client_refusals_total", reason="head_slow") > 3)
            assert len(upstream.exchanges) == 2
        await eventually(lambda: proxy.sample("restream_client_connections") == 0)
