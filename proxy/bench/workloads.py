"""The workloads of the benchmark by name, at scale 1."""

from __future__ import annotations

from typing import Protocol, Self

from proxy.bench.children import Children
from proxy.bench.gets import Gets
from proxy.bench.latency import Latency
from proxy.bench.lists import CONFIG_MAPS, PODS, SECRETS, TABLE, Lists, Reference
from proxy.bench.meters import Run
from proxy.bench.servers import Server
from proxy.bench.stack import Stack
from proxy.bench.watches import Watches


class Workload(Protocol):
    """What every arm is given to do."""

    @property
    def name(self) -> str:
        """Return what it is called on the command line and in JSON."""

    @property
    def title(self) -> str:
        """Say it in words."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Return those of our modes that have something of their own to show."""

    def scaled(self, scale: float) -> Self:
        """Return a smaller or larger one."""

    async def start(self, children: Children, encoder: str) -> Server:
        """Start the upstream that it needs. Raises ChildError."""

    def held(self, arm: str, encoder: str) -> int:
        """Return about how many bytes backend and proxy hold at once."""

    async def measure(self, stack: Stack, reference: Reference, number: int) -> Run:
        """Put one arm through it, in one round. Raises BenchError, LoadError."""


# The first five are of 250 MB each, so that a round of all arms takes some 15 s.
LISTS = (
    Lists("pods", PODS, 100_000, 2500),
    Lists("large-pods", PODS, 12_500, 20_000),
    Lists("secrets", SECRETS, 240, 1 << 20),
    # The published benchmark (clusterloader2, testing/list), with the ten Lists at once of KEP-5116's figures.
    Lists("configmaps", CONFIG_MAPS, 10_000, 100_000, clients=10),
    Lists("configmaps-table", CONFIG_MAPS, 10_000, 100_000, clients=10, accept=TABLE),
)
OTHERS = (
    Gets("gets-1", 1, 1.0),
    Gets("gets-64", 64, 1.0),
    Watches("watches", 100, 40, 2.0),
    Watches("many-watches", 1000, 4, 2.0),
    Latency("latency", 10, 0.02, lists=10, items=40_000, item_bytes=2500, duration=4.0),
)
CATALOGUE: dict[str, Workload] = {workload.name: workload for workload in (*LISTS, *OTHERS)}
DEFAULT = ("pods", "large-pods", "secrets", "gets-1", "gets-64", "watches")
