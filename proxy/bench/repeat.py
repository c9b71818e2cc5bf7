"""A run again: the parameters of an old one from its JSON, and its ratios beside those of the new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from proxy.bench.bounds import GET_CPU, KUBECTL, LIST_CPU, RAW, TOTAL
from proxy.bench.errors import BenchError
from proxy.bench.meters import Figures, Run
from proxy.bench.parameters import Parameters
from proxy.bench.screen import Table

COMPARED = {
    LIST_CPU: "CPU per GB",
    GET_CPU: "CPU per GET",
    "proxy_cpu_seconds_per_event": "CPU per event",
    TOTAL: "total",
}


class Sample(msgspec.Struct, frozen=True):
    """A run, less its curves."""

    arm: str
    workload: str
    round: int
    values: dict[str, float]


class Document(msgspec.Struct, frozen=True):
    """The JSON of a run, as far as it is needed to do it again."""

    created: str
    parameters: Parameters
    samples: list[Sample]

    @property
    def runs(self) -> list[Run]:
        """Return what was measured."""
        return [Run(sample.arm, sample.workload, sample.round, sample.values) for sample in self.samples]


def read(path: Path) -> Document:
    """Read an old run. Raises BenchError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Document)
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from None
    except msgspec.MsgspecError as error:
        raise BenchError(f"{path} is not the JSON of a run: {error}") from None


def table(old: Document, runs: Sequence[Run]) -> Table:
    """Return the ratios to kubectl proxy, or to our own raw where that is missing, then and now."""
    result = Table([f"ratios of {old.created} and now", "then", "now", "now / then"])
    then, now = Figures(old.runs), Figures(runs)
    for workload, arm, value in _measured(runs):
        for yardstick in (KUBECTL, RAW):
            before, after = (figures.ratio(workload, arm, value, yardstick) for figures in (then, now))
            if before and after and arm != yardstick:
                what = f"{workload}: {arm}, {COMPARED[value]}, x {yardstick}"
                result.rows.append([what, f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}"])
                break
    return result


def _measured(runs: Sequence[Run]) -> Iterator[tuple[str, str, str]]:
    """Return what there is to compare, each once."""
    names = ((run.workload, run.arm, value) for run in runs for value in COMPARED if value in run.values)
    return iter(dict.fromkeys(names))
