"""``serve`` with a gauge of the tasks of its event loop; workers, which are processes of their own, have none."""

import sys

from proxy import cli, engine
from tests.faults.child import CountingMetrics

if __name__ == "__main__":
    vars(engine)["Metrics"] = CountingMetrics
    sys.exit(cli.main(sys.argv[1:]))
