"""Which address a request goes to."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.balance import Standing, rank

STANDINGS = st.lists(st.builds(Standing, st.booleans(), st.integers(0, 3)), min_size=1, max_size=6)


@given(STANDINGS, st.integers(0, 100))
def test_every_address_once_and_the_best_first(standings: list[Standing], turn: int) -> None:
    """All are there; those that are well are a group of their own before the others; each has the least busy first."""
    groups = rank(standings, turn)
    assert sorted(number for group in groups for number in group) == list(range(len(standings)))
    assert [standings[group[0]].is_up for group in groups] in ([True], [False], [True, False])
    for group in groups:
        assert len({standings[number].is_up for number in group}) == 1
        loads = [standings[number].load for number in group]
        assert loads == sorted(loads)


@given(st.integers(1, 6), st.integers(0, 100))
def test_equals_take_turns(count: int, turn: int) -> None:
    """So many requests in a row go to as many addresses."""
    standings = [Standing(is_up=True, load=1)] * count
    assert {rank(standings, turn + step)[0][0] for step in range(count)} == set(range(count))


@given(STANDINGS, st.integers(0, 100), st.data())
def test_home_goes_first_while_it_is_well(standings: list[Standing], turn: int, data: st.DataObject) -> None:
    """However busy it is; one that is down is the first of the last."""
    home = data.draw(st.integers(0, len(standings) - 1))
    groups = rank(standings, turn, home)
    assert groups[0 if standings[home].is_up else -1][0] == home


def test_one_request_after_the_other_is_spread_evenly() -> None:
    """Requests that stay, as watches do, are as many everywhere, give or take one."""
    loads = [5, 0, 0]
    for turn in range(40):
        loads[rank([Standing(is_up=True, load=load) for load in loads], turn)[0][0]] += 1
    assert loads == [15, 15, 15]
