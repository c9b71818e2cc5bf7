"""Which worker a connection goes to, and when a dead one is replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.workers.choosing import LONGEST_DELAY, by_load, delay_after


@pytest.mark.parametrize(
    ("loads", "last", "order"),
    [
        ([0, 0, 0], -1, [0, 1, 2]),
        ([1, 0, 0], 0, [1, 2, 0]),
        ([1, 1, 0], 1, [2, 0, 1]),
        ([1, 1, 1], 2, [0, 1, 2]),
        ([5, 5, 5], 0, [1, 2, 0]),
        ([0, 9, 3], 0, [0, 2, 1]),
        ([7], 0, [0]),
    ],
)
def test_the_fewest_come_first(loads: list[int], last: int, order: list[int]) -> None:
    """The worker with the fewest connections leads; equals take turns."""
    assert by_load(loads, last) == order


@given(st.integers(1, 9), st.lists(st.one_of(st.none(), st.integers(0, 8)), max_size=200))
def test_connections_that_come_and_go_stay_even(count: int, moves: list[int | None]) -> None:
    """Connections that only come differ by one at most; where some go, the next ones fill the gap."""
    loads, last = [0] * count, -1
    for move in moves:
        if move is None:
            last = by_load(loads, last)[0]
            assert loads[last] == min(loads)
            loads[last] += 1
        elif loads[move % count]:
            loads[move % count] -= 1
    for _ in range(count * max(loads)):
        last = by_load(loads, last)[0]
        loads[last] += 1
    assert max(loads) - min(loads) <= 1


def test_workers_that_keep_dying_are_replaced_ever_more_slowly() -> None:
    """The first is replaced at once, then the delay doubles up to its bound."""
    assert [delay_after(deaths) for deaths in range(6)] == [0, 0, 0.5, 1, 2, 4]
    assert delay_after(10**6) == LONGEST_DELAY
