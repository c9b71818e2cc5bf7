"""The breaker: what does not answer gets one request now and then, and all of them once it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.breaker import (
    FIRST_BACKOFF_SECONDS,
    LONGEST_BACKOFF_SECONDS,
    MAX_WAITING,
    SILENT_SECONDS,
    TIMEOUTS,
    Breaker,
    Ticket,
)


def admitted(breaker: Breaker, now: float) -> Ticket:
    """Return the ticket of a request that has to be let through."""
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


def opened(now: float = 0.0) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker()
    for _ in range(TIMEOUTS):
        assert not breaker.is_open
        admitted(breaker, now).time_out(now)
    assert breaker.is_open
    return breaker


def test_opens_after_timeouts_in_a_row() -> None:
    """An answer in between begins the count anew."""
    breaker = Breaker()
    for _ in range(3):
        for _ in range(TIMEOUTS - 1):
            admitted(breaker, 0.0).time_out(0.0)
        admitted(breaker, 0.0).answer(0.0)
    assert not breaker.is_open
    assert opened().admit(0.0) is None


def test_one_request_goes_through_after_the_backoff() -> None:
    """One at a time: the next only when that one has ended, and its answer lets all through."""
    breaker = opened()
    assert breaker.admit(FIRST_BACKOFF_SECONDS - 0.01) is None
    probe = admitted(breaker, FIRST_BACKOFF_SECONDS)
    assert breaker.admit(FIRST_BACKOFF_SECONDS) is None
    probe.leave()
    probe = admitted(breaker, FIRST_BACKOFF_SECONDS)
    probe.answer(FIRST_BACKOFF_SECONDS)
    assert not breaker.is_open
    admitted(breaker, FIRST_BACKOFF_SECONDS)
    admitted(breaker, FIRST_BACKOFF_SECONDS)


def test_backoff_doubles_to_a_bound() -> None:
    """Each probe that waits in vain doubles it; an answer makes it short again."""
    breaker, now, found = opened(), 0.0, []
    for _ in range(6):
        since = now
        while (probe := breaker.admit(now)) is None:
            now += 0.25
        found.append(now - since)
        probe.time_out(now)
    assert found == [1.0, 2.0, 4.0, LONGEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS]
    while (probe := breaker.admit(now)) is None:
        now += 0.25
    probe.answer(now)
    for _ in range(TIMEOUTS):
        admitted(breaker, now).time_out(now)
    assert breaker.admit(now + FIRST_BACKOFF_SECONDS) is not None


def test_those_that_waited_already_decide_nothing_but_by_an_answer() -> None:
    """What times out while the breaker is open does not make it stay open longer; what is answered closes it."""
    breaker = Breaker()
    early = [admitted(breaker, 0.0) for _ in range(3)]
    for _ in range(TIMEOUTS):
        admitted(breaker, 0.0).time_out(0.0)
    early[0].time_out(0.5)
    probe = admitted(breaker, FIRST_BACKOFF_SECONDS)
    early[1].time_out(FIRST_BACKOFF_SECONDS)
    early[2].answer(FIRST_BACKOFF_SECONDS)
    assert not breaker.is_open
    probe.leave()


def test_waiting_is_bounded_while_nothing_answers() -> None:
    """Many may wait where something is answered; where nothing is for long, those are enough."""
    breaker = Breaker()
    waiting = [admitted(breaker, 0.0) for _ in range(2 * MAX_WAITING)]
    admitted(breaker, SILENT_SECONDS - 0.01)
    assert breaker.admit(SILENT_SECONDS) is None
    waiting[0].answer(SILENT_SECONDS)
    admitted(breaker, 2 * SILENT_SECONDS - 0.01)
    assert breaker.admit(2 * SILENT_SECONDS) is None


def test_silence_counts_while_somebody_waits() -> None:
    """An idle night is no silence: it begins with the first that waits."""
    breaker = Breaker()
    admitted(breaker, 0.0).answer(0.0)
    late = 1000 * SILENT_SECONDS
    for _ in range(MAX_WAITING):
        admitted(breaker, late)
    assert breaker.admit(late) is not None


@pytest.mark.parametrize("ending", ["answer", "time_out", "leave"])
def test_a_ticket_leaves_once(ending: str) -> None:
    """Whatever is told of a request afterwards, it does not wait a second time."""
    breaker = Breaker()
    ticket = admitted(breaker, 0.0)
    if ending == "leave":
        ticket.leave()
    else:
        getattr(ticket, ending)(0.0)
    ticket.leave()
    ticket.time_out(0.0)
    ticket.answer(0.0)
    assert breaker.waiting == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(["admit", "answer", "time_out", "leave"]), st.integers(0, 40), st.floats(0, 3)),
    max_size=200,
)


@given(STEPS)
def test_any_course_of_events(steps: list[tuple[str, int, float]]) -> None:
    """Who waits was let through and has not left; open, no more than one goes through; nobody is locked out."""
    breaker, now, waiting = Breaker(), 0.0, list[Ticket]()
    through_while_open = list[Ticket]()
    for what, which, seconds in steps:
        now += seconds
        if what == "admit":
            was_open = breaker.is_open
            ticket = breaker.admit(now)
            if ticket is not None:
                waiting.append(ticket)
                if was_open:
                    through_while_open.append(ticket)
            else:
                assert was_open
        elif waiting:
            ticket = waiting.pop(which % len(waiting))
            if what == "leave":
                ticket.leave()
            else:
                getattr(ticket, what)(now)
            if what == "answer":
                assert not breaker.is_open
                through_while_open.clear()
            elif ticket in through_while_open:
                through_while_open.remove(ticket)
        assert breaker.waiting == len(waiting)
        assert len(through_while_open) <= 1
    for ticket in waiting:
        ticket.leave()
    assert breaker.admit(now + LONGEST_BACKOFF_SECONDS) is not None
