"""How often and when a page is asked for again: bounded, and never sooner than the server wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.retries import FIRST_WAIT_SECONDS, MAX_RETRIES, PATIENCE_SECONDS, Retries, is_retryable


def waits(retry_after: str, jitter: float) -> list[float]:
    """Return all waits of a page that always fails the same way."""
    retries, found = Retries(), []
    while (wait := retries.next_wait(retry_after, jitter)) is not None:
        found.append(wait)
        assert len(found) <= MAX_RETRIES
    return found


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_waits_double(jitter: float) -> None:
    """Between half of the wait and all of it, by chance."""
    doubled = [FIRST_WAIT_SECONDS * 2**number * (0.5 + 0.5 * jitter) for number in range(MAX_RETRIES)]
    assert waits("", jitter) == pytest.approx(doubled)


@pytest.mark.parametrize(
    ("retry_after", "tries"), [("0", 4), ("1", 4), ("7", 4), ("8", 3), ("14", 2), ("29", 1), ("30", 0), ("32", 0)]
)
def test_retry_after_is_waited_for_or_given_up(retry_after: str, tries: int) -> None:
    """All waits together stay within the patience; a server that asks for more is not asked again."""
    found = waits(retry_after, 0.0)
    assert len(found) == tries
    assert all(wait >= int(retry_after) for wait in found)


@pytest.mark.parametrize("retry_after", ["9" * 20, "9" * 400, "9" * 5000])
def test_huge_retry_after_is_given_up(retry_after: str) -> None:
    """Any number of digits is a number."""
    assert waits(retry_after, 0.5) == []


@pytest.mark.parametrize("retry_after", ["", "-1", "+1", "1.5", "1e9", "soon", "0x10", "1 2", "\u0661", "\xb2", "nan"])
def test_what_is_no_number_counts_as_none(retry_after: str) -> None:
    """An apiserver sends whole seconds."""
    assert waits(retry_after, 0.5) == waits("", 0.5)


def test_retry_after_that_is_a_date_is_not_undercut() -> None:
    """RFC 9110 allows one, and load balancers in front of an apiserver send it; the core has no clock to read it by."""
    assert waits("Fri, 31 Dec 2999 23:59:59 GMT", 0.5) == []


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), min_size=1, max_size=12))
def test_every_sequence_of_failures_is_bounded(failures: list[tuple[int, float]]) -> None:
    """By number and by time, with each wait honoured; once given up, it stays so."""
    retries = Retries()
    found = [retries.next_wait(str(seconds), jitter) for seconds, jitter in failures]
    given_up = found.index(None) if None in found else len(found)
    granted = [wait for wait in found if wait is not None]
    assert len(granted) == given_up <= MAX_RETRIES
    assert sum(granted) <= PATIENCE_SECONDS
    assert all(wait > seconds for wait, (seconds, _) in zip(granted, failures, strict=False))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, False) for status in (200, 204, 301, 304, 400, 401, 403, 404, 406, 408, 409, 410, 422, 425)),
        *((status, True) for status in (429, 500, 502, 503, 504, 599)),
    ],
)
def test_only_what_may_pass_is_tried_again(status: int, *, expected: bool) -> None:
    """410 is not: a token that has expired stays so."""
    assert is_retryable(status) == expected
