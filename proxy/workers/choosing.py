"""Which worker a connection is for, and how long to wait for another worker."""

from collections.abc import Sequence

LIVED_SECONDS = 10.0
"""A worker that lived as long has not died of its start."""

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0


def by_load(loads: Sequence[int], last: int) -> list[int]:
    """Return the indexes of `loads` (open connections) from the lowest on; of equals the first after `last` leads."""
    count = len(loads)
    return sorted(range(count), key=lambda index: (loads[index], (index - last - 1) % count))


def delay_after(deaths: int) -> float:
    """Return the seconds until a worker is replaced, where so many in a row have died that hardly lived.

    The first of them may have been bad luck, so its successor comes at once.
    """
    return min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(deaths - 2, 16)) if deaths > 1 else 0.0
