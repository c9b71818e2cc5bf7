"""Which address of the upstream a request goes to: the least busy one of those that are well.

Watches, logs and tunnels are weighed against each other, and what ends soon against its own kind: an address that comes
back has no watch yet, and would else get every List until it had as many as the others. Equals take turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address stands: whether it is taken to be well, and how many requests of a kind are under way there."""

    is_up: bool
    load: int


def rank(standings: Sequence[Standing], turn: int, home: int | None = None) -> list[list[int]]:
    """Return the addresses, by number, in groups: one group is tried only where all of the one before have failed.

    Those that are well come first. None being well tells more of the checks than of the addresses, so then all of them
    are tried all the same. `turn` is another number for each request; `home` goes before its equals in health.
    """
    count = len(standings)
    order = sorted(range(count), key=lambda number: (number != home, standings[number].load, (number - turn) % count))
    groups = [[number for number in order if standings[number].is_up == is_up] for is_up in (True, False)]
    return [group for group in groups if group]
