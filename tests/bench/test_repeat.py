"""An old run beside a new one."""

from pathlib import Path

import pytest

from proxy.bench import repeat, report
from proxy.bench.bounds import LIST_CPU
from proxy.bench.errors import BenchError
from proxy.bench.meters import Run
from proxy.bench.parameters import Parameters
from proxy.bench.repeat import Document
from proxy.bench.report import Result


def listed(**cpu: float) -> list[Run]:
    """Return runs of arms of which only the CPU is known."""
    return [Run(arm.replace("_", " "), "pods", 1, {LIST_CPU: value}) for arm, value in cpu.items()]


def old(tmp_path: Path, runs: list[Run]) -> Document:
    """Write an old run, and read it again."""
    path = tmp_path / "bench.json"
    report.write_json(path, {"cpu": "fast"}, Result("", Parameters("bench", scale=0.5, arms=("raw",)), {}, [], runs))
    return repeat.read(path)


def test_what_was_written_can_be_done_again(tmp_path: Path) -> None:
    """With the same parameters, and the figures of then."""
    document = old(tmp_path, listed(raw=1.0))
    assert document.parameters == Parameters("bench", scale=0.5, arms=("raw",))
    assert document.runs == listed(raw=1.0)


def test_ratios_stand_side_by_side(tmp_path: Path) -> None:
    """To kubectl proxy; how fast the machine is makes no difference."""
    table = repeat.table(
        old(tmp_path, listed(kubectl_proxy=2.0, streamed=2.0)), listed(kubectl_proxy=4.0, streamed=5.0)
    )
    assert table.rows == [["pods: streamed, CPU per GB, x kubectl proxy", "1.00", "1.25", "1.25"]]


def test_our_own_raw_will_do(tmp_path: Path) -> None:
    """Where kubectl was not installed, then or now."""
    table = repeat.table(old(tmp_path, listed(raw=1.0, streamed=2.0)), listed(kubectl_proxy=4.0, raw=1.0, streamed=1.0))
    assert table.rows == [["pods: streamed, CPU per GB, x raw", "2.00", "1.00", "0.50"]]


@pytest.mark.parametrize("text", ["", "[]", '{"parameters": 1}'])
def test_something_else_is_an_error(tmp_path: Path, text: str) -> None:
    """With the path in the message."""
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"other\.json is not the JSON of a run"):
        repeat.read(path)
    with pytest.raises(BenchError, match="cannot read"):
        repeat.read(tmp_path / "missing.json")
