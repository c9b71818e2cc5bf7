"""The fault matrix, as much of it as takes seconds: all of the quick client's cells, a few of each other client's."""

from pathlib import Path

import pytest

from tests.fakes.wire import Client
from tests.faults import __main__ as program
from tests.faults import cells as table
from tests.faults.cells import CLIENTS, FORMS, PLANS, Cell
from tests.faults.clients import Outcome, kubectls, missing
from tests.faults.faults import FAULTS
from tests.faults.matrix import Matrix, Report, judge
from tests.faults.messages import Position

SAMPLES = {"curl": 41, "python": 41, "kubectl": 97}
"""Every so many-th cell of a client that takes its time."""


def of(client: str, plan: str, fault: str, position: Position, form: str = "typed") -> Cell:
    """Return one cell."""
    name = "/".join((client, plan, form, fault, position.value))
    return next(cell for cell in table.cells() if str(cell) == name)


async def run(cells: list[Cell], home: Path) -> Report:
    """Run cells."""
    async with Matrix(cells, home) as matrix:
        report = await matrix.run()
    assert report.verdicts.total() == len(cells)
    return report


@pytest.mark.parametrize("form", FORMS)
async def test_no_fault_passes_for_a_list(form: str, tmp_path: Path) -> None:
    """Whatever the upstream does: an error or the exact List, or what is known to pass; and nothing is held then."""
    report = await run([cell for cell in table.cells() if (cell.client, cell.form) == ("quick", form)], tmp_path)
    assert not report.failures, "\n".join(report.failures)
    assert report.verdicts["exact"] > 100
    assert {mode.partition(";")[0] for mode in report.modes} == {"raw", "streamed", "buffered", "paged"}


@pytest.mark.parametrize("client", SAMPLES)
async def test_other_clients_notice_too(client: str, tmp_path: Path) -> None:
    """A sample; ``make faults`` runs them all."""
    if remedy := missing().get(client):
        pytest.skip(f"not at hand: {client} ({remedy})")
    report = await run([cell for cell in table.cells() if cell.client == client][:: SAMPLES[client]], tmp_path)
    assert not report.failures, "\n".join(report.failures)
    assert report.verdicts["exact"], "a client that always fails would notice nothing"


def test_every_combination_is_a_cell_or_has_a_reason() -> None:
    """None is silently dropped."""
    count = len(CLIENTS) * len(FAULTS) * len(Position) * len(PLANS) * len(FORMS)
    cells, left_out = list(table.cells()), table.left_out()
    assert len(cells) + sum(left_out.values()) == count
    assert all(not reason.endswith(": ") for reason in left_out)
    assert len({cell.resource for cell in cells}) == len(set(map(str, cells))) == len(cells)


def test_every_exception_excepts_something() -> None:
    """A row that covers no cell would be a leftover."""
    cells = list(table.cells())
    assert all(any(each.covers(cell) for cell in cells) for each in table.UNJUDGED)


STATUS = ("Status in the middle", Position.BETWEEN)
LIST = of("quick", "streamed", *STATUS).served().body


@pytest.mark.parametrize(
    ("cell", "outcome", "verdict"),
    [
        (of("quick", "streamed", *STATUS), Outcome("200, unfinished"), "error"),
        (of("quick", "streamed", *STATUS), Outcome(body=LIST[:-2], digest="?"), "failed"),
        (of("quick", "streamed", *STATUS), Outcome("500", fault="the error is no Kubernetes Status"), "failed"),
        (of("quick", "raw", *STATUS), Outcome(body=b"", digest="?"), "failed"),
        (of("kubectl", "raw", *STATUS), Outcome(digest="?"), "failed"),
        (of("kubectl", "raw", "broken UTF-8", Position.ITEM), Outcome(digest="?"), "unjudged"),
        (of("quick", "paged, page 2 once", "reset", Position.ITEM), Outcome("502"), "failed"),
        (of("quick", "streamed", "trickle", Position.ITEM), Outcome("504"), "failed"),
    ],
)
def test_verdicts(cell: Cell, outcome: Outcome, verdict: str) -> None:
    """What is not an error has to be the List; some errors are none that are wanted."""
    found, problem = judge(cell, outcome)
    assert found == verdict
    assert bool(problem) == (verdict == "failed")


async def test_what_is_held_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that stays open makes its cell fail, with the way to see it again."""
    monkeypatch.setattr("tests.faults.holding.SETTLE_SECONDS", 0.3)
    cells = [of("quick", "streamed", "close", position) for position in (Position.ITEM, Position.TAIL)]
    kept: list[Client] = []
    async with Matrix(cells, tmp_path) as matrix:
        ask = matrix.asks["quick"]

        async def keep(url: str, cell: Cell) -> Outcome:
            if cell.position is Position.TAIL:
                host, port = url.removeprefix("http://").split(":")
                kept.append(await Client.connect(host, int(port)))
            return await ask(url, cell)

        matrix.asks["quick"] = keep
        report = await matrix.run()
        for client in kept:
            await client.__aexit__()
    (failure,) = report.failures
    assert "close/in the tail\n" in failure
    assert "clients=1" in failure
    assert "make faults" in failure


def test_program_tells_what_it_does(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was run, what was not, and why; nothing matched is a mistake."""
    monkeypatch.setattr("sys.argv", ["faults", "--only", "quick/raw/typed/clean end/*"])
    assert program.main() == 0
    output = capsys.readouterr().out
    assert "exception, 4 cells: raw forwards what it cannot judge" in output
    assert "no such cells, 24 combinations: refuse" in output
    assert "4 cells in " in output
    monkeypatch.setattr("sys.argv", ["faults", "--only", "no such cell"])
    assert program.main() == 1


def test_kubectl_of_every_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest by default, each where each is wanted; none where there is none."""
    for name in ("kubectl", "kubectl.1.9", "kubectl.1.33"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [Path(path).name for path in kubectls()] == ["kubectl.1.33"]
    assert [Path(path).name for path in kubectls(every=True)] == ["kubectl.1.9", "kubectl.1.33"]
    (tmp_path / "kubectl").unlink()
    assert kubectls() == []
