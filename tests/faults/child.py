"""``serve`` with one gauge more: the tasks of its event loop, which nothing outside of a process can see.

And with retries for all: hundreds of cells fail at once here, which the budget of retries is there to slow down.
"""

import asyncio
import sys
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy import cli, engine
from proxy.core import retrybudget
from proxy.core.budget import Budget
from proxy.metrics import Metrics

TASKS = "faults_tasks"


class Tasks(Collector):
    """Counts the tasks that are not done."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauge; a scrape is rendered in the loop."""
        yield GaugeMetricFamily(TASKS, "Tasks that are not done.", value=len(asyncio.all_tasks()))


class CountingMetrics(Metrics):
    """The proxy's metrics, and this one."""

    def __init__(self, open_files_limit: int, budget: Budget) -> None:
        super().__init__(open_files_limit, budget)
        self.registry.register(Tasks())


if __name__ == "__main__":
    vars(engine)["Metrics"] = CountingMetrics
    vars(retrybudget)["RESERVE_PER_SECOND"] = 10_000
    sys.exit(cli.main(sys.argv[1:]))
