"""The paging statement: what is compared, and how it is judged."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.bench import pagingplot, pagingreport
from proxy.bench.children import Children
from proxy.bench.errors import BenchError
from proxy.bench.load import Transfer
from proxy.bench.paging import Body, Reference, Run, Stack, alone, crowd, workloads
from proxy.bench.sampling import Series
from proxy.bench.servers import Server

BODY = b'{"items":[{},{}]}\n'
SLEEP = "import time; time.sleep(60)"
MIB = 1 << 20
SECRETS, PODS, PODS_ALONE = workloads(1.0)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything as a proxy would that pages."""
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX-Restream-Mode: paged; reason=settings\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """Pretend to be backend and proxy: processes with memory, and an address that answers."""
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        with Children() as children:
            backend, proxy = (Server(children.start(name, sys.executable, "-c", SLEEP), url) for name in ("b", "p"))
            yield Stack("paged", backend, proxy)


def reference(body: bytes = BODY) -> Reference:
    """Return what the backend itself has answered."""
    known = Reference()
    known.check("direct", Body(Transfer(size=len(body)), zlib.crc32(body)))
    return known


def run(arm: str, workload: str = "secrets", number: int = 1, **values: float) -> Run:
    """Return what was measured of one arm."""
    series = Series(0.0, [-0.3, 0.0, 1.0, 1.5], [50 * MIB, 50 * MIB, 90 * MIB, 60 * MIB])
    common = {"list_bytes": 1e8, "seconds": 1.0, "first_byte_seconds": 0.5}
    return Run(arm, workload, number, common | values, {"backend": series})


def row(runs: list[Run], title: str, workload: int = 0) -> list[str]:
    """Return the cells of one line of a table."""
    (table,) = pagingreport.tables(runs, workloads(1.0)[workload : workload + 1])
    (found,) = (cells for cells in table.rows if cells[0] == title)
    return list(found[1:])


async def test_many_clients_are_watched(stack: Stack) -> None:
    """CPU and memory of each process, first bytes, and curves that begin before the Lists do."""
    result = await crowd(stack, SECRETS, reference(), 1)
    assert (result.values["lists"], result.values["list_bytes"]) == (10, len(BODY))
    assert 0 < result.values["first_byte_seconds"] <= result.values["worst_first_byte_seconds"]
    assert result.values["backend_peak_rss_bytes"] > 0
    assert result.values["proxy_cpu_seconds"] >= 0
    assert result.values["others_cpu_seconds"] >= 0
    for series in result.series.values():
        assert series.times[0] < 0 < series.times[-1]


async def test_one_client_is_timed(stack: Stack) -> None:
    """A round has the time of one List, without curves."""
    result = await alone(stack, PODS_ALONE, reference(), 3)
    assert (result.arm, result.workload, result.round) == ("paged", "pods-alone", 3)
    assert 0 < result.values["first_byte_seconds"] <= result.values["seconds"]
    assert not result.series


@pytest.mark.parametrize("other", [BODY[:-1], BODY.replace(b"{}", b"[]")])
async def test_a_list_that_differs_is_a_failure(stack: Stack, other: bytes) -> None:
    """In its length or in one byte: a comparison is worth nothing if the arms did not do the same."""
    with pytest.raises(BenchError, match=r"a paged List (has 18 bytes|differs)"):
        await crowd(stack, SECRETS, reference(other), 1)


async def test_a_list_that_went_another_way_is_a_failure(stack: Stack) -> None:
    """What the proxy says that it did is what is measured."""
    with pytest.raises(BenchError, match="should have been streamed was paged"):
        await alone(Stack("streamed", stack.backend, stack.proxy), PODS_ALONE, reference(), 1)


def test_figures_stand_beside_their_bounds() -> None:
    """A share of the direct one's, or an amount; without a bound nothing is said."""
    direct = run("direct", backend_above_idle_bytes=1000 * MIB)
    paged = run("paged", backend_above_idle_bytes=50 * MIB, proxy_above_idle_bytes=65 * MIB, first_byte_seconds=0.06)
    runs = [direct, paged]
    assert row(runs, "backend above idle") == ["1,000 MiB", "–", "50 MiB", "1/20.0", "1/15: PASS"]  # noqa: RUF001
    assert row(runs, "first byte") == ["0.50 s", "–", "60 ms", "1/8.3", "1/10: MISS"]  # noqa: RUF001
    assert row(runs, "proxy above idle") == ["–", "–", "65 MiB", "–", "64 MiB: MISS"]  # noqa: RUF001
    assert row(runs, "total") == ["1.00 s", "–", "1.00 s", "1.00", "–"]  # noqa: RUF001


def test_one_list_is_judged_by_its_medians() -> None:
    """One slow round changes nothing."""
    times = {"direct": (1.0, 1.1, 9.0), "paged": (1.3, 1.0, 9.0)}
    runs = [
        run(arm, "pods-alone", number, seconds=seconds)
        for arm, rounds in times.items()
        for number, seconds in enumerate(rounds)
    ]
    assert row(runs, "total", 2) == ["1.10 s", "1.30 s", "1.18", "1.2: PASS"]


def test_memory_that_did_not_grow_has_no_share() -> None:
    """Small runs must not divide by zero."""
    runs = [run("direct", backend_above_idle_bytes=0), run("paged", backend_above_idle_bytes=0)]
    assert row(runs, "backend above idle")[3:] == ["–", "1/15: PASS"]  # noqa: RUF001


def test_draws_both_arms(tmp_path: Path) -> None:
    """Side by side in one picture."""
    path = tmp_path / "new" / "paging.png"
    runs = [run(arm, backend_above_idle_bytes=40 * MIB) for arm in ("direct", "paged")]
    pagingplot.write(path, "memory", runs)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
