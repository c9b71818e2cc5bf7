"""Each statement in miniature: what it measures, shows and draws."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.bench import arms, bounds, check, gigabyte, growth, paging, rounds, workloads
from proxy.bench.bounds import Bound
from proxy.bench.children import Children
from proxy.bench.command import Run
from proxy.bench.lists import Reference
from proxy.bench.parameters import Parameters
from proxy.bench.report import Result
from proxy.bench.screen import PlainScreen


async def say(name: str, run: Run, out: Path, *arms: str, scale: float) -> Result:
    """Run a statement with one round."""
    parameters = Parameters(name, arms=arms, scale=scale, rounds=1)
    with Children() as children:
        return await run(parameters, PlainScreen(io.StringIO()), children, out)


async def test_watches_and_gets_have_their_own_figures() -> None:
    """On a backend that writes, and on any."""
    (streamed,) = (arm for arm in arms.arms() if arm.name == "streamed")
    with Children() as children:
        found = [
            (await rounds.one(children, workload.scaled(0.01), streamed, Reference(), 1, "streaming")).values
            for workload in workloads.OTHERS[1:]
        ]
    assert 1e-6 < found[0]["proxy_cpu_seconds_per_request"] < 0.1
    assert 0 < found[0]["p50_latency_seconds"] <= found[0]["p99_latency_seconds"]
    assert found[1]["events"] > 0
    assert 1e-6 < found[1]["proxy_cpu_seconds_per_event"] < 0.1
    assert found[1]["proxy_bytes_per_watch"] >= 0


async def test_the_memory_of_large_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One row for each case, with what the proxy needed above idle; a slow client ends nothing."""
    slow = replace(gigabyte.CASES[2][0], patience=0.1)
    monkeypatch.setattr(gigabyte, "CASES", (gigabyte.CASES[1], (slow, ("streamed",))))
    result = await say("gigabyte", gigabyte.run, tmp_path, "raw", "streamed", scale=0.0005)
    rows = result.tables[0].rows
    assert [row[0].partition(",")[0] for row in rows] == ["raw", "streamed", "streamed"]
    assert [row[3] for row in rows] == ["–", "2,000", "200"]  # noqa: RUF001
    assert all(row[-1].endswith("iB") for row in rows)
    assert [row[3] for row in result.tables[1].rows][1] == "PASS"
    assert (tmp_path / "gigabyte.png").exists()


async def test_what_paging_spares(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table for each workload with the bounds, curves of both processes, and a picture."""
    monkeypatch.setattr(paging, "CROWDS", paging.CROWDS[1:])
    result = await say("paging", paging.run, tmp_path, scale=0.01)
    titles = [table.columns[0].partition(",")[0] for table in result.tables]
    assert titles == ["10 Lists of 500 pods of 2.5 KB at once", "one List of 500 pods of 2.5 KB"]
    assert list(result.tables[0].columns[1:]) == ["direct", "streamed", "paged", "paged / direct", "bound"]
    assert "1/20: " in result.tables[0].rows[0][-1]
    assert [run.arm for run in result.runs] == 2 * ["direct", "paged"]
    assert set(result.runs[1].series) == {"backend", "proxy"}
    assert (tmp_path / "paging.png").exists()


async def test_what_grows_with_what(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table for each dimension, a row for each point, and a picture."""
    shrunk = tuple(replace(growth.DIMENSIONS[number], points=growth.DIMENSIONS[number].points[:1]) for number in (0, 3))
    monkeypatch.setattr(growth, "DIMENSIONS", shrunk)
    result = await say("growth", growth.run, tmp_path, "streamed", scale=0.01)
    assert [len(table.rows) for table in result.tables[:2]] == [1, 1]
    assert result.tables[1].rows[0][0] == "200 B"
    assert {row[3] for row in result.tables[2].rows} == {"–"}  # noqa: RUF001
    assert (tmp_path / "growth.png").exists()


async def test_a_bound_that_is_missed_fails_the_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One is enough; what cannot be had is not missed."""
    tried = [Bound("gets", "streamed", bounds.GET_CPU, most, "raw") for most in (1e9, 1e-9)]
    monkeypatch.setattr(check, "SETS", 1)
    monkeypatch.setattr(bounds, "CHECKED", (*tried, Bound("pods", "paged", bounds.LIST_CPU, 1e9, "kubectl proxy")))
    result = await say("check", check.run, tmp_path, "raw", "streamed", scale=0.001)
    assert not result.is_good
    assert [row[3] for row in result.tables[0].rows] == ["PASS", "MISS", "–"]  # noqa: RUF001
    monkeypatch.setattr(bounds, "CHECKED", tried[:1])
    assert check.judged(result.parameters, {}, result.runs).is_good
