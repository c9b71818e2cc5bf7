"""The budget of retries: a share of the requests, and some for those who ask little."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.retrybudget import RESERVE_PER_SECOND, SHARE, WINDOW_SECONDS, RetryBudget

RESERVE = RESERVE_PER_SECOND * WINDOW_SECONDS


def test_reserve_without_requests() -> None:
    """So many within the window, and again when they have left it."""
    budget = RetryBudget()
    for start in (0.0, 7.0 + WINDOW_SECONDS):
        assert [budget.take(start + 0.01 * number) for number in range(RESERVE)] == [True] * RESERVE
        assert not budget.take(start + WINDOW_SECONDS - 1)


def test_a_share_of_the_requests() -> None:
    """On top of the reserve, a fifth of what was asked in the last ten seconds."""
    budget = RetryBudget()
    for number in range(1000):
        budget.note_request(number / 200)
    taken = 0
    while budget.take(5.0):
        taken += 1
    assert taken == RESERVE + SHARE * 1000
    assert not budget.take(9.9)


def test_old_requests_allow_nothing() -> None:
    """Requests of an hour ago do not pay for retries of now."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.note_request(0.0)
    assert [budget.take(3600.0) for _ in range(RESERVE + 1)] == [True] * RESERVE + [False]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2)), max_size=400), st.integers(1, 40))
def test_never_more_than_that(events: list[tuple[bool, float]], burst: int) -> None:
    """At each retry those of the window, counted by whole seconds, are within the bound; none is refused below it."""
    budget, now = RetryBudget(), 0.0
    requests, retries = list[int](), list[int]()
    for is_request, seconds in events:
        now += seconds
        since = int(now) - WINDOW_SECONDS
        for _ in range(burst):
            if is_request:
                budget.note_request(now)
                requests.append(int(now))
                continue
            bound = RESERVE + SHARE * sum(second > since for second in requests)
            is_within = sum(second > since for second in retries) + 1 <= bound
            assert budget.take(now) == is_within
            if is_within:
                retries.append(int(now))
