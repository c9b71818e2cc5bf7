"""The metrics of several processes as those of one. Sans-IO.

Counters and histograms are added up under the very names and labels that one process has, so that dashboards and
``rate()`` know no difference; so are gauges of what is held and under way. What is of a process itself (memory, CPU,
files, garbage collection) keeps one series a process, told apart by the label ``worker``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

PER_PROCESS = (
    *("process_", "python_gc_", "restream_resident_memory_peak_bytes"),
    *("restream_upstream_up", "restream_upstream_breaker_open"),
)
"""What these names begin is of one process."""

ONCE = frozenset({"python_info", "restream_build_info", "restream_open_files_limit"})
"""The same in every process; the first one's are shown."""

LABEL = "worker"


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One line of an exposition; `labels` are in the order of the family's."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """The samples of one metric. `kind` is ``counter``, ``gauge`` or ``histogram``; a counter's name has no suffix."""

    name: str
    kind: str
    text: str
    samples: list[Sample]

    @property
    def is_per_process(self) -> bool:
        """Whether it tells of one process."""
        return self.name.startswith(PER_PROCESS)

    @property
    def outlives_its_process(self) -> bool:
        """Whether it counts what stays true when the process is gone."""
        return self.kind != "gauge" and not self.is_per_process


def families_of(metrics: Iterable[Metric]) -> list[Family]:
    """Take over what prometheus-client has collected."""
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            [Sample(sample.name, dict(sample.labels), float(sample.value)) for sample in metric.samples],
        )
        for metric in metrics
    ]


def merge(processes: Mapping[str, Sequence[Family]], gone: Sequence[Family] = ()) -> list[Family]:
    """Return one family a name. `processes` are by the value of their label, `gone` is what `retire` has kept."""
    first: dict[str, Family] = {}
    totals: dict[str, dict[tuple[object, ...], Sample]] = {}
    for process, families in (*processes.items(), ("", gone)):
        for family in families:
            if family.name in first and family.name in ONCE:
                continue
            first.setdefault(family.name, family)
            _add(family, process, totals.setdefault(family.name, {}))
    return [msgspec.structs.replace(family, samples=list(totals[name].values())) for name, family in first.items()]


def retire(gone: Sequence[Family], families: Sequence[Family]) -> list[Family]:
    """Add what a process that has died had counted to that of those before it, so that no counter goes down."""
    return merge({"": gone, "dead": [family for family in families if family.outlives_its_process]})


def render(families: Iterable[Family]) -> bytes:
    """Return the exposition in Prometheus' text format."""
    return generate_latest(Collected(families))


class Collected(Collector):
    """Families as prometheus-client wants to collect them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        for family in self._families:
            metric = Metric(family.name, family.text, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric


def _add(family: Family, process: str, totals: dict[tuple[object, ...], Sample]) -> None:
    """Add the samples of a family to those of the same name and labels."""
    for sample in family.samples:
        labels = {**sample.labels, LABEL: process} if family.is_per_process else sample.labels
        key = (sample.name, *labels.items())
        known = totals.get(key)
        totals[key] = Sample(sample.name, labels, sample.value + (known.value if known else 0.0))
